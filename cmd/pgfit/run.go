package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pgfit/advisor/advise"
	"pgfit/advisor/pool"
	"pgfit/probe"
	"pgfit/report"
	"pgfit/report/files"
	"pgfit/workload/explain"
	"pgfit/workload/measure"
	"pgfit/workload/rundoc"
	"pgfit/workload/sweep"
)

// runOptions are the flags of pgfit run.
type runOptions struct {
	target targetFlags
	host   hostFlags
	demand demandFlags
	load   loadFlags
	advice adviceFlags
	disk   diskFlags
	noDisk bool
	out    string
	format string

	startCheck bool
	noVerify   bool
}

func (a *app) runCommand() *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use: "run [TARGET]", Short: "probe, measure, fit, advise: the main job", Args: cobra.MaximumNArgs(1),
		Long: `run puts measured load on a PostgreSQL server, in a schema of its own that it drops again, and leaves the measurements,
the advice and a patch in a directory. TARGET is a URL or a libpq keyword string; without one DATABASE_URL, PG* and
PGSERVICE are looked at, and when nothing names a server, pgfit starts a throw-away one. There the advice is then measured
against the present settings, in pairs, when the budget has room for it, and what does not help is dropped.`,
		Example: `  pgfit run                                           on a throw-away server, 10 minutes
  pgfit run --budget 3m --out results                 shorter, results in ./results
  pgfit run postgresql://app@localhost/app --yes      on your server, without asking
  pgfit run --max-concurrent 100 --request-duration 200ms --processes 4
                                                      size the application's pools for that demand`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(cmd.Context(), a, args)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *runOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&o.out, "out", "pgfit-out", "directory for the results")
	fs.StringVar(&o.format, "format", "text", "what to print: text, markdown or json (the advice)")
	fs.BoolVar(&o.startCheck, "start-check", true, "start a throw-away server with the proposed files, where binaries of the target's major version are at hand")
	fs.BoolVar(&o.noVerify, "no-verify", false, "do not measure the patch against the present settings at the end (on a scratch server only)")
	o.target.addFlags(fs)
	o.load.addFlags(fs)
	o.demand.addFlags(fs)
	o.advice.addFlags(fs)
	o.host.addFlags(fs)
	fs.BoolVar(&o.noDisk, "no-disk-bench", false, "do not measure the disk first (it takes up to half a minute and a file of 1 GB)")
	o.disk.addFlags(fs)
}

func (o *runOptions) validate() error {
	if err := oneOf("format", o.format, "text", "markdown", "json"); err != nil {
		return err
	}
	if err := o.advice.validate(); err != nil {
		return err
	}
	return o.load.validate()
}

// run is the main job. Everything that can be refused is refused before load is put on the server.
func (o *runOptions) run(ctx context.Context, a *app, args []string) (err error) {
	start := time.Now()
	job, err := o.prepare(a)
	if err != nil {
		return err
	}
	if err := files.Writable(o.out); err != nil {
		return usagef("%w", err)
	}
	srv, err := a.open(ctx, &o.target, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.close(ctx)) }()
	if p := srv.target.Pool; p != nil {
		job.Doc.Demand.PoolSize, job.Doc.Demand.MaxOverflow = p.Size, p.MaxOverflow
	}
	if job.Doc.Facts, err = a.probe(ctx, srv, &o.host); err != nil {
		return err
	}
	if missing := job.Doc.Facts.Missing(); len(missing) > 0 {
		return missingFacts(missing)
	}
	if err := a.confFiles(ctx, srv, job.Doc); err != nil {
		return err
	}
	diskTime := diskBudget(job.Doc.Facts, o.load.budget)
	if o.noDisk {
		diskTime = 0
	}
	end := o.planClosing(job, srv)
	if diskTime, err = o.share(job, srv, end, start, diskTime); err != nil {
		return err
	}
	if err := end.check(); err != nil {
		return err
	}
	if !job.Deadline.IsZero() {
		job.Deadline = job.Deadline.Add(diskTime) // what was kept for the disk is spent before the sweep
	}
	say := a.plan(o.load.dryRun)
	say("%s", report.PlanText(job.Doc, start))
	if diskTime > 0 {
		say("disk       measured first, for about %s with a file of up to 1 GB beside the data directory (--no-disk-bench)", diskTime.Round(time.Second))
	}
	a.warn(job.Doc)
	say("%s", end)
	if o.load.dryRun {
		return nil
	}
	if err := a.consent(srv, job.Doc, o.load.yes); err != nil {
		return err
	}
	undo, err := o.load.setup.setUp(ctx, srv, job)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, undo()) }()
	if diskTime > 0 {
		if err := a.disk(ctx, &job.Doc.Facts, o.disk, diskTime); err != nil {
			return err
		}
	}
	if end.reserve > 0 {
		job.After = end.keep
	}
	if err = a.measure(ctx, job); err == nil {
		err = end.run(ctx, a, start)
	}
	return errors.Join(err, end.close(ctx), o.finish(ctx, a, srv, job.Doc, err))
}

