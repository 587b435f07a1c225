package capacity

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"pgfit/advisor"
	"pgfit/workload/rundoc"
)

const moreClient = "run pgfit on another machine, or give it more processors"

// What a visit can suffer from.
func clientBound(v rundoc.Visit) bool {
	return v.Client.CPUShare > clientLimit || marked(v, "little") && !short(v)
}

// short tells whether Little's law may be missed because of the visit's ends alone: its statements take too long for it.
func short(v rundoc.Visit) bool {
	mean, _ := hold([]rundoc.Visit{v})
	return marked(v, "little") && holdsInOne*mean > v.Seconds
}

func foreign(v rundoc.Visit) bool  { return marked(v, "foreign") }
func unsteady(v rundoc.Visit) bool { return marked(v, rundoc.Unsteady) }
func failing(v rundoc.Visit) bool {
	all := v.Transactions + v.Failed
	return all > 0 && float64(v.Failed) > errorLimit*float64(all)
}

func marked(v rundoc.Visit, code string) bool {
	return slices.ContainsFunc(v.Marks, func(m rundoc.Mark) bool { return m.Code == code })
}

// count is how many of the visits that are meant suffer from something; most tells whether that is more than half of them.
func count(visits []rundoc.Visit, meant, suffers func(rundoc.Visit) bool) (n int) {
	for _, v := range visits {
		if meant(v) && suffers(v) {
			n++
		}
	}
	return n
}

func most(visits []rundoc.Visit, meant, suffers func(rundoc.Visit) bool) bool {
	return 2*count(visits, meant, suffers) > count(visits, meant, func(rundoc.Visit) bool { return true })
}

