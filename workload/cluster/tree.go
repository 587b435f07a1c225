package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tree lists the postmaster and its processes, the postmaster first. Every process of a server is the postmaster's own
// child. Without /proc it is the postmaster alone.
func tree(pid int) []int {
	pids := []int{pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		fields := statFields(path)
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, child)
		}
	}
	return pids
}

// statFields are the fields of /proc/PID/stat behind the name of the program: state, ppid, ...; nil when there are none.
func statFields(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
}

// Freeze stops every process of the server where it is, so that a server that waits for its turn takes nothing from the
// one that is measured, and does its deferred work (checkpoints, vacuum) in its own time. The postmaster goes first, so
// that no new process escapes. It waits until all have stopped, which takes as long as the disk write that one may be in,
// and tells whether they have. Where there is no /proc nothing is frozen.
func (s *Server) Freeze() bool {
	if s.cmd == nil {
		return false
	}
	pid := s.PID()
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/stat", pid)); err != nil {
		return false
	}
	s.frozen = true
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	if !stopped([]int{pid}) {
		return false
	}
	children := tree(pid)[1:]
	signalAll(children, syscall.SIGSTOP)
	return stopped(children)
}

// stopped waits for up to ten seconds until every process has stopped or ended.
func stopped(pids []int) bool {
	end := time.Now().Add(10 * time.Second)
	for wait := 200 * time.Microsecond; time.Now().Before(end); wait = min(2*wait, 10*time.Millisecond) {
		still := func(pid int) bool {
			f := statFields(fmt.Sprintf("/proc/%d/stat", pid))
			return len(f) > 0 && !strings.Contains("TtZX", f[0])
		}
		if !slices.ContainsFunc(pids, still) {
			return true
		}
		time.Sleep(wait)
	}
	return false
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw() {
	if s.cmd != nil && s.frozen {
		signalAll(tree(s.PID()), syscall.SIGCONT)
	}
	s.frozen = false
}

func signalAll(pids []int, sig syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
}

// ticksPerSecond of /proc/PID/stat: USER_HZ, 100 on every architecture that Go and PostgreSQL share (proc(5)).
const ticksPerSecond = 100

// CPU is the processor time, user and system, that the server has used since it started: that of its processes and of
// those that have ended. False where there is no /proc.
func (s *Server) CPU() (time.Duration, bool) {
	var ticks int64
	for i, pid := range tree(s.PID()) {
		f := statFields(fmt.Sprintf("/proc/%d/stat", pid))
		if len(f) < 15 {
			if i == 0 {
				return 0, false
			}
			continue
		}
		last := 13 // utime, stime
		if i == 0 {
			last = 15 // and what ended children had used
		}
		for _, text := range f[11:last] {
			n, _ := strconv.ParseInt(text, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, true
}
