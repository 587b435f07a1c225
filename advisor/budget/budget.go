// Package budget knows what a set of settings can cost at worst: memory when every allowed connection does what it may
// do, disk for WAL, and the time a crash recovery takes. It does not know which settings would be good ones, and it
// refuses to guess a limit for a machine whose memory nobody has read.
package budget

import (
	"fmt"
	"math"

	"pgfit/advisor"
	"pgfit/probe"
	"pgfit/probe/guc"
)

const (
	kB = int64(1) << 10
	mB = int64(1) << 20
	gB = int64(1) << 30

	// Share is the part of the memory that a worst case may fill. The rest is the kernel's, the page cache's and that
	// of what the sum leaves out (temporary tables, logical decoding, extensions).
	Share = 0.8

	// BusyBackend is what a working connection takes besides work_mem: catalogue and plan caches, parse trees.
	BusyBackend = 10 * mB
	// IdleBackend is the memory of its own that a connection keeps between statements: 1.8 MB on 15.18, Linux, measured as
	// Private_Dirty of /proc/PID/smaps_rollup (2.6 MB in the middle of pgbench's transactions).
	IdleBackend = 2 * mB

	// defaultHashes is how many hashes one statement holds in memory at once where no plan was seen.
	defaultHashes = 2
)

// Load is what the settings have to carry. The zero value is a server about whose use nothing is known.
type Load struct {
	Active        int         // connections that run a statement at the same time; 0: assumed from the CPUs
	Statements    []Statement // whose plans were seen; none: two hashes are assumed
	WALRate       float64     // bytes per second; 0: not measured, recovery is then bounded by max_wal_size alone
	RecoveryLimit float64     // seconds; 0: no limit
	Shared        bool        // other programs use the machine: what they hold now is not the server's
}

// Worst adds up the worst case of the settings s on the machine of f. Settings that s does not have count nothing.
// After the formula that searches of configurations use as a hard constraint: shared memory + active connections x
// (work_mem x hash_mem_multiplier x nodes + 10 MB) + parallel workers + autovacuum workers x their memory, within 80 %
// of the smaller of memory and cgroup limit; the nodes are those of the heaviest statement seen (Statement).
func Worst(s guc.Settings, f probe.Facts, l Load) advisor.Budget {
	b := advisor.Budget{Memory: memory(s, f, l)}
	for _, line := range b.Memory {
		b.Total = saturate(float64(b.Total) + float64(line.Bytes))
	}
	if limit, ok := Limit(f, l.Shared); ok {
		b.Limit, b.Over = limit, b.Total > limit
	}
	b.WALDisk = walDisk(s)
	if free, ok := f.WALStorage().Free.Get(); ok {
		b.DiskFree, b.DiskOver = free, b.WALDisk > free
	}
	b.Recovery, b.Replay = Recovery(s, f, l.WALRate), ReplayRate(f)
	b.RecoveryLimit = l.RecoveryLimit
	b.RecoveryOver = l.RecoveryLimit > 0 && b.Recovery > l.RecoveryLimit
	return b
}

// Limit is the memory a worst case may fill, in bytes: 80 % of what Machine says.
func Limit(f probe.Facts, shared bool) (int64, bool) {
	m, ok := Machine(f, shared)
	return int64(Share * float64(m)), ok
}

// Machine is the memory that is there for the server, in bytes: the smallest of RAM and every cgroup limit, and on a
// machine shared with other programs no more than they leave.
func Machine(f probe.Facts, shared bool) (int64, bool) {
	m, ok := f.Host.Memory.Budget.Get()
	if !ok {
		m, ok = f.Host.Memory.Total.Get()
	}
	if !ok || m <= 0 {
		return 0, false
	}
	if free, held, _, ok := Left(f); ok && shared {
		m = min(m, free+held)
	}
	return m, true
}

// Left is what other programs on the machine leave the server, in bytes: what is available now and what the server holds
// already. Where nobody could read the latter, it is assumed to be the whole of shared_buffers and measured is false; ok
// is false where not even the former is known.
func Left(f probe.Facts) (available, held int64, measured, ok bool) {
	available, ok = f.Host.Memory.Available.Get()
	if !ok {
		return 0, 0, false, false
	}
	if held, measured = f.Host.Memory.Server.Get(); !measured {
		held = size(f.Server.Settings, "shared_buffers")
	}
	return available, held, measured, true
}

