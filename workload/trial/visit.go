package trial

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/workload/engine"
	"pgfit/workload/observe"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
)

// turn is one side's visit of a pair while it is being made, slice by slice.
type turn struct {
	seat    *seat
	before  observe.Counters
	cpu     time.Duration // used so far when the visit began, -1 where that is not known
	warm    time.Duration // time of load that is not counted
	elapsed time.Duration // of the measured slices
	failed  int64
	message string            // of the first failure
	ops     []engine.OpResult // counts and sums over the slices
	times   *hdrhistogram.Histogram
	load    engine.Load // the last one
}

// pair makes the nth visit to each of two sides, the first of them first, in slices that take turns: while one side has load
// the other is frozen. A visit begins from a checkpoint and ends with one, whose time counts into it: TPS is transactions
// over window plus checkpoint. So what a server writes during the window slows the window, and what it leaves for later is
// charged to it at once, whichever side puts off more. The checkpoint also writes what the warm-up made dirty; the window
// takes its part by time. Full-page writes are at their highest just after a checkpoint, so a visit much shorter than the
// time between two checkpoints hides part of what rarer ones save.
func (r *Runner) pair(ctx context.Context, seats []*seat, sides [2]int, sc scenario.Scenario, nth int) (visits [2]rundoc.TrialVisit, err error) {
	var turns [2]*turn
	for i, side := range sides {
		focus(seats, side)
		if turns[i], err = begin(ctx, seats[side]); err != nil {
			return visits, err
		}
	}
	for k, load := range r.loads(sc.Name, nth) {
		for i := range sides {
			i ^= k & 1 // A B, B A, A B: neither side is always the later one
			focus(seats, sides[i])
			res, err := turns[i].seat.run(ctx, load)
			if err != nil {
				return visits, fmt.Errorf("%s: %w", sc.Name, err)
			}
			turns[i].add(res, load)
		}
	}
	for i, side := range sides {
		focus(seats, side)
		if visits[i], err = turns[i].end(ctx); err != nil {
			return visits, fmt.Errorf("%s: %w", sc.Name, err)
		}
		visits[i].Scenario, visits[i].Side, visits[i].Copy = sc.Name, seats[side].name, seats[side].place
	}
	return visits, nil
}

func begin(ctx context.Context, s *seat) (*turn, error) {
	before, cpu, err := s.counters(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the server's counters: %w", err)
	}
	return &turn{seat: s, before: before, cpu: cpu, times: hdrhistogram.New(engine.HistMin, engine.HistMax, engine.HistDigits)}, nil
}

// loads are the slices of the nth visit to a scenario, the same for both sides.
func (r *Runner) loads(name string, nth int) []engine.Load {
	if s := r.narrowed(name); s != nil {
		return r.visit(s, nth)
	}
	c := cutOf(r.Measure, r.Warmup, r.mean[name])
	loads := make([]engine.Load, c.slices)
	for k := range loads {
		loads[k] = engine.Load{Weights: r.weights(name), Pool: r.Pool, Warmup: c.between, Duration: c.length, Progress: r.Live}
	}
	loads[0].Warmup = c.first
	return loads
}

func (t *turn) add(res *engine.Result, load engine.Load) {
	t.load = load
	t.warm, t.elapsed, t.failed = t.warm+load.Warmup, t.elapsed+lasted(res, load), t.failed+res.Failed
	if t.message == "" && len(res.Errors) > 0 {
		t.message = res.Errors[0].Message
	}
	if t.ops == nil {
		t.ops = make([]engine.OpResult, len(res.Ops))
	}
	for i, op := range res.Ops {
		sum := &t.ops[i]
		sum.Count, sum.SumService, sum.SumWait = sum.Count+op.Count, sum.SumService+op.SumService, sum.SumWait+op.SumWait
		if op.Service != nil {
			t.times.Merge(op.Service)
		}
	}
}

// lasted is the time of a slice. Lists end at different times, and those that suit one side do not suit the other: where its sort
// takes half as long, a connection is idle at the end. So theirs is the mean of the connections' times. The last one has the
// machine to itself for a while, which makes that a few percent better than a load that goes on.
func lasted(res *engine.Result, load engine.Load) time.Duration {
	if load.Lists == nil {
		return res.Elapsed
	}
	busy := 0.
	for _, op := range res.Ops {
		busy += op.SumService + op.SumWait
	}
	return time.Duration(busy / float64(load.Pool) * float64(time.Second))
}

// mostFailed is the share of transactions that may fail in a visit: a visit of errors has no throughput to compare.
const mostFailed = 0.1

// end closes a visit: counters, then the checkpoint, whose processor time is the visit's too.
func (t *turn) end(ctx context.Context) (v rundoc.TrialVisit, err error) {
	after, _, err := t.seat.counters(ctx)
	if err != nil {
		return v, fmt.Errorf("reading the server's counters: %w", err)
	}
	late, err := t.seat.settle(ctx)
	if err != nil {
		return v, err
	}
	v = rundoc.TrialVisit{Seconds: t.elapsed.Seconds(), Failed: t.failed, CPUSeconds: -1, P99: float64(t.times.ValueAtQuantile(99)) / 1e6}
	for _, op := range t.ops {
		v.Transactions += op.Count
	}
	if float64(t.failed) > mostFailed*float64(t.failed+v.Transactions) { // the engine looks at stretches longer than a slice
		return v, fmt.Errorf("%w: %s", ErrStorm, t.message)
	}
	part := v.Seconds / (v.Seconds + t.warm.Seconds())
	v.CheckpointSeconds = late.Seconds() * part
	v.TPS = charged(v) * mixed(t.ops, t.load.Weights)
	delta := observe.Delta(t.before, after)
	v.Checkpoints = max(0, delta.CheckpointsTimed) + max(0, delta.CheckpointsReq)
	v.Autovacuums = max(0, delta.Autovacuums)
	v.WALBytes = int64(float64(max(0, delta.WALBytes)) * part)
	if t.seat.server != nil && t.cpu >= 0 {
		if used, ok := t.seat.server.CPU(); ok {
			v.CPUSeconds = (used - t.cpu).Seconds() * part
		}
	}
	return v, nil
}

// charged is the throughput of a visit with the checkpoint that it left counted into its time.
func charged(v rundoc.TrialVisit) float64 {
	return float64(v.Transactions) / (v.Seconds + v.CheckpointSeconds)
}

// mixed is the factor by which throughput would differ if the transactions had come in exactly the shares of the scenario:
// mean hold time of those that did over that of the nominal mix. A visit of a few long transactions otherwise measures which
// of them its dice gave. It is 1 where a kind is missing, since nothing is known of its time.
func mixed(ops []engine.OpResult, weights []int) float64 {
	var seconds, count, nominal, all float64
	for i, w := range weights {
		if w == 0 {
			continue
		}
		if i >= len(ops) || ops[i].Count == 0 {
			return 1
		}
		held := ops[i].SumService + ops[i].SumWait
		seconds, count = seconds+held, count+float64(ops[i].Count)
		nominal, all = nominal+float64(w)*held/float64(ops[i].Count), all+float64(w)
	}
	if count == 0 || nominal <= 0 {
		return 1
	}
	return seconds / count / (nominal / all)
}
