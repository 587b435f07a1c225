package capacity

import (
	"math"
	"sort"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/gonum/stat/distuv"

	"pgfit/advisor/usl"
	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
)

// ranks are the order statistics l and u of n independent values between which the p-quantile lies with at least 95 %:
// P(l <= Bin(n, p) < u), first with at most 2.5 % on each side and then as narrow as 95 % allows. False when n is too small
// for two sides.
func ranks(n int64, p float64) (l, u int64, confidence float64, ok bool) {
	b := distuv.Binomial{N: float64(n), P: p}
	below := func(k int64) float64 { // P(Bin < k)
		if k <= 0 {
			return 0
		}
		return b.CDF(float64(k - 1))
	}
	l = int64(sort.Search(int(n)+1, func(k int) bool { return below(int64(k)) > .025 })) - 1
	u = int64(sort.Search(int(n)+1, func(k int) bool { return 1-below(int64(k)) <= .025 }))
	ok = l >= 1 && u <= n
	for confidence = below(u) - below(l); l < u; {
		low, high := below(l+1)-below(l), below(u)-below(u-1) // what either end would give up
		if confidence-math.Min(low, high) < .95 {
			break
		}
		if confidence -= math.Min(low, high); low <= high {
			l++
		} else {
			u--
		}
	}
	return l, u, confidence, ok
}

// Median is the median of some values, which it sorts, with its 95 % interval from order statistics: the extremes where there are
// too few values for one. Zeros without values.
func Median(v []float64) (median, low, high float64) {
	if len(v) == 0 {
		return 0, 0, 0
	}
	sort.Float64s(v)
	low, high = v[0], v[len(v)-1]
	if l, u, _, ok := ranks(int64(len(v)), .5); ok {
		low, high = v[l-1], v[u-1]
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2, low, high
}

func newHist() *hdrhistogram.Histogram {
	return hdrhistogram.New(engine.HistMin, engine.HistMax, engine.HistDigits)
}

// histograms are those of the service times of some visits, one each: decoding is most of the work, so it is done once.
func histograms(visits []rundoc.Visit) []*hdrhistogram.Histogram {
	out := make([]*hdrhistogram.Histogram, len(visits))
	for i, v := range visits {
		out[i] = newHist()
		for _, o := range v.Ops {
			if h, err := hdrhistogram.Decode([]byte(o.Service)); err == nil {
				out[i].Merge(h)
			}
		}
	}
	return out
}

func merged(hists []*hdrhistogram.Histogram) *hdrhistogram.Histogram {
	all := newHist()
	for _, h := range hists {
		all.Merge(h)
	}
	return all
}

// quantileInterval is the 95 % interval of the p-quantile of the service time, in seconds, from the histograms of visits:
// over rounds by Student's t of its logarithm, of a single visit by order statistics. Zero where a visit has too few
// operations for two sides.
func quantileInterval(hists []*hdrhistogram.Histogram, p float64) usl.Interval {
	var logs []float64
	for _, h := range hists {
		l, u, _, ok := ranks(h.TotalCount(), p)
		if !ok {
			return usl.Interval{}
		}
		if len(hists) == 1 {
			n := float64(h.TotalCount())
			at := func(rank int64) float64 { return float64(h.ValueAtQuantile(100*float64(rank)/n)) / 1e6 }
			return usl.Interval{Low: at(l), High: at(u)}
		}
		logs = append(logs, math.Log(math.Max(float64(h.ValueAtQuantile(100*p)), 1)/1e6))
	}
	if len(logs) < 2 {
		return usl.Interval{}
	}
	mean, half := interval(logs)
	return around(mean, half)
}
