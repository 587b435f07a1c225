package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestLists: each caller runs its list and nothing else, and two visits with one seed send the same.
func TestLists(t *testing.T) {
	cfg := server(t, nil)
	statement(t, cfg, "CREATE TABLE sent (client int, kind text, key int, place serial)")
	script := func(kind string) string {
		return "\\set key random(1, 1000000)\nINSERT INTO sent VALUES (:client_id, '" + kind + "', :key);\n"
	}
	scripts := []Weighted{{parse(t, "a", script("a")), 5}, {parse(t, "b", script("b")), 1}}
	drivers(t, func(t *testing.T, driver string) {
		e := open(t, Config{Connect: cfg, Driver: driver, Seed: 1, Scripts: scripts}, 2)
		run := func(seed uint64) string {
			statement(t, cfg, "TRUNCATE sent")
			r, err := e.Run(context.Background(), Load{Pool: 2, Lists: [][]int{{1, 0, 1}, {0, 1, 1, 1}}, Seed: seed, Duration: time.Minute})
			if err != nil || r.Ops[0].Count != 2 || r.Ops[1].Count != 5 || r.Failed > 0 || r.Elapsed >= time.Minute {
				t.Fatalf("%+v, %v", r, err)
			}
			return text(t, cfg, "SELECT string_agg(concat_ws(' ', client, kind, key), ', ' ORDER BY client, place) FROM sent")
		}
		first, again, other := run(7), run(7), run(8)
		var order string
		for _, c := range []string{"0 b", "0 a", "0 b", "1 a", "1 b", "1 b", "1 b"} {
			order += c + " %d, "
		}
		var keys [7]int
		if n, err := fmt.Sscanf(first+", ", order, &keys[0], &keys[1], &keys[2], &keys[3], &keys[4], &keys[5], &keys[6]); n != 7 {
			t.Errorf("sent %q: %v", first, err)
		}
		if again != first || other == first {
			t.Errorf("seed 7 sent\n%s\nthen\n%s\nand seed 8\n%s", first, again, other)
		}
		one, err := e.Run(context.Background(), Load{Pool: 2, Lists: [][]int{{0}, nil}, Duration: time.Minute})
		if err != nil || one.Transactions != 1 || one.Elapsed >= time.Minute || len(one.Bins) > 599 {
			t.Errorf("one transaction for two callers: %+v, %v", one, err)
		}
		if _, err := e.Run(context.Background(), Load{Pool: 2, Lists: [][]int{{0}}}); err == nil {
			t.Error("one list for two callers is taken")
		}
	})
}

// TestDeal: with costs the lists take as long as each other, as far as the transactions allow; without, they hold equally many.
// Each transaction is dealt as often as was asked for, and in another order by another seed.
func TestDeal(t *testing.T) {
	cost := []float64{2.3, .7, 1.7, .1, .3, .04}
	orders := map[string]bool{}
	for seed := range uint64(50) {
		lists := Deal([]int{1, 1, 1, 1, 1, 1}, cost, 2, rand.New(rand.NewPCG(seed, 1)))
		var took [2]float64
		made := make([]int, 6)
		for i, list := range lists {
			for _, script := range list {
				took[i], made[script] = took[i]+cost[script], made[script]+1
			}
		}
		if longest := max(took[0], took[1]); longest > 2.75 || !slices.Equal(made, []int{1, 1, 1, 1, 1, 1}) {
			t.Errorf("seed %d: %v takes %v", seed, lists, took)
		}
		orders[fmt.Sprint(lists)] = true
		alike := Deal([]int{0, 5, 2}, nil, 3, rand.New(rand.NewPCG(seed, 1)))
		if len(alike[0]) != 3 || len(alike[1]) != 2 || len(alike[2]) != 2 {
			t.Errorf("seed %d: %v", seed, alike)
		}
	}
	if len(orders) < 10 {
		t.Errorf("only %d orders", len(orders))
	}
}
