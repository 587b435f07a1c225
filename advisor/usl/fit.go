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

// face is a set of directions in the space of (a, b, c), the coefficients of N/X on 1, N-1 and N(N-1): λ = 1/a, σ = b/a,
// κ = c/a. With all three the coefficients are free; the others hold some at a bound: κ = 0, σ = 0 or σ = 1.
type face [][3]float64

var faces = []face{
	{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	{{1, 0, 0}, {0, 1, 0}}, {{1, 0, 0}, {0, 0, 1}}, {{1, 1, 0}, {0, 0, 1}},
	{{1, 0, 0}}, {{1, 1, 0}},
}

// sum is the point of a face with the given coordinates.
func (f face) sum(v []float64) (t [3]float64) {
	for j, d := range f {
		for k := range t {
			t[k] += v[j] * d[k]
		}
	}
	return t
}

// row is what each direction adds to N/X.
func (f face) row(n float64) []float64 {
	out := make([]float64, len(f))
	for j, d := range f {
		out[j] = d[0] + d[1]*(n-1) + d[2]*n*(n-1)
	}
	return out
}

func model(t [3]float64) Model {
	return Model{Lambda: 1 / t[0], Sigma: t[1] / t[0], Kappa: t[2] / t[0]}
}

// allowed tells whether the coefficients are in their ranges: λ > 0, 0 <= σ <= 1, κ >= 0.
func allowed(t [3]float64) bool {
	return t[0] > 0 && t[1] >= 0 && t[2] >= 0 && t[1] <= t[0]*(1+1e-12)
}

// Fit is the exact weighted least squares of N/X on 1, N-1, N(N-1) with coefficients in their ranges and weights (X/N)²: the
// error of benchmarks is multiplicative. There are no start values and no iteration.
func Fit(points []Point) (Model, error) {
	for _, p := range points {
		if !(p.N >= 1) || !(p.X > 0) || math.IsInf(p.X, 0) || math.IsInf(p.N, 0) {
			return Model{}, fmt.Errorf("%w: N = %g, X = %g: want N of at least 1 and X above 0", ErrData, p.N, p.X)
		}
	}
	best, bestSSE := [3]float64{}, math.Inf(1)
	for _, f := range faces {
		t, sse, ok := solve(points, f)
		if ok && allowed(t) && sse < bestSSE*(1-1e-12) {
			best, bestSSE = t, sse
			if len(f) == 3 {
				break
			}
		}
	}
	m := model(best)
	if !(best[0] > 0) || math.IsInf(m.Lambda, 0) || math.IsInf(m.Sigma, 0) || math.IsInf(m.Kappa, 0) {
		return Model{}, ErrData
	}
	return m, nil
}

// solve fits on a face and gives the sum of the squared relative residuals.
func solve(points []Point, f face) (t [3]float64, sse float64, ok bool) {
	rows := make([][]float64, len(points))
	right := make([]float64, len(points))
	for i, p := range points {
		rows[i], right[i] = f.row(p.N), 1
		for j := range rows[i] {
			rows[i][j] *= p.X / p.N
		}
	}
	v, sse, ok := least(rows, right, len(f))
	if !ok {
		return t, 0, false
	}
	return f.sum(v), sse, true
}

// least is linear least squares, with columns brought to the same length for the solver's sake.
func least(rows [][]float64, right []float64, k int) (v []float64, sse float64, ok bool) {
	scale := make([]float64, k)
	for _, row := range rows {
		for j, x := range row {
			scale[j] = math.Max(scale[j], math.Abs(x))
		}
	}
	a, b := mat.NewDense(len(rows), k, nil), mat.NewVecDense(len(rows), right)
	for j := range k {
		if !(scale[j] > 0) || math.IsInf(scale[j], 0) {
			return nil, 0, false
		}
		for i := range rows {
			a.Set(i, j, rows[i][j]/scale[j])
		}
	}
	var x, res mat.VecDense
	if len(rows) < k || x.SolveVec(a, b) != nil {
		return nil, 0, false
	}
	res.MulVec(a, &x)
	res.SubVec(&res, b)
	v = make([]float64, k)
	for j := range v {
		v[j] = x.AtVec(j) / scale[j]
	}
	return v, mat.Dot(&res, &res), true
}

// FitPlain is plain least squares on X, as R's usl and codahale/usl do it: for comparison with published figures.
func FitPlain(points []Point) (Model, error) {
	start, err := Fit(points)
	if err != nil {
		return start, err
	}
	sse := func(v []float64) float64 {
		return plainSquares(points, Model{Lambda: math.Exp(v[0]), Sigma: v[1] * v[1], Kappa: v[2] * v[2]})
	}
	x := []float64{math.Log(start.Lambda), math.Sqrt(start.Sigma), math.Sqrt(max(start.Kappa, 1e-9))}
	for range 5 {
		r, err := optimize.Minimize(optimize.Problem{Func: sse}, x, &optimize.Settings{Converger: &optimize.FunctionConverge{Absolute: 1e-13, Relative: 1e-14, Iterations: 400}, MajorIterations: 20000}, &optimize.NelderMead{})
		if err != nil || r == nil {
			break
		}
		x = r.X
	}
	return polished(points, Model{Lambda: math.Exp(x[0]), Sigma: x[1] * x[1], Kappa: x[2] * x[2]}), nil
}

// polished takes Gauss-Newton steps on X from a model that is almost the least squares' already, with coefficients at their bound
// held there: the simplex ends where the sum of squares no longer changes, which is the square root of its last digit away.
func polished(points []Point, m Model) Model {
	const bound = 1e-8
	now := plainSquares(points, m)
	for range 20 {
		rows, right, k := make([][]float64, len(points)), make([]float64, len(points)), 1
		for i, p := range points {
			x, d := m.Throughput(p.N), m.slowdown(p.N)
			rows[i], right[i] = []float64{x / m.Lambda}, p.X-x
			if m.Sigma > bound {
				rows[i] = append(rows[i], -x/d*(p.N-1))
			}
			if m.Kappa > bound {
				rows[i] = append(rows[i], -x/d*p.N*(p.N-1))
			}
			k = len(rows[i])
		}
		step, _, ok := least(rows, right, k)
		if !ok {
			return m
		}
		next := m
		next.Lambda += step[0]
		if j := 1; k > 1 {
			if m.Sigma > bound {
				next.Sigma, j = m.Sigma+step[j], j+1
			}
			if m.Kappa > bound {
				next.Kappa = m.Kappa + step[j]
			}
		}
		sse := plainSquares(points, next)
		if !(sse < now) || next.Lambda <= 0 || next.Sigma < 0 || next.Kappa < 0 {
			return m
		}
		m, now = next, sse
	}
	return m
}

// plainSquares is the sum of the squared residuals of X.
func plainSquares(points []Point, m Model) float64 {
	sum := 0.0
	for _, p := range points {
		d := p.X - m.Throughput(p.N)
		sum += d * d
	}
	return sum
}

// Interval is a percentile interval.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Bootstrap resamples scaled residuals with the round effects removed and refits with fit; stat is any figure of the model.
// The interval holds 95 %.
func Bootstrap(points []Point, m Model, fit func([]Point) (Model, error), draws int, seed uint64, stats ...func(Model) float64) []Interval {
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
		if f, err := fit(again); err == nil {
			for j, s := range stats {
				values[j] = append(values[j], s(f))
			}
		}
	}
	out := make([]Interval, len(stats))
	for j, v := range values {
		out[j] = Percentiles(v)
	}
	return out
}

// Percentiles is the interval that holds the middle 95 % of the values, which it sorts. NaN without values.
func Percentiles(v []float64) Interval {
	if len(v) == 0 {
		return Interval{math.NaN(), math.NaN()}
	}
	sort.Float64s(v)
	return Interval{v[int(0.025*float64(len(v)))], v[min(len(v)-1, int(0.975*float64(len(v))))]}
}
