package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pgfit/advisor/advise"
	"pgfit/advisor/budget"
	"pgfit/advisor/prune"
	"pgfit/report"
	"pgfit/report/files"
	"pgfit/workload/cluster"
	"pgfit/workload/load"
	"pgfit/workload/measure"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
	"pgfit/workload/trial"
)

// verifyOptions are the flags of pgfit verify.
type verifyOptions struct {
	target    targetFlags
	host      hostFlags
	advice    adviceFlags
	patch     string
	against   []string
	budget    time.Duration
	pairs     int
	measure   time.Duration
	scenarios []string
	pool      int
	seed      uint64
	dataSize  bytesFlag
	yes       bool
	dryRun    bool
	out       string
	format    string
	// production is for a server of yours alone
	production productionFlag
}

func (a *app) verifyCommand() *cobra.Command {
	o := &verifyOptions{}
	cmd := &cobra.Command{
		Use: "verify [RUN | TARGET]", Short: "measure a patch against the present settings, in pairs, and prune it", Args: cobra.MaximumNArgs(1),
		Long: `verify measures a patch. Two scratch servers start from copies of one loaded snapshot, one with the present settings and
one with the patch, and take turns in random pairs; only one of them has load at a time. For each pair both start anew, and
a coin decides which gets which settings, so that what makes one server faster than the other is not taken for an effect
of the settings. Groups of settings are then taken back one after another, and single settings of the groups that matter:
what makes no measurable difference is dropped, and so is what harms, by name. With --against nothing is taken back: the
patch, as an earlier verification left it, is compared with what other tools say, at equal durability, and where a
difference is seen once more. The patch is the advice of a run (its directory, pgfit-out unless another is named) or a file:
a diff, ALTER SYSTEM statements, or lines of postgresql.conf.
With the URL of a server of yours nothing on it is changed or restarted: settings that a session may SET are compared on
pgfit's own connections, and the others are said to be unverified.`,
		Example: `  pgfit verify                                      the advice in pgfit-out, 10 minutes
  pgfit verify results --budget 1h --pairs 10       finer differences
  pgfit verify results --against le0pard/pgtune     pgfit's advice against that of another tool
  pgfit verify results --against all --budget 30m   against that of every tool it knows
  pgfit verify --patch mine.conf --scenario tpcb    a patch of your own
  pgfit verify --patch mine.conf --scratch-memory 2GB --scratch-cpus 1 --data-size 4GB
                                                    in the shape of a small container
  pgfit verify postgresql://app@localhost/app --patch mine.conf --yes
                                                    what SET can change, on your server`,
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

func (o *verifyOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&o.patch, "patch", "", "the patch to measure, instead of the advice of the run")
	fs.StringSliceVar(&o.against, "against", nil, "compare with these instead of the present settings, one after the other: files, tools of --compare-formulas such as le0pard/pgtune, or all of those tools")
	fs.DurationVar(&o.budget, "budget", 10*time.Minute, "time for everything; how much is pruned depends on it")
	fs.IntVar(&o.pairs, "pairs", 0, "pairs of visits for each comparison and scenario (default as the budget allows, 6 to 12; fewer than 6 cannot show anything)")
	fs.DurationVar(&o.measure, "measure", 0, "measured time of one visit (default as the budget allows, at least 1s)")
	fs.StringSliceVar(&o.scenarios, "scenario", nil, "workloads: built-in names or .yaml files (default those of the run, else read-heavy,write-heavy)")
	fs.IntVar(&o.pool, "pool-size", 0, "connections of the load (default the run's recommended pool, else twice the CPUs)")
	fs.Uint64Var(&o.seed, "seed", 0, "seed of order and keys (default by the clock; printed)")
	fs.Var(&o.dataSize, "data-size", "size of the test data (default that of the run)")
	fs.StringVar(&o.out, "out", "", "directory for the results (default the run's directory; with --patch alone nothing is written)")
	fs.StringVar(&o.format, "format", "text", "what to print: text, markdown or json (the verification)")
	fs.BoolVar(&o.yes, "yes", false, "put load on a server that pgfit did not start without asking")
	fs.BoolVar(&o.dryRun, "dry-run", false, "show the plan and stop")
	o.production.addFlags(fs)
	o.target.addFlags(fs)
	o.advice.addFlags(fs)
	o.host.addFlags(fs)
}

func (o *verifyOptions) validate() error {
	switch {
	case o.budget < time.Second || o.budget > 7*24*time.Hour:
		return usagef("--budget %s: want one second to seven days", o.budget)
	case o.pairs < 0 || o.pairs > 0 && o.pairs < 6 || o.pairs > 200:
		return usagef("--pairs %d: want 6 to 200; fewer cannot show a difference", o.pairs)
	case o.measure < 0 || o.measure > 0 && o.measure < 100*time.Millisecond || o.measure > time.Hour:
		return usagef("--measure %s: want 100ms to an hour", o.measure)
	case o.pool < 0 || o.pool > 10_000:
		return usagef("--pool-size %d: want 1 to 10000", o.pool)
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	return errors.Join(oneOf("format", o.format, "text", "markdown", "json"), o.advice.validate(), o.target.validate())
}

func (o *verifyOptions) run(ctx context.Context, a *app, args []string) error {
	start := time.Now()
	if len(args) > 0 && (strings.Contains(args[0], "=") || strings.Contains(args[0], "://")) {
		return o.onServer(ctx, a, args, start)
	}
	if err := o.early(); err != nil {
		return err
	}
	doc, bin, err := o.document(ctx, a, args)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := files.Writable(o.out); err != nil {
			return usagef("%w", err)
		}
	}
	x, recipe, err := o.plan(a, doc, bin, start)
	if err != nil || o.dryRun {
		return err
	}
	x.bar = a.trialBar()
	x.bar.step("loading " + report.Size(recipe.Bytes) + " of data")
	recipe.Loading = x.bar.loading
	x.snap, err = trial.Load(ctx, recipe)
	x.bar.end()
	if err != nil {
		return scratchError(err)
	}
	x.runner.Vars, x.v.DataBytes = x.snap.Vars, x.snap.Bytes
	err = x.run(ctx)
	err = errors.Join(err, x.snap.Remove(ctx))
	return errors.Join(err, o.finish(a, doc))
}

// early refuses what can be refused without a server's settings.
func (o *verifyOptions) early() error {
	if o.patch != "" {
		if _, err := readValues("--patch", o.patch); err != nil {
			return err
		}
	}
	if o.dataSize == 0 {
		return nil
	}
	return trial.CheckRoom(o.target.scratchDir, int64(o.dataSize), 0)
}

// readValues reads the settings of a file that a flag names.
func readValues(flag, file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usagef("%s: %w", flag, err)
	}
	values, err := trial.ReadPatch(file, string(text))
	if err != nil {
		return nil, usagef("%s %w", flag, err)
	}
	return values, nil
}