// share divides the budget: the sweep comes first, since everything rests on it, with as many rounds as its intervals
// need; verification and the measuring of the disk get what they asked for when that leaves room for it.
func (o *runOptions) share(job *measure.Job, srv *server, end *closing, start time.Time, disk time.Duration) (time.Duration, error) {
	warned := job.Doc.Warnings
	plan := func() error {
		job.Doc.Warnings = slices.Clone(warned) // a second plan says it again
		return planJob(job, srv, &o.load, start, disk+job.Plans+end.reserve)
	}
	tight := func(err error) bool {
		return end.reserve > 0 && (errors.Is(err, sweep.ErrPlan) || err == nil && o.load.rounds == 0 && job.Doc.Plan.Rounds < sweep.GoodRounds)
	}
	err := plan()
	if tight(err) && end.shorten(shortShare) {
		err = plan()
	}
	if tight(err) {
		end.skip()
		err = plan()
	}
	if disk > 0 && errors.Is(err, sweep.ErrPlan) {
		disk = 0
		err = plan()
	}
	return disk, err
}

// prepare reads everything that does not need the server.
func (o *runOptions) prepare(a *app) (*measure.Job, error) {
	job := newJob(a, &o.load)
	var err error
	if job.Doc.Demand, err = o.demand.demand(); err != nil {
		return nil, err
	}
	job.Demanded = demanded(o.advice.options())
	err = addScenarios(job, o.load.scenarios)
	job.Plans = explain.Time(job.Scenarios, o.load.budget)
	return job, err
}

// free is the number of connections that a load may take: what the server has, less the reserved ones, those in use, and
// pgfit's own.
func free(f probe.Facts) int {
	all, _ := f.Server.Settings.Int("max_connections")
	su, _ := f.Server.Settings.Int("superuser_reserved_connections")
	other, _ := f.Server.Settings.Int("reserved_connections")
	return int(all-su-other) - f.Server.InUse - ownConnections
}

// finish writes what the run left: everything after a whole run, the document alone after an interrupted one.
func (o *runOptions) finish(ctx context.Context, a *app, srv *server, doc *rundoc.Document, failed error) error {
	if failed != nil && len(doc.Visits) == 0 {
		return nil
	}
	if v := doc.Verification; failed != nil && doc.Partial == "" && (v == nil || v.Partial == "") { // else the sweep is whole
		doc.Partial = failed.Error()
	}
	advice, err := advise.From(doc, o.advice.options())
	if err != nil {
		return err
	}
	if failed == nil && o.startCheck {
		start := startFlags{pgBin: o.target.pgBin, scratchDir: o.target.scratchDir}
		doc.StartCheck = a.startCheck(ctx, start, doc, advice)
		advice.Started(doc)
	}
	made, err := files.All(doc, advice)
	if err != nil {
		return err
	}
	config, notes, err := o.target.appPatch(srv.target, advice, pool.Rate(doc.Demand) > 0)
	if err != nil {
		return err
	}
	made = append(made, config...)
	if err := files.Write(o.out, made); err != nil {
		return err
	}
	if err := a.print(o.format, doc, advice); err != nil {
		return err
	}
	for _, n := range notes {
		a.say("%s", n)
	}
	a.say("results in %s: %s", o.out, files.Names(made))
	if failed == nil {
		return verdict(advice)
	}
	return nil
}

func missingFacts(flags []string) error {
	return &usageError{
		err:  fmt.Errorf("the server is on another machine and its memory and CPUs cannot be read from here"),
		hint: fmt.Sprintf("give %s, or run pgfit probe --out host.json there and pass --host-facts host.json", joinAnd(flags)),
	}
}

func (a *app) logger() *slog.Logger {
	level := slog.LevelWarn
	if a.verbose {
		level = slog.LevelDebug
	}
	w := a.stderr
	if a.quiet {
		w = io.Discard
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
