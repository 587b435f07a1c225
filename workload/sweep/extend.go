package sweep

import (
	"context"
	"slices"
	"time"

	"pgfit/workload/rundoc"
)

// extend adds one pool size, half as large again as the largest, while fewer than two lie beyond the best one of any
// scenario, the server has room and the deadline has time.
func (r *run) extend(ctx context.Context, round int) {
	top, beyond := r.levels[len(r.levels)-1], beyondBest(r.levels, r.visits)
	next := min(top*3/2, r.Free)
	if next <= top || beyond >= 2 || !r.deadline.IsZero() && !room(time.Until(r.deadline), r.last, len(r.levels), min(r.plan.Rounds, keep(beyond))-round) {
		return
	}
	if err := r.Engine.Grow(ctx, next); err != nil {
		r.Log.Warn("no more pool sizes", "wanted", next, "err", err)
		r.Free = top
		return
	}
	r.Log.Info("the best pool size is near the largest: adding one", "pool", next)
	r.levels = append(slices.Clone(r.levels), next)
}

// keep is how many rounds must be left when a pool size is added: where the best one is the largest, nothing is known beyond
// it and rounds are given for that; a second pool size beyond the best is not worth one of the first five.
func keep(beyond int) int {
	if beyond == 0 {
		return minRounds
	}
	return GoodRounds
}

// room tells whether so many more rounds, and one at least, fit into the time with one more pool size, when the last one
// took so long.
func room(left, last time.Duration, levels, rounds int) bool {
	return left >= time.Duration(max(1, rounds))*last*time.Duration(levels+1)/time.Duration(levels)
}

// beyondBest is the number of pool sizes above the best one, of the scenario that has fewest.
func beyondBest(levels []int, visits []rundoc.Visit) int {
	sums := map[string]map[int][2]float64{}
	for _, v := range visits {
		if sums[v.Scenario] == nil {
			sums[v.Scenario] = map[int][2]float64{}
		}
		c := sums[v.Scenario][v.PoolSize]
		sums[v.Scenario][v.PoolSize] = [2]float64{c[0] + v.TPS, c[1] + 1}
	}
	least := len(levels)
	for _, byLevel := range sums {
		best, at := -1.0, 0
		for i, n := range levels {
			if c := byLevel[n]; c[1] > 0 && c[0]/c[1] > best {
				best, at = c[0]/c[1], i
			}
		}
		least = min(least, len(levels)-1-at)
	}
	return least
}