// document is the run whose advice is verified; with a patch alone, the facts of a scratch server with stock settings.
func (o *verifyOptions) document(ctx context.Context, a *app, args []string) (doc *rundoc.Document, bin cluster.Binaries, err error) {
	dir := "pgfit-out"
	if len(args) > 0 {
		dir = args[0]
	}
	if len(args) == 0 && o.patch != "" {
		return o.stock(ctx, a)
	}
	if doc, err = readRun(dir); err != nil {
		return nil, bin, err
	}
	if o.out == "" {
		if o.out = dir; strings.HasSuffix(dir, ".json") {
			o.out = filepath.Dir(dir)
		}
	}
	major := o.target.pgVersion
	if major == 0 {
		major = doc.Facts.Server.Major()
	}
	if bin, err = cluster.Find(cluster.FindOptions{Dir: o.target.pgBin, Major: major}); err != nil {
		return nil, bin, usagef("%w", err)
	}
	return doc, bin, nil
}

// stock starts a scratch server for a moment, to have its settings and facts.
func (o *verifyOptions) stock(ctx context.Context, a *app) (doc *rundoc.Document, bin cluster.Binaries, err error) {
	o.target.scratch = true
	srv, err := a.open(ctx, &o.target, nil)
	if err != nil {
		return nil, bin, err
	}
	defer func() { err = errors.Join(err, srv.close(ctx)) }()
	doc = emptyDocument()
	doc.Target, doc.Scratch = srv.target.Redacted, true
	if doc.Facts, err = a.probe(ctx, srv, &o.host); err != nil {
		return nil, bin, err
	}
	return doc, srv.bin, a.confFiles(ctx, srv, doc)
}

func emptyDocument() *rundoc.Document {
	return &rundoc.Document{SchemaVersion: rundoc.SchemaVersion, Kind: rundoc.Kind, Version: versionString(),
		StartedAt: time.Now().UTC().Format(time.RFC3339), Visits: []rundoc.Visit{}}
}

