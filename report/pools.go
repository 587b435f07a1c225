package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"pgfit/advisor/plan"
)

// Plans writes plans as text, markdown, csv or json.
func Plans(w io.Writer, plans []plan.Plan, format string) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(plans)
	case "csv":
		return planCSV(w, plans)
	}
	p := &page{w: w, markdown: format == "markdown"}
	for _, x := range plans {
		p.plan(x)
	}
	return p.err
}

func (p *page) plan(x plan.Plan) {
	p.title("plan for scenario " + x.Scenario)
	now := x.Now
	who := "recommended"
	if x.WhatIf {
		who = "asked for"
	}
	t := Table{Header: []string{"at the demand ", "value", "95 % from", "to", "meaning "}}
	t.Add("demand", Rate(now.Rate)+" /s", "", "", fmt.Sprintf("requests that need a connection, over %s", processes(x.Processes)))
	t.Add("pool of a process", strconv.Itoa(now.PerProcess), strconv.Itoa(now.Least), strconv.Itoa(now.Most), fmt.Sprintf("%s; %d connections in all, nothing is gained beyond %d", who, now.Total, x.Ceiling))
	figure := func(name string, f plan.Figure, write func(float64) string, meaning string) {
		t.Add(name, write(f.Value), write(f.Low), write(f.High), meaning)
	}
	figure("used", now.Used, share, "of what that pool carries")
	figure("mean busy", now.Busy, number, "connections")
	figure("have to wait", now.WaitShare, share, "of the requests, for a connection")
	figure("mean wait", now.WaitMean, duration, "over all requests")
	if now.Unsteady.High > 0 {
		figure("of it", now.Unsteady, duration, "because the server is not steady: stretches slower than the demand, as in the sweep")
	}
	figure("p99 wait", now.WaitP99, duration, "")
	figure("p50", now.P50, duration, "wait and service together")
	figure("p99", now.P99, duration, "wait and service together")
	figure("highest rate", x.MaxRate, perSecond, "that keeps "+promises(x))
	figure("headroom", x.Headroom, signed, "of the demand")
	p.table(t)
	p.line("")
	p.para("%s", kept(x))
	p.line("")
	p.planTable(x)
	p.line("")
	p.para("Predicted for an open loop from closed-loop measurements: each process's pool is a queue whose service rate is the measured throughput; "+
		"hold times vary with a squared coefficient of variation of %s, which stretches the waits by %s. What piles up while the server is slower "+
		"than its mean is replayed from the sweep, in stretches of 10 to 100 ms. The intervals are what the measured throughput leaves.",
		figures(x.CV2), figures((1+x.CV2)/2))
	if len(x.Findings) > 0 {
		p.line("")
	}
	for _, f := range x.Findings {
		p.item(f.Code+": "+f.Text, lift2(f.Lift))
	}
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}

// promises says what the highest rate keeps.
func promises(x plan.Plan) string {
	if len(x.Promises) == 0 {
		return "a tenth of the capacity free"
	}
	var out []string
	for _, v := range x.Promises {
		out = append(out, v.String())
	}
	return strings.Join(out, " and ")
}

// kept says whether the promises are kept now, and until when.
func kept(x plan.Plan) string {
	text := map[plan.Keeps]string{
		plan.Yes: "Kept now: ", plan.No: "Not kept now: ", plan.Perhaps: "Kept now at one end of the interval, not at the other: ",
	}[x.Now.Keeps] + promises(x) + "."
	switch {
	case x.Months == nil:
	case x.Headroom.Value <= 0:
		text += " There is no headroom left for growth."
	default:
		text += fmt.Sprintf(" Growing by %s a month, the headroom ends in %s (%s).", Percent(x.Growth), x.Ends, x.EndsRange)
	}
	return text
}

func (p *page) planTable(x plan.Plan) {
	t := Table{Header: []string{"x demand", "rate /s", "pool", "in all", "used", "have to wait", "mean wait", "p99 wait", "p50", "p99", "p99 from", "to", "kept "}}
	for _, r := range x.Table {
		t.Add(figures(r.Factor), Rate(r.Rate), strconv.Itoa(r.PerProcess), strconv.Itoa(r.Total), share(r.Used.Value), share(r.WaitShare.Value),
			duration(r.WaitMean.Value), duration(r.WaitP99.Value), duration(r.P50.Value), duration(r.P99.Value), duration(r.P99.Low), duration(r.P99.High), string(r.Keeps))
	}
	p.table(t)
}

// noEnd is what grows without end.
const noEnd = "grows"

func duration(s float64) string {
	if math.IsInf(s, 0) {
		return noEnd
	}
	return Seconds(s)
}

func number(v float64) string { return figures(v) }

func perSecond(v float64) string { return Rate(v) + " /s" }

func share(v float64) string {
	if v < 1e-4 {
		return "0 %"
	}
	return Percent(v)
}

func signed(v float64) string { return fmt.Sprintf("%+.0f %%", 100*v) }

// planCSV writes the table of every plan, one row a rate; empty cells are what grows without end.
func planCSV(w io.Writer, plans []plan.Plan) error {
	out := csv.NewWriter(w)
	head := []string{"scenario", "times_demand", "rate_per_second", "processes", "connections_per_process", "connections"}
	for _, name := range []string{"utilisation", "mean_busy", "wait_share", "wait_mean_seconds", "wait_p99_seconds", "latency_p50_seconds", "latency_p99_seconds"} {
		head = append(head, name, name+"_low", name+"_high")
	}
	if err := out.Write(append(head, "keeps", "connections_per_process_low", "connections_per_process_high")); err != nil {
		return err
	}
	for _, p := range plans {
		for _, r := range p.Table {
			row := []string{p.Scenario, cell(r.Factor), cell(r.Rate), strconv.Itoa(p.Processes), strconv.Itoa(r.PerProcess), strconv.Itoa(r.Total)}
			for _, f := range []plan.Figure{r.Used, r.Busy, r.WaitShare, r.WaitMean, r.WaitP99, r.P50, r.P99} {
				row = append(row, cell(f.Value), cell(f.Low), cell(f.High))
			}
			if err := out.Write(append(row, string(r.Keeps), strconv.Itoa(r.Least), strconv.Itoa(r.Most))); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func cell(v float64) string {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}
