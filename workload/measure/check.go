package measure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
	"pgfit/workload/sweep"
)

// Bounds of phase C.
const (
	checkRounds  = 3
	leastCheck   = time.Second      // of a visit
	mostCheck    = 10 * time.Second // of a visit
	checkWarmup  = 500 * time.Millisecond
	checkCost    = checkWarmup + 150*time.Millisecond // of a visit, beside its window
	checkPools   = 3                                  // recommended, guide, present
	checkPortion = 5                                  // a fifth of the budget at most
)

// PlanCheck fits phase C, so many scenarios with three pools each, into a fifth of the budget: fewer rounds first, then
// none. It gives the time that it takes.
func PlanCheck(p *rundoc.Plan, scenarios int, budget time.Duration) time.Duration {
	for rounds := checkRounds; rounds > 0; rounds-- {
		visits := time.Duration(rounds * scenarios * checkPools)
		window := min(budget/checkPortion/visits-checkCost, mostCheck).Truncate(50 * time.Millisecond)
		if window >= leastCheck {
			p.CheckRounds, p.CheckSeconds = rounds, window.Seconds()
			return visits * (window + checkCost)
		}
	}
	return 0
}

// Demanded is what phase C measures: pools under a rate, for some scenarios.
type Demanded struct {
	Scenarios []string
	Pools     []int
	Rate      float64 // per second
}

// check is phase C: every pool under Poisson arrivals at the demanded rate, latency from the intended start, in rounds of
// random order.
func (j *Job) check(ctx context.Context, s *sweep.Sweep, d Demanded, start time.Time) error {
	p := &j.Doc.Plan
	pools := slices.DeleteFunc(slices.Clone(d.Pools), func(n int) bool { return n < 1 || n > j.Free })
	slices.Sort(pools)
	pools = slices.Compact(pools)
	if p.CheckRounds == 0 || len(pools) == 0 || d.Rate <= 0 {
		return nil
	}
	if err := s.Engine.Grow(ctx, slices.Max(pools)); err != nil {
		return fmt.Errorf("opening %d connections: %w", slices.Max(pools), err)
	}
	all := len(j.Doc.Visits) + p.CheckRounds*len(pools)*len(d.Scenarios)
	for round := 1; round <= p.CheckRounds; round++ {
		rng := rand.New(rand.NewPCG(p.Seed, 0xc0+uint64(round)))
		for _, i := range rng.Perm(len(pools) * len(d.Scenarios)) {
			name := d.Scenarios[i/len(pools)]
			v, err := s.One(ctx, engine.Load{
				Weights: s.Weights[name], Pool: pools[i%len(pools)], Rate: d.Rate, Warmup: checkWarmup,
				Duration: time.Duration(p.CheckSeconds * float64(time.Second)), Progress: s.Live,
			}, start)
			if err != nil {
				return fmt.Errorf("checking pool size %d at %g/s: %w", pools[i%len(pools)], d.Rate, err)
			}
			v.Phase, v.Scenario, v.Round, v.Order = "C", name, round, len(j.Doc.Visits)
			j.Doc.Visits = append(j.Doc.Visits, v)
			if s.Visited != nil {
				s.Visited(v, len(j.Doc.Visits), all)
			}
		}
	}
	return nil
}
