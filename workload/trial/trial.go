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
	Warmup      time.Duration     // of each visit, dropped
	Measure     time.Duration
	FirstWarmup time.Duration // of each side at a start, over all scenarios; longer while it still gets faster
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

	// EachPair is how long a pair of the last comparison took on average, from its start to its last visit; the first one, which
	// needs longer, is left out. 0: there was one. Filled here.
	EachPair time.Duration

	decided map[string]bool          // by scenario: whether it is to be narrowed
	mean    map[string]time.Duration // of a transaction, by scenario, as the warm-up showed it
	cost    map[string][]float64     // of each script in seconds, by narrowed scenario
}

// overhead of a visit beside warm-up and window: counters, thawing, the checkpoint that follows (measured: 60 to 400 ms on
// a virtual disk, reads and writes).
const overhead = 300 * time.Millisecond

// Compare makes pairs of visits to two sides, each pair with a start of its own, until the series is whole. The order of
// scenarios, of A and B in a pair, and of the places of the two follow from seed and stream. Two sides of equal settings show
// what is noise. Two servers may be left with each other's settings, or stopped after an error. With an error, such as the
// context's, the visits made so far come back too.
func (r *Runner) Compare(ctx context.Context, a, b Side, what Series) ([]rundoc.TrialVisit, error) {
	s := series{Runner: r, Series: what, places: [2]place{{a, "A"}, {b, "B"}}, scenarios: r.named(what.Scenarios), rng: rand.New(rand.NewPCG(r.Seed, what.Stream))}
	err := s.pairs(ctx)
	return s.visits, err
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
