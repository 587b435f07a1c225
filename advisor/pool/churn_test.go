package pool

import (
	"math"
	"testing"
)

// The figures of a simulation of QueuePool's code in the notes on concurrency: new connections per 1000 checkouts, 30
// connections at most, 20 busy on average; and SQLAlchemy's default of 5 + 10 with 10 busy.
func TestChurn(t *testing.T) {
	for _, tc := range []struct {
		size, total int
		busy        float64
		want        float64 // per 1000
		slack       float64 // relative
	}{{30, 30, 20, 0, 0}, {20, 30, 20, 1.9, .25}, {15, 30, 20, 15, .1}, {10, 30, 20, 48, .1}, {5, 30, 20, 135, .1}, {5, 15, 10, 91, .1}} {
		got := 1000 * Churn(tc.size, tc.total, tc.busy)
		if math.Abs(got-tc.want) > tc.slack*tc.want+.35 {
			t.Errorf("Churn(%d, %d, %g) = %.2f per 1000, want %g", tc.size, tc.total, tc.busy, got, tc.want)
		}
	}
}

// A dear connection wants a larger pool_size, a cheap one may be opened again; never less than the mean busy count.
func TestSteadySize(t *testing.T) {
	cheap, dear := steadySize(30, 20, .05, .0001), steadySize(30, 20, .05, .5)
	if cheap != 20 || dear <= 20 || dear > 30 {
		t.Errorf("cheap connections: %d, dear ones: %d", cheap, dear)
	}
	if n := steadySize(8, 20, .05, .02); n != 8 {
		t.Errorf("an overloaded pool keeps %d of 8", n)
	}
}
