package pool

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
	"pgfit/advisor/usl"
	"pgfit/workload/rundoc"
)

// The guide's example and its split, exactly.
func TestGuide(t *testing.T) {
	for _, tc := range []struct {
		concurrent, query, duration float64
		want                        float64
		size, over                  int
	}{{100, .05, .2, 25, 20, 10}, {10, .05, .2, 2.5, 2, 2}, {1, .001, 1, .001, 1, 1}} {
		n, size, over := Guide(tc.concurrent/tc.duration, tc.query)
		if math.Abs(n-tc.want) > 1e-9 || size != tc.size || over != tc.over {
			t.Errorf("Guide(%g x %g / %g) = %g, %d + %d, want %g, %d + %d", tc.concurrent, tc.query, tc.duration, n, size, over, tc.want, tc.size, tc.over)
		}
	}
}

// curve is what a sweep of a server that follows a law would give.
func curve(m usl.Model, cv2 float64, levels ...int) capacity.Capacity {
	c := capacity.Capacity{Scenario: "s", CV2: cv2}
	best := 0.0
	for _, n := range levels {
		x := m.Throughput(float64(n))
		c.Levels = append(c.Levels, capacity.Level{Pool: n, TPS: x, TPSInterval: usl.Interval{Low: .98 * x, High: 1.02 * x}, Service: float64(n) / x, P99: 3 * float64(n) / x})
		if x > best {
			best, c.Best = x, n
		}
	}
	c.Chosen = c.Best
	for i := len(c.Levels) - 1; i >= 0; i-- {
		c.Levels[i].Ratio = c.Levels[i].TPS / best
		if c.Levels[i].Ratio > 0.95 && c.Levels[i].Pool < c.Chosen {
			c.Chosen = c.Levels[i].Pool
		}
	}
	c.Hold, c.Idle = float64(c.Chosen)/m.Throughput(float64(c.Chosen)), 1/m.Lambda
	return c
}

var law = usl.Model{Lambda: 1000, Sigma: .05, Kappa: .001}

func levels() []int { return []int{1, 2, 4, 8, 12, 16, 24, 32, 48, 64} }

func TestAdvise(t *testing.T) {
	c := curve(law, 1, levels()...)
	for _, tc := range []struct {
		name   string
		demand rundoc.Demand
		code   string
		check  func(t *testing.T, total, perProcess, size, over, maxConnections int)
	}{
		{"no demand", rundoc.Demand{}, "R14", func(t *testing.T, total, _, size, over, _ int) {
			if total != c.Chosen || size+over != total {
				t.Errorf("total %d = %d + %d, want the chosen size %d", total, size, over, c.Chosen)
			}
		}},
		{"light demand", rundoc.Demand{RPS: 2000}, "", func(t *testing.T, total, _, _, _, _ int) {
			if total >= c.Chosen || total < 3 {
				t.Errorf("total %d, want a few", total)
			}
		}},
		{"beyond capacity", rundoc.Demand{RPS: 9000}, "R9", func(t *testing.T, total, _, _, _, _ int) {
			if total != c.Chosen {
				t.Errorf("total %d, want the ceiling %d: a larger pool does not help", total, c.Chosen)
			}
		}},
		{"four processes", rundoc.Demand{RPS: 5000, Processes: 4}, "", func(t *testing.T, total, per, size, over, maxConn int) {
			if per*4 < total || size+over != per || maxConn < 4*per+3 {
				t.Errorf("total %d, per process %d = %d + %d, max_connections %d", total, per, size, over, maxConn)
			}
		}},
		{"more processes than connections", rundoc.Demand{RPS: 100, Processes: 50}, "R13", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, findings := Advise(Input{Curves: []capacity.Capacity{c}, Demand: tc.demand, CPUs: 2, Reserved: 3})
			if a.Total > 64 || a.Total < 1 {
				t.Errorf("total %d lies outside what was measured", a.Total)
			}
			found := tc.code == "" && len(findings) == 0
			for _, f := range findings {
				found = found || f.Code == tc.code
			}
			if !found {
				t.Errorf("findings %+v, want %q", findings, tc.code)
			}
			if tc.check != nil {
				tc.check(t, a.Total, a.PerProcess, a.PoolSize, a.MaxOverflow, a.MaxConnections)
			}
			if a.PoolTimeout < 1 || a.PoolTimeout > 300 || a.PoolRecycle < 300 || a.PoolRecycle > 7200 || a.PoolSize < 1 || a.PoolSize > 100 || a.MaxOverflow > 100 {
				t.Errorf("outside the application's ranges: %+v", a)
			}
		})
	}
}

