package observe

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"pgfit/probe"
	"pgfit/workload/cluster"
	"pgfit/workload/rundoc"
)

func server(t *testing.T) (*pgx.ConnConfig, int) {
	t.Helper()
	bin, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Skip("no server binaries: ", err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-observe-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := cluster.Start(context.Background(), cluster.Options{Binaries: bin, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	cfg := s.Config()
	cfg.RuntimeParams["application_name"] = "pgfit"
	return cfg, bin.Major
}

// TestWatch: work that is done between Start and Stop shows in the delta, a foreign sleeper in the foreign mean, and our
// own sleeper among the waits.
func TestWatch(t *testing.T) {
	ctx := context.Background()
	cfg, major := server(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w, err := Watch(ctx, cfg, probe.Facts{SameHost: probe.Is(true, "test"), Host: probe.Host{OS: "linux"}, Server: probe.Server{VersionNum: major * 10000}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ours, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close(ctx)
	foreignCfg := cfg.Copy()
	foreignCfg.RuntimeParams["application_name"] = "somebody"
	foreign, err := pgx.ConnectConfig(ctx, foreignCfg)
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close(ctx)
	if err := w.Start(ctx); err != nil {
		t.Fatal(err)
	}
	slept := make(chan error, 1)
	go func() { _, err := foreign.Exec(ctx, "SELECT pg_sleep(1)"); slept <- err }()
	if _, err := ours.Exec(ctx, "CREATE TABLE t AS SELECT g FROM generate_series(1, 50000) g; CHECKPOINT; SELECT pg_sleep(1)"); err != nil {
		t.Fatal(err)
	}
	if err := <-slept; err != nil {
		t.Fatal(err)
	}
	ours.Close(ctx) // the statistics of a session are sent at its end at the latest
	v := rundoc.Visit{PoolSize: 1, Callers: 1}
	if err := w.Stop(ctx, &v); err != nil {
		t.Fatal(err)
	}
	if v.Server.WALBytes < 1<<20 || v.Server.WALBytes > 100<<20 {
		t.Errorf("WAL bytes %d, want some megabytes", v.Server.WALBytes)
	}
	if n := v.Server.CheckpointsReq; n < 1 {
		t.Errorf("checkpoints requested %d, want at least 1", n)
	}
	if v.Server.Foreign < 0.2 || v.Server.Foreign > 1 {
		t.Errorf("foreign mean busy %g, want most of 1", v.Server.Foreign)
	}
	if v.Waits["Timeout:PgSleep"] == 0 || v.WaitRounds < 5 {
		t.Errorf("waits %v in %d looks, want Timeout:PgSleep", v.Waits, v.WaitRounds)
	}
	if v.Host == nil || v.Host.User+v.Host.System <= 0 {
		t.Errorf("host use %+v", v.Host)
	}
	codes := map[string]bool{}
	for _, m := range v.Marks {
		codes[m.Code] = true
	}
	if !codes["foreign"] || !codes["checkpoint"] {
		t.Errorf("marks %+v, want foreign and checkpoint", v.Marks)
	}
}

func TestDeltaMissing(t *testing.T) {
	d := Delta(Counters{"commits": 10, "wal_bytes": 500}, Counters{"commits": 30, "wal_bytes": 100})
	if d.Commits != 20 || d.WALBytes != -1 || d.WALSync != -1 {
		t.Errorf("Delta = %+v, want 20 commits, and -1 for what was reset or is missing", d)
	}
}

// Little's law as an audit: connections that were not in use are found; a stall over the edge of a window, failures, an open
// loop and callers who think are no such thing.
func TestLittle(t *testing.T) {
	full := rundoc.Visit{PoolSize: 8, Callers: 8, Seconds: 1, Transactions: 100, MeanBusy: 7.99, Ops: []rundoc.Op{{Count: 100, MeanService: .06}}}
	for _, tc := range []struct {
		name   string
		change func(*rundoc.Visit)
		want   bool
	}{
		{"in use, a stall at the edge", func(v *rundoc.Visit) {}, false},
		{"idle for a tenth", func(v *rundoc.Visit) { v.MeanBusy = 7.2 }, true},
		{"callers queue for a pool in use", func(v *rundoc.Visit) { v.Callers = 40 }, false},
		{"fewer callers than connections", func(v *rundoc.Visit) { v.Callers, v.MeanBusy = 4, 4 }, false},
		{"open loop", func(v *rundoc.Visit) { v.MeanBusy, v.Rate = 2, 50 }, false},
		{"callers who think", func(v *rundoc.Visit) {
			v.MeanBusy, v.Extra = 2, map[string]float64{rundoc.ThinkSeconds: .1}
		}, false},
		{"failures", func(v *rundoc.Visit) { v.MeanBusy, v.Failed = 2, 1 }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := full
			tc.change(&v)
			if got := slices.ContainsFunc(Marks(v), func(m rundoc.Mark) bool { return m.Code == "little" }); got != tc.want {
				t.Errorf("marks %+v, want little: %v", Marks(v), tc.want)
			}
		})
	}
}

func TestHostUse(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h := hostReader{proc: dir, device: "vda"}
	if _, ok := h.read(); ok {
		t.Error("a host without /proc/stat was read")
	}
	write("stat", "cpu  100 0 100 800 0 0 0 0 0 0\n")
	write("diskstats", " 254 0 vda 10 0 80 5 20 0 160 9 0 10 1000\n")
	write("meminfo", "MemTotal: 2000 kB\nMemAvailable: 1000 kB\n")
	a, ok := h.read()
	if !ok {
		t.Fatal("not read")
	}
	write("stat", "cpu  150 0 120 820 10 0 0 0 0 0\n")
	write("diskstats", " 254 0 vda 30 0 240 5 20 0 160 9 0 10 1500\n")
	b, _ := h.read()
	u := use(a, b, (2 * time.Second).Seconds())
	if u.User != 0.5 || u.System != 0.2 || u.IOWait != 0.1 || u.DiskReads != 20 || u.DiskReadBytes != 160*512 || u.MemAvailable != 1000<<10 {
		t.Errorf("use = %+v", u)
	}
}
