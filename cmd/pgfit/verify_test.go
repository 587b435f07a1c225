package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestVerifyNoDifference: a patch that does nothing for speed is not claimed to do any. By the statistics one verification
// in 25 claims a difference where there is none; three in a row do so once in 15,000 times.
func TestVerifyNoDifference(t *testing.T) {
	startable(t)
	file := filepath.Join(t.TempDir(), "noop.conf")
	if err := os.WriteFile(file, []byte("deadlock_timeout = 1100ms\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var last string
	for seed := 1; seed <= 3; seed++ {
		code, stdout, stderr := pgfit("verify", "--patch", file, "--scenario", "read-only", "--pool-size", "2", "--pairs", "6", "--measure", "200ms", "--budget", "9m",
			"--data-size", "16MB", "--seed", strconv.Itoa(seed), "--format", "json")
		if code != exitDone {
			t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
		}
		var got struct {
			Patch []struct {
				Verdict  string `json:"verdict"`
				Verified struct {
					Pairs int `json:"pairs"`
				} `json:"verified"`
			} `json:"patch"`
		}
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || len(got.Patch) != 1 || got.Patch[0].Verified.Pairs != 6 {
			t.Fatalf("%v: %s", err, stdout)
		}
		if last = got.Patch[0].Verdict; strings.HasPrefix(last, "no difference seen (would have seen ") {
			return
		}
	}
	t.Errorf("three verifications of a patch that does nothing: the last says %q", last)
}

// TestVerifyDiskTooSmall: exit 2, before anything starts.
func TestVerifyDiskTooSmall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.conf")
	if err := os.WriteFile(file, []byte("work_mem = 8MB\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := pgfit("verify", "--patch", file, "--data-size", "900TB")
	if code != exitUsage || !strings.Contains(stderr, "the disk is too small") || strings.Contains(stderr, "starting") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// TestVerifySession: on a server of the user's, what SET can change is compared, the rest said to be unverified, and
// nothing is left behind.
func TestVerifySession(t *testing.T) {
	h := startHandmade(t)
	files := h.confFiles()
	file := filepath.Join(t.TempDir(), "p.conf")
	if err := os.WriteFile(file, []byte("random_page_cost = 1000\nmax_wal_size = 3GB\nshared_buffers = 99MB\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"verify", h.url(), "--patch", file, "--yes", "--scenario", "read-only", "--pool-size", "2", "--pairs", "6", "--measure", "200ms",
		"--budget", "9m", "--data-size", "16MB", "--seed", "1"}
	t.Setenv("APP_ENVIRONMENT", "production")
	if code, _, stderr := pgfit(args...); code != exitUsage || !strings.Contains(stderr, "environment_mode is production") {
		t.Errorf("load on production: exit %d\n%s", code, stderr)
	}
	t.Setenv("APP_ENVIRONMENT", "")
	code, stdout, stderr := pgfit(args...)
	if code != exitDone {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{"Harmful, and dropped: random_page_cost", "unverified: max_wal_size", "unverified: shared_buffers: needs a restart"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not said:\n%s", want, stdout)
		}
	}
	if got := h.leftovers(); got != "0 schemas, 0 sessions" {
		t.Errorf("left behind: %s", got)
	}
	for name, text := range h.confFiles() {
		if text != files[name] {
			t.Errorf("%s was changed", name)
		}
	}
}

// TestInterruptVerify: an interrupted verification leaves no server and no data directory; what it had measured is saved
// and says that it is partial.
func TestInterruptVerify(t *testing.T) {
	startable(t)
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	bin := build(t)
	file := filepath.Join(t.TempDir(), "p.conf")
	if err := os.WriteFile(file, []byte("random_page_cost = 1000\nwork_mem = 8MB\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	verify := []string{"verify", "--patch", file, "--scenario", "read-only", "--pool-size", "2", "--pairs", "6", "--measure", "200ms", "--budget", "9m", "--data-size", "16MB"}
	main := []string{"run", "--scratch", "--scenario", "read-only", "--budget", "150s", "--pool-sizes", "1,2", "--rounds", "3", "--measure", "500ms", "--data-size", "16MB"}
	kept := filepath.Join(t.TempDir(), "kept.conf") // not for speed, so that it stays and is crashed
	if err := os.WriteFile(kept, []byte("max_connections = 110\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	crash := append([]string{"verify", "--patch", kept, "--scenario", "write-heavy"}, verify[5:]...)
	for _, tc := range []struct {
		name, moment string
		files        string // below the scratch directory, to be there as well
		count        int
		args         []string
		saved        bool
	}{
		{"loading", "loading", "", 0, verify, false},
		{"copying", "noise between equal settings", "scratch-*/data", 2, verify, false},
		{"starting", "noise between equal settings", "scratch-*/data/postmaster.pid", 1, verify, false},
		{"comparing", "will show, four times in five", "", 0, verify, true},
		{"the recovery check", "crash and recovery", "scratch-*/data/postmaster.pid", 1, crash, true},
		{"the end of a run", "will show, four times in five", "", 0, main, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := scratchDir(t)
			out := filepath.Join(t.TempDir(), "out")
			cmd := exec.Command(bin, append(tc.args, "--scratch-dir", dir, "--out", out)...)
			stderr := &watchFor{text: tc.moment, seen: make(chan struct{})}
			cmd.Stderr = stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-stderr.seen:
			case <-time.After(3 * time.Minute):
				_ = cmd.Process.Kill()
				t.Fatalf("never said %q:\n%s", tc.moment, stderr)
			}
			waitForFiles(t, filepath.Join(dir, tc.files), tc.count)
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("exit %d, want 130\n%s", code, stderr)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
				t.Errorf("left in the scratch directory: %v, %v", left, err)
			}
			if out, _ := exec.Command("pgrep", "-f", dir).Output(); len(out) > 0 {
				t.Errorf("processes left: %s", out)
			}
			if saved := savedPartial(t, out); tc.saved && !saved {
				t.Error("what was measured is not saved")
			}
		})
	}
}

// waitForFiles waits until so many files match a pattern.
func waitForFiles(t *testing.T, pattern string, count int) {
	t.Helper()
	end, tick := time.After(time.Minute), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for {
		if found, err := filepath.Glob(pattern); err != nil || len(found) >= count {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never %d of %s", count, pattern)
		}
	}
}

// savedPartial: either nothing was measured and nothing written, or the verification says that it is partial.
func savedPartial(t *testing.T, out string) bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(out, "run.json"))
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	var doc struct {
		Verification struct {
			Partial string `json:"partial"`
		} `json:"verification"`
	}
	if err := errors.Join(err, json.Unmarshal(data, &doc)); err != nil {
		t.Fatal(err)
	}
	if doc.Verification.Partial != "interrupted" {
		t.Errorf("partial %q", doc.Verification.Partial)
	}
	return true
}

// watchFor keeps what is written to it and tells when a text has appeared.
type watchFor struct {
	buf  bytes.Buffer
	text string
	seen chan struct{}
	done bool
}

func (w *watchFor) Write(p []byte) (int, error) {
	n, err := w.buf.Write(p)
	if !w.done && strings.Contains(w.buf.String(), w.text) {
		w.done = true
		close(w.seen)
	}
	return n, err
}

func (w *watchFor) String() string { return w.buf.String() }
