package queue

import (
	"errors"
	"math"
	"testing"

	"pgfit/advisor/usl"
)

func linear(q float64) func(float64) float64 { return func(n float64) float64 { return n / q } }

func TestOpenIsErlangC(t *testing.T) {
	for _, tc := range []struct {
		c    int
		a    float64 // offered load in Erlangs
		want float64
	}{{1, .5, .5}, {2, 1, 1.0 / 3}, {10, 8, .4091801508}, {30, 25, .2498931669}} {
		w, err := Open(tc.c, tc.a, linear(1), 1)
		if err != nil || math.Abs(w.P-tc.want) > 1e-9 {
			t.Errorf("Open(%d, %g).P = %.10f, %v, want %.10f", tc.c, tc.a, w.P, err, tc.want)
		}
		if math.Abs(w.Busy-tc.a) > 1e-9 {
			t.Errorf("Open(%d, %g).Busy = %g, want the offered load", tc.c, tc.a, w.Busy)
		}
	}
}

func TestOpenUnderContention(t *testing.T) {
	x := usl.Model{Lambda: 1000, Sigma: .05, Kappa: .001}.Throughput
	for _, tc := range []struct {
		c             int
		rate, p, mean float64
	}{{12, 5000, .11408487, .05345146e-3}, {8, 5000, .60103435, .87118999e-3}, {20, 4000, .00006405, -1}} {
		w, err := Open(tc.c, tc.rate, x, 1)
		if err != nil || math.Abs(w.P-tc.p) > 1e-8 || tc.mean > 0 && math.Abs(w.Mean-tc.mean) > 1e-11 {
			t.Errorf("Open(%d, %g) = %+v, %v, want P %g, mean %g", tc.c, tc.rate, w, err, tc.p, tc.mean)
		}
	}
	if _, err := Open(60, 0.9*x(30.82), x, 1); !errors.Is(err, ErrUnstable) {
		t.Errorf("a pool beyond the peak carries a rate above its throughput: %v", err)
	}
}

// The guide's example: 100 callers, 200 ms a request of which 50 ms in the database.
func TestGuideExample(t *testing.T) {
	for _, tc := range []struct {
		c             int
		x, p, meanSec float64
	}{{20, 399.785, .9939, 50.13e-3}, {25, 477.357, .6661, 9.487e-3}, {30, 497.680, .1590, .932e-3}, {35, 499.871, .0150, -1}} {
		w, err := Closed(tc.c, 100, .15, linear(.05))
		if err != nil || math.Abs(w.X-tc.x) > 1e-3 || math.Abs(w.P-tc.p) > 1e-4 || tc.meanSec > 0 && math.Abs(w.Mean-tc.meanSec) > 1e-5 {
			t.Errorf("Closed(%d) = %+v, %v, want X %g, P %g, mean %g", tc.c, w, err, tc.x, tc.p, tc.meanSec)
		}
	}
	if w, err := Closed(36, 100, .15, linear(.05)); err != nil || w.P > .01 {
		t.Errorf("36 connections are the first with which at most 1 %% wait: %g, %v", w.P, err)
	}
	if w, err := Open(35, 500, linear(.05), 1); err != nil || math.Abs(w.P-.039607) > 1e-6 {
		t.Errorf("Open(35, 500) = %+v, %v", w, err)
	}
	w, err := Open(30, 500, linear(.05), 1)
	if err != nil || math.Abs(w.P-.249893) > 1e-6 || math.Abs(w.Mean-2.498932e-3) > 1e-8 {
		t.Errorf("Open(30, 500) = %+v, %v", w, err)
	}
	if _, err := Open(25, 500, linear(.05), 1); !errors.Is(err, ErrUnstable) {
		t.Errorf("25 connections for 25 Erlangs: %v, want ErrUnstable", err)
	}
}

// The guide's table has no hold time: at 200 requests a second the smallest pool in which at most 1 % wait has 7, 19 or 32
// connections.
func TestHoldTimeMatters(t *testing.T) {
	for hold, want := range map[float64]int{.010: 7, .050: 19, .100: 32} {
		for c := 1; ; c++ {
			w, err := Open(c, 200, linear(hold), 1)
			if err == nil && w.P <= .01 {
				if c != want {
					t.Errorf("hold %g s: %d connections, want %d", hold, c, want)
				}
				break
			}
		}
	}
}

func TestQuantile(t *testing.T) {
	w, err := Open(30, 500, linear(.05), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Quantile(0.5); got != 0 {
		t.Errorf("median wait %g, want 0: three of four do not wait", got)
	}
	p99 := w.Quantile(0.99)
	if tail := w.P * math.Exp(-(600-500)*p99); math.Abs(tail-0.01) > 1e-12 {
		t.Errorf("P(W > %g) = %g, want 0.01", p99, tail)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(10, 100.0, 0.05, 0.01, 1.0)
	f.Add(1000, 1e-9, 0.0, 0.0, 0.0)
	f.Fuzz(func(t *testing.T, c int, rate, sigma, kappa, cv2 float64) {
		m := usl.Model{Lambda: 100, Sigma: math.Abs(sigma), Kappa: math.Abs(kappa)}
		if c < 0 || c > 5000 || math.IsNaN(sigma+kappa+cv2) || math.IsInf(sigma+kappa+cv2, 0) {
			return
		}
		w, err := Open(c, rate, m.Throughput, math.Abs(cv2))
		if err == nil && (math.IsNaN(w.P) || math.IsNaN(w.Mean) || w.P < 0 || w.P > 1 || w.Mean < 0) {
			t.Errorf("Open(%d, %g) = %+v", c, rate, w)
		}
	})
}

// A server without contention does not notice how the pool is split: each part is then Erlang's queue of its own, and waits
// more than the whole.
func TestSplit(t *testing.T) {
	whole, err := Open(32, 400, linear(.05), 1)
	if err != nil {
		t.Fatal(err)
	}
	part, err := Split(4, 8, 400, linear(.05), 1)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := Open(8, 100, linear(.05), 1)
	if err != nil || math.Abs(part.P-alone.P) > 1e-12 || math.Abs(part.Mean-alone.Mean) > 1e-12 {
		t.Errorf("Split = %+v, one part alone = %+v, %v", part, alone, err)
	}
	if part.P <= whole.P || part.Mean <= whole.Mean {
		t.Errorf("split waits %g (%g s), whole %g (%g s): a split pool cannot wait less", part.P, part.Mean, whole.P, whole.Mean)
	}
	if one, err := Split(1, 32, 400, linear(.05), 1); err != nil || one.P != whole.P {
		t.Errorf("Split into one = %+v, %v", one, err)
	}
	sum := 0.0
	for _, p := range part.States {
		sum += p
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("the states add up to %g", sum)
	}
}

// Pools that share callers wait as one pool does where there is one, and longer where there are several.
func TestClosedSplit(t *testing.T) {
	x := func(n float64) float64 { return n / .05 }
	one, err := Closed(30, 100, .15, x)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := ClosedSplit(1, 30, 100, .15, x); err != nil || same.P != one.P || same.Mean != one.Mean {
		t.Errorf("one pool: %+v, %v, want %+v", same, err, one)
	}
	three, err := ClosedSplit(3, 10, 100, .15, x)
	if err != nil || !(three.P > one.P) || !(three.Mean > one.Mean) || three.P > 3*one.P {
		t.Errorf("three pools: P %g, mean %g, %v, want somewhat more than %g, %g", three.P, three.Mean, err, one.P, one.Mean)
	}
	if _, err := ClosedSplit(3, 10, 100, 0, x); err == nil {
		t.Error("no think time: want an error")
	}
}
