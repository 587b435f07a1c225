package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"pgfit/probe/target"
	"pgfit/workload/load"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
	"pgfit/workload/sweep"
	"pgfit/workload/trial"
)

// Exit codes. exitCode is the one place that chooses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitGate        = 4
	exitUnfit       = 5
)

const exitCodesHelp = `
Exit codes:
  0 done   1 failed   2 misuse or bad configuration   3 target unreachable or refused us
  4 a gate failed   5 done, but the data cannot carry a recommendation   130, 143 interrupted
`

// usageError is the user's to mend: exit 2.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Hint() string  { return e.hint }

func usagef(format string, args ...any) error { return &usageError{err: fmt.Errorf(format, args...)} }

// unreachableError is a target that cannot be reached or refused us: exit 3.
type unreachableError struct {
	cause target.Cause
	err   error
}

func (e *unreachableError) Error() string { return e.cause.Text }
func (e *unreachableError) Unwrap() error { return e.err }
func (e *unreachableError) Hint() string  { return e.cause.Hint }

var (
	errGate  = errors.New("a gate failed")
	errUnfit = errors.New("the data cannot carry a recommendation")
)

func exitCode(err error, sig os.Signal) int {
	var usage *usageError
	var badTarget *target.UsageError
	var unreachable *unreachableError
	switch {
	case sig == syscall.SIGTERM:
		return 143
	case sig != nil:
		return 130
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.As(err, &badTarget), errors.Is(err, sweep.ErrPlan), errors.Is(err, trial.ErrPlan), errors.Is(err, scenario.ErrProfile),
		errors.Is(err, rundoc.ErrDocument), errors.Is(err, load.ErrForeign), errors.Is(err, load.ErrBusy), errors.Is(err, load.ErrDisk):
		return exitUsage
	case errors.As(err, &unreachable):
		return exitUnreachable
	case errors.Is(err, errGate):
		return exitGate
	case errors.Is(err, errUnfit):
		return exitUnfit
	}
	return exitFailed
}

// catchSignals gives a context that ends with the first SIGINT, SIGTERM or SIGHUP (a terminal that was closed, unless nohup
// is at work); a second one kills at once. caught tells which came first, for the exit code.
func catchSignals() (ctx context.Context, caught func() os.Signal, end func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(ch, syscall.SIGHUP)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var first atomic.Pointer[os.Signal]
	go func() {
		select {
		case s := <-ch:
			first.Store(&s)
			cancel()
		case <-ctx.Done():
		}
		signal.Stop(ch)
	}()
	caught = func() os.Signal {
		if s := first.Load(); s != nil {
			return *s
		}
		return nil
	}
	return ctx, caught, cancel
}
