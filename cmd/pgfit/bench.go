package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pgfit/profiles"
	"pgfit/report"
	"pgfit/report/files"
	"pgfit/workload/engine"
	"pgfit/workload/measure"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
	"pgfit/workload/script"
)

// benchOptions are the flags of pgfit bench.
type benchOptions struct {
	target   targetFlags
	host     hostFlags
	load     loadFlags
	files    []string
	builtins []string
	vars     []string
	scale    int64
	shell    bool
	rate     float64
	uniform  bool
	think    time.Duration
	callers  int
	progress time.Duration
	list     bool
	out      string
	format   string
}

func (a *app) benchCommand() *cobra.Command {
	o := &benchOptions{}
	cmd := &cobra.Command{
		Use: "bench [TARGET]", Short: "measure only: a sweep, one pool size, or a fixed rate", Args: cobra.MaximumNArgs(1),
		Long: `bench puts load on a server and prints what came out, without advice: built-in scenarios, or pgbench scripts as they are.
Scripts given with -f run against the tables that are there; scenarios and -b bring their own in schema pgfit.`,
		Example: `  pgfit bench --list                                       what can be run
  pgfit bench --scenario read-heavy --budget 2m            a sweep over pool sizes on a scratch server
  pgfit bench -b tpcb-like -s 20 --pool-sizes 16 --rounds 3 --measure 10s
                                                           pgbench's own transaction, one pool size
  pgfit bench -f mine.sql@3 -f other.sql --yes $DATABASE_URL
                                                           your scripts on your tables
  pgfit bench --scenario mixed --pool-sizes 16 --rate 500  open loop: latency from the intended start`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.list {
				return a.listScenarios()
			}
			if err := o.validate(cmd.Flags()); err != nil {
				return err
			}
			return o.run(cmd.Context(), a, args)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *benchOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.BoolVar(&o.list, "list", false, "list the scenarios and pgbench scripts that are built in, with their statements under -v")
	fs.StringArrayVarP(&o.files, "file", "f", nil, "a pgbench script, with its share of the transactions as FILE@WEIGHT")
	fs.StringArrayVarP(&o.builtins, "builtin", "b", nil, "one of pgbench's own scripts: tpcb-like, simple-update or select-only, NAME@WEIGHT")
	fs.StringArrayVarP(&o.vars, "define", "D", nil, "name=value for the scripts")
	fs.Int64VarP(&o.scale, "scale", "s", 0, "scale of the data set (default from --data-size)")
	fs.BoolVar(&o.shell, "allow-shell", false, `let scripts run \shell and \setshell`)
	fs.Float64Var(&o.rate, "rate", 0, "transactions a second, at Poisson times, instead of as fast as they go")
	fs.BoolVar(&o.uniform, "uniform", false, "with --rate: evenly spaced instead")
	fs.DurationVar(&o.think, "think", 0, "mean think time of a caller between its transactions")
	fs.IntVar(&o.callers, "callers", 0, "callers that share the pool (default as many as connections)")
	fs.DurationVar(&o.progress, "progress", 0, "a line on stderr every so often")
	fs.StringVar(&o.out, "out", "", "also write run.json there")
	fs.StringVar(&o.format, "format", "text", "what to print: text, markdown or json (the run document)")
	o.target.addFlags(fs)
	o.load.addFlags(fs)
	o.host.addFlags(fs)
}

func (o *benchOptions) validate(fs *pflag.FlagSet) error {
	scripts := len(o.files)+len(o.builtins) > 0
	switch {
	case scripts && fs.Changed("scenario"):
		return usagef("--scenario and scripts at once: measure one after the other")
	case o.rate < 0 || o.rate > 1e6:
		return usagef("--rate %g: want more than 0 and at most a million", o.rate)
	case o.uniform && o.rate == 0:
		return usagef("--uniform goes with --rate")
	case o.think < 0 || o.think > time.Hour:
		return usagef("--think %s: want at most an hour", o.think)
	case o.think > 0 && o.rate > 0:
		return usagef("--think and --rate at once: an open loop has no think time")
	case o.callers < 0 || o.callers > 100_000:
		return usagef("--callers %d: want 1 to 100000", o.callers)
	case o.scale < 0:
		return usagef("--scale %d: want at least 1", o.scale)
	case o.progress < 0 || o.progress > 0 && o.progress < 100*time.Millisecond:
		return usagef("--progress %s: want at least 100ms", o.progress)
	}
	if err := oneOf("format", o.format, "text", "markdown", "json"); err != nil {
		return err
	}
	return o.load.validate()
}

func (o *benchOptions) run(ctx context.Context, a *app, args []string) (err error) {
	start := time.Now()
	job, err := o.job(a)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := files.Writable(o.out); err != nil {
			return usagef("%w", err)
		}
	}
	srv, err := a.open(ctx, &o.target, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.close(ctx)) }()
	if job.Doc.Facts, err = a.probe(ctx, srv, &o.host); err != nil {
		return err
	}
	if err := planJob(job, srv, &o.load, start, 0); err != nil {
		return err
	}
	a.plan(o.load.dryRun)("%s", report.PlanText(job.Doc, start))
	a.warn(job.Doc)
	if o.load.dryRun {
		return nil
	}
	if err := a.consent(srv, job.Doc, o.load.yes); err != nil {
		return err
	}
	end, err := o.load.setup.setUp(ctx, srv, job)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	err = a.measure(ctx, job)
	return errors.Join(err, o.finish(a, job.Doc, err))
}

