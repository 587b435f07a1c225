package capacity

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"pgfit/advisor/queue"
	"pgfit/advisor/usl"
)

// within is a curve's points with what they say about themselves: the mean of ln X of each level and the scatter about it.
type within struct {
	points []usl.Point
	levels []queue.Level // sorted by N
	ss     float64       // sum of squares of ln X about the levels' means
	lost   int           // degrees of freedom that the round effects took
}

func newWithin(points []usl.Point, lost int) within {
	w := within{points: points, lost: lost}
	for _, p := range points {
		i, found := slices.BinarySearchFunc(w.levels, p.N, func(l queue.Level, n float64) int { return cmp.Compare(l.N, n) })
		if !found {
			w.levels = slices.Insert(w.levels, i, queue.Level{N: p.N})
		}
		l := &w.levels[i]
		l.Weight++
		d := math.Log(p.X) - l.LogX
		l.LogX += d / l.Weight
		w.ss += d * (math.Log(p.X) - l.LogX)
	}
	return w
}

// aicc is Akaike's criterion with the correction for few points, k parameters, the noise among them; +Inf when there are too few.
func (w within) aicc(sse float64, k int) float64 {
	n, p := float64(len(w.points)), float64(k)
	if n-p-1 <= 0 {
		return far
	}
	return n*math.Log(math.Max(sse/n, 1e-18)) + 2*p + 2*p*(p+1)/(n-p-1)
}

// df is how many degrees of freedom the scatter about the levels' means has; below 1 there is no telling it.
func (w within) df() float64 { return float64(len(w.points) - len(w.levels) - w.lost) }

// halfWidth is that of the 95 % interval of a level's mean, as a share, from the scatter of all levels and their mean number of
// points; 0 without scatter to tell it from.
func (w within) halfWidth() float64 {
	df := w.df()
	if df < 1 {
		return 0
	}
	each := float64(len(w.points)) / float64(len(w.levels))
	return math.Expm1(distuv.StudentsT{Sigma: 1, Nu: df}.Quantile(.975) * math.Sqrt(w.ss/df/each))
}

// worst is the largest relative miss of a level's mean.
func (w within) worst(x func(float64) float64) float64 {
	worst := 0.0
	for _, l := range w.levels {
		worst = math.Max(worst, math.Abs(x(l.N)/math.Exp(l.LogX)-1))
	}
	return worst
}

// lackOfFit is the p-value of the F test of a law with p parameters: how far the levels' means lie from it against how far
// the visits lie from the means. Nil when the visits leave fewer than 3 degrees of freedom to say.
func (w within) lackOfFit(x func(float64) float64, p int) *float64 {
	about, df := len(w.levels)-p, w.df()
	if about < 1 || df < 3 {
		return nil
	}
	ss := 0.0
	for _, l := range w.levels {
		d := l.LogX - math.Log(x(l.N))
		ss += l.Weight * d * d
	}
	f := ss / float64(about) / math.Max(w.ss/df, 1e-18)
	value := distuv.F{D1: float64(about), D2: df}.Survival(f)
	return &value
}

// bootstrap resamples scaled residuals of the queue and refits it from where it stands; the intervals are those of the two
// figures that stat takes of it.
func (w within) bootstrap(s queue.Server, seed uint64, stat func(queue.Server) (float64, float64)) (a, b usl.Interval) {
	e := make([]float64, len(w.points))
	at := make([]int, len(w.points))
	fitted := make([]float64, len(w.levels))
	for i, l := range w.levels {
		fitted[i] = math.Log(s.Throughput(l.N))
	}
	mean := 0.0
	for i, p := range w.points {
		at[i] = slices.IndexFunc(w.levels, func(l queue.Level) bool { return l.N == p.N })
		e[i] = math.Log(p.X) - fitted[at[i]]
		mean += e[i] / float64(len(e))
	}
	scale := math.Sqrt(float64(len(e)) / float64(max(1, len(e)-4-w.lost)))
	rng := rand.New(rand.NewPCG(seed, 0x7175657565))
	var as, bs []float64
	again := slices.Clone(w.levels)
	for range queueDraws {
		for i := range again {
			again[i].LogX = fitted[i]
		}
		for i := range e {
			l := &again[at[i]]
			l.LogX += scale * (e[rng.IntN(len(e))] - mean) / l.Weight
		}
		x, y := stat(queue.Refit(again, s, refitReach))
		as, bs = append(as, x), append(bs, y)
	}
	return usl.Percentiles(as), usl.Percentiles(bs)
}
