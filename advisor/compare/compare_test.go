package compare

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/workload/rundoc"
)

// shape is what a made run looks like.
type shape struct {
	seed         uint64
	rounds       int
	change       float64 // of throughput, a factor
	shift, noise float64 // standard deviations of ln X: rounds, visits
	tail         float64 // factor on the p99
}

func run(rng *rand.Rand, s shape, histograms bool) *rundoc.Document {
	levels := []int{1, 4, 16, 64}
	d := &rundoc.Document{Plan: rundoc.Plan{Scenarios: []string{"s"}, Levels: levels, Rounds: s.rounds, Seed: s.seed}}
	for r := 1; r <= s.rounds; r++ {
		all := s.shift * rng.NormFloat64()
		for _, n := range levels {
			x := 1000 * float64(n) / (1 + .1*float64(n-1)) * s.change * math.Exp(all+s.noise*rng.NormFloat64())
			v := rundoc.Visit{Phase: "B", Scenario: "s", PoolSize: n, Callers: n, Round: r, Seconds: 1, TPS: x, Transactions: int64(x)}
			if histograms {
				v.Ops = []rundoc.Op{{Name: "a", Count: 1000, Service: tail(1e6 * float64(n) / x * s.tail)}}
			}
			d.Visits = append(d.Visits, v)
		}
	}
	return d
}

// tail is a histogram of a thousand exponential times with that mean in µs.
func tail(mean float64) string {
	h := hdrhistogram.New(1, 60_000_000, 3)
	for i := range 1000 {
		_ = h.RecordValue(max(1, int64(-mean*math.Log(1-(float64(i)+.5)/1000))))
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func trials(short, long int) int {
	if os.Getenv("PGFIT_LONG") != "" {
		return long
	}
	return short
}

// TestSimulatedAA: of comparisons of a server with itself, paired and unpaired, at most 6 % see a difference in throughput, in the
// scenario as a whole or in any pool size.
func TestSimulatedAA(t *testing.T) {
	for _, pairs := range []bool{true, false} {
		rng := rand.New(rand.NewPCG(21, 22))
		seen, n := 0, trials(200, 4000)
		for i := range n {
			s := shape{seed: 1, rounds: 3 + i%8, change: 1, shift: .08, noise: .02}
			a := run(rng, s, false)
			if !pairs {
				s.seed = 2
			}
			c := Runs(a, run(rng, s, false))
			if c.Paired != pairs || len(c.Rows) != 10 {
				t.Fatalf("paired %v, want %v; %d rows, want 10", c.Paired, pairs, len(c.Rows))
			}
			if slices.ContainsFunc(c.Rows, func(r Row) bool { return r.Metric == TPS && r.Verdict != None }) {
				seen++
			}
		}
		t.Logf("paired %v: %.3f of %d see a difference", pairs, float64(seen)/float64(n), n)
		if slack := 3 * math.Sqrt(.06*.94/float64(n)); float64(seen)/float64(n) > .06+slack {
			t.Errorf("paired %v: %d false differences in %d", pairs, seen, n)
		}
	}
}

// What is said to have been seen four times in five is not less than what was not seen.
func TestDetectable(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	none := 0
	for range 300 {
		for _, r := range Runs(run(rng, shape{seed: 1, rounds: 5, change: 1, shift: .08, noise: .02, tail: 1}, false),
			run(rng, shape{seed: 1, rounds: 5, change: .97, shift: .08, noise: .02, tail: 1}, false)).Rows {
			if r.Metric == TPS && r.Verdict == None && r.PoolSize == 0 {
				none++
				if change := math.Max(r.Ratio, 1/r.Ratio) - 1; change > r.Detectable {
					t.Fatalf("a change of %.3f is no difference, and one of %.3f would have been: %+v", change, r.Detectable, r)
				}
			}
		}
	}
	if none == 0 {
		t.Error("every change was seen: nothing was tried")
	}
}

// A pool size at which the other run finished nothing fails a gate on throughput, though no ratio counts it.
func TestLost(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 34))
	for _, tc := range []struct {
		nothing    int // visits of B at pool size 64
		fails      bool
		unsure     bool
		nothingOfA int
	}{{0, false, false, 0}, {2, false, true, 0}, {3, true, false, 0}, {5, true, false, 0}, {5, false, false, 1}} {
		a, b := run(rng, shape{1, 5, 1, .01, .005, 1}, false), run(rng, shape{1, 5, 1, .01, .005, 1}, false)
		for _, side := range []struct {
			doc     *rundoc.Document
			nothing int
		}{{a, tc.nothingOfA}, {b, tc.nothing}} {
			for i := range side.doc.Visits {
				if v := &side.doc.Visits[i]; v.PoolSize == 64 && v.Round <= side.nothing {
					v.TPS, v.Transactions = 0, 0
				}
			}
		}
		c := Runs(a, b)
		c.Apply([]Gate{{Text: "tps<-5%", Metric: TPS, Below: true, Percent: -5}})
		if g := c.Gates[0]; g.Failed != tc.fails || (len(g.Unsure) > 0) != tc.unsure || (len(c.Lost) > 0) != (tc.nothing > 0) {
			t.Errorf("%+v: %+v, lost %+v", tc, g, c.Lost)
		}
	}
}

