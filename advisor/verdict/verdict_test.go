package verdict

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestSignFlip: by hand. All of one sign gives 2/2^n; three differences 3, 2, -1 have sums 6 4 2 0 and their negatives,
// two of each but 0 twice: |sum| >= 4 for 4 of 8.
func TestSignFlip(t *testing.T) {
	for _, tc := range []struct {
		name string
		d    []float64
		want float64
	}{
		{"six of one sign", []float64{1, 2, 3, 4, 5, 6}, 2.0 / 64},
		{"five of one sign", []float64{.1, .2, .1, .3, .1}, 2.0 / 32},
		{"by hand", []float64{3, 2, -1}, 0.5},
		{"no difference at all", []float64{0, 0, 0, 0, 0, 0}, 1},
		{"one", []float64{5}, 1},
		{"too many", make([]float64, 13), -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := SignFlip(tc.d); got != tc.want {
				t.Errorf("SignFlip(%v) = %v, want %v", tc.d, got, tc.want)
			}
		})
	}
}

// TestCompare: a worked example. d = .10 .12 .08 .11 .09 .10: mean .1, sd .0141421, half-width 2.5706 x sd / sqrt 6 = .0148412.
func TestCompare(t *testing.T) {
	c := Compare([]float64{.10, .12, .08, .11, .09, .10})
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s = %.8f, want %.8f", what, got, want)
		}
	}
	near("mean", c.Mean, .1)
	near("sd", c.SD, .01414214)
	near("low", c.Low, math.Exp(.1-.01484126))
	near("high", c.High, math.Exp(.1+.01484126))
	near("p", c.P, 2.0/64)
	inv := c.Inverse()
	near("inverse low", inv.Low, 1/c.High)
	near("inverse ratio", inv.Ratio(), 1/c.Ratio())
}

func TestWords(t *testing.T) {
	for _, tc := range []struct {
		name string
		d    []float64
		kind Kind
		want string
	}{
		{"better", []float64{.10, .12, .08, .11, .09, .10}, Better, "better by 11 % (8.9 to 12 %)"},
		{"worse", []float64{-.10, -.12, -.08, -.11, -.09, -.10}, Worse, "worse by 9.5 % (8.2 to 11 %)"},
		{"times", []float64{1.1, 1.12, 1.08, 1.11, 1.09, 1.10}, Better, "better: 3 times (2.96 to 3.05)"},
		{"same", []float64{.01, -.02, .03, -.01, .02, -.03}, Same, "no difference seen (would have seen 4.4 %)"},
		{"five pairs claim nothing", []float64{.10, .12, .08, .11, .09}, TooFew, "5 pairs, too few for a verdict (6 are needed)"},
		{"none", nil, TooFew, "0 pairs, too few for a verdict (6 are needed)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Compare(tc.d)
			if got := c.Kind(); got != tc.kind {
				t.Errorf("Kind = %q, want %q", got, tc.kind)
			}
			if got := c.Words(); got != tc.want {
				t.Errorf("Words = %q, want %q", got, tc.want)
			}
		})
	}
}

// drifting gives pairs of visits on a machine whose speed wanders (AR(1), coefficient 0.7, 8 %) under 2 % of noise a
// visit, the order inside a pair random; effect is the true ln(B/A).
func drifting(rng *rand.Rand, pairs int, effect float64) []float64 {
	const phi, env, noise = 0.7, 0.08, 0.02
	state := env * rng.NormFloat64()
	visit := func() float64 {
		state = phi*state + env*math.Sqrt(1-phi*phi)*rng.NormFloat64()
		return state + noise*rng.NormFloat64()
	}
	d := make([]float64, pairs)
	for i := range d {
		first, second := visit(), visit()
		if rng.IntN(2) == 0 {
			first, second = second, first
		}
		d[i] = effect + second - first
	}
	return d
}

// recorded are series of ln TPS of visits to one server on a real and busy machine.
func recorded(t *testing.T) map[string][]float64 {
	t.Helper()
	text, err := os.ReadFile("testdata/noise.txt")
	if err != nil {
		t.Fatal(err)
	}
	series := map[string][]float64{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[0] == "#" {
			continue
		}
		for _, word := range f[1:] {
			y, err := strconv.ParseFloat(word, 64)
			if err != nil {
				t.Fatal(err)
			}
			series[f[0]] = append(series[f[0]], y)
		}
	}
	return series
}

