package probe

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestSameStart: the pid file has whole seconds of an earlier moment, so a start just before a full second differs in them.
func TestSameStart(t *testing.T) {
	file := time.Unix(1_700_000_000, 0)
	for _, tc := range []struct {
		after time.Duration
		want  bool
	}{
		{0, true}, {999 * time.Millisecond, true}, {1001 * time.Millisecond, true}, {20 * time.Second, true},
		{-time.Second, false}, {time.Hour, false},
	} {
		if got := sameStart(file.Add(tc.after), file); got != tc.want {
			t.Errorf("sameStart(%v later) = %v, want %v", tc.after, got, tc.want)
		}
	}
}

func control(id uint64) string { return string(binary.LittleEndian.AppendUint64(nil, id)) + "more" }

// stat is a line of /proc/PID/stat of a process with a blank and a bracket in its name, begun so many ticks after boot.
func stat(pid, ticks int) string {
	return fmt.Sprintf("%d (post) gres) S 1%s %d 0", pid, strings.Repeat(" 0", 17), ticks)
}

// TestSameHost: two servers run here, process 20 in a container that numbers it 1. Each is found by what it says of itself.
func TestSameHost(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	files := mapFiles{
		"/proc/stat":   "cpu  1 2 3\nbtime 1699999000\n",
		"/proc/5/comm": "bash\n", "/proc/5/status": "PPid:\t1\n",
		"/proc/10/comm": "postgres\n", "/proc/10/status": "PPid:\t1\nNSpid:\t10\n", "/proc/10/stat": stat(10, 90000),
		"/proc/10/cwd/global/pg_control": control(77), "/proc/10/cwd/postmaster.pid": "10\n/data\n1699999900\n5432\n",
		"/proc/11/comm": "postgres\n", "/proc/11/status": "PPid:\t10\n",
		"/proc/20/comm": "postgres\n", "/proc/20/status": "PPid:\t19\nNSpid:\t20\t1\n", "/proc/20/stat": stat(20, 100000),
		"/proc/20/cwd/global/pg_control": control(77), "/proc/20/cwd/postmaster.pid": "1\n/var/lib/postgresql/data\n1700000000\n5432\n",
		"/proc/self/ns/mnt": "-> mnt:[1]", "/proc/10/ns/mnt": "-> mnt:[1]", "/proc/20/ns/mnt": "-> mnt:[9]", "/proc/20/cwd": "-> /var/lib/postgresql/data",
	}
	without := func(names ...string) mapFiles {
		m := mapFiles{}
		for k, v := range files {
			m[k] = v
		}
		for _, n := range names {
			delete(m, n)
		}
		return m
	}
	closed := deniedMap{files}
	here := claim{systemID: "77", started: start.Add(300 * time.Millisecond), address: "127.0.0.1"}
	for _, tc := range []struct {
		name  string
		files Files
		claim claim
		same  bool
		state State
		at    seat
	}{
		{name: "in a container, data_directory hidden", files: files, claim: here, same: true, state: Known, at: seat{pid: "20", root: "/proc/20/root", dir: "/var/lib/postgresql/data"}},
		{name: "beside it", files: files, claim: claim{dir: "/data", systemID: "77", started: start.Add(-100 * time.Second)}, same: true, state: Known, at: seat{pid: "10", dir: "/data"}},
		{name: "a standby or a copy elsewhere", files: files, claim: claim{systemID: "77", started: start.Add(time.Hour)}, state: Known},
		{name: "another system", files: files, claim: claim{systemID: "78", started: start}, state: Known},
		{name: "a stale pid file", files: mapFiles{"/proc/10/comm": "postgres", "/proc/10/status": "NSpid:\t10\n", "/proc/10/cwd/global/pg_control": control(77), "/proc/10/cwd/postmaster.pid": "9\n/data\n1700000000\n"}, claim: here, state: Known},
		{name: "no server", files: mapFiles{"/proc/5/comm": "bash"}, claim: claim{dir: "/data", systemID: "77", started: start}, state: Known},
		{name: "no processes, the directory", files: mapFiles{"/data/global/pg_control": control(77), "/data/postmaster.pid": "10\n/data\n1700000000\n"}, claim: claim{dir: "/data", systemID: "77", started: start}, same: true, state: Known, at: seat{dir: "/data"}},
		{name: "another process has the number in the pid file", files: mapFiles{"/proc/1/comm": "sh\n", "/data/global/pg_control": control(77), "/data/postmaster.pid": "1\n/data\n1700000000\n"}, claim: claim{dir: "/data", systemID: "77", started: start}, same: true, state: Known, at: seat{dir: "/data"}},
		{name: "no processes, no directory", files: mapFiles{}, claim: here, state: Denied},
		{name: "may not look, by the start of the process", files: closed, claim: here, same: true, state: Known, at: seat{pid: "20", root: "/proc/20/root"}},
		{name: "may not look, from afar", files: closed, claim: claim{systemID: "77", started: start, address: "192.0.2.7"}, state: Denied},
		{name: "may not look, another start", files: closed, claim: claim{systemID: "77", started: start.Add(time.Hour)}, state: Known},
		{name: "may not look, two began together", files: deniedMap{mapFilesWith(files, "/proc/10/stat", files["/proc/20/stat"])}, claim: here, state: Denied},
		{name: "no control file", files: without("/proc/20/cwd/global/pg_control"), claim: here, state: Known},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, at := (Env{Files: tc.files, Self: "self"}).sameHost(tc.claim)
			if got.State != tc.state || got.Value != tc.same || at != tc.at {
				t.Errorf("sameHost = %+v at %+v, want %v %v at %+v", got, at, tc.same, tc.state, tc.at)
			}
		})
	}
}

func mapFilesWith(m mapFiles, name, text string) mapFiles {
	out := mapFiles{name: text}
	for k, v := range m {
		if k != name {
			out[k] = v
		}
	}
	return out
}

// deniedMap hides what lies below /proc/PID/cwd, as the kernel does from another user.
type deniedMap struct{ mapFiles }

func (d deniedMap) ReadFile(name string) ([]byte, error) {
	return deniedFiles{denied: []string{"proc/10/cwd", "proc/20/cwd"}}.orElse(name, d.mapFiles.ReadFile)
}

func (d deniedFiles) orElse(name string, read func(string) ([]byte, error)) ([]byte, error) {
	if err := d.refuse(name); err != nil {
		return nil, err
	}
	return read(name)
}
