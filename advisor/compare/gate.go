package compare

import (
	"errors"
	"fmt"
	"regexp"
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

// Apply holds gates against the comparison. Half of the 5 % that a gate may fail by chance goes to the rows of whole
// scenarios, half to those of single pool sizes, in equal parts.
func (c *Comparison) Apply(gates []Gate) {
	for _, g := range gates {
		r := GateResult{Gate: g}
		whole, single := 0, 0
		for _, row := range c.Rows {
			switch {
			case row.Metric != g.Metric || !row.known:
			case row.PoolSize == 0:
				whole++
			default:
				single++
			}
		}
		for _, row := range c.Rows {
			if row.Metric != g.Metric || !row.known {
				continue
			}
			alpha := .05
			switch {
			case whole > 0 && single > 0 && row.PoolSize == 0:
				alpha = .025 / float64(whole)
			case whole > 0 && single > 0:
				alpha = .025 / float64(single)
			default:
				alpha /= float64(whole + single)
			}
			r.hold(row, alpha)
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
