// Package plan sizes pools and headroom for a demand, from the capacity curves of a run: what the callers of one process
// wait and how long their requests take, which rate still keeps a promise, and when growth reaches it. It predicts an open
// loop from closed-loop measurements; every figure comes with the interval that the measured throughput leaves.
package plan

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
)

// Input is the demand and what it is held against.
type Input struct {
	Curves    []capacity.Capacity
	Rate      float64 // requests a second that need a connection, all processes together
	Processes int
	Growth    float64 // of the rate, per month: 0.05 is 5 %
	Promises  []Promise
	PoolSize  int               // what if: connections a process may have open; 0 takes the recommended number
	Doubts    []advisor.Finding // about the run, as capacity.Analyse has them
	Started   string            // when the run was made, RFC 3339: the months are counted from there
}

// Promise is a service level: the share of requests that takes no longer than Limit seconds, wait and service together.
type Promise struct {
	Share float64 `json:"share"`
	Limit float64 `json:"limit_seconds"`
}

func (p Promise) String() string {
	return fmt.Sprintf("p%g of at most %g ms", p.Share*100, p.Limit*1e3)
}

// Figure is a number with the interval that the measured throughput leaves it: its ends are the figures at the two ends of
// the 95 % interval of the throughput. +Inf stands for what grows without end or never comes.
type Figure struct {
	Value, Low, High float64
}

// MarshalJSON writes null where there is no number.
func (f Figure) MarshalJSON() ([]byte, error) {
	number := func(v float64) *float64 {
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil
		}
		return &v
	}
	return json.Marshal(struct {
		Value *float64 `json:"value"`
		Low   *float64 `json:"low"`
		High  *float64 `json:"high"`
	}{number(f.Value), number(f.Low), number(f.High)})
}

// Keeps says whether the promises are kept.
type Keeps string

// The answers. Perhaps: at one end of the interval they are, at the other they are not.
const (
	Yes     Keeps = "yes"
	No      Keeps = "no"
	Perhaps Keeps = "perhaps"
)

// Row is one rate with one pool. Times in seconds.
type Row struct {
	Factor     float64 `json:"times_demand"`
	Rate       float64 `json:"rate_per_second"`
	PerProcess int     `json:"connections_per_process"`
	Least      int     `json:"connections_per_process_low"` // of PerProcess, at the high end of the throughput; PerProcess itself where it was asked for
	Most       int     `json:"connections_per_process_high"`
	Total      int     `json:"connections"`
	Used       Figure  `json:"utilisation"` // the rate over what the pool carries
	Busy       Figure  `json:"mean_busy"`
	WaitShare  Figure  `json:"wait_share"`
	WaitMean   Figure  `json:"wait_mean_seconds"`
	Unsteady   Figure  `json:"wait_mean_unsteady_seconds"` // the part of WaitMean that a steady server of the same mean throughput would spare
	WaitP99    Figure  `json:"wait_p99_seconds"`
	P50        Figure  `json:"latency_p50_seconds"`
	P99        Figure  `json:"latency_p99_seconds"`
	Keeps      Keeps   `json:"keeps"` // the promises; without any: stays below nine tenths of the capacity
}

// Plan is the answer for one scenario.
type Plan struct {
	Scenario  string            `json:"scenario"`
	Processes int               `json:"processes"`
	Growth    float64           `json:"growth_per_month,omitempty"`
	Promises  []Promise         `json:"promises,omitempty"`
	Ceiling   int               `json:"ceiling"` // the measured pool size beyond which nothing is gained
	CV2       float64           `json:"hold_cv2"`
	Now       Row               `json:"now"`
	WhatIf    bool              `json:"what_if,omitempty"`                  // the pool of Now was asked for, not recommended
	MaxRate   Figure            `json:"highest_rate_per_second"`            // that keeps the promises
	Headroom  Figure            `json:"headroom"`                           // MaxRate over the demand, less 1
	Months    *Figure           `json:"months_until_headroom_is,omitempty"` // used up; nil without growth
	Ends      string            `json:"headroom_ends,omitempty"`            // the month, such as 2027-03
	EndsRange string            `json:"headroom_ends_interval,omitempty"`
	Table     []Row             `json:"table"`
	Findings  []advisor.Finding `json:"findings,omitempty"`
}

// Blocked tells whether the run cannot carry the plan.
func (p Plan) Blocked() bool {
	return slices.ContainsFunc(p.Findings, func(f advisor.Finding) bool { return f.Blocks })
}

// factors are the multiples of the demand in the table.
var factors = []float64{0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3}

// Make plans every scenario.
func Make(in Input) []Plan {
	var out []Plan
	for _, c := range in.Curves {
		out = append(out, one(in, c))
	}
	return out
}

func one(in Input, c capacity.Capacity) Plan {
	s := newServers(c, in)
	p := Plan{
		Scenario: c.Scenario, Processes: s.processes, Growth: in.Growth, Promises: in.Promises, Ceiling: c.Chosen, CV2: c.CV2, WhatIf: in.PoolSize > 0,
	}
	p.Now = s.row(1, in.Rate)
	p.MaxRate = s.highest()
	p.Headroom = Figure{p.MaxRate.Value/in.Rate - 1, p.MaxRate.Low/in.Rate - 1, p.MaxRate.High/in.Rate - 1}
	p.grow(in)
	for _, f := range factors {
		p.Table = append(p.Table, s.row(f, f*in.Rate))
	}
	p.Findings = findings(in, c, p)
	return p
}

// findings are what the plan cannot carry: R8, R9, R13, and the doubts about the run that it does not say itself, those that block
// first.
func findings(in Input, c capacity.Capacity, p Plan) []advisor.Finding {
	out := Overload(c, in.Rate)
	add := func(code, text, lift string) {
		out = append(out, advisor.Finding{Code: code, Scenario: c.Scenario, Text: text, Lift: lift})
	}
	chosen := c.At(c.Chosen)
	if chosen.Visits < 2 {
		add("R8", "one visit a pool size leaves no interval: every figure is a point without one", "measure at least 3 rounds")
	} else if chosen.Absolute.Low == 0 {
		add("R8", fmt.Sprintf("the throughput of pool size %d is not known: its %d visits differ too much for an interval", c.Chosen, chosen.Visits), "more rounds, on a quieter machine")
	} else if chosen.Absolute.High > wide*chosen.Absolute.Low {
		add("R8", fmt.Sprintf("the throughput of pool size %d is known between %.0f/s and %.0f/s only: read the intervals, not the figures", c.Chosen, chosen.Absolute.Low, chosen.Absolute.High),
			"more rounds, on a quieter machine")
	}
	out = append(out, TooFew(c.Chosen, p.Processes)...)
	out = append(out, Beyond(c, p.Now.Total)...)
	said := map[string]bool{}
	for _, f := range out {
		said[f.Code] = true
	}
	for _, f := range in.Doubts {
		switch mine := f.Scenario == c.Scenario || f.Scenario == ""; {
		case mine && f.Blocks:
			out = append([]advisor.Finding{f}, out...)
		case mine && !said[f.Code]:
			out = append(out, f)
		}
	}
	return out
}

// wide is R8: the upper end of the throughput over the lower one.
const wide = 1.5
