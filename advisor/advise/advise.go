// Package advise composes the advice of a run: capacity curves, the pool, the settings, and what the data cannot carry. It is
// the one way from a run document to advice, a pure function, so that the same document gives the same bytes.
package advise

import (
	"math"
	"time"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
	"pgfit/advisor/formulas"
	"pgfit/advisor/pool"
	"pgfit/advisor/prune"
	"pgfit/advisor/rules"
	"pgfit/workload/rundoc"
)

// SchemaVersion and Kind of advice.json.
const (
	SchemaVersion = 1
	Kind          = "pgfit-advice"
)

// Options are what the user says about the advice; they are no part of the run.
type Options struct {
	Workload        string        // web, oltp, dw, mixed or auto
	RecoveryTime    time.Duration // 0: five minutes
	Dedicated       bool
	RuleSet         string // "" or guide
	CompareFormulas bool
	Only            string // reload or restart: leave out the other kind; "" takes both
}

// Advice is everything pgfit recommends from one run. It is written as advice.json.
type Advice struct {
	SchemaVersion int                   `json:"schema_version"`
	Kind          string                `json:"kind"`
	Version       string                `json:"pgfit_version"`
	RunStarted    string                `json:"run_started_at"`
	Target        string                `json:"target"`
	Partial       string                `json:"partial,omitempty"`
	Capacities    []capacity.Capacity   `json:"capacities"`
	Pool          advisor.PoolAdvice    `json:"pool"`
	Settings      advisor.Settings      `json:"settings"`
	Findings      []advisor.Finding     `json:"findings"`
	Verified      *prune.Result         `json:"verified,omitempty"`
	Formulas      []formulas.Comparison `json:"formulas,omitempty"`
	Only          string                `json:"only,omitempty"` // reload or restart: proposals of the other kind are left out of patches
}

// Unfit tells whether the data cannot carry a recommendation of a pool: exit code 5.
func (a *Advice) Unfit() bool {
	for _, f := range a.Findings {
		if f.Blocks {
			return true
		}
	}
	return false
}

// From makes the advice of a run.
func From(doc *rundoc.Document, o Options) (*Advice, error) {
	a := &Advice{
		SchemaVersion: SchemaVersion, Kind: Kind, Version: doc.Version, RunStarted: doc.StartedAt, Target: doc.Target, Partial: doc.Partial, Only: o.Only,
		Capacities: []capacity.Capacity{}, Findings: []advisor.Finding{},
	}
	curves, findings := capacity.Analyse(doc)
	a.Capacities = append(a.Capacities, curves...)
	a.Findings = append(a.Findings, findings...)
	if doc.Partial != "" {
		a.Findings = append(a.Findings, advisor.Finding{Code: "partial", Text: "the run ended early: " + doc.Partial, Lift: "run it to its end"})
	}
	if same, ok := doc.Facts.SameHost.Get(); ok && same {
		a.Findings = append(a.Findings, advisor.Finding{
			Code: "R12", Text: "the load generator ran on the server's own host and used part of its processors: the knee may be low",
			Lift: "run pgfit on another machine",
		})
	}
	a.Pool, findings = pool.Advise(poolInput(doc, curves))
	a.Findings = append(a.Findings, findings...)
	a.Settings = rules.Advise(rules.Input{
		Facts: doc.Facts, Doc: doc, Pool: rulesPool(a.Pool, curves), Workload: o.Workload, RecoveryTime: o.RecoveryTime, RuleSet: o.RuleSet, Dedicated: o.Dedicated,
	})
	a.Findings = append(a.Findings, a.Settings.Findings...)
	a.verified(doc)
	if o.CompareFormulas {
		a.Formulas = Formulas(doc, o)
	}
	return a, nil
}

// Formulas is what the well-known tools would say for the machine of a run.
func Formulas(doc *rundoc.Document, o Options) []formulas.Comparison {
	return formulas.Compare(formulas.From(doc.Facts, formulaWorkload(o.Workload)))
}

// formulaWorkload is what the well-known tools are asked for when the user named nothing.
func formulaWorkload(w string) string {
	if w == "" || w == "auto" {
		return "oltp"
	}
	return w
}

func poolInput(doc *rundoc.Document, curves []capacity.Capacity) pool.Input {
	s := doc.Facts.Server
	su, _ := s.Settings.Int("superuser_reserved_connections")
	reserved, _ := s.Settings.Int("reserved_connections")
	in := pool.Input{Curves: curves, Demand: doc.Demand, ConnectTime: doc.Calibration.ConnectSeconds, Reserved: int(su + reserved), Others: s.InUse}
	if cpus, ok := doc.Facts.Host.CPU.Effective.Get(); ok {
		in.CPUs = math.Ceil(cpus)
	}
	if idle, ok := s.Settings.Duration("idle_session_timeout"); ok {
		in.Idle = idle.Seconds()
	}
	for _, v := range doc.Visits {
		in.Writes = in.Writes || v.Server.TupInserted+v.Server.TupUpdated+v.Server.TupDeleted > v.Transactions/10
	}
	return in
}

// rulesPool is what the rules need to know about the pool: its total, and how many of its connections are busy.
func rulesPool(p advisor.PoolAdvice, curves []capacity.Capacity) rules.Pool {
	out := rules.Pool{Total: p.Processes * (p.PoolSize + p.MaxOverflow), Processes: p.Processes}
	for _, s := range p.Scenarios {
		out.Active = math.Max(out.Active, s.MeanBusy)
	}
	if out.Active == 0 {
		for _, c := range curves {
			out.Active = math.Max(out.Active, math.Min(float64(p.Total), c.At(c.Chosen).Busy))
		}
	}
	return out
}