func memory(s guc.Settings, f probe.Facts, l Load) []advisor.BudgetLine {
	active, assumed := Active(s, f, l)
	who := "from the measured pools"
	if assumed {
		who = "assumed: 4 for each CPU, at least 10"
	}
	each := heaviest(s, l)
	share := each.memory(s)
	idle := max(0, connections(s)-active)
	workers := ParallelWorkers(s, active)
	vacuums, theirs := autovacuum(s, f)
	maintenance := size(s, "maintenance_work_mem")
	buffers := size(s, "shared_buffers")
	return []advisor.BudgetLine{
		{What: "shared_buffers", Bytes: buffers},
		{What: "wal_buffers and other shared memory", Bytes: SharedMemory(s) - buffers},
		{What: fmt.Sprintf("%d active connections (%s), each with %s", active, who, each),
			Bytes: saturate(float64(active) * share)},
		{What: fmt.Sprintf("%d parallel workers, the same and %d MB each", workers, BusyBackend/mB),
			Bytes: saturate(float64(workers) * (share + float64(BusyBackend)))},
		{What: fmt.Sprintf("%d active backends of %d MB", active, BusyBackend/mB), Bytes: int64(active) * BusyBackend},
		{What: fmt.Sprintf("%d more connections allowed, idle, of %d MB", idle, IdleBackend/mB), Bytes: int64(idle) * IdleBackend},
		{What: fmt.Sprintf("%d autovacuum workers of %s", vacuums, guc.FormatBytes(theirs)), Bytes: saturate(float64(vacuums) * float64(theirs))},
		{What: "one maintenance command of maintenance_work_mem", Bytes: maintenance},
	}
}

// Active is how many connections are counted as running a statement at once, and whether that is an assumption. More
// than the server lets in cannot be active.
func Active(s guc.Settings, f probe.Facts, l Load) (n int, assumed bool) {
	n = l.Active
	if n <= 0 {
		assumed = true
		n = 10
		if cpus, ok := f.Host.CPU.Effective.Get(); ok {
			n = max(n, int(math.Ceil(4*cpus)))
		}
	}
	if c := connections(s); c > 0 {
		n = min(n, c)
	}
	return n, assumed
}

// ParallelWorkers is how many parallel workers can run for that many active connections.
func ParallelWorkers(s guc.Settings, active int) int {
	n, ok := s.Int("max_parallel_workers")
	if !ok {
		return 0
	}
	if all, ok := s.Int("max_worker_processes"); ok {
		n = min(n, all)
	}
	if gather, ok := s.Int("max_parallel_workers_per_gather"); ok {
		n = min(n, gather*int64(active))
	}
	return int(max(0, n))
}

// Room is the largest work_mem in bytes with which Worst still keeps the limit, everything else as in s; false when
// the limit is unknown. It can be negative: then no work_mem fits.
func Room(s guc.Settings, f probe.Facts, l Load) (int64, bool) {
	limit, ok := Limit(f, l.Shared)
	if !ok {
		return 0, false
	}
	active, _ := Active(s, f, l)
	n := float64(active + ParallelWorkers(s, active))
	if n <= 0 {
		return limit, true
	}
	rest := float64(Worst(s, f, l).Total) - n*heaviest(s, l).memory(s)
	share := (float64(limit) - rest) / n
	if share <= 0 {
		return int64(share), true
	}
	lo, hi, mult := 0., share, multiplier(s) // one hash takes as much as that at least
	for range 64 {
		if mid := lo + (hi-lo)/2; heaviestOf(mid, mult, l).holds(mid, mult) > share {
			hi = mid
		} else {
			lo = mid
		}
	}
	return int64(lo), true
}

func multiplier(s guc.Settings) float64 {
	if m, ok := s.Float("hash_mem_multiplier"); ok {
		return max(1, m)
	}
	return 1
}

func connections(s guc.Settings) int {
	n, _ := s.Int("max_connections")
	return int(n)
}

// autovacuum is the number of workers and the memory of one. Before 17 a vacuum keeps dead tuples in one array of at
// most 1 GB, whatever the setting says (manual of 16, autovacuum_work_mem).
func autovacuum(s guc.Settings, f probe.Facts) (workers int64, each int64) {
	workers, _ = s.Int("autovacuum_max_workers")
	if slots, ok := s.Int("autovacuum_worker_slots"); ok {
		workers = min(workers, slots)
	}
	each = size(s, "autovacuum_work_mem")
	if each <= 0 {
		each = size(s, "maintenance_work_mem")
	}
	if major := f.Server.Major(); major > 0 && major < 17 {
		each = min(each, gB)
	}
	return workers, each
}

// size is a size setting in bytes; unknown and automatic (-1) count 0.
func size(s guc.Settings, name string) int64 {
	v, _ := s.Bytes(name)
	return max(0, v)
}

// saturate keeps absurd settings from wrapping round to a small number.
func saturate(v float64) int64 { return int64(min(v, float64(int64(1)<<60))) }
