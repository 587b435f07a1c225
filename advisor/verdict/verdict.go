// Package verdict judges two settings of a server that were measured in pairs: the ratio with its interval, whether the
// pairs can carry a claim, and in what words. It knows statistics and nothing about settings; it refuses to see a
// difference in fewer than six pairs.
package verdict

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"pgfit/advisor"
)

const (
	// Alpha is the chance of a claim where there is no difference.
	Alpha = 0.05
	// MinPairs is the least number of pairs that can carry a claim: with five the smallest possible p of a sign-flip
	// test is 2/32.
	MinPairs = 6
	// exactPairs bounds the sign-flip test, which looks at 2^pairs signs. Above it the t interval decides alone.
	exactPairs = 12
)

// Comparison is what pairs of visits say about B against A.
type Comparison struct {
	Pairs int
	Mean  float64 // of ln(B/A)
	SD    float64 // of ln(B/A) between pairs; 0 with fewer than two
	Low   float64 // 95 % t interval of the ratio B/A
	High  float64
	P     float64 // exact sign-flip test, two-sided; -1 with more than 12 pairs
	// Among is how many comparisons are judged together, when one difference among them decides, such as one setting under
	// several scenarios: the interval that a claim asks for is then wider than Low to High (Bonferroni). 0 is 1.
	Among int
}

// Compare takes d = ln(B/A) of every pair.
func Compare(d []float64) Comparison {
	c := Comparison{Pairs: len(d), High: math.Inf(1), P: -1}
	if len(d) == 0 {
		return c
	}
	c.Mean = stat.Mean(d, nil)
	if len(d) <= exactPairs {
		c.P = SignFlip(d)
	}
	if len(d) < 2 {
		return c
	}
	c.SD = stat.StdDev(d, nil)
	half := c.half(Alpha)
	c.Low, c.High = math.Exp(c.Mean-half), math.Exp(c.Mean+half)
	return c
}

// half is the half-width of the t interval of the mean that misses the truth with probability alpha.
func (c Comparison) half(alpha float64) float64 {
	return student(1-alpha/2, c.Pairs-1) * c.SD / math.Sqrt(float64(c.Pairs))
}

// Ratio is the geometric mean of B/A.
func (c Comparison) Ratio() float64 { return math.Exp(c.Mean) }

// Effect is the comparison as advice.json carries it.
func (c Comparison) Effect() advisor.Effect {
	return advisor.Effect{Ratio: c.Ratio(), Low: c.Low, High: c.High, Pairs: c.Pairs}
}

// Inverse is the same comparison with the sides changed: A against B, or a time where less is better.
func (c Comparison) Inverse() Comparison {
	c.Mean, c.Low, c.High = -c.Mean, 1/c.High, 1/c.Low
	return c
}

// SignFlip is the two-sided p of the exact sign-flip test: the share of all 2^n ways to give the differences signs whose
// sum is at least as far from zero as the one seen. It needs no distribution, only that a pair without a difference is as
// likely to come out one way as the other. It looks at up to 2^12 sums; more differences give -1.
func SignFlip(d []float64) float64 {
	if len(d) > exactPairs {
		return -1
	}
	seen, scale := 0.0, 0.0
	for _, v := range d {
		seen += v
		scale += math.Abs(v)
	}
	least := math.Abs(seen) - 1e-12*scale
	hits, ways := 0, 1<<max(0, len(d)-1) // the last sign stays: turning all of them changes no distance
	for signs := range ways {
		sum := 0.0
		for i, v := range d {
			if signs>>i&1 == 1 {
				v = -v
			}
			sum += v
		}
		if math.Abs(sum) >= least {
			hits++
		}
	}
	return float64(hits) / float64(ways)
}

// smallPairs is the true difference, in standard deviations of ln(B/A) between pairs, that 6 to 12 pairs show four times
// in five. With so few pairs the sign-flip test asks for more than t does; found by simulation, which
// TestDetectablePower repeats.
var smallPairs = map[int]float64{6: 1.81, 7: 1.36, 8: 1.21, 9: 1.10, 10: 1.02, 11: 0.95, 12: 0.90}

// Detectable is the smallest change of the ratio, 0.04 for 4 %, that so many pairs will show four times in five, with sd
// the standard deviation of ln(B/A) between pairs. Fewer than six pairs show nothing: +Inf.
func Detectable(sd float64, pairs int) float64 {
	if pairs < MinPairs {
		return math.Inf(1)
	}
	k, ok := smallPairs[pairs]
	if !ok {
		k = (student(1-Alpha/2, pairs-1) + student(0.8, pairs-1)) / math.Sqrt(float64(pairs))
	}
	return math.Exp(k*sd) - 1
}

// NullSD is the standard deviation of ln(B/A) as pairs of visits under equal settings show it, whose true mean is 0:
// it has as many degrees of freedom as there are pairs.
func NullSD(d []float64) float64 {
	sum := 0.0
	for _, v := range d {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(d)))
}

// Cautious is a standard deviation that was estimated with so many degrees of freedom, taken so much higher that the true
// one lies below it four times in five: a few visits can agree by luck, and a promise must not rest on that.
func Cautious(sd float64, df int) float64 {
	if df < 1 {
		return math.Inf(1)
	}
	return sd * math.Sqrt(float64(df)/distuv.ChiSquared{K: float64(df)}.Quantile(0.2))
}

func student(p float64, df int) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(df)}.Quantile(p)
}
