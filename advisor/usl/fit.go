package usl

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
)

// Point is one measured throughput X (1/s) at N clients, in one round.
type Point struct {
	N, X  float64
	Round int
}

// ErrData is wrapped by every refusal to fit.
var ErrData = errors.New("the law cannot be fitted")

// Fit is the exact weighted least squares of N/X on 1, N-1, N(N-1) with non-negative coefficients and weights (X/N)²: the
// error of benchmarks is multiplicative. There are no start values and no iteration.
func Fit(points []Point) (Model, error) {
	nmax := 0.0
	for _, p := range points {
		if !(p.N >= 1) || !(p.X > 0) || math.IsInf(p.X, 0) || math.IsInf(p.N, 0) {
			return Model{}, fmt.Errorf("%w: N = %g, X = %g: want N of at least 1 and X above 0", ErrData, p.N, p.X)
		}
		nmax = max(nmax, p.N)
	}
	best, bestSSE := []float64(nil), math.Inf(1)
	for _, cols := range [][]int{{0, 1, 2}, {0, 1}, {0, 2}, {0}} {
		t, sse, ok := solve(points, cols, nmax)
		if ok && sse < bestSSE*(1-1e-12) {
			best, bestSSE = t, sse
			if len(cols) == 3 {
				break
			}
		}
	}
	if best == nil || best[0] <= 0 {
		return Model{}, ErrData
	}
	return Model{Lambda: 1 / best[0], Sigma: best[1] / best[0], Kappa: best[2] / best[0]}, nil
}

// solve fits the columns named and tells whether all coefficients are allowed.
func solve(points []Point, cols []int, nmax float64) ([]float64, float64, bool) {
	scale := []float64{1, 1 / nmax, 1 / (nmax * nmax)}
	a, b := mat.NewDense(len(points), len(cols), nil), mat.NewVecDense(len(points), nil)
	for i, p := range points {
		row := []float64{1, p.N - 1, p.N * (p.N - 1)}
		for j, c := range cols {
			a.Set(i, j, p.X/p.N*row[c]*scale[c])
		}
		b.SetVec(i, 1)
	}
	var x mat.VecDense
	if x.SolveVec(a, b) != nil {
		return nil, 0, false
	}
	var res mat.VecDense
	res.MulVec(a, &x)
	res.SubVec(&res, b)
	t := make([]float64, 3)
	for j, c := range cols {
		t[c] = x.AtVec(j) * scale[c]
		if t[c] < 0 {
			return nil, 0, false
		}
	}
	return t, mat.Dot(&res, &res), true
}

// FitPlain is plain least squares on X, as R's usl and codahale/usl do it: for comparison with published figures.
func FitPlain(points []Point) (Model, error) {
	start, err := Fit(points)
	if err != nil {
		return start, err
	}
	sse := func(v []float64) float64 {
		m := Model{Lambda: math.Exp(v[0]), Sigma: v[1] * v[1], Kappa: v[2] * v[2]}
		sum := 0.0
		for _, p := range points {
			d := p.X - m.Throughput(p.N)
			sum += d * d
		}
		return sum
	}
	x := []float64{math.Log(start.Lambda), math.Sqrt(start.Sigma), math.Sqrt(max(start.Kappa, 1e-9))}
	for range 5 {
		r, err := optimize.Minimize(optimize.Problem{Func: sse}, x, &optimize.Settings{Converger: &optimize.FunctionConverge{Absolute: 1e-13, Relative: 1e-14, Iterations: 400}, MajorIterations: 20000}, &optimize.NelderMead{})
		if err != nil || r == nil {
			break
		}
		x = r.X
	}
	return Model{Lambda: math.Exp(x[0]), Sigma: x[1] * x[1], Kappa: x[2] * x[2]}, nil
}

// Interval is a percentile interval.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Bootstrap resamples scaled residuals with the round effects removed and refits; stat is any figure of the model. The
// interval holds 95 %.
func Bootstrap(points []Point, m Model, draws int, seed uint64, stats ...func(Model) float64) []Interval {
	byRound := map[int][]int{}
	for i, p := range points {
		byRound[p.Round] = append(byRound[p.Round], i)
	}
	e := make([]float64, len(points))
	for i, p := range points {
		e[i] = math.Log(p.X) - math.Log(m.Throughput(p.N))
	}
	rounds := make([]int, 0, len(byRound))
	for r := range byRound {
		rounds = append(rounds, r)
	}
	sort.Ints(rounds)
	for _, r := range rounds {
		mean := 0.0
		for _, i := range byRound[r] {
			mean += e[i] / float64(len(byRound[r]))
		}
		for _, i := range byRound[r] {
			e[i] -= mean
		}
	}
	df := max(1, len(points)-3-(len(byRound)-1))
	k := math.Sqrt(float64(len(points)) / float64(df))
	rng := rand.New(rand.NewPCG(seed, 0x75736c))
	values := make([][]float64, len(stats))
	again := make([]Point, len(points))
	for range draws {
		for i, p := range points {
			again[i] = p
			again[i].X = math.Exp(math.Log(m.Throughput(p.N)) + k*e[rng.IntN(len(e))])
		}
		if f, err := Fit(again); err == nil {
			for j, s := range stats {
				values[j] = append(values[j], s(f))
			}
		}
	}
	out := make([]Interval, len(stats))
	for j, v := range values {
		if len(v) == 0 {
			out[j] = Interval{math.NaN(), math.NaN()}
			continue
		}
		sort.Float64s(v)
		out[j] = Interval{v[int(0.025*float64(len(v)))], v[min(len(v)-1, int(0.975*float64(len(v))))]}
	}
	return out
}
