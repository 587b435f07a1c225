package capacity

import (
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgfit/advisor"
	"pgfit/advisor/queue"
	"pgfit/advisor/usl"
	"pgfit/workload/rundoc"
)

// law is either family.
type law interface{ Throughput(n float64) float64 }

// trials is how often a simulation is repeated: few in the ordinary tests, many with PGFIT_LONG=1 (make test-long).
func trials(short, long int) int {
	if os.Getenv("PGFIT_LONG") != "" {
		return long
	}
	return short
}

// simulate makes the points of a sweep: rounds that differ by shift and visits by noise, standard deviations of ln X.
func simulate(rng *rand.Rand, truth law, levels []float64, rounds int, shift, noise float64) []usl.Point {
	var p []usl.Point
	for round := range rounds {
		all := shift * rng.NormFloat64()
		for _, n := range levels {
			p = append(p, usl.Point{N: n, X: truth.Throughput(n) * math.Exp(all+noise*rng.NormFloat64()), Round: round})
		}
	}
	return p
}

// within95 holds a count of successes against a range of shares, three binomial errors wide at its ends.
func within95(t *testing.T, what string, hits, n int, low, high float64) {
	t.Helper()
	share := float64(hits) / float64(n)
	t.Logf("%s: %.3f of %d", what, share, n)
	slack := func(p float64) float64 { return 3 * math.Sqrt(p*(1-p)/float64(n)) }
	if share < low-slack(low) || share > high+slack(high) {
		t.Errorf("%s: %.3f of %d, want %.2f to %.2f", what, share, n, low, high)
	}
}

var (
	smallLevels = []float64{1, 2, 4, 8, 16, 32, 64}
	hardKnees   = []law{
		queue.Server{Servers: 4, Service: .001, Delay: .00005, Slowdown: .0005}, queue.Server{Servers: 8, Service: .002, Delay: .0004, Slowdown: 1e-4},
		queue.Server{Servers: 2, Service: 1e-4, Delay: 1e-5, Slowdown: .003}, queue.Server{Servers: 16, Service: .005, Delay: .0005, Slowdown: .001},
	}
	softLaws = []law{
		usl.Model{Lambda: 1000, Sigma: .05, Kappa: .001}, usl.Model{Lambda: 1000, Sigma: .1, Kappa: .0005}, usl.Model{Lambda: 200, Sigma: .02, Kappa: .002},
	}
)

// TestFamily: data with a hard knee are told from data of the Universal Scalability Law, and the knee is then right.
func TestFamily(t *testing.T) {
	for _, tc := range []struct {
		name   string
		family string
		laws   []law
	}{{"hard knee", FamilyQueue, hardKnees}, {"usl", FamilyUSL, softLaws}} {
		t.Run(tc.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(11, 12))
			right, all := 0, 0
			var errs []float64
			for range trials(4, 120) {
				for _, truth := range tc.laws {
					points, lost := withoutRounds(simulate(rng, truth, smallLevels, 5, .08, .02))
					w := newWithin(points, lost)
					f := &Fit{}
					f.fitShapes(t, w)
					all++
					if f.Family == tc.family || f.Close {
						right++
					}
					errs = append(errs, math.Abs(f.Knee/kneeOf(truth)-1))
				}
			}
			within95(t, "right family", right, all, .95, 1)
			mean := 0.0
			for _, e := range errs {
				mean += e / float64(len(errs))
			}
			t.Logf("mean error of the knee %.3f", mean)
			if mean > .12 {
				t.Errorf("the knee is missed by %.0f %% on average, want at most 12 %%", 100*mean)
			}
		})
	}
}

// fitShapes fits both laws without their bootstraps, which the choice does not need.
func (f *Fit) fitShapes(t *testing.T, w within) {
	t.Helper()
	m, err := usl.FitLog(w.points)
	if err != nil {
		t.Fatal(err)
	}
	f.Model, f.USL = m, uslShape(w, m)
	s, sse, err := queue.Fit(w.levels)
	if err != nil {
		t.Fatal(err)
	}
	q := queueShape(w, s, sse)
	f.Server, f.Queue = &s, &q
	f.choose()
}

func kneeOf(l law) float64 {
	switch l := l.(type) {
	case usl.Model:
		return l.Knee(.1)
	case queue.Server:
		return l.Knee(.1, 64)
	}
	return math.NaN()
}

