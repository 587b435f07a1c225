package usl

import (
	"math"
	"math/rand/v2"
	"testing"
)

// cisco are the 32 points of codahale/usl's model_test.go, Cisco data of Schwartz's book, N = 1 to 32.
var cisco = []float64{955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61, 8278.71, 8646.7, 9047.84, 9426.55, 9645.37,
	9897.24, 10097.6, 10240.5, 10532.39, 10798.52, 11151.43, 11518.63, 11806, 12089.37, 12075.41, 12177.29, 12211.41, 12158.93, 12155.27, 12118.04, 12140.4, 12074.39}

func ramp(x []float64) []Point {
	p := make([]Point, len(x))
	for i := range x {
		p[i] = Point{N: float64(i + 1), X: x[i]}
	}
	return p
}

func TestCisco(t *testing.T) {
	plain, err := FitPlain(ramp(cisco))
	if err != nil {
		t.Fatal(err)
	}
	if !near(plain.Lambda, 995.648786, 1e-6) || !near(plain.Sigma, .026715945, 1e-6) || !near(plain.Kappa, 7.69093921e-4, 1e-5) {
		t.Errorf("FitPlain = %+v", plain)
	}
	few, err := FitPlain(ramp(cisco[:10]))
	if err != nil || !near(few.Lambda, 938.3793, 1e-6) || !near(few.Sigma, .0170028, 1e-5) || !near(few.Kappa, .000446539, 1e-5) {
		t.Errorf("FitPlain of the first ten points = %+v, %v", few, err)
	}
	if r := few.Latency(7.2306); !near(r, .0012, 1e-4) { // where codahale/usl has that latency
		t.Errorf("Latency(7.2306) = %g, want 0.0012", r)
	}
	log, err := FitLog(ramp(cisco))
	if err != nil {
		t.Fatal(err)
	}
	if !near(log.Lambda, 960.1509, 1e-5) || !near(log.Sigma, .0204539, 1e-4) || !near(log.Kappa, .000890960, 1e-4) || !near(log.Peak(), 33.16, 1e-3) {
		t.Errorf("FitLog = %+v, peak %g", log, log.Peak())
	}
	if few, err := FitLog(ramp(cisco[:10])); err != nil || few.Kappa != 0 {
		t.Errorf("FitLog of the first ten points = %+v, %v, want kappa 0: a peak from ten rising points is noise", few, err)
	}
}

// On specsdm91 the log fit gives the rate of one client that was measured, 64.9, where plain least squares gives 90.
func TestFitLogStart(t *testing.T) {
	m, err := FitLog(points([]float64{1, 18, 36, 72, 108, 144, 216}, []float64{64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2}))
	if err != nil || !near(m.Lambda, 67.9, 1e-3) {
		t.Errorf("FitLog = %+v, %v, want lambda 67.9", m, err)
	}
}

// FitLog is a minimum: no neighbour within the bounds has a smaller sum of squares.
func TestFitLogIsAMinimum(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for range 50 {
		truth := Model{Lambda: math.Exp(10 * rng.NormFloat64()), Sigma: 0.2 * rng.Float64(), Kappa: 1e-3 * rng.Float64()}
		var p []Point
		for _, n := range []float64{1, 2, 4, 8, 16, 32, 64} {
			p = append(p, Point{N: n, X: truth.Throughput(n) * math.Exp(0.2*rng.NormFloat64())})
		}
		m, err := FitLog(p)
		if err != nil {
			t.Fatal(err)
		}
		least := SSE(p, m)
		for _, f := range []float64{0.999, 1.001} {
			for _, other := range []Model{{m.Lambda * f, m.Sigma, m.Kappa}, {m.Lambda, m.Sigma * f, m.Kappa}, {m.Lambda, m.Sigma, m.Kappa * f},
				{m.Lambda, m.Sigma + 1e-5, m.Kappa}, {m.Lambda, m.Sigma, m.Kappa + 1e-7}} {
				if SSE(p, other) < least*(1-1e-9) {
					t.Errorf("FitLog(%+v) = %+v with %g, but %+v has %g", p, m, least, other, SSE(p, other))
				}
			}
		}
	}
}

// A curve that falls from its first level on holds σ at 1, whether the fit is exact or of ln X.
func TestSigmaStaysInRange(t *testing.T) {
	falling := points([]float64{2, 4, 8, 16, 32, 64}, []float64{76000, 72000, 69000, 68000, 54000, 47000})
	for name, fit := range map[string]func([]Point) (Model, error){"Fit": Fit, "FitLog": FitLog} {
		m, err := fit(falling)
		if err != nil || m.Sigma < 0 || m.Sigma > 1+1e-9 || m.Throughput(64) > m.Throughput(4) {
			t.Errorf("%s = %+v, %v", name, m, err)
		}
		if m.Sigma >= 1 && m.Peak() != 0 {
			t.Errorf("%s: peak %g of a curve that only falls", name, m.Peak())
		}
	}
}

func BenchmarkFitLog(b *testing.B) {
	rng := rand.New(rand.NewPCG(8, 8))
	var p []Point
	for range 5 {
		for _, n := range []float64{1, 2, 4, 8, 16, 32, 64} {
			p = append(p, Point{N: n, X: Model{1000, .05, .001}.Throughput(n) * math.Exp(0.05*rng.NormFloat64())})
		}
	}
	for b.Loop() {
		if _, err := FitLog(p); err != nil {
			b.Fatal(err)
		}
	}
}