// TestRecordedNoise: at most 6 % of repetitions claim a difference where recorded visits to one server are taken, from a
// random place on and in random order within each pair, for those to two.
func TestRecordedNoise(t *testing.T) {
	const reps = 4000
	rng := rand.New(rand.NewPCG(7, 4))
	for name, y := range recorded(t) {
		for _, pairs := range []int{6, 8, 12, 20} {
			claims := 0
			for range reps {
				d, at := make([]float64, pairs), rng.IntN(len(y)-2*pairs+1)
				for i := range d {
					d[i] = y[at+2*i+1] - y[at+2*i]
					if rng.IntN(2) == 0 {
						d[i] = -d[i]
					}
				}
				if k := Compare(d).Kind(); k == Better || k == Worse {
					claims++
				}
			}
			if share := float64(claims) / reps; share > .06 {
				t.Errorf("%s, %d pairs: %.1f %% of repetitions claim a difference", name, pairs, 100*share)
			}
		}
	}
}

// TestNoChangeIsSeldomClaimed: with A and B the same, at most 6 % of repetitions claim a difference, on a drifting machine
// and with heavy tails alike.
func TestNoChangeIsSeldomClaimed(t *testing.T) {
	const reps = 4000
	rng := rand.New(rand.NewPCG(7, 1))
	spiky := func(pairs int) []float64 {
		d := make([]float64, pairs)
		for i := range d {
			d[i] = 0.02 * rng.NormFloat64()
			if rng.IntN(10) == 0 { // a disturbance hits one of the two visits
				d[i] += 0.5 * (2*rng.Float64() - 1)
			}
		}
		return d
	}
	for _, pairs := range []int{6, 8, 12, 20} {
		for name, draw := range map[string]func() []float64{
			"drifting": func() []float64 { return drifting(rng, pairs, 0) },
			"spiky":    func() []float64 { return spiky(pairs) },
		} {
			claims := 0
			for range reps {
				if k := Compare(draw()).Kind(); k == Better || k == Worse {
					claims++
				}
			}
			if share := float64(claims) / reps; share > 0.06 {
				t.Errorf("%d pairs, %s: %.1f %% claim a difference, want at most 6 %%", pairs, name, 100*share)
			}
		}
	}
}

// TestDetectablePower: what Detectable promises is seen in 76 to 84 of 100 repetitions.
func TestDetectablePower(t *testing.T) {
	const reps, sd = 4000, 0.03
	rng := rand.New(rand.NewPCG(7, 2))
	for _, pairs := range []int{6, 7, 9, 12, 20} {
		effect := math.Log(1 + Detectable(sd, pairs))
		seen := 0
		d := make([]float64, pairs)
		for range reps {
			for i := range d {
				d[i] = effect + sd*rng.NormFloat64()
			}
			if Compare(d).Kind() == Better {
				seen++
			}
		}
		if share := float64(seen) / reps; share < 0.76 || share > 0.84 {
			t.Errorf("%d pairs: a change of %.2f %% is seen in %.1f %% of repetitions, want 80 %%", pairs, 100*(math.Exp(effect)-1), 100*share)
		}
	}
	if !math.IsInf(Detectable(sd, 5), 1) {
		t.Error("five pairs promise something")
	}
}

// TestCoverage: the interval holds the true ratio in 92 to 98 % of repetitions on a drifting machine.
func TestCoverage(t *testing.T) {
	const reps = 4000
	rng := rand.New(rand.NewPCG(7, 3))
	held := 0
	for range reps {
		c := Compare(drifting(rng, 6, math.Log(1.1)))
		if c.Low <= 1.1 && 1.1 <= c.High {
			held++
		}
	}
	if share := float64(held) / reps; share < 0.92 || share > 0.98 {
		t.Errorf("the 95 %% interval covers %.1f %%", 100*share)
	}
}

func TestNullSD(t *testing.T) {
	if got := NullSD([]float64{1, -3, 2}); math.Abs(got-math.Sqrt(14./3)) > 1e-12 {
		t.Errorf("NullSD = %v, want the root of (1 + 9 + 4) / 3", got)
	}
}

// TestCautious: the 20 % quantile of chi-squared with 3 degrees of freedom is 1.005 (tables), so three differences count
// 1.728 times.
func TestCautious(t *testing.T) {
	if got := Cautious(1, 3); math.Abs(got-1.728) > .001 {
		t.Errorf("Cautious(1, 3) = %v", got)
	}
	if got := Cautious(1, 100); got < 1 || got > 1.1 {
		t.Errorf("Cautious(1, 100) = %v", got)
	}
}
