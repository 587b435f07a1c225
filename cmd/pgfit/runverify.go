package main

import (
	"context"
	"time"

	"pgfit/advisor/advise"
	"pgfit/advisor/budget"
	"pgfit/advisor/prune"
	"pgfit/report"
	"pgfit/workload/load"
	"pgfit/workload/measure"
	"pgfit/workload/rundoc"
	"pgfit/workload/sweep"
	"pgfit/workload/trial"
)

// closing is the verification at the end of a run on a scratch server.
type closing struct {
	o       *runOptions
	job     *measure.Job
	srv     *server
	reserve time.Duration // of the budget; 0: there will be no verification
	why     string        // there is none
	snap    *trial.Snapshot
	visit   time.Duration // the longest stretch between two checkpoints
}

// Shares of the budget that a run keeps for its verification: long enough for one comparison where the budget is short, and
// for pruning as well from ten minutes on. Each comparison goes through all scenarios, so that many of them need more.
const (
	shortShare = 0.45
	longShare  = 0.5
	wideShare  = 0.6 // of more than two scenarios
	longBudget = 10 * time.Minute
)

// planClosing keeps time for the verification of a run on a scratch server.
func (o *runOptions) planClosing(job *measure.Job, srv *server) *closing {
	c := &closing{o: o, job: job, srv: srv}
	if o.noVerify || srv.scratch == nil {
		return c
	}
	share := shortShare
	switch {
	case o.load.budget < longBudget:
	case len(job.Scenarios) > 2:
		share = wideShare
	default:
		share = longShare
	}
	if !c.shorten(share) {
		c.skip()
	}
	return c
}

// shorten keeps a share of the budget; false when that is too short for a comparison.
func (c *closing) shorten(share float64) bool {
	reserve := time.Duration(share * float64(c.o.load.budget))
	p, err := trial.MakePlan(trial.Request{Budget: reserve, Data: c.job.Doc.Plan.DataBytes, Scenarios: len(c.job.Scenarios), Comparisons: 6, Copies: true})
	if err != nil {
		return false
	}
	c.reserve, c.visit = reserve, max(p.Measure+p.Warmup, p.Recovery)
	return true
}

// skip gives the time back, and says how to come by a verification.
func (c *closing) skip() {
	c.reserve, c.why = 0, "not within this budget; pgfit verify "+c.o.out+" does it afterwards"
}

// String is the line of the plan, "" when the user wants no verification.
func (c *closing) String() string {
	switch {
	case c.reserve > 0:
		return "verify     the advice against the present settings, in pairs, in the last " + report.Seconds(c.reserve.Seconds())
	case c.why != "":
		return "verify     " + c.why
	}
	return "verify     no"
}

// check refuses a disk that does not hold the snapshot and its two copies beside the running server.
func (c *closing) check() error {
	if c.reserve == 0 {
		return nil
	}
	return trial.CheckRoom(c.o.target.scratchDir, c.job.Doc.Plan.DataBytes, c.visit)
}

// keep copies the data at the end of the sweep, before their schema is dropped.
func (c *closing) keep(ctx context.Context, _ *sweep.Sweep, data *load.Data) (err error) {
	if data == nil {
		return nil
	}
	c.snap, err = trial.Take(ctx, c.srv.scratch, data)
	return err
}

// run verifies the advice of the run. The sweep's own server is gone by then.
func (c *closing) run(ctx context.Context, a *app, start time.Time) (err error) {
	if c.snap == nil {
		return nil
	}
	if err := c.srv.close(ctx); err != nil {
		return err
	}
	doc := c.job.Doc
	advice, err := advise.From(doc, c.o.advice.options())
	if err != nil {
		return err
	}
	v := &rundoc.Verification{Mode: rundoc.ModeScratch, Rules: advise.Rules(c.o.advice.options()), Patch: prune.FromProposals(advice.Settings.Proposals),
		Seed: doc.Plan.Seed, DataBytes: c.snap.Bytes, PoolSize: defaultPool(doc, advice.Pool.Total), Comparisons: []rundoc.Comparison{}}
	if len(v.Patch) == 0 {
		return nil
	}
	named(v, c.job.Scenarios)
	if err := checkPool(doc, v); err != nil {
		return err
	}
	prune.MarkNeeded(v.Patch, doc.Facts, budget.Load{Active: advice.Pool.Total, RecoveryLimit: time.Duration(c.o.advice.recovery).Seconds()})
	left := c.o.load.budget - time.Since(start)
	v.BudgetSeconds = left.Seconds()
	x := &verifier{app: a, doc: doc, v: v, recovery: time.Duration(c.o.advice.recovery), deadline: start.Add(c.o.load.budget), shape: c.srv.shape, snap: c.snap}
	if err := x.makePlan(trial.Request{Budget: left, Data: c.snap.Bytes, Scenarios: len(c.job.Scenarios), Copies: true}); err != nil {
		a.say("no time is left to verify: pgfit verify %s does it", c.o.out)
		return nil
	}
	x.install(c.job.Scenarios)
	x.note(prune.Crowded(v, doc.Facts, c.snap.Bytes, x.shape.Memory))
	x.runner.Vars, x.runner.Protocol, x.runner.Driver, x.runner.MaxTries = c.snap.Vars, c.job.Protocol, c.job.Driver, c.job.MaxTries
	a.say("verifying the advice\n%s", report.VerifyPlan(v, c.snap.Bytes, time.Now()))
	return x.run(ctx)
}

// close removes the snapshot, also after a sweep that failed once it was taken.
func (c *closing) close(ctx context.Context) error {
	if c.snap == nil {
		return nil
	}
	return c.snap.Remove(ctx)
}
