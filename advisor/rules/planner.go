package rules

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"pgfit/advisor"
	"pgfit/probe"
)

// randomPageCost: seq_page_cost x clamp(ρ (1-h), 1.1, 4), the manual's own reading of its default (a random page costs
// 40 times a sequential one and nine of ten are cached: 4). ρ is the measured ratio of the time for a random and a
// sequential page, h the share of page requests that did not reach the disk in the run, 0.9 where there was no run
// (0.75 with more data than memory). A trial of the run on plans decides before any formula. Without a
// measurement only a device that identifies itself as flash is believed, with low confidence; the kernel's rotational
// flag says nothing in a guest and is never used. A plan of the user's that gets worse would change its mind.
func randomPageCost(s *situation) verdict {
	const name = "random_page_cost"
	v := s.costByDisk()
	if tried, decided := s.byTrial(name); decided {
		if s.inert(name) {
			tried.keep += s.elsewhere(name, v)
		}
		return tried
	}
	return v
}

// elsewhere is what to do about a setting that has no effect on the statements of the run, where the disk speaks for another
// value: the user's own statements may be of another kind. "" where there is nothing to say.
func (s *situation) elsewhere(name string, disk verdict) string {
	if disk.value == "" || disk.value == s.next[name].Value {
		return ""
	}
	return fmt.Sprintf("; for statements of another kind the disk speaks for %s: explain yours after SET %s = %s, or measure them (pgfit bench -f)", disk.value, name, disk.value)
}

// costByDisk is random_page_cost by the formula alone.
func (s *situation) costByDisk() verdict {
	ratio, how, measured := s.pageRatio()
	if ratio == 0 {
		return verdict{keep: "the disk was not measured, and its kind alone does not say what a random page costs"}
	}
	h, where := s.cached()
	seq, ok := s.next.Float("seq_page_cost")
	if !ok || seq <= 0 {
		seq = 1
	}
	cost := seq * round1(min(max(ratio*(1-h), 1.1), 4))
	v := verdict{value: strconv.FormatFloat(cost, 'g', 6, 64), confidence: "low",
		reason: fmt.Sprintf("a random page takes %.3g times a sequential one and %.1f %% of the requests do not reach the disk", ratio, 100*h),
		inputs: []advisor.Input{input("random to sequential page", "%.3g (%s)", ratio, how), input("requests not reaching the disk", "%.2f %% (%s)", 100*h, where)},
		source: "PostgreSQL manual, Planner Cost Constants, random_page_cost", lift: "comparing the plans of your own statements with both values"}
	if measured {
		v.method = advisor.Measured
		if b := s.facts.DataStorage().Bench; !b.Noisy && len(s.runs) > 0 {
			v.confidence = "medium"
		}
	}
	return v
}

// pageRatio is ρ, with where it comes from; 0 when nothing can be said. Servers up to 16 read sequentially in 8 kB
// requests, from 17 on in combined ones (io_combine_limit, 128 kB by default), so each gets the rate of its own kind,
// through the kernel's cache as the server reads.
func (s *situation) pageRatio() (ratio float64, how string, measured bool) {
	st := s.facts.DataStorage()
	if b := st.Bench; b != nil && len(b.Random) > 0 {
		rate, kind := b.SeqReadRate, "large reads"
		switch {
		case s.major() < 17 && b.SeqRead8kRate > 0:
			rate, kind = b.SeqRead8kRate, "8 kB reads"
		case s.major() >= 17 && b.SeqRead128kRate > 0:
			rate, kind = b.SeqRead128kRate, "128 kB reads"
		}
		one := slices.MinFunc(b.Random, func(x, y probe.DepthRate) int { return x.Depth - y.Depth })
		if rate > 0 && one.Mean > 0 {
			return one.Mean / (8192 / rate), fmt.Sprintf("measured: %.0f µs and %.0f MB/s in %s", 1e6*one.Mean, rate/1e6, kind), true
		}
	}
	_, guest := s.facts.Host.Hypervisor.Get()
	if st.Class == probe.NVMe || st.Class == probe.SSD && !guest {
		if s.major() < 17 {
			return 6, "typical of local flash, not measured here", false
		}
		return 17, "typical of local flash, not measured here", false
	}
	return 0, "", false
}

// cached is h. blks_hit alone misses the kernel's page cache, so device reads are what counts.
func (s *situation) cached() (h float64, where string) {
	h = 2
	for _, f := range s.runs {
		if f.diskReads < 0 || f.hit < 0 || f.read < 0 || f.hit+f.read == 0 {
			continue
		}
		if v := min(max(1-f.diskReads/float64(f.hit+f.read), 0), 1); v < h {
			h, where = v, f.where()
		}
	}
	switch {
	case where != "":
		return h, where
	case s.memory > 0 && s.data > s.memory:
		return 0.75, "assumed: more data than memory"
	}
	return 0.9, "assumed, as the manual does"
}

// round1 keeps one decimal below 2 and halves above.
func round1(v float64) float64 {
	if v < 2 {
		return math.Round(v*10) / 10
	}
	return math.Round(v*2) / 2
}

// statisticsTarget: 100 is a sound default; more makes every ANALYZE and every plan of every table dearer to help the few
// skewed columns, which ALTER TABLE ... SET STATISTICS does better (manual, default_statistics_target). Only a
// data warehouse that the user named gets 500, as other advisors do for it, with low confidence.
func statisticsTarget(s *situation) verdict {
	n, _ := s.next.Int("default_statistics_target")
	if s.workload == "dw" && s.named && n < 500 {
		return verdict{value: "500", confidence: "low", reason: "a data warehouse plans seldom and suffers from wrong estimates; run ANALYZE afterwards",
			source: "PostgreSQL manual, default_statistics_target; le0pard/pgtune uses the same for dw", lift: "EXPLAIN ANALYZE showing estimates near the rows found"}
	}
	return verdict{keep: "no estimate was measured to be wrong; skewed columns are better served by ALTER TABLE ... SET STATISTICS"}
}

// jitShare is the part of the run time of the run's statements in compilation from which jit is a loss.
const jitShare = 0.2

// jit compiles expressions of statements that the planner thinks expensive. Compilation that eats a fifth of the run time
// of the measured statements, or a trial, switches it off; so does a workload that the user named web or oltp,
// whose statements are too short to win it back (manual, When to JIT?). A build without LLVM has nothing to switch.
func jit(s *situation) verdict {
	if s.next.Text("jit") != "on" {
		return verdict{keep: "off already"}
	}
	if v, decided := s.byTrial("jit"); decided {
		return v
	}
	if ok, known := s.facts.Server.JITAvailable.Get(); known && !ok {
		return verdict{keep: "this build has no JIT compiler"}
	}
	var spent, total float64
	for _, p := range s.probes {
		if len(p.Set) == 0 {
			spent, total = spent+p.JITSeconds, total+p.Seconds
		}
	}
	v := verdict{value: "off", source: "PostgreSQL manual, Just-in-Time Compilation", lift: "long analytic statements that run faster with it"}
	switch {
	case total > 0 && spent/total >= jitShare:
		v.method, v.confidence = advisor.Measured, "medium"
		v.reason = fmt.Sprintf("compilation took %.0f %% of the time of the run's statements", 100*spent/total)
		v.inputs = []advisor.Input{input("compilation", "%.3f s of %.3f s", spent, total)}
	case s.named && (s.workload == "web" || s.workload == "oltp"):
		v.reason = "statements of " + article(s.workload) + " workload are too short to win back their compilation"
	default:
		return verdict{keep: "no statement of the run lost time to compilation, and the workload does not speak against it"}
	}
	return v
}