// TestLackOfFit: the F test flags the law that the data do not follow, and leaves the one that they do.
func TestLackOfFit(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	wrong, right, n := 0, 0, trials(25, 400)
	for range n {
		points, lost := withoutRounds(simulate(rng, hardKnees[0], smallLevels, 5, .08, .02))
		w := newWithin(points, lost)
		m, err := usl.FitLog(points)
		if err != nil {
			t.Fatal(err)
		}
		if *uslShape(w, m).LackOfFit < fitAlpha {
			wrong++
		}
		points, lost = withoutRounds(simulate(rng, softLaws[0], smallLevels, 5, .08, .02))
		w = newWithin(points, lost)
		if m, err = usl.FitLog(points); err != nil {
			t.Fatal(err)
		}
		if *uslShape(w, m).LackOfFit < fitAlpha {
			right++
		}
	}
	within95(t, "USL on a hard knee flagged", wrong, n, .98, 1)
	within95(t, "USL on its own data flagged", right, n, 0, .10)
}

// TestCoverage: with rounds that differ by 8 % and visits by 2 %, the 95 % interval of the knee covers the truth about as
// often as it says, at 3, 5 and 10 rounds, for both laws.
func TestCoverage(t *testing.T) {
	for _, rounds := range []int{3, 5, 10} {
		rng := rand.New(rand.NewPCG(15, uint64(rounds)))
		hits, queueHits, n, nq := 0, 0, trials(30, 1000), trials(4, 200)
		for i := range n {
			points, lost := withoutRounds(simulate(rng, softLaws[0], smallLevels, rounds, .08, .02))
			w := newWithin(points, lost)
			f := &Fit{}
			if err := f.fitUSL(w, rng.Uint64()); err != nil {
				t.Fatal(err)
			}
			if k, iv := kneeOf(softLaws[0]), f.USL.KneeInterval; iv.Low <= k && k <= iv.High {
				hits++
			}
			if i >= nq {
				continue
			}
			points, lost = withoutRounds(simulate(rng, hardKnees[1], smallLevels, rounds, .08, .02))
			f.fitQueue(newWithin(points, lost), rng.Uint64())
			if k, iv := kneeOf(hardKnees[1]), f.Queue.KneeInterval; iv.Low <= k && k <= iv.High {
				queueHits++
			}
		}
		within95(t, "coverage, USL", hits, n, .90, .97)
		within95(t, "coverage, queue", queueHits, nq, .90, .98)
	}
}

// TestRealCurvesFit: what the laws say of the two published curves.
func TestRealCurvesFit(t *testing.T) {
	curves, findings := Analyse(doc(realLevels, [][]float64{
		{2048, 2542, 5474, 5728, 6597, 6438, 5506, 5015, 3594}, {1964, 2695, 5516, 6207, 6054, 6559, 5859, 5200, 3616}}))
	if f := curves[0].Fit; !f.Lacks {
		t.Errorf("tpcb-like: worst miss %.2f and no R4: %s", f.WorstError, codes(findings))
	}
	curves, _ = Analyse(doc(realLevels, [][]float64{
		{10611, 66787, 70928, 62186, 73534, 53320, 47414, 43248, 36528}, {10370, 86244, 74125, 76194, 66202, 55272, 46520, 42472, 34852}}))
	f := curves[0].Fit
	if f.Lacks || f.Knee > 16 || f.Model.Sigma > 1+1e-9 {
		t.Errorf("select-only: %+v, want a law with a knee on the plateau", f)
	}
	for _, n := range []float64{64, 128, 250} {
		if e := f.Throughput(n)/curves[0].Throughput(n) - 1; math.Abs(e) > .2 {
			t.Errorf("select-only: the law misses the fall at %g by %.0f %%", n, 100*e)
		}
	}
}

// At a measured pool size the curve is the measurement; between two it lies along the law, and nothing is said beyond the last.
func TestThroughputBetween(t *testing.T) {
	m := usl.Model{Lambda: 1000, Sigma: .05, Kappa: .001}
	var xs []float64
	levels := []int{1, 2, 4, 8, 16, 32, 64}
	for _, n := range levels {
		xs = append(xs, m.Throughput(float64(n)))
	}
	curves, _ := Analyse(doc(levels, [][]float64{xs, xs, xs}))
	c := curves[0]
	for n := 0.25; n <= 64; n += 0.25 {
		want := m.Throughput(n)
		if n < 1 {
			want = n * m.Throughput(1)
		}
		if got := c.Throughput(n); math.Abs(got/want-1) > .005 {
			t.Errorf("Throughput(%g) = %g, want %g", n, got, want)
		}
	}
	if got := c.Throughput(500); got != c.Throughput(64) {
		t.Errorf("Throughput(500) = %g, want that of 64", got)
	}
	if l := c.Fit.LeftOut; l == nil || l.Worst > .01 || len(l.Levels) != 5 {
		t.Errorf("left out: %+v, want next to no error", l)
	}
	if got := c.Scaled(.5).Throughput(10); math.Abs(got/c.Throughput(10)-.5) > 1e-12 {
		t.Errorf("Scaled(0.5) = %g", got)
	}
}

