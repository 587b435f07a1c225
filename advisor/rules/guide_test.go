package rules

import (
	"strings"
	"testing"

	"pgfit/advisor"
	"pgfit/probe"
)

// The guide's own tables, on machines of their own size: these numbers exactly.
func TestGuideTables(t *testing.T) {
	for _, tc := range []struct {
		name     string
		ram      int64
		cpus     float64
		class    probe.Class
		workload string
		want     map[string]string
	}{
		{"8 GB, SSD, writing", 8 * gB, 8, probe.SSD, "oltp", map[string]string{"shared_buffers": "2GB", "effective_cache_size": "6GB", "work_mem": "8MB", "maintenance_work_mem": "512MB",
			"random_page_cost": "1.1", "effective_io_concurrency": "200", "wal_buffers": "32MB", "max_wal_size": "2GB", "max_parallel_workers_per_gather": "4"}},
		{"16 GB, SSD, writing", 16 * gB, 8, probe.NVMe, "oltp", map[string]string{"shared_buffers": "4GB", "effective_cache_size": "12GB", "work_mem": "16MB", "maintenance_work_mem": "1GB",
			"random_page_cost": "1.1", "wal_buffers": "32MB", "max_wal_size": "2GB"}},
		{"16 GB of modules show as 15.6", 16 * gB / 1000 * 975, 4, probe.SSD, "web", map[string]string{"shared_buffers": "4GB", "work_mem": "16MB", "wal_buffers": "16MB", "checkpoint_completion_target": "0.5",
			"max_parallel_workers_per_gather": "3"}},
		{"24 GB takes the 16 GB table, scaled", 24 * gB, 2, probe.SSD, "mixed", map[string]string{"shared_buffers": "6GB", "effective_cache_size": "18GB", "work_mem": "24MB", "maintenance_work_mem": "1536MB",
			"max_parallel_workers_per_gather": "1"}},
		{"4 GB takes the 8 GB table, scaled", 4 * gB, 2, probe.HDD, "mixed", map[string]string{"shared_buffers": "1GB", "effective_cache_size": "3GB", "maintenance_work_mem": "256MB"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := facts(t, 16, tc.ram, tc.cpus, nil)
			f.Storage[0].Class = tc.class
			got := Advise(Input{Facts: f, RuleSet: "guide", Workload: tc.workload, Dedicated: true})
			for name, want := range tc.want {
				if p, _ := proposal(got, name); p.Proposed != want || p.Method != advisor.Guide || !strings.HasPrefix(p.Source, "house guide") {
					t.Errorf("%s = %q (%s, %s), want %q; kept: %s", name, p.Proposed, p.Method, p.Source, want, kept(got, name))
				}
			}
		})
	}
}

func TestGuideSaysWhichTable(t *testing.T) {
	got := Advise(Input{Facts: facts(t, 16, 24*gB, 2, nil), RuleSet: "guide", Dedicated: true})
	if p, _ := proposal(got, "shared_buffers"); !strings.Contains(p.Reason, "16 GB RAM, scaled by 1.50") {
		t.Errorf("reason %q", p.Reason)
	}
}

func TestGuideOnAnyServer(t *testing.T) {
	f := facts(t, 16, 16*gB, 8, map[string]string{"max_connections": "300", "wal_level": "logical", "work_mem": "16MB"})
	f.Server.Available = []string{"pg_stat_statements"}
	f.Storage[0].Class = probe.UnknownClass
	got := Advise(Input{Facts: f, RuleSet: "guide", Dedicated: true, Pool: Pool{Total: 150}})
	for name, part := range map[string]string{
		"max_connections": "158 are needed", "wal_level": "no less", "work_mem": "has this value", "ssl": "certificate", "listen_addresses": "reach",
		"random_page_cost": "--disk", "ssl_ciphers": "while ssl is off",
	} {
		if why := kept(got, name); !strings.Contains(why, part) {
			t.Errorf("%s is kept because %q, want ...%q...", name, why, part)
		}
	}
	for name, want := range map[string]string{"log_line_prefix": "%t [%p-%l] %q%u@%d ", "track_functions": "all", "shared_preload_libraries": "pg_stat_statements", "logging_collector": "on"} {
		if p, _ := proposal(got, name); p.Proposed != want {
			t.Errorf("%s = %q, want %q", name, p.Proposed, want)
		}
	}
}
