// Package rundoc is the run document, run.json: facts, plan, seed and every visit of one run. It is all that advise, plan,
// compare and report need; it never holds a password. Its JSON names are an interface: see schema.json.
package rundoc

import (
	"pgfit/probe"
)

// SchemaVersion of the documents that this pgfit writes. A reader refuses newer ones.
const SchemaVersion = 1

// Document is one run.
type Document struct {
	SchemaVersion int             `json:"schema_version"`
	Kind          string          `json:"kind"` // always "pgfit-run", so that a foreign file is told from a run
	Version       string          `json:"pgfit_version"`
	StartedAt     string          `json:"started_at"` // RFC 3339, UTC
	Target        string          `json:"target"`     // redacted
	Scratch       bool            `json:"scratch"`
	Facts         probe.Facts     `json:"facts"`
	Demand        Demand          `json:"demand"`
	Plan          Plan            `json:"plan"`
	Calibration   Calibration     `json:"calibration"`
	Visits        []Visit         `json:"visits"`
	Analytic      []PlanProbe     `json:"plan_probes,omitempty"` // what the planner says of the statements
	Partial       string          `json:"partial,omitempty"`     // why the run stopped early, "" when it did not
	Warnings      []probe.Warning `json:"warnings,omitempty"`
	// Files are the configuration files that a patch is made against, as they were at the time of the run.
	Files []File `json:"files,omitempty"`
	Stock bool   `json:"stock_conf,omitempty"` // Files[0] is what initdb wrote, kept as base/postgresql.conf
	// StartCheck is what came of starting a server with these files as the advice of the run would have them; nil when nobody
	// tried.
	StartCheck *StartCheck `json:"start_check,omitempty"`
	// Verification is what a trial of the patch showed.
	Verification *Verification `json:"verification,omitempty"`
	// Against is what a trial of the patch against the answers of other tools showed.
	Against *Verification `json:"against,omitempty"`
}

// StartCheck is what came of starting a scratch server with changed configuration files. At most one of Failure and NotDone
// is set; with neither the server started, wrote no warning into its log and had every value in force but those of NotChecked.
type StartCheck struct {
	Version    string            `json:"server_version,omitempty"` // of the server that was started
	Values     map[string]string `json:"values"`                   // the changed settings, as a person writes them
	Reduced    bool              `json:"reduced,omitempty"`        // started with less shared_buffers than the files have
	NotChecked []string          `json:"not_checked,omitempty"`    // settings of the files that the server had to be started without
	Failure    string            `json:"failure,omitempty"`        // what went wrong, in the server's words
	NotDone    string            `json:"not_done,omitempty"`       // why no server could be started
}

// File is one configuration file of the server. Text never holds a password: lines that could are not copied.
type File struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// Demand is what the application asks of the database. Zero means: not said.
type Demand struct {
	MaxConcurrent   int     `json:"max_concurrent,omitempty"`
	RequestDuration float64 `json:"request_duration_seconds,omitempty"`
	RPS             float64 `json:"rps,omitempty"` // requests that need a connection, per second
	Processes       int     `json:"processes,omitempty"`
	PoolSize        int     `json:"present_pool_size,omitempty"`
	MaxOverflow     int     `json:"present_max_overflow,omitempty"`
}

// Plan is what the sweep set out to do.
type Plan struct {
	Seed           uint64   `json:"seed"`
	Scenarios      []string `json:"scenarios"`
	Levels         []int    `json:"pool_sizes"`
	Rounds         int      `json:"rounds"`
	WarmupSeconds  float64  `json:"warmup_seconds"`  // dropped at the start of each visit
	MeasureSeconds float64  `json:"measure_seconds"` // of each visit
	FirstWarmup    float64  `json:"first_warmup_seconds"`
	DataBytes      int64    `json:"data_bytes"` // aimed at, all scenarios together
	Schema         string   `json:"schema"`
	Driver         string   `json:"driver"`
	Protocol       string   `json:"protocol"`
	BudgetSeconds  float64  `json:"budget_seconds"`
	CheckRounds    int      `json:"check_rounds,omitempty"`                // phase C: rounds over the pools that are held against each other at the demanded rate
	CheckSeconds   float64  `json:"check_seconds,omitempty"`               // of each of its visits
	PromisePercent float64  `json:"promised_half_width_percent,omitempty"` // of a pool size's mean throughput, assuming 5 % noise between visits
	FirstWarmups   []Warmup `json:"first_warmups,omitempty"`               // what became of FirstWarmup, by scenario; nil in older documents
	Scopes         []Scope  `json:"scopes,omitempty"`                      // of scenarios whose statements take too long for the plan
	// FirstRoundDiffers: the first round differed from the others, and there was no time to make it again.
	FirstRoundDiffers bool `json:"first_round_differs,omitempty"`
}

// Scope is what a scenario with long statements is measured at instead of all pool sizes.
type Scope struct {
	Scenario       string  `json:"scenario"`
	MostPool       int     `json:"largest_pool_size"`
	MeasureSeconds float64 `json:"measure_seconds"`        // of each of its visits
	Transactions   int     `json:"transactions,omitempty"` // of each visit, the same ones on both sides of a verification and at each pool size of a sweep
}

