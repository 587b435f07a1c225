package rundoc

// Verification is a patch measured against the present settings in interleaved pairs of visits.
type Verification struct {
	// Mode is scratch (two servers from one snapshot) or session (SET on pgfit's own connections to one server).
	Mode  string         `json:"mode"`
	File  string         `json:"patch_file,omitempty"` // where the patch came from; "" is the advice of this run
	Rules string         `json:"rules,omitempty"`      // the set of rules that the advice came from; "" is pgfit's own
	Patch []PatchSetting `json:"patch"`
	// Rivals take the place of the present settings on side A, one after the other: then the patch is compared and not pruned.
	Rivals []Rival `json:"rivals,omitempty"`
	// Against and AgainstName are the one rival of documents that were written before there could be several.
	Against        map[string]string `json:"against,omitempty"`
	AgainstName    string            `json:"against_name,omitempty"`
	Scenarios      []string          `json:"scenarios"`
	Analytic       []string          `json:"analytic,omitempty"` // those of them that are of class analytic
	PoolSize       int               `json:"pool_size"`
	Narrowed       []Scope           `json:"narrowed,omitempty"` // scenarios whose statements take too long for that pool and the planned visits
	Pairs          int               `json:"pairs"`              // planned, of each comparison and scenario
	WarmupSeconds  float64           `json:"warmup_seconds"`
	MeasureSeconds float64           `json:"measure_seconds"`
	Seed           uint64            `json:"seed"`
	DataBytes      int64             `json:"data_bytes"`
	BudgetSeconds  float64           `json:"budget_seconds"`
	Comparisons    []Comparison      `json:"comparisons"`
	Recovery       *RecoveryCheck    `json:"recovery,omitempty"`
	Partial        string            `json:"partial,omitempty"`     // why it stopped early
	OutOfTime      bool              `json:"out_of_time,omitempty"` // some comparison gave way for lack of time
	Notes          []string          `json:"notes,omitempty"`
}

// Rival is what a patch is compared with: the answer of another tool, or a file of the user's.
type Rival struct {
	Name    string            `json:"name"`
	Values  map[string]string `json:"values"`
	LeftOut []string          `json:"left_out,omitempty"` // what was not set, with the reason, such as that it lowers the durability
}

// Against are the rivals of a verification; none where the patch is compared with the present settings.
func Against(v *Verification) []Rival {
	if v.Against != nil {
		return []Rival{{Name: v.AgainstName, Values: v.Against}}
	}
	return v.Rivals
}

// The modes of a verification.
const (
	ModeScratch = "scratch"
	ModeSession = "session"
)

// PatchSetting is one setting of the patch that is measured.
type PatchSetting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`   // as postgresql.conf takes it, without quotes
	Present string `json:"present"` // what it replaces
	Group   string `json:"group"`
	Apply   string `json:"apply"`            // restart or reload
	Needed  string `json:"needed,omitempty"` // why it stays in the patch whatever its effect, such as the memory budget
	// Unverified says why this setting could not be measured, such as that it needs a restart of a server of the user's.
	Unverified string `json:"unverified,omitempty"`
}

// Comparison is one A/B trial: the same data, scenarios and pool with settings A and with settings B, both on top of the
// present ones.
type Comparison struct {
	Step    string            `json:"step"`
	Name    string            `json:"name,omitempty"` // of the group, the setting or the rival
	A       map[string]string `json:"a"`
	B       map[string]string `json:"b"`
	Removed []string          `json:"removed,omitempty"` // in A and not in B
	Visits  []TrialVisit      `json:"visits"`
	Failed  string            `json:"failed,omitempty"` // why it could not be measured, such as that the server does not start
}

// The steps of a verification, in their order.
const (
	StepNoise   = "noise"   // A and B are the present settings
	StepPatch   = "patch"   // present, or a rival, against all of the patch
	StepAgain   = "again"   // a rival again, with twice the pairs, under the scenarios in which a difference was seen
	StepReload  = "reload"  // present against what takes effect at a reload
	StepRestart = "restart" // that against all of the patch
	StepGroup   = "group"   // what is left of the patch against the same without one group
	StepSetting = "setting" // the same for one setting
	StepPruned  = "pruned"  // present against what is left of the patch
)

// TrialVisit is one visit of a comparison.
type TrialVisit struct {
	Scenario     string  `json:"scenario"`
	Side         string  `json:"side"` // A or B
	Pair         int     `json:"pair"` // from 1
	Order        int     `json:"order"`
	Copy         int     `json:"copy,omitempty"`  // of the data, 1 or 2: a coin decides for each pair which side has which
	Seconds      float64 `json:"elapsed_seconds"` // of the measured window; by lists, the mean of the connections' times
	Transactions int64   `json:"transactions"`
	Failed       int64   `json:"failed,omitempty"`
	// CheckpointSeconds is what the checkpoint after the visit took. It, CPUSeconds and WALBytes also hold what the warm-up
	// caused; the window's part of that is taken by time.
	CheckpointSeconds float64 `json:"checkpoint_seconds"`
	Checkpoints       int64   `json:"checkpoints"` // begun by the server itself, warm-up included
	Autovacuums       int64   `json:"autovacuums"` // tables that autovacuum finished, warm-up included
	TPS               float64 `json:"tps"`         // Transactions / (Seconds + CheckpointSeconds), at the scenario's exact mix
	P99               float64 `json:"p99_seconds"` // of the service time of all operations
	CPUSeconds        float64 `json:"cpu_seconds"` // of the server; -1 unknown
	WALBytes          int64   `json:"wal_bytes"`
}

// RecoveryCheck is a patched server killed just before a checkpoint and started again.
type RecoveryCheck struct {
	WALBytes  int64   `json:"wal_bytes"` // since the last checkpoint, to be replayed
	Seconds   float64 `json:"recovery_seconds"`
	Limit     float64 `json:"limit_seconds"`
	AtWorst   int64   `json:"wal_bytes_at_worst"` // between two checkpoints with these settings
	Estimate  float64 `json:"recovery_seconds_at_worst"`
	Tables    int     `json:"tables"`
	Intact    bool    `json:"data_intact"` // the checksums over all rows were the same before and after
	Different string  `json:"different,omitempty"`
}
