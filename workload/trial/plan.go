package trial

import (
	"errors"
	"fmt"
	"time"

	"pgfit/workload/load"
)

// ErrPlan is wrapped by every refusal of MakePlan.
var ErrPlan = errors.New("cannot be planned")

// Request is what a verification has to fit into its time.
type Request struct {
	Budget      time.Duration
	Bytes       int64 // of data to be loaded; 0 when they are there
	Scenarios   int
	Pairs       int           // 0: the least that carry a claim
	Measure     time.Duration // the user's length of a visit; 0 lets the budget decide
	Comparisons int           // that would be made if there were time: the patch, its groups, what is left of it
	Copies      bool
}

// Plan says how long everything takes.
type Plan struct {
	Pairs       int
	Warmup      time.Duration
	Measure     time.Duration
	FirstWarmup time.Duration
	Recovery    time.Duration // writing before the crash
}

// NoiseVisits is how many visits to one server a scenario gets before anything is compared.
const NoiseVisits = 4

const (
	leastPairs   = 6 // verdict.MinPairs
	leastMeasure = time.Second
	mostMeasure  = 30 * time.Second
)

// MakePlan makes visits as long as every comparison allows, one second at least, and refuses a budget that does not hold
// the noise and one comparison.
func MakePlan(r Request) (Plan, error) {
	p := Plan{Pairs: leastPairs}
	if r.Pairs > 0 {
		p.Pairs = r.Pairs
	}
	fixed := load.Time(r.Bytes)
	left := r.Budget - fixed
	for m := mostMeasure; r.Measure == 0 && m >= leastMeasure; m -= 100 * time.Millisecond {
		p.setTimes(m)
		if p.Seconds(r, r.Comparisons) <= left {
			break
		}
	}
	if r.Measure > 0 {
		p.setTimes(r.Measure)
	}
	if need := p.Seconds(r, 1) - p.afterwards(r); need > left { // the recovery check comes last and can fall out
		return p, fmt.Errorf("budget %s: %w: noise and %d pairs of %s for %d scenarios need %s", r.Budget.Truncate(time.Second), ErrPlan, p.Pairs, p.Measure, r.Scenarios,
			(need + fixed + time.Second).Truncate(time.Second))
	}
	return p, nil
}

// setTimes derives everything from the measured window of one visit.
func (p *Plan) setTimes(measure time.Duration) {
	p.Measure = measure.Truncate(100 * time.Millisecond)
	p.Warmup = min(max(p.Measure/5, 300*time.Millisecond), 2*time.Second)
	if p.Measure < leastMeasure { // the user's wish
		p.Warmup = p.Measure / 2
	}
	p.FirstWarmup = min(max(p.Measure, time.Second), 10*time.Second)
	p.Recovery = min(max(2*p.Measure, 2*time.Second), time.Minute)
}

// Seconds is how long the noise, so many comparisons and the recovery check take, without loading.
func (p Plan) Seconds(r Request, comparisons int) time.Duration {
	visit := p.Warmup + p.Measure + overhead
	noise := r.setup() + p.FirstWarmup + time.Duration(NoiseVisits*r.Scenarios)*visit
	one := r.setup() + 2*p.FirstWarmup + time.Duration(2*p.Pairs*r.Scenarios)*visit
	return noise + time.Duration(comparisons)*one + p.afterwards(r)
}

// afterwards is the recovery check.
func (p Plan) afterwards(r Request) time.Duration { return r.setup() + 2*p.Recovery }

// setup comes before each comparison: two copies of a few hundred megabytes, two starts, the connections (measured: 1 to
// 3 s), or the connections alone.
func (r Request) setup() time.Duration {
	if r.Copies {
		return 3 * time.Second
	}
	return time.Second
}
