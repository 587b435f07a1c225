package rules

import (
	"encoding/json"
	"flag"
	"maps"
	"math/rand/v2"
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

var rounds = flag.Int("rounds", 300, "random hosts to advise")

// pick one of some values.
func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// randomInput is a host from 512 MB to 1 TB and half a CPU to 256, a server of 13 to 18 with some settings changed, and
// often a run with random counters.
func randomInput(t *testing.T, r *rand.Rand) Input {
	major := guc.OldestMajor + r.IntN(guc.NewestMajor-guc.OldestMajor+1)
	ram := int64(512*mB) << r.IntN(12)
	ram += int64(r.Float64() * float64(ram) * 0.9)
	ram = min(ram, 1<<40)
	cpus := pick(r, 0.5, 1, 1.5, 2, 4, 8, 16, 32, 64, 128, 256)
	f := facts(t, major, ram, cpus, randomSettings(r))
	if r.IntN(4) == 0 {
		f.Host.Memory.Available = probe.Is(ram/2, "test")
		if r.IntN(2) == 0 {
			f.Host.Memory.Server = probe.Is(ram/8, "test")
		}
	}
	if r.IntN(20) == 0 {
		f.Host.Memory = probe.Memory{}
	}
	f.Storage[0].Class = pick(r, probe.HDD, probe.SSD, probe.NVMe, probe.Network, probe.UnknownClass)
	f.Storage[0].Free = probe.Is(int64(r.Float64()*float64(1000*gB))>>r.IntN(8), "test")
	if r.IntN(2) == 0 {
		b := &probe.DiskBench{SeqReadRate: 1e8 * (1 + 30*r.Float64()), SeqRead8kRate: 1e8 * (1 + 10*r.Float64()), Noisy: r.IntN(3) == 0}
		for depth, iops := 1, 100+1e4*r.Float64(); depth <= 64; depth, iops = depth*2, iops*(1+r.Float64()) {
			b.Random = append(b.Random, probe.DepthRate{Depth: depth, IOPS: iops, Mean: float64(depth) / iops})
		}
		f.Storage[0].Bench = b
	}
	f.Server.ClusterBytes = probe.Is(int64(1)<<(20+r.IntN(22)), "test")
	f.Server.Scratch = r.IntN(4) == 0
	f.Server.Service = probe.Is(pick(r, "self-managed", "self-managed", "self-managed", "rds", "aurora", "supabase", "neon", "cnpg", "azure"), "test")
	if r.IntN(2) == 0 {
		f.Server.Tables = []probe.Table{{Name: "t", Bytes: f.Server.ClusterBytes.Value / 2, Rows: f.Server.ClusterBytes.Value / 200}}
	}
	f.Server.Available = pick(r, nil, []string{"pg_stat_statements"})
	in := Input{Facts: f, Dedicated: r.IntN(2) == 0, Workload: pick(r, "", "auto", "web", "oltp", "dw", "mixed"),
		RuleSet: pick(r, "", "", "", "guide"), RecoveryTime: pick(r, 0, 30*time.Second, time.Minute, 5*time.Minute, time.Hour)}
	if r.IntN(3) > 0 {
		in.Pool = Pool{Total: r.IntN(400), Processes: 1 + r.IntN(8)}
	}
	if r.IntN(3) > 0 {
		in.Doc = randomRun(r, f)
	}
	return in
}

func randomSettings(r *rand.Rand) map[string]string {
	values := map[string]string{}
	choices := map[string][]string{
		"shared_buffers": {"128kB", "1GB", "16GB", "200GB"}, "work_mem": {"64kB", "1MB", "64MB", "2GB"}, "maintenance_work_mem": {"1MB", "1GB", "20GB"},
		"autovacuum_work_mem": {"-1", "1MB", "4GB"}, "max_connections": {"10", "200", "1000", "5000"}, "superuser_reserved_connections": {"0", "5"}, "max_wal_size": {"64MB", "4GB", "100GB"},
		"min_wal_size": {"32MB", "1GB", "8GB"}, "hash_mem_multiplier": {"1", "8"}, "random_page_cost": {"1", "1.1", "10"}, "seq_page_cost": {"0.1", "2"}, "jit": {"off"},
		"max_parallel_workers_per_gather": {"0", "8"}, "max_parallel_workers": {"0", "64"}, "max_worker_processes": {"1", "100"}, "autovacuum": {"off"}, "autovacuum_max_workers": {"10"},
		"wal_buffers": {"64kB", "64MB"}, "wal_compression": {"on"}, "checkpoint_timeout": {"30s", "1h"}, "checkpoint_completion_target": {"0.1", "0.95"}, "huge_pages": {"on", "off"}, "effective_io_concurrency": {"0", "300"},
		"autovacuum_vacuum_cost_limit": {"1", "10000"}, "autovacuum_vacuum_cost_delay": {"0", "20ms"}, "log_min_duration_statement": {"0"}, "effective_cache_size": {"8kB", "1TB"}, "ssl": {"on"}, "wal_level": {"logical", "minimal"},
	}
	for _, name := range slices.Sorted(maps.Keys(choices)) {
		if r.IntN(4) == 0 {
			values[name] = pick(r, choices[name]...)
		}
	}
	return values
}

func randomRun(r *rand.Rand, f probe.Facts) *rundoc.Document {
	big := func(most float64) int64 { return int64(most * r.Float64() * r.Float64()) }
	var visits []rundoc.Visit
	for _, scenario := range []string{"read-heavy", "write-heavy", "mixed"}[:1+r.IntN(3)] {
		for level := 1; level <= 64; level *= 4 {
			visits = append(visits, visit(scenario, level, func(v *rundoc.Visit) {
				v.TPS = 1e4 * r.Float64()
				v.Host.DiskReads = pick(r, 0, 1e5*r.Float64())
				v.Server = rundoc.ServerDelta{BlksHit: big(1e7), BlksRead: big(1e6), TupUpdated: big(1e6), TupDeleted: big(1e5), TempFiles: pick(r, 0, big(100)),
					TempBytes: big(1e10), CheckpointsReq: big(5), BuffersCheckpoint: big(1e5), BuffersClean: big(1e5), BuffersBackend: big(1e5), MaxWrittenClean: pick(r, 0, big(100)),
					WALBytes: big(1e10), WALFPI: pick(r, -1, 0, big(1e6)), WALBuffersFull: pick(r, -1, 0, big(1000))}
			}))
		}
	}
	var probes []rundoc.PlanProbe
	for i := range r.IntN(4) {
		name := pick(r, "a", "b", "c") + string(rune('0'+i))
		probes = append(probes, rundoc.PlanProbe{Statement: name, Seconds: 0.1 + r.Float64(), SpilledKB: pick(r, 0, big(1e6)), SortKB: big(1e6), JITSeconds: 0.3 * r.Float64(), MemoryNodes: r.IntN(6), Shape: "Seq Scan"})
		for _, tried := range [][2]string{{"jit", "off"}, {"random_page_cost", "1.1"}, {"max_parallel_workers_per_gather", "4"}} {
			if r.IntN(2) == 0 {
				probes = append(probes, rundoc.PlanProbe{Statement: name, Seconds: 0.1 + r.Float64(), Set: map[string]string{tried[0]: tried[1]}, Shape: "Index Scan"})
			}
		}
	}
	doc := run(f, probes, visits...)
	doc.Plan.DataBytes = big(1e11)
	return doc
}

// apply gives the facts of the server after the proposals, as pg_settings would show them.
func apply(t *testing.T, f probe.Facts, proposals []advisor.Proposal) probe.Facts {
	t.Helper()
	values := map[string]string{}
	for _, p := range proposals {
		v, err := f.Server.Settings[p.Name].Parse(p.Proposed)
		if err != nil {
			t.Errorf("%d: %v", f.Server.Major(), err)
		}
		if f.Server.Settings[p.Name].VarType == "string" {
			v = p.Proposed
		}
		values[p.Name] = v
	}
	before := size(f.Server.Settings, "shared_buffers")
	f.Server.Settings = budget.Overlay(f.Server.Settings, values)
	// What the buffers took more is no longer available to others.
	if free, ok := f.Host.Memory.Available.Get(); ok {
		more := size(f.Server.Settings, "shared_buffers") - before
		f.Host.Memory.Available = probe.Is(free-more, "test")
		if held, ok := f.Host.Memory.Server.Get(); ok {
			f.Host.Memory.Server = probe.Is(held+more, "test")
		}
	}
	return f
}

// For any host, server and run: every proposal is a value that the server takes, the memory budget is kept or nothing of
// memory is proposed, the settings fit together, the same input gives the same bytes, and advice taken is advice done.
func TestAnyAdviceHolds(t *testing.T) {
	for seed := range *rounds {
		r := rand.New(rand.NewPCG(7, uint64(seed)))
		in := randomInput(t, r)
		got := Advise(in)
		after := apply(t, in.Facts, got.Proposals)
		s := after.Server.Settings

		checkProposals(t, seed, in, got)
		checkTogether(t, seed, in, got, s)
		if first, _ := json.Marshal(got); string(first) != must(json.Marshal(Advise(in))) {
			t.Errorf("seed %d: two answers to one question", seed)
		}
		again := in
		again.Facts = after
		if more := Advise(again); len(more.Proposals) > 0 {
			t.Errorf("seed %d: %s proposed %s -> %s after the advice was taken: %s", seed, more.Proposals[0].Name, more.Proposals[0].Current, more.Proposals[0].Proposed, more.Proposals[0].Reason)
		}
		if t.Failed() {
			t.Logf("seed %d: PostgreSQL %d, %s, %.1f CPUs, rules %q", seed, in.Facts.Server.Major(), roughly(in.Facts.Host.Memory.Budget.Value), in.Facts.Host.CPU.Effective.Value, in.RuleSet)
			if !testing.Verbose() {
				return
			}
		}
	}
}

// Every version, workload name and usual host, with and without a pool: nothing over budget, no refusal.
func TestUsualHosts(t *testing.T) {
	for major := guc.OldestMajor; major <= guc.NewestMajor; major++ {
		for _, host := range []struct {
			ram  int64
			cpus float64
			disk probe.Class
		}{{gB, 1, probe.HDD}, {24 * gB, 2, probe.SSD}, {32 * gB, 8, probe.NVMe}, {512 * gB, 64, probe.NVMe}, {2 * gB, 4, probe.HDD}} {
			for _, workload := range []string{"web", "oltp", "dw", "mixed"} {
				for _, pool := range []int{0, 20} {
					f := facts(t, major, host.ram, host.cpus, nil)
					f.Storage[0].Class = host.disk
					in := Input{Facts: f, Workload: workload, Dedicated: true, Pool: Pool{Total: pool}}
					got := Advise(in)
					checkProposals(t, major, in, got)
					if got.Budget.Over || got.Budget.DiskOver || len(got.Findings) > 0 {
						t.Errorf("%d, %+v, %s, pool %d: %s of %s, findings %v", major, host, workload, pool, roughly(got.Budget.Total), roughly(got.Budget.Limit), got.Findings)
					}
				}
			}
		}
	}
}

func must(b []byte, _ error) string { return string(b) }

func checkProposals(t *testing.T, seed int, in Input, got advisor.Settings) {
	t.Helper()
	seen := map[string]bool{}
	for _, p := range got.Proposals {
		set, known := in.Facts.Server.Settings[p.Name]
		v, err := set.Parse(p.Proposed)
		switch {
		case !known || err != nil:
			t.Errorf("seed %d: %s = %s: %v", seed, p.Name, p.Proposed, err)
		case v == set.Value:
			t.Errorf("seed %d: %s is proposed as it is", seed, p.Name)
		case set.NeedsRestart() != (p.Apply == "restart"):
			t.Errorf("seed %d: %s by %s, context %s", seed, p.Name, p.Apply, set.Context)
		case p.Reason == "" || p.Source == "" || p.Confidence == "" || p.Family == "" || p.Lift == "":
			t.Errorf("seed %d: %s without reason, source, confidence, family or what would change its mind: %+v", seed, p.Name, p)
		case p.Method == advisor.Measured && len(p.Inputs) == 0:
			t.Errorf("seed %d: %s is measured without a figure", seed, p.Name)
		case seen[p.Name]:
			t.Errorf("seed %d: %s twice", seed, p.Name)
		case slices.Contains([]string{"fsync", "full_page_writes", "synchronous_commit"}, p.Name) || p.Name == "autovacuum" && v != "on" || p.Name == "wal_level" && in.RuleSet == "":
			t.Errorf("seed %d: %s = %s is proposed", seed, p.Name, p.Proposed)
		}
		seen[p.Name] = true
	}
	for _, k := range got.Kept {
		if k.Reason == "" || seen[k.Name] {
			t.Errorf("seed %d: %s is kept without a reason, or besides being proposed: %q", seed, k.Name, k.Reason)
		}
		seen[k.Name] = true
		if strings.Contains(k.Reason, "is refused by this server") {
			t.Errorf("seed %d: %s: %s", seed, k.Name, k.Reason)
		}
	}
}

func checkTogether(t *testing.T, seed int, in Input, got advisor.Settings, s guc.Settings) {
	t.Helper()
	if got.Budget.Over {
		for _, name := range memorySettings {
			if p, ok := proposal(got, name); ok {
				t.Errorf("seed %d: over budget, and %s = %s is proposed", seed, name, p.Proposed)
			}
		}
		if len(got.Findings) == 0 {
			t.Errorf("seed %d: over budget without a finding", seed)
		}
	}
	if _, changed := proposal(got, "min_wal_size"); changed && size(s, "min_wal_size") > size(s, "max_wal_size") {
		t.Errorf("seed %d: min_wal_size %d above max_wal_size %d", seed, size(s, "min_wal_size"), size(s, "max_wal_size"))
	}
	if _, changed := proposal(got, "max_wal_size"); changed && in.RuleSet == "" && got.Budget.Recovery > got.Budget.RecoveryLimit*1.01 {
		t.Errorf("seed %d: recovery takes %.0f s, %.0f allowed", seed, got.Budget.Recovery, got.Budget.RecoveryLimit)
	}
	reserved, _ := s.Int("superuser_reserved_connections")
	more, _ := s.Int("reserved_connections")
	if all, _ := s.Int("max_connections"); reserved+more >= all {
		t.Errorf("seed %d: %d + %d reserved of %d connections", seed, reserved, more, all)
	}
	if buffers := size(s, "shared_buffers"); got.Budget.Limit > 0 && buffers > got.Budget.Limit && !got.Budget.Over {
		t.Errorf("seed %d: shared_buffers %d of %d", seed, buffers, got.Budget.Limit)
	}
}
