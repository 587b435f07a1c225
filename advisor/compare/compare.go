// Package compare holds two runs against each other: per scenario and pool size the ratio of throughput and of the 99th
// percentile, with its interval, its p-value and the change that would have been seen. It says what differs between the runs
// beside the figures; what changed between two times, and belongs to neither run, no statistics can take out.
package compare

import (
	"maps"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
)

// Metrics that are compared.
const (
	TPS = "tps"
	P99 = "p99"
)

// Verdict is a row in one word.
type Verdict string

// The verdicts. Of throughput more is better, of p99 less.
const (
	Better Verdict = "better"
	Worse  Verdict = "worse"
	None   Verdict = "no difference seen"
	TooFew Verdict = "too few rounds"
)

// Row is one figure of B over A. PoolSize 0 stands for all common pool sizes together, but for those that either run visited in
// fewer than half as many rounds as the others.
type Row struct {
	Scenario   string   `json:"scenario"`
	PoolSize   int      `json:"pool_size"`
	Rate       float64  `json:"rate_per_second,omitempty"` // open loop
	Metric     string   `json:"metric"`
	A          float64  `json:"a"` // geometric mean over rounds; 1/s or seconds
	B          float64  `json:"b"`
	Ratio      float64  `json:"ratio"`
	Low        float64  `json:"ratio_low"` // of the 95 % interval
	High       float64  `json:"ratio_high"`
	P          float64  `json:"p_value"`
	Adjusted   float64  `json:"p_value_adjusted"` // for the number of comparisons (Holm)
	SignFlip   *float64 `json:"p_value_sign_flip,omitempty"`
	Paired     bool     `json:"paired"`
	RoundsA    int      `json:"rounds_a"`
	RoundsB    int      `json:"rounds_b"`
	Detectable float64  `json:"detectable_change"` // that would have been seen four times in five, given the number of comparisons
	Verdict    Verdict  `json:"verdict"`

	estimate estimate
	known    bool
}

// Comparison is two runs.
type Comparison struct {
	Paired   bool              `json:"paired"`
	Rows     []Row             `json:"rows"`
	Lost     []Lost            `json:"nothing_finished,omitempty"`
	Differs  []Difference      `json:"differs"`
	Findings []advisor.Finding `json:"findings,omitempty"`
	Gates    []GateResult      `json:"gates,omitempty"`
}

// Lost is a pool size at which a run has visits without a single transaction, which no ratio counts.
type Lost struct {
	Scenario string `json:"scenario"`
	PoolSize int    `json:"pool_size"`
	A        int    `json:"visits_a"` // without a transaction
	B        int    `json:"visits_b"`
	OfA      int    `json:"of_visits_a"`
	OfB      int    `json:"of_visits_b"`
}

