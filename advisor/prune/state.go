package prune

import (
	"fmt"
	"math"
	"slices"

	"pgfit/advisor/verdict"
	"pgfit/workload/rundoc"
)

// Outcome is what taking something back has shown.
type Outcome string

// The outcomes.
const (
	Helps        Outcome = "helps"
	Harms        Outcome = "harms"
	Mixed        Outcome = "helps one scenario and harms another"
	Costs        Outcome = "costs"
	NoDifference Outcome = "no difference seen"
	Needed       Outcome = "needed"
	NotMeasured  Outcome = "not measured"
	Unclear      Outcome = "too noisy to tell"
	Depends      Outcome = "depends on checkpoints"
	NoStart      Outcome = "the server does not start without it"
)

// state is a verification, followed comparison by comparison.
type state struct {
	v            *rundoc.Verification
	rivals       []rundoc.Rival
	byName       map[string]rundoc.PatchSetting
	left         []string // of the patch, in its order
	done         map[[2]string]*rundoc.Comparison
	tried        map[string][]string // settings of a group that were taken back together
	groupOutcome map[string]Outcome
	oneOutcome   map[string]Outcome // of single settings
}

func follow(v *rundoc.Verification) *state {
	s := &state{v: v, rivals: rundoc.Against(v), byName: map[string]rundoc.PatchSetting{}, done: map[[2]string]*rundoc.Comparison{}, tried: map[string][]string{},
		groupOutcome: map[string]Outcome{}, oneOutcome: map[string]Outcome{}}
	for _, p := range v.Patch {
		s.byName[p.Name] = p
	}
	s.left = s.measurable()
	for i := range v.Comparisons {
		s.take(&v.Comparisons[i])
	}
	return s
}

// take draws the conclusion from one comparison.
func (s *state) take(c *rundoc.Comparison) {
	s.done[[2]string{c.Step, c.Name}] = c
	if c.Step == rundoc.StepPatch && c.Failed == "" && len(s.rivals) == 0 {
		if g, ok := s.oneGroup(); ok {
			s.take(turned(*c, g, s.left))
		}
		return
	}
	if c.Step != rundoc.StepGroup && c.Step != rundoc.StepSetting {
		return
	}
	o := outcome(s.v.Scenarios, *c)
	var stay []string
	if o == NoDifference {
		if stay, _ = s.blind(*c); s.blurred(*c) || s.mayCarry(*c) {
			o = Unclear
		} else if len(stay) == len(c.Removed) {
			o = NotMeasured
		}
	}
	if c.Name == logging && o == Harms {
		o = Costs
	}
	drop := c.Name != logging && (o == NoDifference || o == Harms)
	if c.Step == rundoc.StepGroup {
		s.tried[c.Name], s.groupOutcome[c.Name] = c.Removed, o
		drop = drop && (o == NoDifference || len(c.Removed) == 1) // the culprit among several is looked for first
	} else {
		s.oneOutcome[c.Name] = o
	}
	if !drop {
		return
	}
	if o == Harms && s.masked(*c) {
		s.again()
	}
	s.left = without(s.left, without(c.Removed, stay))
}

// spacing are the settings that say how far checkpoints lie apart.
var spacing = []string{"max_wal_size", "min_wal_size", "checkpoint_timeout", "checkpoint_completion_target"}

// TooCoarse is the change that a comparison has to be able to show under every scenario before seeing none is a reason to
// drop anything: a setting that brings so much must not go because the machine was busy with something else.
const TooCoarse = 0.10

// blurred tells whether visits differed so much among themselves that no difference seen means nothing.
func (s *state) blurred(c rundoc.Comparison) bool {
	return slices.ContainsFunc(s.v.Scenarios, func(sc string) bool {
		r := Ratios(c, sc, throughput)
		return r.Pairs > 0 && verdict.Detectable(r.SD, max(r.Pairs, verdict.MinPairs)) > TooCoarse
	})
}

// mayCarry tells whether a setting that showed no difference by itself may still be the one that brings what its group was
// seen to bring: its interval has to lie below that gain for it to go.
func (s *state) mayCarry(c rundoc.Comparison) bool {
	group := s.find(rundoc.StepGroup, s.byName[c.Name].Group)
	if c.Step != rundoc.StepSetting || group == nil {
		return false
	}
	whole, one := together(s.v.Scenarios, *group, throughput), together(s.v.Scenarios, c, throughput)
	return slices.ContainsFunc(s.v.Scenarios, func(sc string) bool {
		return whole[sc].Kind() == verdict.Worse && one[sc].Pairs > 0 && one[sc].Low <= whole[sc].Ratio()
	})
}

