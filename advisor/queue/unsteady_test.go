package queue

import (
	"math"
	"slices"
	"testing"
)

func unsteady(rate, x, free float64, traces [][]float64, step float64) Backlog {
	return Replay{Traces: traces, Step: step}.Unsteady(rate, x, free)
}

// TestUnsteady: a server that stands still for 1 s and does twice its mean for 1 s, under half of its mean. Who comes in the
// middle of the first second waits for the rest of it, and an eighth more for the 25 before him; a third of a second after it
// goes on it has caught up.
func TestUnsteady(t *testing.T) {
	b := unsteady(50, 100, 0, [][]float64{{0, 2}, {0, 2}}, 1)
	if want := []float64{.625, .625}; !slices.Equal(b.Waits, want) || b.Share != .5 || b.Mean != .3125 {
		t.Errorf("%+v, want waits %v", b, want)
	}
	fine := make([]float64, 200) // the same in stretches of 10 ms
	for i := 100; i < 200; i++ {
		fine[i] = 2
	}
	b = unsteady(50, 100, 0, [][]float64{fine}, .01)
	if want := (25 + 25/3.) / 2 / 50; math.Abs(b.Mean-want) > .001 || math.Abs(b.Share-2/3.) > .01 {
		t.Errorf("%v, %v: want a mean of %v by the backlog and Little's law, and two thirds of the callers", b.Mean, b.Share, want)
	}
	// 20 of those who come are taken on at once: the backlog is above them from .4 s after the halt to .1 s before its end.
	b = unsteady(50, 100, 20, [][]float64{fine}, .01)
	if want := 30 * (.6 + .2) / 2 / 2 / 50; math.Abs(b.Mean-want) > .001 || math.Abs(b.Share-.4) > .01 {
		t.Errorf("%v, %v: want a mean of %v, and two fifths of the callers", b.Mean, b.Share, want)
	}
	for _, none := range []Backlog{
		unsteady(80, 100, 0, [][]float64{{1, 1, .9}}, .1), unsteady(100, 100, 0, [][]float64{{.5, 1.5}}, .1), unsteady(80, 100, 0, nil, .1), unsteady(0, 100, 0, [][]float64{{.1}}, .1),
		unsteady(50, 100, 51, [][]float64{fine}, .01),
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
		b := unsteady(100*share, 100, 0, trace, .1)
		if (share <= .6) != (b.Mean == 0) || b.Mean < before.Mean || b.Share < before.Share {
			t.Errorf("at %.0f %%: %+v after %+v", 100*share, b, before)
		}
		before = b
	}
}

// TestUnsteadyApart: a visit in which the server stands still for its last second, and one in which it does so for the first.
// In the first one 50 callers are not served and not counted; in the second 50 wait on average for half of the second and
// what came before them, and catch up within another second. Neither leaves anything to the other.
func TestUnsteadyApart(t *testing.T) {
	late, early := make([]float64, 200), make([]float64, 200)
	for i := range 100 {
		late[i], early[100+i] = 2, 2
	}
	got := Replay{Traces: [][]float64{late}, Step: .01, Apart: true}.Unsteady(50, 100, 0)
	if got.Mean != 0 {
		t.Errorf("who is not served waits %v", got)
	}
	one := Replay{Traces: [][]float64{early}, Step: .01, Apart: true}.Unsteady(50, 100, 0)
	if want := (25 + 25/3.) / 2 / 50; math.Abs(one.Mean-want) > .001 {
		t.Errorf("a mean of %v, want %v", one.Mean, want)
	}
	both := Replay{Traces: [][]float64{late, early, late}, Step: .01, Apart: true}.Unsteady(50, 100, 0)
	if want := one.Mean / 2; math.Abs(both.Mean-want) > .001 { // 100 stretches of each late visit count, and 200 of the early one
		t.Errorf("together a mean of %v, want %v", both.Mean, want)
	}
}

// FuzzUnsteady: whatever the trace, the rate and the free connections, a wait is a number, and the more connections are free
// the shorter it is.
func FuzzUnsteady(f *testing.F) {
	f.Add(50., 100., 3., []byte{0, 20, 0, 20}, true)
	f.Add(99., 100., 0., []byte{10, 10, 9}, false)
	f.Add(1., 1e9, 1e12, []byte{0}, false)
	f.Fuzz(func(t *testing.T, rate, x, free float64, speeds []byte, apart bool) {
		trace := make([]float64, len(speeds))
		for i, s := range speeds {
			trace[i] = float64(s) / 10
		}
		r := Replay{Traces: [][]float64{trace, trace}, Step: .1, Apart: apart}
		none, some := r.Unsteady(rate, x, 0), r.Unsteady(rate, x, free)
		for _, b := range []Backlog{none, some} {
			if !(b.Mean >= 0) || !(b.Share >= 0) || b.Share > 1 || len(b.Waits) > backlogWaits || !slices.IsSorted(b.Waits) {
				t.Fatalf("%+v", b)
			}
		}
		if !apart && some.Mean > none.Mean*(1+1e-9) { // apart, who is not served in time does not count
			t.Fatalf("%v with %v free, %v with none", some.Mean, free, none.Mean)
		}
	})
}
