package trial

import (
	"maps"
	"reflect"
	"testing"
	"time"

	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
)

// TestNarrow: a visit holds five transactions of each connection and fifty in all; where it does not, it gets fewer
// connections.
func TestNarrow(t *testing.T) {
	for _, tc := range []struct {
		name    string
		pool    int
		done    int64
		elapsed time.Duration
		fewer   int
		narrow  bool
	}{
		{"fast", 16, 9000, time.Second, 16, false},
		{"ten a second", 16, 10, time.Second, 2, true},
		{"one in two seconds", 16, 5, 10 * time.Second, 2, true},
		{"fifty a second", 16, 50, time.Second, 10, true},
		{"long, one by one", 1, 20, time.Second, 1, true},
		{"none", 4, 0, 3 * time.Second, 2, true},
	} {
		if fewer, ok := narrow(tc.pool, time.Second, tc.done, tc.elapsed); fewer != tc.fewer || ok != tc.narrow {
			t.Errorf("%s: %d connections, %v; want %d, %v", tc.name, fewer, ok, tc.fewer, tc.narrow)
		}
	}
}

// TestRounds: a visit is as many rounds as fill the planned time, each of every kind of transaction; the same pair gives the
// same lists and draws, another one others.
func TestRounds(t *testing.T) {
	three := scenario.Scenario{Name: "three", Transactions: []scenario.Transaction{{Weight: 9}, {Weight: 1}, {Weight: 3}}}
	r := &Runner{Scenarios: []scenario.Scenario{{Transactions: []scenario.Transaction{{Weight: 1}}}, three}, Measure: time.Second, Seed: 3,
		Narrowed: []rundoc.Scope{{Scenario: "three", MostPool: 2}}}
	s := r.narrowed("three")
	r.size(s, 400*time.Millisecond)
	if s.Transactions != 18 || s.MeasureSeconds != 1.2 {
		t.Fatalf("sized %+v, want 3 rounds of 6 transactions in 1.2 s", *s)
	}
	one, again, other := r.loads("three", 1), r.loads("three", 1), r.loads("three", 2)
	for k, load := range one {
		count := map[int]int{}
		for _, list := range load.Lists {
			for _, script := range list {
				count[script]++
			}
		}
		if len(one) != 3 || len(load.Lists) != 2 || len(load.Lists[0]) != 3 || !maps.Equal(count, map[int]int{1: 2, 2: 2, 3: 2}) {
			t.Errorf("round %d: %v", k, load.Lists)
		}
		if !reflect.DeepEqual(load.Lists, again[k].Lists) || load.Seed != again[k].Seed || load.Seed == other[k].Seed || load.Seed == one[(k+1)%3].Seed {
			t.Errorf("round %d: %v with seed %d, then %v with %d; of another pair %d", k, load.Lists, load.Seed, again[k].Lists, again[k].Seed, other[k].Seed)
		}
	}
}
