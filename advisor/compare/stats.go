package compare

import (
	"math"
	"math/bits"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// estimate is a difference of logarithms with what is known of its error.
type estimate struct {
	diff, se, df float64
	signFlip     *float64 // the exact p-value of paired differences, for 6 to 12 pairs
	pairs        int
}

// paired compares numbers of the same round: the mean of their differences, with a t interval.
func paired(a, b []float64) (estimate, bool) {
	if len(a) != len(b) || len(a) < 2 {
		return estimate{}, false
	}
	d := make([]float64, len(a))
	for i := range a {
		d[i] = b[i] - a[i]
	}
	mean, sd := stat.MeanStdDev(d, nil)
	n := float64(len(d))
	return estimate{diff: mean, se: sd / math.Sqrt(n), df: n - 1, signFlip: signFlip(d), pairs: len(d)}, true
}

// unpaired compares independent rounds, with Welch's interval.
func unpaired(a, b []float64) (estimate, bool) {
	if len(a) < 2 || len(b) < 2 {
		return estimate{}, false
	}
	ma, va := stat.MeanVariance(a, nil)
	mb, vb := stat.MeanVariance(b, nil)
	na, nb := float64(len(a)), float64(len(b))
	sa, sb := va/na, vb/nb
	e := estimate{diff: mb - ma, se: math.Sqrt(sa + sb), df: math.Min(na, nb) - 1}
	if s := sa*sa/(na-1) + sb*sb/(nb-1); s > 0 {
		e.df = (sa + sb) * (sa + sb) / s
	}
	return e, true
}

// interval is the two-sided interval of the ratio at level alpha.
func (e estimate) interval(alpha float64) (low, high float64) {
	half := e.t(1-alpha/2) * e.se
	return math.Exp(e.diff - half), math.Exp(e.diff + half)
}

// bound is the one-sided bound of the ratio at level alpha: the upper one, or the lower one.
func (e estimate) bound(alpha float64, upper bool) float64 {
	half := e.t(1-alpha) * e.se
	if upper {
		return math.Exp(e.diff + half)
	}
	return math.Exp(e.diff - half)
}

func (e estimate) t(q float64) float64 { return distuv.StudentsT{Sigma: 1, Nu: e.df}.Quantile(q) }

// p is the two-sided p-value of no difference.
func (e estimate) p() float64 {
	if e.se == 0 {
		if e.diff == 0 {
			return 1
		}
		return 0
	}
	return 2 * distuv.StudentsT{Sigma: 1, Nu: e.df}.Survival(math.Abs(e.diff)/e.se)
}

// detectable is the share by which the ratio would have to differ from 1 to be seen four times in five, at level alpha.
func (e estimate) detectable(alpha float64) float64 {
	return math.Exp((e.t(1-alpha/2)+e.t(.8))*e.se) - 1
}

// Bounds of the exact test: with fewer pairs p < 0.05 cannot occur, with more it takes too long.
const leastFlips, mostFlips = 6, 12

// signFlip is the exact p-value of the hypothesis that each difference might as well have the other sign.
func signFlip(d []float64) *float64 {
	if len(d) < leastFlips || len(d) > mostFlips {
		return nil
	}
	sum := 0.0
	for _, v := range d {
		sum += v
	}
	observed, extreme := math.Abs(sum)*(1-1e-12), 0
	total := 1 << len(d)
	// Gray's code: each step changes one sign.
	now := sum
	sign := make([]float64, len(d))
	for i := range sign {
		sign[i] = 1
	}
	for i := 1; ; i++ {
		if math.Abs(now) >= observed {
			extreme++
		}
		if i == total {
			break
		}
		j := bits.TrailingZeros(uint(i))
		now -= 2 * sign[j] * d[j]
		sign[j] = -sign[j]
	}
	p := float64(extreme) / float64(total)
	return &p
}

// holm adjusts p-values so that any of them is below 0.05 by chance in at most 5 % of all comparisons (Holm 1979).
func holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return 0
	})
	out, before := make([]float64, len(p)), 0.0
	for rank, i := range order {
		before = math.Max(before, math.Min(1, p[i]*float64(len(p)-rank)))
		out[i] = before
	}
	return out
}