// Scope is that of a scenario; false when it is measured as planned.
func (p Plan) Scope(scenario string) (Scope, bool) {
	for _, s := range p.Scopes {
		if s.Scenario == scenario {
			return s, true
		}
	}
	return Scope{}, false
}

// Warmup is the load on one scenario before its first visit, until successive means of the throughput agreed.
type Warmup struct {
	Scenario    string  `json:"scenario"`
	PoolSize    int     `json:"pool_size"`
	Seconds     float64 `json:"seconds"`                   // that it took
	StepSeconds float64 `json:"step_seconds"`              // of one mean
	Spread      float64 `json:"spread_of_means,omitempty"` // largest of the last means over the smallest, less 1; 0 unknown
	Settled     bool    `json:"settled"`
}

// Calibration is phase A.
type Calibration struct {
	ConnectSeconds float64 `json:"connect_p50_seconds"`
	RTTSeconds     float64 `json:"rtt_p50_seconds"`
	Samples        int     `json:"samples"`
	ClockSeconds   float64 `json:"clock_reading_seconds,omitempty"` // of the server's clock, once; 0 not measured
}

// Visit is one pool size under one scenario for one stretch of time: the unit of replication.
type Visit struct {
	Phase         string             `json:"phase"` // B closed loop, C open loop at a rate, V verification
	Scenario      string             `json:"scenario"`
	Side          string             `json:"side,omitempty"` // verification: A present settings, B patch
	PoolSize      int                `json:"pool_size"`
	Callers       int                `json:"callers"`                   // who want a connection; equal to PoolSize in phase B
	Rate          float64            `json:"rate_per_second,omitempty"` // open loop
	Round         int                `json:"round"`
	Order         int                `json:"order"`         // position in the whole run, from 0
	StartSeconds  float64            `json:"start_seconds"` // since the start of the run
	Seconds       float64            `json:"elapsed_seconds"`
	Driver        string             `json:"driver"`
	Transactions  int64              `json:"transactions"`
	TPS           float64            `json:"tps"`
	Settled       float64            `json:"settled_after_seconds,omitempty"` // of the measured window; TPS is that of the rest, where the load took long to settle
	Ops           []Op               `json:"operations"`
	Errors        []ErrorCount       `json:"errors,omitempty"`
	Failed        int64              `json:"failed"`  // transactions given up
	Retried       int64              `json:"retried"` // transactions that needed more than one try
	Reconnects    int64              `json:"reconnects"`
	Late          int64              `json:"late"`     // open loop: arrivals that found no idle connection
	Dropped       int64              `json:"unserved"` // open loop: arrivals not served when the visit ended
	BytesSent     int64              `json:"bytes_sent"`
	BytesReceived int64              `json:"bytes_received"`
	MeanBusy      float64            `json:"mean_busy"`               // time-averaged connections in use, from the engine's own clock
	Bins          []uint32           `json:"tps_bins,omitempty"`      // completions per 100 ms, of the measured window
	Fine          []uint32           `json:"tps_bins_10ms,omitempty"` // the same per 10 ms
	Client        Client             `json:"client"`
	Host          *HostUse           `json:"host,omitempty"`
	Server        ServerDelta        `json:"server"`
	Waits         map[string]int64   `json:"wait_samples,omitempty"` // "Type:Event" or "CPU" -> samples of active backends at 10 Hz
	WaitRounds    int64              `json:"wait_rounds,omitempty"`  // how often the sampler looked
	Marks         []Mark             `json:"marks,omitempty"`
	Extra         map[string]float64 `json:"extra,omitempty"`
}

// Op is one kind of operation (a script of the scenario). Histograms are HDR V2, compressed, base64, in microseconds
// from 1 µs to 60 s with 3 significant digits. "Clamped" values lie above that range.
type Op struct {
	Name        string  `json:"name"`
	Count       int64   `json:"count"`
	MeanService float64 `json:"mean_service_seconds"` // exact, not from the histogram
	MeanWait    float64 `json:"mean_wait_seconds"`
	M2Service   float64 `json:"service_variance_seconds2"` // variance of the hold time
	Service     string  `json:"service_hdr"`               // checkout to return
	Wait        string  `json:"wait_hdr,omitempty"`        // for a free connection of the pool
	Latency     string  `json:"latency_hdr,omitempty"`     // open loop: from the intended start (corrected)
	Uncorrected string  `json:"uncorrected_hdr,omitempty"` // open loop: from the moment the request could be sent
	Lag         string  `json:"lag_hdr,omitempty"`         // open loop: start minus intended start
	Clamped     int64   `json:"clamped,omitempty"`
}

// ErrorCount counts one SQLSTATE; Message is the first one seen.
type ErrorCount struct {
	SQLState string `json:"sqlstate"`
	Count    int64  `json:"count"`
	Message  string `json:"first_message"`
}

