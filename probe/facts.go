// Package probe finds out what is there: the host with its real limits, the storage under the server, the server and
// its settings. It reports facts with where they come from; it never decides what a setting should be.
package probe

import (
	"time"

	"pgfit/probe/guc"
)

// State says how far a fact can be relied on. Absent and denied never become a silent zero.
type State string

// The states of a fact.
const (
	Known       State = "known"
	Unlimited   State = "unlimited"   // there is a limit setting and it says "none"
	Absent      State = "absent"      // this system has no such thing
	Denied      State = "denied"      // it exists and we may not read it
	Implausible State = "implausible" // it was read and makes no sense
	Given       State = "given"       // the user said so with a flag or a facts file
	Unknown     State = ""            // nobody looked
)

// Fact is one value with its state and where it came from. Value means something only in states Known and Given; in JSON a
// value of 0, "" or false is left out, and the state says that it is one.
type Fact[T any] struct {
	Value  T      `json:"value,omitzero"`
	State  State  `json:"state"`
	Source string `json:"source,omitempty"` // a path, an SQL function, a flag
	Note   string `json:"note,omitempty"`
}

// Is makes a known fact.
func Is[T any](v T, source string) Fact[T] { return Fact[T]{Value: v, State: Known, Source: source} }

// OK tells whether the value can be used.
func (f Fact[T]) OK() bool { return f.State == Known || f.State == Given }

// Get returns the value and whether it can be used.
func (f Fact[T]) Get() (T, bool) { return f.Value, f.OK() }

// Facts is everything pgfit knows about one target before it puts load on it.
type Facts struct {
	SameHost Fact[bool] `json:"same_host"` // is the server on the machine pgfit runs on?
	Host     Host       `json:"host"`      // the server's machine as the server sees it (its cgroup, its CPUs)
	Storage  []Storage  `json:"storage"`   // data_directory first
	Server   Server     `json:"server"`
	Warnings []Warning  `json:"warnings,omitempty"`
}

