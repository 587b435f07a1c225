// Package sweep knows the order of things: which pool sizes, how many rounds, how long a visit, what is recorded around
// it. It drives an engine and fills the visits of a run document; what the visits mean is the advisor's business.
package sweep

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"pgfit/workload/rundoc"
)

// ErrPlan is wrapped by every refusal of a plan: bad pool sizes, a budget too short.
var ErrPlan = errors.New("cannot be planned")

// Request is what a sweep should do and within what.
type Request struct {
	Scenarios []string
	Levels    []int // the user's pool sizes; nil takes the default ones
	Free      int   // connections that the load may have at most
	Budget    time.Duration
	Reserve   time.Duration // part of the budget that the sweep must leave: loading, disk benchmark, phase C, verification
	Rounds    int           // the user's number; 0 lets the budget decide
	Measure   time.Duration // the user's length of a visit; 0 lets the budget decide
	Seed      uint64
}

// Bounds of a plan. Five rounds give the residual bootstrap its stated coverage, three the least there is
// (reference: 2.2 and 1.7 of the concurrency notes: coverage 91 to 96 % at 3, 5 and 10 rounds).
const (
	minRounds   = 3
	GoodRounds  = 5
	manyRounds  = 10
	maxRounds   = 15
	minMeasure  = 1 * time.Second
	goodMeasure = 10 * time.Second
	maxMeasure  = 30 * time.Second
	// overhead of a visit: counters before and after, ramp of the callers (measured: 30 to 80 ms)
	overhead = 150 * time.Millisecond
	// visitNoise is the spread between visits assumed before anything is measured, for the promise in the plan
	visitNoise = 0.05
)

// DefaultLevels are the pool sizes of a sweep when nobody names any; LongLevels where the budget holds five rounds of them
// with at least as long a window.
var (
	DefaultLevels = []int{1, 2, 4, 8, 16, 32, 64}
	LongLevels    = []int{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 100}
	longMeasure   = 5 * time.Second
)

// MakePlan fits rounds and durations into the budget. It refuses pool sizes below 1 or above the free connections and a
// budget that cannot hold the smallest plan.
func MakePlan(r Request) (rundoc.Plan, error) {
	first := min(max(3*time.Second, (r.Budget-r.Reserve)/20), 30*time.Second)
	left := r.Budget - r.Reserve - first
	levels, err := chooseLevels(r.Levels, r.Free, left/time.Duration(max(1, len(r.Scenarios))))
	if err != nil {
		return rundoc.Plan{}, err
	}
	p := rundoc.Plan{Seed: r.Seed, Scenarios: r.Scenarios, Levels: levels, BudgetSeconds: r.Budget.Seconds(), Rounds: r.Rounds}
	visits := len(levels) * len(r.Scenarios)
	measure := r.Measure
	switch {
	case r.Rounds > 0 && measure > 0:
	case r.Rounds > 0:
		measure = fit(left, visits, r.Rounds)
	case measure > 0:
		p.Rounds = roundsWithin(left, visits, measure)
	default:
		p.Rounds, measure = chooseBoth(left, visits)
	}
	if least := cmp.Or(r.Measure, minMeasure); p.Rounds < 1 || measure < least || time.Duration(p.Rounds*visits)*visitTime(measure) > left {
		rounds := cmp.Or(r.Rounds, minRounds)
		need := r.Reserve + first + time.Duration(rounds*visits)*visitTime(least)
		return rundoc.Plan{}, fmt.Errorf("budget %s: %w: %d pool sizes x %d scenarios x %d rounds of %s need %s; give more time, fewer --pool-sizes or one --scenario",
			r.Budget, ErrPlan, len(levels), len(r.Scenarios), rounds, least, roundUp(need))
	}
	p.MeasureSeconds, p.WarmupSeconds, p.FirstWarmup = measure.Seconds(), warmup(measure).Seconds(), first.Seconds()
	p.PromisePercent = promise(p.Rounds)
	return p, nil
}

