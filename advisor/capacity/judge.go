package capacity

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"pgfit/advisor"
	"pgfit/advisor/queue"
	"pgfit/advisor/usl"
	"pgfit/workload/rundoc"
)

// Bounds of the refusals.
const (
	leastLevels = 6     // R1: fewer fit exactly and hide every lack of fit
	leastSpan   = 8     // R1: largest over smallest pool size
	leastPairs  = 3     // visits of a pool size that the others are held against
	draws       = 1000  // of the bootstrap of USL
	queueDraws  = 200   // of the bootstrap of the queue, whose refits cost more
	refitReach  = 3     // steps in the number of servers that a refit may go: with one the interval covers 80 to 90 %, with three 95 %
	far         = 1e6   // stands for "no knee"
	clientLimit = 0.80  // R5
	littleLimit = 0.05  // R5
	holdsInOne  = 20    // R5: hold times in a visit from which Little's law is not missed by the visit's ends alone
	errorLimit  = 0.001 // R7
	driftLimit  = 0.05  // R11: of ln X, from the first half of the rounds to the second
	noiseLimit  = 0.20  // R11: standard deviation of ln X
	fitAlpha    = 0.01  // R4: of the F test
	fitLimit    = 0.15  // R4: worst relative error of a pool size's mean, where the F test has too few rounds
	leastMiss   = 0.05  // R4: a law that is nowhere farther off is not refused, however quiet the machine
	coldStart   = 1.15  // level 1 is set aside when level 2 beats its double by more than that
	farOff      = 0.12  // R4, R8: the worst miss of a pool size that was left out, beyond which nothing is said between pool sizes
	halfOff     = 0.05  // R4, R8: the same of the median miss
)

// fit fits the laws, or says why not.
func (c *Capacity) fit(visits []rundoc.Visit, seed uint64) []advisor.Finding {
	first, last := c.Levels[0].Pool, c.Levels[len(c.Levels)-1].Pool
	if len(c.Levels) < leastLevels || last < leastSpan*first {
		return []advisor.Finding{{
			Code: "R1", Scenario: c.Scenario, Text: fmt.Sprintf("%d pool sizes from %d to %d carry a measured choice, but no model", len(c.Levels), first, last),
			Lift: "measure at least 6, the largest at least 8 times the smallest",
		}}
	}
	effects := roundEffects(visits)
	var points []usl.Point
	for _, v := range visits {
		points = append(points, usl.Point{N: float64(v.PoolSize), X: v.TPS, Round: v.Round})
	}
	points = clearOf(points, effects)
	f, err := fitCurve(points, max(0, len(effects)-1), seed)
	if err != nil {
		return []advisor.Finding{{Code: "R4", Scenario: c.Scenario, Text: "no law fits the curve: " + err.Error(), Lift: "read the measured levels"}}
	}
	c.Fit = f
	return judge(f, points, max(0, len(effects)-1), c.Scenario)
}

// fitCurve fits the laws to points that are clear of round effects, with a cold level 1 set aside.
func fitCurve(points []usl.Point, lost int, seed uint64) (*Fit, error) {
	kept := points
	cold := coldOne(points)
	if cold {
		kept = slices.DeleteFunc(slices.Clone(points), func(p usl.Point) bool { return p.N == 1 })
	}
	f, err := fitLaws(kept, lost, seed)
	if err != nil {
		return nil, err
	}
	f.WithoutOne = cold
	f.LeftOut = f.leftOut(kept, lost)
	f.Rough = f.LeftOut != nil && (f.LeftOut.Worst > farOff || f.LeftOut.Median > halfOff)
	return f, nil
}

// coldOne tells whether level 1 is too low to anchor a law: one client beaten by far more than its share of the next level.
func coldOne(points []usl.Point) bool {
	levels := newWithin(points, 0).levels
	if len(levels) < 3 || levels[0].N != 1 {
		return false
	}
	return levels[1].LogX-levels[0].LogX > math.Log(coldStart*levels[1].N)
}

// judge says what a fit cannot carry. lost is how many degrees of freedom the round effects took.
func judge(f *Fit, points []usl.Point, lost int, scenario string) []advisor.Finding {
	var out []advisor.Finding
	add := func(code, text, lift string) {
		out = append(out, advisor.Finding{Code: code, Scenario: scenario, Text: text, Lift: lift})
	}
	levels := newWithin(points, 0).levels
	top := levels[len(levels)-1].N
	if f.WithoutOne {
		add("level-1", fmt.Sprintf("pool size 1 is set aside in the fit: pool size %g delivers %.1f times its throughput, since with one connection idle processors have to be woken on every round trip",
			levels[1].N, math.Exp(levels[1].LogX-levels[0].LogX)), "")
	}
	if f.Lacks {
		add("R4", fmt.Sprintf("neither law describes the curve (worst miss %.0f %%): the choice rests on the measured levels alone", 100*f.WorstError),
			"more rounds, if the noise is to blame; else the curve has another shape")
	}
	if f.Peak == nil {
		text := fmt.Sprintf("no peak is named: throughput is not seen to fall up to %g", top)
		if best := highest(levels); best.LogX-levels[len(levels)-1].LogX > 0.05 {
			text = fmt.Sprintf("no peak is named: where throughput begins to fall between %g and %g cannot be told from these figures", best.N, top)
		}
		add("R3", text, "measure larger pool sizes or more rounds")
	}
	if l := f.LeftOut; f.Rough {
		at := slices.MaxFunc(l.Levels, func(a, b Predicted) int { return cmp.Compare(math.Abs(a.Error), math.Abs(b.Error)) })
		text := fmt.Sprintf("nothing is predicted between the measured levels: left out and predicted from the others, %g is missed by %.0f %% (median %.1f %%)", at.N, 100*l.Worst, 100*l.Median)
		if half := newWithin(points, lost).halfWidth(); half > aimHalfWidth {
			add("R8", text+fmt.Sprintf(", and the levels themselves are known within ±%.0f %% only", 100*half), "a quieter machine, or more rounds")
		} else {
			add("R4", text+fmt.Sprintf(", although the levels are known within ±%.1f %%: the curve bends between them", 100*half), "measure the levels that matter")
		}
	}
	return out
}

func highest(levels []queue.Level) queue.Level {
	return slices.MaxFunc(levels, func(a, b queue.Level) int { return cmp.Compare(a.LogX, b.LogX) })
}
