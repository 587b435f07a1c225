package probe

import (
	"fmt"
	"strconv"
	"strings"
)

// resident is what a process has in memory, in bytes (proc(5)). Pages of files are left out: the kernel can drop them, and
// counts them as available.
type resident struct {
	own    int64 // anonymous
	shared int64
	huge   int64 // of the huge page pool, which is not available either
}

// shareLimit is how much resident memory of all processes the kernel is asked to divide among those that share it. It looks
// at each page for that, some 25 ms a gigabyte as measured on a small machine.
const shareLimit = 8 << 30

// held is what a server holds in memory now: what its processes have for themselves and what they share, counted once. The
// kernel divides it exactly where it may be asked and where that is quick. Else the sum is a lower bound: of the shared
// memory as much as the process has that touched most of it, and what the others inherited from the postmaster not again.
func (e Env) held(postmaster string) Fact[int64] {
	from := procFile(postmaster, "status")
	if postmaster == unseen {
		return Fact[int64]{State: Denied, Source: "/proc", Note: notSeen}
	}
	all, state := e.residents(postmaster)
	if state != Known {
		return Fact[int64]{State: state, Source: from}
	}
	first, least, total := all[postmaster], resident{}, int64(0)
	for pid, p := range all {
		total += p.own + p.shared
		if pid != postmaster {
			p.own = max(0, p.own-first.own)
		}
		least = resident{least.own + p.own, max(least.shared, p.shared), max(least.huge, p.huge)}
	}
	if total <= shareLimit {
		if sum, ok := e.shares(all); ok {
			f := Is(sum+least.huge, procFile(postmaster, "smaps_rollup"))
			f.Note = fmt.Sprintf("%d processes", len(all))
			return f
		}
	}
	f := Is(least.own+least.shared+least.huge, from)
	f.Note = fmt.Sprintf("%d processes, at least", len(all))
	return f
}

// residents reads a postmaster and its children.
func (e Env) residents(postmaster string) (map[string]resident, State) {
	first, _, state := e.resident(postmaster)
	if state != Known {
		return nil, state
	}
	out := map[string]resident{postmaster: first}
	names, _ := e.Files.ReadDir("/proc")
	for _, pid := range names {
		if pid[0] < '0' || pid[0] > '9' {
			continue
		}
		if p, parent, state := e.resident(pid); state == Known && parent == postmaster {
			out[pid] = p
		}
	}
	return out, Known
}

// resident reads one process. Kernels before 4.5 do not tell the kinds of memory apart.
func (e Env) resident(pid string) (p resident, parent string, state State) {
	s, state := e.text(procFile(pid, "status"))
	if state != Known {
		return p, "", state
	}
	parent = lineOf(s, "PPid")
	own, ok := kilobytes(s, "RssAnon")
	if !ok {
		return p, parent, Absent
	}
	shared, _ := kilobytes(s, "RssShmem")
	huge, _ := kilobytes(s, "HugetlbPages")
	return resident{own, shared, huge}, parent, Known
}

// shares adds up the processes' shares of the memory that they have, as the kernel divides it (from 5.3 on).
func (e Env) shares(all map[string]resident) (sum int64, ok bool) {
	for pid := range all {
		s, state := e.text(procFile(pid, "smaps_rollup"))
		own, ok := kilobytes(s, "Pss_Anon")
		shared, ok2 := kilobytes(s, "Pss_Shmem")
		if state != Known || !ok || !ok2 {
			return 0, false
		}
		sum += own + shared
	}
	return sum, true
}

// kilobytes is a line "name: 12 kB" in bytes.
func kilobytes(text, name string) (int64, bool) {
	kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(lineOf(text, name), "kB")), 10, 64)
	if err != nil || kb < 0 || kb > 1<<43 {
		return 0, false
	}
	return kb << 10, true
}

// lineOf is the value of a line "name: value".
func lineOf(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
