package trial

import (
	"math/rand/v2"
	"time"

	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
)

// generations is how many transactions of each connection a visit has to hold, and leastDone how many in all: with fewer,
// how many end within it is chance, and so is which of a scenario's kinds they are. With ten analytic transactions a visit,
// pairs of visits to one server differed by 76 %, with 12 to 29 by 31 %.
const (
	generations = 5
	leastDone   = 50
)

// narrow tells how many connections a scenario gets whose visits would hold too few of its transactions: two at least, since
// in a closed loop more of them only wait for each other. It makes done transactions in a time with pool connections; ok is
// false where visits hold enough.
func narrow(pool int, measure time.Duration, done int64, elapsed time.Duration) (fewer int, ok bool) {
	each := elapsed / time.Duration(max(1, done)) // between two ends
	if generations*time.Duration(pool)*each <= measure && leastDone*each <= measure {
		return pool, false
	}
	return min(pool, max(2, int(measure/(generations*max(each, 1))))), true
}

// narrowed is the scope of a scenario that is visited by lists of transactions; nil for the others.
func (r *Runner) narrowed(name string) *rundoc.Scope {
	for i, s := range r.Narrowed {
		if s.Scenario == name {
			return &r.Narrowed[i]
		}
	}
	return nil
}

// round is a list of transactions for each connection: every kind of the scenario once, or so often that each connection has
// two, in an order and with values that follow from the seed, the pair and the number of the round. Both sides of a pair get
// the same, so that neither the mix nor what is under way at the ends of a window tells them apart.
func (r *Runner) round(s *rundoc.Scope, pair, number int) engine.Load {
	rng := rand.New(rand.NewPCG(r.Seed, uint64(pair)<<32|uint64(number)))
	weights := r.weights(s.Scenario)
	kinds := 0
	for _, w := range weights {
		kinds += min(w, 1)
	}
	times := (2*s.MostPool + kinds - 1) / kinds
	load := engine.Load{Weights: weights, Pool: s.MostPool, Seed: rng.Uint64() | 1, Duration: engine.LongestList, Progress: r.Live}
	load.Lists = engine.Deal(engine.Each(weights, times), r.cost[s.Scenario], s.MostPool, rng)
	return load
}

// visit is every round of a visit to a narrowed scenario.
func (r *Runner) visit(s *rundoc.Scope, pair int) []engine.Load {
	loads := []engine.Load{r.round(s, pair, 0)}
	for n, each := 1, int(loads[0].Listed()); n*each < s.Transactions; n++ {
		loads = append(loads, r.round(s, pair, n))
	}
	return loads
}

// size gives the visits of a narrowed scenario so many rounds that they last as long as the others, one at least, going by
// what a round took on few connections.
func (r *Runner) size(s *rundoc.Scope, elapsed time.Duration) {
	each := int(r.round(s, 0, 0).Listed())
	rounds := int((r.Measure + elapsed - 1) / max(1, elapsed))
	s.Transactions, s.MeasureSeconds = rounds*each, (time.Duration(rounds) * elapsed).Seconds()
}
