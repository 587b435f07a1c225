package rules

import "sort"

// trial is what the plan probes of a run say about one value of one setting: the same statements, explained with the
// present settings and with this one setting changed.
type trial struct {
	value      string
	ratio      float64 // present time / time with the value: above 1 the value is faster
	statements int
	changed    int // statements that got another plan
}

// trials lists every value of the setting that the run tried by itself, best first.
func (s *situation) trials(name string) []trial {
	type base struct {
		seconds float64
		shape   string
	}
	present := map[string]base{}
	for _, p := range s.probes {
		if len(p.Set) == 0 {
			present[p.Statement] = base{p.Seconds, p.Shape}
		}
	}
	before, after, byValue := map[string]float64{}, map[string]float64{}, map[string]*trial{}
	for _, p := range s.probes {
		value, ok := p.Set[name]
		was, seen := present[p.Statement]
		if !ok || len(p.Set) != 1 || !seen || p.Seconds <= 0 {
			continue
		}
		t := byValue[value]
		if t == nil {
			t = &trial{value: value}
			byValue[value] = t
		}
		t.statements++
		before[value] += was.seconds
		after[value] += p.Seconds
		if was.shape != p.Shape {
			t.changed++
		}
	}
	out := make([]trial, 0, len(byValue))
	for value, t := range byValue {
		t.ratio = before[value] / after[value]
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

// worthIt is the smallest ratio of times that counts as an effect of a plan probe: below it lies the noise of one
// EXPLAIN ANALYZE beside another.
const worthIt = 1.1