// plan refuses everything that can be refused before anything starts, and says what will be done.
func (o *verifyOptions) plan(a *app, doc *rundoc.Document, bin cluster.Binaries, start time.Time) (*verifier, trial.Recipe, error) {
	v, err := o.verification(doc)
	if err != nil {
		return nil, trial.Recipe{}, err
	}
	x := &verifier{app: a, doc: doc, v: v, recovery: time.Duration(o.advice.recovery), deadline: start.Add(o.budget), shape: o.target.shape(), base: presentSettings(doc)}
	recipe := trial.Recipe{Binaries: bin, Dir: o.target.scratchDir, Bytes: v.DataBytes, Seed: v.Seed, Log: a.logger()}
	sets, scenarios, err := o.loadScenarios(v)
	if err != nil {
		return nil, recipe, err
	}
	recipe.Datasets = sets
	if recipe.Bytes == 0 {
		if m := int64(o.target.memory); m > 0 {
			recipe.Bytes = beyondMemory(m, o.budget)
		}
		if recipe.Bytes, err = load.ChooseSize(recipe.Bytes, doc.Facts, o.budget); err != nil {
			return nil, recipe, err
		}
	}
	err = x.makePlan(trial.Request{Budget: o.budget - time.Since(start), Bytes: recipe.Bytes, Scenarios: len(scenarios), Pairs: o.pairs, Measure: o.measure, Copies: true})
	if err != nil {
		return nil, recipe, err
	}
	x.install(scenarios)
	x.note(prune.Crowded(v, doc.Facts, recipe.Bytes, x.shape.Memory))
	if err := trial.CheckRoom(recipe.Dir, recipe.Bytes, max(x.plan.Measure+x.plan.Warmup, x.plan.Recovery)); err != nil {
		return nil, recipe, err
	}
	if m := int64(o.target.memory); m > 0 && recipe.Bytes < m {
		v.Notes = append(v.Notes, "the data fit into --scratch-memory, so that little is read from the disk")
	}
	a.plan(o.dryRun)("%s", report.VerifyPlan(v, recipe.Bytes, start))
	return x, recipe, nil
}

// install gives the verifier its runner and puts what was planned into the verification.
func (x *verifier) install(scenarios []scenario.Scenario) {
	v := x.v
	v.Pairs, v.WarmupSeconds, v.MeasureSeconds = x.plan.Pairs, x.plan.Warmup.Seconds(), x.plan.Measure.Seconds()
	if len(v.Rivals) > 0 {
		x.doc.Against = v
	} else {
		x.doc.Verification = v
	}
	x.runner = newRunner(v, x.plan, x.app.logger())
	x.runner.Scenarios = scenarios
}

// verification is what the flags and the run ask for, before times are planned.
func (o *verifyOptions) verification(doc *rundoc.Document) (*rundoc.Verification, error) {
	v := &rundoc.Verification{Mode: rundoc.ModeScratch, Rules: advise.Rules(o.advice.options()), Scenarios: o.scenarios, PoolSize: o.pool, Seed: o.seed, DataBytes: int64(o.dataSize),
		BudgetSeconds: o.budget.Seconds(), Comparisons: []rundoc.Comparison{}}
	if len(v.Scenarios) == 0 {
		v.Scenarios = doc.Plan.Scenarios
	}
	if len(v.Scenarios) == 0 {
		v.Scenarios = []string{"read-heavy", "write-heavy"}
	}
	if v.DataBytes == 0 {
		v.DataBytes = doc.Plan.DataBytes
	}
	if !doc.Scratch {
		v.Notes = append(v.Notes, "measured on this machine, on scratch servers with that server's settings and pgfit's data, not on "+doc.Target)
	}
	if len(o.against) == 0 {
		doc.Verification = nil // an earlier one must not prune what is measured anew
	}
	advice, err := advise.From(doc, o.advice.options())
	if err != nil {
		return nil, err
	}
	if o.patch == "" {
		v.Patch = prune.FromProposals(advice.Settings.Proposals)
	} else if v.Patch, err = o.readPatch(doc); err != nil {
		return nil, err
	} else {
		v.File = filepath.Base(o.patch)
	}
	if err := o.readAgainst(doc, v); err != nil {
		return nil, err
	}
	if len(v.Patch) == 0 {
		return nil, usagef("there is nothing to verify: the patch changes no setting")
	}
	if low := prune.Unsafe(v.Patch, doc.Facts.Server.Settings); len(low) > 0 {
		return nil, usagef("the patch lowers the safety of the data (%s): servers of unequal durability are not compared", strings.Join(low, ", "))
	}
	prune.MarkNeeded(v.Patch, doc.Facts, budget.Load{Active: advice.Pool.Total, RecoveryLimit: time.Duration(o.advice.recovery).Seconds()})
	if v.PoolSize == 0 {
		v.PoolSize = defaultPool(doc, advice.Pool.Total)
	}
	return v, checkPool(doc, v)
}

