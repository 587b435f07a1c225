package rules

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"pgfit/advisor"
	"pgfit/advisor/budget"
)

// completionTarget: 0.9 is the default since 14, since a shorter target makes checkpoints write in bursts for nothing in
// return (release notes of 14). On 13 the default is 0.5. Values at or above 0.9 stay.
func completionTarget(s *situation) verdict {
	if v, _ := s.next.Float("checkpoint_completion_target"); v >= 0.855 {
		return verdict{keep: "checkpoints are spread over most of their interval"}
	}
	return verdict{value: "0.9", reason: "spreads a checkpoint's writes over the interval instead of a burst; the default since version 14",
		source: "PostgreSQL 14 release notes, checkpoint_completion_target", confidence: "high", lift: "storage that takes bursts better than a steady stream"}
}

const (
	walShareOfDisk = 0.25    // of the free space of the WAL volume that max_wal_size may take
	walCeiling     = 64 * gB // no rule goes beyond
	walSlack       = 1.2     // above the measured WAL
	muchFullPages  = 0.2     // share of full-page images from which they are worth fighting
	idleWAL        = 1 << 20 // bytes per second: below it WAL settings carry no gain
)

// walCap is the largest max_wal_size that free disk and recovery time allow, in bytes, with the reason of the bound.
func (s *situation) walCap() (int64, string) {
	limit, why := walCeiling, "64 GB, the largest that any rule proposes"
	if r := int64(s.recovery.Seconds() * budget.ReplayRate(s.facts)); r < limit {
		limit, why = r, fmt.Sprintf("a crash recovery within %s at an assumed %s", span(s.recovery), rateText(budget.ReplayRate(s.facts)))
	}
	if free, ok := s.facts.WALStorage().Free.Get(); ok && int64(walShareOfDisk*float64(free)) < limit {
		limit, why = int64(walShareOfDisk*float64(free)), fmt.Sprintf("a quarter of the %s free on the WAL volume", roughly(free))
	}
	return down(limit), why
}

// walOver is the WAL that the measured writing makes between two checkpoints t apart, in bytes, with the part of it that
// are full-page images. A window of seconds after a checkpoint overstates those: each page goes into the WAL
// whole once between checkpoints, so that they cannot exceed the data, where its size is known.
func (s *situation) walOver(f figures, t time.Duration) (all, images float64) {
	if f.rate() == 0 {
		return 0, 0
	}
	imageRate := min(f.rate(), float64(max(0, f.walFPI))*8192/f.seconds)
	images = imageRate * t.Seconds()
	if s.data > 0 {
		images = min(images, float64(s.data))
	}
	return (f.rate()-imageRate)*t.Seconds() + images, images
}

// imageShare is the largest share of full-page images that the measured WAL can have with the present timeout.
func (s *situation) imageShare(f figures) float64 {
	t, _ := s.next.Duration("checkpoint_timeout")
	all, images := s.walOver(f, t)
	if all <= 0 {
		return 0
	}
	return images / all
}

// between is what max_wal_size has to hold for checkpoints t apart to be started by the clock: their WAL, and that of the
// part of the next one in which the old is still needed (manual, WAL Configuration), with walSlack on top.
func (s *situation) between(f figures, t time.Duration) float64 {
	all, _ := s.walOver(f, t)
	target, ok := s.next.Float("checkpoint_completion_target")
	if !ok {
		target = 0.9
	}
	return walSlack * all * (1 + target)
}

// checkpointTimeout: the first change of a page after a checkpoint goes to the WAL whole, so rarer checkpoints write less
// where full-page images are a fifth of the WAL or more (manual, WAL Configuration). 15 minutes, else 10, as the
// recovery time and the WAL disk allow at the measured rate. The share is an upper bound, so confidence is low; without a
// run it stays.
func checkpointTimeout(s *situation) verdict {
	present, ok := s.next.Duration("checkpoint_timeout")
	f := s.walRate()
	share := s.imageShare(s.walRate())
	switch {
	case !ok:
		return verdict{}
	case f.rate() == 0:
		return verdict{keep: "no WAL rate was measured"}
	case f.rate() < idleWAL:
		return verdict{keep: "the run wrote only " + rateText(f.rate()) + " of WAL"}
	case share < muchFullPages:
		return verdict{keep: "full-page images are no large part of the measured WAL, so rarer checkpoints would save little"}
	}
	limit, why := s.walCap()
	for _, t := range []time.Duration{15 * time.Minute, 10 * time.Minute} {
		if t <= present {
			return verdict{keep: "rare enough"}
		}
		if s.between(f, t) <= float64(limit) {
			return verdict{value: fmt.Sprintf("%dmin", int(t.Minutes())), method: advisor.Measured, confidence: "low",
				reason: fmt.Sprintf("full-page images were up to %.0f %% of the WAL; rarer checkpoints write fewer of them, and recovery stays within %s", 100*share, span(s.recovery)),
				inputs: []advisor.Input{s.walInput(f), input("full-page images", "up to %.0f %% of the WAL", 100*share)},
				source: "PostgreSQL manual, WAL Configuration", lift: "a run longer than the checkpoint interval"}
		}
	}
	return verdict{keep: "rarer checkpoints would need more WAL than " + why + " allows"}
}

