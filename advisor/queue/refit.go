package queue

import "math"

// Refit improves a queue by Levenberg and Marquardt's method (Marquardt 1963) from where it stands, trying numbers of
// servers up to reach steps away as well. It is what a bootstrap repeats: a hundred times faster than Fit, and as good where
// the data have changed little.
func Refit(levels []Level, s Server, reach int) Server {
	best, least := s, math.Inf(1)
	try := func(m int) {
		if m < 1 {
			return
		}
		from := s
		// As many servers as before carry as much in all.
		from.Servers, from.Service = m, s.Service*float64(m)/float64(s.Servers)
		next := marquardt(levels, from)
		if sse := squares(levels, next); sse < least {
			best, least = next, sse
		}
	}
	try(s.Servers)
	stride := max(1, s.Servers/8)
	for i := 1; i <= reach; i++ {
		try(s.Servers - i*stride)
		try(s.Servers + i*stride)
	}
	return best
}

// marquardt is a damped Gauss-Newton search over the three logarithms, with numeric derivatives.
func marquardt(levels []Level, s Server) Server {
	v := vector(s)
	r, now := residuals(levels, of(s.Servers, v))
	damping := 1e-3
	for range 8 { // from nearby a few steps do; a resample that is still moving then is as good as it gets
		var jac [3][]float64
		for j := range v {
			const h = 1e-5
			moved := append([]float64(nil), v...)
			moved[j] += h
			q, _ := residuals(levels, of(s.Servers, moved))
			for i := range q {
				q[i] = (q[i] - r[i]) / h
			}
			jac[j] = q
		}
		before := now
		for range 6 {
			step, ok := solve3(jac, r, damping)
			if !ok {
				break
			}
			next := []float64{v[0] - step[0], v[1] - step[1], v[2] - step[2]}
			if q, sse := residuals(levels, of(s.Servers, next)); sse < now {
				v, r, now, damping = next, q, sse, damping/10
				break
			}
			damping *= 10
		}
		if before-now <= 1e-4*before {
			break
		}
	}
	return of(s.Servers, v)
}

// residuals are weighted: their squares add up to the sum that is returned.
func residuals(levels []Level, s Server) ([]float64, float64) {
	out, sum, c := make([]float64, len(levels)), 0.0, s.chain(levels[len(levels)-1].N)
	for i, l := range levels {
		out[i] = math.Sqrt(l.Weight) * (math.Log(c.throughput(l.N)) - l.LogX)
		sum += out[i] * out[i]
	}
	if math.IsNaN(sum) {
		sum = math.Inf(1)
	}
	return out, sum
}

// solve3 solves (JᵀJ + damping diag(JᵀJ)) step = Jᵀr by elimination.
func solve3(jac [3][]float64, r []float64, damping float64) (step [3]float64, ok bool) {
	var a [3][4]float64
	for i := range 3 {
		for j := range 3 {
			for k := range r {
				a[i][j] += jac[i][k] * jac[j][k]
			}
		}
		for k := range r {
			a[i][3] += jac[i][k] * r[k]
		}
	}
	for i := range 3 {
		a[i][i] += damping*a[i][i] + 1e-12 // a direction that changes nothing stays where it is
	}
	for i := range 3 {
		for j := i + 1; j < 3; j++ {
			f := a[j][i] / a[i][i]
			for k := i; k < 4; k++ {
				a[j][k] -= f * a[i][k]
			}
		}
	}
	for i := 2; i >= 0; i-- {
		step[i] = a[i][3]
		for j := i + 1; j < 3; j++ {
			step[i] -= a[i][j] * step[j]
		}
		step[i] /= a[i][i]
		if math.IsNaN(step[i]) || math.IsInf(step[i], 0) {
			return step, false
		}
	}
	return step, true
}
