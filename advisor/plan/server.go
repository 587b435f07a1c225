package plan

import (
	"cmp"
	"math"

	"pgfit/advisor/capacity"
	"pgfit/advisor/queue"
)

// servers are the measured server and what it may be at the two ends of the interval of its throughput.
type servers struct {
	mid, low, high server
	processes      int
	ceiling        int
	asked          int // connections a process, 0: to be found
	promises       []Promise
}

func newServers(c capacity.Capacity, in Input) servers {
	l := c.At(c.Chosen)
	s := servers{processes: max(1, in.Processes), ceiling: c.Chosen, asked: in.PoolSize, promises: in.Promises}
	s.mid = server{curve: c, slow: 1, processes: s.processes}
	low, high := cmp.Or(l.Absolute.Low, l.TPS), cmp.Or(l.Absolute.High, l.TPS) // a point, where no interval is known
	s.low = server{curve: c.Scaled(low / l.TPS), slow: l.TPS / low, processes: s.processes}
	s.high = server{curve: c.Scaled(high / l.TPS), slow: l.TPS / high, processes: s.processes}
	return s
}

// row is the answer for one rate, with the pool that was asked for or the one it needs.
func (s servers) row(factor, rate float64) Row {
	per, least, most := s.asked, s.asked, s.asked
	if per == 0 {
		per, least, most = s.need(s.mid, rate), s.need(s.high, rate), s.need(s.low, rate)
	}
	r := Row{Factor: factor, Rate: rate, PerProcess: per, Least: min(least, per), Most: max(most, per), Total: per * s.processes}
	mid, low, high := s.mid.answer(rate, per), s.low.answer(rate, per), s.high.answer(rate, per)
	three := func(of func(answer) float64) Figure { return Figure{of(mid), of(high), of(low)} }
	r.Used = three(func(a answer) float64 { return a.used })
	r.Busy = three(func(a answer) float64 { return a.busy })
	r.WaitShare = three(func(a answer) float64 { return a.share })
	r.WaitMean = three(func(a answer) float64 { return a.wait })
	r.Unsteady = three(func(a answer) float64 { return a.held.Mean })
	r.WaitP99 = three(func(a answer) float64 { return a.waitP99 })
	r.P50 = three(func(a answer) float64 { return a.quantile(.5) })
	r.P99 = three(func(a answer) float64 { return a.quantile(.99) })
	switch worst, best := s.keeps(low), s.keeps(high); {
	case worst && best:
		r.Keeps = Yes
	case !worst && !best:
		r.Keeps = No
	default:
		r.Keeps = Perhaps
	}
	return r
}

// need is the smallest pool of a process in which at most 1 % have to wait and the promises are kept, within the ceiling
// over all processes; that ceiling when none does.
func (s servers) need(v server, rate float64) int {
	most := max(1, s.ceiling/s.processes)
	return smallest(most, func(per int) bool {
		return FewWait(v.curve, rate, s.processes, per) && s.keeps(v.answer(rate, per))
	})
}

// smallest is the first number from 1 that is enough, most when none is.
func smallest(most int, enough func(int) bool) int {
	for n := 1; n < most; n++ {
		if enough(n) {
			return n
		}
	}
	return most
}

// keeps tells whether the promises are kept; without any, whether the pool is less than nine tenths full.
func (s servers) keeps(a answer) bool {
	if a.used >= 1 {
		return false
	}
	if len(s.promises) == 0 {
		return a.used <= almostFull
	}
	for _, p := range s.promises {
		if a.beyond(p.Limit) > 1-p.Share {
			return false
		}
	}
	return true
}

// highest is the highest rate that keeps the promises, with the pool asked for or the largest one that is worth it.
func (s servers) highest() Figure {
	per := s.asked
	if per == 0 {
		per = max(1, s.ceiling/s.processes)
	}
	at := func(v server) float64 {
		low, high := 0.0, v.curve.Throughput(float64(per*s.processes))
		if !s.keeps(v.answer(high*1e-6, per)) {
			return 0
		}
		for range 24 {
			if mid := (low + high) / 2; s.keeps(v.answer(mid, per)) {
				low = mid
			} else {
				high = mid
			}
		}
		return low
	}
	return Figure{at(s.mid), at(s.low), at(s.high)}
}

// server is one curve with its service times, slow times as long as they were measured.
type server struct {
	curve     capacity.Capacity
	slow      float64
	processes int
}

// answer is what one rate does to one pool.
type answer struct {
	used, busy, share, wait, waitP99 float64
	queue                            queue.Wait    // for a connection of a server that is steady
	behind                           queue.Backlog // what is added since it is not: to the time until an answer
	held                             queue.Backlog // and to the wait for a connection, of which there are idle ones when it slows down
	times                            []atom
}

// atom is a service time and the share of the requests that take it.
type atom struct{ seconds, weight float64 }

func (s server) answer(rate float64, per int) answer {
	total := float64(per * s.processes)
	a := answer{used: rate / s.curve.Throughput(total)}
	w, err := queue.Split(s.processes, per, rate, s.curve.Throughput, s.curve.CV2)
	if err != nil {
		inf := math.Inf(1)
		return answer{used: math.Max(a.used, 1), busy: total, share: 1, wait: inf, waitP99: inf}
	}
	a.queue, a.busy = w, w.Busy*float64(s.processes)
	a.behind, a.held = s.curve.Unsteady(rate, total, 0), s.curve.Unsteady(rate, total, total-a.busy)
	a.share, a.wait = 1-(1-w.P)*(1-a.held.Share), w.Mean+a.held.Mean
	a.waitP99 = a.waitQuantile(.99)
	a.times = s.times(rate, w)
	return a
}

