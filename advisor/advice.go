// Package advisor thinks: it turns facts and measurements into advice, in pure functions. It opens no connection, reads
// no file and asks no clock, so that the same run document gives the same advice, byte for byte.
package advisor

import (
	"pgfit/probe"
)

// Method says how a value came about.
type Method string

// The methods.
const (
	Measured Method = "measured" // follows from a measurement of this run
	Rule     Method = "rule"     // follows from facts by a stated rule; not measured
	Guide    Method = "guide"    // taken from the house guide as it stands
)

// Input is one figure that a value rests on, in words and units a reader can check.
type Input struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Proposal is one setting that should change.
type Proposal struct {
	Name       string  `json:"name"`
	Family     string  `json:"family"`   // memory, planner, wal, checkpoint, autovacuum, parallel, connections, io, logging
	Current    string  `json:"current"`  // as a person writes it, such as 128MB
	Proposed   string  `json:"proposed"` // the same
	Context    string  `json:"context"`  // pg_settings.context
	Apply      string  `json:"apply"`    // restart or reload
	Method     Method  `json:"method"`
	Reason     string  `json:"reason"` // one sentence
	Inputs     []Input `json:"inputs,omitempty"`
	Source     string  `json:"source"`                 // manual section, mailing list, measurement
	Confidence string  `json:"confidence"`             // high, medium, low
	Lift       string  `json:"would_change,omitempty"` // what would change its mind
	Verified   *Effect `json:"verified,omitempty"`
}

// Kept is a setting that a rule looked at and left alone.
type Kept struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Reason string `json:"reason"`
}

// Effect is a measured ratio of patch over present, with its 95 % interval.
type Effect struct {
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Pairs int     `json:"pairs"`
}

// Finding is a doubt or a refusal: a code, what is wrong, and what would lift it.
type Finding struct {
	Code     string `json:"code"` // R1 ... R14, or a word
	Scenario string `json:"scenario,omitempty"`
	Text     string `json:"text"`
	Lift     string `json:"lift,omitempty"`
	Blocks   bool   `json:"blocks,omitempty"` // the data cannot carry a recommendation: exit code 5
}

// Settings is what the rules say about postgresql.conf.
type Settings struct {
	Proposals []Proposal      `json:"proposals"`
	Kept      []Kept          `json:"kept"`
	Budget    Budget          `json:"budget"`
	Notes     []probe.Warning `json:"notes,omitempty"` // huge page count, sysctl lines, durability warnings
	Findings  []Finding       `json:"findings,omitempty"`
}

// Budget is the worst-case sum of a set of settings, against what there is. Over speaks of memory alone: nobody
// survives that one. A full WAL volume and a slow recovery have marks of their own.
type Budget struct {
	Memory        []BudgetLine `json:"memory"`
	Total         int64        `json:"memory_total_bytes"`
	Limit         int64        `json:"memory_limit_bytes"` // 0: the memory of the machine is not known
	Over          bool         `json:"over"`
	WALDisk       int64        `json:"wal_disk_bytes"`
	DiskFree      int64        `json:"wal_disk_free_bytes,omitempty"`
	DiskOver      bool         `json:"wal_disk_over,omitempty"`
	Recovery      float64      `json:"recovery_seconds,omitempty"`
	RecoveryLimit float64      `json:"recovery_limit_seconds,omitempty"`
	RecoveryOver  bool         `json:"recovery_over,omitempty"`
	Replay        float64      `json:"assumed_replay_bytes_per_second,omitempty"` // what Recovery rests on
}

// BudgetLine is one term of the sum.
type BudgetLine struct {
	What  string `json:"what"`
	Bytes int64  `json:"bytes"`
}
