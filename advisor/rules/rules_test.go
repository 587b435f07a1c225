package rules

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgfit/advisor"
	"pgfit/advisor/budget"
	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/workload/rundoc"
)

// facts of a machine with the stock settings of a major, changed as given.
func facts(t testing.TB, major int, ram int64, cpus float64, values map[string]string) probe.Facts {
	t.Helper()
	all, err := guc.Catalogue(major)
	if err != nil {
		t.Fatal(err)
	}
	f := probe.Facts{SameHost: probe.Is(true, "test")}
	f.Host.OS = "linux"
	f.Host.Memory.Budget = probe.Is(ram, "test")
	f.Host.CPU.Effective = probe.Is(cpus, "test")
	f.Host.HugePageBytes = probe.Is(2*mB, "test")
	f.Storage = []probe.Storage{{Role: "data_directory", Class: probe.SSD, Free: probe.Is(200*gB, "test")}}
	f.Server = probe.Server{VersionNum: major * 10000, Settings: all, ClusterBytes: probe.Is(100*gB, "test"), Service: probe.Is("self-managed", "test")}
	f.Server.Settings = with(t, all, values)
	return f
}

func with(t testing.TB, all guc.Settings, values map[string]string) guc.Settings {
	t.Helper()
	canonical := map[string]string{}
	for name, text := range values {
		v, err := all[name].Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		canonical[name] = v
	}
	return budget.Overlay(all, canonical)
}

// slowDisk makes replay slow: nobody knows the storage.
func slowDisk(f *probe.Facts) { f.Storage[0].Class = probe.UnknownClass }

// scratch makes the server pgfit's own, with data of its own.
func scratch(f *probe.Facts) {
	f.Server.Scratch = true
	f.Server.ClusterBytes = probe.Is(360*mB, "")
	f.Server.Tables = []probe.Table{{Name: "public.order_lines", Bytes: 150 * mB, Rows: 2_750_000}}
}

// visit of 30 s at one pool size, with counters set by edit.
func visit(scenario string, level int, edit func(*rundoc.Visit)) rundoc.Visit {
	v := rundoc.Visit{Phase: "B", Scenario: scenario, PoolSize: level, Seconds: 30, TPS: 1000,
		Host: &rundoc.HostUse{User: 0.3, System: 0.1}, Server: rundoc.ServerDelta{BlksHit: 900_000, BlksRead: 100_000}}
	if edit != nil {
		edit(&v)
	}
	return v
}

func run(f probe.Facts, probes []rundoc.PlanProbe, visits ...rundoc.Visit) *rundoc.Document {
	d := &rundoc.Document{Facts: f, Visits: visits, Analytic: probes}
	for _, v := range visits {
		d.Plan.Scenarios = append(d.Plan.Scenarios, v.Scenario)
	}
	return d
}

func proposal(s advisor.Settings, name string) (advisor.Proposal, bool) {
	for _, p := range s.Proposals {
		if p.Name == name {
			return p, true
		}
	}
	return advisor.Proposal{}, false
}

func kept(s advisor.Settings, name string) string {
	for _, k := range s.Kept {
		if k.Name == name {
			return k.Reason
		}
	}
	return ""
}

func noted(s advisor.Settings, code string) string {
	for _, n := range s.Notes {
		if n.Code == code {
			return n.Text + " | " + n.Hint
		}
	}
	return ""
}