// With no contention the measured answer is the guide's, and what the guide's pool costs is said.
func TestGuideIsTheSpecialCase(t *testing.T) {
	c := curve(usl.Model{Lambda: 20}, 1, 1, 2, 4, 8, 16, 32, 64) // 50 ms a query, for ever
	a, _ := Advise(Input{Curves: []capacity.Capacity{c}, Demand: rundoc.Demand{MaxConcurrent: 100, RequestDuration: .2}})
	guide := a.Comparators[0]
	if guide.Connections != 25 || guide.PoolSize != 20 || guide.MaxOverflow != 10 {
		t.Errorf("the guide's answer is %+v, want 25 = 20 + 10", guide)
	}
	if n := a.Scenarios[0].Need; n != 38 && n != 39 && n != 40 {
		t.Errorf("need %d: 500/s of 50 ms want about 39 connections for 1 %% to wait (35 leave 4 %%)", n)
	}
}

// However many processes share it, no more connections are recommended than the server gains from, or one each; where whole
// connections leave some of what the server can do unused, PgBouncer is.
func TestProcesses(t *testing.T) {
	c := curve(law, 1, levels()...)
	for processes := 1; processes <= 70; processes++ {
		for _, rate := range []float64{0, 300, 5000, 20000} {
			a, _ := Advise(Input{Curves: []capacity.Capacity{c}, Demand: rundoc.Demand{RPS: rate, Processes: processes}})
			all := processes * (a.PoolSize + a.MaxOverflow)
			if all > max(a.Ceiling, processes) || a.MaxConnections < all {
				t.Errorf("%d processes at %g/s: %d connections in all, nothing is gained beyond %d", processes, rate, all, a.Ceiling)
			}
			lost := all < a.Total && c.Throughput(float64(all)) < .97*c.Throughput(float64(a.Total))
			if b := a.PgBouncer; b == nil && (lost || processes > a.Total) {
				t.Errorf("%d processes at %g/s: %d of %d connections, and no PgBouncer", processes, rate, all, a.Total)
			} else if b != nil && (b.DefaultPoolSize != a.Total || b.DefaultPoolSize+b.ReservePoolSize > b.MaxDBConnections || b.MaxClientConn <= all) {
				t.Errorf("%d processes at %g/s: %+v for %d connections", processes, rate, *b, a.Total)
			}
		}
	}
}

// Of two scenarios with different best pool sizes the pool is the smallest that is as good for both, and where there is none the
// one that gives away least, not the smallest that gives away little more.
func TestCeiling(t *testing.T) {
	from := func(good map[int]bool, tps map[int]float64) capacity.Capacity {
		c := capacity.Capacity{}
		for _, n := range []int{4, 8, 16, 32} {
			c.Levels = append(c.Levels, capacity.Level{Pool: n, TPS: tps[n], Good: good[n]})
			if c.Best == 0 || tps[n] > c.At(c.Best).TPS {
				c.Best = n
			}
		}
		return c
	}
	reads := from(map[int]bool{8: true}, map[int]float64{4: 82, 8: 100, 16: 96, 32: 93})
	writes := from(map[int]bool{16: true, 32: true}, map[int]float64{4: 66, 8: 94, 16: 100, 32: 98})
	if n := ceiling([]capacity.Capacity{reads, writes}); n != 16 {
		t.Errorf("ceiling %d, want 16, where the reads give away 4 %%: at 8 the writes give away 6 %%", n)
	}
	both := from(map[int]bool{8: true, 16: true}, map[int]float64{4: 82, 8: 99, 16: 100, 32: 93})
	if n := ceiling([]capacity.Capacity{both, writes}); n != 16 {
		t.Errorf("ceiling %d, want 16, as good for both", n)
	}
	if n := ceiling([]capacity.Capacity{both, reads}); n != 8 {
		t.Errorf("ceiling %d, want 8, the smallest as good for both", n)
	}
}

// A scenario that was measured up to fewer connections than are recommended says so.
func TestBeyondAScenario(t *testing.T) {
	_, findings := Advise(Input{Curves: []capacity.Capacity{curve(law, 1, levels()...), curve(usl.Model{Lambda: 10}, 1, 1, 2, 4)}})
	if !slices.ContainsFunc(findings, func(f advisor.Finding) bool {
		return f.Code == "range" && strings.Contains(f.Text, "largest measured pool size, 4")
	}) {
		t.Errorf("findings %+v", findings)
	}
}

