package sweep

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgfit/workload/rundoc"
)

// bins are completions of 100 ms at 1000/s with some noise, rising from half speed with time constant tau in seconds.
func bins(rng *rand.Rand, seconds int, tau float64) []uint32 {
	out := make([]uint32, 10*seconds)
	for i := range out {
		level := 1.0
		if tau > 0 {
			level = 1 - .5*math.Exp(-(float64(i)+.5)/10/tau)
		}
		out[i] = uint32(math.Max(0, math.Round(100*level*(1+.05*rng.NormFloat64()))))
	}
	return out
}

// MSER-5 takes a warm-up out of 30 s visits, leaves steady ones alone, and says when half a visit is not enough.
func TestSettle(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	for _, tc := range []struct {
		name     string
		tau      float64
		bias     float64 // of the mean throughput, at most, over many visits
		unsteady float64 // share of visits, at most
	}{{"steady", 0, .002, .05}, {"1 s", 1, .01, .05}, {"3 s", 3, .02, .10}} {
		t.Run(tc.name, func(t *testing.T) {
			sum, marked, n := 0.0, 0, 200
			for range n {
				v := rundoc.Visit{Seconds: 30, Bins: bins(rng, 30, tc.tau)}
				for _, b := range v.Bins {
					v.TPS += float64(b) / 30
				}
				if !settle(&v) {
					marked++
				}
				sum += v.TPS / float64(n)
			}
			if e := sum/1000 - 1; math.Abs(e) > tc.bias || float64(marked) > tc.unsteady*float64(n) {
				t.Errorf("bias %.4f, %d of %d not steady; want at most %.3f and %.2f", e, marked, n, tc.bias, tc.unsteady)
			}
		})
	}
	ramp := make([]uint32, 300)
	for i := range ramp {
		ramp[i] = uint32(i)
	}
	v := rundoc.Visit{Seconds: 30, TPS: 1495, Bins: ramp}
	if settle(&v) || len(v.Marks) != 1 || v.Marks[0].Code != rundoc.Unsteady || v.TPS != 1495 {
		t.Errorf("a ramp is called steady: %+v", v.Marks)
	}
	for _, v := range []rundoc.Visit{{Seconds: 10, TPS: 5, Bins: ramp[:100]}, {Seconds: 30, TPS: 5, Rate: 10, Bins: ramp}, {Seconds: 30, TPS: 5}} {
		if before := v.TPS; !settle(&v) || v.TPS != before {
			t.Errorf("a visit that cannot be judged is judged: %+v", v)
		}
	}
}

// A first round that is 20 % slower is found, one that differs by noise or by 3 % is not.
func TestCold(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 34))
	for _, tc := range []struct {
		name   string
		factor float64
		want   bool
	}{{"slower", .8, true}, {"faster", 1.2, true}, {"alike", 1, false}, {"hardly slower", .98, false}} {
		t.Run(tc.name, func(t *testing.T) {
			hits := 0
			for range 100 {
				var visits []rundoc.Visit
				for round := 1; round <= 5; round++ {
					for _, n := range []int{1, 2, 4, 8, 16, 32, 64} {
						x := 1000 * float64(n) * math.Exp(.02*rng.NormFloat64())
						if round == 1 {
							x *= tc.factor
						}
						visits = append(visits, rundoc.Visit{Scenario: "s", PoolSize: n, Round: round, TPS: x})
					}
				}
				if cold(visits) {
					hits++
				}
			}
			if tc.want && hits < 95 || !tc.want && hits > 5 {
				t.Errorf("found in %d of 100", hits)
			}
		})
	}
	if cold(nil) || cold([]rundoc.Visit{{Round: 1, TPS: 1}, {Round: 2, TPS: 9}}) {
		t.Error("too few visits to tell, and told")
	}
}

func TestStudent(t *testing.T) {
	for n, want := range map[int]float64{2: 12.706, 5: 2.776, 16: 2.131, 21: 2.086, 61: 2.000, 1001: 1.962} {
		if got := student(n); math.Abs(got-want) > .001 {
			t.Errorf("student(%d) = %g, want %g", n, got, want)
		}
	}
}
