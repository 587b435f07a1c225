package trial

import (
	"context"
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/workload/engine"
	"pgfit/workload/observe"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
)

// visit puts load on one side while the other is frozen. It begins from a checkpoint and ends with one, whose time counts
// into the visit: TPS is transactions over window plus checkpoint. So what a server writes during the window slows the
// window, and what it leaves for later is charged to it at once, whichever side puts off more. The checkpoint also writes
// what the warm-up made dirty; the window takes its part by time. Full-page writes are at their highest just after a
// checkpoint, so a visit much shorter than the time between two checkpoints hides part of what rarer ones save.
func (r *Runner) visit(ctx context.Context, seats []*seat, side int, sc scenario.Scenario) (rundoc.TrialVisit, error) {
	v := rundoc.TrialVisit{Scenario: sc.Name, Side: string("AB"[side])}
	focus(seats, side)
	s := seats[side]
	before, cpuBefore, err := s.counters(ctx)
	if err != nil {
		return v, fmt.Errorf("reading the server's counters: %w", err)
	}
	weights := r.weights(sc.Name)
	res, err := s.eng.Run(ctx, engine.Load{Weights: weights, Pool: r.Pool, Warmup: r.Warmup, Duration: r.Measure, Progress: r.Live})
	switch {
	case err != nil:
		return v, err
	case ctx.Err() != nil: // half a visit is no replication
		return v, ctx.Err()
	case res.Storm != "":
		return v, fmt.Errorf("%s: %w: %s", sc.Name, ErrStorm, res.Storm)
	}
	after, _, err := s.counters(ctx)
	if err != nil {
		return v, fmt.Errorf("reading the server's counters: %w", err)
	}
	late, err := s.settle(ctx)
	if err != nil {
		return v, err
	}
	v.Seconds, v.Transactions, v.Failed, v.CPUSeconds = res.Elapsed.Seconds(), res.Transactions, res.Failed, -1
	part := v.Seconds / (v.Seconds + r.Warmup.Seconds())
	v.CheckpointSeconds = late.Seconds() * part
	v.TPS = charged(v) * mixed(res.Ops, weights)
	delta := observe.Delta(before, after)
	v.Checkpoints = max(0, delta.CheckpointsTimed) + max(0, delta.CheckpointsReq)
	v.Autovacuums = max(0, delta.Autovacuums)
	v.WALBytes = int64(float64(max(0, delta.WALBytes)) * part)
	if s.server != nil && cpuBefore >= 0 {
		if used, ok := s.server.CPU(); ok { // the checkpoint's own included
			v.CPUSeconds = (used - cpuBefore).Seconds() * part
		}
	}
	v.P99 = p99(res)
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

// p99 is over all operations of a visit, in seconds.
func p99(res *engine.Result) float64 {
	all := hdrhistogram.New(engine.HistMin, engine.HistMax, engine.HistDigits)
	for _, op := range res.Ops {
		if op.Service != nil {
			all.Merge(op.Service)
		}
	}
	return float64(all.ValueAtQuantile(99)) / 1e6
}
