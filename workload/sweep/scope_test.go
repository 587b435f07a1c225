package sweep

import (
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
)

// TestScope: a scenario whose visits would not hold five statements of every connection keeps its part of a round, and spends
// it on smaller pools in longer visits.
func TestScope(t *testing.T) {
	levels := []int{1, 2, 4, 8, 16, 32, 64}
	for _, tc := range []struct {
		name   string
		x      float64
		most   int
		atMost time.Duration
	}{
		{"fast", 5000, 0, time.Second}, {"nine a second", 9, 4, 3 * time.Second}, {"a hundred a second", 100, 16, 3 * time.Second}, {"one in ten seconds", .1, 2, 5 * time.Second}, {"none", 0, 2, 5 * time.Second},
	} {
		most, length := scopeOf(levels, time.Second, 300*time.Millisecond, tc.x)
		if most != tc.most || length < time.Second || length > tc.atMost {
			t.Errorf("%s: up to %d in visits of %s, want up to %d and at most %s", tc.name, most, length, tc.most, tc.atMost)
		}
	}
}

// TestDeck: as few transactions as have the scenario's shares; one of each where those take many.
func TestDeck(t *testing.T) {
	for _, tc := range []struct{ weights, want []int }{
		{[]int{0, 2, 3, 0, 4}, []int{0, 2, 3, 0, 4}}, {[]int{20, 30, 50}, []int{2, 3, 5}}, {[]int{7}, []int{1}}, {[]int{97, 0, 3}, []int{1, 0, 1}},
	} {
		if got := deckOf(tc.weights); !slices.Equal(got, tc.want) {
			t.Errorf("%v: %v, want %v", tc.weights, got, tc.want)
		}
	}
}

// TestVisitLists: each visit of a round makes the same transactions whatever the pool size, those of another round in
// another order.
func TestVisitLists(t *testing.T) {
	count := func(load engine.Load) map[int]int {
		n := map[int]int{}
		for _, list := range load.Lists {
			for _, script := range list {
				n[script]++
			}
		}
		return n
	}
	scope := rundoc.Scope{Scenario: "long", MostPool: 2, MeasureSeconds: 5, Transactions: 12}
	load := engine.Load{Weights: []int{0, 1, 2, 3}, Pool: 1}
	one := lists(7, scope, nil, load, 1)
	load.Pool = 2
	two, other := lists(7, scope, nil, load, 1), lists(7, scope, nil, load, 2)
	want := map[int]int{1: 2, 2: 4, 3: 6}
	if !maps.Equal(count(one), want) || !maps.Equal(count(two), want) || len(one.Lists) != 1 || len(two.Lists) != 2 || one.Seed != two.Seed {
		t.Errorf("%v with seed %d and %v with %d, want %v twice", one.Lists, one.Seed, two.Lists, two.Seed, want)
	}
	scope.Transactions = 3
	if few := lists(7, scope, nil, load, 1); !maps.Equal(count(few), map[int]int{1: 1, 2: 1, 3: 1}) {
		t.Errorf("%v where a deck takes too long, want one of each", few.Lists)
	}
	if other.Seed == two.Seed || reflect.DeepEqual(other.Lists, two.Lists) {
		t.Errorf("rounds 1 and 2 are alike: %v, %d", two.Lists, two.Seed)
	}
}

// TestNominal: one of each of two kinds that take 1 s and 3 s, of which the mix has three parts to one.
func TestNominal(t *testing.T) {
	v := rundoc.Visit{PoolSize: 2, TPS: 1, Ops: []rundoc.Op{{Count: 1, MeanService: 1}, {Count: 1, MeanService: 3}}}
	if x := nominal(v, []int{0, 3, 1}); math.Abs(x-2/1.5) > 1e-12 {
		t.Errorf("%g/s", x)
	}
	if x := nominal(v, []int{1, 3, 1}); x != 1 {
		t.Errorf("%g/s where a kind is missing, want what was counted", x)
	}
	v.Transactions, v.Marks = 2, []rundoc.Mark{{Code: "little"}, {Code: "steal"}}
	if err := asList(&v, engine.Load{Weights: []int{0, 1, 1}, Lists: [][]int{{1, 2}}}); err != nil || v.TPS != 1 || len(v.Marks) != 1 {
		t.Errorf("%v, %+v", err, v)
	}
	if err := asList(&v, engine.Load{Weights: []int{0, 1, 1}, Lists: [][]int{{1, 2, 2}}}); !errors.Is(err, ErrStuck) {
		t.Errorf("%v for a list without an end", err)
	}
}
