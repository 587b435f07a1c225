package sweep

import (
	"time"

	"pgfit/workload/rundoc"
)

// generations is how many transactions of each connection a visit has to hold. With fewer, how many end within it is chance,
// and the last of them keep the next visit waiting.
const generations = 5

// slowest stands for the rate of a scenario that finished next to nothing in its warm-up: one transaction in ten seconds.
const slowest = 0.1

// scopeOf says which of the pool sizes a scenario is measured at, and in visits of which length, when it makes x transactions
// a second: all, as planned, unless its statements take too long for that. Then it keeps its part of a round and spends that
// on its smaller pool sizes, two at least, in longer visits. most is the largest pool size, 0 for all.
func scopeOf(levels []int, measure, warmup time.Duration, x float64) (most int, length time.Duration) {
	round := time.Duration(len(levels)) * (measure + warmup + overhead)
	for k := len(levels); k > 0; k-- {
		top := levels[k-1]
		last := seconds(float64(top) / max(x, slowest)) // one transaction of each connection, and what is under way at the end
		length = round/time.Duration(k) - warmup - overhead - last
		if k == len(levels) {
			most, length = 0, measure
		} else {
			most = top
		}
		if length >= generations*last || k <= 2 {
			break
		}
	}
	return most, max(length, measure)
}

// narrow takes the scope of every scenario from its first warm-up, where the pool sizes are pgfit's own choice.
func (r *run) narrow(name string, done int64, elapsed time.Duration) {
	if !r.Grow || elapsed <= 0 {
		return
	}
	p := r.plan
	most, length := scopeOf(r.levels, seconds(p.MeasureSeconds), seconds(p.WarmupSeconds), float64(done)/elapsed.Seconds())
	if most > 0 {
		p.Scopes = append(p.Scopes, rundoc.Scope{Scenario: name, MostPool: most, MeasureSeconds: length.Seconds()})
		r.Log.Info("long statements: fewer pool sizes, longer visits", "scenario", name, "most", most, "seconds", length.Seconds())
	}
}

// order is a round without the pool sizes that are beyond a scenario's scope.
func (r *run) order(round int) []visitRef {
	var out []visitRef
	for _, ref := range roundOrder(*r.plan, r.levels, round) {
		if s, ok := r.plan.Scope(r.plan.Scenarios[ref.scenario]); !ok || ref.level <= s.MostPool {
			out = append(out, ref)
		}
	}
	return out
}
