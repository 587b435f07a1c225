package queue

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgfit/advisor/usl"
)

// simulated plays pools of c connections on one server, Poisson arrivals at rate shared out evenly, and gives the share that
// waits and the mean wait. The server works off the busy connections at the rate x(all that are busy), each alike.
func simulated(pools, c int, rate float64, x func(float64) float64, events int) (waits, mean float64) {
	rng := rand.New(rand.NewPCG(51, 52))
	in := make([]int, pools) // busy and waiting
	busy, queued := 0, 0
	var area, arrivals, waited, clock float64
	for range events {
		work := 0.0
		if busy > 0 {
			work = x(float64(busy))
		}
		step := rng.ExpFloat64() / (rate + work)
		area, clock = area+step*float64(queued), clock+step
		if rng.Float64()*(rate+work) < rate {
			i := rng.IntN(pools)
			arrivals++
			if in[i] >= c {
				waited++
				queued++
			} else {
				busy++
			}
			in[i]++
			continue
		}
		pick := rng.IntN(busy) // which of the busy connections is done
		for i := range in {
			at := min(in[i], c)
			if pick >= at {
				pick -= at
				continue
			}
			if in[i]--; in[i] >= c {
				queued--
			} else {
				busy--
			}
			break
		}
	}
	return waited / arrivals, area / clock / rate
}

// One pool follows the formula; for pools that share a server, with the others taken at their mean, it comes close.
func TestSimulated(t *testing.T) {
	law := usl.Model{Lambda: 1000, Sigma: .05, Kappa: .001}.Throughput
	for _, tc := range []struct {
		pools, c int
		rate     float64
		slack    float64 // relative, of share and mean wait
	}{{1, 12, 5423, .05}, {1, 8, 4500, .05}, {2, 8, 5000, .25}, {4, 4, 5000, .25}, {4, 3, 4000, .25}} {
		w, err := Split(tc.pools, tc.c, tc.rate, law, 1)
		if err != nil {
			t.Fatal(err)
		}
		share, mean := simulated(tc.pools, tc.c, tc.rate, law, 1_500_000)
		t.Logf("%d pools of %d at %g/s: %.4f wait %.4g ms, simulated %.4f and %.4g ms", tc.pools, tc.c, tc.rate, w.P, 1e3*w.Mean, share, 1e3*mean)
		if math.Abs(w.P/share-1) > tc.slack || math.Abs(w.Mean/mean-1) > tc.slack {
			t.Errorf("%d pools of %d at %g/s: %.4f wait %.4g ms, simulated %.4f and %.4g ms", tc.pools, tc.c, tc.rate, w.P, 1e3*w.Mean, share, 1e3*mean)
		}
	}
}
