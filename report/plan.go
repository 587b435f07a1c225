package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"pgfit/advisor/pool"
	"pgfit/workload/rundoc"
)

// PlanText says what a run is going to do, how long it takes and what precision it can promise.
func PlanText(doc *rundoc.Document, now time.Time) string {
	p := doc.Plan
	var b strings.Builder
	fmt.Fprintf(&b, "target     %s\n", doc.Target)
	fmt.Fprintf(&b, "data       %s in schema %s, dropped at the end\n", Size(p.DataBytes), p.Schema)
	fmt.Fprintf(&b, "scenarios  %s\n", strings.Join(p.Scenarios, ", "))
	fmt.Fprintf(&b, "sweep      pool sizes %s; %d rounds in random order, seed %d\n", ints(p.Levels), p.Rounds, p.Seed)
	fmt.Fprintf(&b, "visits     %d, each %s of warm-up and %s measured; first warm-up %s\n", len(p.Levels)*len(p.Scenarios)*p.Rounds,
		Seconds(p.WarmupSeconds), Seconds(p.MeasureSeconds), Seconds(p.FirstWarmup))
	if p.PromisePercent > 0 {
		fmt.Fprintf(&b, "precision  about ±%.0f %% for the throughput of a pool size, if visits differ by 5 %%\n", p.PromisePercent)
	}
	if p.CheckRounds > 0 {
		fmt.Fprintf(&b, "check      the recommended, the guide's and the present pool at %s/s, %d rounds of %s each\n", Rate(demanded(doc)), p.CheckRounds, Seconds(p.CheckSeconds))
	}
	end := now.Add(time.Duration(p.BudgetSeconds * float64(time.Second)))
	fmt.Fprintf(&b, "ends       by %s (budget %s)", end.Format("15:04:05"), Seconds(p.BudgetSeconds))
	return b.String()
}

func demanded(doc *rundoc.Document) float64 { return pool.Rate(doc.Demand) }

// LoadNotice says what load will mean for a server that pgfit did not start.
func LoadNotice(doc *rundoc.Document) string {
	s := doc.Facts.Server
	size := "unknown size"
	if v, ok := s.DatabaseBytes.Get(); ok {
		size = Size(v)
	}
	return fmt.Sprintf("pgfit will put load on database %s (%s) at %s, PostgreSQL %s, for about %s, on up to %d connections beside the %d in use.\n"+
		"It writes only in a schema %q of its own and drops it at the end, and asks for a checkpoint before it begins; the load competes with whatever else the server does.",
		s.Database, size, doc.Target, s.Version, Seconds(doc.Plan.BudgetSeconds), maxLevel(doc.Plan.Levels)+3, s.InUse, doc.Plan.Schema)
}

func maxLevel(levels []int) int {
	top := 0
	for _, n := range levels {
		top = max(top, n)
	}
	return top
}

func ints(v []int) string {
	words := make([]string, len(v))
	for i, n := range v {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}
