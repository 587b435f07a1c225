package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"pgfit/profiles"
	"pgfit/workload/cluster"
	"pgfit/workload/engine"
	"pgfit/workload/load"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
)

// snapshot loads a small shop on the real disk, and takes everything away with the test.
func snapshot(t *testing.T) *Snapshot {
	t.Helper()
	bin, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Skip("no server binaries: ", err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-trial-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	_, ds := shop(t, "read-only")
	snap, err := Load(context.Background(), Recipe{Binaries: bin, Dir: dir, Datasets: map[string]scenario.Dataset{ds.Name: ds}, Bytes: 16 << 20, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := snap.Remove(context.Background()); err != nil {
			t.Error(err)
		}
		nothingLeft(t, dir)
	})
	return snap
}

func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if out, _ := exec.Command("pgrep", "-f", dir).Output(); len(out) > 0 {
		t.Errorf("processes left: %s", out)
	}
}

func shop(t *testing.T, name string) (scenario.Scenario, scenario.Dataset) {
	t.Helper()
	sc, ds, err := scenario.Load(profiles.FS, name, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	return sc, ds
}

func (s *Snapshot) side(t *testing.T, settings map[string]string) Side {
	t.Helper()
	srv, err := s.Start(context.Background(), settings, cluster.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Stop(context.Background(), srv); err != nil {
			t.Error(err)
		}
	})
	return Side{Config: srv.Config(), Server: srv}
}

func runner(t *testing.T, snap *Snapshot, names ...string) *Runner {
	t.Helper()
	r := &Runner{Vars: snap.Vars, Pool: 2, Warmup: 30 * time.Millisecond, Measure: 100 * time.Millisecond, FirstWarmup: 300 * time.Millisecond, Seed: 3, MaxTries: 3}
	for _, n := range names {
		sc, _ := shop(t, n)
		r.Scenarios = append(r.Scenarios, sc)
	}
	return r
}

var sixPairs = Series{Pairs: 6, Stream: 1}

// ratio is the mean of ln(B/A), and how many of the pairs have B ahead.
func ratio(visits []rundoc.TrialVisit, scenario string) (mean float64, ahead, pairs int) {
	tps := map[int]map[string]float64{}
	for _, v := range visits {
		if v.Scenario == scenario {
			if tps[v.Pair] == nil {
				tps[v.Pair] = map[string]float64{}
			}
			tps[v.Pair][v.Side] = v.TPS
		}
	}
	for _, p := range tps {
		d := math.Log(p["B"] / p["A"])
		mean += d / float64(len(tps))
		if d > 0 {
			ahead++
		}
	}
	return mean, ahead, len(tps)
}

// TestTrials runs every test that needs servers on one snapshot, since loading it takes the longest.
func TestTrials(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	snap := snapshot(t)
	good, bad := snap.side(t, nil), snap.side(t, slow)
	t.Run("filled", func(t *testing.T) { filled(t, runner(t, snap, "read-only"), snap.side(t, nil)) })
	t.Run("session", func(t *testing.T) { session(t, runner(t, snap, "read-only"), good) })
	t.Run("cancel", func(t *testing.T) { cancelled(t, runner(t, snap, "read-only"), good, bad) })
	t.Run("deadline", func(t *testing.T) { deadline(t, runner(t, snap, "read-only"), good, bad) })
	t.Run("long statements", func(t *testing.T) { longStatements(t, runner(t, snap, "analytic", "read-only"), good) })
	t.Run("harm and its reverse", func(t *testing.T) { harmAndItsReverse(t, runner(t, snap, "read-only"), snap) })
	t.Run("crossover", func(t *testing.T) { crossover(t, runner(t, snap, "read-only"), snap.side(t, nil), snap.side(t, nil)) })
	t.Run("writes are charged", func(t *testing.T) { writesAreCharged(t, runner(t, snap, "write-heavy"), good) })
}

