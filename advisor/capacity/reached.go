package capacity

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"pgfit/advisor"
	"pgfit/workload/rundoc"
)

// Precision is how well a curve is known. Half-widths are those of 95 % intervals, as shares.
type Precision struct {
	Throughput float64 `json:"tps_half_width,omitempty"` // of the chosen pool size's mean throughput; left out where it is not known
	Ratio      float64 `json:"ratio_half_width"`         // of its paired ratio to the best pool size; 0 when it is the best
	Knee       float64 `json:"knee_high_over_low,omitempty"`
	Promised   float64 `json:"promised_half_width,omitempty"` // of the throughput, by the plan
}

// What a sweep aims at, and stops at when it is reached.
const (
	aimHalfWidth = 0.05 // of the chosen pool size's throughput and of its ratio to the best
	aimKnee      = 1.5  // upper over lower end of the knee's interval
	aimRounds    = 5
)

// reached fills in the precision.
func (c *Capacity) reached(byPool map[int][]rundoc.Visit, promisedPercent float64) {
	p := Precision{Promised: promisedPercent / 100}
	if l := c.At(c.Chosen).TPSInterval; l.Low > 0 {
		p.Throughput = math.Sqrt(l.High/l.Low) - 1
	}
	if c.Chosen != c.Best {
		p.Ratio = ratioHalfWidth(byPool[c.Chosen], byPool[c.Best])
	}
	if f := c.Fit; f != nil && !f.Lacks && !f.AtLeast && f.KneeInterval.Low > 0 && f.KneeInterval.High < far {
		p.Knee = f.KneeInterval.High / f.KneeInterval.Low
	}
	c.Precision = p
}

// fine tells whether the aim is reached. A knee that has no interval, since nothing falls or no law fits, is no hindrance.
func (c *Capacity) fine() bool {
	p := c.Precision
	return c.At(c.Chosen).TPSInterval.Low > 0 && p.Throughput <= aimHalfWidth && p.Ratio <= aimHalfWidth && p.Knee <= aimKnee
}

// missed is R8 where the aim was not reached: the figures are then to be read with their intervals.
func (c *Capacity) missed() []advisor.Finding {
	p := c.Precision
	if c.fine() {
		return nil
	}
	l := c.At(c.Chosen)
	if l.Visits < 2 {
		return []advisor.Finding{{Code: "R8", Scenario: c.Scenario, Text: "one round leaves no interval: every figure is a point without one", Lift: "measure at least 3 rounds"}}
	}
	text := fmt.Sprintf("the throughput of pool size %d is known within ±%.0f %%", c.Chosen, 100*p.Throughput)
	known := l.TPSInterval.Low > 0
	if !known {
		text = fmt.Sprintf("the throughput of pool size %d is not known: its %d visits differ too much for an interval", c.Chosen, l.Visits)
	}
	if p.Ratio > aimHalfWidth {
		text += fmt.Sprintf(", its ratio to the best within ±%.0f %%", 100*p.Ratio)
	}
	if p.Knee > aimKnee {
		text += fmt.Sprintf(", the knee between %.3g and %.3g", c.Fit.KneeInterval.Low, c.Fit.KneeInterval.High)
	}
	if known {
		text += ": read the intervals, not the figures"
	}
	return []advisor.Finding{{Code: "R8", Scenario: c.Scenario, Text: text, Lift: "a longer --budget, or a quieter machine"}}
}

// Enough tells whether the visits of a sweep that is under way leave nothing to be gained from another round, in any scenario.
func Enough(plan rundoc.Plan, visits []rundoc.Visit) bool {
	doc := &rundoc.Document{Plan: plan, Visits: visits}
	curves, _ := Analyse(doc)
	for _, c := range curves {
		if c.At(c.Chosen).Visits < aimRounds || !c.fine() {
			return false
		}
	}
	return len(curves) > 0
}

// pairs are the logarithms of the ratios of throughput a to b, by round.
func pairs(a, b []rundoc.Visit) []float64 {
	of := map[int]float64{}
	for _, v := range b {
		of[v.Round] = v.TPS
	}
	var logs []float64
	for _, v := range a {
		if x, ok := of[v.Round]; ok {
			logs = append(logs, math.Log(v.TPS/x))
		}
	}
	return logs
}

// ratioHalfWidth is that of the paired ratio's 95 % interval; +Inf is written as 1e6 where there are fewer than two pairs.
func ratioHalfWidth(a, b []rundoc.Visit) float64 {
	logs := pairs(a, b)
	if len(logs) < 2 {
		return far
	}
	_, half := interval(logs)
	return math.Min(math.Exp(half)-1, far)
}

// drift is by how much, in logarithms, the second half of the rounds lies above the first, where that is significant at 5 %
// (Welch) and there are at least 6 rounds; else 0.
func drift(visits []rundoc.Visit) float64 {
	means := sortedMeans(visits)
	if len(means) < 6 {
		return 0
	}
	first, second := means[:len(means)/2], means[len(means)-len(means)/2:]
	m1, v1 := stat.MeanVariance(first, nil)
	m2, v2 := stat.MeanVariance(second, nil)
	n := float64(len(first))
	se2 := (v1 + v2) / n
	if se2 == 0 {
		return 0
	}
	df := (v1 + v2) * (v1 + v2) * (n - 1) / (v1*v1 + v2*v2)
	t := distuv.StudentsT{Sigma: 1, Nu: df}
	if math.Abs(m2-m1) < t.Quantile(.975)*math.Sqrt(se2) {
		return 0
	}
	return m2 - m1
}
