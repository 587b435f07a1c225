package pool

import (
	"pgfit/advisor"
	"pgfit/workload/rundoc"
)

// Check says which pools are worth a check at the demanded rate: the recommended one, the guide's by its table, and the
// present one, in connections over all processes. Without a demand, or where the server cannot carry it, there is none.
func Check(p advisor.PoolAdvice, d rundoc.Demand, findings []advisor.Finding) (pools []int, rate float64, scenarios []string) {
	rate = Rate(d)
	if rate == 0 || p.Total == 0 {
		return nil, 0, nil
	}
	hopeless := map[string]bool{}
	for _, f := range findings {
		if f.Code == "R9" {
			hopeless[f.Scenario] = true
		}
	}
	for _, s := range p.Scenarios {
		if !hopeless[s.Scenario] {
			scenarios = append(scenarios, s.Scenario)
		}
	}
	pools = []int{p.Processes * (p.PoolSize + p.MaxOverflow)}
	for _, c := range p.Comparators {
		if c.Name == guidesTable || c.Name == present {
			pools = append(pools, int(c.Connections))
		}
	}
	return pools, rate, scenarios
}
