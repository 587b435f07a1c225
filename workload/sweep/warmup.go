package sweep

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
)

// The first warm-up goes on until successive means of the throughput agree (1.3 of the concurrency notes: three means of
// 5 s within 3 %).
const (
	agreeing  = 3
	agreeStep = 5 * time.Second
	agreeLike = 0.03
	// mostWarmup bounds the first warm-up, as a multiple of what was planned.
	mostWarmup = 2
)

// stepFor is the length of one mean. A short budget has no 15 s for three of the full length, so they take the planned
// warm-up between them; what they may differ by grows as they shrink.
func stepFor(planned time.Duration) time.Duration {
	return min(agreeStep, planned/agreeing).Truncate(bin)
}

// spread is by how much the largest of the last means of the throughput lies above the smallest, as a share, and how much
// of that is allowed: 3 % for means of 5 s, more for shorter ones by the square root, as noise has it, and never less than
// what chance alone makes of so few completions. steady tells whether it is within; false as well while there are too few
// bins.
func spread(bins []uint32, step time.Duration) (share float64, steady bool) {
	each := int(step / bin)
	if each < 1 || len(bins) < agreeing*each {
		return 0, false
	}
	low, high, all := math.Inf(1), 0.0, 0.0
	for last := bins[len(bins)-agreeing*each:]; len(last) > 0; last = last[each:] {
		sum := 0.0
		for _, n := range last[:each] {
			sum += float64(n)
		}
		low, high, all = min(low, sum), max(high, sum), all+sum
	}
	if low == 0 {
		return 0, false
	}
	allowed := max(agreeLike*math.Sqrt(agreeStep.Seconds()/step.Seconds()), 2/math.Sqrt(all/agreeing))
	return high/low - 1, high/low-1 <= allowed
}

// firstWarmup puts load on the middle pool size, scenario after scenario, until throughput has settled: at least as long as
// planned and at most twice that. What goes beyond the plan comes out of rounds beyond the fifth, or out of time that the
// plan left over; where the number of rounds is the user's there is no such time.
func (r *run) firstWarmup(ctx context.Context) error {
	p := r.plan
	planned := seconds(p.FirstWarmup / float64(len(p.Scenarios)))
	p.FirstWarmups, p.Scopes = nil, nil
	for i, name := range p.Scenarios {
		w, err := r.warmScenario(ctx, name, planned, time.Duration(len(p.Scenarios)-i-1)*planned)
		if err != nil {
			return fmt.Errorf("warming up %s: %w", name, err)
		}
		p.FirstWarmups = append(p.FirstWarmups, w)
		if !w.Settled {
			r.Log.Info("the first warm-up ended before throughput had settled", "scenario", name, "seconds", w.Seconds)
		}
	}
	return nil
}

// warmScenario is the warm-up of one scenario; later is what those after it need.
func (r *run) warmScenario(ctx context.Context, name string, planned, later time.Duration) (rundoc.Warmup, error) {
	begun, step := time.Now(), stepFor(planned)
	w := rundoc.Warmup{Scenario: name, PoolSize: r.levels[len(r.levels)/2], StepSeconds: step.Seconds()}
	var bins []uint32
	var made, elapsed time.Duration
	var done int64
	for d := planned; ; d = step {
		res, err := r.warm(ctx, engine.Load{Weights: r.Weights[name], Pool: w.PoolSize, Duration: d, Progress: r.Live})
		if err != nil {
			return w, err
		}
		bins = append(bins, res.Bins...)
		done, elapsed = done+res.Transactions, elapsed+res.Elapsed
		made += d
		w.Seconds = time.Since(begun).Seconds()
		if d == planned { // the first
			r.narrow(name, done, elapsed)
		}
		if scope, ok := r.plan.Scope(name); ok && scope.Transactions > 0 {
			return r.warmLists(ctx, w, scope, planned)
		}
		w.Spread, w.Settled = spread(bins, step)
		if w.Settled || step == 0 || made+step > mostWarmup*planned || !r.spare(step+later) {
			return w, nil
		}
	}
}

