package engine

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Deal makes lists for so many callers: every script so often as counts says, in random order. cost is what one run of each
// script takes; a script goes to the caller that has the least to do so far, the long ones first (Graham, Bounds on
// multiprocessing timing anomalies, 1969), so that the callers end at about the same time. Without costs, nil, all are alike.
func Deal(counts []int, cost []float64, callers int, rng *rand.Rand) [][]int {
	var all []int
	for script, n := range counts {
		for range n {
			all = append(all, script)
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	of := func(script int) float64 {
		if script < len(cost) && cost[script] > 0 {
			return cost[script]
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(of(b), of(a)) })
	lists, busy := make([][]int, callers), make([]float64, callers)
	for i := range lists {
		lists[i] = []int{} // nothing to do, unlike nil
	}
	for _, script := range all {
		least := slices.Index(busy, slices.Min(busy))
		lists[least], busy[least] = append(lists[least], script), busy[least]+of(script)
	}
	for _, l := range lists {
		rng.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
	}
	return lists
}

// Costs are the mean service times of a visit's scripts in seconds, for Deal; 0 where one was not run.
func Costs(res *Result) []float64 {
	cost := make([]float64, len(res.Ops))
	for i, op := range res.Ops {
		if op.Count > 0 {
			cost[i] = op.SumService / float64(op.Count)
		}
	}
	return cost
}

// Each are counts for Deal: each script that has a weight, so many times.
func Each(weights []int, times int) []int {
	counts := make([]int, len(weights))
	for i, w := range weights {
		if w > 0 {
			counts[i] = times
		}
	}
	return counts
}

// LongestList ends a visit by lists that the server does not get through.
const LongestList = 10 * time.Minute

// Listed is how many transactions the lists of a load hold.
func (l Load) Listed() (n int64) {
	for _, list := range l.Lists {
		n += int64(len(list))
	}
	return n
}
