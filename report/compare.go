package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"pgfit/advisor/compare"
)

// Comparison writes two runs held against each other, as text, markdown or json.
func Comparison(w io.Writer, c compare.Comparison, format string) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(c)
	}
	p := &page{w: w, markdown: format == "markdown"}
	p.differs(c.Differs)
	p.title("B against A")
	p.ratios(c.Rows)
	p.line("")
	for _, r := range c.Rows {
		if r.PoolSize == 0 || !hasWhole(c.Rows, r) {
			p.item(Words(r))
		}
	}
	for _, l := range c.Lost {
		p.item(l.String() + ": no figure counts them")
	}
	p.line("")
	how := "Rounds are taken as independent (the runs differ in seed, pool sizes or rounds)"
	if c.Paired {
		how = "Rounds are paired (same seed, pool sizes and rounds)"
	}
	p.para("%s; intervals hold 95 %%, p-values are adjusted for the number of comparisons. Whatever else changed between the two times is in these figures too.", how)
	p.gates(c.Gates)
	p.findings(c.Findings)
	return p.err
}

// hasWhole tells whether a row's scenario has a row for all pool sizes.
func hasWhole(rows []compare.Row, r compare.Row) bool {
	for _, x := range rows {
		if x.PoolSize == 0 && x.Scenario == r.Scenario && x.Metric == r.Metric && x.Rate == r.Rate {
			return true
		}
	}
	return false
}

func (p *page) differs(d []compare.Difference) {
	if len(d) == 0 {
		p.line("The two runs say the same about server, host, settings and load.")
		return
	}
	p.title("what differs beside the figures")
	t := Table{Header: []string{"what ", "A ", "B "}}
	for _, x := range d {
		t.Add(x.What, x.A, x.B)
	}
	p.table(t)
}

func (p *page) ratios(rows []compare.Row) {
	t := Table{Header: []string{"scenario ", "pool", "figure ", "A", "B", "change", "95 % from", "to", "p", "rounds", "verdict "}}
	for _, r := range rows {
		pool, scenario := strconv.Itoa(r.PoolSize), r.Scenario
		if r.PoolSize == 0 {
			pool = "all"
		}
		if r.Rate > 0 {
			scenario += fmt.Sprintf(" at %g/s", r.Rate)
		}
		rounds := fmt.Sprintf("%d, %d", r.RoundsA, r.RoundsB)
		if r.Verdict == compare.TooFew {
			t.Add(scenario, pool, figureName(r), amount(r, r.A), amount(r, r.B), "-", "-", "-", "-", rounds, string(r.Verdict))
			continue
		}
		t.Add(scenario, pool, figureName(r), amount(r, r.A), amount(r, r.B), change(r.Ratio), change(r.Low), change(r.High), pValue(r.Adjusted), rounds, string(r.Verdict))
	}
	p.table(t)
}

func figureName(r compare.Row) string {
	switch {
	case r.Metric == compare.TPS:
		return "TPS"
	case r.Rate > 0:
		return "p99 ms"
	}
	return "service p99 ms"
}

func amount(r compare.Row, v float64) string {
	switch {
	case v == 0:
		return "too few"
	case r.Metric == compare.TPS:
		return Rate(v)
	}
	return Millis(v)
}

func change(ratio float64) string {
	if ratio > 100 {
		return fmt.Sprintf("x %.0f", ratio)
	}
	return fmt.Sprintf("%+.1f %%", 100*(ratio-1))
}

func pValue(p float64) string {
	if p < .0005 {
		return "< 0.001"
	}
	return strconv.FormatFloat(p, 'f', 3, 64)
}

// Words is one row as a sentence.
func Words(r compare.Row) string {
	what := map[string]string{compare.TPS: "throughput", compare.P99: "p99"}[r.Metric]
	switch r.Verdict {
	case compare.TooFew:
		return fmt.Sprintf("%s: too few rounds to say anything about the %s", r.Place(), what)
	case compare.None:
		return fmt.Sprintf("%s: no difference in %s seen; a change of %.3g %% or more would have been", r.Place(), what, 100*r.Detectable)
	}
	more := "higher"
	low, high := r.Low-1, r.High-1
	if r.Ratio < 1 {
		more, low, high = "lower", 1-r.High, 1-r.Low
	}
	size := r.Ratio - 1
	if r.Ratio < 1 {
		size = 1 - r.Ratio
	}
	return fmt.Sprintf("%s: %s %.3g %% %s (%.3g to %.3g %%), p %s", r.Place(), what, 100*size, more, 100*low, 100*high, pValue(r.Adjusted))
}

func (p *page) gates(gates []compare.GateResult) {
	if len(gates) == 0 {
		return
	}
	p.title("gates")
	for _, g := range gates {
		switch {
		case g.Looked == 0:
			p.item(g.Text + ": nothing to hold it against")
		case g.Failed:
			p.item(append([]string{g.Text + ": failed"}, g.Reasons...)...)
		default:
			p.item(g.Text + ": passed")
		}
		for _, u := range g.Unsure {
			p.item(g.Text + ": not sure enough to fail: " + u)
		}
	}
}

// JUnit writes a comparison for CI: every row is a case that passes, or is skipped where it cannot be told; a gate is a case
// that fails where the gate failed.
func JUnit(w io.Writer, c compare.Comparison) error {
	s := junitSuite{Name: "pgfit compare"}
	for _, r := range c.Rows {
		k := junitCase{Class: "pgfit." + r.Scenario, Name: r.Place() + ", " + r.Metric, Out: Words(r)}
		if r.Verdict == compare.TooFew {
			k.Skipped = &junitFailure{Message: string(r.Verdict)}
			s.Skipped++
		}
		s.Cases = append(s.Cases, k)
	}
	for _, g := range c.Gates {
		k := junitCase{Class: "pgfit.gate", Name: g.Text}
		switch {
		case g.Failed:
			k.Failure = &junitFailure{Message: g.Text + ": " + g.Reasons[0], Text: lines(g.Reasons)}
			s.Failures++
		case g.Looked == 0:
			k.Skipped = &junitFailure{Message: "nothing to hold it against"}
			s.Skipped++
		}
		s.Cases = append(s.Cases, k)
	}
	return writeJUnit(w, s)
}

func lines(v []string) string {
	out := ""
	for _, s := range v {
		out += s + "\n"
	}
	return out
}
