package cluster

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

func binaries(t *testing.T) Binaries {
	t.Helper()
	b, err := Find(FindOptions{})
	if err != nil {
		t.Skip("no server binaries: ", err)
	}
	return b
}

// scratchDir is on the real disk and open to the server's user.
func scratchDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-cluster-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left behind: %s", e.Name())
	}
}

func TestStartRestartStop(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, dir := context.Background(), scratchDir(t)
	s, err := Start(ctx, Options{Binaries: binaries(t), Dir: dir, Settings: map[string]string{"work_mem": "5MB"}})
	if err != nil {
		t.Fatal(err)
	}
	show := func(name string) (v string) {
		conn, err := pgx.ConnectConfig(ctx, s.Config())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		if err := conn.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if got := show("work_mem"); got != "5MB" {
		t.Errorf("work_mem = %s", got)
	}
	if got := show("listen_addresses"); got != "" {
		t.Errorf("listen_addresses = %s, want none", got)
	}
	if !strings.Contains(string(s.StockConf()), "shared_buffers = 128MB") {
		t.Error("the stock file is not initdb's")
	}
	if err := s.Restart(ctx, map[string]string{"work_mem": "7MB"}); err != nil {
		t.Fatal(err)
	}
	if got := show("work_mem"); got != "7MB" {
		t.Errorf("work_mem = %s after the restart", got)
	}
	sockets := s.sockets
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	empty(t, dir)
	if _, err := os.Stat(sockets); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket directory is left: %v", err)
	}
}

func TestStartFailsClean(t *testing.T) {
	dir := scratchDir(t)
	_, err := Start(context.Background(), Options{Binaries: binaries(t), Dir: dir, Settings: map[string]string{"shared_buffers": "1PB"}})
	if err == nil || !strings.Contains(err.Error(), "shared_buffers") {
		t.Errorf("Start = %v, want the server's own word about shared_buffers", err)
	}
	empty(t, dir)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Start(ctx, Options{Binaries: binaries(t), Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("Start with a cancelled context = %v", err)
	}
	empty(t, dir)
}

func TestStartRefusesMemory(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "pgfit-")
	if err != nil {
		t.Skip("no /dev/shm: ", err)
	}
	defer os.RemoveAll(dir)
	if memoryFS(dir) == "" {
		t.Skip("/dev/shm is no memory file system here")
	}
	_, err = Start(context.Background(), Options{Binaries: binaries(t), Dir: dir})
	if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "--scratch-dir") {
		t.Errorf("Start on tmpfs = %v", err)
	}
	empty(t, dir)
}

// TestSweep: a pgfit that was killed leaves a server, and the next start clears it.
func TestSweep(t *testing.T) {
	if dir := os.Getenv("PGFIT_TEST_ORPHAN"); dir != "" {
		s, err := Start(context.Background(), Options{Binaries: binaries(t), Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		s.Freeze() // a frozen server is cleared as well
		_ = exec.Command("kill", "-9", "--", strconv.Itoa(os.Getpid())).Run()
		select {}
	}
	dir := scratchDir(t)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestSweep$")
	cmd.Env = append(os.Environ(), "PGFIT_TEST_ORPHAN="+dir)
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Fatalf("the child was not killed\n%s", out)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "scratch-*", "data", "postmaster.pid")); len(found) != 1 {
		t.Fatalf("no orphan to clear: %v", found)
	}
	Sweep(dir)
	empty(t, dir)
	if out, _ := exec.Command("pgrep", "-f", dir).Output(); len(out) > 0 {
		t.Errorf("processes left: %s", out)
	}
}

func TestFind(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    FindOptions
		want string
	}{
		{"a directory without", FindOptions{Dir: t.TempDir()}, "no PostgreSQL server binaries"},
		{"a version that nobody has", FindOptions{Major: 99}, "postgresql-99"},
	} {
		if _, err := Find(tc.o); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Find = %v, want %q", tc.name, err, tc.want)
		}
	}
}

// A wish is no condition.
func TestFindWish(t *testing.T) {
	b := binaries(t)
	for _, wish := range []string{b.Version, "1.2"} {
		if got, err := Find(FindOptions{Dir: b.Dir, Wish: wish}); err != nil || got.Version != b.Version {
			t.Errorf("Find with the wish %s = %+v, %v", wish, got, err)
		}
	}
}

func TestNewer(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{{"15.18", "15.4", true}, {"9.6", "15.4", false}, {"16", "", true}} {
		if got := newer(tc.a, tc.b); got != tc.want {
			t.Errorf("newer(%s, %s) = %v", tc.a, tc.b, got)
		}
	}
}
