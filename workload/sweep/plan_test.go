package sweep

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"
)

func TestMakePlanFitsTheBudget(t *testing.T) {
	for _, tc := range []struct {
		name   string
		budget time.Duration
		levels []int
		scen   []string
	}{
		{"three minutes", 3 * time.Minute, nil, []string{"a", "b"}},
		{"ten minutes", 10 * time.Minute, nil, []string{"a", "b"}},
		{"an hour", time.Hour, nil, []string{"a"}},
		{"few levels, long", 30 * time.Minute, []int{1, 4}, []string{"a"}},
		{"three scenarios", 5 * time.Minute, nil, []string{"a", "b", "c"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := MakePlan(Request{Scenarios: tc.scen, Levels: tc.levels, Free: 90, Budget: tc.budget, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			if got := Seconds(p); got > tc.budget.Seconds() {
				t.Errorf("the plan takes %.1f s of a budget of %s: %+v", got, tc.budget, p)
			}
			if p.Rounds < minRounds || p.Rounds > maxRounds || p.MeasureSeconds < 1 || p.MeasureSeconds > 30 {
				t.Errorf("rounds %d, %g s a visit are out of bounds", p.Rounds, p.MeasureSeconds)
			}
		})
	}
}

func TestMakePlanRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		levels []int
		free   int
		budget time.Duration
	}{
		{"pool of 0", []int{0, 4}, 90, time.Hour},
		{"pool above the free connections", []int{4, 91}, 90, time.Hour},
		{"no free connection", nil, 0, time.Hour},
		{"budget too short", nil, 90, 20 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := MakePlan(Request{Scenarios: []string{"a", "b"}, Levels: tc.levels, Free: tc.free, Budget: tc.budget})
			if !errors.Is(err, ErrPlan) {
				t.Errorf("MakePlan = %v, want ErrPlan", err)
			}
		})
	}
}

func TestRoundOrder(t *testing.T) {
	p, err := MakePlan(Request{Scenarios: []string{"a", "b"}, Free: 90, Budget: 10 * time.Minute, Seed: 42})
	if err != nil {
		t.Fatal(err)
	}
	one, again := roundOrder(p, p.Levels, 1), roundOrder(p, p.Levels, 1)
	if !reflect.DeepEqual(one, again) {
		t.Error("the same seed gives another order")
	}
	seen := map[visitRef]int{}
	for _, r := range one {
		seen[r]++
	}
	if len(seen) != len(p.Levels)*2 {
		t.Errorf("a round has %d different visits, want %d", len(seen), len(p.Levels)*2)
	}
	if reflect.DeepEqual(one, roundOrder(p, p.Levels, 2)) {
		t.Error("two rounds have the same order")
	}
}

func TestPromise(t *testing.T) {
	if got := promise(5); math.Abs(got-100*2.776*0.05/math.Sqrt(5)) > 1e-9 {
		t.Errorf("promise(5) = %g", got)
	}
}
