package sweep

import (
	"math"

	"pgfit/workload/rundoc"
)

// firstDiffers is how far the first round may lie from the others.
const firstDiffers = 0.05

// cold tells whether the first round differs from the others by more than 5 %, by a paired t test of ln X over pool sizes
// and scenarios: caches that were still filling, tables that had not been read.
func cold(visits []rundoc.Visit) bool {
	type place struct {
		scenario string
		pool     int
	}
	first, sum, n := map[place]float64{}, map[place]float64{}, map[place]float64{}
	var order []place
	for _, v := range visits {
		at := place{v.Scenario, v.PoolSize}
		switch {
		case v.TPS <= 0:
		case v.Round == 1:
			first[at] = math.Log(v.TPS)
			order = append(order, at)
		default:
			sum[at] += math.Log(v.TPS)
			n[at]++
		}
	}
	var d []float64
	mean := 0.0
	for _, at := range order {
		if n[at] > 0 {
			d = append(d, first[at]-sum[at]/n[at])
			mean += d[len(d)-1]
		}
	}
	if len(d) < 3 {
		return false
	}
	mean /= float64(len(d))
	ss := 0.0
	for _, x := range d {
		ss += (x - mean) * (x - mean)
	}
	se := math.Sqrt(ss / float64(len(d)-1) / float64(len(d)))
	return math.Abs(mean) > math.Log1p(firstDiffers) && math.Abs(mean) > student(len(d))*se
}

// setAside marks the visits of the first round as not counting.
func setAside(visits []rundoc.Visit) {
	for i := range visits {
		if visits[i].Round == 1 {
			visits[i].Marks = append(visits[i].Marks, rundoc.Mark{Code: rundoc.FirstRound, Text: "the first round differed from the others by more than 5 % and does not count"})
		}
	}
}

// student is the 97.5 % quantile of Student's t for the mean of n values.
func student(n int) float64 {
	t := []float64{math.Inf(1), math.Inf(1), 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145}
	if n < len(t) {
		return t[n]
	}
	df := float64(n - 1)
	return 1.95996 + 2.37228/df + 2.8226/(df*df) // Cornish and Fisher's expansion: within 0.001 from 15 degrees of freedom on
}
