package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgfit/advisor"
	"pgfit/workload/rundoc"
)

// readDepth is the smallest queue depth at which the measured disk gives 90 % of its best random read rate; 0 when it
// was not measured.
func (s *situation) readDepth() (depth int, evidence []advisor.Input) {
	b := s.facts.DataStorage().Bench
	if b == nil || len(b.Random) == 0 {
		return 0, nil
	}
	best := 0.0
	for _, r := range b.Random {
		best = max(best, r.IOPS)
	}
	for _, r := range b.Random {
		if r.IOPS >= 0.9*best && (depth == 0 || r.Depth < depth) {
			depth = r.Depth
		}
	}
	return depth, []advisor.Input{input("random 8 kB reads at best", "%.0f a second, 90 %% of it from queue depth %d", best, depth)}
}

// queueLimit is the largest depth the device takes, 256 at most.
func (s *situation) queueLimit() int {
	limit := 256
	for _, d := range s.facts.DataStorage().Leaves {
		if n, ok := d.QueueTags.Get(); ok && n > 0 {
			limit = min(limit, n)
		}
	}
	return limit
}

// effectiveIOConcurrency: the depth at which the measured disk is nearly at its best, halved since more than one session
// reads (all of the CPUs' sessions in a data warehouse), at most what the device queues. Up to 17 it acts on bitmap
// heap scans alone, so a run without one keeps the present value; from 18 on it acts on every read stream, the
// default of 16 is sound, and only a much deeper or a very shallow device changes it (manual,
// effective_io_concurrency). A run that never reads the disk keeps it too.
func effectiveIOConcurrency(s *situation) verdict {
	const name = "effective_io_concurrency"
	v := s.concurrencyByDisk(name)
	if tried, decided := s.byTrial(name); decided {
		if s.inert(name) {
			tried.keep += s.elsewhere(name, v)
		}
		return tried
	}
	if v.value != "" && s.major() < 18 && len(s.probes) > 0 && !s.planHas("Bitmap Heap Scan") {
		return verdict{keep: "before 18 it acts on bitmap heap scans, and no plan of the run has one" + s.elsewhere(name, v)}
	}
	return v
}

// concurrencyByDisk is effective_io_concurrency by the measured disk alone.
func (s *situation) concurrencyByDisk(name string) verdict {
	depth, inputs := s.readDepth()
	if depth == 0 {
		return verdict{keep: "the disk was not measured"}
	}
	sessions := 2
	if s.workload == "dw" {
		sessions = max(2, int(s.cpus))
	}
	target := min(max(depth/sessions, 1), s.queueLimit())
	present, _ := s.next.Int(name)
	if s.major() >= 18 && depth > 4 && depth < 32 {
		return verdict{keep: fmt.Sprintf("the disk is at its best from queue depth %d; the default suits it", depth)}
	}
	if hi, ok := maxOf(s, name); ok && hi == 0 {
		return verdict{keep: "this platform has no read-ahead advice"}
	}
	if int64(target) < present && s.major() < 18 {
		return verdict{keep: "above what one session needs; nothing measured speaks for less"}
	}
	return verdict{value: strconv.Itoa(target), method: advisor.Measured, inputs: inputs, confidence: "low",
		reason: fmt.Sprintf("the disk gives its best from queue depth %d, shared by %d reading sessions", depth, sessions),
		source: "PostgreSQL manual, effective_io_concurrency; random reads measured at six depths", lift: "timing a bitmap heap scan with both values"}
}

// maintenanceIOConcurrency: one vacuum or one recovery reads at a time, so it gets the whole depth; never below the
// server's default. The statements of a run have no say here, unlike in effective_io_concurrency: none of them is a vacuum.
func maintenanceIOConcurrency(s *situation) verdict {
	depth, inputs := s.readDepth()
	present, _ := s.next.Int("maintenance_io_concurrency")
	switch target := min(depth, s.queueLimit()); {
	case depth == 0:
		return verdict{keep: "the disk was not measured"}
	case int64(target) <= present:
		return verdict{keep: fmt.Sprintf("the disk is at its best from queue depth %d", depth)}
	default:
		return verdict{value: strconv.Itoa(target), method: advisor.Measured, inputs: inputs, confidence: "low",
			reason: fmt.Sprintf("one vacuum or recovery, which no statement of a run stands for, can keep the disk at the queue depth of %d where it is at its best", depth),
			source: "PostgreSQL manual, maintenance_io_concurrency", lift: "timing VACUUM on a large table with both values"}
	}
}

// ioMethod (18): which method is fastest depends on kernel, device and statement; tests on the hackers list have worker
// and io_uring each ahead of the other. It changes by trial only.
func ioMethod(s *situation) verdict {
	return verdict{keep: "sync, worker and io_uring each win somewhere; only a trial on this server tells"}
}

// ioWorkers (18, io_method worker): reads in flight cannot exceed the workers, so a disk that is at its best at a greater
// depth gets more of them, at most half of the CPUs. Only where the run did read from disk.
func ioWorkers(s *situation) verdict {
	if s.next.Text("io_method") != "worker" {
		return verdict{keep: "acts with io_method worker only"}
	}
	present, _ := s.next.Int("io_workers")
	depth, inputs := s.readDepth()
	if depth == 0 {
		return verdict{keep: "the disk was not measured"}
	}
	if _, _, reads := s.most(func(f figures) float64 { return f.diskReads / max(f.seconds, 1) }); !reads {
		return verdict{keep: "no run that read from disk"}
	}
	target := min(int64(depth), int64(s.cpus/2), 32)
	if target <= present {
		return verdict{keep: "at least half of the CPUs, or as many as the disk can use"}
	}
	return verdict{value: strconv.FormatInt(target, 10), method: advisor.Measured, confidence: "low",
		reason: fmt.Sprintf("the disk is at its best from queue depth %d and each worker has one read in flight; half of %.3g CPUs", depth, s.cpus),
		inputs: append(inputs, s.cpuInputs()...), source: "PostgreSQL 18 manual, io_workers", lift: "a trial with and without it"}
}

// planHas tells whether a plan of the run, with the present settings, has such a node.
func (s *situation) planHas(node string) bool {
	return slices.ContainsFunc(s.probes, func(p rundoc.PlanProbe) bool { return len(p.Set) == 0 && strings.Contains(p.Shape, node) })
}

func maxOf(s *situation, name string) (int64, bool) {
	n, err := strconv.ParseInt(s.next[name].MaxVal, 10, 64)
	return n, err == nil
}