// defaultPool is the pool that the run recommends, else twice the CPUs.
func defaultPool(doc *rundoc.Document, recommended int) int {
	cpus, _ := doc.Facts.Host.CPU.Effective.Get()
	if recommended == 0 {
		recommended = max(2, int(2*cpus))
	}
	return min(recommended, max(1, free(doc.Facts)), 64)
}

// checkPool refuses a pool that one of the sides has no room for.
func checkPool(doc *rundoc.Document, v *rundoc.Verification) error {
	values := map[string]string{}
	for _, p := range v.Patch {
		values[p.Name] = p.Value
	}
	sides := []map[string]string{nil, values}
	for _, r := range v.Rivals {
		sides = append(sides, r.Values)
	}
	for _, f := range sides {
		facts := doc.Facts
		facts.Server.Settings, facts.Server.InUse = budget.Overlay(facts.Server.Settings, f), 0
		if room := free(facts); room < v.PoolSize {
			return usagef("--pool-size %d: the server has %d connections for a load", v.PoolSize, room)
		}
	}
	return nil
}

func (o *verifyOptions) readPatch(doc *rundoc.Document) ([]rundoc.PatchSetting, error) {
	values, err := readValues("--patch", o.patch)
	if err != nil {
		return nil, err
	}
	patch, err := prune.FromValues(values, doc.Facts.Server.Settings)
	if err != nil {
		return nil, usagef("--patch %s: %w", o.patch, err)
	}
	return patch, nil
}

func (o *verifyOptions) loadScenarios(v *rundoc.Verification) (map[string]scenario.Dataset, []scenario.Scenario, error) {
	job := &measure.Job{Datasets: map[string]scenario.Dataset{}}
	if err := addScenarios(job, v.Scenarios); err != nil {
		return nil, nil, err
	}
	named(v, job.Scenarios)
	return job.Datasets, job.Scenarios, nil
}

// named puts the scenarios into the verification.
func named(v *rundoc.Verification, scenarios []scenario.Scenario) {
	v.Scenarios, v.Analytic = nil, nil
	for _, sc := range scenarios {
		v.Scenarios = append(v.Scenarios, sc.Name)
		if sc.Class == scenario.Analytic {
			v.Analytic = append(v.Analytic, sc.Name)
		}
	}
}

// presentSettings are the settings of a server of the user's that its scratch stand-in has to have as well: what its
// files or its command line say about speed. A scratch server's own run has none.
func presentSettings(doc *rundoc.Document) map[string]string {
	base := map[string]string{}
	if doc.Scratch {
		return base
	}
	for _, name := range doc.Facts.Server.Settings.Names() {
		s := doc.Facts.Server.Settings[name]
		known := prune.GroupByName(name)
		if known != "other" && known != "logging" && slices.Contains([]string{"configuration file", "command line"}, s.Source) && s.VarType != "string" {
			base[name] = s.Value
		}
	}
	return base
}

func (o *verifyOptions) finish(a *app, doc *rundoc.Document) error {
	v := doc.Verification
	if len(o.against) > 0 {
		v = doc.Against
	}
	if len(v.Comparisons) == 0 {
		return nil
	}
	advice, err := advise.From(doc, o.advice.options())
	if err != nil {
		return err
	}
	if o.out != "" {
		made, err := files.All(doc, advice)
		if err != nil {
			return err
		}
		if err := files.Write(o.out, made); err != nil {
			return err
		}
		a.say("results in %s: %s", o.out, files.Names(made))
	}
	result := advice.Verified
	if len(o.against) > 0 {
		result = advice.Against
	}
	if o.format == "json" {
		data, err := json.MarshalIndent(result, "", " ")
		if err != nil {
			return fmt.Errorf("encoding the verification: %w", err)
		}
		if _, err := a.stdout.Write(append(data, '\n')); err != nil {
			return err
		}
	} else if err := report.Verified(a.stdout, advice.Target, result, o.format == "markdown"); err != nil {
		return err
	}
	if result.Failed != "" {
		return fmt.Errorf("the patch cannot be measured: %s", result.Failed)
	}
	return nil
}

// scratchError makes what the user's options caused his to mend.
func scratchError(err error) error {
	if errors.Is(err, cluster.ErrUsage) {
		return usagef("%w", err)
	}
	return err
}
