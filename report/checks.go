package report

import (
	"fmt"
	"math"
	"strconv"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
	"pgfit/advisor/plan"
)

// precision says what the sweep reached, beside what the plan promised.
func (p *page) precision(c capacity.Capacity) {
	x := c.Precision
	if x.Throughput == 0 {
		return
	}
	text := fmt.Sprintf("Reached: its throughput is known within ±%s", Percent(x.Throughput))
	if x.Promised > 0 {
		text += fmt.Sprintf(" (promised ±%s for visits that differ by 5 %%)", Percent(x.Promised))
	}
	if x.Ratio > 0 {
		text += fmt.Sprintf(", its ratio to the best within ±%s", Percent(x.Ratio))
	}
	p.para("%s.", text)
}

// checks prints phase C: predicted and observed side by side, with the error of the prediction.
func (p *page) checks(all []plan.Check) {
	if len(all) == 0 {
		return
	}
	p.title("pools at the demanded rate: predicted from the sweep, observed in an open loop")
	t := Table{Header: []string{"scenario ", "rate /s", "pool", "used", "figure ", "predicted ms", "observed ms", "95 % from", "to", "error of prediction", "visits", "unserved"}}
	for _, c := range all {
		for i, f := range []struct {
			name string
			c    plan.Compared
		}{{"mean wait", c.Wait}, {"of the typical visit", c.Typical}, {"p50", c.P50}, {"p99", c.P99}} {
			head := []string{c.Scenario, Rate(c.Rate), strconv.Itoa(c.PoolSize), Percent(c.Used)}
			tail := []string{strconv.Itoa(c.Visits), strconv.FormatInt(c.Unserved, 10)}
			if i > 0 {
				head, tail = []string{"", "", "", ""}, []string{"", ""}
			}
			row := append(head, f.name, predicted(f.c), millis3(f.c.Observed), millis3(f.c.Low), millis3(f.c.High), predictionError(f.c))
			if f.name == "p99" && f.c.Observed == 0 {
				row = append(head, f.name, predicted(f.c), "too few", "-", "-", "-")
			}
			t.Add(append(row, tail...)...)
		}
	}
	p.table(t)
	p.line("")
	late, unsteady := 0.0, 0.0
	for _, c := range all {
		late, unsteady = math.Max(late, c.LagP99), math.Max(unsteady, c.Unsteady)
	}
	if unsteady > 0 {
		p.para("Of the predicted mean waits up to %s ms come of the server's own unsteadiness: stretches slower than the demand, as visits of a closed loop met them. How many a check meets is chance.", millis3(unsteady))
	}
	p.para("The typical visit is the median one: the mean over all visits hangs on the few in which the server stood still, and its interval says how well it is known.")
	for i, c := range all {
		if c.Speed != 1 && (i == 0 || all[i-1].Scenario != c.Scenario) {
			p.para("Between these visits the server was %.3g times as fast under %s as in the sweep, by a closed loop of the recommended pool; the predictions are for that.", c.Speed, c.Scenario)
		}
	}
	p.para("Latencies count from the intended start of each request, the wait for a connection included. The generator's own timers were late by up to %s (p99); that is in the latencies, not in the waits.", Seconds(late))
}

func predicted(c plan.Compared) string {
	if c.Predicted == nil {
		return noEnd
	}
	return millis3(*c.Predicted)
}

// millis3 writes milliseconds, small ones with three decimals.
func millis3(s float64) string {
	if s > 0 && s < 1e-3 {
		return strconv.FormatFloat(s*1e3, 'f', 3, 64)
	}
	return Millis(s)
}

func predictionError(c plan.Compared) string {
	switch {
	case c.Error == nil:
		return "-"
	case c.Observed < smallWait:
		return fmt.Sprintf("%+.2f ms", 1e3*(*c.Predicted-c.Observed))
	}
	return fmt.Sprintf("%+.0f %%", 100**c.Error)
}

// smallWait is where a share of a wait in seconds says less than the wait itself.
const smallWait = 0.0002

// drivers prints the pool in the words of other connection pools.
func (p *page) drivers(all []advisor.Driver) {
	if len(all) == 0 {
		return
	}
	p.line("\nThe same pool, in the words of")
	for _, d := range all {
		p.item(d.Name+": "+d.Settings, d.Note)
	}
}
