package plan

import (
	"fmt"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
)

// Check is one pool at the demanded rate: what was predicted from the sweep, and what an open loop showed. Times in seconds.
type Check struct {
	Scenario string   `json:"scenario"`
	PoolSize int      `json:"pool_size"`
	Rate     float64  `json:"rate_per_second"`
	Visits   int      `json:"visits"`
	Unserved int64    `json:"unserved"`
	Used     float64  `json:"utilisation"`
	Speed    float64  `json:"speed_since_sweep"` // throughput of a closed loop between these visits over that of the sweep; the prediction is for it
	Wait     Compared `json:"wait_mean_seconds"`
	Unsteady float64  `json:"wait_mean_unsteady_seconds"` // the part of the predicted wait that is there since the server is not steady
	// Typical is the mean wait of the median visit. How often a server stands still for long is chance, and the wait grows with the
	// square of how long: the mean over all visits is that of the worst few, the median visit is what a caller mostly meets.
	Typical Compared `json:"wait_typical_visit_seconds"`
	P50     Compared `json:"latency_p50_seconds"`
	P99     Compared `json:"latency_p99_seconds"`
	LagP99  float64  `json:"generator_lag_p99_seconds"` // how late the generator's own timers fired, at the worst
}

// Compared is a prediction beside what was observed, with the interval over the visits.
type Compared struct {
	Predicted *float64 `json:"predicted"`    // null: it grows without end
	Observed  float64  `json:"observed"`     // 0 for a p99 of visits that have too few requests for one
	Low       float64  `json:"observed_low"` // of the 95 % interval; both are the value where there is one visit
	High      float64  `json:"observed_high"`
	Error     *float64 `json:"relative_error"` // predicted over observed, less 1
}

// smallWait is a wait in seconds below which a relative error says nothing: timers are as late as that.
const smallWait = 0.0002

// Holds tells whether the prediction of the wait is within a quarter or 0.2 ms of what was observed.
func (c Compared) Holds() bool {
	return c.Predicted != nil && math.Abs(*c.Predicted-c.Observed) <= math.Max(smallWait, c.Observed/4)
}

// worse tells whether callers waited longer than predicted by more than Holds allows.
func (c Compared) worse() bool { return c.Predicted != nil && c.Observed > *c.Predicted && !c.Holds() }

// Doubts are the findings about predictions that the open loop did not bear out, one a scenario: that of the check that
// missed by most.
func Doubts(checks []Check) []advisor.Finding {
	var out []advisor.Finding
	var worst Check
	for i, c := range checks {
		if c.Wait.worse() && (worst.Visits == 0 || c.Wait.Observed-*c.Wait.Predicted > worst.Wait.Observed-*worst.Wait.Predicted) {
			worst = c
		}
		if last := i+1 == len(checks) || checks[i+1].Scenario != c.Scenario; last && worst.Visits > 0 {
			out = append(out, worst.doubt())
			worst = Check{}
		}
	}
	return out
}

// millis writes seconds as milliseconds with three figures that count, or all before the point.
func millis(s float64) string {
	if s >= .9995 {
		return fmt.Sprintf("%.0f", 1e3*s)
	}
	return fmt.Sprintf("%.3g", 1e3*s)
}

func (c Check) doubt() advisor.Finding {
	seen := millis(c.Wait.Observed) + " ms"
	if c.Visits > 1 {
		seen += fmt.Sprintf(" (95 %% interval %s to %s ms over %d visits)", millis(c.Wait.Low), millis(c.Wait.High), c.Visits)
	}
	if c.Unserved > 0 {
		seen += fmt.Sprintf(", and %d requests were not served", c.Unserved)
	}
	chance := ""
	if c.Visits > 1 && c.Wait.Low <= *c.Wait.Predicted {
		chance = " The visits differ so much that this may be chance."
	}
	if c.Typical.Holds() && c.Visits > 2 {
		chance += fmt.Sprintf(" In the typical visit they waited %s ms, and %s ms were predicted: a few visits, in which the server stood still, make the mean.", millis(c.Typical.Observed), millis(*c.Typical.Predicted))
	}
	return advisor.Finding{Code: "prediction", Scenario: c.Scenario,
		Text: fmt.Sprintf("at %.0f requests a second %d connections were predicted to make a caller wait %.3f ms in the mean, and callers waited %s. What held them up is not in the sweep's averages: doubt the pool sizes, which rest on the predicted wait.%s",
			c.Rate, c.PoolSize, 1e3**c.Wait.Predicted, seen, chance),
		Lift: "go by the observed figures; look for checkpoints, locks or other sessions in these visits, and check longer (--budget)"}
}