// blind names the settings whose effect the visits of a comparison could not show, and why: all when they were too noisy,
// one that may carry what its group brings, those that space checkpoints when hardly a visit was long enough for one, those
// of autovacuum when it did not run.
func (s *state) blind(c rundoc.Comparison) (names []string, why string) {
	if s.blurred(c) {
		return c.Removed, fmt.Sprintf("visits differed too much to show a change of %s; a quieter machine or a longer --budget tells", verdict.Percent(TooCoarse))
	}
	if s.mayCarry(c) {
		return c.Removed, "what its group brings may come from it; a longer --budget tells"
	}
	checkpoints := busy(c, func(v rundoc.TrialVisit) bool { return v.Checkpoints > 0 })
	vacuums := busy(c, func(v rundoc.TrialVisit) bool { return v.Autovacuums > 0 })
	for _, n := range c.Removed {
		switch {
		case slices.Contains(spacing, n) && !checkpoints:
			names, why = append(names, n), "no visit was long enough for the server to begin a checkpoint by itself; a longer --measure shows it"
		case s.byName[n].Group == "autovacuum" && !vacuums:
			names, why = append(names, n), "autovacuum hardly ran in the visits"
		}
	}
	return names, why
}

// busy tells whether something happened in at least half of the visits of either side.
func busy(c rundoc.Comparison, happened func(rundoc.TrialVisit) bool) bool {
	var all, with [2]int
	for _, v := range c.Visits {
		i := 0
		if v.Side == "B" {
			i = 1
		}
		all[i]++
		if happened(v) {
			with[i]++
		}
	}
	return all[0] > 0 && 2*with[0] >= all[0] || all[1] > 0 && 2*with[1] >= all[1]
}

// oneGroup is the group that the whole patch belongs to, if it does: then taking it back has been measured with the patch.
func (s *state) oneGroup() (string, bool) {
	if len(s.left) == 0 {
		return "", false
	}
	g := s.byName[s.left[0]].Group
	return g, slices.Contains(groups, g) && len(s.removable(g)) == len(s.left)
}

// turned is the comparison of a patch seen from the other side: with it against without it.
func turned(c rundoc.Comparison, group string, names []string) *rundoc.Comparison {
	out := rundoc.Comparison{Step: rundoc.StepGroup, Name: group, A: c.B, B: c.A, Removed: names}
	for _, v := range c.Visits {
		v.Side = map[string]string{"A": "B", "B": "A"}[v.Side]
		out.Visits = append(out.Visits, v)
	}
	return &out
}

// masks is the gain from dropping what harms above which earlier comparisons are not trusted any more: beside something
// that slow, what else the patch does could not show.
const masks = 1.25

func (s *state) masked(c rundoc.Comparison) bool {
	return slices.ContainsFunc(s.v.Scenarios, func(sc string) bool {
		r := Ratios(c, sc, throughput)
		return r.Kind() == verdict.Better && r.Ratio() > masks
	})
}

// again forgets the groups that seemed to make no difference: they are back in the patch, and to be measured once more.
func (s *state) again() {
	var back []string
	for g, o := range s.groupOutcome {
		if o == NoDifference {
			back = append(back, s.tried[g]...)
			delete(s.groupOutcome, g)
			delete(s.tried, g)
			delete(s.done, [2]string{rundoc.StepGroup, g})
		}
	}
	left := s.left
	s.left = slices.DeleteFunc(s.measurable(), func(n string) bool { return !slices.Contains(left, n) && !slices.Contains(back, n) })
}

// measurable are the settings of the patch that a trial can set.
func (s *state) measurable() []string {
	var names []string
	for _, p := range s.v.Patch {
		if p.Unverified == "" {
			names = append(names, p.Name)
		}
	}
	return names
}

// removable are the settings of a group that may be taken back.
func (s *state) removable(group string) []string {
	var names []string
	for _, n := range s.left {
		if p := s.byName[n]; p.Group == group && p.Needed == "" && (group != logging || observes(n)) {
			names = append(names, n)
		}
	}
	return names
}

func (s *state) has(step, name string) bool { return s.find(step, name) != nil }

func (s *state) failed(step string) bool {
	c := s.find(step, "")
	return c != nil && c.Failed != ""
}

// find is the last comparison of that kind that still counts.
func (s *state) find(step, name string) *rundoc.Comparison { return s.done[[2]string{step, name}] }

// keptOf tells whether another setting of the group than name was measured and stayed.
func (s *state) keptOf(group, name string) bool {
	return slices.ContainsFunc(s.tried[group], func(n string) bool {
		return n != name && s.oneOutcome[n] != "" && slices.Contains(s.left, n)
	})
}

