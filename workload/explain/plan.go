package explain

import (
	"encoding/json"
	"fmt"
	"strings"
)

// plan is the result of EXPLAIN (FORMAT JSON), as far as it is of use here.
type plan struct {
	Plan          node    `json:"Plan"`
	ExecutionTime float64 `json:"Execution Time"` // ms, with ANALYZE
	JIT           *struct {
		Timing struct {
			Total float64 `json:"Total"` // ms, with ANALYZE and TIMING
		} `json:"Timing"`
	} `json:"JIT"`
}

type node struct {
	Type            string `json:"Node Type"`
	Strategy        string `json:"Strategy"`
	Relation        string `json:"Relation Name"`
	Index           string `json:"Index Name"`
	WorkersLaunched int    `json:"Workers Launched"`
	Plans           []node `json:"Plans"`
	Workers         []used `json:"Workers"`
	TempWritten     int64  `json:"Temp Written Blocks"` // with those of its children
	used
}

// used is the memory and disk of a node, in the leader or in one worker, in kB.
type used struct {
	SortSpace  int64 `json:"Sort Space Used"`
	PeakMemory int64 `json:"Peak Memory Usage"`
	Disk       int64 `json:"Disk Usage"`
}

// largest is the most that one process used.
func (u used) largest() int64 { return max(u.SortSpace, u.PeakMemory, u.Disk) }

func parse(data []byte) (plan, error) {
	var all []plan
	if err := json.Unmarshal(data, &all); err != nil || len(all) != 1 {
		return plan{}, fmt.Errorf("reading a plan: %d of them, %w", len(all), err)
	}
	return all[0], nil
}

// each visits the nodes from the top down.
func (n *node) each(visit func(*node)) {
	visit(n)
	for i := range n.Plans {
		n.Plans[i].each(visit)
	}
}

// shape names the nodes with the tables and indexes they read, in order, so that plans can be told apart.
func (p plan) shape() string {
	var b strings.Builder
	var write func(n *node)
	write = func(n *node) {
		b.WriteString(n.Type)
		if n.Strategy != "" && n.Strategy != "Plain" {
			b.WriteString(" " + n.Strategy)
		}
		for _, of := range []string{n.Relation, n.Index} {
			if of != "" {
				b.WriteString(" " + of)
			}
		}
		for i := range n.Plans {
			b.WriteString(map[bool]string{true: " (", false: ", "}[i == 0])
			write(&n.Plans[i])
		}
		if len(n.Plans) > 0 {
			b.WriteString(")")
		}
	}
	write(&p.Plan)
	return b.String()
}

// has tells whether the plan has such a node.
func (p plan) has(kind string) (found bool) {
	p.Plan.each(func(n *node) { found = found || n.Type == kind })
	return found
}

// memoryNodes counts the nodes that may each take work_mem, and those that may take hash_mem_multiplier as much (manual,
// hash_mem_multiplier; Memoize asks get_hash_memory_limit too).
func (p plan) memoryNodes() (sorts, hashes int) {
	p.Plan.each(func(n *node) {
		switch n.Type {
		case "Sort", "Incremental Sort", "Materialize", "WindowAgg":
			sorts++
		case "Hash", "Memoize":
			hashes++
		case "Aggregate", "SetOp":
			if n.Strategy == "Hashed" || n.Strategy == "Mixed" {
				hashes++
			}
		}
	})
	return sorts, hashes
}

// largest is the most kB that one sort, hash or aggregate used, in memory or on disk.
func (p plan) largest() (kB int64) {
	p.Plan.each(func(n *node) {
		kB = max(kB, n.largest())
		for _, w := range n.Workers {
			kB = max(kB, w.largest())
		}
	})
	return kB
}

func (p plan) workers() (count int) {
	p.Plan.each(func(n *node) { count += n.WorkersLaunched })
	return count
}
