package capacity

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/workload/rundoc"
)

// The ranks are those of go-moremath's QuantileCI, whose published confidence is 0.96116; the exact
// one is the binomial sum. The least numbers are those of the notes on concurrency.
func TestRanks(t *testing.T) {
	l, u, confidence, ok := ranks(1000, .99)
	if l != 984 || u != 997 || math.Abs(confidence-.96354) > 1e-5 || !ok {
		t.Errorf("ranks(1000, 0.99) = %d, %d, %.5f, %v, want 984, 997, 0.96354", l, u, confidence, ok)
	}
	for p, least := range map[float64]int64{.5: 6, .9: 36, .95: 72, .99: 368, .999: 3688} {
		if _, _, _, ok := ranks(least, p); !ok {
			t.Errorf("%d values are enough for p = %g", least, p)
		}
		if _, _, _, ok := ranks(least-1, p); ok {
			t.Errorf("%d values are too few for p = %g", least-1, p)
		}
	}
}

func visitOf(t *testing.T, rng *rand.Rand, n int, mean float64) rundoc.Visit {
	t.Helper()
	h := hdrhistogram.New(1, 60_000_000, 3)
	for range n {
		_ = h.RecordValue(max(1, int64(1e6*mean*rng.ExpFloat64())))
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	return rundoc.Visit{Ops: []rundoc.Op{{Service: string(text)}}}
}

// The interval of one visit's p99 covers the true one in at least 95 % of simulated visits, and so does that over rounds.
func TestQuantileIntervalCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	truth := -.002 * math.Log(.01)
	one, five, n := 0, 0, trials(100, 1000)
	for range n {
		if iv := quantileInterval(histograms([]rundoc.Visit{visitOf(t, rng, 1000, .002)}), .99); iv.Low <= truth && truth <= iv.High {
			one++
		}
		var visits []rundoc.Visit
		for range 5 {
			visits = append(visits, visitOf(t, rng, 1000, .002))
		}
		if iv := quantileInterval(histograms(visits), .99); iv.Low <= truth && truth <= iv.High {
			five++
		}
	}
	within95(t, "one visit", one, n, .93, 1)
	within95(t, "five rounds", five, n, .90, .98)
	if iv := quantileInterval(histograms([]rundoc.Visit{visitOf(t, rng, 300, .002)}), .99); iv.High != 0 {
		t.Errorf("300 operations are too few: %+v", iv)
	}
}
