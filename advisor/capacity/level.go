package capacity

import (
	"maps"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"pgfit/advisor/usl"
	"pgfit/workload/rundoc"
)

// The least numbers of operations for a percentile whose 95 % interval is two-sided, from order statistics.
const (
	leastForP95 = 72
	LeastForP99 = 368
	// LeastForP999 is that of the 99.9th percentile.
	LeastForP999 = 3688
)

// leastForEffects is how many pool sizes a round needs for its effect to be told from theirs.
const leastForEffects = 3

// level sums up the visits of one pool size, but for their latencies. The interval is that of the throughput with the round
// effects removed: what a whole round was faster or slower says nothing about a pool size.
func level(pool int, visits []rundoc.Visit, effects map[int]float64) Level {
	l := Level{Pool: pool, Visits: len(visits)}
	logs := make([]float64, len(visits))
	var n, service, wait, wal, seconds float64
	for i, v := range visits {
		logs[i] = math.Log(v.TPS) - effects[v.Round]
		l.Failed += v.Failed
		l.ClientCPU += v.Client.CPUShare / float64(len(visits))
		l.Busy += v.MeanBusy / float64(len(visits))
		wal, seconds = wal+math.Max(0, float64(v.Server.WALBytes)), seconds+v.Seconds
		for _, o := range v.Ops {
			k := float64(o.Count)
			n, service, wait = n+k, service+k*o.MeanService, wait+k*o.MeanWait
		}
		for _, m := range v.Marks {
			if !slices.Contains(l.Marks, m.Code) {
				l.Marks = append(l.Marks, m.Code)
			}
		}
	}
	slices.Sort(l.Marks)
	if n > 0 {
		l.Service, l.Wait = service/n, wait/n
	}
	l.WALRate = wal / seconds
	absolute := make([]float64, len(visits))
	for i, v := range visits {
		absolute[i] = math.Log(v.TPS)
	}
	_, wide := interval(absolute)
	mean, half := interval(logs)
	l.Absolute = around(mean, wide)
	l.TPS, l.TPSInterval = exp(mean), around(mean, half)
	return l
}

// latencies fills in what the histograms of a level's visits say, which are merged, never percentiles averaged. That takes most
// of the time that it takes to read a run.
func (l *Level) latencies(visits []rundoc.Visit) {
	hists := histograms(visits)
	hist := merged(hists)
	l.Times = serviceTimes(hist)
	l.P50, l.P50Interval = float64(hist.ValueAtQuantile(50))/1e6, quantileInterval(hists, .5)
	if hist.TotalCount() >= leastForP95 {
		l.P95, l.P95Interval = float64(hist.ValueAtQuantile(95))/1e6, quantileInterval(hists, .95)
	}
	if hist.TotalCount() >= LeastForP99 {
		l.P99 = float64(hist.ValueAtQuantile(99)) / 1e6
		l.P99Interval = quantileInterval(hists, .99)
	}
}

// exp is eˣ, kept finite and above 0.
func exp(x float64) float64 { return math.Exp(math.Min(math.Max(x, -700), 700)) }

// Shares are the shares of the operations up to which Level.Times says how long they took.
var Shares = []float64{.05, .10, .15, .20, .25, .30, .35, .40, .45, .50, .55, .60, .65, .70, .75, .80, .85, .90, .92, .94, .95, .96, .97, .98, .985, .99,
	.9925, .995, .9975, .999, .9995, 1}

// serviceTimes are the service times in seconds at Shares, nil without operations.
func serviceTimes(h *hdrhistogram.Histogram) []float64 {
	if h.TotalCount() == 0 {
		return nil
	}
	percent := make([]float64, len(Shares))
	for i, s := range Shares {
		percent[i] = 100 * s
	}
	at := h.ValueAtPercentiles(percent)
	out := make([]float64, len(Shares))
	for i, p := range percent {
		out[i] = float64(at[p]) / 1e6
	}
	return out
}

// Within is the service time in seconds that a share of the operations stays below; share is one of Shares. 0 where nothing
// is known.
func (l Level) Within(share float64) float64 {
	i := slices.Index(Shares, share)
	if i < 0 || i >= len(l.Times) {
		return 0
	}
	return l.Times[i]
}

// roundEffects is how much each round lies above or below the mean of ln X, over the pool sizes that every round has.
func roundEffects(visits []rundoc.Visit) map[int]float64 {
	means := roundMeans(visits)
	effects := map[int]float64{}
	if len(means) == 0 {
		return effects
	}
	all := 0.0
	rounds := slices.Sorted(maps.Keys(means))
	for _, r := range rounds {
		all += means[r] / float64(len(means))
	}
	for _, r := range rounds {
		effects[r] = means[r] - all
	}
	return effects
}

// roundMeans is the mean of ln X of each round, over the pool sizes that every round has; nil when there is none. A round that
// was interrupted after a visit or two has no mean, and leaves the others theirs.
func roundMeans(visits []rundoc.Visit) map[int]float64 {
	rounds, at := map[int]int{}, map[int]int{}
	for _, v := range visits {
		rounds[v.Round]++
	}
	maps.DeleteFunc(rounds, func(_, visits int) bool { return visits < leastForEffects })
	for _, v := range visits {
		if rounds[v.Round] > 0 {
			at[v.PoolSize]++
		}
	}
	sum, n := map[int]float64{}, map[int]float64{}
	for _, v := range visits {
		if rounds[v.Round] > 0 && at[v.PoolSize] == len(rounds) {
			sum[v.Round] += math.Log(v.TPS)
			n[v.Round]++
		}
	}
	for _, k := range n {
		if k < leastForEffects {
			return nil
		}
	}
	if len(n) < len(rounds) {
		return nil
	}
	for r := range sum {
		sum[r] /= n[r]
	}
	return sum
}

// widest is the half-width of an interval, as a share, beyond which it is as good as none: figures that differ by more tell
// of their scatter alone.
const widest = 1.0

// around is the interval of a mean of logarithms; zero, not known, where it would be wider than widest.
func around(mean, half float64) usl.Interval {
	if half > math.Log1p(widest) {
		return usl.Interval{}
	}
	return usl.Interval{Low: exp(mean - half), High: exp(mean + half)}
}

// interval is the mean and the half-width of its 95 % t interval; +Inf for a single value, which has none.
func interval(v []float64) (mean, half float64) {
	if len(v) < 2 {
		return stat.Mean(v, nil), math.Inf(1)
	}
	mean, sd := stat.MeanStdDev(v, nil)
	n := float64(len(v))
	return mean, distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975) * sd / math.Sqrt(n)
}

// lowerBound is the one-sided lower bound at alpha of the ratio of throughput a to b, paired by round; 0 when there are
// fewer than two pairs.
func lowerBound(a, b []rundoc.Visit, alpha float64) float64 {
	logs := pairs(a, b)
	if len(logs) < 2 {
		return 0
	}
	mean, sd := stat.MeanStdDev(logs, nil)
	n := float64(len(logs))
	return math.Exp(mean - distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(1-alpha)*sd/math.Sqrt(n))
}