// chooseLevels takes the user's pool sizes or the default ones; each is the time that one scenario has.
func chooseLevels(user []int, free int, each time.Duration) ([]int, error) {
	if free < 1 {
		return nil, fmt.Errorf("the server has no free connection for a load: %w: raise max_connections or close other sessions", ErrPlan)
	}
	if len(user) == 0 {
		var levels []int
		wish := DefaultLevels
		if fit(each, len(LongLevels), GoodRounds) >= longMeasure {
			wish = LongLevels
		}
		for _, n := range wish {
			if n <= free {
				levels = append(levels, n)
			}
		}
		return levels, nil
	}
	levels := slices.Clone(user)
	sort.Ints(levels)
	levels = slices.Compact(levels)
	if levels[0] < 1 {
		return nil, fmt.Errorf("pool size %d: %w: a pool has at least 1 connection", levels[0], ErrPlan)
	}
	if top := levels[len(levels)-1]; top > free {
		return nil, fmt.Errorf("pool size %d: %w: the server has %d connections free for a load", top, ErrPlan, free)
	}
	return levels, nil
}

func warmup(measure time.Duration) time.Duration {
	return min(max(measure/5, 300*time.Millisecond), 2*time.Second)
}

func visitTime(measure time.Duration) time.Duration { return measure + warmup(measure) + overhead }

// fit is the longest measured window for which visits x rounds end in time, 0 when none does.
func fit(left time.Duration, visits, rounds int) time.Duration {
	per := left / time.Duration(visits*rounds)
	m := (per - overhead) * 5 / 6 // warm-up a fifth of the window
	if m < 1500*time.Millisecond {
		m = per - overhead - 300*time.Millisecond
	}
	return min(max(m, 0), maxMeasure).Truncate(50 * time.Millisecond)
}

func roundsWithin(left time.Duration, visits int, measure time.Duration) int {
	return min(int(left/(time.Duration(visits)*visitTime(measure))), maxRounds)
}

// chooseBoth prefers five rounds, then ten, then windows of 10 s, then more rounds, then longer windows. Rounds come before
// windows because the speed of a machine wanders more between visits than within one: visits to one pool size
// differed by 10.0 % (standard deviation of ln X, 14 curves on two virtual processors) with windows of 2.6 s and by 10.7 %
// with the first second of them (Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, 2013).
func chooseBoth(left time.Duration, visits int) (int, time.Duration) {
	rounds := GoodRounds
	for rounds > minRounds && fit(left, visits, rounds) < minMeasure {
		rounds--
	}
	for rounds >= GoodRounds && rounds < manyRounds && fit(left, visits, rounds+1) >= minMeasure {
		rounds++
	}
	if fit(left, visits, rounds) > goodMeasure {
		rounds = max(rounds, roundsWithin(left, visits, goodMeasure))
	}
	return rounds, fit(left, visits, rounds)
}

// promise is the expected half-width, in percent, of the 95 % interval of one pool size's mean throughput after the
// planned rounds, with 5 % noise between visits: t(0.975, rounds-1) x 5 / sqrt(rounds).
func promise(rounds int) float64 {
	t := student(min(rounds, maxRounds))
	if math.IsInf(t, 1) {
		return 0
	}
	return 100 * t * visitNoise / math.Sqrt(float64(rounds))
}

// Seconds is how long the sweep of a plan takes, without loading.
func Seconds(p rundoc.Plan) float64 {
	visits := float64(len(p.Levels) * len(p.Scenarios) * p.Rounds)
	return p.FirstWarmup + visits*(p.MeasureSeconds+p.WarmupSeconds+overhead.Seconds())
}

func roundUp(d time.Duration) time.Duration {
	return (d + 10*time.Second - 1).Truncate(10 * time.Second)
}

// visitRef is one stop of a round.
type visitRef struct {
	scenario, level int
}

// round gives every level with every scenario once, levels in random order and scenarios alternating inside each level.
// The order follows from the seed alone.
func roundOrder(p rundoc.Plan, levels []int, round int) []visitRef {
	rng := rand.New(rand.NewPCG(p.Seed, uint64(round)))
	var out []visitRef
	for _, l := range rng.Perm(len(levels)) {
		for _, s := range rng.Perm(len(p.Scenarios)) {
			out = append(out, visitRef{scenario: s, level: levels[l]})
		}
	}
	return out
}
