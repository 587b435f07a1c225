package queue

import (
	"math"
	"slices"
)

// Backlog is what a server that is not steady makes callers wait, beside the queue of a steady one. Times in seconds.
type Backlog struct {
	Mean  float64   // over all callers
	Share float64   // of the callers, who find one
	Waits []float64 // of equal parts of those who find one, in ascending order; nil when nobody does
}

// backlogWaits is into how many equal parts those who wait are summed up at most.
const backlogWaits = 12

// Unsteady replays stretches in which a server's throughput was measured, relative to its mean, against callers who keep
// coming at a rate: what the server does not do in a slow stretch piles up and is done later, in the order in which it came.
// rate and x, the mean throughput, are in 1/s, step is the length of one stretch in seconds. The traces follow each other as
// they are; all of it is gone through three times and the second time counts, so that it begins as it ends. It sees nothing
// shorter than a step, and nothing at all when rate is x or more: then the backlog has no end.
func Unsteady(rate, x float64, traces [][]float64, step float64) Backlog {
	if !(rate > 0) || !(x > rate) || !(step > 0) {
		return Backlog{}
	}
	relative := slices.Concat(traces...)
	n := len(relative)
	done := make([]float64, 3*n+1) // requests, at the ends of the stretches
	for i := range 3 * n {
		due := rate * step * float64(i+1)
		done[i+1] = math.Min(due, done[i]+x*relative[i%n]*step)
	}
	// needed is the share of a stretch from k-1 to k in which what is due is reached.
	needed := func(k int, due float64) float64 { return (due - done[k-1]) / (x * relative[(k-1)%n] * step) }
	var b Backlog
	waits := make([]float64, n) // of who comes in the middle of a stretch
	k := n
	for i := range waits {
		end := n + i + 1
		due := rate * step * (float64(end) - .5)
		for k = max(k, end); k < 3*n && done[k] < due; k++ {
		}
		waits[i] = step * math.Max(0, float64(k-end)+math.Min(1, needed(k, due))-.5)
		b.Mean += waits[i] / float64(n)
	}
	if !(b.Mean > 1e-9*step) {
		return Backlog{}
	}
	slices.Sort(waits)
	waits = waits[slices.IndexFunc(waits, func(w float64) bool { return w > 0 }):]
	b.Share = float64(len(waits)) / float64(n)
	b.Waits = make([]float64, min(len(waits), backlogWaits))
	for i := range b.Waits {
		part := waits[i*len(waits)/len(b.Waits) : (i+1)*len(waits)/len(b.Waits)]
		for _, w := range part {
			b.Waits[i] += w / float64(len(part))
		}
	}
	return b
}