// job is the measurement that the flags name.
func (o *benchOptions) job(a *app) (*measure.Job, error) {
	job := newJob(a, &o.load)
	job.Shape = engine.Load{Rate: o.rate, Uniform: o.uniform, Think: o.think, Callers: o.callers}
	job.Scale = o.scale
	job.Vars = map[string]string{}
	for _, d := range o.vars {
		name, value, ok := strings.Cut(d, "=")
		if !ok || name == "" {
			return nil, usagef("-D %s: want name=value", d)
		}
		job.Vars[name] = value
	}
	if o.progress > 0 {
		job.Live = func(p engine.Progress) {
			a.say("%6.1f s  %s TPS  p50 %s  p99 %s  %d errors", p.Elapsed.Seconds(), report.Rate(p.TPS), report.Seconds(p.P50.Seconds()),
				report.Seconds(p.P99.Seconds()), p.Errors)
		}
		job.Shape.Every = o.progress
	}
	if len(o.files)+len(o.builtins) == 0 {
		return job, addScenarios(job, o.load.scenarios)
	}
	return job, o.scripts(job)
}

// scripts makes one scenario of the scripts given with -f and -b.
func (o *benchOptions) scripts(job *measure.Job) error {
	sc := scenario.Scenario{Name: "scripts", Class: scenario.Mixed}
	for _, arg := range o.files {
		file, weight, err := script.ParseWeighted(arg)
		if err != nil {
			return usagef("-f %s: %w", arg, err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return usagef("-f: %w", err)
		}
		parsed, err := script.Parse(file, string(text), script.Options{AllowShell: o.shell})
		if err != nil {
			return usagef("%w", err)
		}
		sc.Transactions = append(sc.Transactions, scenario.Transaction{Name: file, Weight: weight, Parsed: parsed})
	}
	for _, arg := range o.builtins {
		name, weight, err := script.ParseWeighted(arg)
		if err != nil {
			return usagef("-b %s: %w", arg, err)
		}
		parsed, ok := script.Builtin(name)
		if !ok {
			return usagef("-b %s: pgbench has %s", name, strings.Join(script.Builtins(), ", "))
		}
		sc.Transactions = append(sc.Transactions, scenario.Transaction{Name: name, Weight: weight, Parsed: parsed})
	}
	if !slices.ContainsFunc(sc.Transactions, func(t scenario.Transaction) bool { return t.Weight > 0 }) {
		return usagef("the scripts all have weight 0: none would run")
	}
	job.Scenarios = []scenario.Scenario{sc}
	if len(o.builtins) > 0 || o.scale > 0 {
		_, ds, err := scenario.Load(profiles.FS, "tpcb", os.ReadFile)
		if err != nil {
			return err
		}
		job.Datasets[ds.Name] = ds
		job.SearchPath = "pgfit, public"
	}
	return nil
}

func (o *benchOptions) finish(a *app, doc *rundoc.Document, failed error) error {
	if len(doc.Visits) == 0 {
		return nil
	}
	if failed != nil && doc.Partial == "" {
		doc.Partial = failed.Error()
	}
	if o.out != "" {
		data, err := files.RunJSON(doc)
		if err != nil {
			return err
		}
		if err := files.Write(o.out, []files.File{data}); err != nil {
			return err
		}
		a.say("run document in %s/run.json", o.out)
	}
	if o.format == "json" {
		return rundoc.Write(a.stdout, doc)
	}
	return report.Bench(a.stdout, doc, o.format == "markdown")
}

// listScenarios prints what can be run.
func (a *app) listScenarios() error {
	t := report.Table{Header: []string{"name ", "what it does ", "transactions "}}
	for _, name := range scenario.Names(profiles.FS) {
		sc, _, err := scenario.Load(profiles.FS, name, os.ReadFile)
		if err != nil {
			return err
		}
		var tx []string
		for _, x := range sc.Transactions {
			tx = append(tx, strconv.Itoa(x.Weight)+" "+x.Name)
		}
		t.Add(sc.Name, sc.Title, strings.Join(tx, ", "))
	}
	for _, name := range script.Builtins() {
		t.Add("-b "+name, "pgbench's own script", "")
	}
	if err := t.Render(a.stdout, false); err != nil || !a.verbose {
		return err
	}
	for _, name := range scenario.Names(profiles.FS) {
		sc, _, err := scenario.Load(profiles.FS, name, os.ReadFile)
		if err != nil {
			return err
		}
		for _, x := range sc.Transactions {
			fmt.Fprintf(a.stdout, "\n-- %s: %s, weight %d\n%s", sc.Name, x.Name, x.Weight, x.Script)
		}
	}
	return nil
}
