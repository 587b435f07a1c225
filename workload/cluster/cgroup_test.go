package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeKernel is a tree of /proc and control groups of version 2. Directories made in it have the files that a kernel would
// put there, since they are laid out beforehand.
func fakeKernel(t *testing.T, files map[string]string) kernel {
	t.Helper()
	k := kernel{root: t.TempDir()}
	for name, text := range files {
		path := k.path(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

const (
	unified = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
	hybrid  = "29 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n30 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
		"31 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
)

// TestMakeGroups: which limits are written where, in version 2, in version 1, and what is said of a tree that cannot.
func TestMakeGroups(t *testing.T) {
	const g = "/sys/fs/cgroup/pgfit-scratch-1"
	for _, tc := range []struct {
		name  string
		shape Shape
		files map[string]string
		want  map[string]string
		dirs  int
		err   string
	}{
		{"version 2", Shape{Memory: 512 << 20, CPUs: 1.5}, map[string]string{
			"/proc/self/cgroup": "0::/user.slice/user-0.slice/session-1.scope\n", "/proc/self/mountinfo": unified,
			"/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n", g + "/cgroup.controllers": "cpu memory pids\n",
		}, map[string]string{g + "/memory.max": "536870912", g + "/memory.swap.max": "0", g + "/cpu.max": "150000 100000", "/sys/fs/cgroup/cgroup.subtree_control": "+cpu"}, 1, ""},
		{"version 2, memory alone", Shape{Memory: 1 << 30}, map[string]string{
			"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": unified, "/sys/fs/cgroup/cgroup.controllers": "memory\n", g + "/cgroup.controllers": "memory\n",
		}, map[string]string{g + "/memory.max": "1073741824", g + "/cpu.max": "", "/sys/fs/cgroup/cgroup.subtree_control": "+memory"}, 1, ""},
		{"a container that hands nothing down", Shape{Memory: 1 << 30}, map[string]string{
			"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": unified, "/sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
		}, nil, 0, "/sys/fs/cgroup does not hand the controller memory down"},
		{"version 1 with an empty version 2", Shape{Memory: 1 << 30, CPUs: .5}, map[string]string{
			"/proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/\n0::/box\n", "/proc/self/mountinfo": hybrid, "/sys/fs/cgroup/unified/cgroup.controllers": "\n",
			"/sys/fs/cgroup/memory/box/x": "", "/sys/fs/cgroup/cpu,cpuacct/x": "",
		}, map[string]string{"/sys/fs/cgroup/memory/box/pgfit-scratch-1/memory.limit_in_bytes": "1073741824",
			"/sys/fs/cgroup/memory/box/pgfit-scratch-1/memory.memsw.limit_in_bytes": "1073741824", "/sys/fs/cgroup/cpu,cpuacct/pgfit-scratch-1/cpu.cfs_quota_us": "50000",
			"/sys/fs/cgroup/cpu,cpuacct/pgfit-scratch-1/cpu.cfs_period_us": "100000"}, 2, ""},
		{"no controller", Shape{CPUs: 1}, map[string]string{
			"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": unified, "/sys/fs/cgroup/cgroup.controllers": "memory\n",
		}, nil, 0, "no control group hierarchy with the controller cpu is mounted"},
		{"no control groups", Shape{CPUs: 1}, nil, nil, 0, "this system has no control groups"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := fakeKernel(t, tc.files)
			dirs, err := k.makeGroups("pgfit-scratch-1", tc.shape)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("makeGroups = %v, want %q", err, tc.err)
				}
				if _, err := os.Stat(k.path(g)); err == nil {
					t.Errorf("%s is left", g)
				}
				return
			}
			if err != nil || len(dirs) != tc.dirs {
				t.Fatalf("makeGroups = %v, %v", dirs, err)
			}
			for file, want := range tc.want {
				if got, _ := os.ReadFile(k.path(file)); string(got) != want {
					t.Errorf("%s has %q, want %q", file, got, want)
				}
			}
			if err := (cage{dirs: dirs}).enter(4711, func() error { return nil }); err != nil {
				t.Fatal(err)
			}
			for _, dir := range dirs {
				if got, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs")); string(got) != "4711" {
					t.Errorf("%s/cgroup.procs has %q", dir, got)
				}
			}
		})
	}
}

// TestInForce: a service manager may take a limit and do nothing. What counts is what the groups of the server say.
func TestInForce(t *testing.T) {
	const user = "/user.slice/user-1000.slice/user@1000.service"
	const scope = user + "/app.slice/run-u7.scope"
	shape := Shape{Memory: 1 << 30, CPUs: 1.5}
	for _, tc := range []struct {
		name, mounts string
		files        map[string]string
		err          string
	}{
		{"both", unified, map[string]string{scope + "/memory.max": "1073741824\n", scope + "/cpu.max": "150000 100000\n"}, ""},
		{"above the scope", unified, map[string]string{scope + "/memory.max": "max\n", user + "/memory.max": "536870912\n", scope + "/cpu.max": "100000 100000\n"}, ""},
		{"no cpu", unified, map[string]string{scope + "/memory.max": "1073741824\n"}, "no controller cpu"},
		{"no limits", unified, map[string]string{scope + "/memory.max": "max\n", scope + "/cpu.max": "max 100000\n"}, "no controller memory, cpu"},
		{"version 1", hybrid, map[string]string{scope + "/cgroup.procs": "4242\n"}, "no controller memory, cpu"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := map[string]string{"/proc/4242/cgroup": "0::" + scope + "\n", "/proc/self/mountinfo": tc.mounts}
			for name, text := range tc.files {
				files["/sys/fs/cgroup"+name] = text
			}
			err := fakeKernel(t, files).inForce(4242, shape)
			if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("inForce = %v, want %q", err, tc.err)
			}
		})
	}
}

// TestScopeRefused: where systemd-run is missing or fails, the server runs without its limits, and what that means is said.
func TestScopeRefused(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"missing", "", "there is no systemd-run"},
		{"no service manager", "#!/bin/sh\necho Failed to connect to bus >&2\nexit 1\n", "Failed to connect to bus"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("PATH", dir)
			if tc.script != "" {
				if err := os.WriteFile(filepath.Join(dir, "systemd-run"), []byte(tc.script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			_, err := scope(t.Context(), Shape{Memory: 1 << 30})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("scope = %v, want %q", err, tc.want)
			}
			s := &Server{shape: Shape{Memory: 1 << 30}}
			s.notShaped(err)
			if why := s.Unshaped(); !strings.Contains(why, "1024MB of memory") || !strings.Contains(why, "the results do not show what the limit does") || s.Shape() != (Shape{}) {
				t.Errorf("Unshaped = %q, Shape %v", why, s.Shape())
			}
		})
	}
}
