package rules

import (
	"fmt"

	"pgfit/advisor"
	"pgfit/probe"
)

const (
	maxMaintenance = gB      // no more for the whole server; a large index build can set its own
	deadTuple      = 6       // bytes a vacuum keeps for each dead row before version 17
	deadTuple17    = 1       // about, in the tree of 17 and later
	vacuumAt       = 0.2     // autovacuum_vacuum_scale_factor's default
	minVacuum      = 64 * mB // the default of maintenance_work_mem
	unknownVacuum  = 256 * mB
)

// maintenanceWorkMem: a sixteenth of the memory, at most 1 GB and at most the largest table, since sorting an index in
// memory needs no more than that. One command uses it at a time as a rule, autovacuum workers get a limit of their own
// (autovacuum_work_mem). Nothing in a run measures it. Without the size of the data the cap is the sixteenth alone.
func maintenanceWorkMem(s *situation) verdict {
	if s.memory == 0 {
		return verdict{keep: noMemory}
	}
	target := min(nearest(s.memory/16), maxMaintenance)
	why := fmt.Sprintf("a sixteenth of the %s that the server may use, at most 1 GB: index builds and vacuum work in fewer passes", roughly(s.memory))
	if most := s.largestTable(); most > 0 && up(most) < target {
		target, why = up(most), fmt.Sprintf("the largest table has %s: an index over it can be sorted in memory with this", roughly(most))
	}
	if present := size(s.next, "maintenance_work_mem"); target <= present {
		return verdict{keep: "enough: " + why}
	}
	return verdict{value: s.bytes("maintenance_work_mem", target), reason: why, inputs: s.memoryInputs(),
		source: "PostgreSQL manual, Resource Consumption, maintenance_work_mem", lift: "timing CREATE INDEX on the largest table with both values"}
}

// largestTable in bytes; the whole data where tables are not known; 0 where neither is.
func (s *situation) largestTable() int64 {
	if t, ok := s.biggest(); ok && !s.facts.Server.Scratch {
		return t.Bytes
	}
	return s.data
}

func (s *situation) biggest() (probe.Table, bool) {
	var best probe.Table
	for _, t := range s.facts.Server.Tables {
		if t.Bytes > best.Bytes {
			best = t
		}
	}
	return best, best.Bytes > 0
}

// largestRows is the number of rows of the largest table, a row being taken for 100 bytes where only sizes are known.
func (s *situation) largestRows() int64 {
	var rows int64
	for _, t := range s.facts.Server.Tables {
		rows = max(rows, t.Rows)
	}
	if rows == 0 || s.facts.Server.Scratch {
		rows = s.largestTable() / 100
	}
	return rows
}

// autovacuumWorkMem: -1 follows maintenance_work_mem, for every worker. Once that is large, workers x it is memory that
// hardly any vacuum can use: the dead rows of the largest table at the default threshold take 6 bytes each before
// version 17 (and no vacuum uses more than 1 GB there) and about 1 byte from 17 on. So the workers get what that
// needs, at least 64 MB.
func autovacuumWorkMem(s *situation) verdict {
	value, _ := s.next.Int("autovacuum_work_mem")
	maintenance := size(s.next, "maintenance_work_mem")
	if value >= 0 {
		return verdict{keep: "set for autovacuum by itself"}
	}
	if maintenance <= 256*mB {
		return verdict{keep: "follows maintenance_work_mem, which every worker may well take"}
	}
	rows := s.largestRows()
	each := int64(deadTuple)
	if s.major() >= 17 {
		each = deadTuple17
	}
	workers, _ := s.next.Int("autovacuum_max_workers")
	why := fmt.Sprintf("%d workers would take maintenance_work_mem each", workers)
	if rows == 0 {
		return verdict{value: s.bytes("autovacuum_work_mem", unknownVacuum), confidence: "low",
			reason: fmt.Sprintf("%s; the tables are not known, and this holds the dead rows of one with %d million rows", why, unknownVacuum/each/2e5),
			source: "PostgreSQL manual, autovacuum_work_mem", lift: "the sizes of the tables"}
	}
	need := min(max(up(int64(1.2*vacuumAt*float64(rows)*float64(each))), minVacuum), maxMaintenance)
	if len(s.facts.Server.Tables) == 0 {
		need = min(need, unknownVacuum) // a guess at the rows carries no more
	}
	if need >= maintenance {
		return verdict{keep: "the largest table can use all of maintenance_work_mem"}
	}
	return verdict{value: s.bytes("autovacuum_work_mem", need), confidence: "high",
		reason: why + "; the dead rows of the largest table need no more than this",
		inputs: []advisor.Input{input("rows of the largest table", "about %d", rows), input("bytes for a dead row", "%d", each)},
		source: "PostgreSQL manual, autovacuum_work_mem", lift: "tables with more dead rows than one pass can hold (index_vacuum_count above 1)"}
}