// A pool size that was added late does not leave the whole scenario its few rounds.
func TestLateSize(t *testing.T) {
	rng := rand.New(rand.NewPCG(35, 36))
	a, b := run(rng, shape{1, 8, 1, .01, .005, 1}, false), run(rng, shape{1, 8, 1, .01, .005, 1}, false)
	a.Visits = slices.DeleteFunc(a.Visits, func(v rundoc.Visit) bool { return v.PoolSize == 64 && v.Round < 7 })
	c := Runs(a, b)
	if r := c.Rows[0]; r.PoolSize != 0 || r.RoundsA != 8 || r.RoundsB != 8 {
		t.Errorf("the scenario as a whole rests on %d and %d rounds, want 8", r.RoundsA, r.RoundsB)
	}
	b.Visits = slices.DeleteFunc(b.Visits, func(v rundoc.Visit) bool { return v.PoolSize == 64 })
	if c = Runs(a, b); !slices.ContainsFunc(c.Differs, func(d Difference) bool { return d.What == "pool sizes of s" && d.B == "1, 4, 16" }) {
		t.Errorf("a pool size that one run lacks is no difference: %+v", c.Differs)
	}
}

// TestSimulatedPower: a fall by 20 % in rounds that differ by 8 % is seen, and the gates say so; the interval holds the truth.
func TestSimulatedPower(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	seen, gated, held, n := 0, 0, 0, trials(60, 2000)
	for range n {
		c := Runs(run(rng, shape{1, 8, 1, .04, .02, 1}, false), run(rng, shape{1, 8, .8, .04, .02, 1}, false))
		c.Apply([]Gate{{Text: "tps<-5%", Metric: TPS, Below: true, Percent: -5}})
		r := c.Rows[0]
		if r.Verdict == Worse {
			seen++
		}
		if r.Low <= .8 && .8 <= r.High {
			held++
		}
		if c.Failed() {
			gated++
		}
	}
	t.Logf("seen %d, gate failed %d, interval holds %d of %d", seen, gated, held, n)
	if seen < n*95/100 || gated < n*80/100 || held < n*90/100 {
		t.Errorf("seen %d, gate failed %d, interval holds %d of %d", seen, gated, held, n)
	}
}

// A gate at the very change that there is fails in 5 % of the runs at most: the interval has to support it.
func TestSimulatedGateAtItsBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(25, 26))
	failed, n := 0, trials(200, 4000)
	for range n {
		c := Runs(run(rng, shape{1, 5, 1, .08, .02, 1}, false), run(rng, shape{1, 5, .95, .08, .02, 1}, false))
		c.Apply([]Gate{{Text: "tps<-5%", Metric: TPS, Below: true, Percent: -5}})
		if c.Failed() {
			failed++
		}
	}
	if share := float64(failed) / float64(n); share > .05+3*math.Sqrt(.05*.95/float64(n)) {
		t.Errorf("%.3f of the gates fail at their bound", share)
	}
}

func TestP99(t *testing.T) {
	rng := rand.New(rand.NewPCG(27, 28))
	a, b := run(rng, shape{1, 6, 1, .01, .005, 1}, true), run(rng, shape{1, 6, 1, .01, .005, 1.5}, true)
	c := Runs(a, b)
	c.Apply([]Gate{{Text: "p99>+10%", Metric: P99, Percent: 10}, {Text: "tps<-5%", Metric: TPS, Below: true, Percent: -5}})
	for _, r := range c.Rows {
		if r.Metric == P99 && (r.Verdict != Worse || math.Abs(r.Ratio-1.5) > .1) {
			t.Errorf("p99 of %s: %+v, want half as long again", r.Place(), r)
		}
		if r.Metric == TPS && r.Verdict != None {
			t.Errorf("tps of %s: %+v, want no difference", r.Place(), r)
		}
	}
	if !c.Gates[0].Failed || c.Gates[1].Failed {
		t.Errorf("gates %+v", c.Gates)
	}
	if _, err := json.Marshal(c); err != nil {
		t.Error(err)
	}
}

