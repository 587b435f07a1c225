package probe_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/probe"
	"pgfit/workload/cluster"
)

const (
	groupMemory = 2 << 30
	groupName   = "pgfit-test-"
)

// TestRealLimits starts a scratch server in a control group with 2 GB of memory and one CPU, and probes it from outside of
// it: pgfit must find the server's limits and not its own.
func TestRealLimits(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make control groups")
	}
	bin, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Skip(err)
	}
	groups := makeGroups(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	back := enter(t, groups)
	s, err := cluster.Start(ctx, cluster.Options{Binaries: bin})
	back()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	conn, err := pgx.ConnectConfig(ctx, s.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	f, err := probe.Collect(ctx, conn, probe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if v := f.Host.Memory.Budget; v.State != probe.Known || v.Value != groupMemory || !strings.Contains(v.Source, groupName) {
		t.Errorf("memory budget %+v, want %d from the group", v, groupMemory)
	}
	if v := f.Host.CPU.Effective; v.State != probe.Known || v.Value != 1 || !strings.Contains(v.Source, groupName) {
		t.Errorf("CPUs %+v, want 1 from the group", v)
	}
	if total := f.Host.Memory.Total; !total.OK() || total.Value == groupMemory {
		t.Errorf("memory of the machine %+v", total)
	}
	alone, err := probe.Collect(ctx, nil, probe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(alone.Host.Memory.Budget.Source, groupName) {
		t.Errorf("pgfit itself is still in the group: %+v", alone.Host.Memory.Budget)
	}
}

// makeGroups makes a group with both limits, in version 1 trees of their own or in a version 2 tree, or skips the test.
func makeGroups(t *testing.T) []string {
	t.Helper()
	name := groupName + strconv.Itoa(os.Getpid())
	type setting struct{ group, file, value string }
	v1 := []setting{{"/sys/fs/cgroup/memory/" + name, "memory.limit_in_bytes", strconv.Itoa(groupMemory)},
		{"/sys/fs/cgroup/cpu/" + name, "cpu.cfs_period_us", "100000"}, {"/sys/fs/cgroup/cpu/" + name, "cpu.cfs_quota_us", "100000"}}
	v2 := []setting{{"/sys/fs/cgroup/" + name, "memory.max", strconv.Itoa(groupMemory)}, {"/sys/fs/cgroup/" + name, "cpu.max", "100000 100000"}}
	var why error
	for _, all := range [][]setting{v1, v2} {
		var made []string
		err := error(nil)
		for _, s := range all {
			if e := os.Mkdir(s.group, 0o755); e == nil {
				made = append(made, s.group)
				t.Cleanup(func() { remove(t, s.group) })
			} else if !errors.Is(e, os.ErrExist) {
				err = e
				break
			}
			if e := os.WriteFile(filepath.Join(s.group, s.file), []byte(s.value), 0o644); e != nil {
				err = e
				break
			}
		}
		if err == nil {
			return made
		}
		why = errors.Join(why, err)
	}
	t.Skipf("control groups cannot be made here: %v", why)
	return nil
}

// remove takes a group away once the last process in it is gone.
func remove(t *testing.T, group string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := os.Remove(group)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("removing the group: %v", err)
			return
		}
	}
}

// enter puts this process into the groups, so that what it starts is born there, and gives the way back.
func enter(t *testing.T, groups []string) (back func()) {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	move := func(group string) error {
		return os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644)
	}
	var home []string
	back = func() {
		for _, group := range home {
			if err := move(group); err != nil {
				t.Fatalf("leaving the group: %v", err)
			}
		}
	}
	for _, group := range groups {
		tree := filepath.Dir(group)
		if err := move(group); err != nil {
			back()
			t.Skipf("entering a control group: %v", err)
		}
		home = append(home, filepath.Join(tree, pathIn(string(own), filepath.Base(tree))))
	}
	return back
}

// pathIn is the path of this process's group in the tree of a controller, or in the version 2 tree.
func pathIn(groups, controller string) string {
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && (parts[1] == controller || controller == "cgroup" && parts[1] == "") {
			return parts[2]
		}
	}
	return fmt.Sprintf("no-%s", controller)
}
