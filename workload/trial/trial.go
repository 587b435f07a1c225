// Package trial measures two settings of PostgreSQL against each other: on two scratch servers that were copied from one
// snapshot, or on one server of the user's with SET on pgfit's own connections. Visits alternate in random pairs, only one
// side has load at a time, and each visit begins from the same state. It records visits; what they mean is the advisor's
// business.
package trial

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/workload/cluster"
	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
)

// appName is the application_name of the load's connections.
const appName = "pgfit"

// ErrStorm says that more than a tenth of the transactions failed, so that there is no throughput to compare.
var ErrStorm = errors.New("too many operations fail")

// ErrStuck says that statements take so long that a visit does not come to its end.
var ErrStuck = errors.New("statements take too long to be compared")

// Side is one of the two settings under comparison.
type Side struct {
	Config *pgx.ConnConfig
	Server *cluster.Server   // nil: a server that pgfit did not start; nothing but pgfit's own sessions is touched
	Set    map[string]string // given to pgfit's own sessions on connecting

	stale bool // the statistics may have been made with another default_statistics_target
}

// Runner makes the visits of comparisons.
type Runner struct {
	Scenarios   []scenario.Scenario
	Vars        map[string]string // of the scripts
	Pool        int               // connections, all of them busy
	Pairs       int
	Warmup      time.Duration // of each visit, dropped
	Measure     time.Duration
	FirstWarmup time.Duration // of each side, once, over all scenarios; longer while it still gets faster
	Seed        uint64        // of order and keys
	Protocol    engine.Protocol
	Driver      string
	MaxTries    int
	Log         *slog.Logger
	Visited     func(v rundoc.TrialVisit, done, total int) // may be nil
	Live        func(p engine.Progress)                    // may be nil

	// Narrowed are the scenarios whose transactions take too long for Pool and Measure, as the first warm-up shows; filled here.
	// Their visits are lists of transactions that are timed as a whole.
	Narrowed []rundoc.Scope

	decided map[string]bool          // by scenario: whether it is to be narrowed
	mean    map[string]time.Duration // of a transaction, by scenario, as the warm-up showed it
	cost    map[string][]float64     // of each script in seconds, by narrowed scenario
}

// overhead of a visit beside warm-up and window: counters, thawing, the checkpoint that follows (measured: 60 to 400 ms on
// a virtual disk, reads and writes).
const overhead = 300 * time.Millisecond

// Compare makes Pairs pairs of visits for every scenario. The order of scenarios, and of A and B in a pair, follows from the
// seed and stream. Two servers exchange their settings on the way, and may be left so. Where deadline, if not zero, leaves no time for another
// pair, it ends earlier without an error. With an error, such as the context's, the visits made so far come back too. names
// limits the scenarios; nil is all.
func (r *Runner) Compare(ctx context.Context, a, b Side, names []string, stream uint64, deadline time.Time) ([]rundoc.TrialVisit, error) {
	s := series{Runner: r, places: [2]place{{a, "A"}, {b, "B"}}, scenarios: r.named(names), rng: rand.New(rand.NewPCG(r.Seed, stream)), deadline: deadline}
	n := stretches(r.Pairs, a.Server != nil && b.Server != nil && a.Server != b.Server)
	for i := range n {
		if i > 0 {
			if err := s.exchange(ctx); err != nil {
				return s.visits, err
			}
		}
		if all, err := s.stretch(ctx, r.Pairs*(i+1)/n); err != nil || !all {
			return s.visits, err
		}
	}
	return s.visits, nil
}

// Alone makes n pairs of visits for each scenario, both to one side as if it were two: what differs is noise. Where deadline,
// if not zero, leaves no time for another pair, it makes fewer, one at least.
func (r *Runner) Alone(ctx context.Context, a Side, n int, deadline time.Time) ([]rundoc.TrialVisit, error) {
	seats, err := r.sit(ctx, place{a, "A"})
	if err != nil {
		return nil, err
	}
	defer closeAll(seats)
	if err := r.warm(ctx, seats, r.Scenarios); err != nil {
		return nil, err
	}
	var visits []rundoc.TrialVisit
	for i := range n {
		begun := time.Now()
		for _, sc := range r.Scenarios {
			two, err := r.pair(ctx, seats, [2]int{}, sc, i+1)
			if err != nil {
				return visits, err
			}
			halve(&two)
			visits = r.add(visits, two, i+1, n*len(r.Scenarios))
		}
		if !deadline.IsZero() && time.Now().Add(time.Since(begun)).After(deadline) {
			break
		}
	}
	return visits, nil
}

// halve shares the checkpoint out between two visits to one server, the first of which ended with it.
func halve(two *[2]rundoc.TrialVisit) {
	late := (two[0].CheckpointSeconds + two[1].CheckpointSeconds) / 2
	for i := range two {
		v := &two[i]
		v.Side = string("AB"[i])
		v.TPS *= (v.Seconds + v.CheckpointSeconds) / (v.Seconds + late)
		v.CheckpointSeconds = late
	}
}

// add numbers the two visits of a pair and says that they were made.
func (r *Runner) add(visits []rundoc.TrialVisit, two [2]rundoc.TrialVisit, pair, pairs int) []rundoc.TrialVisit {
	for _, v := range two {
		v.Pair, v.Order = pair, len(visits)
		visits = append(visits, v)
		if r.Visited != nil {
			r.Visited(v, len(visits), 2*pairs)
		}
	}
	return visits
}

// named are the scenarios of those names, in the Runner's order; all for nil.
func (r *Runner) named(names []string) []scenario.Scenario {
	if names == nil {
		return r.Scenarios
	}
	var out []scenario.Scenario
	for _, sc := range r.Scenarios {
		for _, n := range names {
			if n == sc.Name {
				out = append(out, sc)
			}
		}
	}
	return out
}

// weights are the shares of the engine's scripts in one scenario; the engine has those of all scenarios, one after another.
func (r *Runner) weights(name string) []int {
	var w []int
	for _, sc := range r.Scenarios {
		for _, tx := range sc.Transactions {
			if sc.Name == name {
				w = append(w, tx.Weight)
			} else {
				w = append(w, 0)
			}
		}
	}
	return w
}