// Checks holds the open-loop visits of a run against what its sweep predicts for them, at the speed that the server has in
// closed-loop visits between them, in the order of scenario, rate and pool size.
func Checks(doc *rundoc.Document, curves []capacity.Capacity) []Check {
	var out []Check
	for _, c := range curves {
		type key struct {
			pool int
			rate float64
		}
		by := map[key][]rundoc.Visit{}
		var now []rundoc.Visit // in a closed loop
		for _, v := range doc.Visits {
			switch {
			case v.Phase != "C" || v.Scenario != c.Scenario || v.Transactions == 0 || v.Side != "":
			case v.Rate == 0:
				if _, long := doc.Plan.Scope(c.Scenario); !long { // how many end in a window is chance
					now = append(now, v)
				}
			default:
				k := key{v.PoolSize, v.Rate}
				by[k] = append(by[k], v)
			}
		}
		keys := make([]key, 0, len(by))
		for k := range by {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(a, b key) int {
			if a.rate != b.rate {
				return int(math.Copysign(1, a.rate-b.rate))
			}
			return a.pool - b.pool
		})
		c, speed := c.Since(now)
		for _, k := range keys {
			out = append(out, check(c, speed, k.pool, k.rate, by[k]))
		}
	}
	return out
}

func check(c capacity.Capacity, speed float64, pool int, rate float64, visits []rundoc.Visit) Check {
	a := server{curve: c, slow: 1, processes: 1}.answer(rate, pool)
	out := Check{Scenario: c.Scenario, Speed: speed, PoolSize: pool, Rate: rate, Visits: len(visits), Used: rate / c.Throughput(float64(pool)), Unsteady: a.held.Mean}
	var waits, p50, p99 []float64
	for _, v := range visits {
		wait, count := 0.0, 0.0
		all := hdrhistogram.New(engine.HistMin, engine.HistMax, engine.HistDigits)
		for _, o := range v.Ops {
			wait, count = wait+o.MeanWait*float64(o.Count), count+float64(o.Count)
			if h, err := hdrhistogram.Decode([]byte(o.Latency)); err == nil {
				all.Merge(h)
			}
		}
		if count > 0 {
			waits = append(waits, wait/count)
		}
		p50 = append(p50, float64(all.ValueAtQuantile(50))/1e6)
		if all.TotalCount() >= capacity.LeastForP99 {
			p99 = append(p99, float64(all.ValueAtQuantile(99))/1e6)
		}
		out.Unserved += v.Dropped
		out.LagP99 = math.Max(out.LagP99, v.Client.LagP99)
	}
	out.Typical = typical(a.queue.Mean, c.UnsteadyEach(rate, float64(pool), float64(pool)-a.busy), waits)
	out.Wait, out.P50, out.P99 = compared(a.wait, waits), compared(a.quantile(.5), p50), compared(a.quantile(.99), p99)
	return out
}

// typical holds the median over the visits that were replayed, beside the wait in a steady server, against that over visits.
func typical(steady float64, replayed, observed []float64) Compared {
	var c Compared
	c.Observed, c.Low, c.High = capacity.Median(slices.Clone(observed))
	if math.IsInf(steady, 0) {
		return c
	}
	backlog, _, _ := capacity.Median(replayed)
	predicted := steady + backlog
	c.Predicted = &predicted
	if c.Observed > 0 {
		e := predicted/c.Observed - 1
		c.Error = &e
	}
	return c
}

func compared(predicted float64, observed []float64) Compared {
	c := Compared{}
	if !math.IsInf(predicted, 0) {
		c.Predicted = &predicted
	}
	if len(observed) == 0 {
		return c
	}
	mean, sd := stat.MeanStdDev(observed, nil)
	c.Observed, c.Low, c.High = mean, mean, mean
	if n := float64(len(observed)); n > 1 {
		t := distuv.StudentsT{Sigma: 1, Nu: n - 1}
		half := t.Quantile(.975) * sd / math.Sqrt(n)
		c.Low, c.High = math.Max(0, mean-half), mean+half
	}
	if c.Predicted != nil && mean > 0 {
		e := predicted/mean - 1
		c.Error = &e
	}
	return c
}
