package rules

import (
	"fmt"
	"math"
	"strconv"

	"pgfit/advisor"
)

// workersPerGather: parallel query shortens one long statement by taking CPUs from the others, so that it pays where
// few sessions run long statements (manual, Parallel Query; the measured trials of the analytic statements). A
// trial of the run decides first. Without one: none where the server has less than two CPUs, half of the CPUs
// within 2 to 8 for a data warehouse that the user named, else the present value.
func workersPerGather(s *situation) verdict {
	const name = "max_parallel_workers_per_gather"
	present, _ := s.next.Int(name)
	if v, decided := s.byTrial(name); decided {
		return v
	}
	switch {
	case s.cpus == 0:
		return verdict{keep: "the number of CPUs is not known; name it with --cpus"}
	case s.cpus < 2 && present > 0:
		return verdict{value: "0", reason: fmt.Sprintf("with less than two CPUs (%.3g) a parallel worker has nobody to share the work with and costs its start", s.cpus),
			inputs: s.cpuInputs(), source: "PostgreSQL manual, When Can Parallel Query Be Used?", lift: "scans that wait for a slow disk"}
	case s.cpus < 2:
		return verdict{keep: "less than two CPUs have nothing to share"}
	case s.workload != "dw" || !s.named:
		return verdict{keep: "no trial of the run and no data warehouse asks for another value"}
	}
	target := int64(min(max(math.Floor(s.cpus/2), 2), 8))
	if target <= present {
		return verdict{keep: fmt.Sprintf("at least half of %.3g CPUs", s.cpus)}
	}
	return verdict{value: strconv.FormatInt(target, 10), reason: "half of the CPUs for one long statement of a data warehouse", inputs: s.cpuInputs(),
		source: "PostgreSQL manual, Parallel Query", confidence: "low", lift: "timing the longest statements with both values"}
}

// maxParallelWorkers is the pool that all statements share: as many as CPUs for a named data warehouse with more than the
// present value. Lower it never: unused slots cost nothing.
func maxParallelWorkers(s *situation) verdict {
	present, _ := s.next.Int("max_parallel_workers")
	if target := int64(math.Ceil(s.cpus)); s.workload == "dw" && s.named && target > present {
		return verdict{value: strconv.FormatInt(target, 10), reason: "one worker for each CPU of a data warehouse", inputs: s.cpuInputs(),
			source: "PostgreSQL manual, max_parallel_workers", lift: "many sessions with long statements at once"}
	}
	return verdict{keep: "no statement of the workload is known to run short of workers"}
}

// maxWorkerProcesses has to hold max_parallel_workers and the background workers of extensions and logical replication.
func maxWorkerProcesses(s *situation) verdict {
	present, _ := s.next.Int("max_worker_processes")
	workers, _ := s.next.Int("max_parallel_workers")
	if was, _ := s.facts.Server.Settings.Int("max_parallel_workers"); workers <= was || workers <= present {
		return verdict{keep: "holds max_parallel_workers"}
	}
	return verdict{value: strconv.FormatInt(workers+4, 10), reason: fmt.Sprintf("%d parallel workers and four of extensions and logical replication", workers),
		source: "PostgreSQL manual, max_worker_processes", confidence: "high", lift: "fewer parallel workers"}
}

func (s *situation) cpuInputs() []advisor.Input {
	return []advisor.Input{input("CPUs for the server", "%.3g", s.cpus)}
}
