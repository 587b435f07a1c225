// Package queue says how long callers wait for a connection of a pool, by exact birth-death queues whose service rate
// depends on how many connections are busy. It does not measure and does not decide.
package queue

import (
	"errors"
	"math"
)

// ErrUnstable says that the offered rate is at or above what the pool can carry: the queue would grow without end.
var ErrUnstable = errors.New("the demand is above what the pool carries")

// Wait describes the wait for a connection. Times in seconds.
type Wait struct {
	P    float64 // probability of having to wait
	Mean float64 // over all callers, those who do not wait included
	Busy float64 // mean connections busy
	X    float64 // throughput in 1/s
	// States is the share of time with 0, 1, ... connections busy; with the last of them busy all who wait are counted in.
	States []float64
	// rate is the decay of the tail: P(W > t) = P exp(-rate t).
	rate float64
}

// Beyond is the probability of waiting longer than t seconds.
func (w Wait) Beyond(t float64) float64 {
	if w.P == 0 || t < 0 {
		return w.P
	}
	return w.P * math.Exp(-w.rate*t)
}

// Decay is the rate in 1/s at which Beyond falls; +Inf when nobody waits.
func (w Wait) Decay() float64 {
	if w.rate == 0 {
		return math.Inf(1)
	}
	return w.rate
}

// Quantile is the wait that a share q of the callers stays below, 0 <= q < 1.
func (w Wait) Quantile(q float64) float64 {
	if 1-q >= w.P {
		return 0
	}
	return math.Log(w.P/(1-q)) / w.rate
}

// Open is a pool of c connections under Poisson arrivals at rate per second: p_k ∝ Π rate/X(j) for k <= c, geometric
// beyond (x gives X(j) in 1/s for j busy connections). cv2, the squared coefficient of variation of the hold time,
// stretches the waits by (1+cv2)/2 (Allen-Cunneen; an upper estimate for cv2 > 1). With X(k) = k/q and cv2 = 1 this is
// Erlang's C formula.
func Open(c int, rate float64, x func(n float64) float64, cv2 float64) (Wait, error) {
	top := x(float64(c))
	if c < 1 || !(rate > 0) || !(top > rate) {
		return Wait{P: 1, Mean: math.Inf(1), Busy: float64(max(c, 0)), X: top}, ErrUnstable
	}
	logs := make([]float64, c+1) // ln p_k, up to a constant
	for k := 1; k <= c; k++ {
		logs[k] = logs[k-1] + math.Log(rate/x(float64(k)))
	}
	rho := rate / top
	beyond := logs[c] + math.Log(rho/(1-rho)) // all states above c together
	total := logSum(append(logs[:c+1:c+1], beyond))
	w := Wait{X: rate, rate: (top - rate) * 2 / (1 + cv2)}
	w.States = make([]float64, c+1)
	for k := 0; k <= c; k++ {
		w.States[k] = math.Exp(logs[k] - total)
	}
	w.States[c] += math.Exp(beyond - total)
	for k, p := range w.States {
		w.Busy += float64(k) * p
	}
	pc := math.Exp(logs[c] - total)
	w.P = math.Min(1, pc/(1-rho))
	w.Mean = pc * rho / ((1 - rho) * (1 - rho)) / rate * (1 + cv2) / 2
	return w, nil
}

// Split is one of a number of equal pools of c connections each on one server, under its share of the rate: x is the
// server's throughput with all connections that are busy in all pools. The others are taken to keep their mean number busy.
// A split pool waits more than a shared one of the same total.
func Split(pools, c int, rate float64, x func(n float64) float64, cv2 float64) (Wait, error) {
	if pools <= 1 {
		return Open(c, rate, x, cv2)
	}
	all, err := Open(pools*c, rate, x, cv2)
	if err != nil {
		return all, err
	}
	share := 1 / float64(pools)
	others := all.Busy * (1 - share)
	return Open(c, rate*share, func(n float64) float64 { return x(n+others) * n / (n + others) }, cv2)
}

// Closed is a pool of c connections shared by m callers who think for think seconds between requests: the machine
// repairman's queue. P and Mean are as a caller who asks sees them.
func Closed(c, m int, think float64, x func(n float64) float64) (Wait, error) {
	if c < 1 || m < 1 || !(think > 0) {
		return Wait{}, errors.New("want at least one connection, one caller and a think time above 0")
	}
	logs := make([]float64, m+1)
	for k := 1; k <= m; k++ {
		logs[k] = logs[k-1] + math.Log(float64(m-k+1)/(think*x(float64(min(k, c)))))
	}
	total := logSum(logs)
	var w Wait
	var waiting, asking, blocked float64
	for k := range logs {
		p := math.Exp(logs[k] - total)
		w.Busy += p * float64(min(k, c))
		waiting += p * float64(max(0, k-c))
		asking += p * float64(m-k)
		if k >= c {
			blocked += p * float64(m-k)
		}
		if k > 0 {
			w.X += p * x(float64(min(k, c)))
		}
	}
	w.P, w.Mean = blocked/asking, waiting/w.X
	if w.P > 0 && w.Mean > 0 {
		w.rate = w.P / w.Mean // an exponential tail with that mean
	}
	return w, nil
}

// ClosedSplit is one of a number of equal pools of c connections each on one server, which share m callers evenly: see Closed
// and Split.
func ClosedSplit(pools, c, m int, think float64, x func(n float64) float64) (Wait, error) {
	if pools <= 1 {
		return Closed(c, m, think, x)
	}
	all, err := Closed(pools*c, m, think, x)
	if err != nil {
		return all, err
	}
	others := all.Busy * (1 - 1/float64(pools))
	return Closed(c, (m+pools-1)/pools, think, func(n float64) float64 { return x(n+others) * n / (n + others) })
}

// logSum is ln Σ exp(v), without overflow.
func logSum(v []float64) float64 {
	top := v[0]
	for _, x := range v {
		top = math.Max(top, x)
	}
	sum := 0.0
	for _, x := range v {
		sum += math.Exp(x - top)
	}
	return top + math.Log(sum)
}