func TestRules(t *testing.T) {
	const big = 24 * gB
	writes := func(rate int64, edit func(*rundoc.ServerDelta)) rundoc.Visit {
		return visit("write-heavy", 16, func(v *rundoc.Visit) {
			v.Server.WALBytes = 30 * rate
			if edit != nil {
				edit(&v.Server)
			}
		})
	}
	base := func(p ...rundoc.PlanProbe) []rundoc.PlanProbe { return p }
	bench := func(f *probe.Facts) {
		f.Storage[0].Bench = &probe.DiskBench{SeqReadRate: 2e9, SeqRead8kRate: 450e6, Random: []probe.DepthRate{
			{Depth: 1, IOPS: 11_000, Mean: 95e-6}, {Depth: 8, IOPS: 60_000, Mean: 1e-4}, {Depth: 32, IOPS: 100_000, Mean: 3e-4}, {Depth: 64, IOPS: 104_000, Mean: 5e-4}}}
	}
	for _, tc := range []struct {
		name     string
		major    int
		ram      int64
		cpus     float64
		values   map[string]string
		edit     func(*probe.Facts)
		visits   []rundoc.Visit
		probes   []rundoc.PlanProbe
		clock    float64 // seconds a reading
		in       Input
		setting  string
		proposed string // "" for kept
		reason   string // part of the reason, of the proposal or for keeping
		method   advisor.Method
	}{
		{name: "a quarter for shared_buffers", setting: "shared_buffers", proposed: "6GB", reason: "until a trial confirms", method: advisor.Rule},
		{name: "not more than the data needs", edit: func(f *probe.Facts) { f.Server.ClusterBytes = probe.Is(800*mB, "") }, setting: "shared_buffers", proposed: "1GB", reason: "800 MB of data"},
		{name: "data that fits already", edit: func(f *probe.Facts) { f.Server.ClusterBytes = probe.Is(30*mB, "") }, setting: "shared_buffers", reason: "holds all"},
		{name: "hits measured", visits: []rundoc.Visit{visit("read-heavy", 8, func(v *rundoc.Visit) { v.Server.BlksRead = 100 })}, setting: "shared_buffers", reason: "99.99 %"},
		{name: "data that pgfit made bound nothing", edit: scratch, visits: []rundoc.Visit{visit("read-heavy", 8, func(v *rundoc.Visit) { v.Server.BlksRead = 100 })},
			setting: "shared_buffers", proposed: "6GB", reason: "pgfit chose the size"},
		{name: "nor maintenance", edit: scratch, setting: "maintenance_work_mem", proposed: "1GB", reason: "a sixteenth"},
		{name: "nor vacuum", edit: scratch, values: map[string]string{"maintenance_work_mem": "1GB"}, setting: "autovacuum_work_mem", proposed: "256MB", reason: "the tables are not known"},
		{name: "within 5 %", values: map[string]string{"shared_buffers": "5900MB"}, setting: "shared_buffers", reason: "within 5 %"},
		{name: "larger than the rule stays", values: map[string]string{"shared_buffers": "8GB"}, setting: "shared_buffers", reason: "only a trial"},
		{name: "little memory, reading", ram: gB, in: Input{Workload: "web"}, setting: "shared_buffers", reason: "5 to 10 %"},
		{name: "memory unknown", edit: func(f *probe.Facts) { f.Host.Memory = probe.Memory{} }, setting: "shared_buffers", reason: "--ram"},
		{name: "aurora has no page cache", edit: func(f *probe.Facts) { f.Server.Service = probe.Is("aurora", "") }, setting: "shared_buffers", reason: "aurora"},
		{name: "three quarters for the planner", setting: "effective_cache_size", proposed: "18GB"},

		{name: "no run, no work_mem", setting: "work_mem", reason: "there was no run"},
		{name: "no spill, no work_mem", visits: []rundoc.Visit{writes(1, nil)}, setting: "work_mem", reason: "spilled"},
		{name: "a spill raises work_mem", visits: []rundoc.Visit{writes(1, nil)}, probes: base(rundoc.PlanProbe{Statement: "select", Seconds: 1, SpilledKB: 20480, SortKB: 20480, MemoryNodes: 2}),
			in: Input{Pool: Pool{Total: 20}}, setting: "work_mem", proposed: "52MB", method: advisor.Measured},
		{name: "half of it for a hash, which may take twice", visits: []rundoc.Visit{writes(1, nil)}, probes: base(rundoc.PlanProbe{Statement: "select", Seconds: 1, SpilledKB: 20480, SortKB: 20480, MemoryNodes: 1, HashNodes: 1}),
			in: Input{Pool: Pool{Total: 20}}, setting: "work_mem", proposed: "28MB", method: advisor.Measured},
		{name: "other statements were seen to need little", visits: []rundoc.Visit{writes(1, nil)}, probes: base(
			rundoc.PlanProbe{Statement: "select", Seconds: 1, SpilledKB: 900 << 10, SortKB: 900 << 10, MemoryNodes: 1, SortNodes: 1},
			rundoc.PlanProbe{Statement: "join", Seconds: 1, SortKB: 1 << 10, MemoryNodes: 6, SortNodes: 2, HashNodes: 4}),
			in: Input{Pool: Pool{Total: 20}}, setting: "work_mem", proposed: "192MB", reason: "no more than this"},
		{name: "files are as fast as memory", visits: []rundoc.Visit{writes(1, nil)}, probes: base(
			rundoc.PlanProbe{Statement: "select", Seconds: 1, SpilledKB: 20480, SortKB: 20480, MemoryNodes: 1, SortNodes: 1},
			rundoc.PlanProbe{Statement: "select", Set: map[string]string{"work_mem": "16MB"}, Acts: true, Seconds: 1.2, MemoryNodes: 1, SortNodes: 1},
			rundoc.PlanProbe{Statement: "select", Set: map[string]string{"work_mem": "64MB"}, Acts: true, Seconds: 1.1, MemoryNodes: 1, SortNodes: 1}),
			in: Input{Pool: Pool{Total: 20}}, setting: "work_mem", reason: "tried 64MB on 1 statement: 0.91 times as fast, no gain"},
		{name: "memory is faster", visits: []rundoc.Visit{writes(1, nil)}, probes: base(
			rundoc.PlanProbe{Statement: "select", Seconds: 1, SpilledKB: 20480, SortKB: 20480, MemoryNodes: 1, SortNodes: 1},
			rundoc.PlanProbe{Statement: "select", Set: map[string]string{"work_mem": "16MB"}, Acts: true, Seconds: .5, MemoryNodes: 1, SortNodes: 1},
			rundoc.PlanProbe{Statement: "select", Set: map[string]string{"work_mem": "64MB"}, Acts: true, Seconds: .6, MemoryNodes: 1, SortNodes: 1}),
			in: Input{Pool: Pool{Total: 20}}, setting: "work_mem", proposed: "16MB", method: advisor.Measured},
		{name: "faster in a single run", visits: []rundoc.Visit{writes(1, nil)}, probes: base(
			rundoc.PlanProbe{Statement: "select", Seconds: 1, SpilledKB: 20480, SortKB: 20480, MemoryNodes: 1, SortNodes: 1, Fastest: 1, Slowest: 1},
			rundoc.PlanProbe{Statement: "select", Set: map[string]string{"work_mem": "64MB"}, Acts: true, Seconds: .6, MemoryNodes: 1, SortNodes: 1, Fastest: .6, Slowest: .6}),
			in: Input{Pool: Pool{Total: 20}}, setting: "work_mem", reason: "no more than runs of the same kind differ"},
		{name: "faster memory that there is no room for", ram: 4 * gB, visits: []rundoc.Visit{writes(1, nil)}, probes: base(
			rundoc.PlanProbe{Statement: "select", Seconds: 1, SpilledKB: 204800, SortKB: 204800, MemoryNodes: 1, SortNodes: 1},
			rundoc.PlanProbe{Statement: "select", Set: map[string]string{"work_mem": "512MB"}, Acts: true, Seconds: .5, MemoryNodes: 1, SortNodes: 1}),
			in: Input{Pool: Pool{Total: 20}}, setting: "work_mem", reason: "room for no more than 13MB, which was not tried"},
		{name: "nor would more of it gain", ram: 4 * gB, visits: []rundoc.Visit{writes(1, nil)}, probes: base(
			rundoc.PlanProbe{Statement: "select", Seconds: 1, SpilledKB: 204800, SortKB: 204800, MemoryNodes: 1, SortNodes: 1},
			rundoc.PlanProbe{Statement: "select", Set: map[string]string{"work_mem": "512MB"}, Acts: true, Seconds: 1, MemoryNodes: 1, SortNodes: 1}),
			in: Input{Pool: Pool{Total: 20}}, setting: "work_mem", reason: "no gain"},
		{name: "temporary files raise work_mem", visits: []rundoc.Visit{writes(1, func(d *rundoc.ServerDelta) { d.TempFiles, d.TempBytes = 10, 160*mB })}, setting: "work_mem", proposed: "40MB", method: advisor.Measured},
		{name: "as far as the budget goes", ram: 4 * gB, visits: []rundoc.Visit{writes(1, nil)}, probes: base(rundoc.PlanProbe{Statement: "select", Seconds: 1, SpilledKB: 900 << 10, SortKB: 900 << 10, MemoryNodes: 2}),
			in: Input{Pool: Pool{Total: 20}}, setting: "work_mem", proposed: "6MB", reason: "no more than this"},
		{name: "the present breaks the budget", values: map[string]string{"work_mem": "512MB"}, in: Input{Pool: Pool{Total: 50}}, setting: "work_mem", reason: "at worst", proposed: "80MB"},
		{name: "vacuum gives way before work_mem", ram: gB, cpus: 1, setting: "autovacuum_work_mem", proposed: "52MB", reason: "at worst, and 819 MB"},
		{name: "a small pool on a small machine", ram: gB, cpus: 1, in: Input{Pool: Pool{Total: 20}}, setting: "work_mem", proposed: "2816kB", reason: "at worst"},
		{name: "hash tables before 15", major: 14, visits: []rundoc.Visit{writes(1, func(d *rundoc.ServerDelta) { d.TempFiles, d.TempBytes = 10, 160*mB })}, setting: "hash_mem_multiplier", proposed: "2"},

		{name: "maintenance a sixteenth, 1 GB at most", setting: "maintenance_work_mem", proposed: "1GB"},
		{name: "maintenance of a small database", edit: func(f *probe.Facts) {
			f.Server.Tables = []probe.Table{{Name: "t", Bytes: 10 * mB}}
		}, setting: "maintenance_work_mem", reason: "enough"},
		{name: "vacuum has its own", edit: func(f *probe.Facts) {
			f.Server.Tables = []probe.Table{{Name: "t", Bytes: 60 * gB, Rows: 100e6}}
		}, setting: "autovacuum_work_mem", proposed: "144MB", reason: "3 workers"},
		{name: "vacuum of 17 needs less", major: 17, edit: func(f *probe.Facts) {
			f.Server.Tables = []probe.Table{{Name: "t", Bytes: 60 * gB, Rows: 100e6}}
		}, setting: "autovacuum_work_mem", proposed: "64MB"},
		{name: "vacuum of unknown tables", setting: "autovacuum_work_mem", proposed: "256MB"},
		{name: "full pages cannot exceed the data", edit: func(f *probe.Facts) { f.Server.ClusterBytes = probe.Is(50*mB, "") },
			visits: []rundoc.Visit{writes(4*mB, func(d *rundoc.ServerDelta) { d.WALFPI = 30 * 4 * mB / 8192 / 2 })}, setting: "checkpoint_timeout", reason: "save little"},
		{name: "pod without huge pages", edit: func(f *probe.Facts) { f.Host.HugeTLBLimit = probe.Is(int64(0), "hugetlb.2MB.max") }, setting: "huge_pages", proposed: "off"},

		{name: "need below max_connections", in: Input{Pool: Pool{Total: 40}}, setting: "max_connections", reason: "48 are needed"},
		{name: "need above max_connections", in: Input{Pool: Pool{Total: 120}}, setting: "max_connections", proposed: "130", reason: "128"},
		{name: "no pool, no change", setting: "max_connections", reason: "never raised without need"},
		{name: "administrators locked out", values: map[string]string{"superuser_reserved_connections": "0"}, setting: "superuser_reserved_connections", proposed: "3"},

		{name: "flag of a guest says nothing", edit: func(f *probe.Facts) { f.Host.Hypervisor = probe.Is("kvm", "") }, setting: "random_page_cost", reason: "not measured"},
		{name: "disk not measured, flash by name", edit: func(f *probe.Facts) { f.Storage[0].Class = probe.NVMe }, setting: "random_page_cost", proposed: "1.5", method: advisor.Rule},
		{name: "hard disk", edit: func(f *probe.Facts) { f.Storage[0].Class = probe.HDD }, setting: "random_page_cost", reason: "not measured"},
		{name: "measured disk, up to 16", edit: bench, setting: "random_page_cost", proposed: "1.3", method: advisor.Measured},
		{name: "measured disk, from 17, as much data as memory", major: 17, edit: func(f *probe.Facts) { bench(f); f.Server.ClusterBytes = probe.Is(20*gB, "") }, setting: "random_page_cost", proposed: "2.5", method: advisor.Measured},
		{name: "measured disk, from 17, in the server's own large reads", major: 17, edit: func(f *probe.Facts) { bench(f); f.Storage[0].Bench.SeqRead128kRate = 700e6 }, setting: "random_page_cost", proposed: "2", reason: "8.12 times", method: advisor.Measured},
		{name: "measured hits", major: 17, edit: bench, visits: []rundoc.Visit{visit("read-heavy", 8, func(v *rundoc.Visit) { v.Host.DiskReads = 1000 })}, setting: "random_page_cost", proposed: "1.1", reason: "99.9 %"},
		{name: "no plan changes", edit: bench, setting: "random_page_cost", reason: "without effect on this workload: 1 statement explained with random_page_cost = 1.1 or 2",
			probes: base(rundoc.PlanProbe{Statement: "a", Seconds: 1, Shape: "x"}, rundoc.PlanProbe{Statement: "a", Shape: "x", Set: map[string]string{"random_page_cost": "1.1"}},
				rundoc.PlanProbe{Statement: "a", Shape: "x", Set: map[string]string{"random_page_cost": "2"}})},
		{name: "no plan changes, other statements", edit: bench, setting: "random_page_cost", reason: "the disk speaks for 1.3: explain yours after SET random_page_cost = 1.3",
			probes: base(rundoc.PlanProbe{Statement: "a", Seconds: 1, Shape: "x"}, rundoc.PlanProbe{Statement: "a", Shape: "x", Set: map[string]string{"random_page_cost": "1.1"}})},
		{name: "plans tried without effect", edit: bench, setting: "random_page_cost", reason: "no gain",
			probes: base(rundoc.PlanProbe{Statement: "a", Seconds: 1, Shape: "x"}, rundoc.PlanProbe{Statement: "a", Seconds: 0.99, Shape: "y", Set: map[string]string{"random_page_cost": "1.1"}})},
		{name: "plans change and nobody timed them", edit: bench, setting: "random_page_cost", reason: "not seen to be better",
			probes: base(rundoc.PlanProbe{Statement: "a", Shape: "x"}, rundoc.PlanProbe{Statement: "a", Shape: "y", Acts: true, Set: map[string]string{"random_page_cost": "1.1"}})},
		{name: "runs of one kind differ as much", setting: "random_page_cost", reason: "no more than runs of the same kind differ",
			probes: base(rundoc.PlanProbe{Statement: "a", Seconds: 1, Fastest: 0.7, Slowest: 1.5, Shape: "x"},
				rundoc.PlanProbe{Statement: "a", Seconds: 0.6, Fastest: 0.5, Slowest: 0.8, Shape: "y", Set: map[string]string{"random_page_cost": "1.1"}})},
		{name: "runs of one kind differ less", setting: "random_page_cost", proposed: "1.1", method: advisor.Measured,
			probes: base(rundoc.PlanProbe{Statement: "a", Seconds: 1, Fastest: 0.9, Slowest: 1.5, Shape: "x"},
				rundoc.PlanProbe{Statement: "a", Seconds: 0.6, Fastest: 0.5, Slowest: 0.8, Shape: "y", Set: map[string]string{"random_page_cost": "1.1"}})},
		{name: "one statement pays for the others", setting: "random_page_cost", reason: "one of them took 2.0 times as long",
			probes: base(rundoc.PlanProbe{Statement: "a", Seconds: 10, Shape: "x"}, rundoc.PlanProbe{Statement: "b", Seconds: 1, Shape: "x"},
				rundoc.PlanProbe{Statement: "a", Seconds: 5, Shape: "y", Set: map[string]string{"random_page_cost": "1.1"}}, rundoc.PlanProbe{Statement: "b", Seconds: 2, Shape: "y", Set: map[string]string{"random_page_cost": "1.1"}})},
		{name: "jit acts on no statement", in: Input{Workload: "web"}, setting: "jit", reason: "without effect on this workload",
			probes: base(rundoc.PlanProbe{Statement: "a", Shape: "x"}, rundoc.PlanProbe{Statement: "a", Shape: "x", Set: map[string]string{"jit": "off"}})},
		{name: "jit tried", setting: "jit", proposed: "off", method: advisor.Measured,
			probes: base(rundoc.PlanProbe{Statement: "a", Seconds: 1, Shape: "x"}, rundoc.PlanProbe{Statement: "a", Seconds: 0.6, Shape: "x", Acts: true, Set: map[string]string{"jit": "off"}})},
		{name: "plans tried with effect", setting: "random_page_cost", proposed: "1.1", method: advisor.Measured,
			probes: base(rundoc.PlanProbe{Statement: "a", Seconds: 1, Shape: "x"}, rundoc.PlanProbe{Statement: "a", Seconds: 0.5, Shape: "y", Set: map[string]string{"random_page_cost": "1.1"}})},
		{name: "depth of the disk", edit: bench, setting: "effective_io_concurrency", proposed: "16", method: advisor.Measured},
		{name: "no bitmap scans", edit: bench, probes: base(rundoc.PlanProbe{Statement: "a", Seconds: 1, Shape: "Seq Scan"}), setting: "effective_io_concurrency", reason: "bitmap"},
		{name: "no bitmap scans, other statements", edit: bench, probes: base(rundoc.PlanProbe{Statement: "a", Seconds: 1, Shape: "Seq Scan"}), setting: "effective_io_concurrency",
			reason: "the disk speaks for 16: explain yours after SET effective_io_concurrency = 16"},
		{name: "18's default suits", major: 18, edit: bench, setting: "effective_io_concurrency", reason: "within 5 %|has this value"},
		{name: "whole depth for maintenance", edit: bench, setting: "maintenance_io_concurrency", proposed: "32"},
		{name: "jit of a web server", in: Input{Workload: "web"}, setting: "jit", proposed: "off", method: advisor.Rule},
		{name: "jit measured", probes: base(rundoc.PlanProbe{Statement: "a", Seconds: 1, JITSeconds: 0.4}), setting: "jit", proposed: "off", method: advisor.Measured},
		{name: "jit of a warehouse", in: Input{Workload: "dw"}, setting: "jit", reason: "does not speak against"},
		{name: "statistics of a warehouse", in: Input{Workload: "dw"}, setting: "default_statistics_target", proposed: "500"},
		{name: "statistics stay", setting: "default_statistics_target", reason: "SET STATISTICS"},
		{name: "one CPU has nobody to share with", cpus: 1, setting: "max_parallel_workers_per_gather", proposed: "0"},
		{name: "warehouse workers", cpus: 16, in: Input{Workload: "dw"}, setting: "max_parallel_workers_per_gather", proposed: "8"},
		{name: "room for warehouse workers", cpus: 16, in: Input{Workload: "dw"}, setting: "max_worker_processes", proposed: "20"},

		{name: "completion target of 13", major: 13, setting: "checkpoint_completion_target", proposed: "0.9"},
		{name: "WAL between checkpoints", visits: []rundoc.Visit{writes(10*mB, func(d *rundoc.ServerDelta) { d.CheckpointsReq = 2 })}, setting: "max_wal_size", proposed: "7GB", reason: "10.0 MB/s", method: advisor.Measured},
		{name: "WAL held down by the disk", edit: func(f *probe.Facts) { f.Storage[0].Free = probe.Is(12*gB, "") }, visits: []rundoc.Visit{writes(10*mB, nil)}, setting: "max_wal_size", proposed: "3GB", reason: "free on the WAL volume"},
		{name: "WAL held down by recovery", visits: []rundoc.Visit{writes(10*mB, nil)}, in: Input{RecoveryTime: 30 * time.Second}, setting: "max_wal_size", proposed: "2560MB", reason: "recovery"},
		{name: "WAL lowered for recovery", edit: slowDisk, visits: []rundoc.Visit{writes(10*mB, nil)}, in: Input{RecoveryTime: 10 * time.Second}, setting: "max_wal_size", proposed: "448MB", reason: "could take 20 s of the 10s allowed"},
		{name: "WAL lowered for recovery without a run", edit: slowDisk, in: Input{RecoveryTime: 10 * time.Second}, setting: "max_wal_size", proposed: "448MB", reason: "could take 20 s"},
		{name: "little WAL needs no lower bound", edit: slowDisk, visits: []rundoc.Visit{writes(500*kB, nil)}, in: Input{RecoveryTime: 10 * time.Second}, setting: "max_wal_size", reason: "holds the WAL"},
		{name: "little WAL", visits: []rundoc.Visit{writes(100*kB, nil)}, setting: "max_wal_size", reason: "holds the WAL"},
		{name: "WAL without a run", setting: "max_wal_size", proposed: "4GB", method: advisor.Rule},
		{name: "WAL without a run that somebody chose", values: map[string]string{"max_wal_size": "2GB"}, setting: "max_wal_size", reason: "somebody chose"},
		{name: "no WAL rules on aurora", edit: func(f *probe.Facts) { f.Server.Service = probe.Is("aurora", "") }, visits: []rundoc.Visit{writes(10*mB, nil)}, setting: "max_wal_size", reason: "no meaning"},
		{name: "full pages make checkpoints rare", visits: []rundoc.Visit{writes(4*mB, func(d *rundoc.ServerDelta) { d.WALFPI = 30 * 4 * mB / 8192 / 2 })}, setting: "checkpoint_timeout", proposed: "15min", method: advisor.Measured},
		{name: "few full pages", visits: []rundoc.Visit{writes(4*mB, nil)}, setting: "checkpoint_timeout", reason: "save little"},
		{name: "segments for a burst", visits: []rundoc.Visit{writes(10*mB, nil)}, setting: "min_wal_size", proposed: "1792MB"},
		{name: "pglz is dear", visits: []rundoc.Visit{writes(4*mB, func(d *rundoc.ServerDelta) { d.WALFPI = 30 * 4 * mB / 8192 / 3 })}, setting: "wal_compression", reason: "pglz"},
		{name: "lz4 where listed", edit: func(f *probe.Facts) {
			set := f.Server.Settings["wal_compression"]
			set.EnumVals = []string{"pglz", "lz4", "on", "off"}
			f.Server.Settings["wal_compression"] = set
		}, visits: []rundoc.Visit{writes(4*mB, func(d *rundoc.ServerDelta) { d.WALFPI = 30 * 4 * mB / 8192 / 3 })}, setting: "wal_compression", proposed: "lz4"},
		{name: "WAL buffers full", values: map[string]string{"shared_buffers": "8GB"}, visits: []rundoc.Visit{writes(4*mB, func(d *rundoc.ServerDelta) { d.WALBuffersFull = 300 })}, setting: "wal_buffers", proposed: "64MB", method: advisor.Measured},
		{name: "WAL buffers grow with shared_buffers", visits: []rundoc.Visit{writes(4*mB, func(d *rundoc.ServerDelta) { d.WALBuffersFull = 300 })}, setting: "wal_buffers", reason: "by itself"},
		{name: "13 does not count full buffers", major: 13, visits: []rundoc.Visit{writes(4*mB, func(d *rundoc.ServerDelta) { d.WALBuffersFull = -1 })}, setting: "wal_buffers", reason: "none was counted"},
		{name: "background writer held back", visits: []rundoc.Visit{writes(4*mB, func(d *rundoc.ServerDelta) {
			d.BuffersCheckpoint, d.BuffersClean, d.BuffersBackend, d.MaxWrittenClean = 1000, 1000, 2000, 40
		})}, setting: "bgwriter_lru_maxpages", proposed: "500", method: advisor.Measured},

		{name: "autovacuum off", values: map[string]string{"autovacuum": "off"}, setting: "autovacuum", proposed: "on"},
		{name: "vacuum too slow", visits: []rundoc.Visit{writes(4*mB, func(d *rundoc.ServerDelta) { d.TupUpdated = 30 * 9000 })}, setting: "autovacuum_vacuum_cost_limit", proposed: "400", method: advisor.Measured},
		{name: "vacuum fast enough", visits: []rundoc.Visit{writes(4*mB, func(d *rundoc.ServerDelta) { d.TupUpdated = 30 * 900 })}, setting: "autovacuum_vacuum_cost_limit", reason: "4545 pages"},
		{name: "large table", edit: func(f *probe.Facts) { f.Server.Tables = []probe.Table{{Name: "t", Bytes: 60 * gB, Rows: 200e6}} }, setting: "autovacuum_vacuum_scale_factor", proposed: "0.01"},
		{name: "small tables", edit: func(f *probe.Facts) { f.Server.Tables = []probe.Table{{Name: "t", Bytes: gB, Rows: 1e6}} }, setting: "autovacuum_vacuum_scale_factor", reason: "small"},
		{name: "checkpoints in the log of 14", major: 14, setting: "log_checkpoints", proposed: "on"},
		{name: "statement statistics beside others", values: map[string]string{"shared_preload_libraries": "auto_explain"}, edit: func(f *probe.Facts) { f.Server.Available = []string{"pg_stat_statements"} },
			setting: "shared_preload_libraries", proposed: "auto_explain,pg_stat_statements"},
		{name: "timing only after a test of the clock", setting: "track_io_timing", reason: "pg_test_timing"},
		{name: "timing with a cheap clock", clock: 40e-9, visits: []rundoc.Visit{writes(1, nil)}, setting: "track_io_timing", proposed: "on", method: advisor.Measured},
		{name: "no timing with a slow clock", clock: 900e-9, visits: []rundoc.Visit{writes(1, nil)}, setting: "track_io_timing", reason: "about 900 ns"},
		{name: "workers for a deep disk", major: 18, cpus: 32, edit: bench, visits: []rundoc.Visit{visit("read-heavy", 8, func(v *rundoc.Visit) { v.Host.DiskReads = 50_000 })}, setting: "io_workers", proposed: "16"},
		{name: "io_method by trial only", major: 18, setting: "io_method", reason: "trial"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			major, ram, cpus := tc.major, tc.ram, tc.cpus
			if major == 0 {
				major = 15
			}
			if ram == 0 {
				ram = big
			}
			if cpus == 0 {
				cpus = 2
			}
			in := tc.in
			in.Dedicated = true
			in.Facts = facts(t, major, ram, cpus, tc.values)
			if tc.edit != nil {
				tc.edit(&in.Facts)
			}
			if len(tc.visits)+len(tc.probes) > 0 {
				in.Doc = run(in.Facts, tc.probes, tc.visits...)
				in.Doc.Calibration.ClockSeconds = tc.clock
			}
			got := Advise(in)
			p, ok := proposal(got, tc.setting)
			reason := p.Reason
			if !ok {
				reason = kept(got, tc.setting)
			}
			if p.Proposed != tc.proposed || !containsAny(reason, tc.reason) || tc.method != "" && p.Method != tc.method {
				t.Errorf("%s: proposed %q (%s): %q, want %q (%s): ...%q...", tc.setting, p.Proposed, p.Method, reason, tc.proposed, tc.method, tc.reason)
			}
			if p.Method == advisor.Measured && len(p.Inputs) == 0 {
				t.Errorf("%s is measured and lists no figure", tc.setting)
			}
		})
	}
}

