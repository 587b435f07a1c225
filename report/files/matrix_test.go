package files_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgfit/advisor"
	"pgfit/advisor/advise"
	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/report/files"
	"pgfit/report/patch"
	"pgfit/workload/cluster"
	"pgfit/workload/cluster/versions"
	"pgfit/workload/rundoc"
	"pgfit/workload/startcheck"
)

const gB = int64(1) << 30

// machine is one of the hosts that advice is asked for.
type machine struct {
	name  string
	ram   int64 // of the host
	limit int64 // of the container, 0 for none
	cpus  float64
	disk  probe.Class
}

var machines = []machine{
	{name: "1 CPU, 1 GB, hard disk", ram: gB, cpus: 1, disk: probe.HDD},
	{name: "2 CPUs, 24 GB, SSD", ram: 24 * gB, cpus: 2, disk: probe.SSD},
	{name: "8 CPUs, 32 GB, hard disk", ram: 32 * gB, cpus: 8, disk: probe.HDD},
	{name: "64 CPUs, 512 GB, NVMe", ram: 512 * gB, cpus: 64, disk: probe.NVMe},
	{name: "container of 2 GB on 64 GB, NVMe", ram: 64 * gB, limit: 2 * gB, cpus: 4, disk: probe.NVMe},
}

var workloads = []string{"web", "oltp", "dw", "mixed"}

// kinds of advice: rules alone, the house guide, and rules on a run that measured something for all of them.
var kinds = []string{"rules", "guide", "measured"}

// TestEveryVersionTakesAdvice: for every version, workload and machine a patch that keeps the budget, that a server
// starts with, with a clean log and every value in force, and whose reverse restores the bytes. Where
// PGFIT_PG_VERSIONS_DIR is not set, a sample on the installed server stands for all.
func TestEveryVersionTakesAdvice(t *testing.T) {
	whole := os.Getenv(versions.DirVariable) != ""
	versions.Each(t, func(t *testing.T, bin cluster.Binaries) {
		if !whole && !strings.HasSuffix(t.Name(), "/installed") {
			t.Skip("all versions under make test-versions")
		}
		t.Parallel()
		s := newStarter(t, bin)
		for k, kind := range kinds {
			for i, m := range machines {
				for j, workload := range workloads {
					if whole || (i+j+k)%4 == 0 {
						c := s.advise(t, m, workload, kind)
						t.Run(c.name, func(t *testing.T) { s.check(t, c) })
					}
				}
			}
		}
		t.Logf("PostgreSQL %s: %d patches with %d values, %d of them with shared_buffers reduced for the start", bin.Version, s.patches, s.values, s.reduced)
	})
}

// starter is one cluster that is started anew for each patch.
type starter struct {
	server  *cluster.Server
	facts   probe.Server // as an untouched server shows itself
	logRead int

	patches, values, reduced int
}