// Client is what the load generator itself cost.
type Client struct {
	CPUSeconds  float64 `json:"cpu_seconds"`
	CPUShare    float64 `json:"cpu_share"`             // of the CPUs it may use, 0 to 1
	LagP99      float64 `json:"sched_lag_p99_seconds"` // how late its own timers fired
	PeakRSS     int64   `json:"peak_rss_bytes,omitempty"`
	MeasureCost float64 `json:"sampler_cpu_seconds,omitempty"`
}

// HostUse is what the whole host did during the visit, when the server is on this host.
type HostUse struct {
	User          float64 `json:"cpu_user"` // share of all CPUs, 0 to 1
	System        float64 `json:"cpu_system"`
	IOWait        float64 `json:"cpu_iowait"`
	Steal         float64 `json:"cpu_steal"`
	Foreign       float64 `json:"cpu_foreign"` // neither the server nor pgfit; -1 when unknown
	DiskReadBytes float64 `json:"disk_read_bytes"`
	DiskWriteByte float64 `json:"disk_write_bytes"`
	DiskReads     float64 `json:"disk_reads"`
	DiskWrites    float64 `json:"disk_writes"`
	QueueDepth    float64 `json:"disk_mean_queue"`
	MemAvailable  int64   `json:"memory_available_bytes"`
}

// ServerDelta is what the server's own counters gained during the visit. A counter this version does not have is -1.
type ServerDelta struct {
	Commits            int64   `json:"commits"`
	Rollbacks          int64   `json:"rollbacks"`
	BlksHit            int64   `json:"blks_hit"`
	BlksRead           int64   `json:"blks_read"`
	TupReturned        int64   `json:"tup_returned"`
	TupFetched         int64   `json:"tup_fetched"`
	TupInserted        int64   `json:"tup_inserted"`
	TupUpdated         int64   `json:"tup_updated"`
	TupDeleted         int64   `json:"tup_deleted"`
	TempFiles          int64   `json:"temp_files"`
	TempBytes          int64   `json:"temp_bytes"`
	Deadlocks          int64   `json:"deadlocks"`
	ActiveSeconds      float64 `json:"active_seconds"` // 14+
	CheckpointsTimed   int64   `json:"checkpoints_timed"`
	CheckpointsReq     int64   `json:"checkpoints_requested"`
	BuffersCheckpoint  int64   `json:"buffers_checkpoint"`
	BuffersClean       int64   `json:"buffers_clean"`
	MaxWrittenClean    int64   `json:"maxwritten_clean"`
	BuffersBackend     int64   `json:"buffers_backend"`       // from pg_stat_io in 17+
	BuffersBackendSync int64   `json:"buffers_backend_fsync"` // from pg_stat_io in 17+
	BuffersAlloc       int64   `json:"buffers_alloc"`
	WALBytes           int64   `json:"wal_bytes"` // by LSN
	WALRecords         int64   `json:"wal_records"`
	WALFPI             int64   `json:"wal_fpi"`
	WALBuffersFull     int64   `json:"wal_buffers_full"`
	WALSync            int64   `json:"wal_sync"`
	Autovacuums        int64   `json:"autovacuums"`       // of tables that ran in the window
	Foreign            float64 `json:"foreign_mean_busy"` // mean number of busy sessions that are not pgfit's
}

// ThinkSeconds names the mean think time of the callers among a visit's Extra, where they had one.
const ThinkSeconds = "think_seconds"

// FirstRound marks the visits of a first round that differed from the others: they do not count.
const FirstRound = "first-round"

// Unsteady marks a visit whose throughput had not settled when it ended.
const Unsteady = "unsteady"

// Mark is a doubt about one visit.
type Mark struct {
	Code string `json:"code"` // checkpoint, autovacuum, foreign, steal, client, errors, unsteady, first-round
	Text string `json:"text"`
}

// PlanProbe is one statement explained, under the present settings or with one of them changed. Statements of analytic
// scenarios are run as well; of all others there is the plan alone, and Seconds is 0.
type PlanProbe struct {
	Statement   string            `json:"statement"`
	Set         map[string]string `json:"set,omitempty"`             // settings changed for this probe only
	Seconds     float64           `json:"seconds"`                   // median of the runs, 0 where it was not run
	Fastest     float64           `json:"fastest_seconds,omitempty"` // of the runs, where there were several
	Slowest     float64           `json:"slowest_seconds,omitempty"`
	Acts        bool              `json:"acts,omitempty"` // Set changes the plan, or how it is carried out
	SpilledKB   int64             `json:"spilled_kb"`
	SortKB      int64             `json:"largest_sort_kb"` // space the largest sort or hash used, memory or disk
	Shape       string            `json:"plan_shape"`      // node types in order, so that plans can be told apart
	Workers     int               `json:"workers_launched"`
	JITSeconds  float64           `json:"jit_seconds"`
	MemoryNodes int               `json:"memory_nodes"`         // sorts, hashes, aggregates
	SortNodes   int               `json:"sort_nodes,omitempty"` // of those, what may take work_mem; both 0 in documents that did not tell them apart
	HashNodes   int               `json:"hash_nodes,omitempty"` // and what may take hash_mem_multiplier as much
}
