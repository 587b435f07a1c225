package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"pgfit/advisor/prune"
	"pgfit/report"
	"pgfit/workload/cluster"
	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
	"pgfit/workload/trial"
)

// verifier makes one comparison after the other, as prune asks for them, and fills a verification.
type verifier struct {
	app      *app
	doc      *rundoc.Document
	v        *rundoc.Verification // of doc; what is measured goes in here
	runner   *trial.Runner
	request  trial.Request
	plan     trial.Plan
	deadline time.Time
	recovery time.Duration // limit

	snap     *trial.Snapshot             // scratch mode
	shape    cluster.Shape               // the same
	base     map[string]string           // the same: present settings that the stock configuration does not have
	server   *server                     // session mode
	datasets map[string]scenario.Dataset // the same
	bar      *trialBar
	pace     trial.Pace
}

// makePlan fits the comparisons into the time.
func (x *verifier) makePlan(r trial.Request) (err error) {
	r.Comparisons = prune.Steps(x.v)
	if len(x.v.Rivals) > 0 {
		r.Asked = r.Comparisons
	}
	x.request = r
	x.plan, err = trial.MakePlan(r)
	return err
}

// run measures until nothing is left to ask, the time is up, or ctx ends. What was measured stays in the document.
func (x *verifier) run(ctx context.Context) error {
	v := x.v
	x.bar = x.app.trialBar()
	x.runner.Visited, x.runner.Live = x.bar.visited, x.bar.live
	defer x.bar.end()
	for n := 0; ; n++ {
		c, ok := prune.Next(v, x.fits)
		if !ok {
			v.OutOfTime = prune.Unfinished(v)
			break
		}
		err := x.measure(ctx, &c, uint64(n))
		if len(c.Visits) > 0 || c.Failed != "" {
			v.Comparisons = append(v.Comparisons, c)
		}
		if err != nil {
			return x.partial(err)
		}
		x.told(c)
	}
	if x.snap != nil && len(v.Rivals) == 0 && prune.Judge(v).Failed == "" {
		return x.partial(x.crash(ctx))
	}
	return nil
}

// fits tells whether there is time for these comparisons and the recovery check, by what earlier ones took. One that is made
// again has twice the pairs of fewer scenarios.
func (x *verifier) fits(all ...rundoc.Comparison) bool {
	need := x.plan.Recovery
	for _, c := range all {
		scenarios := prune.Scenarios(x.v, c)
		if c.Step == rundoc.StepAgain {
			scenarios = nil
		}
		need += x.pace.Expect(scenarios)
	}
	return !x.pace.Known() || time.Until(x.deadline) >= need
}

// partial marks a verification that ended early.
func (x *verifier) partial(err error) error {
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		x.v.Partial = "interrupted"
	default:
		x.v.Partial = err.Error()
	}
	return err
}

// measure makes one comparison.
func (x *verifier) measure(ctx context.Context, c *rundoc.Comparison, stream uint64) (err error) {
	begun := time.Now()
	x.bar.step(report.StepText(*c))
	if x.snap == nil {
		a, b := trial.Side{Config: x.server.config, Set: c.A}, trial.Side{Config: x.server.config, Set: c.B}
		return x.visits(ctx, c, a, b, stream, begun)
	}
	first, err := x.snap.Start(ctx, x.with(c.A), x.shape)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil && len(x.v.Rivals) > 0:
		c.Failed = err.Error()
		return nil
	case err != nil:
		return fmt.Errorf("starting a server with the present settings: %w", err)
	}
	defer func() { err = errors.Join(err, trial.Stop(ctx, first)) }()
	x.note(first.Unshaped())
	second, err := x.snap.Start(ctx, x.with(c.B), x.shape)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.Step == rundoc.StepNoise {
			return fmt.Errorf("starting a second server with the present settings: %w", err)
		}
		c.Failed = err.Error()
		return nil
	}
	defer func() { err = errors.Join(err, trial.Stop(ctx, second)) }()
	if first.Shape() != second.Shape() {
		c.Failed = "only one of the two servers could be kept within its limits: " + first.Unshaped() + second.Unshaped()
		return nil
	}
	return x.visits(ctx, c, trial.Side{Config: first.Config(), Server: first}, trial.Side{Config: second.Config(), Server: second}, stream, begun)
}

