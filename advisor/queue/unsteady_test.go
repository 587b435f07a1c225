package queue

import (
	"math"
	"slices"
	"testing"
)

// TestUnsteady: a server that stands still for 1 s and does twice its mean for 1 s, under half of its mean. Who comes in the
// middle of the first second waits for the rest of it, and an eighth more for the 25 before him; a third of a second after it
// goes on it has caught up.
func TestUnsteady(t *testing.T) {
	b := Unsteady(50, 100, [][]float64{{0, 2}, {0, 2}}, 1)
	if want := []float64{.625, .625}; !slices.Equal(b.Waits, want) || b.Share != .5 || b.Mean != .3125 {
		t.Errorf("%+v, want waits %v", b, want)
	}
	fine := make([]float64, 200) // the same in stretches of 10 ms
	for i := 100; i < 200; i++ {
		fine[i] = 2
	}
	b = Unsteady(50, 100, [][]float64{fine}, .01)
	if want := (25 + 25/3.) / 2 / 50; math.Abs(b.Mean-want) > .001 || math.Abs(b.Share-2/3.) > .01 {
		t.Errorf("%v, %v: want a mean of %v by the backlog and Little's law, and two thirds of the callers", b.Mean, b.Share, want)
	}
	for _, none := range []Backlog{
		Unsteady(80, 100, [][]float64{{1, 1, .9}}, .1), Unsteady(100, 100, [][]float64{{.5, 1.5}}, .1), Unsteady(80, 100, nil, .1), Unsteady(0, 100, [][]float64{{.1}}, .1),
	} {
		if none.Mean != 0 || none.Share != 0 || none.Waits != nil {
			t.Errorf("a backlog from nothing: %+v", none)
		}
	}
}

// TestUnsteadyGrows: the nearer the rate to the throughput, the longer the wait; a rate below the slowest stretch has none.
func TestUnsteadyGrows(t *testing.T) {
	trace := [][]float64{{1.05, .97, 1.1, .6, .9, 1.2, 1.18, 1, 1.02, .98}}
	before := Backlog{}
	for _, share := range []float64{.5, .7, .8, .9, .95} {
		b := Unsteady(100*share, 100, trace, .1)
		if (share <= .6) != (b.Mean == 0) || b.Mean < before.Mean || b.Share < before.Share {
			t.Errorf("at %.0f %%: %+v after %+v", 100*share, b, before)
		}
		before = b
	}
}
