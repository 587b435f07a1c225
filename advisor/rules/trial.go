package rules

import (
	"cmp"
	"fmt"
	"sort"
	"strings"

	"pgfit/advisor"
	"pgfit/workload/rundoc"
)

// trial is what the plan probes of a run say about one value of one setting: the same statements, explained with the
// present settings and with this one setting changed.
type trial struct {
	value      string
	statements int     // explained with the value
	acting     int     // of them, those that get another plan or are carried out in another way
	timed      int     // of the acting ones, those that were run
	ratio      float64 // present time / time with the value, over the timed: above 1 the value is faster; 0 none was timed
	worst      float64 // the same for the statement that fares worst
	apart      bool    // the slowest runs with the value were faster than the fastest without, over the timed
}

// trials lists every value of the setting that the run tried by itself, best first.
func (s *situation) trials(name string) []trial {
	present := map[string]rundoc.PlanProbe{}
	for _, p := range s.probes {
		if len(p.Set) == 0 {
			present[p.Statement] = p
		}
	}
	once := map[string]bool{} // a statement was run a single time with the value
	before, after, byValue := map[string]float64{}, map[string]float64{}, map[string]*trial{}
	fastest, slowest := map[string]float64{}, map[string]float64{} // without and with the value
	for _, p := range s.probes {
		value, ok := p.Set[name]
		was, seen := present[p.Statement]
		if !ok || len(p.Set) != 1 || !seen {
			continue
		}
		t := byValue[value]
		if t == nil {
			t = &trial{value: value}
			byValue[value] = t
		}
		t.statements++
		if !p.Acts && was.Shape == p.Shape {
			continue
		}
		t.acting++
		if p.Seconds <= 0 || was.Seconds <= 0 {
			continue
		}
		t.timed++
		before[value] += was.Seconds
		after[value] += p.Seconds
		fastest[value] += cmp.Or(was.Fastest, was.Seconds)
		slowest[value] += cmp.Or(p.Slowest, p.Seconds)
		once[value] = once[value] || p.Fastest > 0 && p.Fastest == p.Slowest
		if one := was.Seconds / p.Seconds; t.timed == 1 || one < t.worst {
			t.worst = one
		}
	}
	out := make([]trial, 0, len(byValue))
	for value, t := range byValue {
		if t.timed > 0 {
			t.ratio = before[value] / after[value]
			t.apart = slowest[value] < fastest[value] && !once[value]
		}
		out = append(out, *t)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].ratio != out[j].ratio {
			return out[i].ratio > out[j].ratio
		}
		return out[i].value < out[j].value
	})
	return out
}

// worthIt is the smallest ratio of times that counts as an effect of a plan probe. tooSlow is what no single statement may fall to for the gain of others.
const (
	worthIt = 1.1
	tooSlow = 0.8
)

// byTrial turns the plan probes for one setting into a verdict: the fastest value where it changed how statements are
// carried out and won by more than noise, else a reason to keep the present one. Not decided when the run tried no value.
func (s *situation) byTrial(name string) (verdict, bool) {
	return judged(name, s.trials(name))
}

// judged is byTrial for these trials.
func judged(name string, all []trial) (verdict, bool) {
	if len(all) == 0 {
		return verdict{}, false
	}
	best := all[0]
	switch asked := count(best.statements, "statement"); {
	case best.acting == 0:
		return verdict{keep: fmt.Sprintf("without effect on this workload: %s explained with %s, and none is carried out in another way", asked, values(name, all))}, true
	case best.timed == 0:
		return verdict{keep: fmt.Sprintf("another value changes how %d of %s are carried out, and none of those was timed: it is not seen to be better (--scenario analytic and a longer budget time more)", best.acting, asked)}, true
	case best.ratio < worthIt:
		return verdict{keep: fmt.Sprintf("the run tried %s on %s: %.2f times as fast, no gain", best.value, count(best.timed, "statement"), best.ratio)}, true
	case !best.apart:
		return verdict{keep: fmt.Sprintf("the run tried %s on %s: %.2f times as fast, no more than runs of the same kind differ", best.value, count(best.timed, "statement"), best.ratio)}, true
	case best.worst < tooSlow:
		return verdict{keep: fmt.Sprintf("the run tried %s on %s: %.2f times as fast in all, but one of them took %.1f times as long; set it for those that gain", best.value, count(best.timed, "statement"), best.ratio, 1/best.worst)}, true
	}
	return verdict{value: best.value, method: advisor.Measured,
		reason: fmt.Sprintf("%s of the run ran %.2f times as fast with it", count(best.timed, "statement"), best.ratio),
		inputs: []advisor.Input{input("time ratio", "%.2f over %s, %.2f for the one that fares worst", best.ratio, count(best.timed, "statement"), best.worst),
			input("carried out in another way", "%d of %s", best.acting, count(best.statements, "statement"))},
		source: "EXPLAIN ANALYZE of this run with and without it", lift: "other statements; a trial of the whole patch"}, true
}

// inert tells whether the run tried other values and none changed how a statement is carried out.
func (s *situation) inert(name string) bool {
	all := s.trials(name)
	return len(all) > 0 && all[0].acting == 0
}

// values lists what was tried.
func values(name string, all []trial) string {
	var out []string
	for _, t := range all {
		out = append(out, t.value)
	}
	sort.Strings(out)
	return name + " = " + strings.Join(out, " or ")
}
