package diskbench

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pgfit/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk is a storage whose data directory is DIR/data, with the test's directory on a real disk where there is one.
func disk(t testing.TB) (probe.Storage, string) {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-disk-test-")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	return probe.Storage{Role: "data_directory", Path: data, MountPoint: "/"}, dir
}

// TestRun: the figures hang together, the time is kept, and nothing is left.
func TestRun(t *testing.T) {
	s, dir := disk(t)
	b := measured(t, s, Options{FileBytes: 64 << 20, Time: MinTime})
	left(t, dir)
	if n := len(depths); len(b.Random) != n && len(b.Random) != n-1 || b.FileBytes != 64<<20 || b.Rounds < 1 || b.Rounds > rounds || b.Rounds < rounds && !b.Noisy {
		t.Errorf("depths %d, file %d, rounds %d", len(b.Random), b.FileBytes, b.Rounds)
	}
	for _, r := range b.Random {
		if r.IOPS <= 0 || r.P50 <= 0 || r.P50 > r.P99 || r.Min > r.Max || r.IOPS != r.Max {
			t.Errorf("depth %d: %+v", r.Depth, r)
		}
		// Little's law: requests in flight = rate x time of each, except that the last ones fly alone.
		if flying := r.IOPS * r.Mean; flying > 1.1*float64(r.Depth)+0.2 {
			t.Errorf("depth %d: %.2f requests in flight by rate and mean", r.Depth, flying)
		}
	}
	for name, v := range map[string]float64{"sequential read": b.SeqReadRate, "write": b.SeqWriteRate, "8 kB": b.SeqRead8kRate, "128 kB": b.SeqRead128kRate,
		"fdatasync": b.FdatasyncP50, "mean": b.FdatasyncMean, "first": b.FirstP50, "second": b.SecondP50} {
		if v <= 0 {
			t.Errorf("%s = %g", name, v)
		}
	}
}

// measured runs a measurement that has to succeed, unless the disk does not get through a single round.
func measured(t *testing.T, s probe.Storage, o Options) *probe.DiskBench {
	t.Helper()
	b, err := Run(context.Background(), s, o)
	if errors.Is(err, ErrRefused) && strings.Contains(err.Error(), "did not get through") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("took %.1f s of %v, %d rounds", b.ElapsedSeconds, o.Time, b.Rounds)
	return b
}

// TestWrites: of a disk for the WAL alone there are no reads, and it takes a part of the time.
func TestWrites(t *testing.T) {
	s, dir := disk(t)
	b := measured(t, s, Options{FileBytes: 64 << 20, Time: MinTime, Writes: true})
	left(t, dir)
	if len(b.Random) > 0 || b.SeqReadRate > 0 || b.SeqWriteRate <= 0 || b.FdatasyncP50 <= 0 {
		t.Errorf("%+v", b)
	}
}

