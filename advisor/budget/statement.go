package budget

import (
	"fmt"
	"math"
	"strings"

	"pgfit/probe/guc"
)

// Growth is how many times what it used a statement is counted with that was run and found room for all it sorted and hashed:
// data grow. A choice.
const Growth = 4

// Statement is what one process of a statement may hold in memory at once, as its plan says (manual, work_mem and
// hash_mem_multiplier). The zero value is a statement that holds none.
type Statement struct {
	Name   string
	Sorts  int   // nodes that may take work_mem
	Hashes int   // nodes that may take hash_mem_multiplier as much
	Used   int64 // bytes that no node went beyond when it was run, none having spilled; 0: not known, each may take all
}

// unseen is counted where a run saw nothing heavier: a statement that it did not see has one hash at least.
var unseen = Statement{Hashes: 1}

// holds is its memory in bytes.
func (st Statement) holds(workMem, multiplier float64) float64 {
	most := math.Inf(1)
	if st.Used > 0 {
		most = Growth * float64(st.Used)
	}
	return float64(st.Sorts)*math.Min(workMem, most) + float64(st.Hashes)*math.Min(workMem*multiplier, most)
}

func (st Statement) memory(s guc.Settings) float64 {
	return st.holds(float64(size(s, "work_mem")), multiplier(s))
}

// heaviest is the statement that may hold most under the settings s.
func heaviest(s guc.Settings, l Load) Statement {
	return heaviestOf(float64(size(s, "work_mem")), multiplier(s), l)
}

func heaviestOf(workMem, multiplier float64, l Load) Statement {
	if len(l.Statements) == 0 {
		return Statement{Hashes: defaultHashes}
	}
	most := unseen
	for _, st := range l.Statements {
		if st.holds(workMem, multiplier) > most.holds(workMem, multiplier) {
			most = st
		}
	}
	return most
}

// String is "2 sorts of work_mem and 1 hash of work_mem x hash_mem_multiplier (daily-report)".
func (st Statement) String() string {
	var parts []string
	add := func(n int, what, plural, of string) {
		switch {
		case n == 1:
			parts = append(parts, "1 "+what+" of "+of)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s of %s", n, plural, of))
		}
	}
	add(st.Sorts, "sort", "sorts", "work_mem")
	add(st.Hashes, "hash", "hashes", "work_mem x hash_mem_multiplier")
	text := strings.Join(parts, " and ")
	if st.Used > 0 {
		text += fmt.Sprintf(", %s at most for one, %d times what was seen", guc.FormatBytes(Growth*st.Used), Growth)
	}
	if st.Name != "" {
		text += " (" + st.Name + ")"
	}
	return text
}
