package queue

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Backlog is what a server that is not steady makes callers wait, beside the queue of a steady one. Times in seconds.
type Backlog struct {
	Mean  float64   // over all callers
	Share float64   // of the callers, who find one
	Waits []float64 // of equal parts of those who find one, in ascending order; nil when nobody does
}

// backlogWaits is into how many equal parts those who wait are summed up at most.
const backlogWaits = 12

// Replay is stretches in which a server's throughput was measured, over its mean, against which callers are replayed who keep
// coming at a rate.
type Replay struct {
	Traces [][]float64 // one for each visit
	Step   float64     // length of a stretch in seconds
	// Apart takes every trace by itself: it begins without a backlog, and who is not served when it ends is not counted, as
	// in visits of an open loop. Otherwise they follow each other as they are, and all of it is gone through three times of
	// which the second counts, so that it begins as it ends.
	Apart bool
}

// Seconds is how long the traces are, all together.
func (r Replay) Seconds() float64 {
	n := 0
	for _, t := range r.Traces {
		n += len(t)
	}
	return float64(n) * r.Step
}

// Unsteady is what callers wait: what the server does not do in a slow stretch piles up and is done later, in the order in which
// it came. free is how many of those who come are taken on before anybody waits, such as the connections that are idle at
// that rate; with 0 the waits are those for the server's work. rate and x, the mean throughput, are in 1/s. It sees nothing
// shorter than a step, and nothing at all when rate is x or more: then the backlog has no end.
func (r Replay) Unsteady(rate, x, free float64) Backlog {
	if !(rate > 0) || !(x > rate) || !(r.Step > 0) {
		return Backlog{}
	}
	if !r.Apart {
		all := slices.Concat(r.Traces...)
		if len(all) == 0 || x*stat.Mean(all, nil) <= rate {
			return Backlog{}
		}
		return sumUp(waits(nil, rate*r.Step, x*r.Step, free, slices.Concat(all, all, all), len(all), 2*len(all)), r.Step)
	}
	var w []float64
	for _, t := range r.Traces {
		w = waits(w, rate*r.Step, x*r.Step, free, t, 0, len(t))
	}
	return sumUp(w, r.Step)
}

// Each is what callers wait in the mean of each trace by itself, which begins without a backlog; see Unsteady. Nil where that
// sees nothing.
func (r Replay) Each(rate, x, free float64) []float64 {
	if !(rate > 0) || !(x > rate) || !(r.Step > 0) {
		return nil
	}
	var out []float64
	for _, t := range r.Traces {
		out = append(out, sumUp(waits(nil, rate*r.Step, x*r.Step, free, t, 0, len(t)), r.Step).Mean)
	}
	return out
}

// waits adds the waits, in stretches, of those who come in the middle of the stretches from first up to last and are served
// before the end. come and can are how many come and are served in a stretch of mean speed.
func waits(to []float64, come, can, free float64, relative []float64, first, last int) []float64 {
	done := make([]float64, len(relative)+1) // requests, at the ends of the stretches
	for i, speed := range relative {
		done[i+1] = math.Min(come*float64(i+1), done[i]+can*speed)
	}
	k := 0
	for i := first; i < last; i++ {
		due := come*(float64(i)+.5) - math.Max(0, free) // what has to be done when it is their turn
		for k = max(k, i); k < len(relative) && done[k+1] < due; k++ {
		}
		if k == len(relative) {
			return to
		}
		part := 0. // of stretch k, until due is reached
		if due > done[k] {
			part = math.Min(1, (due-done[k])/(can*relative[k]))
		}
		to = append(to, math.Max(0, float64(k-i)+part-.5))
	}
	return to
}

// sumUp turns waits in stretches of step seconds into a backlog.
func sumUp(waits []float64, step float64) Backlog {
	var b Backlog
	n := float64(len(waits))
	for i := range waits {
		waits[i] *= step
		b.Mean += waits[i] / n
	}
	if !(b.Mean > 1e-9*step) {
		return Backlog{}
	}
	slices.Sort(waits)
	waits = waits[slices.IndexFunc(waits, func(w float64) bool { return w > 0 }):]
	b.Share = float64(len(waits)) / n
	b.Waits = make([]float64, min(len(waits), backlogWaits))
	for i := range b.Waits {
		part := waits[i*len(waits)/len(b.Waits) : (i+1)*len(waits)/len(b.Waits)]
		for _, w := range part {
			b.Waits[i] += w / float64(len(part))
		}
	}
	return b
}