// filled: before the first visit every block of the tables is in shared_buffers, where they fit, and mapped by every connection.
func filled(t *testing.T, r *Runner, side Side) {
	ctx := context.Background()
	s, err := r.open(ctx, side, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	reads := func() (hit, read int64) {
		for _, table := range []string{"customers", "products", "orders", "order_lines", "payments"} {
			var plan []struct {
				Plan struct {
					Hit  int64 `json:"Shared Hit Blocks"`
					Read int64 `json:"Shared Read Blocks"`
				}
			}
			var text []byte
			err := s.conn.QueryRow(ctx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT count(*) FROM "+load.Schema+"."+table+" WHERE ctid IS NOT NULL").Scan(&text)
			if err := errors.Join(err, json.Unmarshal(text, &plan)); err != nil {
				t.Fatal(err)
			}
			hit, read = hit+plan[0].Plan.Hit, read+plan[0].Plan.Read
		}
		return hit, read
	}
	if err := s.fill(ctx); err != nil {
		t.Fatal(err)
	}
	hit, read := reads()
	if hit < 1000 || read > 0 {
		t.Errorf("%d blocks are in shared_buffers, %d are not", hit, read)
	}
	before := mapped(t, s)
	if err := s.touch(ctx, r.Pool); err != nil {
		t.Fatal(err)
	}
	if after := mapped(t, s); after-before < hit*s.heap.block*8/10 {
		t.Errorf("a connection has %d bytes of shared memory mapped, %d more than before touching, of %d with rows", after, after-before, hit*s.heap.block)
	}
}

// mapped is the shared memory that the connection of the load with least of it has mapped, in bytes.
func mapped(t *testing.T, s *seat) int64 {
	t.Helper()
	rows, err := s.conn.Query(context.Background(), "SELECT pid FROM pg_stat_activity WHERE application_name = $1", appName)
	if err != nil {
		t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil || len(pids) != 2 {
		t.Fatalf("connections %v, %v", pids, err)
	}
	least := int64(math.MaxInt64)
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		var kb int64
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "RssShmem:"); ok {
				if _, err := fmt.Sscan(rest, &kb); err != nil {
					t.Fatal(err)
				}
			}
		}
		least = min(least, kb<<10)
	}
	return least
}

// slow makes the server read whole tables where it used an index.
var slow = map[string]string{"random_page_cost": "1000"}

// harmAndItsReverse: random_page_cost = 1000 as B is far behind in every pair, as A far ahead in none, whichever copy of the
// data it has: the effect is many times any noise.
func harmAndItsReverse(t *testing.T, r *Runner, snap *Snapshot) {
	for _, tc := range []struct {
		name string
		a, b map[string]string
		want int
	}{{"harm", nil, slow, 0}, {"the reverse", slow, nil, 6}} {
		visits, err := r.Compare(context.Background(), snap.side(t, tc.a), snap.side(t, tc.b), sixPairs)
		if err != nil {
			t.Fatal(err)
		}
		mean, ahead, pairs := ratio(visits, "read-only")
		if pairs != 6 || ahead != tc.want || math.Abs(mean) < math.Log(3) {
			t.Errorf("%s: B is ahead in %d of %d pairs, e^%.2f times as fast", tc.name, ahead, pairs, mean)
		}
		on := map[string]int{}
		for i, v := range visits {
			on[fmt.Sprint(v.Side, v.Copy)]++
			whole := v.Seconds >= .05 || r.narrowed(v.Scenario) != nil // a busy machine may make it one of lists
			if v.Order != i || v.P99 <= 0 || v.CPUSeconds < 0 || !whole {
				t.Errorf("visit %d: %+v", i, v)
			}
		}
		if len(on) != 4 || on["A1"] != on["B2"] || on["A2"] != on["B1"] {
			t.Errorf("%s: the sides had the copies %v times", tc.name, on)
		}
	}
}

// crossover: where the second copy of the data is far slower than the first, for want of an index, of two sides of equal
// settings now one is ahead and now the other, as the coin falls.
func crossover(t *testing.T, r *Runner, a, b Side) {
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, b.Config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(ctx, "ALTER TABLE "+load.Schema+".orders DROP CONSTRAINT orders_pkey CASCADE")
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	visits, err := r.Compare(ctx, a, b, sixPairs)
	if err != nil {
		t.Fatal(err)
	}
	onFirst := 0
	for _, v := range visits {
		if v.Side == "B" && v.Copy == 1 {
			onFirst++
		}
	}
	if _, ahead, pairs := ratio(visits, "read-only"); pairs != 6 || ahead != onFirst || ahead == 0 || ahead == 6 {
		t.Errorf("B is ahead in %d of %d pairs, and had the faster copy in %d", ahead, pairs, onFirst)
	}
	for i, v := range visits {
		if other := visits[i^1]; v.Copy == 1 && v.TPS < other.TPS {
			t.Errorf("visit %d: %.0f TPS with the index, %.0f without", i, v.TPS, other.TPS)
		}
	}
}

