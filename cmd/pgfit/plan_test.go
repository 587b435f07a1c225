package main

import (
	"errors"
	"testing"

	"pgfit/advisor/plan"
)

// A broken promise is named, with who breaks it; "perhaps" is none.
func TestBroken(t *testing.T) {
	promises := []plan.Promise{{Share: .99, Limit: .05}, {Share: .5, Limit: .01}}
	row := func(k plan.Keeps) plan.Row { return plan.Row{Rate: 300, Keeps: k} }
	plans := []plan.Plan{{Scenario: "a", Now: row(plan.Yes)}, {Scenario: "b", Now: row(plan.No)}, {Scenario: "c", Now: row(plan.Perhaps)}}
	err := broken(plans, promises)
	if want := "a gate failed: not kept: p99 of at most 50 ms and p50 of at most 10 ms, by b at 300/s"; !errors.Is(err, errGate) || err.Error() != want {
		t.Errorf("broken = %v, want %s", err, want)
	}
	if err := broken(plans[:1], promises); err != nil {
		t.Errorf("kept: %v", err)
	}
}