// maxWALSize: as much as the measured WAL rate at the recommended pool size fills between two timed checkpoints and in
// the part of the next one that still needs the old WAL, with a fifth on top, so that the clock and not the volume
// starts checkpoints (manual, WAL Configuration). Bounded by a quarter of the free WAL disk and by the recovery
// time. Lowered only where the present settings break the recovery time. Without a run, and still at initdb's value: what
// is usual for the kind of work, as far as the same bounds allow and the free disk is known.
func maxWALSize(s *situation) verdict {
	present := size(s.next, "max_wal_size")
	limit, why := s.walCap()
	f := s.walRate()
	if v, over := s.recoverable(present); over {
		return v
	}
	timeout, ok := s.next.Duration("checkpoint_timeout")
	if f.rate() == 0 || !ok {
		return s.usualWAL(present, limit)
	}
	target := up(int64(s.between(f, timeout)))
	if target <= present {
		return verdict{keep: fmt.Sprintf("holds the WAL between timed checkpoints at the measured %s", rateText(f.rate()))}
	}
	v := verdict{method: advisor.Measured, inputs: []advisor.Input{s.walInput(f)}, source: "PostgreSQL manual, WAL Configuration",
		reason: fmt.Sprintf("%s of WAL fill the present size before checkpoint_timeout; this lets the clock start checkpoints", rateText(f.rate())),
		lift:   "a lower rate in production than at the measured pool size"}
	if f.ckptReq > 0 {
		v.confidence = "high"
		v.inputs = append(v.inputs, input("checkpoints started by WAL volume", "%d", f.ckptReq))
	}
	if target > limit {
		target = limit
		v.reason += "; held down to " + why
	}
	if target <= present {
		return verdict{keep: "the measured rate asks for more, but " + why + " allows no more"}
	}
	v.value = s.bytes("max_wal_size", target)
	return v
}

// recoverable lowers max_wal_size where a crash recovery could take longer than allowed with the present settings. It is the
// one setting that bounds the WAL to be replayed at any rate of writing.
func (s *situation) recoverable(present int64) (verdict, bool) {
	rate := budget.ReplayRate(s.facts)
	takes := budget.Recovery(s.next, s.facts, s.load.WALRate)
	target := down(int64(s.recovery.Seconds() * rate))
	if takes <= tolerated*s.recovery.Seconds() || target >= present || target < 2*size(s.next, "wal_segment_size") {
		return verdict{}, false
	}
	v := verdict{value: s.bytes("max_wal_size", target), source: "PostgreSQL manual, WAL Configuration",
		reason: fmt.Sprintf("with the present settings a crash recovery could take %.0f s of the %s allowed, at an assumed %s; the price is more checkpoints started by volume", takes, span(s.recovery), rateText(rate)),
		lift:   "a longer --recovery-time, or a measured recovery (pgfit verify)"}
	if f := s.walRate(); f.rate() > 0 {
		v.inputs = append(v.inputs, s.walInput(f))
	}
	return v, true
}

// tolerated is how far over its budget a recovery may be: sizes are rounded, and values within 5 % of each other are left alone.
const tolerated = 1.05

// slow is the finding that the settings, as advised, do not keep the recovery time.
func (s *situation) slow() []advisor.Finding {
	b := s.worst(s.next)
	if b.Recovery <= tolerated*b.RecoveryLimit || b.RecoveryLimit == 0 || s.untouchable(s.next["max_wal_size"], checkpoint) != "" {
		return nil
	}
	return []advisor.Finding{{Code: "recovery-budget",
		Text: fmt.Sprintf("a crash recovery can take %.0f s of the %s allowed, at an assumed %s of replay with max_wal_size %s", b.Recovery, span(s.recovery), rateText(budget.ReplayRate(s.facts)), roughly(size(s.next, "max_wal_size"))),
		Lift: "a longer --recovery-time, a smaller max_wal_size where it can be, a standby to fail over to, or smaller WAL segments (initdb --wal-segsize)"}}
}

