package trial

import (
	"errors"
	"testing"
	"time"

	"pgfit/workload/load"
	"pgfit/workload/rundoc"
)

func TestMakePlan(t *testing.T) {
	for _, tc := range []struct {
		name    string
		r       Request
		measure [2]time.Duration // at least, at most
	}{
		{"short", Request{Budget: 2 * time.Minute, Bytes: 100 << 20, Scenarios: 2, Comparisons: 8, Copies: true}, [2]time.Duration{time.Second, time.Second}},
		{"long", Request{Budget: time.Hour, Bytes: 1 << 30, Scenarios: 2, Comparisons: 8, Copies: true}, [2]time.Duration{3 * time.Second, 10 * time.Second}},
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

// TestRefit: once long visits are known there are fewer pairs, six at the least, and where there is time for more they are
// more; the user's stay.
func TestRefit(t *testing.T) {
	r := Request{Budget: 10 * time.Minute, Data: 480 << 20, Scenarios: 3, Comparisons: 8, Copies: true}
	p, err := MakePlan(r)
	if err != nil {
		t.Fatal(err)
	}
	long := []rundoc.Scope{{Scenario: "analytic", MostPool: 2, MeasureSeconds: 4}}
	last := 0
	for _, left := range []time.Duration{time.Minute, 8 * time.Minute, 10 * time.Minute, time.Hour} {
		got := p.Refit(r, long, 0, left)
		if got.Pairs < last || got.Pairs < 6 || got.Pairs > 12 || got.Pairs > 6 && 4*got.comparison(r, long)+got.afterwards(r) > left {
			t.Errorf("%d pairs in %s, after %d in less", got.Pairs, left, last)
		}
		last = got.Pairs
	}
	if least := p.Refit(r, long, 0, time.Minute).Pairs; least != 6 || last != 12 {
		t.Errorf("%d pairs where there is no time, %d where there is enough", least, last)
	}
	const left = 10 * time.Minute
	slow := p.Refit(r, long, 10*time.Second, left)
	if fast := p.Refit(r, long, 5*time.Second, left); slow.Pairs >= fast.Pairs || 4*slow.Remaining(r, long, 10*time.Second) > left {
		t.Errorf("%d pairs in %s where each takes 10 s, %d where it takes 5 s", slow.Pairs, left, fast.Pairs)
	}
	slow = p.Refit(r, long, time.Minute, left)
	if six := slow.Remaining(r, nil, time.Minute); slow.Pairs != 6 || six < 5*time.Minute || six > 6*time.Minute {
		t.Errorf("%d pairs, of which each after the first takes a minute, take %s", slow.Pairs, six)
	}
	if r.Pairs = 9; p.Refit(r, long, 0, time.Hour).Pairs != p.Pairs || p.Refit(r, nil, 0, 0).Pairs != p.Pairs {
		t.Error("pairs are changed that were asked for, or that no long visit disturbs")
	}
	if many := (Request{Comparisons: 8, Asked: 8}); many.few() != 8 {
		t.Errorf("%d of 8 comparisons that the user named", many.few())
	}
}