// Warning is something a user should know, and what to do about it.
type Warning struct {
	Code string `json:"code,omitempty"` // short and stable, such as "thp-always"
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// DataStorage is the storage of data_directory, or the zero value.
func (f Facts) DataStorage() Storage { return f.storage("data_directory") }

// WALStorage is the storage of pg_wal where it is apart, else that of data_directory.
func (f Facts) WALStorage() Storage {
	if s := f.storage("pg_wal"); s.Role != "" {
		return s
	}
	return f.DataStorage()
}

func (f Facts) storage(role string) Storage {
	for _, s := range f.Storage {
		if s.Role == role {
			return s
		}
	}
	return Storage{}
}

// Host is a machine as a process on it is allowed to use it.
type Host struct {
	OS             string       `json:"os"`   // runtime.GOOS
	Arch           string       `json:"arch"` // runtime.GOARCH
	Kernel         string       `json:"kernel,omitempty"`
	Hypervisor     Fact[string] `json:"hypervisor"` // kvm, vmware, xen, ...; Absent on bare metal
	Container      Fact[string] `json:"container"`  // docker, kubernetes, lxc, ...
	Cloud          Fact[string] `json:"cloud"`      // aws, gcp, azure
	InstanceType   Fact[string] `json:"instance_type,omitzero"`
	DiskTypes      Fact[string] `json:"disk_types,omitzero"` // as the cloud's metadata service names them
	Memory         Memory       `json:"memory"`
	CPU            CPU          `json:"cpu"`
	NUMANodes      Fact[int]    `json:"numa_nodes"`
	NUMANodeBytes  []int64      `json:"numa_node_bytes,omitempty"` // of each node, where there are several
	ZoneReclaim    Fact[int]    `json:"zone_reclaim_mode,omitzero"`
	NUMABalancing  Fact[int]    `json:"numa_balancing,omitzero"`
	HugePageBytes  Fact[int64]  `json:"huge_page_bytes"`
	HugePagesTotal Fact[int64]  `json:"huge_pages_total"`
	HugePagesFree  Fact[int64]  `json:"huge_pages_free"`
	HugePagesRsvd  Fact[int64]  `json:"huge_pages_reserved,omitzero"`
	// HugeTLBLimit is the cgroup's own limit for huge pages, in bytes.
	HugeTLBLimit    Fact[int64]  `json:"huge_tlb_limit_bytes"`
	THP             Fact[string] `json:"transparent_huge_pages"` // always, madvise, never
	THPShmem        Fact[string] `json:"transparent_huge_pages_shmem,omitzero"`
	Overcommit      Fact[int]    `json:"overcommit_memory"`
	OvercommitRatio Fact[int]    `json:"overcommit_ratio"`
	Swappiness      Fact[int]    `json:"swappiness"`
	DirtyBytes      Fact[int64]  `json:"dirty_bytes"`            // effective, ratio already applied to MemAvailable
	DirtyBgBytes    Fact[int64]  `json:"dirty_background_bytes"` // the same for the background threshold
	IOUringDisabled Fact[int]    `json:"io_uring_disabled"`      // kernel.io_uring_disabled, 0 = allowed
	Seccomp         Fact[bool]   `json:"seccomp,omitzero"`       // a filter on the server's system calls, which may block io_uring
	SHMMax          Fact[int64]  `json:"shmmax_bytes,omitzero"`
	Semaphores      Fact[string] `json:"semaphores,omitzero"` // kernel.sem
	AIOMax          Fact[int64]  `json:"aio_max_nr,omitzero"`
	OpenFiles       Fact[int64]  `json:"open_files_limit,omitzero"`          // of the server's process
	LockedMemory    Fact[int64]  `json:"locked_memory_limit_bytes,omitzero"` // the same
}

// Memory in bytes. Budget is what the server may use: the smallest of Total and every cgroup limit up the tree.
type Memory struct {
	Total      Fact[int64] `json:"total_bytes"`
	Available  Fact[int64] `json:"available_bytes"`
	SwapTotal  Fact[int64] `json:"swap_total_bytes"`
	CommitMax  Fact[int64] `json:"commit_limit_bytes"`
	Committed  Fact[int64] `json:"committed_bytes,omitzero"`
	Server     Fact[int64] `json:"server_bytes,omitzero"` // what the server's processes hold now, shared memory counted once
	CgroupMax  Fact[int64] `json:"cgroup_max_bytes"`
	CgroupHigh Fact[int64] `json:"cgroup_high_bytes"`
	SwapMax    Fact[int64] `json:"cgroup_swap_max_bytes"` // version 1: memory and swap together
	Budget     Fact[int64] `json:"budget_bytes"`
}

// CPU counts logical CPUs. Effective is what the server may use at once: min(allowed CPUs, quota), a fraction possible.
type CPU struct {
	Model     string        `json:"model,omitempty"`
	Online    Fact[int]     `json:"online"`
	Affinity  Fact[int]     `json:"affinity,omitzero"`
	CPUSet    Fact[int]     `json:"cpuset,omitzero"`
	Allowed   Fact[int]     `json:"allowed"` // online, in the affinity and in the cpuset
	Cores     Fact[int]     `json:"cores"`   // distinct physical cores among the allowed; a hint only in a guest
	Quota     Fact[float64] `json:"quota"`   // CPUs, from cpu.max or cfs_quota
	Effective Fact[float64] `json:"effective"`
	Governor  Fact[string]  `json:"governor,omitzero"`
}

// Class of a storage device.
type Class string

// The classes of storage.
const (
	HDD          Class = "hdd"
	SSD          Class = "ssd"
	NVMe         Class = "nvme"
	Network      Class = "network"
	RAM          Class = "memory"
	Hybrid       Class = "hybrid"
	UnknownClass Class = "unknown"
)

// Storage is what lies under one directory of the server.
type Storage struct {
	Role       string      `json:"role"` // data_directory, pg_wal, temp, tablespace NAME
	Path       string      `json:"path"`
	MountPoint string      `json:"mount_point,omitempty"`
	FSType     string      `json:"fs_type,omitempty"`
	Options    []string    `json:"mount_options,omitempty"` // mount and super options
	Device     string      `json:"device,omitempty"`        // as the mount names it
	Layers     []string    `json:"layers,omitempty"`        // from the file system down: partition, lvm, luks, md raid10, loop, ...
	Leaves     []Disk      `json:"leaves,omitempty"`        // the devices at the bottom
	Class      Class       `json:"class"`
	Evidence   []string    `json:"evidence,omitempty"` // what the class rests on, in words
	Total      Fact[int64] `json:"total_bytes"`
	Free       Fact[int64] `json:"free_bytes"`
	Bench      *DiskBench  `json:"bench,omitempty"`

	root string // leads from here to the server's file system, "" where they are the same
}

// Disk is one block device.
type Disk struct {
	Name        string    `json:"name"`
	Model       string    `json:"model,omitempty"`
	Rotational  Fact[int] `json:"rotational"` // as the kernel says; a guest's word means little
	Scheduler   string    `json:"scheduler,omitempty"`
	ReadAheadKB Fact[int] `json:"read_ahead_kb"`
	QueueTags   Fact[int] `json:"queue_tags"`
	WriteCache  string    `json:"write_cache,omitempty"`
	SizeBytes   int64     `json:"size_bytes,omitempty"`

	Driver        string    `json:"driver,omitempty"`    // of the kernel, such as virtio_blk
	Transport     string    `json:"transport,omitempty"` // pcie, tcp, fc, iscsi, vmbus
	RPM           Fact[int] `json:"rpm,omitzero"`        // as an ATA disk says
	NrRequests    Fact[int] `json:"nr_requests,omitzero"`
	FUA           Fact[int] `json:"fua,omitzero"`
	DAX           Fact[int] `json:"dax,omitzero"`
	LogicalBlock  Fact[int] `json:"logical_block_bytes,omitzero"`
	PhysicalBlock Fact[int] `json:"physical_block_bytes,omitzero"`
}

// DiskBench is what the storage did in pgfit's own measurement. Latencies in seconds, rates in bytes per second.
type DiskBench struct {
	FileBytes      int64       `json:"file_bytes"`
	Direct         bool        `json:"direct_io"`
	Method         string      `json:"method"` // "linux aio" or "threads"
	Random         []DepthRate `json:"random_8kb_reads"`
	SeqReadRate    float64     `json:"sequential_read_bytes_per_second"`
	SeqRead8kRate  float64     `json:"buffered_sequential_8kb_read_bytes_per_second"`
	SeqWriteRate   float64     `json:"sequential_write_bytes_per_second"`
	FdatasyncP50   float64     `json:"fdatasync_p50_seconds"`
	FdatasyncP99   float64     `json:"fdatasync_p99_seconds"`
	FdatasyncMean  float64     `json:"fdatasync_mean_seconds"`
	Spread         float64     `json:"spread"` // largest (max-min)/max over rounds
	Noisy          bool        `json:"noisy"`
	ElapsedSeconds float64     `json:"elapsed_seconds"`

	Dir             string  `json:"directory,omitempty"` // where the file was
	Rounds          int     `json:"rounds,omitempty"`    // interleaved; every figure is of its best round
	SeqRead128kRate float64 `json:"buffered_sequential_128kb_read_bytes_per_second,omitempty"`
	// FirstP50 and SecondP50 are the medians of the same 8 kB blocks read twice at depth 1: a second time that is much
	// faster means a cache below the kernel.
	FirstP50    float64 `json:"first_read_p50_seconds,omitempty"`
	SecondP50   float64 `json:"second_read_p50_seconds,omitempty"`
	CachedBelow bool    `json:"cached_below,omitempty"`
	IdleShare   float64 `json:"cpu_idle_share,omitempty"` // just before

	Lasting *Lasting `json:"lasting,omitempty"`
}

// Lasting is a load of reads that went on for minutes, told part by part in order.
type Lasting struct {
	Seconds     float64   `json:"seconds"`
	Depth       int       `json:"queue_depth"`
	IOPS        []float64 `json:"random_8kb_iops"` // at that depth
	SeqReadRate []float64 `json:"sequential_read_bytes_per_second"`
}

// DepthRate is random 8 kB reads at one queue depth.
type DepthRate struct {
	Depth int     `json:"queue_depth"`
	IOPS  float64 `json:"iops"`
	Mean  float64 `json:"mean_seconds"`
	P50   float64 `json:"p50_seconds"`
	P99   float64 `json:"p99_seconds"`
	Min   float64 `json:"iops_min"` // over rounds
	Max   float64 `json:"iops_max"`
}

// Server is one PostgreSQL server as the connected role sees it.
type Server struct {
	Version          string        `json:"version"`     // "15.18"
	VersionNum       int           `json:"version_num"` // 150018
	Build            string        `json:"build,omitempty"`
	SystemIdentifier string        `json:"system_identifier,omitempty"` // a 64-bit number does not survive JSON as one
	Scratch          bool          `json:"scratch,omitempty"`           // pgfit started it
	Service          Fact[string]  `json:"service"`                     // self-managed, rds, aurora, cloudsql, alloydb, azure, neon, supabase, patroni, cnpg, container
	Pooler           Fact[string]  `json:"pooler"`                      // pgbouncer, or Absent
	Database         string        `json:"database"`
	User             string        `json:"user"`
	Superuser        bool          `json:"superuser"`
	InRecovery       bool          `json:"in_recovery"`
	Standbys         Fact[int]     `json:"standbys"`
	StartTime        time.Time     `json:"start_time,omitzero"`
	StatsReset       time.Time     `json:"stats_reset,omitzero"`
	DataDirectory    Fact[string]  `json:"data_directory"`
	ConfigFile       Fact[string]  `json:"config_file"`
	DatabaseBytes    Fact[int64]   `json:"database_bytes"`
	ClusterBytes     Fact[int64]   `json:"cluster_bytes"`
	Tables           []Table       `json:"largest_tables,omitempty"` // at most 20
	Connections      []ConnCount   `json:"connections,omitempty"`    // pgfit's own left out
	InUse            int           `json:"connections_in_use"`       // client backends but ours
	PreparedXacts    Fact[int]     `json:"prepared_transactions"`
	Extensions       []string      `json:"extensions,omitempty"`           // created in this database
	Available        []string      `json:"extensions_available,omitempty"` // could be created
	JITAvailable     Fact[bool]    `json:"jit_available"`
	Settings         guc.Settings  `json:"settings"`
	FileErrors       []FileSetting `json:"file_errors,omitempty"`   // lines of the configuration files with an error
	FileLines        []FileSetting `json:"file_lines,omitempty"`    // every line of pg_file_settings, in reading order
	RoleSettings     []RoleSetting `json:"role_settings,omitempty"` // ALTER ROLE / ALTER DATABASE ... SET
	RTTSeconds       float64       `json:"rtt_seconds,omitempty"`   // median of "select 1"
	ActiveSessions   Fact[float64] `json:"mean_active_sessions"`    // from pg_stat_database's active time, 14+
	// HugePagesNeeded is the number of huge pages of the default size that the server's shared memory takes.
	HugePagesNeeded Fact[int64] `json:"huge_pages_needed,omitzero"`
	Replicas        []Replica   `json:"replicas,omitempty"`
	Slots           Fact[int]   `json:"replication_slots,omitzero"`
	StatementCalls  Fact[int64] `json:"statement_calls,omitzero"` // of pg_stat_statements, Absent where it is not created
	Statements      []Statement `json:"statements,omitempty"`     // at most 20, by total time
	Unseen          []Unseen    `json:"unseen,omitempty"`
}

// Major is 15 for 15.18.
func (s Server) Major() int { return s.VersionNum / 10000 }

// Table is one of the largest tables.
type Table struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Rows  int64  `json:"rows"`
	Dead  int64  `json:"dead_rows"`
}