// doubts are the refusals that rest on the visits themselves.
func doubts(c Capacity, visits []rundoc.Visit) []advisor.Finding {
	var out []advisor.Finding
	add := func(code, text, lift string, blocks bool) {
		out = append(out, advisor.Finding{Code: code, Scenario: c.Scenario, Text: text, Lift: lift, Blocks: blocks})
	}
	switch top := c.Levels[len(c.Levels)-1]; {
	case len(c.Levels) == 1:
	case c.Best == top.Pool:
		add("R2", fmt.Sprintf("the best pool size is the largest one measured: the server carries at least %d", top.Pool), "measure larger pool sizes", false)
	case top.Ratio > 1:
		add("R2", fmt.Sprintf("the largest pool size measured, %d, delivered %.1f %% more than the best one, but in %d of %d visits only: the server carries at least %d",
			top.Pool, 100*(top.Ratio-1), top.Visits, c.At(c.Best).Visits, c.Best), "a longer --budget, or name the larger --pool-sizes", false)
	}
	all := func(rundoc.Visit) bool { return true }
	at := func(pool int) func(rundoc.Visit) bool {
		return func(v rundoc.Visit) bool { return v.PoolSize == pool }
	}
	if most(visits, all, clientBound) {
		add("R5", "the load generator, not the server, was the limit in most visits", moreClient, true)
	} else if most(visits, at(c.Best), clientBound) {
		add("R5", fmt.Sprintf("the load generator, not the server, was the limit at pool size %d, which delivered most", c.Best), moreClient, true)
	}
	if n := count(visits, all, short); n > 0 {
		longest := 0.0
		for _, v := range visits {
			if mean, _ := hold([]rundoc.Visit{v}); short(v) {
				longest = math.Max(longest, mean)
			}
		}
		add("R10", fmt.Sprintf("the visits are too short for the statements, which take %.2g s at the mean: in %d of %d visits how many were finished is left to chance, and Little's law cannot be audited",
			longest, n, len(visits)), fmt.Sprintf("visits of at least %.0f s (--measure), %d times as long as a statement", math.Ceil(holdsInOne*longest), holdsInOne),
			most(visits, all, short) && count(visits, at(c.Chosen), short) > 0)
	}
	if n := count(visits, all, foreign); n > 0 {
		add("R6", fmt.Sprintf("other sessions kept the server busy in %d of %d visits", n, len(visits)), "measure when nobody else does, or on a scratch server",
			most(visits, all, foreign) || most(visits, at(c.Chosen), foreign))
	}
	if n := count(visits, all, failing); n > 0 {
		add("R7", fmt.Sprintf("more than 0.1 %% of the operations failed in %d of %d visits", n, len(visits)), "see the errors in run.json; the operations have to succeed first",
			count(visits, at(c.Chosen), failing) > 0)
	}
	if n := count(visits, all, unsteady); n > 0 {
		add("R10", fmt.Sprintf("throughput had not settled when the visit ended in %d of %d visits", n, len(visits)), "longer visits (--measure), or a longer first warm-up",
			most(visits, all, unsteady) && count(visits, at(c.Chosen), unsteady) > 0 || most(visits, at(c.Chosen), unsteady))
	}
	if d := drift(visits); math.Abs(d) > driftLimit {
		add("R11", fmt.Sprintf("the second half of the rounds is %+.0f %% from the first: something drifts; the comparison of pool sizes is free of it, the absolute figures are not", 100*(math.Exp(d)-1)),
			"let the server settle before, or find what grows", false)
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

// sameHost is R12 where the load generator ran on the server's own host.
func sameHost(doc *rundoc.Document) []advisor.Finding {
	if same, ok := doc.Facts.SameHost.Get(); !ok || !same {
		return nil
	}
	return []advisor.Finding{{
		Code: "R12", Text: "the load generator ran on the server's own host and used part of its processors: the knee may be low",
		Lift: "run pgfit on another machine",
	}}
}

// coldStarts says what the server was not ready for: R10 for a first warm-up that ended before throughput had settled, and a
// word on a first round that differs and had to stay. Neither blocks: the effect of a round is taken out of the comparison
// of pool sizes.
func coldStarts(p rundoc.Plan) []advisor.Finding {
	var out []advisor.Finding
	for _, w := range p.FirstWarmups {
		if w.Settled {
			continue
		}
		text := fmt.Sprintf("throughput had not settled when the first warm-up ended after %.3g s", w.Seconds)
		if w.Spread > 0 {
			text += fmt.Sprintf(": the last three means of %.2g s still differed by %.0f %%", w.StepSeconds, 100*w.Spread)
		}
		out = append(out, advisor.Finding{Code: "R10", Scenario: w.Scenario, Text: text, Lift: "a longer --budget, which lengthens the first warm-up with it, or a quieter machine"})
	}
	for _, s := range p.Scopes {
		visits := fmt.Sprintf("visits of %.3g s: a visit has to hold several of every connection", s.MeasureSeconds)
		if s.Transactions > 0 {
			visits = fmt.Sprintf("visits of %d transactions that were the same at every pool size", s.Transactions)
		}
		out = append(out, advisor.Finding{Code: "long-statements", Scenario: s.Scenario,
			Text: fmt.Sprintf("statements take so long that only pool sizes up to %d were measured, in %s", s.MostPool, visits),
			Lift: "a longer --budget, or name the --pool-sizes"})
	}
	if p.FirstRoundDiffers {
		out = append(out, advisor.Finding{Code: "first-round", Text: "the first round differs from the others by more than 5 %, and there was no time to make it again: the comparison of pool sizes is free of it, the absolute figures are not",
			Lift: "a longer --budget"})
	}
	return out
}

// roundSpread is the standard deviation between rounds of the mean of ln X.
func roundSpread(visits []rundoc.Visit) float64 {
	if means := sortedMeans(visits); len(means) >= 3 {
		return stat.StdDev(means, nil)
	}
	return 0
}

// sortedMeans are the rounds' means of ln X in the order of the rounds.
func sortedMeans(visits []rundoc.Visit) []float64 {
	means := roundMeans(visits)
	values := make([]float64, 0, len(means))
	for _, r := range slices.Sorted(maps.Keys(means)) {
		values = append(values, means[r])
	}
	return values
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
