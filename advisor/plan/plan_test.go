package plan

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
	"pgfit/workload/rundoc"
)

// run is the document of a sweep over a server with a throughput law, rounds that differ by noise, and exponential service
// times.
func run(t *testing.T, x func(n float64) float64, noise float64, levels ...int) *rundoc.Document {
	t.Helper()
	d := &rundoc.Document{Plan: rundoc.Plan{Scenarios: []string{"s"}, Levels: levels, Rounds: 5, Seed: 1}}
	rng := rand.New(rand.NewPCG(4, 4))
	for round := 1; round <= 5; round++ {
		for _, n := range levels {
			tps := x(float64(n)) * math.Exp(noise*rng.NormFloat64())
			mean := float64(n) / tps
			h := hdrhistogram.New(1, 60_000_000, 3)
			for i := range 20000 {
				_ = h.RecordValue(int64(-mean * math.Log(1-(float64(i)+.5)/20000) * 1e6))
			}
			text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
			if err != nil {
				t.Fatal(err)
			}
			d.Visits = append(d.Visits, rundoc.Visit{
				Phase: "B", Scenario: "s", PoolSize: n, Callers: n, Round: round, Seconds: 10, TPS: tps, Transactions: int64(10 * tps),
				Ops: []rundoc.Op{{Name: "a", Count: 2000, MeanService: mean, M2Service: mean * mean, Service: string(text)}},
			})
		}
	}
	return d
}

func linear(n float64) float64 { return n / .05 }

// A server that never slows down and serves exponentially is Erlang's queue; there the latency is known in closed form:
// P(T > t) with service rate μ and P(wait) = C, decay δ = cμ - r is e^{-μt}(1 + C (1 - e^{-(δ-μ)t}) / (δ/μ - 1)).
func TestLatencyIsErlangs(t *testing.T) {
	doc := run(t, linear, 0, 1, 2, 4, 8, 16, 32, 64)
	curves, _ := capacity.Analyse(doc)
	s := newServers(curves[0], Input{Processes: 1})
	for _, tc := range []struct {
		per  int
		rate float64
	}{{30, 500}, {30, 560}, {20, 300}} {
		a := s.mid.answer(tc.rate, tc.per)
		mu, delta := 20.0, float64(tc.per)*20-tc.rate
		beyond := func(t float64) float64 {
			return math.Exp(-mu*t) * (1 + a.share*(1-math.Exp(-(delta-mu)*t))/(delta/mu-1))
		}
		for _, q := range []float64{.5, .9, .99} {
			low, want := 0.0, 10.0
			for range 60 {
				if mid := (low + want) / 2; beyond(mid) > 1-q {
					low = mid
				} else {
					want = mid
				}
			}
			if got := a.quantile(q); math.Abs(got/want-1) > .025 {
				t.Errorf("%d connections at %g/s: quantile %g is %g s, want %g", tc.per, tc.rate, q, got, want)
			}
		}
	}
}

func TestMake(t *testing.T) {
	contended := func(n float64) float64 { return 1000 * n / (1 + .05*(n-1) + .001*n*(n-1)) }
	doc := run(t, contended, .01, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
	curves, _ := capacity.Analyse(doc)
	in := Input{Curves: curves, Rate: 3000, Processes: 1, Growth: .05, Promises: []Promise{{.99, .02}}, Started: "2026-11-24T10:00:00Z"}
	p := Make(in)[0]
	if p.Now.Total > p.Ceiling || p.Now.WaitShare.Value > fewWait || p.Now.Keeps != Yes {
		t.Errorf("now %+v, want a pool within %d in which few wait", p.Now, p.Ceiling)
	}
	for what, f := range map[string]Figure{"highest rate": p.MaxRate, "headroom": p.Headroom, "months": *p.Months, "p99": p.Now.P99, "wait": p.Now.WaitMean} {
		if !(f.Low <= f.Value && f.Value <= f.High) || f.Low == f.High {
			t.Errorf("%s: %+v is no interval around its value", what, f)
		}
	}
	if best := curves[0].At(curves[0].Best).TPS; p.MaxRate.Value >= best || p.MaxRate.Value < .5*best {
		t.Errorf("highest rate %g, the server's best is %g", p.MaxRate.Value, best)
	}
	if want := math.Log(p.MaxRate.Value/3000) / math.Log(1.05); math.Abs(p.Months.Value-want) > 1e-9 || !strings.HasPrefix(p.Ends, "202") {
		t.Errorf("%g months, until %s, want %g", p.Months.Value, p.Ends, want)
	}
	before := Row{}
	for _, r := range p.Table {
		if r.P99.Value < before.P99.Value-1e-9 || r.Used.Value < before.Used.Value && r.Total == before.Total {
			t.Errorf("at %g times the demand p99 falls from %g to %g", r.Factor, before.P99.Value, r.P99.Value)
		}
		if r.Total > p.Ceiling {
			t.Errorf("%d connections are recommended, above the measured choice %d", r.Total, p.Ceiling)
		}
		before = r
	}
	if last := p.Table[len(p.Table)-1]; last.Keeps != No || !math.IsInf(last.WaitMean.Value, 1) {
		t.Errorf("three times the demand is above the capacity: %+v", last)
	}
	if _, err := json.Marshal(p); err != nil {
		t.Errorf("JSON of waits that grow without end: %v", err)
	}
}

// The highest rate that keeps a promise does keep it, and a little more does not.
func TestHighestIsTheEdge(t *testing.T) {
	curves, _ := capacity.Analyse(run(t, linear, 0, 1, 2, 4, 8, 16, 32, 64))
	in := Input{Curves: curves, Rate: 100, Processes: 2, PoolSize: 10, Promises: []Promise{{.99, .3}}}
	p := Make(in)[0]
	s := newServers(curves[0], in)
	top := p.MaxRate.Value
	if !s.keeps(s.mid.answer(top, 10)) || s.keeps(s.mid.answer(top*1.001, 10)) {
		t.Errorf("%g/s is not the edge", top)
	}
	if !p.WhatIf || p.Now.PerProcess != 10 || p.Now.Total != 20 {
		t.Errorf("what if 2 processes have 10 connections each: %+v", p.Now)
	}
}

// More, smaller pools wait more.
func TestProcesses(t *testing.T) {
	curves, _ := capacity.Analyse(run(t, linear, 0, 1, 2, 4, 8, 16, 32, 64))
	before := 0.0
	for _, n := range []int{1, 2, 4, 8} {
		p := Make(Input{Curves: curves, Rate: 500, Processes: n, PoolSize: 32 / n})[0]
		if p.Now.WaitMean.Value <= before {
			t.Errorf("%d pools wait %g, fewer waited %g", n, p.Now.WaitMean.Value, before)
		}
		before = p.Now.WaitMean.Value
	}
}

func TestFindings(t *testing.T) {
	quiet, _ := capacity.Analyse(run(t, linear, .01, 1, 2, 4, 8, 16, 32, 64))
	noisy, _ := capacity.Analyse(run(t, linear, .5, 1, 2, 4, 8, 16, 32, 64))
	for _, tc := range []struct {
		name string
		in   Input
		want string
	}{
		{"beyond capacity", Input{Curves: quiet, Rate: 1250}, "R9"},
		{"noise", Input{Curves: noisy, Rate: 100}, "R8"},
		{"many processes", Input{Curves: quiet, Rate: 100, Processes: 100}, "R13"},
		{"pool beyond what was measured", Input{Curves: quiet, Rate: 100, PoolSize: 90}, "range"},
		{"well", Input{Curves: quiet, Rate: 300}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found := tc.want == ""
			for _, f := range Make(tc.in)[0].Findings {
				if tc.want == "" {
					t.Errorf("finding %+v", f)
				}
				found = found || f.Code == tc.want
			}
			if !found {
				t.Errorf("no %s", tc.want)
			}
		})
	}
}

