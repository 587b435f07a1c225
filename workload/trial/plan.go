package trial

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"pgfit/workload/load"
	"pgfit/workload/rundoc"
)

// ErrPlan is wrapped by every refusal of MakePlan.
var ErrPlan = errors.New("cannot be planned")

// Request is what a verification has to fit into its time.
type Request struct {
	Budget      time.Duration
	Bytes       int64 // of data to be loaded; 0 when they are there
	Data        int64 // of data in each copy; 0 is Bytes
	Scenarios   int
	Pairs       int           // the user's; 0 lets the budget decide
	Measure     time.Duration // the user's length of a visit; 0 lets the budget decide
	Comparisons int           // that would be made if there were time: the patch, its groups, what is left of it
	Asked       int           // comparisons that the user named, all of which a short budget has to hold as well
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

// NoisePairs is how many pairs of visits to servers of equal settings a scenario gets before anything is compared.
const NoisePairs = 3

// ladder are pairs and measured windows in the order in which they are worth their time. With six pairs all six have to
// agree before anything may be claimed: eight show a change two thirds as large, twelve one half as large. After that visits
// have to be long enough to hold what happens between two checkpoints.
var ladder = []struct {
	pairs   int
	measure time.Duration
}{
	{6, time.Second}, {8, time.Second}, {10, time.Second}, {12, time.Second}, {12, 1500 * time.Millisecond}, {12, 2 * time.Second}, {12, 3 * time.Second},
	{12, 5 * time.Second}, {12, 7 * time.Second}, {12, 10 * time.Second}, {12, 15 * time.Second}, {12, 20 * time.Second}, {12, 30 * time.Second},
}

// fewComparisons are those that a short budget has to hold: the whole patch, the two groups that mostly matter or what
// observing costs, what is left. Four that can show something beat eight that cannot.
const fewComparisons = 4

// MakePlan gives every comparison as many pairs, and visits as long, as the budget holds, six pairs of one second at least. It
// refuses a budget that does not hold the noise and one comparison.
func MakePlan(r Request) (Plan, error) {
	fixed := load.Time(r.Bytes)
	left := r.Budget - fixed
	var p Plan
	for i, step := range ladder {
		next := Plan{Pairs: cmp.Or(r.Pairs, step.pairs)}
		next.setTimes(cmp.Or(r.Measure, step.measure), r.Scenarios)
		comparisons := r.Comparisons
		if step.measure == ladder[0].measure {
			comparisons = r.few()
		}
		if i > 0 && next.Seconds(r, comparisons) > left {
			break
		}
		p = next
	}
	if need := p.noise(r, 1) + p.comparison(r, nil); need > left { // the rest can fall out
		return p, fmt.Errorf("budget %s: %w: noise and %d pairs of %s for %d scenarios need %s", r.Budget.Truncate(time.Second), ErrPlan, p.Pairs, p.Measure, r.Scenarios,
			(need + fixed + time.Second).Truncate(time.Second))
	}
	return p, nil
}

// few is how many comparisons a short budget has to hold.
func (r Request) few() int { return min(r.Comparisons, max(fewComparisons, r.Asked)) }

// Refit chooses the pairs anew for the time that is left after the noise, which has shown how long visits to narrowed
// scenarios are and how long each pair takes (0: only one was made); those of the user stay.
func (p Plan) Refit(r Request, narrowed []rundoc.Scope, each, left time.Duration) Plan {
	if r.Pairs > 0 || len(narrowed) == 0 && each == 0 {
		return p
	}
	for i, step := range ladder {
		next := p
		next.Pairs = step.pairs
		if i > 0 && time.Duration(r.few())*next.Remaining(r, narrowed, each)+p.afterwards(r) > left {
			break
		}
		p = next
	}
	return p
}

// Remaining is how long one comparison takes, after what the noise has shown. Each pair may have to wait for a disk that no
// plan knows.
func (p Plan) Remaining(r Request, narrowed []rundoc.Scope, each time.Duration) time.Duration {
	if each == 0 {
		return p.comparison(r, narrowed)
	}
	further := time.Duration(p.Pairs-1) * each
	p.Pairs = 1
	return p.comparison(r, narrowed) + further
}

// setTimes derives everything from the measured window of one visit. The first warm-up has two stretches of half a second at
// least for each scenario: shorter ones are too noisy to tell whether the next is faster.
func (p *Plan) setTimes(measure time.Duration, scenarios int) {
	p.Measure = measure
	p.Warmup = min(max(p.Measure/5, 300*time.Millisecond), 2*time.Second)
	p.FirstWarmup = max(min(p.Measure, 10*time.Second), time.Duration(scenarios)*time.Second)
	if p.Measure < ladder[0].measure { // the user's wish
		p.Warmup, p.FirstWarmup = p.Measure/2, 2*p.Measure
	}
	p.Recovery = min(max(2*p.Measure, 2*time.Second), time.Minute)
}

// Seconds is how long the noise, so many comparisons and the recovery check take, without loading.
func (p Plan) Seconds(r Request, comparisons int) time.Duration {
	return p.noise(r, NoisePairs) + time.Duration(comparisons)*p.comparison(r, nil) + p.afterwards(r)
}

func (p Plan) noise(r Request, pairs int) time.Duration {
	p.Pairs = pairs
	return p.comparison(r, nil)
}

// comparison is how long one takes. A narrowed scenario warms up with a round, which is one visit at the most.
func (p Plan) comparison(r Request, narrowed []rundoc.Scope) time.Duration {
	pair := time.Duration(r.Scenarios-len(narrowed)) * (cutOf(p.Measure, p.Warmup, 0).time() + overhead)
	warmup := p.FirstWarmup
	for _, s := range narrowed {
		length := time.Duration(s.MeasureSeconds * float64(time.Second))
		pair, warmup = pair+length+overhead, warmup+length
	}
	again := 2 * time.Duration(r.Scenarios-len(narrowed)) * min(p.FirstWarmup/time.Duration(2*r.Scenarios), againStretch)
	return 2*(r.setup()+warmup) + time.Duration(p.Pairs-1)*2*(r.again()+again) + time.Duration(2*p.Pairs)*pair
}

// afterwards is the recovery check.
func (p Plan) afterwards(r Request) time.Duration { return r.setup() + 2*p.Recovery }

// copyRate is bytes of data a second that are copied with their indexes, written out, and read into the caches (measured on
// a virtual disk: 660 MB in 3.3 to 5.3 s).
const copyRate = 150 << 20

// fillRate is bytes of data a second that are read into the caches of a server that was started again: assumed, four times
// copyRate, which holds a copy and its writing out as well. A comparison that takes longer ends by its deadline.
const fillRate = 600 << 20

// again is a stop and a start, measured at 200 to 460 ms for two servers at once, and reading the data into the caches; a copy
// takes longer.
func (r Request) again() time.Duration {
	if !r.Copies {
		return 0
	}
	return min(r.setup(), 250*time.Millisecond+time.Duration(float64(cmp.Or(r.Data, r.Bytes))/fillRate*float64(time.Second)))
}

// setup comes before each side of a comparison: a copy, a start, the connections, or the connections alone.
func (r Request) setup() time.Duration {
	if r.Copies {
		return time.Second + time.Duration(float64(cmp.Or(r.Data, r.Bytes))/copyRate*float64(time.Second))
	}
	return 500 * time.Millisecond
}