// Difference is a fact that is not the same in both runs.
type Difference struct {
	What string `json:"what"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// Runs compares B with A. Rows come in the order of A's plan, each scenario's sum first.
func Runs(a, b *rundoc.Document) Comparison {
	c := Comparison{Paired: alike(a, b), Rows: []Row{}, Differs: differences(a, b)}
	for _, key := range keys(a) {
		c.Lost = append(c.Lost, lost(a, b, key)...)
		va, vb := visits(a, key), visits(b, key)
		if len(vb) == 0 {
			continue
		}
		for _, metric := range []string{TPS, P99} {
			if metric == TPS && key.rate > 0 {
				continue // an open loop delivers what arrives
			}
			c.Rows = append(c.Rows, rows(key, metric, va, vb, c.Paired)...)
		}
	}
	judge(c.Rows)
	c.Findings = findings(a, b)
	return c
}

// key is what visits must share to be compared, but for the pool size.
type key struct {
	phase, scenario string
	rate            float64
}

// has tells whether a visit belongs to a key and counts.
func (k key) has(v rundoc.Visit) bool {
	return v.Phase == k.phase && v.Scenario == k.scenario && v.Rate == k.rate && v.Side == "" && !capacity.Dropped(v)
}

func keys(d *rundoc.Document) []key {
	var out []key
	for _, phase := range []string{"B", "C"} {
		for _, name := range d.Plan.Scenarios {
			for _, v := range d.Visits {
				k := key{phase, name, v.Rate}
				if v.Phase == phase && v.Scenario == name && v.Side == "" && (phase == "B" || v.Rate > 0) && !slices.Contains(out, k) {
					out = append(out, k)
				}
			}
		}
	}
	return out
}

// lost are the pool sizes of a key, in the closed loop of the sweep, at which visits finished nothing.
func lost(a, b *rundoc.Document, k key) []Lost {
	if k.phase != "B" {
		return nil
	}
	at := map[int]*Lost{}
	for _, d := range []*rundoc.Document{a, b} {
		for _, v := range d.Visits {
			if !k.has(v) {
				continue
			}
			l := at[v.PoolSize]
			if l == nil {
				l = &Lost{Scenario: k.scenario, PoolSize: v.PoolSize}
				at[v.PoolSize] = l
			}
			nothing := 0
			if v.TPS <= 0 {
				nothing = 1
			}
			if d == a {
				l.A, l.OfA = l.A+nothing, l.OfA+1
			} else {
				l.B, l.OfB = l.B+nothing, l.OfB+1
			}
		}
	}
	var out []Lost
	for _, n := range slices.Sorted(maps.Keys(at)) {
		if l := at[n]; l.A+l.B > 0 && l.OfA > 0 && l.OfB > 0 {
			out = append(out, *l)
		}
	}
	return out
}

// visits are those of a key by pool size and round.
func visits(d *rundoc.Document, k key) map[int]map[int]rundoc.Visit {
	out := map[int]map[int]rundoc.Visit{}
	for _, v := range d.Visits {
		if !k.has(v) || v.TPS <= 0 {
			continue
		}
		if out[v.PoolSize] == nil {
			out[v.PoolSize] = map[int]rundoc.Visit{}
		}
		out[v.PoolSize][v.Round] = v
	}
	return out
}

// rows are one metric's rows: all pool sizes together, then each.
func rows(k key, metric string, a, b map[int]map[int]rundoc.Visit, pairs bool) []Row {
	var sizes []int
	for n := range a {
		if b[n] != nil {
			sizes = append(sizes, n)
		}
	}
	slices.Sort(sizes)
	var each []Row
	most := 0
	for _, n := range sizes {
		most = max(most, min(len(a[n]), len(b[n])))
	}
	sumA, sumB, whole := map[int][]float64{}, map[int][]float64{}, 0
	for _, n := range sizes {
		la, lb := logs(a[n], metric), logs(b[n], metric)
		if 2*min(len(a[n]), len(b[n])) >= most { // a pool size that was added late would leave the sum its few rounds
			whole++
			for r, v := range la {
				sumA[r] = append(sumA[r], v)
			}
			for r, v := range lb {
				sumB[r] = append(sumB[r], v)
			}
		}
		row := Row{Scenario: k.scenario, PoolSize: n, Rate: k.rate, Metric: metric}
		row.fill(la, lb, pairs)
		each = append(each, row)
	}
	if len(sizes) < 2 {
		return each
	}
	all := Row{Scenario: k.scenario, Rate: k.rate, Metric: metric}
	all.fill(complete(sumA, whole), complete(sumB, whole), pairs)
	return append([]Row{all}, each...)
}

// complete takes the mean over pool sizes of the rounds that have all n of them.
func complete(rounds map[int][]float64, n int) map[int]float64 {
	out := map[int]float64{}
	for r, v := range rounds {
		if len(v) == n {
			for _, x := range v {
				out[r] += x / float64(n)
			}
		}
	}
	return out
}

// logs is the logarithm of a metric by round, where it can be told.
func logs(visits map[int]rundoc.Visit, metric string) map[int]float64 {
	out := map[int]float64{}
	for r, v := range visits {
		switch metric {
		case TPS:
			out[r] = math.Log(v.TPS)
		case P99:
			if x, ok := p99(v); ok {
				out[r] = math.Log(x)
			}
		}
	}
	return out
}

// p99 in seconds: of an open loop from the intended start, of a closed one the service time.
func p99(v rundoc.Visit) (float64, bool) {
	all := hdrhistogram.New(engine.HistMin, engine.HistMax, engine.HistDigits)
	for _, o := range v.Ops {
		text := o.Service
		if v.Rate > 0 {
			text = o.Latency
		}
		if h, err := hdrhistogram.Decode([]byte(text)); err == nil {
			all.Merge(h)
		}
	}
	x := float64(all.ValueAtQuantile(99)) / 1e6
	return x, all.TotalCount() >= capacity.LeastForP99 && x > 0
}

// huge stands for a ratio without bound, of two rounds that have nothing in common.
const huge = 1e6

// fill computes a row from logarithms by round.
func (r *Row) fill(a, b map[int]float64, pairs bool) {
	r.RoundsA, r.RoundsB = len(a), len(b)
	r.A, r.B = geometric(a), geometric(b)
	var xa, xb []float64
	for _, round := range sorted(a) {
		if _, ok := b[round]; ok || !pairs {
			xa = append(xa, a[round])
		}
	}
	for _, round := range sorted(b) {
		if _, ok := a[round]; ok || !pairs {
			xb = append(xb, b[round])
		}
	}
	if pairs {
		r.estimate, r.known = paired(xa, xb)
	} else {
		r.estimate, r.known = unpaired(xa, xb)
	}
	if r.known {
		r.Paired, r.Ratio, r.P, r.SignFlip = pairs, math.Exp(r.estimate.diff), r.estimate.p(), r.estimate.signFlip
		r.Low, r.High = r.estimate.interval(.05)
		r.High = math.Min(r.High, huge)
	}
}

func sorted(m map[int]float64) []int {
	out := make([]int, 0, len(m))
	for r := range m {
		out = append(out, r)
	}
	slices.Sort(out)
	return out
}

func geometric(logs map[int]float64) float64 {
	if len(logs) == 0 {
		return 0
	}
	sum := 0.0
	for _, r := range sorted(logs) {
		sum += logs[r] / float64(len(logs))
	}
	return math.Exp(sum)
}

// What may be seen by chance in a comparison of equal runs: in the rows that lead, those of whole scenarios and of scenarios with
// one pool size, and in the others.
const (
	leadAlpha = .05
	restAlpha = .01
)

// families are the rows that can be judged, by place: those that lead, and the others.
func families(rows []Row) (lead, rest []int) {
	for i, r := range rows {
		whole := func(o Row) bool {
			return o.PoolSize == 0 && o.Scenario == r.Scenario && o.Metric == r.Metric && o.Rate == r.Rate
		}
		switch {
		case !r.known:
		case r.PoolSize == 0 || !slices.ContainsFunc(rows, whole):
			lead = append(lead, i)
		default:
			rest = append(rest, i)
		}
	}
	return lead, rest
}

// judge adjusts the p-values so that 0.05 is the level of either family, and says each row in a word.
func judge(rows []Row) {
	lead, rest := families(rows)
	for _, f := range []struct {
		at    []int
		alpha float64
	}{{lead, leadAlpha}, {rest, restAlpha}} {
		p := make([]float64, len(f.at))
		for j, i := range f.at {
			p[j] = rows[i].P
		}
		for j, v := range holm(p) {
			r := &rows[f.at[j]]
			r.Adjusted = math.Min(1, v*.05/f.alpha)
			r.Detectable = math.Min(r.estimate.detectable(f.alpha/float64(len(p))), huge)
		}
	}
	for i := range rows {
		r := &rows[i]
		switch {
		case !r.known:
			r.Verdict = TooFew
		case r.Adjusted >= .05:
			r.Verdict = None
		case (r.Ratio > 1) == (r.Metric == TPS):
			r.Verdict = Better
		default:
			r.Verdict = Worse
		}
	}
}
