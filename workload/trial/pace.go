package trial

import (
	"slices"
	"time"

	"pgfit/workload/rundoc"
)

// Pace is what comparisons took so far. The zero value knows nothing.
type Pace struct {
	took time.Duration            // the longest of them
	each map[string]time.Duration // of it, the visits to each scenario
}

// Add takes note of a comparison.
func (p *Pace) Add(took time.Duration, visits []rundoc.TrialVisit) {
	if took <= p.took {
		return
	}
	p.took, p.each = took, map[string]time.Duration{}
	for _, v := range visits {
		p.each[v.Scenario] += time.Duration((v.Seconds + v.CheckpointSeconds) * float64(time.Second))
	}
}

// Known tells whether there was a comparison.
func (p *Pace) Known() bool { return p.took > 0 }

// Expect is how long a comparison under these scenarios (nil: all) will take at most: as long as the longest so far, less the
// visits to scenarios that it goes without. What each start and warm-up takes for those stays in.
func (p *Pace) Expect(scenarios []string) time.Duration {
	left := p.took
	for name, visits := range p.each {
		if scenarios != nil && !slices.Contains(scenarios, name) {
			left -= visits
		}
	}
	return left
}
