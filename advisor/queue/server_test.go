package queue

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgfit/advisor/usl"
)

// TestThroughputExact holds the chain against closed forms: one client, no delay, one server without slowdown (Erlang's
// loss formula gives the machine repairman's idle share), and as many servers as clients.
func TestThroughputExact(t *testing.T) {
	for _, tc := range []struct {
		name string
		s    Server
		n    float64
		want float64
	}{
		{"one client", Server{4, .01, .03, 0}, 1, 25},
		{"no delay", Server{4, .01, 0, .1}, 6, 400 / 1.2},
		{"enough servers", Server{64, .01, .03, 0}, 40, 1000},
		{"one server, two clients", Server{1, 1, 1, 0}, 2, 0.8}, // p = 1/5, 2/5, 2/5
		{"one server, three clients", Server{1, 1, 2, 0}, 3, 15.0 / 19},
		{"below one client", Server{4, .01, .03, 0}, .5, 12.5},
		{"far beyond", Server{4, .01, .03, 0}, 4000, 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.s.Throughput(tc.n); math.Abs(got/tc.want-1) > 1e-12 {
				t.Errorf("%+v.Throughput(%g) = %.12g, want %.12g", tc.s, tc.n, got, tc.want)
			}
		})
	}
}

// The closed pool of the waits and the server without slowdown are the same queue.
func TestServerIsTheClosedPool(t *testing.T) {
	s := Server{Servers: 25, Service: .05, Delay: .15}
	w, err := Closed(25, 100, .15, linear(.05))
	if err != nil || math.Abs(s.Throughput(100)-w.X) > 1e-9 {
		t.Errorf("Throughput(100) = %g, Closed: %g, %v", s.Throughput(100), w.X, err)
	}
}

func TestKnee(t *testing.T) {
	hard := Server{Servers: 4, Service: .001, Delay: 0}
	if got := hard.Knee(.1, 64); math.Abs(got-4) > 0.6 {
		t.Errorf("Knee(0.1) of a hard knee at 4 = %g", got)
	}
	if got := (Server{Servers: 100, Service: .001, Delay: .001}).Knee(.1, 64); !math.IsInf(got, 1) {
		t.Errorf("Knee of a straight line = %g, want none", got)
	}
	falls := Server{Servers: 8, Service: .004, Delay: .002, Slowdown: .05}
	peak := falls.Knee(0, 250)
	for _, n := range []float64{peak - 1.5, peak + 1.5} {
		if falls.Throughput(n) > falls.Throughput(math.Round(peak)) {
			t.Errorf("peak at %g, but X(%g) is higher", peak, n)
		}
	}
	if a, b := falls.Knee(.5, 250), falls.Knee(.1, 250); !(a < b && b < peak) {
		t.Errorf("knees %g, %g, %g are not in order", a, b, peak)
	}
}

func sample(s interface{ Throughput(float64) float64 }, ns ...float64) []Level {
	var out []Level
	for _, n := range ns {
		out = append(out, Level{N: n, LogX: math.Log(s.Throughput(n)), Weight: 5})
	}
	return out
}

func TestFitRecovers(t *testing.T) {
	for _, want := range []Server{{4, .001, .0002, .002}, {2, .0001, .00002, .004}, {8, .004, .002, .01}, {16, .01, .001, 1e-3}} {
		got, sse, err := Fit(sample(want, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 100))
		if err != nil || sse > 1e-4 {
			t.Errorf("Fit = %+v with %g, %v, want %+v", got, sse, err, want)
			continue
		}
		for n := 1.0; n < 100; n++ {
			if e := got.Throughput(n)/want.Throughput(n) - 1; math.Abs(e) > 0.005 {
				t.Errorf("Fit = %+v misses %+v by %.2f %% at %g", got, want, 100*e, n)
				break
			}
		}
		if k := want.Knee(.1, 100); math.Abs(got.Knee(.1, 100)/k-1) > .05 {
			t.Errorf("knee %g, want %g", got.Knee(.1, 100), k)
		}
	}
}

// Refit from the neighbourhood comes to what Fit finds.
func TestRefit(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	truth := Server{6, .002, .001, .004}
	for range 20 {
		levels := sample(truth, 1, 2, 4, 8, 16, 32, 64)
		for i := range levels {
			levels[i].LogX += .02 * rng.NormFloat64()
		}
		_, whole, err := Fit(levels)
		if err != nil {
			t.Fatal(err)
		}
		if near := squares(levels, Refit(levels, truth, 3)); near > whole*1.02+1e-9 {
			t.Errorf("Refit leaves %g, Fit %g", near, whole)
		}
	}
}

func TestFitRefuses(t *testing.T) {
	for _, levels := range [][]Level{nil, {{1, 1, 1}}, {{0, 1, 1}, {2, 1, 1}}, {{1, math.NaN(), 1}, {2, 1, 1}}, {{1, 1, 1}, {1e6, 1, 1}}} {
		if s, _, err := Fit(levels); err == nil {
			t.Errorf("Fit(%v) = %+v", levels, s)
		}
	}
}

func FuzzFitServer(f *testing.F) {
	f.Add(1.0, 2.0, 16.0, 3.0, 64.0, 3.0)
	f.Add(1.0, -300.0, 2.0, 300.0, 4999.0, 0.0)
	f.Add(3.0, 5.0, 3.0, 5.0, 3.0, 5.0)
	f.Fuzz(func(t *testing.T, n1, x1, n2, x2, n3, x3 float64) {
		if n1 > 300 || n2 > 300 || n3 > 300 {
			return // the answer is exact and takes its time
		}
		s, sse, err := Fit([]Level{{n1, x1, 1}, {n2, x2, 1}, {n3, x3, 1}})
		if err == nil && (math.IsNaN(s.Service+s.Delay+s.Slowdown+sse) || s.Servers < 1 || math.IsNaN(s.Throughput(8)) || math.IsNaN(s.Knee(.1, 64))) {
			t.Errorf("Fit = %+v with %g", s, sse)
		}
	})
}

func BenchmarkFit(b *testing.B) {
	m := usl.Model{Lambda: 1000, Sigma: .05, Kappa: .001}
	levels := sample(m, 1, 2, 4, 8, 16, 32, 64, 128, 250)
	for b.Loop() {
		if _, _, err := Fit(levels); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefit(b *testing.B) {
	levels := sample(Server{6, .002, .001, .004}, 1, 2, 4, 8, 16, 32, 64, 128, 250)
	for b.Loop() {
		Refit(levels, Server{6, .0021, .0011, .005}, 2)
	}
}
