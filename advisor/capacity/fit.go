package capacity

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"pgfit/advisor"
	"pgfit/advisor/usl"
	"pgfit/workload/rundoc"
)

// Bounds of the refusals.
const (
	leastLevels = 6     // R1: fewer fit exactly and hide every lack of fit
	leastSpan   = 8     // R1: largest over smallest pool size
	draws       = 1000  // of the bootstrap
	far         = 1e6   // stands for "no knee"
	clientLimit = 0.80  // R5
	littleLimit = 0.05  // R5
	errorLimit  = 0.001 // R7
	noiseLimit  = 0.20  // R11: standard deviation of ln X
	fitLimit    = 0.15  // R4: worst relative error of a pool size's mean
	coldStart   = 1.15  // level 1 is set aside when level 2 beats its double by more than that
)

// fit fits the law, or says why not.
func (c *Capacity) fit(visits []rundoc.Visit, seed uint64) []advisor.Finding {
	first, last := c.Levels[0].Pool, c.Levels[len(c.Levels)-1].Pool
	if len(c.Levels) < leastLevels || last < leastSpan*first {
		return []advisor.Finding{{
			Code: "R1", Scenario: c.Scenario, Text: fmt.Sprintf("%d pool sizes from %d to %d carry a measured choice, but no model", len(c.Levels), first, last),
			Lift: "measure at least 6, the largest at least 8 times the smallest",
		}}
	}
	skipOne := c.coldOne()
	var points []usl.Point
	for _, v := range visits {
		if !skipOne || v.PoolSize > 1 {
			points = append(points, usl.Point{N: float64(v.PoolSize), X: v.TPS, Round: v.Round})
		}
	}
	m, err := usl.Fit(points)
	if err != nil {
		return []advisor.Finding{{Code: "R4", Scenario: c.Scenario, Text: "no law fits the curve: " + err.Error(), Lift: "read the measured levels"}}
	}
	bounded := func(v float64) float64 { return math.Min(v, far) }
	knee := func(m usl.Model) float64 { return bounded(m.Knee(0.1)) }
	iv := usl.Bootstrap(points, m, draws, seed, func(m usl.Model) float64 { return m.Sigma }, func(m usl.Model) float64 { return m.Kappa },
		knee, func(m usl.Model) float64 { return bounded(m.Peak()) })
	c.Fit = &Fit{Model: m, Sigma: iv[0], Kappa: iv[1], Knee: knee(m), KneeInterval: iv[2], Power: bounded(m.Knee(0.5)), WithoutOne: skipOne}
	return c.judge(iv)
}

// judge says what the fit cannot carry.
func (c *Capacity) judge(iv []usl.Interval) []advisor.Finding {
	var out []advisor.Finding
	f := c.Fit
	if f.WithoutOne {
		out = append(out, advisor.Finding{
			Code: "level-1", Scenario: c.Scenario,
			Text: fmt.Sprintf("pool size 1 is set aside in the fit: pool size %d delivers %.1f times its throughput, since with one connection idle processors have to be woken on every round trip",
				c.Levels[1].Pool, c.Levels[1].TPS/c.Levels[0].TPS),
		})
	}
	for _, l := range c.Levels {
		if !f.WithoutOne || l.Pool > 1 {
			f.WorstError = math.Max(f.WorstError, math.Abs(f.Model.Throughput(float64(l.Pool))/l.TPS-1))
		}
	}
	if f.WorstError > fitLimit {
		out = append(out, advisor.Finding{
			Code: "R4", Scenario: c.Scenario, Text: fmt.Sprintf("the law misses a measured pool size by %.0f %%: the choice rests on the measured levels alone", 100*f.WorstError),
			Lift: "more rounds, if the noise is to blame; else the curve has another shape",
		})
	}
	if iv[1].Low > 0 {
		peak := f.Model.Peak()
		f.Peak, f.PeakInterval = &peak, &iv[3]
	} else {
		out = append(out, advisor.Finding{
			Code: "R3", Scenario: c.Scenario, Text: fmt.Sprintf("no peak is named: throughput is not seen to fall up to pool size %d (the interval of κ includes 0)", c.Levels[len(c.Levels)-1].Pool),
			Lift: "measure larger pool sizes or more rounds",
		})
	}
	return out
}

