package formulas

import (
	"math"
	"testing"

	"pgfit/probe"
	"pgfit/probe/guc"
)

// What the tools themselves printed for 2 cores, 24 GB, 100 connections, oltp on SSD, read to two figures or so.
func TestTwoCores24GB(t *testing.T) {
	in := Input{RAM: 24 * gB, CPUs: 2, Connections: 100, Workload: "oltp", Disk: probe.SSD, Major: 15}
	check(t, in, map[string]map[string]string{
		"le0pard/pgtune":   {"shared_buffers": "6GB", "effective_cache_size": "18GB", "work_mem": "57MB", "maintenance_work_mem": "1.5GB", "max_wal_size": "8GB", "random_page_cost": "1.1", "max_parallel_workers_per_gather": ""},
		"timescaledb-tune": {"shared_buffers": "6GB", "effective_cache_size": "18GB", "work_mem": "96MB", "maintenance_work_mem": "2GB", "max_wal_size": "1GB", "random_page_cost": "1.1", "max_parallel_workers_per_gather": "1"},
		"pgconfig":         {"shared_buffers": "6GB", "effective_cache_size": "18GB", "work_mem": "86MB", "maintenance_work_mem": "1GB", "max_wal_size": "3GB", "random_page_cost": "1.1", "max_parallel_workers_per_gather": "2"},
		"pg_configurator":  {"shared_buffers": "14.9GB", "effective_cache_size": "6.2GB", "work_mem": "39MB", "maintenance_work_mem": "273MB", "random_page_cost": "1"},
		"gregs1104/pgtune": {"shared_buffers": "6GB", "effective_cache_size": "18GB", "work_mem": "240MB", "maintenance_work_mem": "1.5GB", "max_wal_size": ""},
		"autopg":           {"shared_buffers": "6GB", "effective_cache_size": "18GB", "work_mem": "61MB", "maintenance_work_mem": "1.5GB", "max_wal_size": "8GB", "random_page_cost": "1.1"},
		"pg-spot-operator": {"shared_buffers": "7.2GB", "effective_cache_size": "19.2GB", "work_mem": "98MB", "maintenance_work_mem": "1.2GB", "max_wal_size": "4GB", "random_page_cost": "1.25"},
		"pigsty (oltp)":    {"shared_buffers": "6GB", "effective_cache_size": "18GB", "work_mem": "64MB", "maintenance_work_mem": "1.5GB", "random_page_cost": "1.1", "max_parallel_workers_per_gather": "2"},
	})
}

func TestEightCores32GB(t *testing.T) {
	in := Input{RAM: 32 * gB, CPUs: 8, Connections: 100, Workload: "oltp", Disk: probe.SSD, Major: 15}
	check(t, in, map[string]map[string]string{
		"le0pard/pgtune": {"work_mem": "76MB", "max_parallel_workers_per_gather": "4"}, "timescaledb-tune": {"work_mem": "32MB"}, "pgconfig": {"work_mem": "115MB", "maintenance_work_mem": "2GB"},
		"pg_configurator": {"work_mem": "52.6MB"}, "gregs1104/pgtune": {"work_mem": "320MB"}, "autopg": {"work_mem": "20MB"},
	})
	in.Connections = 400 // what that tool sets by itself
	check(t, in, map[string]map[string]string{"pg-spot-operator": {"work_mem": "32.8MB"}})
}

func check(t *testing.T, in Input, want map[string]map[string]string) {
	t.Helper()
	got := map[string]Comparison{}
	for _, c := range Compare(in) {
		got[c.Name] = c
	}
	for tool, values := range want {
		for name, text := range values {
			if !same(got[tool].Values[name], text) {
				t.Errorf("%s: %s = %q, want %q", tool, name, got[tool].Values[name], text)
			}
		}
	}
}

// same compares sizes within 3 %: the published table is rounded.
func same(a, b string) bool {
	x, err1 := guc.ParseBytes(a)
	y, err2 := guc.ParseBytes(b)
	return a == b || err1 == nil && err2 == nil && y >= mB && math.Abs(float64(x-y)) <= 0.03*float64(y)
}

// Every value is one that a server of the version takes, whatever the machine.
func TestValuesParse(t *testing.T) {
	full, err := guc.Catalogue(16)
	if err != nil {
		t.Fatal(err)
	}
	set := full["wal_compression"]
	set.EnumVals = append(set.EnumVals, "lz4")
	full["wal_compression"] = set
	for _, workload := range []string{"web", "oltp", "dw", "mixed", "auto"} {
		for _, ram := range []int64{gB, 24 * gB, 1 << 40} {
			for _, disk := range []probe.Class{probe.HDD, probe.SSD, probe.NVMe, probe.Network, probe.UnknownClass} {
				for _, c := range Compare(Input{RAM: ram, CPUs: 16, Connections: 200, Workload: workload, Disk: disk, Major: 16, Data: 10 * gB, WALDisk: 100 * gB}) {
					for name, value := range c.Values {
						if _, err := full[name].Parse(value); err != nil {
							t.Errorf("%s: %v", c.Name, err)
						}
					}
				}
			}
		}
	}
}

func TestNothingToCompute(t *testing.T) {
	if got := Compare(Input{RAM: gB, CPUs: 2}); got != nil {
		t.Errorf("Compare without connections = %v", got)
	}
}

func TestFrom(t *testing.T) {
	var f probe.Facts
	if got := Compare(From(f, "web")); got != nil {
		t.Errorf("facts that nobody knows give %v", got)
	}
	f.Host.Memory.Budget = probe.Is(2*gB, "cgroup")
	f.Host.CPU.Effective = probe.Is(1.5, "cpu.max")
	f.Server = probe.Server{VersionNum: 160004, Settings: guc.Settings{"max_connections": {Value: "100"}}}
	want := Input{RAM: 2 * gB, CPUs: 2, Connections: 100, Workload: "web", Major: 16}
	if got := From(f, "web"); got != want {
		t.Errorf("From = %+v, want %+v", got, want)
	}
}
