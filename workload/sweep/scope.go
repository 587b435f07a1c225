package sweep

import (
	"errors"
	"fmt"
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
		if r.Shape.Rate == 0 && r.Shape.Callers == 0 && r.Shape.Think == 0 {
			scope.Transactions = r.size(name, length, float64(done)/elapsed.Seconds())
		}
		p.Scopes = append(p.Scopes, scope)
		r.Log.Info("long statements: fewer pool sizes, longer visits", "scenario", name, "most", most, "seconds", length.Seconds())
	}
}

// size is how many transactions a list has that takes about so long at x transactions a second: whole decks, or where not even
// half of one fits, one of each kind.
func (r *run) size(name string, length time.Duration, x float64) int {
	deck := sum(deckOf(r.Weights[name]))
	fits := length.Seconds() * x / float64(deck)
	if fits < .5 {
		return sum(engine.Each(r.Weights[name], 1))
	}
	return deck * int(math.Round(fits))
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

// lists make a visit to a scenario with long statements: the same transactions in each, whole decks or one of each kind, in an
// order and with values that follow from the seed and the round, so that neither the mix nor what is under way at the ends of a
// window tells pool sizes or rounds apart. cost is what each script takes, nil when that is not known.
func lists(seed uint64, s rundoc.Scope, cost []float64, load engine.Load, round int) engine.Load {
	rng := rand.New(rand.NewPCG(seed, uint64(round)))
	counts := deckOf(load.Weights)
	times := s.Transactions / sum(counts)
	for i := range counts {
		counts[i] *= times
	}
	if times == 0 { // a deck takes too long
		counts = engine.Each(load.Weights, 1)
	}
	load.Seed = rng.Uint64() | 1 // at first: the values are the same at every pool size
	load.Lists = engine.Deal(counts, cost, load.Pool, rng)
	load.Warmup, load.Duration = 0, engine.LongestList
	return load
}

// nominal is the throughput of a visit by lists in the scenario's mix: one of each kind is none. The time at the end of a list
// in which some connections have nothing left to do is in it, a few percent less than a load that goes on has. It stays as it
// was counted where a kind is missing.
func nominal(v rundoc.Visit, weights []int) float64 {
	shares := slices.DeleteFunc(slices.Clone(weights), func(w int) bool { return w == 0 })
	if len(v.Ops) != len(shares) {
		return v.TPS
	}
	var made, count, mix, all float64
	for i, w := range shares {
		o := v.Ops[i]
		made, count = made+float64(o.Count)*o.MeanService, count+float64(o.Count)
		mix, all = mix+float64(w)*o.MeanService, all+float64(w)
	}
	if mix <= 0 || made <= 0 {
		return v.TPS
	}
	return v.TPS * made / count / (mix / all)
}

// asList finishes a visit by lists: one that did not come to its end is an error, and that connections were idle at the end
// is no doubt about the load generator.
func asList(v *rundoc.Visit, load engine.Load) error {
	if n, made := load.Listed(), v.Transactions+v.Failed; made < n {
		return fmt.Errorf("%w: of a list of %d transactions %d were made in %.0f s", ErrStuck, n, made, v.Seconds)
	}
	v.TPS = nominal(*v, load.Weights)
	v.Marks = slices.DeleteFunc(v.Marks, func(m rundoc.Mark) bool { return m.Code == "little" })
	return nil
}

// ErrStuck says that statements take so long that a visit does not come to its end.
var ErrStuck = errors.New("statements take too long to be measured")

// order is a round without the pool sizes that are beyond a scenario's scope. Lists of long statements come last: they read whole
// tables, and drive what the others need out of a memory that does not hold all.
func (r *run) order(round int) []visitRef {
	var soon, late []visitRef
	for _, ref := range roundOrder(*r.plan, r.levels, round) {
		switch s, ok := r.plan.Scope(r.plan.Scenarios[ref.scenario]); {
		case !ok || ref.level <= s.MostPool && s.Transactions == 0:
			soon = append(soon, ref)
		case ref.level <= s.MostPool:
			late = append(late, ref)
		}
	}
	return append(soon, late...)
}
