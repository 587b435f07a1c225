package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
)

// Watcher records what the server and the host did around one visit.
type Watcher interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context, v *rundoc.Visit) error
}

// Sweep is one run of a plan.
type Sweep struct {
	Engine  engine.Engine
	Weights map[string][]int // by scenario: the share of each of the engine's scripts
	Watch   Watcher          // may be nil
	Free    int              // connections the load may have, for added pool sizes
	Shape   engine.Load      // rate, think time and callers of every visit; its times and pool are the plan's
	Grow    bool             // add pool sizes until two lie beyond the best one
	Log     *slog.Logger
	Enough  func(visits []rundoc.Visit) bool      // after a round, from the fifth on: is the precision reached? May be nil
	Visited func(v rundoc.Visit, done, total int) // after each visit; may be nil
	Live    func(p engine.Progress)               // during a visit; may be nil
}

// ErrStorm says that a visit was stopped because too many operations failed.
var ErrStorm = errors.New("too many operations fail")

// Run makes the visits of a plan, round by round. A cancelled context ends it early: the visits that were finished come
// back with the context's error. deadline, where not zero, stops it between rounds; so does Enough. A first round that
// differs from the others is set aside, and made again where there is time. The plan leaves with what was done of it.
func (s *Sweep) Run(ctx context.Context, p *rundoc.Plan, start time.Time, deadline time.Time) ([]rundoc.Visit, error) {
	if err := s.Engine.Grow(ctx, slices.Max(p.Levels)); err != nil {
		return nil, fmt.Errorf("opening %d connections: %w", slices.Max(p.Levels), err)
	}
	r := run{Sweep: s, plan: p, start: start, deadline: deadline, levels: slices.Clone(p.Levels), cost: map[string][]float64{}}
	if err := r.firstWarmup(ctx); err != nil {
		return nil, err
	}
	for round := 1; round <= p.Rounds; round++ {
		if err := r.round(ctx, round); err != nil {
			return r.visits, err
		}
		if round == p.Rounds || r.enough(round) || r.late(round) {
			p.Rounds = round
			break
		}
		if s.Grow {
			r.extend(ctx, round)
		}
	}
	p.Levels = r.levels
	err := r.again(ctx) // adds visits
	return r.visits, err
}

// run is one sweep under way.
type run struct {
	*Sweep
	plan            *rundoc.Plan
	start, deadline time.Time
	levels          []int
	visits          []rundoc.Visit
	last            time.Duration        // of the last round
	cost            map[string][]float64 // of each script in seconds, by scenario with long statements
}

// round visits every pool size with every scenario once.
func (r *run) round(ctx context.Context, round int) error {
	begun := time.Now()
	if err := r.rewarm(ctx); err != nil {
		return err
	}
	order := r.order(round)
	for i, ref := range order {
		v, err := r.visit(ctx, ref, round, len(r.visits))
		if err != nil {
			return err
		}
		r.visits = append(r.visits, v)
		if r.Visited != nil {
			r.Visited(v, len(r.visits), len(r.visits)+len(order)-i-1+max(0, r.plan.Rounds-round)*len(order))
		}
	}
	r.last = time.Since(begun)
	return nil
}

// enough tells whether the precision that was aimed at is reached.
func (r *run) enough(round int) bool {
	if round < GoodRounds || r.Enough == nil || !r.Enough(r.visits) {
		return false
	}
	r.Log.Info("the precision is reached", "rounds", round, "planned", r.plan.Rounds)
	return true
}

// late tells whether another round would end after the deadline.
func (r *run) late(round int) bool {
	if r.deadline.IsZero() || !time.Now().Add(r.last).After(r.deadline) {
		return false
	}
	r.Log.Info("time is up", "rounds", round, "planned", r.plan.Rounds)
	return true
}

// again makes one more round in place of a first one that differed from the others. Without time for it the first round is
// set aside where five are left, and else kept and told.
func (r *run) again(ctx context.Context) error {
	if r.plan.Rounds < minRounds || !cold(r.visits) {
		return nil
	}
	if r.deadline.IsZero() || r.late(r.plan.Rounds) {
		if r.plan.FirstRoundDiffers = r.plan.Rounds <= GoodRounds; !r.plan.FirstRoundDiffers {
			setAside(r.visits)
		}
		return nil
	}
	r.Log.Info("the first round differs from the others: making it again")
	if err := r.round(ctx, r.plan.Rounds+1); err != nil {
		return err
	}
	r.plan.Rounds++
	setAside(r.visits)
	return nil
}