func newStarter(t *testing.T, bin cluster.Binaries) *starter {
	t.Helper()
	ctx := context.Background()
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-matrix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := cluster.Start(ctx, cluster.Options{Binaries: bin, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	conn, err := pgx.ConnectConfig(ctx, server.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	s := &starter{server: server}
	if s.facts, _, err = probe.ReadServer(ctx, conn); err != nil {
		t.Fatal(err)
	}
	for name, set := range s.facts.Settings { // what the scratch server is started with is no matter of its files
		if set.Source == "command line" {
			set.Value, set.Source = set.BootVal, "default"
			s.facts.Settings[name] = set
		}
	}
	return s
}

// document has the facts of a machine with more data than memory; with a run where asked for.
func (s *starter) document(m machine, kind string) *rundoc.Document {
	server := s.facts
	server.Settings = maps.Clone(s.facts.Settings)
	budget := m.ram
	if m.limit > 0 {
		budget = m.limit
	}
	server.ClusterBytes = probe.Is(4*m.ram, "test")
	server.Tables = []probe.Table{{Name: "t", Bytes: 2 * m.ram, Rows: m.ram / 64}}
	storage := probe.Storage{Role: "data_directory", Class: m.disk, Free: probe.Is(200*gB, "test")}
	f := probe.Facts{Server: server}
	f.Host.OS = "linux"
	f.Host.Memory = probe.Memory{Total: probe.Is(m.ram, "test"), Budget: probe.Is(budget, "test")}
	f.Host.CPU.Effective = probe.Is(m.cpus, "test")
	doc := &rundoc.Document{Version: "test", Target: m.name, Files: []rundoc.File{{Path: server.ConfigFile.Value, Text: string(s.server.StockConf())}}}
	if kind == "measured" {
		storage.Bench = &probe.DiskBench{SeqReadRate: 2e9, SeqRead8kRate: 450e6, Random: []probe.DepthRate{
			{Depth: 1, IOPS: 11_000, Mean: 95e-6}, {Depth: 8, IOPS: 60_000, Mean: 1e-4}, {Depth: 64, IOPS: 104_000, Mean: 5e-4}}}
		measured(doc, m)
	}
	f.Storage = []probe.Storage{storage}
	doc.Facts = f
	return doc
}

// measured adds a run that gives every measured rule something to act on; four connections for each CPU are enough.
func measured(doc *rundoc.Document, m machine) {
	doc.Plan.Scenarios = []string{"write-heavy", "analytic"}
	for _, pool := range []int{1, 2, 4, 8, 16, 32, 64} {
		v := rundoc.Visit{Phase: "B", Scenario: "write-heavy", PoolSize: pool, Callers: pool, Seconds: 30, TPS: 1000 * min(float64(pool), 4*m.cpus),
			Host: &rundoc.HostUse{User: 0.3, DiskReads: 30 * 5000}}
		v.Server = rundoc.ServerDelta{BlksHit: 900_000, BlksRead: 200_000, TupUpdated: 30 * 9000, TempFiles: 10, TempBytes: 400 << 20, CheckpointsReq: 2,
			BuffersCheckpoint: 1000, BuffersClean: 1000, BuffersBackend: 2000, MaxWrittenClean: 40, WALBytes: 30 * 12 << 20, WALFPI: 30 * 12 << 20 / 8192 / 2, WALBuffersFull: 300}
		doc.Visits = append(doc.Visits, v)
	}
	statement := rundoc.PlanProbe{Statement: "select", Seconds: 2, SpilledKB: 200 << 10, SortKB: 150 << 10, MemoryNodes: 3, JITSeconds: 0.6, Shape: "Bitmap Heap Scan"}
	faster := rundoc.PlanProbe{Statement: "select", Seconds: 1, Shape: "Index Scan", Set: map[string]string{"random_page_cost": "1.1"}}
	doc.Analytic = []rundoc.PlanProbe{statement, faster}
}

// advised is one machine, workload and kind of advice, with the patch that came of it.
type advised struct {
	name   string
	doc    *rundoc.Document
	advice *advise.Advice
	patch  patch.Patch
	reduce bool // shared_buffers are more than this machine can well map: the server is started with less of them
}

func (s *starter) advise(t *testing.T, m machine, workload, kind string) advised {
	t.Helper()
	c := advised{name: fmt.Sprintf("%s, %s, %s", m.name, workload, kind), doc: s.document(m, kind)}
	o := advise.Options{Workload: workload, Dedicated: true}
	var err error
	switch kind {
	case "measured":
		c.advice, err = advise.From(c.doc, o)
	case "guide":
		o.RuleSet = "guide"
		c.advice, err = advise.FromFacts(c.doc, o)
	default:
		c.advice, err = advise.FromFacts(c.doc, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	if c.patch, err = files.Make(c.doc, c.advice, ""); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.advice.Settings.Proposals {
		if buffers, err := guc.ParseBytes(p.Proposed); p.Name == "shared_buffers" && err == nil && buffers > memory(t)/2 {
			c.reduce, c.name = true, c.name+", started with 64 MB of shared_buffers"
		}
	}
	return c
}

// memory of this machine in bytes.
func memory(t *testing.T) int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Skip(err)
	}
	var kb int64
	if _, err := fmt.Sscanf(string(data), "MemTotal: %d kB", &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

func (s *starter) check(t *testing.T, c advised) {
	made := c.patch
	checkAdvice(t, c.doc, c.advice)
	if len(made.Skipped) > 0 || len(made.Shadowed) > 0 || len(made.Applied) != len(c.advice.Settings.Proposals) {
		t.Errorf("skipped %v, shadowed %v, %d of %d applied", made.Skipped, made.Shadowed, len(made.Applied), len(c.advice.Settings.Proposals))
	}
	s.patches, s.values = s.patches+1, s.values+len(made.Applied)
	if len(made.Applied) == 0 {
		return
	}
	checkReverse(t, c.doc, made)
	s.start(t, c)
}

// checkAdvice: nothing over budget, nothing out of range, nothing that lowers durability.
func checkAdvice(t *testing.T, doc *rundoc.Document, a *advise.Advice) {
	t.Helper()
	b := a.Settings.Budget
	if b.Over || b.DiskOver || b.RecoveryOver && a.Settings.Budget.RecoveryLimit > 0 || len(a.Settings.Findings) > 0 || b.Limit == 0 || b.Total > b.Limit {
		t.Errorf("budget %+v, findings %v", b, a.Settings.Findings)
	}
	for _, p := range a.Settings.Proposals {
		set, ok := doc.Facts.Server.Settings[p.Name]
		if _, err := set.Parse(p.Proposed); !ok || err != nil {
			t.Errorf("%s = %s: known %v, %v", p.Name, p.Proposed, ok, err)
		}
		switch p.Name {
		case "fsync", "full_page_writes", "synchronous_commit", "wal_sync_method", "autovacuum":
			t.Errorf("%s = %s is proposed", p.Name, p.Proposed)
		}
		if p.Method == advisor.Measured && len(p.Inputs) == 0 {
			t.Errorf("%s is measured from nothing", p.Name)
		}
	}
}

// checkReverse applies the patch with patch -p1 and takes it back.
func checkReverse(t *testing.T, doc *rundoc.Document, p patch.Patch) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, filepath.Base(doc.Files[0].Path))
	before, after := []byte(doc.Files[0].Text), p.Files[0].After
	if err := os.WriteFile(file, before, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		diff, want []byte
	}{{p.Diff, after}, {p.Rollback, before}} {
		cmd := exec.Command("patch", "-p1", "--fuzz=0", "--no-backup-if-mismatch", "-s")
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(step.diff)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("patch: %v\n%s\n%s", err, out, step.diff)
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, step.want) {
			t.Fatalf("after the patch or its reverse the bytes differ: %v", err)
		}
	}
}

// start starts the server with the patched file in the place of its own.
func (s *starter) start(t *testing.T, c advised) {
	t.Helper()
	p := c.patch
	ctx := context.Background()
	conf := filepath.Join(s.server.DataDir(), "postgresql.conf")
	if err := os.WriteFile(conf, p.Files[0].After, 0o600); err != nil {
		t.Fatal(err)
	}
	over := map[string]string{"fsync": "off"}
	if c.reduce {
		over["shared_buffers"] = "64MB"
		s.reduced++
	}
	if err := s.server.Restart(ctx, over); err != nil {
		t.Fatalf("the server does not start: %v\n%s", err, p.Diff)
	}
	values := s.inForce(t, p, over)
	if missing := p.NotInForce(values); len(missing) > 0 {
		t.Errorf("not in force: %v", missing)
	}
	log, err := s.server.Log()
	if err != nil {
		t.Fatal(err)
	}
	if bad := startcheck.Complaints(string(log[s.logRead:])); len(bad) > 0 {
		t.Errorf("the log is not clean: %q\n%s", bad, p.Diff)
	}
	s.logRead = len(log)
}

// inForce are the values that the server has; of what its command line overrides, those of its files.
func (s *starter) inForce(t *testing.T, p patch.Patch, over map[string]string) map[string]string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, s.server.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	values := map[string]string{}
	for _, e := range p.Expected() {
		var value, source string
		if err := conn.QueryRow(ctx, "SELECT setting, source FROM pg_settings WHERE name = $1", e.Name).Scan(&value, &source); err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
		if _, ok := over[e.Name]; ok || source == "command line" {
			if value, err = s.server.ConfValue(e.Name); err != nil {
				t.Fatal(err)
			}
		}
		values[e.Name] = value
	}
	return values
}
