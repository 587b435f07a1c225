package trial

import (
	"errors"
	"testing"
	"time"

	"pgfit/workload/load"
)

func TestMakePlan(t *testing.T) {
	for _, tc := range []struct {
		name    string
		r       Request
		measure [2]time.Duration // at least, at most
	}{
		{"short", Request{Budget: 90 * time.Second, Bytes: 100 << 20, Scenarios: 2, Comparisons: 8, Copies: true}, [2]time.Duration{time.Second, time.Second}},
		{"long", Request{Budget: time.Hour, Bytes: 1 << 30, Scenarios: 2, Comparisons: 8, Copies: true}, [2]time.Duration{5 * time.Second, 15 * time.Second}},
		{"no end of time", Request{Budget: 24 * time.Hour, Scenarios: 1, Comparisons: 2}, [2]time.Duration{30 * time.Second, 30 * time.Second}},
		{"the user's pairs", Request{Budget: 30 * time.Minute, Scenarios: 2, Pairs: 20, Comparisons: 5, Copies: true}, [2]time.Duration{2 * time.Second, 8 * time.Second}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := MakePlan(tc.r)
			if err != nil {
				t.Fatal(err)
			}
			if p.Measure < tc.measure[0] || p.Measure > tc.measure[1] {
				t.Errorf("visits of %s, want %v", p.Measure, tc.measure)
			}
			if tc.r.Pairs > 0 && p.Pairs != tc.r.Pairs || p.Pairs < 6 {
				t.Errorf("%d pairs", p.Pairs)
			}
			if whole := p.Seconds(tc.r, tc.r.Comparisons) + load.Time(tc.r.Bytes); p.Measure > time.Second && whole > tc.r.Budget {
				t.Errorf("the plan takes %s of %s", whole, tc.r.Budget)
			}
		})
	}
	if _, err := MakePlan(Request{Budget: 20 * time.Second, Bytes: 100 << 20, Scenarios: 2, Comparisons: 3}); !errors.Is(err, ErrPlan) {
		t.Errorf("MakePlan of 20 s = %v, want ErrPlan", err)
	}
}