func (r *run) visit(ctx context.Context, ref visitRef, round, order int) (rundoc.Visit, error) {
	p, s := r.plan, r.Sweep
	name := p.Scenarios[ref.scenario]
	load := s.Shape
	load.Weights, load.Pool, load.Progress = s.Weights[name], ref.level, s.Live
	load.Warmup, load.Duration = seconds(p.WarmupSeconds), seconds(p.MeasureSeconds)
	if scope, ok := p.Scope(name); ok {
		load.Duration = seconds(scope.MeasureSeconds)
		if scope.Transactions > 0 {
			load = lists(p.Seed, scope, r.cost[name], load, round)
		}
	}
	v, err := s.One(ctx, load, r.start)
	if err == nil && load.Lists != nil {
		err = asList(&v, load)
	} else if err == nil && !settle(&v) {
		// Once more, half as long again: what has not settled by then keeps its mark.
		load.Duration += load.Duration / 2
		if v, err = s.One(ctx, load, r.start); err == nil {
			settle(&v)
		}
	}
	v.Phase, v.Scenario, v.Round, v.Order = "B", name, round, order
	if load.Rate > 0 {
		v.Phase = "C"
	}
	return v, err
}

// One makes a single visit with everything that is recorded around it. An interrupted visit is an error: half a visit is
// no replication.
func (s *Sweep) One(ctx context.Context, load engine.Load, start time.Time) (rundoc.Visit, error) {
	v := rundoc.Visit{PoolSize: load.Pool, Callers: load.Callers, Rate: load.Rate, StartSeconds: time.Since(start).Seconds()}
	if v.Callers == 0 {
		v.Callers = load.Pool
	}
	if load.Think > 0 {
		v.Extra = map[string]float64{rundoc.ThinkSeconds: load.Think.Seconds()}
	}
	if s.Watch != nil {
		if err := s.Watch.Start(ctx); err != nil {
			return v, fmt.Errorf("reading the server's counters: %w", err)
		}
	}
	res, err := s.Engine.Run(ctx, load)
	if err != nil {
		return v, err
	}
	if err := Fill(&v, res); err != nil {
		return v, err
	}
	if res.Interrupted {
		if err := ctx.Err(); err != nil {
			return v, err
		}
	}
	if s.Watch != nil {
		if err := s.Watch.Stop(ctx, &v); err != nil {
			return v, fmt.Errorf("reading the server's counters: %w", err)
		}
	}
	if res.Storm != "" {
		return v, fmt.Errorf("%w: %s", ErrStorm, res.Storm)
	}
	return v, ctx.Err()
}

// Fill puts an engine's result into a visit.
func Fill(v *rundoc.Visit, r *engine.Result) error {
	v.Driver, v.Seconds, v.Transactions = r.Driver, r.Elapsed.Seconds(), r.Transactions
	if v.Seconds > 0 {
		v.TPS = float64(r.Transactions) / v.Seconds
	}
	v.Failed, v.Retried, v.Reconnects, v.Late, v.Dropped = r.Failed, r.Retried, r.Reconnects, r.Late, r.Unserved
	v.BytesSent, v.BytesReceived, v.MeanBusy, v.Bins, v.Fine = r.BytesSent, r.BytesReceived, r.MeanBusy, r.Bins, r.Fine
	v.Client = rundoc.Client{CPUSeconds: r.CPU.Seconds(), CPUShare: r.CPUShare, LagP99: r.LagP99.Seconds()}
	for _, e := range r.Errors {
		v.Errors = append(v.Errors, rundoc.ErrorCount{SQLState: e.SQLState, Count: e.Count, Message: e.Message})
	}
	for _, o := range r.Ops {
		op, err := fillOp(o)
		if err != nil {
			return fmt.Errorf("encoding the histograms of %s: %w", o.Name, err)
		}
		if o.Count > 0 {
			v.Ops = append(v.Ops, op)
		}
	}
	return nil
}

func fillOp(o engine.OpResult) (op rundoc.Op, err error) {
	op = rundoc.Op{Name: o.Name, Count: o.Count, Clamped: o.Clamped}
	if n := float64(o.Count); n > 0 {
		op.MeanService, op.MeanWait = o.SumService/n, o.SumWait/n
		op.M2Service = max(0, o.SumService2/n-op.MeanService*op.MeanService)
	}
	for _, h := range []struct {
		from *hdrhistogram.Histogram
		to   *string
	}{{o.Service, &op.Service}, {o.Wait, &op.Wait}, {o.Latency, &op.Latency}, {o.Uncorrected, &op.Uncorrected}, {o.Lag, &op.Lag}} {
		if h.from == nil || h.from.TotalCount() == 0 {
			continue
		}
		text, err := h.from.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		if err != nil {
			return op, err
		}
		*h.to = string(text)
	}
	return op, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
