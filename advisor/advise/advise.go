// Package advise composes the advice of a run: capacity curves, the pool, the settings, and what the data cannot carry. It is
// the one way from a run document to advice, a pure function, so that the same document gives the same bytes.
package advise

import (
	"math"
	"time"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
	"pgfit/advisor/formulas"
	"pgfit/advisor/plan"
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

// ruleGuide asks for the house guide's numbers.
const ruleGuide = "guide"

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
	RulesOnly     bool                  `json:"rules_only,omitempty"` // there was no run
	Target        string                `json:"target"`
	Partial       string                `json:"partial,omitempty"`
	Capacities    []capacity.Capacity   `json:"capacities"`
	Pool          advisor.PoolAdvice    `json:"pool"`
	Settings      advisor.Settings      `json:"settings"`
	Checks        []plan.Check          `json:"checks,omitempty"` // the pools at the demanded rate: predicted and observed
	Findings      []advisor.Finding     `json:"findings"`
	Verified      *prune.Result         `json:"verified,omitempty"`
	Against       *prune.Result         `json:"compared,omitempty"` // the patch against the answers of other tools
	Formulas      []formulas.Comparison `json:"formulas,omitempty"`
	Only          string                `json:"only,omitempty"` // reload or restart: proposals of the other kind are left out of patches
	StartCheck    advisor.StartCheck    `json:"start_check"`
}

// Values are the proposals that go into a patch, by name.
func (a *Advice) Values() map[string]string {
	values := map[string]string{}
	for _, p := range a.Settings.Proposals {
		if a.Only == "" || a.Only == p.Apply {
			values[p.Name] = p.Proposed
		}
	}
	return values
}

// Started takes the start check of a document, which may have been made since.
func (a *Advice) Started(doc *rundoc.Document) {
	a.StartCheck = advisor.JudgeStart(doc.StartCheck, a.Values(), doc.Facts.Server.Version)
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

// FromFacts makes the advice for a server on which nothing was measured: settings alone, by rules alone. doc has the facts
// and the files of a patch, and no visits.
func FromFacts(doc *rundoc.Document, o Options) (*Advice, error) {
	a := blank(doc, o)
	a.RulesOnly = true
	a.Findings = append(a.Findings, advisor.Finding{Code: "rules-only", Text: "there was no run: every value follows from facts by a stated rule, and nothing was measured",
		Lift: "pgfit run, on this server or on a scratch server of the same machine"})
	if o.RuleSet == ruleGuide {
		var err error
		if a.Pool, err = guidePool(a.Pool, doc.Demand, o.Workload); err != nil {
			return nil, err
		}
	}
	a.settings(doc, rules.Input{Facts: doc.Facts}, o)
	return a, nil
}

// settings asks the rules, given what the run adds to the options.
func (a *Advice) settings(doc *rundoc.Document, in rules.Input, o Options) {
	in.Workload, in.RecoveryTime, in.RuleSet, in.Dedicated = o.Workload, o.RecoveryTime, o.RuleSet, o.Dedicated
	a.Settings = rules.Advise(in)
	a.Findings = append(a.Findings, a.Settings.Findings...)
	a.verified(doc, Rules(o))
	a.together(in, doc.Verification)
	if o.CompareFormulas {
		a.Formulas = Formulas(doc, o)
	}
	a.Started(doc)
}

// Rules names the set of rules of some options, as a verification keeps it: "" is pgfit's own.
func Rules(o Options) string {
	if o.RuleSet == ruleGuide {
		return ruleGuide
	}
	return ""
}

func blank(doc *rundoc.Document, o Options) *Advice {
	return &Advice{
		SchemaVersion: SchemaVersion, Kind: Kind, Version: doc.Version, RunStarted: doc.StartedAt, Target: doc.Target, Partial: doc.Partial, Only: o.Only,
		Capacities: []capacity.Capacity{}, Findings: []advisor.Finding{},
	}
}

// From makes the advice of a run.
func From(doc *rundoc.Document, o Options) (*Advice, error) {
	a := blank(doc, o)
	curves, findings := capacity.Analyse(doc)
	a.Capacities = append(a.Capacities, curves...)
	a.Findings = append(a.Findings, findings...)
	if doc.Partial != "" {
		a.Findings = append(a.Findings, advisor.Finding{Code: "partial", Text: "the run ended early: " + doc.Partial, Lift: "run it to its end"})
	}
	a.Checks = plan.Checks(doc, curves)
	a.Findings = append(a.Findings, plan.Doubts(a.Checks)...)
	a.Pool, findings = pool.Advise(poolInput(doc, curves))
	a.Findings = append(a.Findings, findings...)
	if o.RuleSet == ruleGuide {
		var err error
		if a.Pool, err = guidePool(a.Pool, doc.Demand, o.Workload); err != nil {
			return nil, err
		}
	}
	a.settings(doc, rules.Input{Facts: doc.Facts, Doc: doc, Pool: rulesPool(a.Pool, curves)}, o)
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
	in := pool.Input{Curves: curves, Demand: doc.Demand, Waits: pool.Waits(doc), ConnectTime: doc.Calibration.ConnectSeconds, Reserved: int(su + reserved), Others: s.InUse}
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
