package sweep

import (
	"fmt"
	"math"
	"time"

	"pgfit/workload/rundoc"
)

// The rule MSER-5 (White 1997; Spratt 1998) on the completions of 100 ms.
const (
	bin       = 100 * time.Millisecond
	batch     = 5                // bins averaged into one figure
	judged    = 20 * time.Second // shorter visits cannot be judged: the rule cries wolf in 15 % of steady ones
	leastTail = 5                // figures that must be left
)

// warmUp is the number of bins that MSER-5 drops from the start: the cut after which the mean of the rest has the smallest
// standard error. False when more than half would go: the load has not settled.
func warmUp(bins []uint32) (drop int, steady bool) {
	k := len(bins) / batch
	if k < 2*leastTail {
		return 0, true
	}
	z := make([]float64, k)
	for i := range z {
		for _, n := range bins[i*batch : (i+1)*batch] {
			z[i] += float64(n) / batch
		}
	}
	best, least := 0, math.Inf(1)
	var sum, sum2 float64
	for d := k - 1; d >= 0; d-- { // from the end, so that the sums grow by one figure a step
		sum, sum2 = sum+z[d], sum2+z[d]*z[d]
		n := float64(k - d)
		if d > k-leastTail {
			continue
		}
		if e := (sum2 - sum*sum/n) / (n * n); e <= least {
			best, least = d, e
		}
	}
	return best * batch, 2*best <= k
}

// settle judges a long closed-loop visit: what MSER-5 drops is taken out of the throughput, and a visit that has not settled
// is marked. It tells whether it had settled.
func settle(v *rundoc.Visit) bool {
	if v.Seconds < judged.Seconds() || v.Rate > 0 || len(v.Bins) < 2*batch*leastTail {
		return true
	}
	drop, steady := warmUp(v.Bins)
	if !steady {
		v.Marks = append(v.Marks, rundoc.Mark{Code: rundoc.Unsteady, Text: fmt.Sprintf("throughput has not settled within %.0f s", v.Seconds)})
		return false
	}
	if drop > 0 {
		var rest uint64
		for _, n := range v.Bins[drop:] {
			rest += uint64(n)
		}
		dropped := float64(drop) * bin.Seconds()
		if tps := float64(rest) / (v.Seconds - dropped); tps > 0 && v.Seconds > dropped {
			v.Settled, v.TPS = dropped, tps
		}
	}
	return true
}