// specsdm91 is the published data set of the R package usl.
var specsdm91 = map[float64]float64{1: 64.9, 18: 995.9, 36: 1652.4, 72: 1853.2, 108: 1828.9, 144: 1775.0, 216: 1702.2}

// Rows that each name a round of their own have no round effects to be taken out, and keep their intervals.
func TestRoundsOfOneRow(t *testing.T) {
	var same, own []Point
	for i, n := range slices.Sorted(maps.Keys(specsdm91)) {
		same = append(same, Point{N: n, X: specsdm91[n]})
		own = append(own, Point{N: n, X: specsdm91[n], Round: i + 1})
	}
	want, err := FitPoints("specsdm91", same, false, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := FitPoints("specsdm91", own, false, 1)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("with a round for each row: %+v, %v, want %+v", got, err, want)
	}
	for _, plain := range []bool{false, true} {
		got, err := FitPoints("specsdm91", own, plain, 1)
		if iv := got.Fit.Sigma; err != nil || !(iv.Low < got.Fit.Model.Sigma && got.Fit.Model.Sigma < iv.High) || iv.High-iv.Low < .001 {
			t.Errorf("plain %v: σ between %g and %g, %v", plain, iv.Low, iv.High, err)
		}
	}
}

// The real curves as a table: a measured N on the plateau is chosen, and what the larger ones lose is there to be read.
func TestForeignChoice(t *testing.T) {
	rounds := [][]float64{{2048, 2542, 5474, 5728, 6597, 6438, 5506, 5015, 3594}, {1964, 2695, 5516, 6207, 6054, 6559, 5859, 5200, 3616}}
	var points []Point
	for r, xs := range rounds {
		for i, x := range xs {
			points = append(points, Point{N: float64(realLevels[i]), X: x, Round: r + 1})
		}
	}
	f, err := FitPoints("tpcb-like", points, false, 1)
	if err != nil || f.Chosen < 8 || f.Chosen > 32 || f.Best != 32 {
		t.Errorf("chosen %g of best %g, %v, want 8 to 32 of 32", f.Chosen, f.Best, err)
	}
	for n, loss := range map[float64]float64{64: .08, 128: .18, 250: .4} {
		i := slices.IndexFunc(f.Measured, func(m Measured) bool { return m.N == n })
		if i < 0 || 1-f.Measured[i].Ratio < loss {
			t.Errorf("at %g: %+v, want a loss of at least %g", n, f.Measured, loss)
		}
	}
	f, err = FitPoints("one round", points[:9], false, 1)
	if err != nil || f.Chosen != f.Best || !strings.Contains(codes(f.Findings), "R8") {
		t.Errorf("one row for each N: chosen %g of best %g, findings %s, %v", f.Chosen, f.Best, codes(f.Findings), err)
	}
}

// TestBetween: a curve that bends between its levels as no law does is not predicted there, and whether that is the curve or the
// noise is said.
func TestBetween(t *testing.T) {
	levels := []int{1, 2, 4, 8, 16, 32, 64}
	bump := func(noise float64) *rundoc.Document {
		rng := rand.New(rand.NewPCG(41, 42))
		var rounds [][]float64
		for range 6 {
			var xs []float64
			for _, n := range levels {
				x := softLaws[0].Throughput(float64(n)) * math.Exp(noise*rng.NormFloat64())
				if n == 8 {
					x *= 1.35
				}
				xs = append(xs, x)
			}
			rounds = append(rounds, xs)
		}
		return doc(levels, rounds)
	}
	for _, tc := range []struct {
		noise float64
		code  string
	}{{.005, "R4"}, {.12, "R8"}} {
		curves, findings := Analyse(bump(tc.noise))
		i := slices.IndexFunc(findings, func(f advisor.Finding) bool { return strings.Contains(f.Text, "between the measured levels") })
		if i < 0 || findings[i].Code != tc.code || findings[i].Blocks {
			t.Errorf("noise %g: %+v, want %s", tc.noise, findings, tc.code)
		}
		if c := curves[0]; c.Known(6) || !c.Known(8) || c.Known(65) || c.Known(.5) {
			t.Errorf("noise %g: known at 6 %v, at 8 %v, at 65 %v", tc.noise, c.Known(6), c.Known(8), c.Known(65))
		}
	}
}