// usualWAL is the rule without a run: 4 GB for web and mixed work, 8 GB for oltp, 16 GB for a data warehouse.
func (s *situation) usualWAL(present, limit int64) verdict {
	_, known := s.facts.WALStorage().Free.Get()
	switch {
	case s.in.Doc != nil:
		return verdict{keep: "no WAL rate was measured"}
	case !known:
		return verdict{keep: "neither the WAL rate nor the free space for WAL is known"}
	case !s.next["max_wal_size"].Fresh(s.major()):
		return verdict{keep: "somebody chose it, and no WAL rate was measured"}
	}
	target := min(map[string]int64{"web": 4, "mixed": 4, "oltp": 8, "dw": 16}[s.workload]*gB, limit)
	if target <= present {
		return verdict{keep: "free disk and recovery time allow no more"}
	}
	return verdict{value: s.bytes("max_wal_size", target), confidence: "low",
		reason: "initdb's value makes a writing server checkpoint by volume; usual for " + article(s.workload) + " workload, within free disk and recovery time",
		inputs: []advisor.Input{input("bound", "%s", roughly(limit))}, source: "le0pard/pgtune; PostgreSQL manual, WAL Configuration", lift: "a measured WAL rate"}
}

// minWALSize is what a quiet server keeps of old segments for the next burst, so that it need not create them again. A
// quarter of max_wal_size for a server that was measured to write; it has to lie below max_wal_size always.
func minWALSize(s *situation) verdict {
	present, most := size(s.next, "min_wal_size"), size(s.next, "max_wal_size")
	segment := max(size(s.next, "wal_segment_size"), 16*mB)
	target := max(down(most/4), 2*segment)
	f := s.walRate()
	switch {
	case present > most:
		return verdict{value: s.bytes("min_wal_size", min(target, most)), reason: "it may not exceed max_wal_size", confidence: "high",
			source: "PostgreSQL manual, min_wal_size", lift: "a larger max_wal_size"}
	case f.rate() < idleWAL:
		return verdict{keep: "no WAL rate was measured that would make new segments a cost"}
	case target <= present:
		return verdict{keep: "keeps enough old segments for a burst"}
	}
	return verdict{value: s.bytes("min_wal_size", target), confidence: "low", inputs: []advisor.Input{s.walInput(f)},
		reason: "after a quiet spell the next burst finds segments to reuse instead of creating them",
		source: "PostgreSQL manual, WAL Configuration", lift: "a load without quiet spells"}
}

func (s *situation) walInput(f figures) advisor.Input {
	return input("WAL written", "%s (%s)", rateText(f.rate()), f.where())
}

// fullRounds is the bgwriter's sign of being held back: it stopped a round at bgwriter_lru_maxpages, while backends had
// to write pages themselves.
func (s *situation) fullRounds() (figures, []advisor.Input, bool) {
	f, stops, ok := s.most(func(f figures) float64 {
		if f.backendWrites() < enoughBackend {
			return 0
		}
		return float64(f.maxWritten)
	})
	if !ok {
		return f, nil, false
	}
	return f, []advisor.Input{
		input("rounds stopped at bgwriter_lru_maxpages", "%.0f (%s)", stops, f.where()),
		input("pages written by backends", "%.0f %%", 100*f.backendWrites()),
	}, true
}

// bgwriterMaxPages: 500 where the background writer was measured to stop at its limit while backends wrote a tenth or
// more of the pages themselves (manual, Background Writer). Else it stays: up to 16 pages that a backend writes to
// extend a table count among its writes, so that share alone proves nothing.
func bgwriterMaxPages(s *situation) verdict {
	return s.bgwriter("bgwriter_lru_maxpages", "500", "it was stopped by its limit while backends had to write pages themselves")
}

// bgwriterMultiplier: 4 under the same evidence, so that the writer looks further ahead than the last round's need.
func bgwriterMultiplier(s *situation) verdict {
	return s.bgwriter("bgwriter_lru_multiplier", "4", "backends had to write pages themselves: the writer should clean further ahead")
}

func (s *situation) bgwriter(name, value, why string) verdict {
	_, inputs, ok := s.fullRounds()
	present, _ := s.next.Float(name)
	want, _ := strconv.ParseFloat(value, 64)
	switch {
	case !slices.ContainsFunc(s.runs, func(f figures) bool { return f.backendWrites() >= 0 }):
		return verdict{keep: "no written pages were counted"}
	case !ok:
		return verdict{keep: "the background writer was not held back in the run"}
	case present >= want:
		return verdict{keep: "raised already"}
	}
	return verdict{value: value, method: advisor.Measured, reason: why, inputs: inputs, source: "PostgreSQL manual, Background Writer",
		confidence: "low", lift: "a trial; more writes in all are the price"}
}
