package usl

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// FitLog is the least squares of ln X, from the exact answer of Fit on by Gauss-Newton steps, with the same rule for
// coefficients at their bound. On data that follow the law the two agree within 1 %; where the law misses, FitLog weighs a
// miss upwards and one downwards alike, which a comparison of rival shapes needs.
func FitLog(points []Point) (Model, error) {
	start, err := Fit(points)
	if err != nil {
		return start, err
	}
	best, bestSSE := start, SSE(points, start)
	for _, cols := range [][]int{{0, 1, 2}, {0, 1}, {0, 2}, {0}} {
		m, ok := newton(points, start, cols)
		if sse := SSE(points, m); ok && sse < bestSSE {
			best, bestSSE = m, sse
			if len(cols) == 3 {
				break
			}
		}
	}
	return best, nil
}

// SSE is the sum of the squared residuals of ln X.
func SSE(points []Point, m Model) float64 {
	sum := 0.0
	for _, p := range points {
		d := math.Log(p.X) - math.Log(m.Throughput(p.N))
		sum += d * d
	}
	return sum
}

// Free is the number of coefficients that are not at their bound, the rate included.
func (m Model) Free() int {
	n := 1
	if m.Sigma > 0 {
		n++
	}
	if m.Kappa > 0 {
		n++
	}
	return n
}

// newton improves the coefficients named, the others held at 0. False when one of them leaves its range.
func newton(points []Point, start Model, cols []int) (Model, bool) {
	all := [3]float64{1 / start.Lambda, start.Sigma / start.Lambda, start.Kappa / start.Lambda}
	var t [3]float64 // N/X = t0 + t1 (N-1) + t2 N(N-1)
	for _, c := range cols {
		t[c] = all[c]
	}
	model := func(t [3]float64) Model { return Model{Lambda: 1 / t[0], Sigma: t[1] / t[0], Kappa: t[2] / t[0]} }
	sse := func(t [3]float64) float64 {
		if v := SSE(points, model(t)); t[0] > 0 && !math.IsNaN(v) {
			return v
		}
		return math.Inf(1)
	}
	now := sse(t)
	for range 50 {
		d, ok := step(points, t, cols)
		if !ok {
			return Model{}, false
		}
		next, after := t, math.Inf(1)
		for half := 1.0; half > 1e-4 && !(after < now); half /= 2 {
			for j, c := range cols {
				next[c] = t[c] + half*d[j]
			}
			after = sse(next)
		}
		if !(after < now) {
			break
		}
		done := now-after <= 1e-14*now
		if t, now = next, after; done {
			break
		}
	}
	return model(t), t[0] > 0 && t[1] >= 0 && t[2] >= 0
}

// step is the Gauss-Newton step of the residuals ln X + ln((t0 + t1 (N-1) + t2 N(N-1)) / N).
func step(points []Point, t [3]float64, cols []int) ([]float64, bool) {
	a, b := mat.NewDense(len(points), len(cols), nil), mat.NewVecDense(len(points), nil)
	scale := make([]float64, len(cols)) // columns of the same length, for the solver's sake
	for i, p := range points {
		row := [3]float64{1, p.N - 1, p.N * (p.N - 1)}
		latency := t[0]*row[0] + t[1]*row[1] + t[2]*row[2]
		for j, c := range cols {
			a.Set(i, j, row[c]/latency)
			scale[j] = math.Max(scale[j], math.Abs(row[c]/latency))
		}
		b.SetVec(i, -math.Log(p.X*latency/p.N))
	}
	for j := range cols {
		if !(scale[j] > 0) || math.IsInf(scale[j], 0) {
			return nil, false
		}
		for i := range points {
			a.Set(i, j, a.At(i, j)/scale[j])
		}
	}
	var x mat.VecDense
	if x.SolveVec(a, b) != nil {
		return nil, false
	}
	d := make([]float64, len(cols))
	for j := range d {
		d[j] = x.AtVec(j) / scale[j]
	}
	return d, true
}