func containsAny(text, parts string) bool {
	for _, part := range strings.Split(parts, "|") {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

func TestNotes(t *testing.T) {
	f := facts(t, 15, 64*gB, 16, map[string]string{"fsync": "off", "full_page_writes": "off", "password_encryption": "md5", "work_mem": "1GB"})
	f.Server.Standbys = probe.Is(1, "")
	got := Advise(Input{Facts: f, Dedicated: true, Pool: Pool{Total: 150}})
	for code, want := range map[string]string{
		"durability-fsync": "beyond repair", "durability-full_page_writes": "torn pages", "password-md5": "scram",
		"memory-over-budget": "of 51.2 GB that may be used", "huge-pages": "vm.nr_hugepages = ", "standby-order": "max_connections",
	} {
		if text := noted(got, code); !strings.Contains(text, want) {
			t.Errorf("note %s = %q, want ...%q...", code, text, want)
		}
	}
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit", "wal_level", "data_checksums"} {
		if _, ok := proposal(got, name); ok {
			t.Errorf("%s is proposed", name)
		}
	}
	f.Server.Service = probe.Is("neon", "")
	if text := noted(Advise(Input{Facts: f}), "durability-fsync"); text != "" {
		t.Errorf("neon shows fsync off by design, yet: %s", text)
	}
}

// TestSharedMachine: on a machine with other programs the memory rules take what those leave, and say so.
func TestSharedMachine(t *testing.T) {
	f := facts(t, 16, 64*gB, 16, map[string]string{"shared_buffers": "1GB"})
	for _, tc := range []struct {
		name            string
		available, held probe.Fact[int64]
		buffers, from   string
	}{
		{"read", probe.Is(15*gB, ""), probe.Is(gB, ""), "4GB", "16.0 GB (other programs leave 15.0 GB, and the server holds 1.0 GB)"},
		{"buffers hardly used", probe.Is(16*gB, ""), probe.Is(20*mB, ""), "4GB", "(other programs leave 16.0 GB, and the server holds 20 MB)"},
		{"the server's own not read", probe.Is(15*gB, ""), probe.Fact[int64]{State: probe.Denied}, "4GB", "(other programs leave 15.0 GB, and the server's own 1.0 GB of shared_buffers, taken as held)"},
		{"nothing else runs", probe.Is(64*gB, ""), probe.Is(gB, ""), "16GB", "64.0 GB (test; other programs leave more than that)"},
		{"nobody looked", probe.Fact[int64]{}, probe.Fact[int64]{}, "16GB", "64.0 GB (test; what other programs on the machine use is not known)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f.Host.Memory.Available, f.Host.Memory.Server = tc.available, tc.held
			f.Host.Memory.Budget.Source = "test"
			p, ok := proposal(Advise(Input{Facts: f}), "shared_buffers")
			if !ok || p.Proposed != tc.buffers || len(p.Inputs) == 0 || !strings.HasSuffix(p.Inputs[0].Value, tc.from) {
				t.Errorf("shared_buffers %q from %+v, want %s from ...%s", p.Proposed, p.Inputs, tc.buffers, tc.from)
			}
		})
	}
}

