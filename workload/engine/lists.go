package engine

import (
	"math/rand/v2"
	"time"
)

// Deal makes lists for so many callers: every script so often as counts says, shuffled and dealt out one by one.
func Deal(counts []int, callers int, rng *rand.Rand) [][]int {
	var all []int
	for script, n := range counts {
		for range n {
			all = append(all, script)
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	lists := make([][]int, callers)
	for i := range lists {
		lists[i] = []int{} // nothing to do, unlike nil
	}
	for i, script := range all {
		lists[i%callers] = append(lists[i%callers], script)
	}
	return lists
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