// coldOne tells whether level 1 is too low to anchor the law: one client beaten by far more than its double.
func (c *Capacity) coldOne() bool {
	if len(c.Levels) < 3 || c.Levels[0].Pool != 1 {
		return false
	}
	one, two := c.Levels[0], c.Levels[1]
	return two.TPS > coldStart*float64(two.Pool)*one.TPS
}

// doubts are the refusals that rest on the visits themselves.
func doubts(c Capacity, visits []rundoc.Visit) []advisor.Finding {
	var out []advisor.Finding
	add := func(code, text, lift string, blocks bool) {
		out = append(out, advisor.Finding{Code: code, Scenario: c.Scenario, Text: text, Lift: lift, Blocks: blocks})
	}
	if top := c.Levels[len(c.Levels)-1].Pool; c.Best == top && len(c.Levels) > 1 {
		add("R2", fmt.Sprintf("the best pool size is the largest one measured: the server carries at least %d", top), "measure larger pool sizes", false)
	}
	count := map[string]int{}
	deciding := false
	for _, v := range visits {
		if v.Client.CPUShare > clientLimit {
			count["R5"]++
		}
		for _, m := range v.Marks {
			switch m.Code {
			case "foreign":
				count["R6"]++
			case "little":
				count["R5"]++
			}
		}
		if all := v.Transactions + v.Failed; all > 0 && float64(v.Failed) > errorLimit*float64(all) {
			count["R7"]++
			deciding = deciding || v.PoolSize == c.Chosen
		}
	}
	most := func(code string) bool { return 2*count[code] > len(visits) }
	if most("R5") {
		add("R5", "the load generator, not the server, was the limit in most visits", "run pgfit on another machine, or give it more processors", true)
	}
	if n := count["R6"]; n > 0 {
		add("R6", fmt.Sprintf("other sessions kept the server busy in %d of %d visits", n, len(visits)), "measure when nobody else does, or on a scratch server", most("R6"))
	}
	if n := count["R7"]; n > 0 {
		add("R7", fmt.Sprintf("more than 0.1 %% of the operations failed in %d of %d visits", n, len(visits)), "see the errors in run.json; the operations have to succeed first", deciding)
	}
	// Complete rounds take what a whole round was faster or slower out of every comparison, so only what is left blocks.
	if sd := residualSpread(visits); sd > noiseLimit {
		add("R11", fmt.Sprintf("visits of the same pool size differ by %.0f %% (standard deviation) within their rounds: the environment is too noisy", 100*sd),
			"measure when the machine is quiet, or longer", true)
	} else if sd := roundSpread(visits); sd > noiseLimit {
		add("R11", fmt.Sprintf("rounds differ by %.0f %% (standard deviation): something else used the machine; the comparison of pool sizes is free of it, the absolute figures are not", 100*sd),
			"measure when the machine is quiet", false)
	}
	return out
}

// roundSpread is the standard deviation between rounds of the mean of ln X.
func roundSpread(visits []rundoc.Visit) float64 {
	means := roundMeans(visits)
	if len(means) < 3 {
		return 0
	}
	values := make([]float64, 0, len(means))
	for _, r := range slices.Sorted(maps.Keys(means)) {
		values = append(values, means[r])
	}
	return stat.StdDev(values, nil)
}

// residualSpread is the standard deviation of ln X once the means of pool sizes and rounds are taken out.
func residualSpread(visits []rundoc.Visit) float64 {
	effects := roundEffects(visits)
	sum, n := map[int]float64{}, map[int]float64{}
	for _, v := range visits {
		sum[v.PoolSize] += math.Log(v.TPS) - effects[v.Round]
		n[v.PoolSize]++
	}
	df := len(visits) - len(sum) - max(0, len(effects)-1)
	if df < 3 {
		return 0
	}
	ss := 0.0
	for _, v := range visits {
		d := math.Log(v.TPS) - effects[v.Round] - sum[v.PoolSize]/n[v.PoolSize]
		ss += d * d
	}
	return math.Sqrt(ss / float64(df))
}
