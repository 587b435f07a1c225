package diskbench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// goal is how near fio and pg_test_fsync the figures should come on a quiet machine. A busy one makes either slow, so the
// comparison reports and does not fail.
const goal = 0.15

// pairs of short alternating runs: many, so that what else the machine does meets both alike; odd, so that there is a median.
const pairs = 15

// TestAgainstOthers measures a file by turns with fio (random 8 kB reads at depths 1, 8 and 32) and pg_test_fsync
// (fdatasync): make bench-disk.
func TestAgainstOthers(t *testing.T) {
	if os.Getenv("PGFIT_BENCH") == "" {
		t.Skip("a benchmark: PGFIT_BENCH is not set")
	}
	_, dir := disk(t)
	t.Run("fio", func(t *testing.T) {
		if _, err := exec.LookPath("fio"); err != nil {
			t.Skip("fio is not installed")
		}
		f, name := named(t, dir, 1<<30)
		rng := rand.New(rand.NewPCG(1, 1))
		draw := func() int64 { return rng.Int64N(f.size/page) * page }
		for _, depth := range []int{1, 8, 32} {
			var ours, theirs []float64
			for range pairs {
				r, err := f.run(context.Background(), task{block: page, depth: depth, next: draw, warmup: 300 * time.Millisecond, length: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				ours, theirs = append(ours, r.rate()), append(theirs, fio(t, name, depth))
			}
			compare(t, fmt.Sprintf("8 kB random reads at depth %d, IOPS", depth), ours, theirs)
		}
	})
	t.Run("pg_test_fsync", func(t *testing.T) {
		program := testFsync(t)
		f, err := create(context.Background(), dir, 64<<20, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		defer f.close()
		var ours, theirs []float64
		for range pairs {
			r, err := f.syncs(context.Background(), time.Second)
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs = append(ours, 1e6*r.mean()), append(theirs, fdatasyncMicros(t, program, filepath.Join(dir, "fsync")))
		}
		compare(t, "fdatasync of 8 kB, mean µs", ours, theirs)
	})
}

// compare reports the median of the paired ratios.
func compare(t *testing.T, what string, ours, theirs []float64) {
	t.Helper()
	var ratios []float64
	for i := range ours {
		ratios = append(ratios, ours[i]/theirs[i])
	}
	slices.Sort(ratios)
	mid := ratios[len(ratios)/2]
	verdict := "within the goal"
	if mid < 1-goal || mid > 1+goal {
		verdict = "OUTSIDE the goal"
	}
	t.Logf("%s: pgfit %.0f, the other %.0f; ratio %.3f (%.3f to %.3f), %s of %.0f %%", what, ours, theirs, mid, ratios[0], ratios[len(ratios)-1], verdict, 100*goal)
}

// named is a test file that other programs can open too.
func named(t *testing.T, dir string, size int64) (*file, string) {
	t.Helper()
	f, err := create(context.Background(), dir, size, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	name := filepath.Join(dir, "same")
	if err := os.Link(fmt.Sprintf("/proc/self/fd/%d", f.cached.Fd()), name); err == nil {
		return f, name
	}
	data, err := os.Create(name) // a file without a name cannot get one here: a copy under a name, opened instead
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	if _, err := data.ReadFrom(&reader{f: f.cached, left: f.size}); err != nil {
		t.Fatal(err)
	}
	if err := data.Sync(); err != nil {
		t.Fatal(err)
	}
	direct, bypass, err := reopen(data)
	if err != nil {
		t.Fatal(err)
	}
	f.direct.Close()
	f.direct, f.bypass = direct, bypass
	return f, name
}

// reader reads a file from its start without moving its position.
type reader struct {
	f        *os.File
	at, left int64
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.f.ReadAt(p[:min(int64(len(p)), max(r.left, 1))], r.at)
	r.at, r.left = r.at+int64(n), r.left-int64(n)
	return n, err
}

func fio(t *testing.T, name string, depth int) float64 {
	t.Helper()
	out, err := exec.Command("fio", "--name=x", "--filename="+name, "--rw=randread", "--bs=8k", "--direct=1", "--ioengine=libaio",
		"--iodepth="+strconv.Itoa(depth), "--norandommap", "--time_based", "--runtime=1", "--ramp_time=300ms", "--output-format=json").Output()
	if err != nil {
		t.Fatalf("fio: %v", err)
	}
	var report struct {
		Jobs []struct {
			Read struct {
				IOPS float64 `json:"iops"`
			} `json:"read"`
		} `json:"jobs"`
	}
	if i := bytes.IndexByte(out, '{'); i < 0 || json.Unmarshal(out[i:], &report) != nil || len(report.Jobs) != 1 {
		t.Fatalf("fio said %s", out)
	}
	return report.Jobs[0].Read.IOPS
}

// testFsync finds pg_test_fsync, which distributions keep out of PATH.
func testFsync(t *testing.T) string {
	t.Helper()
	if p, err := exec.LookPath("pg_test_fsync"); err == nil {
		return p
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_test_fsync")
	if len(found) == 0 {
		t.Skip("pg_test_fsync is not installed")
	}
	return found[len(found)-1]
}

var fdatasyncLine = regexp.MustCompile(`(?m)^\s+fdatasync\s+[\d.]+ ops/sec\s+([\d.]+) usecs/op`)

// fdatasyncMicros runs the program, one second a method, until it has said its first fdatasync: one 8 kB write.
func fdatasyncMicros(t *testing.T, program, name string) float64 {
	t.Helper()
	cmd := exec.Command(program, "-s", "1", "-f", name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Signal(os.Interrupt) }() // it removes its file
	text := ""
	for buf := make([]byte, 256); ; {
		n, err := out.Read(buf)
		text += string(buf[:n])
		if m := fdatasyncLine.FindStringSubmatch(text); m != nil {
			v, _ := strconv.ParseFloat(m[1], 64)
			return v
		}
		if err != nil {
			t.Fatalf("pg_test_fsync said %s", text)
		}
	}
}
