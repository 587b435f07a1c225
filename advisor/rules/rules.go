// Package rules knows what can be said about each setting from facts and from a measured run: one small function for
// each setting, with its reasoning and source. It is pure: the same input gives the same advice. It refuses to lower
// durability, to propose a name that the target does not show, and to change what no measurement, budget or known fact
// asks to change.
package rules

import (
	"time"

	"pgfit/advisor"
	"pgfit/probe"
	"pgfit/workload/rundoc"
)

// Input is everything that the rules look at.
type Input struct {
	Facts        probe.Facts
	Doc          *rundoc.Document // nil: no run, rules from facts alone
	Pool         Pool
	Workload     string        // web, oltp, dw, mixed; auto or "": from the run's scenarios, else mixed
	RecoveryTime time.Duration // what a crash recovery may take; 0: five minutes
	RuleSet      string        // "" or "guide"
	Dedicated    bool          // nothing else of weight runs on the server's machine

	// Pinned are settings that stay as they are whatever the rules say, with the reason: what a verification dropped.
	Pinned map[string]string
}

// Pool is what the pool advice comes to, over all processes of the application. Zero means: not known.
type Pool struct {
	Total     int     // recommended connections, overflow included
	Active    float64 // measured mean of active connections at that size
	Processes int
}

// DefaultRecoveryTime bounds max_wal_size where the user names no other time.
const DefaultRecoveryTime = 5 * time.Minute

// Families of settings, as advisor.Proposal has them.
const (
	memory      = "memory"
	planner     = "planner"
	wal         = "wal"
	checkpoint  = "checkpoint"
	vacuum      = "autovacuum"
	parallel    = "parallel"
	connections = "connections"
	io          = "io"
	logging     = "logging"
	security    = "security"
)

// rule looks at one setting.
type rule struct {
	name, family string
	advise       func(*situation) verdict
}

// verdict is what a rule says: a value as postgresql.conf takes it, or "" and why the present value stays. The zero
// verdict says nothing at all. Method defaults to rule, confidence to medium.
type verdict struct {
	value      string
	keep       string
	method     advisor.Method
	reason     string
	inputs     []advisor.Input
	source     string
	confidence string
	lift       string
}

// measuredRules stand in the order in which they are asked: a rule sees what those before it proposed. work_mem comes
// last of the memory settings, since it gets what is left.
var measuredRules = []rule{
	{"max_connections", connections, maxConnections},
	{"superuser_reserved_connections", connections, superuserReserved},
	{"reserved_connections", connections, reservedConnections},
	{"shared_buffers", memory, sharedBuffers},
	{"effective_cache_size", memory, effectiveCacheSize},
	{"maintenance_work_mem", memory, maintenanceWorkMem},
	{"autovacuum_work_mem", memory, autovacuumWorkMem},
	{"max_parallel_workers_per_gather", parallel, workersPerGather},
	{"max_parallel_workers", parallel, maxParallelWorkers},
	{"max_worker_processes", parallel, maxWorkerProcesses},
	{"hash_mem_multiplier", memory, hashMemMultiplier},
	{"work_mem", memory, workMem},
	{"huge_pages", memory, hugePages},
	{"random_page_cost", planner, randomPageCost},
	{"default_statistics_target", planner, statisticsTarget},
	{"jit", planner, jit},
	{"effective_io_concurrency", io, effectiveIOConcurrency},
	{"maintenance_io_concurrency", io, maintenanceIOConcurrency},
	{"io_method", io, ioMethod},
	{"io_workers", io, ioWorkers},
	{"checkpoint_completion_target", checkpoint, completionTarget},
	{"checkpoint_timeout", checkpoint, checkpointTimeout},
	{"max_wal_size", checkpoint, maxWALSize},
	{"min_wal_size", checkpoint, minWALSize},
	{"bgwriter_lru_maxpages", checkpoint, bgwriterMaxPages},
	{"bgwriter_lru_multiplier", checkpoint, bgwriterMultiplier},
	{"wal_buffers", wal, walBuffers},
	{"wal_compression", wal, walCompression},
	{"autovacuum", vacuum, autovacuumOn},
	{"autovacuum_max_workers", vacuum, autovacuumWorkers},
	{"autovacuum_vacuum_cost_limit", vacuum, vacuumCostLimit},
	{"autovacuum_vacuum_scale_factor", vacuum, vacuumScaleFactor},
	{"autovacuum_analyze_scale_factor", vacuum, analyzeScaleFactor},
	{"log_checkpoints", logging, logCheckpoints},
	{"log_lock_waits", logging, logLockWaits},
	{"log_autovacuum_min_duration", logging, logAutovacuum},
	{"log_min_duration_statement", logging, logSlowStatements},
	{"track_io_timing", logging, trackIOTiming},
	{"shared_preload_libraries", logging, statementStatistics},
}

// maxPasses bounds the search for advice that advises nothing more once it is applied.
const maxPasses = 6

// Advise says what should change, what was looked at and left alone, what the result costs at worst, and what a user
// should know. Rules run again on their own result until nothing changes, so that applying the advice and
// asking once more proposes nothing; what a later pass adds is part of the same advice.
func Advise(in Input) advisor.Settings {
	rules := measuredRules
	var refused []advisor.Kept
	if in.RuleSet == "guide" {
		rules, refused = guideRules(in)
	}
	present := in.Facts.Server.Settings
	a := newAdvice(present)
	base := present
	for pass := 0; pass < maxPasses; pass++ {
		s := survey(in, base)
		findings, changed := s.run(rules, a)
		a.findings = findings
		base = s.next
		if !changed {
			break
		}
	}
	s := survey(in, base)
	out := a.settings(rules)
	out.Kept = append(out.Kept, refused...)
	out.Budget = s.worst(base)
	out.Notes = notes(survey(in, present), s, out.Proposals)
	return out
}