// warm makes one stretch of a warm-up.
func (r *run) warm(ctx context.Context, load engine.Load) (*engine.Result, error) {
	res, err := r.Engine.Run(ctx, load)
	switch {
	case err != nil:
		return nil, err
	case res.Storm != "":
		return nil, fmt.Errorf("%w: %s", ErrStorm, res.Storm)
	}
	return res, ctx.Err()
}

// Before a round the scenarios get their caches back from the lists of long statements that came before: in stretches of a
// second, until none of them makes one faster than the last by a tenth, and no more than so many.
const (
	rewarmStep  = time.Second
	stillFaster = 1.1
	mostRewarm  = 15
)

// rewarm does so, on the middle pool size, where a scenario is measured by lists.
func (r *run) rewarm(ctx context.Context) error {
	var others []string
	for _, name := range r.plan.Scenarios {
		if s, ok := r.plan.Scope(name); !ok || s.Transactions == 0 {
			others = append(others, name)
		}
	}
	if len(others) == len(r.plan.Scenarios) {
		return nil
	}
	last := map[string]float64{}
	for n, faster := 0, true; n < mostRewarm && faster; n++ {
		faster = n == 0
		for _, name := range others {
			res, err := r.warm(ctx, engine.Load{Weights: r.Weights[name], Pool: r.levels[len(r.levels)/2], Duration: rewarmStep, Progress: r.Live})
			if err != nil {
				return fmt.Errorf("warming up %s: %w", name, err)
			}
			tps := float64(res.Transactions) / max(res.Elapsed, 1).Seconds()
			faster = faster || tps >= stillFaster*last[name]
			last[name] = tps
		}
	}
	return nil
}

// alikeLists is by how much three lists of long statements, one after the other, may differ: there are too few of them in
// each for less.
const alikeLists = 0.15

// warmLists goes on with the warm-up of a scenario with long statements: with one of each kind, the same list time and again,
// until three of them in turn took the same time, or for as long as was planned.
func (r *run) warmLists(ctx context.Context, w rundoc.Warmup, scope rundoc.Scope, planned time.Duration) (rundoc.Warmup, error) {
	w.PoolSize = scope.MostPool
	scope.Transactions = 0 // one of each kind
	load := lists(r.plan.Seed, scope, nil, engine.Load{Weights: r.Weights[w.Scenario], Pool: w.PoolSize, Progress: r.Live}, 0)
	var took []float64
	for begun := time.Now(); !w.Settled && (len(took) == 0 || time.Since(begun) < planned); {
		res, err := r.warm(ctx, load)
		if err != nil {
			return w, err
		}
		took = append(took, res.Elapsed.Seconds())
		r.cost[w.Scenario] = engine.Costs(res)
		w.Seconds += res.Elapsed.Seconds()
		w.StepSeconds = res.Elapsed.Seconds()
		if n := len(took); n >= agreeing {
			last := took[n-agreeing:]
			w.Spread = slices.Max(last)/slices.Min(last) - 1
			w.Settled = w.Spread <= alikeLists
		}
	}
	// On fewer connections than the windows before had, it is slower.
	for i := range r.plan.Scopes {
		if s := &r.plan.Scopes[i]; s.Scenario == w.Scenario {
			s.Transactions = r.size(w.Scenario, seconds(s.MeasureSeconds), float64(load.Listed())/w.StepSeconds)
		}
	}
	return w, nil
}

// spare tells whether the deadline leaves so much time beside five rounds, or as many as were planned.
func (r *run) spare(d time.Duration) bool {
	if r.deadline.IsZero() {
		return false
	}
	visits := min(r.plan.Rounds, GoodRounds) * len(r.levels) * len(r.plan.Scenarios)
	return time.Until(r.deadline) >= d+time.Duration(visits)*(seconds(r.plan.MeasureSeconds)+seconds(r.plan.WarmupSeconds)+overhead)
}
