package queue

import "math"

// Server is a closed queue: N clients that do not think share Servers servers of Service seconds each, and spend Delay
// seconds outside them (network, commit) on every round. Each job above the number of servers slows all down by the share
// Slowdown (switches, locks, caches). It is the machine repairman's queue with a service rate that depends on the load; it
// describes what USL cannot: a straight rise up to a hard knee. Servers are a parameter of the curve, no count of processors:
// with a long delay many numbers of servers describe the same curve.
type Server struct {
	Servers  int     `json:"servers"`
	Service  float64 `json:"service_seconds"`
	Delay    float64 `json:"delay_seconds"`
	Slowdown float64 `json:"slowdown"`
}

// maxJobs bounds the number of clients: the exact answer takes as many steps as there are clients.
const maxJobs = 2000

// mu is the service rate in 1/s with k jobs at the servers.
func (s Server) mu(k int) float64 {
	return float64(min(k, s.Servers)) / s.Service / (1 + s.Slowdown*float64(max(0, k-s.Servers)))
}

// Throughput is X(n) in 1/s, n of at least 1; between whole numbers of clients it is read off in logarithms, beyond 2000 it
// stays there.
func (s Server) Throughput(n float64) float64 { return s.chain(n).throughput(n) }

// chain holds what the answers for all numbers of clients up to some top have in common.
type chain struct {
	server Server
	mu     []float64 // service rate with k jobs
	ratio  []float64 // 1/(delay mu), of one state's probability to the one before but for the free clients
}

func (s Server) chain(top float64) chain {
	n := int(math.Ceil(math.Min(math.Max(top, 1), maxJobs)))
	both := make([]float64, 2*(n+1))
	c := chain{server: s, mu: both[:n+1], ratio: both[n+1:]}
	for k := 1; k <= n; k++ {
		c.mu[k] = s.mu(k)
		c.ratio[k] = 1 / (s.Delay * c.mu[k])
	}
	return c
}

func (c chain) throughput(n float64) float64 {
	n = math.Min(n, maxJobs)
	whole := math.Floor(n)
	x := c.at(max(1, int(whole)))
	if n <= 1 || n == whole {
		return x * math.Min(n, 1)
	}
	next := c.at(int(whole) + 1)
	return x * math.Exp(math.Log(next/x)*math.Log(n/whole)/math.Log((whole+1)/whole))
}

// at solves the birth-death chain of n clients: p_k = p_{k-1} (n-k+1) / (Delay mu(k)), X = Σ p_k mu(k).
func (c chain) at(n int) float64 {
	if c.server.Delay <= 0 {
		return c.mu[n]
	}
	p, sum, x := 1.0, 1.0, 0.0
	mu, ratio := c.mu[1:n+1], c.ratio[1:n+1]
	for i, m := range mu {
		p *= float64(n-i) * ratio[i]
		if p > 1e150 {
			p, sum, x = p*1e-150, sum*1e-150, x*1e-150
		}
		sum += p
		x += p * m
	}
	return x / sum
}

// Knee is the n at which one per cent more clients buy e per cent more throughput, from the slope of ln X over ln N between
// whole numbers of clients up to limit; +Inf when the slope stays above e. e = 0 is the peak, e = 1/2 the power knee.
func (s Server) Knee(e float64, limit int) float64 {
	c := s.chain(float64(limit))
	before, x := math.NaN(), c.at(1)
	for n := 1; n < min(limit, maxJobs); n++ {
		next := c.at(n + 1)
		slope := math.Log(next/x) / math.Log(float64(n+1)/float64(n))
		// The slope belongs to the middle of n and n+1 and the one before to the middle of n-1 and n.
		if slope <= e {
			if n == 1 || !(before > slope) {
				return float64(n)
			}
			return float64(n) - 0.5 + (before-e)/(before-slope)
		}
		before, x = slope, next
	}
	return math.Inf(1)
}