// TestLasting: a load without a pause gives as many figures as it has parts, in its time.
func TestLasting(t *testing.T) {
	_, dir := disk(t)
	f, err := create(context.Background(), dir, 64<<20, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	m := &meter{f: f, rng: rand.New(rand.NewPCG(1, 1))}
	l, err := m.lasting(context.Background(), 2*time.Second)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Skip("the disk is too busy")
	}
	if err != nil || len(l.IOPS) != lastingParts || len(l.SeqReadRate) != lastingParts || l.Depth != 32 || l.Seconds <= 0 {
		t.Fatalf("%+v, %v", l, err)
	}
	for i := range l.IOPS {
		if l.IOPS[i] <= 0 || l.SeqReadRate[i] <= 0 {
			t.Errorf("part %d: %g requests and %g bytes a second", i, l.IOPS[i], l.SeqReadRate[i])
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.lasting(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestMethodsAgree: asynchronous I/O and threads read the same blocks and count alike. How fast each is, is not compared.
func TestMethodsAgree(t *testing.T) {
	_, dir := disk(t)
	f, err := create(context.Background(), dir, 64<<20, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	for name, run := range map[string]func(context.Context, task) (result, error){"system's own": f.run, "threads": f.threads} {
		var asked []int64
		at := int64(0)
		r, err := run(context.Background(), task{block: page, depth: 4, most: 500, length: time.Minute, next: func() int64 {
			at = (at + 7*page) % f.size
			asked = append(asked, at)
			return at
		}})
		if err != nil || r.count < 490 || r.count > 500 || len(r.latency) != r.count || len(asked) < r.count || len(asked) > 504 {
			t.Errorf("%s: %d requests, %d latencies, %d places: %v", name, r.count, len(r.latency), len(asked), err)
		}
	}
}

// TestInterrupted: the measurement ends when it is told to, and nothing is left.
func TestInterrupted(t *testing.T) {
	s, dir := disk(t)
	for _, moment := range []time.Duration{50 * time.Millisecond, 2500 * time.Millisecond} { // while it waits, and in a round
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(moment, cancel)
		if _, err := Run(ctx, s, Options{FileBytes: 64 << 20, Time: 6 * time.Second}); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted after %v: %v", moment, err)
		}
	}
	left(t, dir)
}

func left(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the data directory: %v, %v", entries, err)
	}
}

// TestBeside: where the data directory is a link, as to a larger disk, the file goes beside what it leads to.
func TestBeside(t *testing.T) {
	s, dir := disk(t)
	elsewhere := filepath.Join(t.TempDir(), "main")
	if err := os.Symlink(s.Path, elsewhere); err != nil {
		t.Fatal(err)
	}
	got, err := place(probe.Storage{Path: elsewhere}, Options{FileBytes: 1 << 20})
	if real, _ := filepath.EvalSymlinks(dir); err != nil || got != real {
		t.Errorf("place = %q, %v, want %q", got, err, real)
	}
	// The link of a process's own root says "/", which is not where a container's leads; ours does.
	if got := beside("/proc/self/root" + s.Path); runtime.GOOS == "linux" && !sameFile(got, dir) {
		t.Errorf("beside = %q", got)
	}
}

func TestRefusals(t *testing.T) {
	s, dir := disk(t)
	inside := filepath.Join(s.Path, "base")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(inside, link); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		storage probe.Storage
		o       Options
		want    string
	}{
		{"no directory", probe.Storage{}, Options{}, "pass --data-directory"},
		{"inside", s, Options{Dir: inside}, "lies inside the data directory"},
		{"inside by a link", s, Options{Dir: link}, "lies inside the data directory"},
		{"the data directory itself", s, Options{Dir: s.Path}, "lies inside the data directory"},
		{"another mount", s, Options{Dir: "/proc"}, "another mount"},
		{"no space", s, Options{FileBytes: 1 << 60}, "are free"},
		{"no such directory", s, Options{Dir: filepath.Join(dir, "none")}, "no such file"},
		{"too short", s, Options{Time: time.Second}, "at least"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Run(context.Background(), tc.storage, tc.o)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Run = %v, want a refusal with %q", err, tc.want)
			}
		})
	}
}

// TestDeeper: the greatest depth is measured where the one before brought more in the first round, and then in all rounds.
func TestDeeper(t *testing.T) {
	n := len(depths)
	at := func(rate int) result { return result{count: rate, elapsed: time.Second} }
	for _, tc := range []struct {
		name   string
		a, b   int  // rates at the two depths before
		later  bool // in a later round
		before bool // the first round had it
		want   bool
	}{
		{name: "still rising", a: 70_000, b: 100_000, want: true},
		{name: "at its best", a: 70_000, b: 74_000},
		{name: "later as in the first", a: 70_000, b: 71_000, later: true, before: true, want: true},
		{name: "later without", a: 70_000, b: 100_000, later: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var m meter
			m.random[0] = []result{at(10_000)}
			m.random[n-3], m.random[n-2] = []result{at(tc.a)}, []result{at(tc.b)}
			if tc.later {
				m.random[0] = append(m.random[0], at(10_000))
			}
			if tc.before {
				m.random[n-1] = []result{at(100_000)}
			}
			if got := m.deeper(); got != tc.want {
				t.Errorf("deeper = %v, want %v", got, tc.want)
			}
		})
	}
}
