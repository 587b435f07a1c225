// Package prune decides which settings of a patch stay, from comparisons in pairs: it says what to measure next, and
// judges what was measured. A group of settings is taken back from what is left of the patch; when nothing is lost the
// group is dropped, when something is gained it harms and is dropped by name, and when something is lost its settings are
// taken back one by one. It is pure: the same verification gives the same answer. It does not measure, and it refuses to
// drop what a budget or safety needs.
package prune

import (
	"slices"

	"pgfit/advisor/verdict"
	"pgfit/workload/rundoc"
)

// groups in the order in which they are taken back, so that a short budget measures what it can: first what observing costs,
// where the patch is slower or p99 rose, since that explains it, and last where not (order); then the groups that searches found
// to carry most; those whose effect hardly shows in short visits last. Settings of any other group stay unmeasured.
var groups = []string{logging, "memory", "planner", "parallel", "I/O", writing, "autovacuum", "other"}

// writing is the group of settings about WAL and checkpoints.
const writing = "WAL and checkpoint"

// logging is the group of what is there to be able to see. It is measured where it does something for every statement, so
// that its cost has a number, and stays whatever that is.
const logging = "logging"

// unmeasured are groups that a comparison of speed decides nothing about, and why.
var unmeasured = map[string]string{
	"connections": "it follows from the pool, not from speed",
	logging:       "it is there to be able to see, not for speed",
	"security":    "it is there for safety, not for speed",
}

// GroupOf is the group of a family of settings, as advisor.Proposal has it.
func GroupOf(family string) string {
	switch family {
	case "wal", "checkpoint":
		return writing
	case "io":
		return "I/O"
	}
	return family
}

// Next is the comparison to make after those that a verification has; false when all are made, or when there is no time for
// those that are not. fits tells whether there is time for comparisons, one after the other. While there is, something is
// taken back, and what is left of the patch is compared with the present settings last; what does not fit beside that gives
// way to what does, and only while nothing has been dropped may the last comparison be one that takes something back.
func Next(v *rundoc.Verification, fits func(...rundoc.Comparison) bool) (rundoc.Comparison, bool) {
	s := follow(v)
	switch {
	case !s.has(rundoc.StepNoise, ""):
		return s.compare(rundoc.StepNoise, "", nil, nil), true
	case len(s.rivals) > 0:
		c, ok := s.nextRival()
		return c, ok && fits(c)
	case !s.has(rundoc.StepPatch, ""):
		c := s.compare(rundoc.StepPatch, "", nil, s.left)
		return c, fits(c)
	case s.failed(rundoc.StepPatch):
		return rundoc.Comparison{}, false
	}
	if !s.has(rundoc.StepPruned, "") {
		end := s.compare(rundoc.StepPruned, "", nil, s.left)
		if c, ok := s.takeBack(func(c rundoc.Comparison) bool { return fits(c, end) }); ok {
			return c, true
		}
		if c, ok := s.finish(); ok {
			return c, fits(c)
		}
		if c, ok := s.takeBack(func(c rundoc.Comparison) bool { return fits(c) }); ok {
			return c, true
		}
	}
	c, ok := s.parts()
	return c, ok && fits(c)
}

// Unfinished tells whether comparisons were left out: with a rival, or of the patch as a whole, of a piece of it, of what is left.
func Unfinished(v *rundoc.Verification) bool {
	s, always := follow(v), func(rundoc.Comparison) bool { return true }
	if len(s.rivals) > 0 {
		_, more := s.nextRival()
		return more
	}
	_, pieces := s.takeBack(always)
	_, rest := s.finish()
	return !s.failed(rundoc.StepPatch) && (!s.has(rundoc.StepPatch, "") || pieces || rest)
}

// nextRival compares the patch with each rival in turn. Seeing every statement and not seeing it are no answers to the same
// question, so that what is there to see is left out. Of many verdicts some are chance, so a difference is looked at once more,
// those to the patch's disadvantage first.
func (s *state) nextRival() (rundoc.Comparison, bool) {
	against := func(step string, r rundoc.Rival) (rundoc.Comparison, bool) {
		c := s.compare(step, r.Name, nil, without(s.left, s.notCompared(r)))
		c.A = r.Values
		return c, true
	}
	for _, r := range s.rivals {
		if s.rival(r) == nil {
			return against(rundoc.StepPatch, r)
		}
	}
	for _, kind := range []verdict.Kind{verdict.Worse, verdict.Better} {
		for _, r := range s.rivals {
			if !s.has(rundoc.StepAgain, r.Name) && slices.ContainsFunc(s.claims(r), func(g Gain) bool { return g.Kind == kind }) {
				return against(rundoc.StepAgain, r)
			}
		}
	}
	return rundoc.Comparison{}, false
}

// claims are the differences seen in the first comparison with a rival.
func (s *state) claims(r rundoc.Rival) []Gain {
	c := s.rival(r)
	if c == nil || c.Failed != "" {
		return nil
	}
	return slices.DeleteFunc(s.gainsOf(c), func(g Gain) bool { return g.Kind != verdict.Worse && g.Kind != verdict.Better })
}

