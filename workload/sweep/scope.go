package sweep

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"pgfit/workload/engine"
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
		scope := rundoc.Scope{Scenario: name, MostPool: most, MeasureSeconds: length.Seconds()}
		if plain := r.Shape.Rate == 0 && r.Shape.Callers == 0 && r.Shape.Think == 0; plain {
			deck := sum(deckOf(r.Weights[name]))
			fits := length.Seconds() * float64(done) / elapsed.Seconds() / float64(deck)
			scope.Transactions = deck * int(math.Round(fits))
			if fits < .5 {
				scope.Transactions = sum(engine.Each(r.Weights[name], 1))
			}
		}
		p.Scopes = append(p.Scopes, scope)
		r.Log.Info("long statements: fewer pool sizes, longer visits", "scenario", name, "most", most, "seconds", length.Seconds())
	}
}

func sum(counts []int) (n int) {
	for _, k := range counts {
		n += k
	}
	return n
}

// deckOf are transactions in exactly the shares of a scenario: as few as that takes, or one of each kind where the shares
// take more than four times as many.
func deckOf(weights []int) []int {
	by, kinds := 0, 0
	for _, w := range weights {
		for a := w; a > 0; {
			by, a = a, by%a
		}
		kinds += min(w, 1)
	}
	if sum(weights) > 4*kinds*by {
		return engine.Each(weights, 1)
	}
	deck := slices.Clone(weights)
	for i := range deck {
		deck[i] /= by
	}
	return deck
}

// lists make a visit to a scenario with long statements: the same transactions in each, whole decks or one of each kind, in an order and with values that
// follow from the seed and the round, so that neither the mix nor what is under way at the ends of a window tells pool sizes
// or rounds apart.
func lists(seed uint64, s rundoc.Scope, load engine.Load, round int) engine.Load {
	rng := rand.New(rand.NewPCG(seed, uint64(round)))
	counts := deckOf(load.Weights)
	times := s.Transactions / sum(counts)
	for i := range counts {
		counts[i] *= times
	}
	if times == 0 { // a deck takes too long
		counts = engine.Each(load.Weights, 1)
	}
	load.Lists, load.Seed = engine.Deal(counts, load.Pool, rng), rng.Uint64()|1
	load.Warmup, load.Duration = 0, engine.LongestList
	return load
}

// busyAll is the throughput of a visit by lists as it is while every connection is busy with the scenario's mix: at the end
// of a list some have nothing left to do, and one of each kind is no mix. It stays as it was counted where a kind is missing.
func busyAll(v rundoc.Visit, weights []int) float64 {
	shares := slices.DeleteFunc(slices.Clone(weights), func(w int) bool { return w == 0 })
	if len(v.Ops) != len(shares) {
		return v.TPS
	}
	mean, all := 0.0, 0.0
	for i, w := range shares {
		mean, all = mean+float64(w)*v.Ops[i].MeanService, all+float64(w)
	}
	if mean <= 0 {
		return v.TPS
	}
	return float64(v.PoolSize) * all / mean
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
