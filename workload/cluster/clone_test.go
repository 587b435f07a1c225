package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"pgfit/probe"
)

// ask runs statements and gives the first column of the last one.
func ask(t *testing.T, s *Server, statements ...string) (v string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, s.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for i, sql := range statements {
		if i < len(statements)-1 {
			if _, err := conn.Exec(ctx, sql); err != nil {
				t.Fatal(err)
			}
		} else if err := conn.QueryRow(ctx, sql).Scan(&v); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// TestClone: two servers from one snapshot have its data, their own settings, and do not see each other; one that is
// killed comes back with what was committed; a frozen one does not answer and uses no time. Nothing is left.
func TestClone(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, dir := context.Background(), scratchDir(t)
	snap, err := Start(ctx, Options{Binaries: binaries(t), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	stop := func(s *Server) {
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	ask(t, snap, "CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 1000) g", "SELECT 'made'")
	if _, err := snap.Clone(ctx, Options{}); err == nil {
		t.Error("a running server was cloned")
	}
	redo := ask(t, snap, "SELECT pg_walfile_name(redo_lsn) FROM pg_control_checkpoint()")
	live, err := snap.Snapshot(ctx, redo, ask(t, snap, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))
	if err != nil {
		t.Fatal(err)
	}
	if err := live.Restart(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, live, "SELECT count(*)::text FROM t"); got != "1000" {
		t.Errorf("a snapshot of a running server has %s rows", got)
	}
	stop(live)
	if err := snap.Halt(ctx); err != nil {
		t.Fatal(err)
	}
	if size := snap.DataBytes(); size < 10<<20 || size > 200<<20 {
		t.Errorf("the data directory has %d bytes", size)
	}
	a, err := snap.Clone(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := snap.Clone(ctx, Options{Settings: map[string]string{"work_mem": "6MB"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, b, "DELETE FROM t WHERE n > 10", "SELECT count(*) || ' ' || current_setting('work_mem') FROM t"); got != "10 6MB" {
		t.Errorf("B has %s", got)
	}
	if got := ask(t, a, "SELECT count(*) || ' ' || current_setting('work_mem') FROM t"); got != "1000 4MB" {
		t.Errorf("A has %s", got)
	}
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	if took, err := b.Recover(ctx, time.Minute); err != nil || took <= 0 {
		t.Fatalf("Recover = %s, %v", took, err)
	}
	if got := ask(t, b, "SELECT count(*)::text FROM t"); got != "10" {
		t.Errorf("after the crash B has %s rows, want the 10 committed", got)
	}
	freezeAndThaw(t, a)
	stop(a)
	stop(b)
	stop(snap)
	empty(t, dir)
}

func freezeAndThaw(t *testing.T, s *Server) {
	t.Helper()
	before, ok := s.CPU()
	if !ok {
		t.Skip("no /proc")
	}
	if !s.Freeze() {
		t.Error("the server does not freeze")
	}
	for _, pid := range tree(s.PID()) {
		if f := statFields("/proc/" + strconv.Itoa(pid) + "/stat"); len(f) > 0 && f[0] != "T" {
			t.Errorf("process %d of a frozen server is in state %s", pid, f[0])
		}
	}
	s.Thaw()
	if got := ask(t, s, "SELECT count(*)::text FROM generate_series(1, 2000000)"); got != "2000000" {
		t.Errorf("after the thaw: %s", got)
	}
	if after, _ := s.CPU(); after <= before {
		t.Errorf("processor time %s after work, %s before", after, before)
	}
	s.Freeze() // Stop has to cope
}

// TestShape: the probe sees the limits of a server that was put into a cgroup, through a restart too, and the groups are
// gone afterwards.
func TestShape(t *testing.T) {
	ctx, dir := context.Background(), scratchDir(t)
	s, err := Start(ctx, Options{Binaries: binaries(t), Dir: dir, Shape: Shape{Memory: 512 << 20, CPUs: 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(ctx)
	if why := s.Unshaped(); why != "" {
		if !strings.Contains(why, "512MB of memory and 0.5 CPUs") {
			t.Errorf("Unshaped = %q, want the shape named", why)
		}
		t.Skip(why)
	}
	check := func() {
		t.Helper()
		conn, err := pgx.ConnectConfig(ctx, s.Config())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		f, err := probe.Collect(ctx, conn, probe.Options{Scratch: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Host.Memory.Budget.Value; got != 512<<20 {
			t.Errorf("the probe sees a budget of %d bytes, want 512MB", got)
		}
		if got := f.Host.CPU.Effective.Value; got != 0.5 {
			t.Errorf("the probe sees %g CPUs, want 0.5", got)
		}
	}
	check()
	if err := s.Restart(ctx, nil); err != nil {
		t.Fatal(err)
	}
	check()
	groups := s.cage.dirs
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if _, err := os.Stat(g); err == nil {
			t.Errorf("%s is left", g)
		}
	}
	empty(t, dir)
}

func TestScopeCommand(t *testing.T) {
	got := strings.Join(scopeCommand(Shape{Memory: 2 << 30, CPUs: 1.5}), " ")
	if want := "systemd-run --user --scope --quiet --collect -p MemoryMax=2147483648 -p MemorySwapMax=0 -p CPUQuota=150% --"; got != want {
		t.Errorf("scopeCommand = %s, want %s", got, want)
	}
}

func TestRoom(t *testing.T) {
	dir := scratchDir(t)
	free, _, ok := Room(filepath.Join(dir, "not", "yet"))
	if ok && free <= 0 {
		t.Errorf("Room = %d", free)
	}
	empty(t, dir)
}
