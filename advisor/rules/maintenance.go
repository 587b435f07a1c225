package rules

import (
	"fmt"

	"pgfit/advisor"
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
// memory needs no more than that (at most all data, where tables are not known; on a scratch server nothing bounds it). One command uses it at a time as a rule, autovacuum workers get a limit of their own
// (autovacuum_work_mem). Nothing in a run measures it. Without the size of the data the cap is the sixteenth alone.
func maintenanceWorkMem(s *situation) verdict {
	if s.memory == 0 {
		return verdict{keep: noMemory}
	}
	target := min(nearest(s.memory/16), maxMaintenance)
	why := fmt.Sprintf("a sixteenth of the %s that the server may use, at most 1 GB: index builds and vacuum work in fewer passes", roughly(s.memory))
	if most, what := s.largestTable(); most > 0 && up(most) < target {
		target, why = up(most), fmt.Sprintf("%s %s: an index over it can be sorted in memory with this", what, roughly(most))
	}
	if present := size(s.next, "maintenance_work_mem"); target <= present {
		return verdict{keep: "enough: " + why}
	}
	return verdict{value: s.bytes("maintenance_work_mem", target), reason: why, inputs: s.memoryInputs(),
		source: "PostgreSQL manual, Resource Consumption, maintenance_work_mem", lift: "timing CREATE INDEX on the largest table with both values"}
}

// largestTable is the size in bytes of the user's largest table, and how to say so; of all data together where tables are
// not known, 0 where neither is.
func (s *situation) largestTable() (bytes int64, what string) {
	if s.facts.Server.Scratch {
		return 0, ""
	}
	for _, t := range s.facts.Server.Tables {
		bytes = max(bytes, t.Bytes)
	}
	if bytes > 0 {
		return bytes, "the largest table has"
	}
	return s.users, "no table is larger than all data together,"
}

// largestRows is the number of rows of the user's largest table, and how to say so; a row is taken for 100 bytes where only
// sizes are known. 0 where nothing is.
func (s *situation) largestRows() (rows int64, what string) {
	bytes, _ := s.largestTable()
	if s.facts.Server.Scratch {
		return 0, ""
	}
	for _, t := range s.facts.Server.Tables {
		rows = max(rows, t.Rows)
	}
	switch {
	case rows > 0:
		return rows, "rows of the largest table"
	case len(s.facts.Server.Tables) > 0:
		return bytes / 100, "rows of the largest table, of 100 bytes each"
	}
	return bytes / 100, "rows of all data, of 100 bytes each"
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
	rows, what := s.largestRows()
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
		inputs: []advisor.Input{input(what, "about %d", rows), input("bytes for a dead row", "%d", each)},
		source: "PostgreSQL manual, autovacuum_work_mem", lift: "tables with more dead rows than one pass can hold (index_vacuum_count above 1)"}
}
