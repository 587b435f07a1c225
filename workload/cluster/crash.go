package cluster

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Kill ends every process of the server with SIGKILL, as a power cut or the kernel's out-of-memory killer would, and
// keeps the data as they are.
func (s *Server) Kill() error {
	if s.cmd == nil {
		return errors.New("the server does not run")
	}
	pid := s.PID()
	_ = syscall.Kill(pid, syscall.SIGSTOP) // so that it starts nothing while its processes are listed
	pids := tree(pid)
	signalAll(pids[1:], syscall.SIGKILL)
	signalAll(pids[:1], syscall.SIGKILL)
	select {
	case <-s.done:
		s.cmd = nil
	case <-time.After(10 * time.Second):
		return errors.New("the killed server does not end")
	}
	return gone(pids)
}

// gone waits until none of the processes is left: the next start refuses while one of them holds the shared memory.
func gone(pids []int) error {
	for range 500 {
		left := false
		for _, pid := range pids {
			left = left || alive(pid)
		}
		if !left {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("processes of the killed server do not end")
}

// alive tells whether a process still holds anything: one that has ended and waits to be asked after does not.
func alive(pid int) bool {
	if f := statFields(fmt.Sprintf("/proc/%d/stat", pid)); len(f) > 0 {
		return f[0] != "Z" && f[0] != "X"
	}
	return syscall.Kill(pid, 0) == nil
}

// Recover starts a killed server again and tells how long it took until it let clients in. It gives up after patience.
func (s *Server) Recover(ctx context.Context, patience time.Duration) (time.Duration, error) {
	s.patience = patience
	err := s.start(ctx)
	return s.startTook, err
}

// StartTook is how long the last start took, from the program to the first client.
func (s *Server) StartTook() time.Duration { return s.startTook }