func TestHugePagesExact(t *testing.T) {
	f := facts(t, 16, 64*gB, 16, map[string]string{"shared_buffers": "16GB"})
	set := f.Server.Settings["shared_memory_size_in_huge_pages"]
	set.Value = "8386"
	f.Server.Settings["shared_memory_size_in_huge_pages"] = set
	if text := noted(Advise(Input{Facts: f, Dedicated: true}), "huge-pages"); !strings.Contains(text, "vm.nr_hugepages = 8386 ") {
		t.Errorf("huge pages: %s", text)
	}
}

func TestEvenTheLeastDoesNotFit(t *testing.T) {
	f := facts(t, 15, 512*mB, 1, nil)
	got := Advise(Input{Facts: f, Dedicated: true, Pool: Pool{Total: 90}})
	if len(got.Findings) != 1 || got.Findings[0].Code != "memory-budget" || !got.Budget.Over {
		t.Fatalf("findings %+v, over %v", got.Findings, got.Budget.Over)
	}
	for _, name := range memorySettings {
		if p, ok := proposal(got, name); ok {
			t.Errorf("%s is proposed over budget: %s", name, p.Proposed)
		}
	}
	if i := slices.IndexFunc(got.Notes, func(w probe.Warning) bool { return w.Code == "memory-over-budget" }); i < 0 || strings.Contains(got.Notes[i].Hint, "proposed values") {
		t.Errorf("notes %+v, want no hint at values that are not proposed", got.Notes)
	}
}