// Waiting is what the callers of equal pools wait for a connection, because all are busy or because the server stands still.
// Times in seconds, +Inf where the wait grows without end.
type Waiting struct {
	Busy  float64 // mean connections, of all pools together
	Share float64 // of the callers, who have to wait
	Mean  float64 // over all callers

	of answer
}

// Quantile is the wait that a share q of the callers stays below.
func (w Waiting) Quantile(q float64) float64 {
	if math.IsInf(w.Mean, 0) {
		return w.Mean
	}
	return w.of.waitQuantile(q)
}

// Wait is what callers who come at a rate in 1/s wait in the pools of a number of processes with per connections each.
func Wait(c capacity.Capacity, rate float64, processes, per int) Waiting {
	a := server{curve: c, slow: 1, processes: processes}.answer(rate, per)
	return Waiting{Busy: a.busy, Share: a.share, Mean: a.wait, of: a}
}

// waitQuantile is the wait for a connection alone.
func (a answer) waitQuantile(q float64) float64 {
	if a.held.Mean == 0 {
		return a.queue.Quantile(q)
	}
	return answer{queue: a.queue, behind: a.held, share: a.share, times: []atom{{0, 1}}}.quantile(q)
}

// times are the service times that callers meet: those measured at each pool size, by how often as many connections are
// busy, brought to the mean that Little's law gives for the rate.
func (s server) times(rate float64, w queue.Wait) []atom {
	others := w.Busy * float64(s.processes-1)
	weights := make([]float64, len(s.curve.Levels))
	for k, p := range w.States {
		if k == 0 {
			continue
		}
		n := float64(k) + others
		s.spread(weights, n, p*s.curve.Throughput(n)*float64(k)/n)
	}
	var out []atom
	mean, all := 0.0, 0.0
	for i, l := range s.curve.Levels {
		if weights[i] <= 1e-9 || len(l.Times) == 0 {
			continue
		}
		out = appendAtoms(out, l.Times, s.slow, weights[i])
		mean, all = mean+weights[i]*l.Service*s.slow, all+weights[i]
	}
	if all == 0 || mean == 0 {
		return nil
	}
	scale := w.Busy * float64(s.processes) / rate / (mean / all)
	for i := range out {
		out[i].seconds *= scale
		out[i].weight /= all
	}
	return out
}

// finer is how many atoms stand for the operations between two of capacity.Shares.
const finer = 3

// appendAtoms adds a level's service times, evenly spread between the times that are known.
func appendAtoms(out []atom, times []float64, slow, weight float64) []atom {
	from, since := 0.0, 0.0
	for j, share := range capacity.Shares {
		for i := range finer {
			at := from + (times[j]-from)*(float64(i)+.5)/finer
			out = append(out, atom{at * slow, weight * (share - since) / finer})
		}
		from, since = times[j], share
	}
	return out
}

// spread puts a weight on the two measured pool sizes around n.
func (s server) spread(weights []float64, n, weight float64) {
	levels := s.curve.Levels
	for i, l := range levels {
		if n > float64(l.Pool) {
			continue
		}
		if i == 0 || n == float64(l.Pool) {
			weights[i] += weight
			return
		}
		share := math.Log(n/float64(levels[i-1].Pool)) / math.Log(float64(l.Pool)/float64(levels[i-1].Pool))
		weights[i-1] += (1 - share) * weight
		weights[i] += share * weight
		return
	}
	weights[len(levels)-1] += weight
}

// beyond is the share of the requests that take longer than t, wait and service together.
func (a answer) beyond(t float64) float64 {
	if a.times == nil {
		return 1
	}
	if a.behind.Waits == nil {
		return a.beyondQueue(t)
	}
	sum := (1 - a.behind.Share) * a.beyondQueue(t)
	for _, w := range a.behind.Waits {
		sum += a.beyondQueue(t-w) * a.behind.Share / float64(len(a.behind.Waits))
	}
	return sum
}

// beyondQueue is beyond for a server that is steady.
func (a answer) beyondQueue(t float64) float64 {
	sum, decay := 0.0, a.queue.Decay()
	for _, s := range a.times {
		switch {
		case s.seconds > t:
			sum += s.weight
		case a.queue.P > 0:
			sum += s.weight * a.queue.P * math.Exp(-decay*(t-s.seconds))
		}
	}
	return math.Min(sum, 1)
}

// quantile is the time that a share q of the requests stays below.
func (a answer) quantile(q float64) float64 {
	if a.times == nil {
		return math.Inf(1)
	}
	low, high := 0.0, 0.0
	for _, s := range a.times {
		high = math.Max(high, s.seconds)
	}
	high += a.queue.Quantile(math.Min(1-1e-6, 1-(1-q)/10)) + 1e-9
	if n := len(a.behind.Waits); n > 0 {
		high += a.behind.Waits[n-1]
	}
	for a.beyond(high) > 1-q {
		high *= 2
	}
	for high-low > 1e-7*high {
		if mid := (low + high) / 2; a.beyond(mid) > 1-q+1e-12 {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}