// What cannot be told says so, and nothing is NaN.
func TestTooFew(t *testing.T) {
	rng := rand.New(rand.NewPCG(29, 30))
	c := Runs(run(rng, shape{1, 1, 1, .1, .1, 1}, true), run(rng, shape{1, 1, 1, .1, .1, 1}, true))
	for _, r := range c.Rows {
		if r.Verdict != TooFew {
			t.Errorf("one round: %+v", r)
		}
	}
	same := run(rng, shape{1, 4, 1, 0, 0, 1}, true)
	c = Runs(same, same)
	for _, r := range c.Rows {
		if r.Verdict != None || r.Ratio != 1 {
			t.Errorf("a run with itself: %+v", r)
		}
	}
	text, err := json.Marshal(c)
	if err != nil || strings.Contains(string(text), "NaN") {
		t.Errorf("%s, %v", text, err)
	}
	if len(c.Differs) != 0 {
		t.Errorf("a run differs from itself in %+v", c.Differs)
	}
	other := run(rng, shape{1, 4, 1, 0, 0, 1}, true)
	other.Plan.Scenarios = []string{"another"}
	for i := range other.Visits {
		other.Visits[i].Scenario = "another"
	}
	if c = Runs(same, other); len(c.Rows) != 0 {
		t.Errorf("nothing in common, and yet %+v", c.Rows)
	}
}

func TestSignFlip(t *testing.T) {
	for _, tc := range []struct {
		d    []float64
		want float64
	}{{[]float64{1, 1, 1, 1, 1, 1}, 2.0 / 64}, {[]float64{1, -1, 1, -1, 1, -1}, 1}, {[]float64{3, 2, 1, 1, 1, -1}, 10.0 / 64}} {
		if p := signFlip(tc.d); p == nil || math.Abs(*p-tc.want) > 1e-12 {
			t.Errorf("signFlip(%v) = %v, want %g", tc.d, *p, tc.want)
		}
	}
	if signFlip([]float64{1, 2, 3, 4, 5}) != nil {
		t.Error("five pairs cannot reach 5 %")
	}
}

func TestHolm(t *testing.T) {
	got := holm([]float64{.01, .04, .03, .005})
	for i, want := range []float64{.03, .06, .06, .02} {
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("holm = %v", got)
		}
	}
}

func TestParseGate(t *testing.T) {
	for text, want := range map[string]Gate{
		"tps<-5%": {"tps<-5%", TPS, true, -5}, "p99>+10%": {"p99>+10%", P99, false, 10}, "p99>10.5%": {"p99>10.5%", P99, false, 10.5}, "tps>3%": {"tps>3%", TPS, false, 3},
	} {
		if g, err := ParseGate(text); err != nil || g != want {
			t.Errorf("ParseGate(%q) = %+v, %v, want %+v", text, g, err, want)
		}
	}
	for _, text := range []string{"", "tps", "tps<-5", "p50>3%", "tps=<3%", "tps<-100%", "tps<-5% ", "tps<5e3%"} {
		if g, err := ParseGate(text); !errors.Is(err, ErrGate) {
			t.Errorf("ParseGate(%q) = %+v, %v", text, g, err)
		}
	}
}

func FuzzRuns(f *testing.F) {
	f.Add(1.0, 2.0, 3.0, 4.0, uint8(3))
	f.Add(1e-300, 1e300, 5.0, 5.0, uint8(1))
	f.Fuzz(func(t *testing.T, a, b, c, d float64, rounds uint8) {
		doc := func(x, y float64) *rundoc.Document {
			out := &rundoc.Document{Plan: rundoc.Plan{Scenarios: []string{"s"}}}
			for r := range int(rounds%5) + 1 {
				for n, v := range map[int]float64{1: x, 8: y * float64(r+1)} {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						return out
					}
					out.Visits = append(out.Visits, rundoc.Visit{Phase: "B", Scenario: "s", PoolSize: n, Round: r, Seconds: 1, TPS: v})
				}
			}
			return out
		}
		res := Runs(doc(a, b), doc(c, d))
		res.Apply([]Gate{{Metric: TPS, Below: true, Percent: -5}})
		if text, err := json.Marshal(res); err != nil {
			t.Errorf("%v: %s", err, text)
		}
	})
}