// notCompared are the settings that the patch goes without against a rival: what observes every statement and the rival lacks.
func (s *state) notCompared(r rundoc.Rival) []string {
	return slices.DeleteFunc(slices.Clone(s.left), func(n string) bool {
		_, theirs := r.Values[n]
		return theirs || s.byName[n].Group != logging || !observes(n)
	})
}

// rival is the comparison with one rival; nil when it was not made. Documents with a single one did not name it.
func (s *state) rival(r rundoc.Rival) *rundoc.Comparison {
	if s.v.Against != nil {
		return s.find(rundoc.StepPatch, "")
	}
	return s.find(rundoc.StepPatch, r.Name)
}

// takeBack is the next group or single setting to be left out for which there is time. What harms is looked into at once, since
// beside it the rest may not show; which settings of a group it is that help comes after all groups.
func (s *state) takeBack(fits func(rundoc.Comparison) bool) (rundoc.Comparison, bool) {
	for _, helping := range []bool{false, true} {
		for _, g := range s.order() {
			removable := s.removable(g)
			if !s.has(rundoc.StepGroup, g) {
				if c := s.without(rundoc.StepGroup, g, removable); len(removable) > 0 && fits(c) {
					return c, true
				}
				continue
			}
			for _, name := range s.singles(g) {
				if c := s.without(rundoc.StepSetting, name, []string{name}); helping == (s.groupOutcome[g] == Helps) && fits(c) {
					return c, true
				}
			}
		}
	}
	return rundoc.Comparison{}, false
}

// order is that of groups, for this patch: what may explain that it is slower, or that p99 rose where it is not, comes first.
func (s *state) order() []string {
	var first []string
	for _, g := range s.gains(rundoc.StepPatch) {
		switch {
		case slices.Contains(s.v.Analytic, g.Scenario): // these groups are not measured there
		case g.Kind == verdict.Worse && len(first) == 0:
			first = []string{logging}
		case g.Kind != verdict.Worse && g.P99Kind == verdict.Worse:
			first = []string{logging, writing, "autovacuum"}
		}
	}
	rest := without(groups, first)
	if len(first) == 0 {
		rest = append(without(rest, []string{logging}), logging)
	}
	return append(first, rest...)
}

// singles are the settings of a measured group that are to be taken back one by one: those of a group that matters or
// harms, when it has several. The last one left of a group that matters stays on the group's evidence.
func (s *state) singles(g string) []string {
	all := s.tried[g]
	found := s.groupOutcome[g]
	if g == logging || len(all) < 2 || found != Helps && found != Harms && found != Mixed {
		return nil
	}
	var rest []string
	for _, name := range all {
		if !s.has(rundoc.StepSetting, name) {
			rest = append(rest, name)
		}
	}
	if found != Harms && len(rest) == 1 && !s.keptOf(g, rest[0]) {
		return nil
	}
	return rest
}

// finish compares what is left with the present settings, once something was dropped.
func (s *state) finish() (rundoc.Comparison, bool) {
	settled := s.settled()
	if s.has(rundoc.StepPruned, "") || len(settled) == len(s.measurable()) || len(settled) == 0 {
		return rundoc.Comparison{}, false
	}
	return s.compare(rundoc.StepPruned, "", nil, settled), true
}

// parts measures apart what a reload and what a restart brings, where the patch has both.
func (s *state) parts() (rundoc.Comparison, bool) {
	left := s.final()
	if s.rejected() {
		return rundoc.Comparison{}, false
	}
	var reload []string
	for _, n := range left {
		if s.byName[n].Apply != "restart" {
			reload = append(reload, n)
		}
	}
	if len(reload) == 0 || len(reload) == len(left) {
		return rundoc.Comparison{}, false
	}
	if !s.has(rundoc.StepReload, "") {
		return s.compare(rundoc.StepReload, "", nil, reload), true
	}
	if !s.has(rundoc.StepRestart, "") {
		return s.compare(rundoc.StepRestart, "", reload, left), true
	}
	return rundoc.Comparison{}, false
}

func (s *state) compare(step, name string, a, b []string) rundoc.Comparison {
	return rundoc.Comparison{Step: step, Name: name, A: s.values(a), B: s.values(b), Visits: []rundoc.TrialVisit{}}
}

func (s *state) without(step, name string, removed []string) rundoc.Comparison {
	c := s.compare(step, name, s.left, without(s.left, removed))
	c.Removed = removed
	return c
}

func without(all, removed []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(n string) bool { return slices.Contains(removed, n) })
}

func (s *state) values(names []string) map[string]string {
	m := map[string]string{}
	for _, n := range names {
		m[n] = s.byName[n].Value
	}
	return m
}

// Measurable tells whether there is anything in the patch that a trial can set.
func Measurable(v *rundoc.Verification) bool { return len(follow(v).measurable()) > 0 }

// Steps is how many comparisons a verification would make, beside the noise, if no group had to be looked into: the whole
// patch, each of its groups, and what is left; or one with each rival.
func Steps(v *rundoc.Verification) int {
	s, n := follow(v), 2
	if len(s.rivals) > 0 {
		return len(s.rivals) + (len(s.rivals)+2)/4 // for what is looked at again
	}
	for _, g := range groups {
		if len(s.removable(g)) > 0 {
			n++
		}
	}
	return n
}