func TestAdviceIsTheSameBytes(t *testing.T) {
	f := facts(t, 18, 64*gB, 16, nil)
	doc := run(f, []rundoc.PlanProbe{{Statement: "a", Seconds: 1, SpilledKB: 90000, SortKB: 80000}}, visit("read-heavy", 8, nil), visit("write-heavy", 8, nil), visit("mixed", 8, nil))
	in := Input{Facts: f, Doc: doc, Dedicated: true, Pool: Pool{Total: 12}}
	first, err := json.Marshal(Advise(in))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, _ := json.Marshal(Advise(in)); string(again) != string(first) {
			t.Fatalf("two answers:\n%s\n%s", first, again)
		}
	}
}

func TestAdviseLeavesItsInputAlone(t *testing.T) {
	f := facts(t, 16, 32*gB, 8, nil)
	before, _ := json.Marshal(f)
	Advise(Input{Facts: f, Dedicated: true, Workload: "dw"})
	if after, _ := json.Marshal(f); string(before) != string(after) {
		t.Error("Advise changed the facts")
	}
}

// A server of which nothing is known but its version gets no guess.
func TestNothingKnown(t *testing.T) {
	if got := Advise(Input{}); len(got.Proposals)+len(got.Kept)+len(got.Findings) != 0 {
		t.Errorf("advice without facts: %+v", got)
	}
	all, err := guc.Catalogue(16)
	if err != nil {
		t.Fatal(err)
	}
	got := Advise(Input{Facts: probe.Facts{Server: probe.Server{VersionNum: 160000, Settings: all}}})
	for _, p := range got.Proposals {
		if p.Family != logging {
			t.Errorf("%s = %s is proposed without a fact: %s", p.Name, p.Proposed, p.Reason)
		}
	}
	if got.Budget.Limit != 0 || got.Budget.Over {
		t.Errorf("a budget without a machine: %+v", got.Budget)
	}
}

// A recovery time that no max_wal_size keeps is a finding, and one that is kept is none.
func TestRecoveryBudget(t *testing.T) {
	for _, tc := range []struct {
		segment string // in bytes, as the server shows it
		want    bool
	}{{"16777216", false}, {"1073741824", true}} {
		f := facts(t, 16, 24*gB, 4, nil)
		slowDisk(&f)
		put(f.Server.Settings, "wal_segment_size", tc.segment)
		got := Advise(Input{Facts: f, RecoveryTime: 10 * time.Second})
		found := slices.ContainsFunc(got.Findings, func(f advisor.Finding) bool { return f.Code == "recovery-budget" })
		if found != tc.want || !found && got.Budget.RecoveryOver {
			t.Errorf("segments of %s: findings %+v, budget %+v", tc.segment, got.Findings, got.Budget)
		}
	}
}
