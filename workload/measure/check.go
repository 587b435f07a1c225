package measure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"pgfit/probe"
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
	checkPools   = 4                                  // recommended, guide, present; and the closed loop
	checkPortion = 4                                  // a quarter of the budget at most
)

// PlanCheck fits phase C, so many scenarios with three pools and a closed loop each, into a quarter of the budget: fewer rounds first, then
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
	Pools     []int   // the recommended one comes first
	Rate      float64 // per second
}

// check is phase C: every pool under Poisson arrivals at the demanded rate, latency from the intended start, in rounds of
// random order. Each round has a visit to the recommended pool in a closed loop too, which tells how fast the server is now.
func (j *Job) check(ctx context.Context, s *sweep.Sweep, d Demanded, start time.Time) error {
	p := &j.Doc.Plan
	loads := d.loads(j.Free)
	if p.CheckRounds == 0 || d.Rate <= 0 {
		return nil
	}
	if most := slices.Max(append([]int{0}, d.Pools...)); most > j.Free {
		j.Doc.Warnings = append(j.Doc.Warnings, probe.Warning{Code: "unchecked",
			Text: fmt.Sprintf("pools of more than %d connections, up to %d, were not checked at the demanded rate: the server has no more free", j.Free, most), Hint: "a higher max_connections"})
	}
	if len(loads) == 0 {
		return nil
	}
	for _, load := range loads {
		if err := s.Engine.Grow(ctx, load.Pool); err != nil {
			return fmt.Errorf("opening %d connections: %w", load.Pool, err)
		}
	}
	all := len(j.Doc.Visits) + p.CheckRounds*len(loads)*len(d.Scenarios)
	for round := 1; round <= p.CheckRounds; round++ {
		rng := rand.New(rand.NewPCG(p.Seed, 0xc0+uint64(round)))
		for _, i := range rng.Perm(len(loads) * len(d.Scenarios)) {
			name, load := d.Scenarios[i/len(loads)], loads[i%len(loads)]
			load.Weights, load.Warmup, load.Progress = s.Weights[name], checkWarmup, s.Live
			load.Duration = time.Duration(p.CheckSeconds * float64(time.Second))
			v, err := s.One(ctx, load, start)
			if err != nil {
				return fmt.Errorf("checking pool size %d at %g/s: %w", load.Pool, d.Rate, err)
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

// loads are what one round puts on one scenario, with so many connections at the most.
func (d Demanded) loads(free int) []engine.Load {
	pools := slices.DeleteFunc(slices.Clone(d.Pools), func(n int) bool { return n < 1 || n > free })
	if len(pools) == 0 || d.Rate <= 0 {
		return nil
	}
	loads := []engine.Load{{Pool: pools[0]}}
	slices.Sort(pools)
	for _, n := range slices.Compact(pools) {
		loads = append(loads, engine.Load{Pool: n, Rate: d.Rate})
	}
	return loads
}
