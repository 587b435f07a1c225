package probe

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// memory reads totals and limits in bytes. The budget is the smallest of all of them: above memory.high the kernel reclaims
// and throttles, so that is a limit too.
func (e Env) memory(pid string, info readings) Memory {
	m := Memory{Total: info.fact("MemTotal"), Available: info.fact("MemAvailable"), SwapTotal: info.fact("SwapTotal"), CommitMax: info.fact("CommitLimit"),
		Committed: info.fact("Committed_AS")}
	total := int64(math.MaxInt64)
	if v, ok := m.Total.Get(); ok && v > 0 {
		total = v
	} else if m.Total.State == Known || info != nil && len(info) == 0 {
		m.Total.State, m.Total.Value = Implausible, 0
	}
	if arc := e.arc(); arc > 0 && m.Available.OK() {
		m.Available.Note = fmt.Sprintf("ZFS's own cache holds %d MB more, most of which it gives back", arc>>20)
	}
	e.memoryLimits(&m, pid, total)
	m.Budget = m.Total
	for _, limit := range []Fact[int64]{m.CgroupMax, m.CgroupHigh} {
		if v, ok := limit.Get(); ok && (!m.Budget.OK() || v < m.Budget.Value) {
			m.Budget = limit
		}
	}
	if m.Budget.OK() && m.Budget.Note == "" && !m.CgroupMax.OK() {
		switch m.CgroupMax.State {
		case Denied:
			m.Budget.Note = "a container limit may exist that cannot be seen from here"
		case Implausible:
			m.Budget.Note = m.CgroupMax.Source + " makes no sense"
		default:
			m.Budget.Note = m.CgroupMax.Note
		}
	}
	return m
}

func (e Env) memoryLimits(m *Memory, pid string, total int64) {
	g, ok := e.controller(pid, "memory")
	if !ok {
		none := Fact[int64]{State: Absent, Source: "no memory cgroup"}
		m.CgroupMax, m.CgroupHigh, m.SwapMax = none, none, none
		return
	}
	if g.v2 {
		m.CgroupMax, m.CgroupHigh = g.limit("memory.max", total, false), g.limit("memory.high", total, false)
		m.SwapMax = g.limit("memory.swap.max", noLimitV1, true)
		return
	}
	m.CgroupMax = g.limitV1("memory.limit_in_bytes", "hierarchical_memory_limit", total)
	m.CgroupHigh = Fact[int64]{State: Absent, Source: "cgroup version 1 has no memory.high"}
	m.SwapMax = g.limitV1("memory.memsw.limit_in_bytes", "hierarchical_memsw_limit", noLimitV1)
	if m.SwapMax.OK() {
		m.SwapMax.Note = "memory and swap together"
	}
}

// arc is the size in bytes of ZFS's cache, which the kernel does not count as available though it shrinks on demand; 0 where
// there is no ZFS.
func (e Env) arc() int64 {
	s, _ := e.text("/proc/spl/kstat/zfs/arcstats")
	for line := range strings.Lines(s) { // name type data
		if f := strings.Fields(line); len(f) == 3 && f[0] == "size" {
			v, _ := strconv.ParseInt(f[2], 10, 64)
			return v
		}
	}
	return 0
}

// noLimitV1 is where version 1's "no limit" begins: 2^63 rounded down to a page of 64 kB at most.
const noLimitV1 = math.MaxInt64 &^ (1<<16 - 1)