// note keeps a remark on the whole verification, once.
func (x *verifier) note(why string) {
	if why != "" && !slices.Contains(x.v.Notes, why) {
		x.v.Notes = append(x.v.Notes, why)
	}
}

func (x *verifier) visits(ctx context.Context, c *rundoc.Comparison, a, b trial.Side, stream uint64, begun time.Time) (err error) {
	what := trial.Series{Scenarios: prune.Scenarios(x.v, *c), Pairs: x.plan.Pairs, Stream: stream, Deadline: x.deadline}
	switch c.Step {
	case rundoc.StepNoise:
		what.Pairs, what.Deadline = trial.NoisePairs, begun.Add(time.Until(x.deadline)/3)
	case rundoc.StepAgain:
		what.Pairs *= 2
	case rundoc.StepPatch: // five pairs would be as good as none
		what.Deadline = what.Deadline.Add(grace(x.v))
	}
	c.Visits, err = x.runner.Compare(ctx, a, b, what)
	if c.Step == rundoc.StepNoise {
		x.v.Narrowed = x.runner.Narrowed
		x.plan = x.plan.Refit(x.request, x.v.Narrowed, x.runner.EachPair, time.Until(x.deadline))
		x.v.Pairs = x.plan.Pairs
		return err
	}
	if errors.Is(err, trial.ErrStorm) || errors.Is(err, trial.ErrStuck) {
		c.Failed, err = err.Error(), nil
	}
	x.pace.Add(time.Since(begun), c.Visits)
	return err
}

// grace is how much later than planned the comparison of the whole patch may end on a machine that is slower than expected.
func grace(v *rundoc.Verification) time.Duration {
	return min(30*time.Second, time.Duration(v.BudgetSeconds/3*float64(time.Second)))
}

// with adds settings to the present ones that the stock configuration does not have.
func (x *verifier) with(set map[string]string) map[string]string {
	all := map[string]string{}
	for n, v := range x.base {
		all[n] = v
	}
	for n, v := range set {
		all[n] = v
	}
	return all
}

// told says what a comparison came to.
func (x *verifier) told(c rundoc.Comparison) {
	if c.Step == rundoc.StepNoise {
		x.bar.say("%s", report.Promise(prune.Noises(x.v), x.plan.Pairs, x.runner.Measure))
		if need, left := x.plan.Remaining(x.request, x.v.Narrowed, x.runner.EachPair), time.Until(x.deadline); need > left {
			x.bar.say("%s", report.TooShort(x.plan.Pairs, need, left))
		}
		return
	}
	x.bar.say("%s", report.ComparisonText(x.v, c))
}

// crash is the recovery check of what is left of the patch.
func (x *verifier) crash(ctx context.Context) (err error) {
	v := x.v
	if !x.runner.Writes() {
		v.Notes = append(v.Notes, "recovery after a crash was not checked: no scenario of this run writes")
		return nil
	}
	if time.Until(x.deadline) < x.plan.Recovery {
		v.Notes = append(v.Notes, "recovery after a crash was not checked: no time was left")
		return nil
	}
	kept := map[string]string{}
	for _, p := range v.Patch {
		kept[p.Name] = p.Value
	}
	for _, n := range prune.Judge(v).Dropped {
		delete(kept, n)
	}
	if len(kept) == 0 {
		return nil
	}
	x.bar.step("crash and recovery")
	s, err := x.snap.Start(ctx, x.with(kept), x.shape)
	if err != nil {
		return fmt.Errorf("starting a server with the patch: %w", err)
	}
	defer func() { err = errors.Join(err, trial.Stop(ctx, s)) }()
	v.Recovery, err = x.runner.Recover(ctx, trial.Side{Config: s.Config(), Server: s}, x.plan.Recovery, x.recovery)
	return err
}

// newRunner makes the runner of a plan.
func newRunner(v *rundoc.Verification, p trial.Plan, log *slog.Logger) *trial.Runner {
	return &trial.Runner{Pool: v.PoolSize, Warmup: p.Warmup, Measure: p.Measure, FirstWarmup: p.FirstWarmup, Seed: v.Seed,
		Protocol: engine.Prepared, Driver: engine.DriverAuto, MaxTries: 3, Log: log}
}