// outcome judges a comparison of the patch with and without something. A has it. A visit of seconds is charged the whole
// checkpoint after it, which is more than its share in service, where a page that is written often is written out once: at 6 GB of
// shared_buffers that hid a gain of 5 % under reads and made a loss of 3 % under writes. Without it nothing is charged for what is
// put off. The truth lies between, so that a difference is one where both show it; where one does, nothing is dropped.
func outcome(scenarios []string, c rundoc.Comparison) Outcome {
	if c.Failed != "" {
		return NoStart
	}
	charged, bare := together(scenarios, c, throughput), together(scenarios, c, uncharged)
	is := func(k verdict.Kind, all map[string]verdict.Comparison, sc string) bool { return all[sc].Kind() == k }
	var helps, harms, mayHelp, mayHarm, judged bool
	for sc := range charged {
		with, without := is(verdict.Worse, charged, sc), is(verdict.Worse, bare, sc)
		helps, mayHelp = helps || with && without, mayHelp || with || without
		with, without = is(verdict.Better, charged, sc), is(verdict.Better, bare, sc)
		harms, mayHarm = harms || with && without, mayHarm || with || without
		judged = judged || !is(verdict.TooFew, charged, sc)
	}
	switch {
	case !judged:
		return NotMeasured
	case helps && harms, harms && mayHelp:
		return Mixed
	case helps:
		return Helps
	case harms:
		return Harms
	case mayHelp || mayHarm:
		return Depends
	}
	return NoDifference
}

// together compares a figure under every scenario, judged together, since a difference in any of them decides.
func together(scenarios []string, c rundoc.Comparison, of measure) map[string]verdict.Comparison {
	all := map[string]verdict.Comparison{}
	for _, sc := range scenarios {
		if r := Ratios(c, sc, of); r.Pairs > 0 {
			all[sc] = r
		}
	}
	for sc, r := range all {
		r.Among = len(all)
		all[sc] = r
	}
	return all
}

// measure is a figure of a visit; not positive is unknown.
type measure func(rundoc.TrialVisit) float64

func throughput(v rundoc.TrialVisit) float64 { return v.TPS }
func tail(v rundoc.TrialVisit) float64       { return v.P99 }

// uncharged is the throughput of a visit without the checkpoint after it.
func uncharged(v rundoc.TrialVisit) float64 {
	if v.Seconds <= 0 {
		return v.TPS
	}
	return v.TPS * (v.Seconds + v.CheckpointSeconds) / v.Seconds
}

func cpuEach(v rundoc.TrialVisit) float64 { return v.CPUSeconds / float64(max(1, v.Transactions)) }
func walEach(v rundoc.TrialVisit) float64 {
	return float64(v.WALBytes) / float64(max(1, v.Transactions))
}

// Ratios compares B with A in the complete pairs of one scenario.
func Ratios(c rundoc.Comparison, scenario string, of measure) verdict.Comparison {
	return verdict.Compare(differences(c, scenario, of))
}

// differences are ln(B/A) of the complete pairs of one scenario.
func differences(c rundoc.Comparison, scenario string, of measure) []float64 {
	type pair struct{ a, b float64 }
	pairs := map[int]pair{}
	last := 0
	for _, v := range c.Visits {
		if v.Scenario != scenario {
			continue
		}
		p := pairs[v.Pair]
		if v.Side == "A" {
			p.a = of(v)
		} else {
			p.b = of(v)
		}
		pairs[v.Pair], last = p, max(last, v.Pair)
	}
	var d []float64
	for i := 1; i <= last; i++ {
		if p := pairs[i]; p.a > 0 && p.b > 0 {
			d = append(d, math.Log(p.b/p.a))
		}
	}
	return d
}

// means are the geometric means of a figure on both sides; 0 where it is unknown.
func means(c rundoc.Comparison, scenario string, of measure) (a, b float64) {
	var sum, n [2]float64
	for _, v := range c.Visits {
		if x := of(v); v.Scenario == scenario && x > 0 {
			i := 0
			if v.Side == "B" {
				i = 1
			}
			sum[i] += math.Log(x)
			n[i]++
		}
	}
	if n[0] > 0 {
		a = math.Exp(sum[0] / n[0])
	}
	if n[1] > 0 {
		b = math.Exp(sum[1] / n[1])
	}
	return a, b
}

// Throughput compares the throughput of B with that of A, judged together with that under the other scenarios where the
// comparison decides about a piece of the patch.
func Throughput(c rundoc.Comparison, scenario string) verdict.Comparison {
	if c.Step != rundoc.StepGroup && c.Step != rundoc.StepSetting {
		return Ratios(c, scenario, throughput)
	}
	var all []string
	for _, v := range c.Visits {
		if !slices.Contains(all, v.Scenario) {
			all = append(all, v.Scenario)
		}
	}
	return together(all, c, throughput)[scenario]
}
