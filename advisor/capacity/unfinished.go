package capacity

import (
	"fmt"
	"slices"
	"strings"

	"pgfit/advisor"
	"pgfit/workload/rundoc"
)

// Unfinished marks a level with a visit in which no operation came to its end: its throughput is that of chance.
const Unfinished = "unfinished"

// sweepVisits are the visits of a scenario's sweep that count. The visits of pool sizes with an unfinished visit stand apart.
func sweepVisits(doc *rundoc.Document, name string) (counted, apart []rundoc.Visit) {
	nothing := map[int]bool{}
	for _, v := range doc.Visits {
		if v.Phase == "B" && v.Scenario == name && !Dropped(v) {
			counted = append(counted, v)
			nothing[v.PoolSize] = nothing[v.PoolSize] || v.TPS <= 0
		}
	}
	isApart := func(v rundoc.Visit) bool { return nothing[v.PoolSize] }
	for _, v := range counted {
		if isApart(v) {
			apart = append(apart, v)
		}
	}
	return slices.DeleteFunc(counted, isApart), apart
}

// unfinished are the levels of visits that stand apart: transactions over time, without an interval.
func unfinished(apart []rundoc.Visit) []Level {
	var out []Level
	for pool, visits := range byPoolSize(apart) {
		l := Level{Pool: pool, Visits: len(visits), Marks: []string{Unfinished}}
		done, seconds := 0.0, 0.0
		for _, v := range visits {
			done, seconds = done+float64(v.Transactions), seconds+v.Seconds
			l.Failed += v.Failed
			l.ClientCPU += v.Client.CPUShare / float64(len(visits))
		}
		if seconds > 0 {
			l.TPS = done / seconds
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Level) int { return a.Pool - b.Pool })
	return out
}

// nothingDone is the finding about visits that stand apart, which blocks where no pool size is left.
func nothingDone(scenario string, apart []rundoc.Visit, left bool) []advisor.Finding {
	if len(apart) == 0 {
		return nil
	}
	var sizes []string
	failing := true
	by := byPoolSize(apart)
	for _, l := range unfinished(apart) {
		none := 0
		for _, v := range by[l.Pool] {
			if v.TPS <= 0 {
				none++
				failing = failing && v.Failed > 0
			}
		}
		sizes = append(sizes, fmt.Sprintf("%d (%d of %d visits)", l.Pool, none, l.Visits))
	}
	f := advisor.Finding{Code: "R10", Scenario: scenario, Blocks: !left, Lift: "longer visits (--measure), of many times the time that a statement takes",
		Text: "the visits are too short for the statements: not one was finished at pool size " + strings.Join(sizes, ", ") + "; left out of the choice and of the fit"}
	if failing {
		f.Code, f.Lift = "R7", "see the errors in run.json; the operations have to succeed first"
		f.Text = "every operation failed at pool size " + strings.Join(sizes, ", ") + "; left out of the choice and of the fit"
	}
	return []advisor.Finding{f}
}
