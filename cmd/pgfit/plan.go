package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pgfit/advisor/capacity"
	"pgfit/advisor/plan"
	"pgfit/advisor/pool"
	"pgfit/report"
	"pgfit/workload/rundoc"
)

// planOptions are the flags of pgfit plan.
type planOptions struct {
	demand   demandFlags
	growth   string
	slo      []string
	poolSize int
	scenario []string
	format   string

	perMonth     float64
	promises     []plan.Promise
	anyProcesses bool // --processes was not given
}

func (a *app) planCommand() *cobra.Command {
	o := &planOptions{}
	cmd := &cobra.Command{
		Use: "plan RUN", Short: "size pools and headroom for a load and a latency target", Args: exactly(1, "the directory or run.json that pgfit run left"),
		Long: `plan reads a run document (run.json, or the directory it is in) and answers for a demand: how many connections each
process's pool needs, what its callers wait and how long their requests take, which rate still keeps the promise, and when
growth reaches it. Every figure comes with the interval that the measured throughput leaves it. It needs no server.

The demand is --rps, or --max-concurrent with --request-duration; what is not given, --processes too, is taken from the
run's own demand.
With --slo, exit code 4 says that the promise is not kept at the demand.`,
		Example: `  pgfit plan pgfit-out --rps 500 --slo p99=50ms --processes 4
  pgfit plan pgfit-out --max-concurrent 100 --request-duration 200ms --growth 5%/month
  pgfit plan pgfit-out --rps 500 --pool-size 10           what if each process had 10 connections
  pgfit plan run.json --rps 500 --format csv              the table from half to three times the demand`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			o.anyProcesses = !cmd.Flags().Changed("processes")
			return o.run(a, args[0])
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	o.demand.addFlags(fs)
	fs.StringVar(&o.growth, "growth", "", "growth of the demand, such as 5%/month or 40%/year")
	fs.StringArrayVar(&o.slo, "slo", nil, "a latency to keep, wait and service together, such as p99=50ms; may be given more than once")
	fs.IntVar(&o.poolSize, "pool-size", 0, "what if: connections that each process may open (default the recommended number)")
	fs.StringSliceVar(&o.scenario, "scenario", nil, "scenarios of the run to plan for (default all)")
	fs.StringVar(&o.format, "format", "text", "text, markdown, csv or json")
	return cmd
}

func (o *planOptions) validate() (err error) {
	if err := oneOf("format", o.format, "text", "markdown", "csv", "json"); err != nil {
		return err
	}
	if o.perMonth, err = perMonth(o.growth); err != nil {
		return err
	}
	for _, text := range o.slo {
		p, err := promise(text)
		if err != nil {
			return err
		}
		o.promises = append(o.promises, p)
	}
	switch {
	case o.poolSize < 0 || o.poolSize > 10_000:
		return usagef("--pool-size %d: want 1 to 10000", o.poolSize)
	case o.demand.processes > 10_000:
		return usagef("--processes %d: want 1 to 10000", o.demand.processes)
	}
	return nil
}

// perMonth reads 5%/month or 40%/year as a growth per month.
func perMonth(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	percent, unit, _ := strings.Cut(text, "/")
	v, err := strconv.ParseFloat(strings.TrimSuffix(percent, "%"), 64)
	if err != nil || !strings.HasSuffix(percent, "%") || !(v >= 0 && v <= 1000) {
		return 0, usagef("--growth %s: want a percentage per month or year, such as 5%%/month", text)
	}
	g, ok := plan.PerMonth(v/100, unit)
	if !ok {
		return 0, usagef("--growth %s: want a percentage per month or year, such as 5%%/month", text)
	}
	return g, nil
}

// promise reads p99=50ms.
func promise(text string) (plan.Promise, error) {
	name, limit, _ := strings.Cut(text, "=")
	percent, err := strconv.ParseFloat(strings.TrimPrefix(name, "p"), 64)
	if err != nil || !strings.HasPrefix(name, "p") || !(percent > 0 && percent < 100) {
		return plan.Promise{}, usagef("--slo %s: want a percentile and a time, such as p99=50ms", text)
	}
	d, err := time.ParseDuration(limit)
	if err != nil || d <= 0 {
		return plan.Promise{}, usagef("--slo %s: want a time such as 50ms after the =", text)
	}
	return plan.Promise{Share: percent / 100, Limit: d.Seconds()}, nil
}

func (o *planOptions) run(a *app, path string) error {
	doc, err := readRun(path)
	if err != nil {
		return err
	}
	demand, err := o.wanted(doc)
	if err != nil {
		return err
	}
	for _, name := range o.scenario {
		if !slices.Contains(doc.Plan.Scenarios, name) {
			return usagef("--scenario %s: the run has %s", name, strings.Join(doc.Plan.Scenarios, ", "))
		}
	}
	curves, findings := capacity.Analyse(doc)
	curves = slices.DeleteFunc(curves, func(c capacity.Capacity) bool { return len(o.scenario) > 0 && !slices.Contains(o.scenario, c.Scenario) })
	if len(curves) == 0 {
		return usagef("%s: no scenario to plan for: the run has %s", path, strings.Join(doc.Plan.Scenarios, ", "))
	}
	plans := plan.Make(plan.Input{
		Curves: curves, Rate: pool.Rate(demand), Processes: demand.Processes, Growth: o.perMonth, Promises: o.promises, PoolSize: o.poolSize, Started: doc.StartedAt, Doubts: findings,
	})
	blocked := slices.ContainsFunc(plans, plan.Plan.Blocked)
	if err := report.Plans(a.stdout, plans, o.format); err != nil {
		return err
	}
	switch {
	case blocked:
		return errUnfit
	case len(o.promises) > 0:
		return broken(plans, o.promises)
	}
	return nil
}

// broken is the gate of --slo: which scenario keeps not all of the promises at the demand; nil when each does.
func broken(plans []plan.Plan, promises []plan.Promise) error {
	var all, which []string
	for _, p := range promises {
		all = append(all, p.String())
	}
	for _, p := range plans {
		if p.Now.Keeps == plan.No {
			which = append(which, fmt.Sprintf("%s at %s/s", p.Scenario, report.Rate(p.Now.Rate)))
		}
	}
	if len(which) == 0 {
		return nil
	}
	return fmt.Errorf("%w: not kept: %s, by %s", errGate, joinAnd(all), joinAnd(which))
}

// wanted is the demand of the flags; what they do not say is taken from the run's own.
func (o *planOptions) wanted(doc *rundoc.Document) (rundoc.Demand, error) {
	d, err := o.demand.demand()
	if err != nil {
		return d, err
	}
	if o.anyProcesses {
		d.Processes = max(1, doc.Demand.Processes)
	}
	if pool.Rate(d) == 0 {
		d.RPS = pool.Rate(doc.Demand)
	}
	if d.RPS == 0 && pool.Rate(d) == 0 {
		return d, usagef("no demand: give --rps, or --max-concurrent with --request-duration")
	}
	return d, nil
}
