package queue

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"
)

// Level is what was measured with N clients: the mean of ln X and how many visits stand behind it.
type Level struct {
	N      float64
	LogX   float64
	Weight float64
}

// ErrFit says that no queue can be fitted.
var ErrFit = errors.New("the queue cannot be fitted")

// Fit finds the queue with the least weighted squares of ln X: every number of servers from 1 to 16, then in steps of an
// eighth up to the largest N, and for each Nelder-Mead over the logarithms of service, delay and slowdown. It gives the sum
// of squares about the levels' means. Levels must be sorted by N.
func Fit(levels []Level) (Server, float64, error) {
	top := 0.0
	for _, l := range levels {
		if !(l.N >= math.Max(1, top)) || l.N > maxJobs || math.IsNaN(l.LogX) || math.IsInf(l.LogX, 0) || !(l.Weight > 0) {
			return Server{}, 0, ErrFit
		}
		top = math.Max(top, l.N)
	}
	if len(levels) < 2 {
		return Server{}, 0, ErrFit
	}
	var found []candidate
	for _, m := range servers(int(top)) {
		s := search(levels, start(levels, m), roughly)
		found = append(found, candidate{s, squares(levels, s)})
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.sse, b.sse) })
	best := candidate{sse: math.Inf(1)}
	for _, c := range found[:min(len(found), finalists)] {
		if c = refine(levels, c); c.sse < best.sse {
			best = c
		}
	}
	if math.IsInf(best.sse, 1) {
		return Server{}, 0, ErrFit
	}
	return best.Server, best.sse, nil
}

// candidate is a queue and the sum of squares that it leaves.
type candidate struct {
	Server
	sse float64
}

// Every number of servers is searched roughly, the best few to the end. Numbers are evaluations of the sum of squares.
const (
	roughly    = 120
	thoroughly = 400
	finalists  = 3
)

// servers are the numbers of servers to try.
func servers(top int) []int {
	var out []int
	for m := 1; m <= max(1, top); {
		out = append(out, m)
		if m < 16 {
			m++
		} else {
			m = int(math.Round(float64(m) * 1.125))
		}
	}
	return out
}

// start is a guess: the service time from the highest throughput, the delay from the first level, the slowdown from the
// last one.
func start(levels []Level, m int) Server {
	high, last, first := levels[0].LogX, levels[len(levels)-1], levels[0]
	for _, l := range levels {
		high = math.Max(high, l.LogX)
	}
	service := float64(m) / math.Exp(high)
	delay := math.Max(first.N/math.Exp(first.LogX)-service, 0.05*service)
	slow := 1e-4
	if excess := last.N - float64(m); excess > 0 {
		slow = math.Max(slow, (math.Exp(high-last.LogX)-1)/excess)
	}
	return Server{Servers: m, Service: service, Delay: delay, Slowdown: slow}
}

// vector and of turn the parameters into logarithms and back, inside bounds that keep the chain's numbers finite.
func vector(s Server) []float64 {
	return []float64{math.Log(s.Service), math.Log(s.Delay), math.Log(s.Slowdown)}
}

func of(m int, v []float64) Server {
	service := math.Exp(clamp(v[0], -46, 46))
	return Server{Servers: m, Service: service, Delay: math.Max(math.Exp(clamp(v[1], -46, 46)), 1e-9*service), Slowdown: math.Exp(clamp(v[2], -23, 7))}
}

func clamp(v, low, high float64) float64 { return math.Min(math.Max(v, low), high) }

// squares is the weighted sum of the squared residuals of ln X; +Inf where it cannot be told.
func squares(levels []Level, s Server) float64 {
	sum, c := 0.0, s.chain(levels[len(levels)-1].N)
	for _, l := range levels {
		d := l.LogX - math.Log(c.throughput(l.N))
		sum += l.Weight * d * d
	}
	if math.IsNaN(sum) {
		return math.Inf(1)
	}
	return sum
}

// search improves a queue with its number of servers held.
func search(levels []Level, s Server, evaluations int) Server {
	problem := optimize.Problem{Func: func(v []float64) float64 { return squares(levels, of(s.Servers, v)) }}
	settings := &optimize.Settings{
		Converger: &optimize.FunctionConverge{Absolute: 1e-9, Relative: 1e-5, Iterations: 12}, FuncEvaluations: evaluations,
	}
	r, err := optimize.Minimize(problem, vector(s), settings, &optimize.NelderMead{SimplexSize: 0.5})
	if r == nil || err != nil && !(r.F < squares(levels, s)) {
		return s
	}
	return of(s.Servers, r.X)
}

// refine runs the search to its end.
func refine(levels []Level, c candidate) candidate {
	for range 4 {
		next := Refit(levels, search(levels, c.Server, thoroughly), 0)
		sse := squares(levels, next)
		if !(sse < c.sse) {
			break
		}
		done := c.sse-sse <= 1e-7*c.sse
		if c = (candidate{next, sse}); done {
			break
		}
	}
	return c
}