// longStatements: a scenario of which a visit would hold a few transactions makes the same ones in each, every kind equally
// often, and leaves the others as they are; on a busy machine they can be as slow.
func longStatements(t *testing.T, r *Runner, side Side) {
	r.Pool = 4
	visits, err := r.Compare(context.Background(), side, side, Series{Pairs: 2})
	if err != nil {
		t.Fatal(err)
	}
	s := r.narrowed("analytic")
	if s == nil || s.MostPool != 2 || s.Transactions%6 != 0 || s.MeasureSeconds <= 0 {
		t.Fatalf("narrowed: %+v", r.Narrowed)
	}
	for i, v := range visits {
		s := r.narrowed(v.Scenario)
		if i > 0 && s == nil && v.Pair == visits[i-1].Pair && r.narrowed(visits[i-1].Scenario) != nil {
			t.Errorf("%s comes after %s, which drives its data out of the caches", v.Scenario, visits[i-1].Scenario)
		}
		if same := s != nil && v.Transactions == int64(s.Transactions); same != (s != nil) || v.TPS <= 0 {
			t.Errorf("%+v; narrowed: %+v", v, r.Narrowed)
		}
	}
}

// writesAreCharged: a visit that writes has WAL, and a checkpoint after it whose time lowers its throughput; the data
// survive a crash, with the same checksums, and a difference in them would be named.
func writesAreCharged(t *testing.T, r *Runner, side Side) {
	ctx := context.Background()
	visits, err := r.Compare(ctx, side, side, Series{Pairs: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range visits {
		if v.WALBytes <= 0 || v.CheckpointSeconds <= 0 {
			t.Errorf("WAL %d bytes, checkpoint %g s", v.WALBytes, v.CheckpointSeconds)
		}
	}
	check, err := r.Recover(ctx, side, 300*time.Millisecond, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if !check.Intact || check.WALBytes <= 0 || check.Seconds <= 0 || check.Estimate < check.Seconds || check.Tables < 4 {
		t.Errorf("recovery %+v", check)
	}
	if got := differing(map[string]string{"a": "1 2", "b": "3 4"}, map[string]string{"a": "1 2", "b": "3 5"}); got != "b" {
		t.Errorf("differing = %q", got)
	}
}

// session: on one server the two sides differ by what their sessions SET, and nothing else on it changes.
func session(t *testing.T, r *Runner, srv Side) {
	a, b := Side{Config: srv.Config}, Side{Config: srv.Config, Set: map[string]string{"random_page_cost": "1000"}}
	visits, err := r.Compare(context.Background(), a, b, sixPairs)
	if err != nil {
		t.Fatal(err)
	}
	if mean, ahead, pairs := ratio(visits, "read-only"); pairs != 6 || ahead != 0 || mean > -math.Log(3) {
		t.Errorf("B is ahead in %d of %d pairs, e^%.2f times as fast", ahead, pairs, mean)
	}
	for _, v := range visits {
		if v.CheckpointSeconds != 0 || v.CPUSeconds != -1 {
			t.Errorf("a visit to somebody's own server: %+v", v)
		}
	}
}

// cancelled: a cancelled comparison ends soon, keeps the pairs that were finished, and leaves its servers stoppable.
func cancelled(t *testing.T, r *Runner, good, bad Side) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var once sync.Once
	r.Visited = func(_ rundoc.TrialVisit, done, _ int) {
		if done == 3 {
			once.Do(cancel)
		}
	}
	visits, err := r.Compare(ctx, good, bad, sixPairs)
	if !errors.Is(err, context.Canceled) || len(visits) != 4 {
		t.Errorf("%d visits, %v", len(visits), err)
	}
}

// deadline: without time for a second pair there is one, and no error.
func deadline(t *testing.T, r *Runner, good, bad Side) {
	visits, err := r.Compare(context.Background(), good, bad, Series{Pairs: 6, Stream: 1, Deadline: time.Now()})
	if err != nil || len(visits) != 2 {
		t.Errorf("%d visits, %v; want the two of one pair", len(visits), err)
	}
}

// TestCut: the slices of a visit make up the visit, and none is too short for the transactions it has to hold.
func TestCut(t *testing.T) {
	for _, tc := range []struct {
		measure, mean time.Duration
		slices        int
		length        time.Duration
	}{
		{time.Second, 0, 4, 250 * time.Millisecond},
		{5 * time.Second, time.Millisecond, 8, 625 * time.Millisecond},
		{20 * time.Second, 0, 20, time.Second},
		{time.Second, 20 * time.Millisecond, 2, 500 * time.Millisecond},
		{time.Second, 100 * time.Millisecond, 1, time.Second},
		{100 * time.Millisecond, 0, 1, 100 * time.Millisecond},
	} {
		c := cutOf(tc.measure, 300*time.Millisecond, tc.mean)
		if c.slices != tc.slices || c.length != tc.length {
			t.Errorf("a visit of %s with transactions of %s: %d slices of %s, want %d of %s", tc.measure, tc.mean, c.slices, c.length, tc.slices, tc.length)
		}
	}
}

// TestCharged: of two sides that do 100 transactions a second, the one that leaves a checkpoint of a quarter of a second has
// done 80.
func TestCharged(t *testing.T) {
	if got := charged(rundoc.TrialVisit{Transactions: 100, Seconds: 1, CheckpointSeconds: .25}); got != 80 {
		t.Errorf("charged = %v, want 80", got)
	}
}

// TestLasted: of two lists, one took 2 s and the other 1 s: the visit lasted 1.5 s, whatever the clock says.
func TestLasted(t *testing.T) {
	res := &engine.Result{Elapsed: 2 * time.Second, Ops: []engine.OpResult{{Count: 1, SumService: 2}, {Count: 2, SumService: 1}}}
	if got := lasted(res, engine.Load{Pool: 2, Lists: [][]int{{0}, {1, 1}}}); got != 1500*time.Millisecond {
		t.Errorf("lists lasted %s", got)
	}
	if got := lasted(res, engine.Load{Pool: 2}); got != res.Elapsed {
		t.Errorf("a window lasted %s", got)
	}
}

// TestMixed: nominally half are fast (1 s in all for 10) and half slow (10 s for 10): 0.55 s each. Dice that gave 15 fast and
// 5 slow make 1.5 + 5 s for 20, 0.325 s each: throughput looks 0.55 / 0.325 times as high as it is.
func TestMixed(t *testing.T) {
	op := func(n int64, sum float64) engine.OpResult { return engine.OpResult{Count: n, SumService: sum} }
	for _, tc := range []struct {
		name    string
		ops     []engine.OpResult
		weights []int
		want    float64
	}{
		{"lucky dice", []engine.OpResult{op(15, 1.5), op(5, 5)}, []int{1, 1}, 0.325 / 0.55},
		{"exact", []engine.OpResult{op(10, 1), op(10, 10)}, []int{3, 3}, 1},
		{"another scenario's script", []engine.OpResult{op(15, 1.5), op(5, 5), op(0, 0)}, []int{1, 1, 0}, 0.325 / 0.55},
		{"a kind is missing", []engine.OpResult{op(15, 1.5), op(0, 0)}, []int{1, 1}, 1},
		{"nothing", nil, nil, 1},
	} {
		if got := mixed(tc.ops, tc.weights); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: mixed = %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestCheckRoom: a data size that no disk holds is refused before anything starts.
func TestCheckRoom(t *testing.T) {
	if err := CheckRoom(t.TempDir(), 1<<50, time.Second); !errors.Is(err, load.ErrDisk) {
		t.Errorf("CheckRoom of 1 PB = %v, want ErrDisk", err)
	}
	if err := CheckRoom(t.TempDir(), 1<<20, time.Second); err != nil {
		t.Errorf("CheckRoom of 1 MB = %v", err)
	}
}
