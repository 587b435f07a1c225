package load

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgfit/profiles"
	"pgfit/workload/cluster"
	"pgfit/workload/scenario"
)

// TestAgainstPgbenchInit loads pgbench's tables with Fill and with pgbench -i, in alternating pairs in both orders on one
// scratch server, and prints the ratio of the times. It fails for no figure. PGFIT_BENCH=1 runs it (make bench);
// PGFIT_BENCH_SCALE is the scale, 68 for about a gigabyte.
func TestAgainstPgbenchInit(t *testing.T) {
	if os.Getenv("PGFIT_BENCH") == "" {
		t.Skip("a benchmark of some minutes: make bench")
	}
	scale := 68
	if n, err := strconv.Atoi(os.Getenv("PGFIT_BENCH_SCALE")); err == nil {
		scale = n
	}
	cfg := server(t)
	bin, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, ds, err := scenario.Load(profiles.FS, "tpcb", os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	theirs := func() time.Duration {
		begun := time.Now()
		if out, err := exec.Command(filepath.Join(bin.Dir, "pgbench"), "-i", "-q", "-s", strconv.Itoa(scale), "-h", cfg.Host, "-p", strconv.Itoa(int(cfg.Port)), "-U", cfg.User, cfg.Database).CombinedOutput(); err != nil {
			t.Fatalf("pgbench: %v\n%s", err, out)
		}
		return time.Since(begun)
	}
	ours := func() time.Duration {
		d, err := Own(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Release(ctx)
		begun := time.Now()
		if err := d.Fill(ctx, cfg, ds, int64(scale), 1, nil); err != nil {
			t.Fatal(err)
		}
		return time.Since(begun)
	}
	var ratios []float64
	for i := range 6 {
		var a, b time.Duration
		if i%2 == 0 {
			a, b = ours(), theirs()
		} else {
			b, a = theirs(), ours()
		}
		ratios = append(ratios, a.Seconds()/b.Seconds())
		fmt.Printf("loading scale %d: pgfit %.1f s, pgbench -i %.1f s, ratio %.2f\n", scale, a.Seconds(), b.Seconds(), a.Seconds()/b.Seconds())
	}
	slices.Sort(ratios)
	fmt.Printf("median of the ratios %.2f (%.2f to %.2f)\n", (ratios[2]+ratios[3])/2, ratios[0], ratios[5])
}
