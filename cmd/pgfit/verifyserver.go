package main

import (
	"context"
	"errors"
	"time"

	"pgfit/advisor/prune"
	"pgfit/report"
	"pgfit/report/files"
	"pgfit/workload/load"
	"pgfit/workload/rundoc"
	"pgfit/workload/trial"
)

// onServer compares on a server that pgfit did not start: SET on its own connections, nothing else.
func (o *verifyOptions) onServer(ctx context.Context, a *app, args []string, start time.Time) (err error) {
	switch {
	case o.patch == "":
		return usagef("on a server of yours, --patch names what to compare, such as the postgresql.conf.patch of a run")
	case len(o.against) > 0:
		return usagef("--against compares scratch servers: leave the target out")
	case o.out != "":
		if err := files.Writable(o.out); err != nil {
			return usagef("%w", err)
		}
	}
	srv, err := a.open(ctx, &o.target, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.close(ctx)) }()
	if !o.dryRun {
		if err := o.production.mayLoad(srv); err != nil {
			return err
		}
	}
	doc := emptyDocument()
	doc.Target = srv.target.Redacted
	if doc.Facts, err = a.probe(ctx, srv, &o.host); err != nil {
		return err
	}
	if err := a.confFiles(ctx, srv, doc); err != nil {
		return err
	}
	v, err := o.verification(doc)
	if err != nil {
		return err
	}
	v.Mode, v.Notes = rundoc.ModeSession, nil
	prune.SessionOnly(v.Patch, doc.Facts.Server.Settings)
	if !prune.Measurable(v) {
		return usagef("nothing of this patch can be SET by a session; verify it on scratch servers: leave the target out")
	}
	x := &verifier{app: a, doc: doc, v: v, server: srv, deadline: start.Add(o.budget)}
	if err := o.planServer(x, srv, start); err != nil || o.dryRun {
		return err
	}
	if err := a.consent(srv, doc, o.yes); err != nil {
		return err
	}
	if err := x.onData(ctx, srv); err != nil {
		return errors.Join(err, o.finish(a, doc))
	}
	return o.finish(a, doc)
}

// planServer plans a comparison on one server. The two sides have connections of their own.
func (o *verifyOptions) planServer(x *verifier, srv *server, start time.Time) (err error) {
	v := x.v
	room := free(x.doc.Facts)
	if v.PoolSize = min(v.PoolSize, room/2); v.PoolSize < 1 || o.pool > v.PoolSize {
		return usagef("--pool-size %d: two sides need twice as many connections, and the server has %d free", max(1, o.pool), room)
	}
	sets, scenarios, err := o.loadScenarios(v)
	if err != nil {
		return err
	}
	if v.DataBytes, err = load.ChooseSize(int64(o.dataSize), x.doc.Facts, o.budget); err != nil {
		return err
	}
	err = x.makePlan(trial.Request{Budget: o.budget - time.Since(start), Bytes: v.DataBytes, Scenarios: len(scenarios), Pairs: o.pairs, Measure: o.measure})
	if err != nil {
		return err
	}
	x.install(scenarios)
	x.datasets = sets
	x.doc.Plan = rundoc.Plan{Seed: v.Seed, Scenarios: v.Scenarios, Levels: []int{2 * v.PoolSize}, DataBytes: v.DataBytes, Schema: load.Schema, BudgetSeconds: v.BudgetSeconds}
	x.app.plan(o.dryRun)("%s", report.VerifyPlan(v, v.DataBytes, start))
	return nil
}

// onData loads the data into pgfit's own schema, compares, and drops the schema whatever happens.
func (x *verifier) onData(ctx context.Context, srv *server) (err error) {
	v := x.v
	srv.config = srv.config.Copy()
	srv.config.RuntimeParams["application_name"] = "pgfit"
	data, err := load.Own(ctx, srv.config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Release(ctx)) }()
	x.app.say("loading %s of data", report.Size(v.DataBytes))
	x.runner.Vars, err = trial.Fill(ctx, data, srv.config, trial.Recipe{Datasets: x.datasets, Bytes: v.DataBytes, Seed: v.Seed})
	if err != nil {
		return err
	}
	v.DataBytes = data.Bytes
	data.Settle(ctx)
	return x.run(ctx)
}
