package capacity

import (
	"math"
	"slices"

	"pgfit/advisor/queue"
	"pgfit/advisor/usl"
)

// LeftOut says how well throughput at a pool size is predicted that was not measured: each pool size between the smallest
// and the largest is left out in turn and predicted from the others.
type LeftOut struct {
	Levels []Predicted `json:"pool_sizes"`
	Median float64     `json:"median_relative_error"`
	Worst  float64     `json:"worst_relative_error"`
}

// Predicted is one pool size that was left out.
type Predicted struct {
	N         float64 `json:"n"`
	Measured  float64 `json:"measured_tps"`
	Predicted float64 `json:"predicted_tps"`
	Error     float64 `json:"relative_error"`
}

// leftOut leaves out each level in turn; nil when there are fewer than 4. Where no law describes the curve it tries both,
// reading between the levels along the better one and in a straight line, and the fit remembers which missed less: a law that
// is off by a few per cent everywhere still bends as the curve does.
func (f *Fit) leftOut(points []usl.Point, lost int) *LeftOut {
	whole := newWithin(points, lost)
	f.Straight = f.Lacks
	if len(whole.levels) < 4 {
		return nil
	}
	along := f.leaveOut(whole, f.without)
	if !f.Lacks {
		return along
	}
	straight := f.leaveOut(whole, func(within, []queue.Level, float64) func(float64) float64 { return nil })
	if f.Straight = straight.missed() <= along.missed(); f.Straight {
		return straight
	}
	return along
}

// leaveOut predicts each level but the ends from the others, along the law that without gives for them.
func (f *Fit) leaveOut(whole within, without func(within, []queue.Level, float64) func(float64) float64) *LeftOut {
	out := &LeftOut{}
	var errs []float64
	for i := 1; i < len(whole.levels)-1; i++ {
		l := whole.levels[i]
		rest := slices.Delete(slices.Clone(whole.levels), i, i+1)
		x := between(rest, without(whole, rest, l.N), l.N)
		p := Predicted{N: l.N, Measured: math.Exp(l.LogX), Predicted: x, Error: x/math.Exp(l.LogX) - 1}
		out.Levels = append(out.Levels, p)
		errs = append(errs, math.Abs(p.Error))
	}
	slices.Sort(errs)
	out.Median, out.Worst = errs[(len(errs)-1)/2], errs[len(errs)-1]
	if len(errs)%2 == 0 {
		out.Median = (errs[len(errs)/2-1] + errs[len(errs)/2]) / 2
	}
	return out
}

// missed is the sum of the squared errors.
func (l *LeftOut) missed() float64 {
	sum := 0.0
	for _, p := range l.Levels {
		sum += p.Error * p.Error
	}
	return sum
}

// without is the law fitted to all levels but one, nil when it cannot be fitted.
func (f *Fit) without(whole within, rest []queue.Level, n float64) func(float64) float64 {
	if f.Family == FamilyQueue {
		return queue.Refit(rest, *f.Server, 2).Throughput
	}
	var points []usl.Point
	for _, p := range whole.points {
		if p.N != n {
			points = append(points, p)
		}
	}
	m, err := usl.FitLog(points)
	if err != nil {
		return nil
	}
	return m.Throughput
}

// between is X(n) in 1/s, read off the measured levels along a law: at a level it is the level's mean; between two levels
// the law's misses at both are joined by a straight line over ln N, and without a law ln X itself is. Below the first level
// it goes on along the law, without one in proportion to n. Beyond the last it stays there.
func between(levels []queue.Level, law func(float64) float64, n float64) float64 {
	if len(levels) == 0 || n <= 0 {
		return 0
	}
	first, last := levels[0], levels[len(levels)-1]
	ln := func(float64) float64 { return 0 }
	if law != nil {
		ln = func(n float64) float64 { return math.Log(law(n)) }
	}
	switch {
	case n >= last.N:
		return math.Exp(last.LogX)
	case n < 1 && n < first.N:
		return n * between(levels, law, 1)
	case n <= first.N && law == nil:
		return math.Exp(first.LogX) * n / first.N
	case n <= first.N:
		return math.Exp(first.LogX - ln(first.N) + ln(n))
	}
	i := 1
	for levels[i].N < n {
		i++
	}
	a, b := levels[i-1], levels[i]
	share := math.Log(n/a.N) / math.Log(b.N/a.N)
	miss := (1-share)*(a.LogX-ln(a.N)) + share*(b.LogX-ln(b.N))
	return math.Exp(ln(n) + miss)
}
