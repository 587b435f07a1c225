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

// Two copies of one snapshot, each in a server of its own, are not equally fast, and pairs of visits cannot tell that from
// what the settings do: at 1 GB of memory and 3 GB of data ten of eleven comparisons, most of them of settings that have no
// part in reading, saw the copy made second ahead by 0.7 to 3.7 %, five of them with 95 % intervals that claimed it. So the
// settings change places: both servers start again, each on the other's data, and half of the pairs are made either way
// round (a crossover). What belongs to a copy or to its turn of being warmed up then cancels out, and what differs from one
// start to the next becomes part of the scatter that the interval is made of.
const (
	fewStretches  = 2
	manyStretches = 4 // from manyPairs on
	manyPairs     = 12
)

// stretches is how often the servers start: once where there is nothing to start.
func stretches(pairs int, copies bool) int {
	switch {
	case !copies || pairs < fewStretches:
		return 1
	case pairs < manyPairs:
		return fewStretches
	}
	return manyStretches
}

// series is a comparison while it is being made.
type series struct {
	*Runner
	places    [2]place // the servers, in the order in which their data were copied
	scenarios []scenario.Scenario
	rng       *rand.Rand
	deadline  time.Time // zero: none
	visits    []rundoc.TrialVisit
	made      int           // pairs
	setup     time.Duration // of the last stretch, before its first visit
}

// place is a server with the side whose settings it has for now.
type place struct {
	Side
	name string // A or B
}

// stretch makes the pairs up to number until without a start in between. It tells whether there was time for all.
func (s *series) stretch(ctx context.Context, until int) (all bool, err error) {
	begun := time.Now()
	seats, err := s.sit(ctx, s.places[:]...)
	if err != nil {
		return false, err
	}
	defer closeAll(seats)
	if err := s.warm(ctx, seats, s.scenarios); err != nil {
		return false, err
	}
	s.setup += time.Since(begun)
	for s.made < until {
		begun := time.Now()
		s.made++
		for _, i := range s.rng.Perm(len(s.scenarios)) {
			first := s.rng.IntN(2)
			two, err := s.pair(ctx, seats, [2]int{first, 1 - first}, s.scenarios[i], s.made)
			if err != nil {
				return false, err
			}
			s.visits = s.add(s.visits, two, s.made, s.Pairs*len(s.scenarios))
		}
		next := time.Since(begun)
		if s.made == until {
			next += s.setup
		}
		if s.made < s.Pairs && !s.deadline.IsZero() && time.Now().Add(next).After(s.deadline) {
			return false, nil
		}
	}
	return true, nil
}

// exchange starts both servers again, each with the settings that the other one had.
func (s *series) exchange(ctx context.Context) error {
	begun := time.Now()
	a, b := &s.places[0], &s.places[1]
	toA, toB := b.Server.Settings(), a.Server.Settings()
	if err := errors.Join(a.Server.Restart(ctx, toA), b.Server.Restart(ctx, toB)); err != nil {
		return fmt.Errorf("starting the servers with their settings exchanged: %w", err)
	}
	a.name, b.name = b.name, a.name
	a.stale = toA[statisticsTarget] != toB[statisticsTarget]
	b.stale = a.stale
	s.setup = time.Since(begun)
	return nil
}