// ConnCount counts client backends of one application in one state.
type ConnCount struct {
	Application string `json:"application"`
	State       string `json:"state"`
	Count       int    `json:"count"`
}

// Replica is one row of pg_stat_replication.
type Replica struct {
	Application string  `json:"application"`
	State       string  `json:"state"`
	SyncState   string  `json:"sync_state"` // async, potential, sync, quorum
	LagSeconds  float64 `json:"replay_lag_seconds"`
}

// Statement is one row of pg_stat_statements. Text is empty for what is no query.
type Statement struct {
	ID           string  `json:"queryid"`
	Text         string  `json:"text,omitempty"`
	Calls        int64   `json:"calls"`
	TotalSeconds float64 `json:"total_seconds"`
	MeanSeconds  float64 `json:"mean_seconds"`
	Rows         int64   `json:"rows"`
	BlksHit      int64   `json:"shared_blks_hit"`
	BlksRead     int64   `json:"shared_blks_read"`
	TempWritten  int64   `json:"temp_blks_written"`
	WALBytes     int64   `json:"wal_bytes"`
}

// Unseen is something that the role may not see, and the grant that would show it.
type Unseen struct {
	What  string `json:"what"`
	Grant string `json:"grant"`
}

// FileSetting is one row of pg_file_settings.
type FileSetting struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Name    string `json:"name"`
	Value   string `json:"setting"`
	Applied bool   `json:"applied"`
	Error   string `json:"error,omitempty"`
}

// RoleSetting is one element of pg_db_role_setting.
type RoleSetting struct {
	Role     string `json:"role,omitempty"`
	Database string `json:"database,omitempty"`
	Name     string `json:"name"`
	Value    string `json:"value"`
}
