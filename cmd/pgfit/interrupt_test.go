package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build makes the program once for tests that have to kill it.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "pgfit")
	cmd := exec.Command("go", "build", "-o", bin, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// TestInterrupt sends SIGINT at ten moments of a run against a server of the user's. Each time the schema and every
// session are gone, the exit code is 130, and what had been measured is saved and marked partial.
func TestInterrupt(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	h := startHandmade(t)
	bin := build(t)
	saved := false
	moments := []time.Duration{50, 200, 500, 900, 1400, 2500, 4000, 6000, 9000, 12000}
	for _, ms := range moments {
		moment := ms * time.Millisecond
		t.Run(moment.String(), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			cmd := exec.Command(bin, append(smallRun(h, out), "--budget", "60s")...)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			interruptAfter(t, cmd.Process, ended, moment, &errs)
			if code := cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("exit %d, want 130\n%s", code, errs.String())
			}
			if got := h.leftovers(); got != "0 schemas, 0 sessions" {
				t.Errorf("left behind: %s\n%s", got, errs.String())
			}
			saved = checkPartial(t, out) || saved
		})
	}
	if !saved {
		t.Error("no interrupted run saved what it had measured")
	}
}

func interruptAfter(t *testing.T, p *os.Process, ended <-chan error, moment time.Duration, errs *bytes.Buffer) {
	t.Helper()
	select {
	case err := <-ended:
		t.Fatalf("the run ended before it could be interrupted: %v\n%s", err, errs)
	case <-time.After(moment):
	}
	if err := p.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		_ = p.Kill()
		t.Fatal("still running half a minute after SIGINT")
	}
}

// checkPartial: either nothing was measured and nothing was written, or the document says that it is partial.
func checkPartial(t *testing.T, out string) (saved bool) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(out, "run.json"))
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	var doc struct {
		Partial string            `json:"partial"`
		Visits  []json.RawMessage `json:"visits"`
	}
	if err := errors.Join(err, json.Unmarshal(data, &doc)); err != nil {
		t.Fatal(err)
	}
	if doc.Partial != "interrupted" || len(doc.Visits) == 0 {
		t.Errorf("partial %q with %d visits", doc.Partial, len(doc.Visits))
	}
	return true
}

// TestInterruptScratch: SIGTERM leaves no server and no directory behind.
func TestInterruptScratch(t *testing.T) {
	startable(t)
	bin := build(t)
	for _, moment := range []time.Duration{300 * time.Millisecond, 3 * time.Second} {
		t.Run(moment.String(), func(t *testing.T) {
			dir := scratchDir(t)
			cmd := exec.Command(bin, "run", "--scratch", "--scratch-dir", dir, "--out", filepath.Join(t.TempDir(), "out"))
			var errs bytes.Buffer
			cmd.Stderr = &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-time.After(moment):
			case err := <-ended:
				t.Fatalf("ended early: %v\n%s", err, &errs)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			<-ended
			if code := cmd.ProcessState.ExitCode(); code != 143 {
				t.Errorf("exit %d, want 143", code)
			}
			emptied(t, dir)
		})
	}
}

// scratchDir is a directory for --scratch-dir.
func scratchDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-int-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// emptied: no data directory and no process is left in a scratch directory.
func emptied(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the scratch directory: %s, %v", strings.Join(left, " "), err)
	}
	if out, _ := exec.Command("pgrep", "-f", dir).Output(); len(out) > 0 {
		t.Errorf("processes left: %s", out)
	}
}

// TestNobodyReads: pgfit 2>&1 | head -1 ends with the reader, quietly, and leaves no server behind.
func TestNobodyReads(t *testing.T) {
	startable(t)
	bin, dir := build(t), scratchDir(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "bench", "--scratch", "--scratch-dir", dir, "--data-size", "16MB")
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadFull(r, make([]byte, 20))
	r.Close()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitPipe || err != nil {
		t.Errorf("exit %d, want %d; %v", code, exitPipe, err)
	}
	emptied(t, dir)
}
