// Package compare holds two runs against each other: per scenario and pool size the ratio of throughput and of the 99th
// percentile, with its interval, its p-value and the change that would have been seen. It says what differs between the runs
// beside the figures; what changed between two times, and belongs to neither run, no statistics can take out.
package compare

import (
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

// Row is one figure of B over A. PoolSize 0 stands for all common pool sizes together.
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
	Detectable float64  `json:"detectable_change"` // that would have been seen four times in five
	Verdict    Verdict  `json:"verdict"`

	estimate estimate
	known    bool
}

// Comparison is two runs.
type Comparison struct {
	Paired   bool              `json:"paired"`
	Rows     []Row             `json:"rows"`
	Differs  []Difference      `json:"differs"`
	Findings []advisor.Finding `json:"findings,omitempty"`
	Gates    []GateResult      `json:"gates,omitempty"`
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

// visits are those of a key by pool size and round.
func visits(d *rundoc.Document, k key) map[int]map[int]rundoc.Visit {
	out := map[int]map[int]rundoc.Visit{}
	for _, v := range d.Visits {
		if v.Phase != k.phase || v.Scenario != k.scenario || v.Rate != k.rate || v.Side != "" || v.TPS <= 0 || capacity.Dropped(v) {
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
	sumA, sumB := map[int][]float64{}, map[int][]float64{}
	for _, n := range sizes {
		la, lb := logs(a[n], metric), logs(b[n], metric)
		for r, v := range la {
			sumA[r] = append(sumA[r], v)
		}
		for r, v := range lb {
			sumB[r] = append(sumB[r], v)
		}
		row := Row{Scenario: k.scenario, PoolSize: n, Rate: k.rate, Metric: metric}
		row.fill(la, lb, pairs)
		each = append(each, row)
	}
	if len(sizes) < 2 {
		return each
	}
	all := Row{Scenario: k.scenario, Rate: k.rate, Metric: metric}
	all.fill(complete(sumA, len(sizes)), complete(sumB, len(sizes)), pairs)
	return append([]Row{all}, each...)
}

// complete takes the mean over pool sizes of the rounds that have all of them.
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

// leastForP99 is how many operations a 99th percentile needs whose interval has two sides.
const leastForP99 = 368

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
	return x, all.TotalCount() >= leastForP99 && x > 0
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
		r.High, r.Detectable = math.Min(r.High, huge), math.Min(r.estimate.detectable(), huge)
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

// judge adjusts the p-values, those of whole scenarios and those of single pool sizes each as one family, and says each row
// in a word.
func judge(rows []Row) {
	for _, whole := range []bool{true, false} {
		var at []int
		var p []float64
		for i, r := range rows {
			if (r.PoolSize == 0) == whole && r.known {
				at, p = append(at, i), append(p, r.P)
			}
		}
		for i, v := range holm(p) {
			rows[at[i]].Adjusted = v
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