// A fixed number of workers waits less than callers who come at a rate: the guide's example, of reference vectors.
func TestWorkers(t *testing.T) {
	c := curve(usl.Model{Lambda: 20}, 1, 1, 2, 4, 8, 16, 30)
	a, _ := Advise(Input{Curves: []capacity.Capacity{c}, Demand: rundoc.Demand{MaxConcurrent: 100, RequestDuration: .2}})
	if text := strings.Join(a.Reasons, "\n"); !strings.Contains(text, "15.9 % have to wait, 0.932 ms") {
		t.Errorf("%q, want 15.9 %% and 0.932 ms with 30 connections", text)
	}
	a, _ = Advise(Input{Curves: []capacity.Capacity{c}, Demand: rundoc.Demand{RPS: 300}})
	if text := strings.Join(a.Reasons, "\n"); strings.Contains(text, "workers") {
		t.Errorf("%q, and nothing is known of workers", text)
	}
}

// What the application's ranges do not let it have is said.
func TestLimitsOfTheApplication(t *testing.T) {
	c := curve(law, 1, levels()...)
	short, _ := Advise(Input{Curves: []capacity.Capacity{c}, Idle: 60})
	if text := strings.Join(short.Warnings, "\n"); short.PoolRecycle != 300 || !strings.Contains(text, "idle for 60 s") {
		t.Errorf("pool_recycle %d, warnings %q", short.PoolRecycle, text)
	}
	long, _ := Advise(Input{Curves: []capacity.Capacity{c}, Idle: 1000})
	if long.PoolRecycle != 800 || len(long.Warnings) > 0 {
		t.Errorf("pool_recycle %d, warnings %q", long.PoolRecycle, long.Warnings)
	}
	wide := curve(usl.Model{Lambda: 1}, 1, 1, 2, 4, 8, 16, 400)
	if a, _ := Advise(Input{Curves: []capacity.Capacity{wide}}); a.PerProcess != 200 || !strings.Contains(strings.Join(a.Warnings, "\n"), "200 connections") {
		t.Errorf("%d connections a process, warnings %q", a.PerProcess, a.Warnings)
	}
}

// The guide's table is for the traffic of one process, and each has such a pool.
func TestGuidesTableByProcess(t *testing.T) {
	a, _ := Advise(Input{Curves: []capacity.Capacity{curve(law, 1, levels()...)}, Demand: rundoc.Demand{RPS: 300, Processes: 4}})
	i := slices.IndexFunc(a.Comparators, func(c advisor.Comparator) bool { return c.Name == guidesTable })
	if c := a.Comparators[i]; c.PoolSize != 20 || c.MaxOverflow != 10 || c.Connections != 120 || c.Loss != -1 {
		t.Errorf("%+v, want 20 + 10 in each of 4, beyond what was measured", c)
	}
}

func TestNothingMeasured(t *testing.T) {
	a, findings := Advise(Input{})
	if a.Total != 0 || len(findings) != 1 || !findings[0].Blocks {
		t.Errorf("Advise of nothing = %+v, %+v", a, findings)
	}
}

// Without a caller's deadline pool_timeout is the guide's 30 s, unless what was measured asks for more; what was observed at
// the demanded rate counts as much as what was predicted.
func TestTimeout(t *testing.T) {
	h := hdrhistogram.New(1, 60_000_000, 3)
	for range 1000 {
		_ = h.RecordValue(4_100_000)
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	c := curve(law, 1, levels()...)
	doc := &rundoc.Document{Demand: rundoc.Demand{RPS: 2000}}
	calm, _ := Advise(Input{Curves: []capacity.Capacity{c}, Demand: doc.Demand, Waits: Waits(doc)})
	if calm.PoolTimeout != 30 || calm.TimeoutFloor != 1 || !strings.Contains(strings.Join(calm.Reasons, " "), "the measured lower bound is 1 s") {
		t.Errorf("calm: %d, at least %d: %q", calm.PoolTimeout, calm.TimeoutFloor, calm.Reasons)
	}
	doc.Visits = []rundoc.Visit{{Phase: "C", PoolSize: calm.Total, Rate: 2000, Ops: []rundoc.Op{{Wait: string(text)}}},
		{Phase: "C", PoolSize: calm.Total, Rate: 9, Ops: []rundoc.Op{{Wait: "of another rate"}}}}
	stalled, _ := Advise(Input{Curves: []capacity.Capacity{c}, Demand: doc.Demand, Waits: Waits(doc)})
	if stalled.PoolTimeout != 42 || stalled.TimeoutFloor != stalled.PoolTimeout || !strings.Contains(strings.Join(stalled.Reasons, " "), "observed at this rate") {
		t.Errorf("stalled: %d, at least %d: %q", stalled.PoolTimeout, stalled.TimeoutFloor, stalled.Reasons)
	}
}
