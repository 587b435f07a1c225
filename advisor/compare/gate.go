package compare

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// Gate is a change that must not have happened: Metric fell below, or rose above, Percent.
type Gate struct {
	Text    string  `json:"gate"` // as it was given
	Metric  string  `json:"metric"`
	Below   bool    `json:"below"`
	Percent float64 `json:"percent"`
}

// GateResult is what became of a gate. It failed only where an interval lies beyond the bound as a whole.
type GateResult struct {
	Gate
	Failed  bool     `json:"failed"`
	Reasons []string `json:"reasons,omitempty"` // one for each row that fails it
	Unsure  []string `json:"unsure,omitempty"`  // rows whose ratio lies beyond the bound, but whose interval does not
	Looked  int      `json:"rows"`              // how many rows could fail it
}

// ErrGate is wrapped by every refusal of ParseGate.
var ErrGate = errors.New("not a gate")

var gateForm = regexp.MustCompile(`^(tps|p99)([<>])([+-]?[0-9]+(?:\.[0-9]+)?)%$`)

// ParseGate reads tps<-5% or p99>+10%.
func ParseGate(text string) (Gate, error) {
	m := gateForm.FindStringSubmatch(text)
	if m == nil {
		return Gate{}, fmt.Errorf("%w: want tps or p99, < or >, and a percentage, such as tps<-5%% or p99>+10%%", ErrGate)
	}
	percent, err := strconv.ParseFloat(m[3], 64)
	if err != nil || percent <= -100 || percent > 1e6 {
		return Gate{}, fmt.Errorf("%w: the percentage must lie above -100", ErrGate)
	}
	return Gate{Text: text, Metric: m[1], Below: m[2] == "<", Percent: percent}, nil
}

// Apply holds gates against the comparison: each row at half of the level at which it is judged, being one-sided, in equal parts
// over the rows of its family, so that a row that fails a gate is one that is seen to differ.
func (c *Comparison) Apply(gates []Gate) {
	lead, rest := families(c.Rows)
	for _, g := range gates {
		r := GateResult{Gate: g}
		for _, f := range []struct {
			at    []int
			alpha float64
		}{{lead, leadAlpha}, {rest, restAlpha}} {
			mine := slices.DeleteFunc(slices.Clone(f.at), func(i int) bool { return c.Rows[i].Metric != g.Metric })
			for _, i := range mine {
				r.hold(c.Rows[i], f.alpha/2/float64(len(mine)))
			}
		}
		if g.Metric == TPS && g.Below {
			for _, l := range c.Lost {
				r.lost(l)
			}
		}
		c.Gates = append(c.Gates, r)
	}
}

// hold holds the gate against one row.
func (r *GateResult) hold(row Row, alpha float64) {
	limit := 1 + r.Percent/100
	edge := row.estimate.bound(alpha, r.Below)
	beyond := func(v float64) bool { return r.Below && v < limit || !r.Below && v > limit }
	r.Looked++
	where := row.Place()
	text := fmt.Sprintf("%s: %s %+.1f %%, at the cautious end %+.1f %%", where, row.Metric, 100*(row.Ratio-1), 100*(edge-1))
	switch {
	case beyond(edge):
		r.Failed, r.Reasons = true, append(r.Reasons, text)
	case beyond(row.Ratio):
		r.Unsure = append(r.Unsure, text)
	}
}

// lost holds the gate against a pool size at which B has visits without a transaction: where that is most of them, and none of
// A's, no interval is needed.
func (r *GateResult) lost(l Lost) {
	switch text := l.String(); {
	case l.A > 0 || l.B == 0:
	case 2*l.B > l.OfB:
		r.Looked++
		r.Failed, r.Reasons = true, append(r.Reasons, text)
	default:
		r.Looked++
		r.Unsure = append(r.Unsure, text)
	}
}

// String says what was not finished.
func (l Lost) String() string {
	return fmt.Sprintf("%s, pool size %d: nothing was finished in %d of %d visits of A and %d of %d of B", l.Scenario, l.PoolSize, l.A, l.OfA, l.B, l.OfB)
}

// Place says where a row belongs.
func (r Row) Place() string {
	where := r.Scenario
	if r.Rate > 0 {
		where += fmt.Sprintf(" at %g/s", r.Rate)
	}
	if r.PoolSize == 0 {
		return where + ", all pool sizes"
	}
	return fmt.Sprintf("%s, pool size %d", where, r.PoolSize)
}

// Failed tells whether a gate failed.
func (c *Comparison) Failed() bool {
	for _, g := range c.Gates {
		if g.Failed {
			return true
		}
	}
	return false
}
