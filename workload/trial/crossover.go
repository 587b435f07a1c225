package trial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
)

// Two servers of equal settings are not equally fast, and pairs of visits to the same two cannot tell that from what
// settings do:
//
//   - One copy of the data is ahead, whatever the settings: at 1 GB of memory and 3 GB of data ten of eleven comparisons, most
//     of settings that have no part in reading, saw the second copy ahead by 0.7 to 3.7 %, five with 95 % intervals that
//     claimed it.
//   - Each start has a speed of its own. Under reads from memory on two processors the ratio of two servers jumped with each
//     start by 1.6 % (standard deviation over eight comparisons of 30 pairs and four starts, without the scatter between
//     visits) and kept that until the next; one and the same comparison gave 0.982 (0.973 to 0.991), 1.005 (0.994 to 1.016)
//     and 1.003 (0.991 to 1.016).
//   - Starts may have a rhythm. Equal settings that changed places at each of eight starts gave 0.975 (0.962 to 0.989), one side
//     ahead in every pair; perhaps by chance, since two other series of 10 and 12 starts had none.
//
// So every pair has its own start, and before it a coin decides which server gets which settings, each on its own copy. Then
// whatever makes one of the two servers faster, in whatever rhythm, has the sign of the coin in the ratio: the advisor's sign-flip
// test is exact by design and not by hope (R. A. Fisher, The Design of Experiments, 1935, section 21), and the interval holds
// all of it. On a server of the user's every pair has its own connections.

// Series says what is to be compared.
type Series struct {
	Scenarios []string // nil: all
	Pairs     int
	Stream    uint64    // of random numbers, beside the Runner's seed
	Deadline  time.Time // where it leaves no time for another pair, the series ends earlier, without an error; zero: none
}

// series is a comparison while it is being made.
type series struct {
	*Runner
	Series
	places    [2]place // the servers, in the order in which their data were copied
	scenarios []scenario.Scenario
	rng       *rand.Rand
	visits    []rundoc.TrialVisit
}

// place is a server with the side whose settings it has for now.
type place struct {
	Side
	name string // A or B
}

// pairs makes one start after the other, with one pair of visits to each scenario.
func (s *series) pairs(ctx context.Context) error {
	s.EachPair = 0
	further := time.Duration(0)
	for n := 1; ; n++ {
		begun := time.Now()
		if n > 1 {
			if err := s.again(ctx); err != nil {
				return err
			}
		}
		if err := s.nth(ctx, n); err != nil {
			return err
		}
		if n > 1 {
			further += time.Since(begun)
			s.EachPair = further / time.Duration(n-1)
		}
		if n == s.Pairs || !s.Deadline.IsZero() && time.Now().Add(time.Since(begun)).After(s.Deadline) {
			return nil
		}
	}
}

func (s *series) nth(ctx context.Context, n int) error {
	seats, err := s.sit(ctx, n, s.places[:]...)
	if err != nil {
		return err
	}
	defer closeAll(seats)
	if err := s.warm(ctx, seats, s.scenarios, n > 1); err != nil {
		return err
	}
	for _, sc := range s.order() {
		first := s.rng.IntN(2)
		two, err := s.pair(ctx, seats, [2]int{first, 1 - first}, sc, n)
		if err != nil {
			return err
		}
		s.add(two, n)
	}
	return nil
}

// order is a random one of the scenarios, those of long statements last: they read whole tables, and drive what the others need
// out of a memory that does not hold all. At 1 GB of memory and 3 GB of data reads after them were at 1000 to 2000 transactions
// a second, reads before them at 3900 to 7100.
func (s *series) order() []scenario.Scenario {
	var soon, late []scenario.Scenario
	for _, i := range s.rng.Perm(len(s.scenarios)) {
		if sc := s.scenarios[i]; s.narrowed(sc.Name) != nil {
			late = append(late, sc)
		} else {
			soon = append(soon, sc)
		}
	}
	return append(soon, late...)
}

// add numbers the two visits of a pair and says that they were made.
func (s *series) add(two [2]rundoc.TrialVisit, pair int) {
	for _, v := range two {
		v.Pair, v.Order = pair, len(s.visits)
		s.visits = append(s.visits, v)
		if s.Visited != nil {
			s.Visited(v, len(s.visits), 2*s.Pairs*len(s.scenarios))
		}
	}
}

// again starts both servers again, and lets a coin decide whether they exchange their settings. A server that is not there
// twice, or not pgfit's, goes on as it is.
func (s *series) again(ctx context.Context) error {
	one, two := &s.places[0], &s.places[1]
	if one.Server == nil || two.Server == nil || one.Server == two.Server {
		return nil
	}
	if err := ctx.Err(); err != nil { // both go on
		return err
	}
	toOne, toTwo := one.Server.Settings(), two.Server.Settings()
	exchange := s.rng.IntN(2) == 1
	if exchange {
		toOne, toTwo = toTwo, toOne
		one.name, two.name = two.name, one.name
	}
	one.stale = exchange && toOne[statisticsTarget] != toTwo[statisticsTarget]
	two.stale = one.stale
	first := make(chan error)
	go func() { first <- one.Server.Restart(ctx, toOne) }()
	second := two.Server.Restart(ctx, toTwo)
	if err := errors.Join(<-first, second); err != nil {
		return fmt.Errorf("starting the servers again: %w", err)
	}
	return nil
}
