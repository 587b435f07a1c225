package measure

import (
	"testing"
	"time"

	"pgfit/workload/rundoc"
)

// Phase C keeps to a quarter of the budget, prefers three rounds, and is left out where there is no time for a second's visit.
func TestPlanCheck(t *testing.T) {
	for _, tc := range []struct {
		budget    time.Duration
		scenarios int
		rounds    int
	}{{10 * time.Minute, 2, 3}, {time.Hour, 2, 3}, {3 * time.Minute, 2, 3}, {time.Minute, 2, 1}, {20 * time.Second, 2, 0}} {
		p := rundoc.Plan{}
		took := PlanCheck(&p, tc.scenarios, tc.budget)
		if p.CheckRounds != tc.rounds || took > tc.budget/checkPortion || (tc.rounds > 0) != (p.CheckSeconds >= 1) || p.CheckSeconds > 10 {
			t.Errorf("%s: %d rounds of %g s, %s in all, want %d rounds", tc.budget, p.CheckRounds, p.CheckSeconds, took, tc.rounds)
		}
	}
}
