package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

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
	exitSignal      = 130 // and 143 after SIGTERM
	exitPipe        = 141 // nobody reads any more: pgfit report | head; as the shell has it for SIGPIPE
)

// exitWords are the codes in the order of the help.
var exitWords = []struct {
	code int
	word string
}{{exitDone, "0 done"}, {exitFailed, "1 failed"}, {exitUsage, "2 misuse or bad configuration"}, {exitUnreachable, "3 target unreachable or refused us"},
	{exitGate, "4 a gate failed"}, {exitUnfit, "5 done, but the data cannot carry a recommendation"}, {exitSignal, "130, 143 interrupted"}}

// without are the codes that a command never gives. report and fit print what the data cannot carry, and are done.
var without = map[string][]int{
	"pgfit probe": {exitGate, exitUnfit}, "pgfit bench": {exitGate, exitUnfit}, "pgfit advise": {exitUnreachable}, "pgfit verify": {exitGate, exitUnfit},
	"pgfit report": {exitUnreachable, exitGate, exitUnfit}, "pgfit fit": {exitUnreachable, exitGate, exitUnfit}, "pgfit plan": {exitUnreachable},
	"pgfit compare": {exitUnreachable, exitUnfit}, "pgfit audit": {exitUnfit}, "pgfit config": {exitUnreachable, exitGate, exitUnfit},
	"pgfit config show": {exitUnreachable, exitGate, exitUnfit}, "pgfit pool": {exitGate, exitUnfit}, "pgfit pool watch": {exitGate, exitUnfit},
	"pgfit version": {exitUnreachable, exitGate, exitUnfit},
}

// helpExits ends the help of a command, and of those below it, with the exit codes that it can give.
func helpExits(cmd *cobra.Command) {
	cmd.SetUsageTemplate(cmd.UsageTemplate() + exitCodesHelp(cmd.CommandPath()))
	for _, c := range cmd.Commands() {
		c.SetUsageTemplate(usageTemplate)
		helpExits(c)
	}
}

// usageTemplate is cobra's own.
var usageTemplate = new(cobra.Command).UsageTemplate()

func exitCodesHelp(path string) string {
	lines := []string{"\nExit codes:"}
	for _, e := range exitWords {
		if slices.Contains(without[path], e.code) {
			continue
		}
		if last := &lines[len(lines)-1]; len(lines) > 1 && len(*last)+len(e.word) < 96 {
			*last += "   " + e.word
		} else {
			lines = append(lines, "  "+e.word)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

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
	case sig == syscall.SIGPIPE:
		return exitPipe
	case sig != nil:
		return exitSignal
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
// is at work); a second one kills at once. raise ends it as if a signal had come. caught tells which came first, for the exit
// code. SIGPIPE alone does nothing: it comes of connections to servers as well, whose writes say so themselves.
func catchSignals() (ctx context.Context, raise func(os.Signal), caught func() os.Signal, end func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(ch, syscall.SIGHUP)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(context.Background())
	var first atomic.Pointer[os.Signal]
	raise = func(s os.Signal) {
		first.CompareAndSwap(nil, &s)
		cancel()
	}
	go func() {
		select {
		case s := <-ch:
			raise(s)
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
	return ctx, raise, caught, cancel
}

// outlet is stdout or stderr. When nobody reads it any more it says so.
type outlet struct {
	io.Writer
	gone func()
}

func (o outlet) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		o.gone()
	}
	return n, err
}

// file is the file behind an outlet, for who asks whether it is a terminal.
func file(w io.Writer) (*os.File, bool) {
	if o, ok := w.(outlet); ok {
		w = o.Writer
	}
	f, ok := w.(*os.File)
	return f, ok
}
