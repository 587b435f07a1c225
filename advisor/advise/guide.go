package advise

import (
	"fmt"

	"pgfit/advisor"
	"pgfit/advisor/pool"
	"pgfit/profiles"
	"pgfit/workload/rundoc"
)

// guidePool puts the house guide's numbers in the place of the measured pool: the row of its traffic table where the demand
// is known, else its example for the kind of work. What was measured stays among the reasons.
func guidePool(measured advisor.PoolAdvice, d rundoc.Demand, workload string) (advisor.PoolAdvice, error) {
	g, err := profiles.Guide()
	if err != nil {
		return measured, err
	}
	p := measured
	p.Method, p.Processes, p.PgBouncer, p.Scenarios, p.Warnings = advisor.Guide, max(1, d.Processes), nil, nil, nil
	usual := example(g, "default")
	p.PoolTimeout, p.PoolRecycle = usual.PoolTimeout, usual.PoolRecycle
	each := pool.Rate(d) / float64(p.Processes) // every process has a pool, for its share of the traffic
	if row, ok := g.TrafficFor(each); ok && each > 0 {
		p.PoolSize, p.MaxOverflow, p.PoolTimeout = row.PoolSize, row.MaxOverflow, row.PoolTimeout
		p.Reasons = []string{fmt.Sprintf("%s, at %.0f requests a second", row.Source, each)}
		if p.Processes > 1 {
			p.Reasons[0] += " in each process"
		}
	} else {
		e := example(g, map[string]string{"web": "read-heavy", "dw": "read-heavy", "oltp": "write-heavy"}[workload])
		p.PoolSize, p.MaxOverflow = e.PoolSize, e.MaxOverflow
		if e.PoolTimeout > 0 {
			p.PoolTimeout = e.PoolTimeout
		}
		if e.PoolRecycle > 0 {
			p.PoolRecycle = e.PoolRecycle
		}
		p.Reasons = []string{e.Source}
	}
	if measured.Total > 0 {
		p.Reasons = append(p.Reasons, fmt.Sprintf("measured: pool_size %d and max_overflow %d for each process (--rules pgfit)", measured.PoolSize, measured.MaxOverflow))
	}
	p.PerProcess = p.PoolSize + p.MaxOverflow
	p.Total = p.Processes * p.PerProcess
	p.MaxConnections += p.Total - measured.Processes*(measured.PoolSize+measured.MaxOverflow)
	p.MaxConnections = max(p.MaxConnections, p.Total)
	return p, nil
}

// example is one of the guide's pools by name, the default one where there is none of that name.
func example(g profiles.GuideProfile, name string) profiles.GuidePool {
	var usual profiles.GuidePool
	for _, p := range g.Pools {
		if p.Name == name {
			return p
		}
		if p.Name == "default" {
			usual = p
		}
	}
	return usual
}
