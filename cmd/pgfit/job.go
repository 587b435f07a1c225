package main

import (
	"os"
	"time"

	"pgfit/advisor/advise"
	"pgfit/advisor/capacity"
	"pgfit/advisor/pool"
	"pgfit/probe"
	"pgfit/profiles"
	"pgfit/workload/engine"
	"pgfit/workload/load"
	"pgfit/workload/measure"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
	"pgfit/workload/sweep"
)

// newJob is a measurement with an empty run document.
func newJob(a *app, f *loadFlags) *measure.Job {
	return &measure.Job{
		Doc: &rundoc.Document{
			SchemaVersion: rundoc.SchemaVersion, Kind: rundoc.Kind, Version: versionString(), StartedAt: time.Now().UTC().Format(time.RFC3339),
		},
		Datasets: map[string]scenario.Dataset{}, Protocol: engine.Protocol(f.protocol), Driver: f.driver,
		MaxTries: f.maxTries, Grow: len(f.poolSizes) == 0, Log: a.logger(),
	}
}

// addScenarios adds scenarios by name or path, with their data sets.
func addScenarios(job *measure.Job, names []string) error {
	for _, name := range names {
		sc, ds, err := scenario.Load(profiles.FS, name, os.ReadFile)
		if err != nil {
			return err
		}
		job.Scenarios = append(job.Scenarios, sc)
		job.Datasets[ds.Name] = ds
	}
	return nil
}

// planJob fills the plan of the document from the facts, or refuses. reserve is time that the sweep must leave.
func planJob(job *measure.Job, srv *server, f *loadFlags, start time.Time, reserve time.Duration) error {
	levels, err := f.levels()
	if err != nil {
		return err
	}
	if !f.dryRun {
		if err := f.setup.mayLoad(srv); err != nil {
			return err
		}
	}
	doc := job.Doc
	doc.Target, doc.Scratch = srv.target.Redacted, srv.target.Scratch
	job.Config = srv.config
	if job.Free, err = srv.throughPooler(job, f.setup.adminURL != ""); err != nil {
		return err
	}
	var size int64
	if len(job.Datasets) > 0 {
		wish := int64(f.dataSize)
		if wish == 0 && srv.shape.Memory > 0 {
			wish = beyondMemory(srv.shape.Memory, f.budget)
		}
		for _, ds := range job.Datasets {
			if job.Scale > 0 {
				wish += job.Scale * ds.UnitBytes
			}
		}
		if size, err = load.ChooseSize(wish, doc.Facts, f.budget); err != nil {
			return err
		}
	}
	if m := srv.shape.Memory; m > 0 && size > 0 && size < m {
		doc.Warnings = append(doc.Warnings, probe.Warning{Code: "fits", Text: "the data fit into --scratch-memory, so that little is read from the disk",
			Hint: "give a --data-size above it, and a budget to load it in"})
	}
	var names []string
	for _, sc := range job.Scenarios {
		names = append(names, sc.Name)
	}
	var check rundoc.Plan
	if job.Demanded != nil && pool.Rate(doc.Demand) > 0 {
		reserve += measure.PlanCheck(&check, len(names), f.budget)
	}
	doc.Plan, err = sweep.MakePlan(sweep.Request{
		Scenarios: names, Levels: levels, Free: job.Free, Budget: f.budget, Reserve: reserve + time.Since(start) + load.Time(size) + 3*time.Second,
		Rounds: f.rounds, Measure: f.measure, Seed: f.seed,
	})
	if err != nil {
		return err
	}
	doc.Plan.CheckRounds, doc.Plan.CheckSeconds = check.CheckRounds, check.CheckSeconds
	doc.Plan.DataBytes, doc.Plan.Schema, doc.Plan.Driver, doc.Plan.Protocol = size, load.Schema, f.driver, f.protocol
	if f.rounds == 0 {
		job.Enough = capacity.Enough
		job.Deadline = start.Add(f.budget - reserve)
	}
	return nil
}

// demanded says which pools to check at the demanded rate: those that the advice on the sweep names.
func demanded(o advise.Options) func(*rundoc.Document) measure.Demanded {
	return func(doc *rundoc.Document) measure.Demanded {
		a, err := advise.From(doc, o)
		if err != nil {
			return measure.Demanded{}
		}
		pools, rate, scenarios := pool.Check(a.Pool, doc.Demand, a.Findings)
		return measure.Demanded{Pools: pools, Rate: rate, Scenarios: scenarios}
	}
}

// beyondMemory is the data size for a scratch server with a memory limit: half as much again, so that the disk is read, as
// far as a tenth of the time loads it.
func beyondMemory(memory int64, budget time.Duration) int64 {
	perSecond := float64(1<<30) / load.Time(1<<30).Seconds()
	return min(memory*3/2, int64(budget.Seconds()/10*perSecond))
}
