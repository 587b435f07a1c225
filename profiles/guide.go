package profiles

import (
	"bytes"
	_ "embed"
	"fmt"

	"go.yaml.in/yaml/v3"
)

//go:embed guide.yaml
var guideYAML []byte

// GuideProfile is what the house guide says in numbers. Sizes are text as postgresql.conf takes it, times in seconds.
type GuideProfile struct {
	Version  int             `yaml:"version"`
	Memory   []GuideMemory   `yaml:"memory"`
	Storage  []GuideStorage  `yaml:"storage"`
	Parallel GuideParallel   `yaml:"parallel"`
	Load     []GuideLoad     `yaml:"load"`
	Always   []GuideSetting  `yaml:"always"`
	LeftOut  []GuideLeftOut  `yaml:"left_out"`
	Traffic  []GuideTraffic  `yaml:"traffic"`
	Pools    []GuidePool     `yaml:"pools"`
	Example  GuideExample    `yaml:"example"`
	Limits   GuidePoolLimits `yaml:"limits"`
}

// GuideSetting is one value. Unless lists present values that are left alone, Needs a setting that must be on, Module
// one that must be installed.
type GuideSetting struct {
	Name   string   `yaml:"name"`
	Value  string   `yaml:"value"`
	Family string   `yaml:"family"`
	Unless []string `yaml:"unless"`
	Needs  string   `yaml:"needs"`
	Module string   `yaml:"module"`
	Source string   `yaml:"source"`
}

// GuideMemory is the table for one size of memory.
type GuideMemory struct {
	Name     string         `yaml:"name"`
	Source   string         `yaml:"source"`
	RAM      string         `yaml:"ram"`
	Settings []GuideSetting `yaml:"settings"`
}

// GuideStorage is the table for some classes of storage, named as probe.Class does.
type GuideStorage struct {
	Name     string         `yaml:"name"`
	Source   string         `yaml:"source"`
	Classes  []string       `yaml:"classes"`
	Settings []GuideSetting `yaml:"settings"`
}

// GuideLoad is the table for some kinds of work: web, oltp, dw, mixed.
type GuideLoad struct {
	Name      string         `yaml:"name"`
	Source    string         `yaml:"source"`
	Workloads []string       `yaml:"workloads"`
	Settings  []GuideSetting `yaml:"settings"`
}

// GuideParallel is what the guide says about workers.
type GuideParallel struct {
	Source           string `yaml:"source"`
	WorkersPerGather int    `yaml:"workers_per_gather"`
	WorkerProcesses  int    `yaml:"worker_processes"`
}

// GuideLeftOut is a setting of the guide that pgfit does not touch.
type GuideLeftOut struct {
	Name   string `yaml:"name"`
	Reason string `yaml:"reason"`
	Source string `yaml:"source"`
}

// GuideTraffic is one row of the traffic table, for rates below BelowRPS or up to UpToRPS; the row without either is for
// everything above the others.
type GuideTraffic struct {
	Name        string  `yaml:"name"`
	BelowRPS    float64 `yaml:"below_rps"`
	UpToRPS     float64 `yaml:"up_to_rps"`
	PoolSize    int     `yaml:"pool_size"`
	MaxOverflow int     `yaml:"max_overflow"`
	PoolTimeout int     `yaml:"pool_timeout"`
	Source      string  `yaml:"source"`
}

// GuidePool is one example of a pool; 0 is not said.
type GuidePool struct {
	Name        string `yaml:"name"`
	PoolSize    int    `yaml:"pool_size"`
	MaxOverflow int    `yaml:"max_overflow"`
	PoolTimeout int    `yaml:"pool_timeout"`
	PoolRecycle int    `yaml:"pool_recycle"`
	Source      string `yaml:"source"`
}

// GuideExample is the worked example of the pool formula.
type GuideExample struct {
	Source            string  `yaml:"source"`
	MaxConcurrent     int     `yaml:"max_concurrent_requests"`
	AvgQueryTime      float64 `yaml:"avg_query_time"`
	RequestDuration   float64 `yaml:"request_duration"`
	ConnectionsNeeded int     `yaml:"connections_needed"`
	PoolSize          int     `yaml:"pool_size"`
	MaxOverflow       int     `yaml:"max_overflow"`
}

// GuidePoolLimits are the ranges that the application's configuration accepts, both ends included.
type GuidePoolLimits struct {
	Source      string `yaml:"source"`
	PoolSize    [2]int `yaml:"pool_size"`
	MaxOverflow [2]int `yaml:"max_overflow"`
	PoolTimeout [2]int `yaml:"pool_timeout"`
	PoolRecycle [2]int `yaml:"pool_recycle"`
}

// Guide decodes the house guide's profile. Fields that it does not know are an error.
func Guide() (GuideProfile, error) { return decodeGuide(guideYAML) }

func decodeGuide(data []byte) (GuideProfile, error) {
	var g GuideProfile
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&g); err != nil {
		return GuideProfile{}, fmt.Errorf("reading the guide's profile: %w", err)
	}
	return g, nil
}

// TrafficFor is the row of the traffic table for a rate of requests per second.
func (g GuideProfile) TrafficFor(rps float64) (GuideTraffic, bool) {
	for _, row := range g.Traffic {
		if row.BelowRPS == 0 && row.UpToRPS == 0 || rps < row.BelowRPS || rps <= row.UpToRPS {
			return row, true
		}
	}
	return GuideTraffic{}, false
}