// Doubts about the run go with the plan of their scenario, those that block first, and not twice under one code.
func TestDoubtsOfTheRun(t *testing.T) {
	curves, _ := capacity.Analyse(run(t, linear, .01, 1, 2, 4, 8, 16, 32, 64))
	in := Input{Curves: curves, Rate: 1250, Doubts: []advisor.Finding{{Code: "R12"}, {Code: "R9", Text: "again", Scenario: "s"}, {Code: "R6", Scenario: "another"}}}
	codes := func(p Plan) (out []string) {
		for _, f := range p.Findings {
			out = append(out, f.Code)
		}
		return out
	}
	if p := Make(in)[0]; !slices.Equal(codes(p), []string{"R9", "R12"}) || p.Blocked() {
		t.Errorf("findings %v, blocked %v", codes(p), p.Blocked())
	}
	in.Doubts = append(in.Doubts, advisor.Finding{Code: "R11", Scenario: "s", Blocks: true})
	if p := Make(in)[0]; !slices.Equal(codes(p), []string{"R11", "R9", "R12"}) || !p.Blocked() {
		t.Errorf("findings %v, blocked %v", codes(p), p.Blocked())
	}
}

func TestMonth(t *testing.T) {
	for _, tc := range []struct {
		started string
		months  float64
		want    string
	}{
		{"2026-11-24T10:00:00Z", 0, "2026-11"}, {"2026-11-24T10:00:00Z", 1, "2026-12"}, {"2026-11-01T00:00:00Z", 1.99, "2026-12"},
		{"2026-01-31T00:00:00Z", 1, "2026-02"}, {"2026-11-24T10:00:00Z", math.Inf(1), "more than ten years on"}, {"", 7.5, "month 7"},
	} {
		if got := month(tc.started, tc.months); got != tc.want {
			t.Errorf("month(%q, %g) = %q, want %q", tc.started, tc.months, got, tc.want)
		}
	}
}

func FuzzMake(f *testing.F) {
	f.Add(500.0, 4, .05, .99, .05, 0, .05, .001)
	f.Add(1e-300, 1, 1e9, .5, 1e-9, 1000, 0.0, 0.0)
	f.Fuzz(func(t *testing.T, rate float64, processes int, growth, share, limit float64, pool int, sigma, kappa float64) {
		if !(rate > 0) || math.IsInf(rate, 0) || processes < 1 || processes > 50 || pool < 0 || pool > 500 || !(growth >= 0) || math.IsInf(growth, 0) ||
			!(share > 0) || !(share < 1) || !(limit > 0) || math.IsInf(limit, 0) || !(sigma >= 0) || !(kappa >= 0) || sigma > 1 || kappa > 1 {
			return
		}
		curves, _ := capacity.Analyse(run(t, func(n float64) float64 { return 1000 * n / (1 + sigma*(n-1) + kappa*n*(n-1)) }, .05, 1, 2, 8))
		plans := Make(Input{Curves: curves, Rate: rate, Processes: processes, Growth: growth, PoolSize: pool, Promises: []Promise{{share, limit}}})
		text, err := json.Marshal(plans)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "NaN") {
			t.Errorf("NaN in %s", text)
		}
		for _, r := range plans[0].Table {
			if v := r.WaitMean.Value; math.IsNaN(v) || v < 0 || math.IsNaN(r.P99.Value) {
				t.Errorf("row %+v", r)
			}
		}
	})
}
