//go:build linux

package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgfit/workload/cluster"
	"pgfit/workload/script"
)

// TestAgainstPgbench compares the drivers with pgbench on one scratch server, in alternating pairs, both orders, and prints
// throughput and client processor time per transaction as ratios to pgbench's, medians with the range. It fails for no
// figure: machines are noisy, and a comparison is read, not passed. PGFIT_BENCH=1 runs it (make bench);
// PGFIT_BENCH_PAIRS, PGFIT_BENCH_SECONDS and PGFIT_BENCH_CLIENTS change its size.
func TestAgainstPgbench(t *testing.T) {
	if os.Getenv("PGFIT_BENCH") == "" {
		t.Skip("a benchmark of many minutes: make bench")
	}
	b := newComparison(t)
	fmt.Printf("%s, %d CPUs; pairs in both orders, %s a run; ratios to pgbench -M prepared -n -j min(clients, 2), median (least to most)\n\n", b.version, processors, b.length)
	fmt.Printf("%-12s %7s %5s  %-22s %-22s %-22s %-22s %s\n", "script", "clients", "pairs", "epoll TPS", "epoll CPU/tx", "portable TPS", "portable CPU/tx", "pgbench TPS, median")
	for _, name := range []string{"select-only", "tpcb-like"} {
		for _, clients := range b.clients {
			b.compare(t, name, clients)
		}
	}
}

// comparison is a server with pgbench's tables, and how to measure on it.
type comparison struct {
	config  *pgconn.Config
	bin     string
	host    string
	version string
	length  time.Duration
	pairs   int
	clients []int
}

const scale = 20

func newComparison(t *testing.T) *comparison {
	found, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Skip("no server binaries: ", err)
	}
	b := &comparison{bin: filepath.Join(found.Dir, "pgbench"), version: "PostgreSQL " + found.Version, length: 3 * time.Second, pairs: 10, clients: []int{1, 4, 16, 64}}
	if _, err := os.Stat(b.bin); err != nil {
		t.Skip("no pgbench beside the server: ", err)
	}
	if n, err := strconv.Atoi(os.Getenv("PGFIT_BENCH_PAIRS")); err == nil {
		b.pairs = n
	}
	if s, err := strconv.ParseFloat(os.Getenv("PGFIT_BENCH_SECONDS"), 64); err == nil {
		b.length = time.Duration(s * float64(time.Second))
	}
	if list := os.Getenv("PGFIT_BENCH_CLIENTS"); list != "" {
		b.clients = nil
		for _, c := range strings.Split(list, ",") {
			n, err := strconv.Atoi(c)
			if err != nil {
				t.Fatal(err)
			}
			b.clients = append(b.clients, n)
		}
	}
	b.config = server(t, map[string]string{"shared_buffers": "1GB", "autovacuum": "off", "max_wal_size": "8GB", "checkpoint_timeout": "1h"})
	b.host = b.config.Host
	b.pgbench(t, "-i", "-q", "-s", strconv.Itoa(scale))
	return b
}

// pgbench runs it and returns its output and processor time.
func (b *comparison) pgbench(t *testing.T, args ...string) (string, time.Duration) {
	t.Helper()
	cmd := exec.Command(b.bin, append(args, "-h", b.host, "-U", b.config.User, b.config.Database)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pgbench %v: %v\n%s", args, err, out)
	}
	u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return string(out), time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// figures are one run's: transactions a second, client processor time for each transaction.
type figures struct{ tps, cpu float64 }

var (
	reTPS   = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without initial`)
	reCount = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
)

// runPgbench leaves out what connecting costs: the processor time of a run of one transaction for each client.
func (b *comparison) runPgbench(t *testing.T, name string, clients int) figures {
	t.Helper()
	args := []string{"-n", "-M", "prepared", "-b", name, "-c", strconv.Itoa(clients), "-j", strconv.Itoa(min(clients, 2))}
	_, start := b.pgbench(t, append(args, "-t", "1")...)
	out, cpu := b.pgbench(t, append(args, "-T", strconv.Itoa(max(1, int(b.length.Seconds()))))...)
	tps, err := strconv.ParseFloat(reTPS.FindStringSubmatch(out)[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseFloat(reCount.FindStringSubmatch(out)[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return figures{tps, (cpu - start).Seconds() / n}
}

func (b *comparison) runEngine(t *testing.T, name, driver string, clients int) figures {
	t.Helper()
	parsed, _ := script.Builtin(name)
	threads, _ := strconv.Atoi(os.Getenv("PGFIT_BENCH_THREADS"))
	e, err := Open(context.Background(), Config{Connect: b.config, Driver: driver, Seed: uint64(time.Now().UnixNano()), Threads: threads,
		Vars: map[string]string{"scale": strconv.Itoa(scale)}, Scripts: []Weighted{{parsed, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Grow(context.Background(), clients); err != nil {
		t.Fatal(err)
	}
	r, err := e.Run(context.Background(), Load{Pool: clients, Warmup: 200 * time.Millisecond, Duration: b.length})
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed > 0 {
		t.Fatalf("%d failed: %+v", r.Failed, r.Errors)
	}
	return figures{float64(r.Transactions) / r.Elapsed.Seconds(), r.CPU.Seconds() / float64(r.Transactions)}
}

// compare makes the pairs of one row: pgbench, epoll and portable in turning order. Client numbers between one a processor
// and many get three times as many pairs, since both programs have two modes there.
func (b *comparison) compare(t *testing.T, name string, clients int) {
	pairs := b.pairs
	if clients > 1 && clients < 16 {
		pairs *= 3
	}
	orders := [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {2, 0, 1}}
	var ratios [4][]float64
	var tps []float64
	for i := range pairs {
		var f [3]figures
		for _, who := range orders[i%len(orders)] {
			statement(t, b.config, "VACUUM pgbench_branches, pgbench_tellers")
			switch who {
			case 0:
				f[0] = b.runPgbench(t, name, clients)
			case 1:
				f[1] = b.runEngine(t, name, DriverEpoll, clients)
			default:
				f[2] = b.runEngine(t, name, DriverPortable, clients)
			}
		}
		tps = append(tps, f[0].tps)
		for d := range 2 {
			ratios[2*d] = append(ratios[2*d], f[d+1].tps/f[0].tps)
			ratios[2*d+1] = append(ratios[2*d+1], f[d+1].cpu/f[0].cpu)
		}
	}
	slices.Sort(tps)
	fmt.Printf("%-12s %7d %5d  %-22s %-22s %-22s %-22s %.0f\n", name, clients, pairs, spread(ratios[0]), spread(ratios[1]), spread(ratios[2]), spread(ratios[3]), tps[len(tps)/2])
}

// spread is a median with its range.
func spread(v []float64) string {
	slices.Sort(v)
	mid := v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (v[len(v)/2-1] + v[len(v)/2]) / 2
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", mid, v[0], v[len(v)-1])
}
