// Package usl is the Universal Scalability Law: X(N) = λN / (1 + σ(N-1) + κN(N-1)) (Gunther, Guerrilla Capacity Planning,
// 2007). It fits the law to measured throughput and gives its knees in closed form. It does not decide on a pool size.
package usl

import "math"

// Model is one law: Lambda the rate of one client (1/s), Sigma contention (0..1), Kappa coherency (>= 0).
type Model struct {
	Lambda float64 `json:"lambda_per_second"`
	Sigma  float64 `json:"sigma"`
	Kappa  float64 `json:"kappa"`
}

// Throughput is X(n) in 1/s with n clients busy.
func (m Model) Throughput(n float64) float64 { return m.Lambda * n / m.slowdown(n) }

// Latency predicts R(n) = n/X(n), the mean response time in seconds with n clients that do not think.
func (m Model) Latency(n float64) float64 { return m.slowdown(n) / m.Lambda }

func (m Model) slowdown(n float64) float64 { return 1 + m.Sigma*(n-1) + m.Kappa*n*(n-1) }

// Knee is the n at which one per cent more clients buy e per cent more throughput: the root of
// dlnX/dlnN = e. e = 0 is the peak, e = 1/2 Kleinrock's power knee. +Inf when there is none.
func (m Model) Knee(e float64) float64 {
	s, k := m.Sigma, m.Kappa
	switch {
	case s >= 1:
		return 0 // throughput falls from the first client on
	case k > 0:
		b := e * (s - k)
		return (-b + math.Sqrt(b*b+4*k*(1+e)*(1-e)*(1-s))) / (2 * k * (1 + e))
	case s > 0 && e > 0:
		return (1 - e) * (1 - s) / (e * s)
	}
	return math.Inf(1)
}

// Peak is the n of the highest throughput, +Inf when kappa is 0.
func (m Model) Peak() float64 { return m.Knee(0) }

// Demand is the smallest n with X(n) >= rate: the smaller root of κrN² + (σr - κr - λ)N + r(1-σ) = 0. False when the law
// never reaches the rate.
func (m Model) Demand(rate float64) (float64, bool) {
	a, b, c := m.Kappa*rate, m.Sigma*rate-m.Kappa*rate-m.Lambda, rate*(1-m.Sigma)
	if a == 0 {
		if b >= 0 {
			return 0, false
		}
		return -c / b, true
	}
	d := b*b - 4*a*c
	if d < 0 || b >= 0 {
		return 0, false
	}
	return 2 * c / (-b + math.Sqrt(d)), true // the stable form of the smaller root
}
