package pool

import (
	"fmt"
	"math"

	"pgfit/advisor"
)

// Guide is the house guide's formula, connections = max_concurrent x avg_query_time / request_duration, and its split:
// four fifths as pool_size, a fifth more than the formula in all. Its example, 100 x 0.05 / 0.2, gives 25 = 20 + 10.
func Guide(rate, queryTime float64) (connections float64, poolSize, maxOverflow int) {
	connections = rate * queryTime
	whole := math.Max(1, math.Ceil(connections-1e-9))
	poolSize = max(1, int(math.Floor(4*whole/5)))
	total := int(math.Ceil(6 * whole / 5))
	return connections, poolSize, total - poolSize
}

// tier is a row of the guide's traffic table, up to a rate of requests a second.
type tier struct {
	below                          float64
	name                           string
	poolSize, maxOverflow, timeout int
}

// tiers are the guide's "Tuning Guidelines"; the shared edges 10 and 50 go to the upper row.
var tiers = []tier{
	{10, "low traffic", 5, 5, 30}, {50, "medium traffic", 10, 10, 30}, {200.0000001, "high traffic", 20, 10, 30}, {math.Inf(1), "very high traffic", 30, 20, 60},
}

// Names of comparators that others look for.
const (
	guidesTable = "guide's table"
	present     = "present"
)

// comparators are the answers of others.
func comparators(in Input) []advisor.Comparator {
	var out []advisor.Comparator
	rate, processes := Rate(in.Demand), max(1, in.Demand.Processes)
	if rate > 0 && len(in.Curves) > 0 {
		query := 0.0
		for _, c := range in.Curves {
			query = math.Max(query, c.Idle)
		}
		n, size, over := Guide(rate, query)
		out = append(out, advisor.Comparator{Name: "guide's formula", Connections: n, PoolSize: size, MaxOverflow: over,
			How: fmt.Sprintf("%.0f requests/s x %.2f ms measured without contention; the mean number busy, no headroom", rate, 1e3*query)})
		for _, t := range tiers {
			if each := rate / float64(processes); each < t.below { // every process has such a pool, for its share of the traffic
				how := t.name
				if processes > 1 {
					how = fmt.Sprintf("%s, %.0f requests/s in each of %d processes", t.name, each, processes)
				}
				out = append(out, advisor.Comparator{Name: guidesTable, Connections: float64((t.poolSize + t.maxOverflow) * processes), PoolSize: t.poolSize,
					MaxOverflow: t.maxOverflow, PoolTimeout: t.timeout, How: how})
				break
			}
		}
	}
	if in.CPUs > 0 {
		n := in.CPUs*2 + float64(in.Spindles)
		out = append(out, advisor.Comparator{Name: "cores x 2 + spindles", Connections: n,
			How: fmt.Sprintf("%g CPUs, %d spindles (PostgreSQL wiki, Number Of Database Connections)", in.CPUs, in.Spindles)})
	}
	if d := in.Demand; d.PoolSize > 0 {
		out = append(out, advisor.Comparator{Name: present, Connections: float64((d.PoolSize + d.MaxOverflow) * processes), PoolSize: d.PoolSize,
			MaxOverflow: d.MaxOverflow, How: fmt.Sprintf("configured, %d processes", processes)})
	}
	for i := range out {
		out[i].Loss = loss(in, out[i].Connections)
	}
	return out
}

// loss is the throughput that n connections give away at the worst; -1 where it is not known.
func loss(in Input, n float64) float64 {
	worst := -1.0
	for _, c := range in.Curves {
		if !c.Known(n) {
			return -1
		}
		worst = math.Max(worst, 1-c.Throughput(n)/c.At(c.Best).TPS)
	}
	return worst
}
