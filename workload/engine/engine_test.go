package engine

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"pgfit/workload/cluster"
	"pgfit/workload/script"
)

// server starts a scratch server and makes a small table.
func server(t testing.TB, settings map[string]string) *pgconn.Config {
	t.Helper()
	return &scratch(t, settings).Config().Config
}

func scratch(t testing.TB, settings map[string]string) *cluster.Server {
	t.Helper()
	bin, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Skip("no server binaries: ", err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-engine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := cluster.Start(context.Background(), cluster.Options{Binaries: bin, Dir: dir, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	statement(t, &s.Config().Config, "CREATE TABLE acc AS SELECT g AS id, 0 AS bal FROM generate_series(1, 1000) g; ALTER TABLE acc ADD PRIMARY KEY (id)")
	return s
}

// statement runs SQL on a connection of its own.
func statement(t testing.TB, cfg *pgconn.Config, sql string) {
	t.Helper()
	pg, err := pgconn.ConnectConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(pg)
	if _, err := pg.Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

func parse(t testing.TB, name, text string) *script.Script {
	t.Helper()
	s, err := script.Parse(name, text, script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// drivers runs a test with every driver that this system has.
func drivers(t *testing.T, test func(t *testing.T, driver string)) {
	for _, d := range []string{DriverEpoll, DriverPortable} {
		t.Run(d, func(t *testing.T) {
			if d == DriverEpoll && runtime.GOOS != "linux" {
				t.Skip("Linux only")
			}
			before, restarted := goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("pgfit/workload/cluster.await")
			// After the engine is closed: until then pgx may keep a reader that it began while a write was held up.
			t.Cleanup(func() { goleak.VerifyNone(t, before, restarted) })
			test(t, d)
		})
	}
}

func open(t testing.TB, cfg Config, conns int) Engine {
	t.Helper()
	e, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	if err := e.Grow(context.Background(), conns); err != nil {
		t.Fatal(err)
	}
	return e
}

const (
	selectScript = "\\set id random(1, 1000)\nSELECT bal FROM acc WHERE id = :id;\n"
	updateScript = "\\set id random(1, 1000)\nBEGIN;\nUPDATE acc SET bal = bal + 1 WHERE id = :id;\nSELECT bal AS b FROM acc WHERE id = :id \\gset\nEND;\n"
)

// TestClosedLoop: every protocol counts what the server counts, and callers spend their time on the database (Little).
func TestClosedLoop(t *testing.T) {
	cfg := server(t, nil)
	drivers(t, func(t *testing.T, driver string) {
		for _, p := range []Protocol{Prepared, Extended, Simple} {
			t.Run(string(p), func(t *testing.T) {
				e := open(t, Config{Connect: cfg, Driver: driver, Protocol: p, Seed: 1, Scripts: []Weighted{{parse(t, "select", selectScript), 3}, {parse(t, "update", updateScript), 1}}}, 4)
				r, err := e.Run(context.Background(), Load{Pool: 4, Warmup: 100 * time.Millisecond, Duration: 600 * time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				if r.Transactions < 100 || r.Failed != 0 || len(r.Errors) != 0 {
					t.Fatalf("%d transactions, %d failed, %+v", r.Transactions, r.Failed, r.Errors)
				}
				share := float64(r.Ops[0].Count) / float64(r.Transactions)
				if share < 0.65 || share > 0.85 {
					t.Errorf("select's share is %.2f, want about 0.75", share)
				}
				if r.MeanBusy < 3.4 || r.MeanBusy > 4.01 {
					t.Errorf("mean busy %.2f of 4 connections", r.MeanBusy)
				}
				var sum uint32
				for _, b := range r.Bins {
					sum += b
				}
				if int64(sum) != r.Transactions || r.Ops[0].Service.TotalCount() != r.Ops[0].Count {
					t.Errorf("bins hold %d, histogram %d, transactions %d", sum, r.Ops[0].Service.TotalCount(), r.Transactions)
				}
			})
		}
	})
}

// TestPoolWait: eight callers on two connections wait three quarters of their time.
func TestPoolWait(t *testing.T) {
	cfg := server(t, nil)
	drivers(t, func(t *testing.T, driver string) {
		e := open(t, Config{Connect: cfg, Driver: driver, Seed: 1, Scripts: []Weighted{{parse(t, "sleep", "SELECT pg_sleep(0.01);"), 1}}}, 2)
		r, err := e.Run(context.Background(), Load{Pool: 2, Callers: 8, Warmup: 50 * time.Millisecond, Duration: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		op := r.Ops[0]
		service, wait := op.SumService/float64(op.Count), op.SumWait/float64(op.Count)
		if ratio := wait / service; ratio < 2.7 || ratio > 3.3 {
			t.Errorf("wait %.4f s, service %.4f s: ratio %.2f, want 3", wait, service, ratio)
		}
	})
}

// TestOpenLoop: the arrivals come at their rate, and a server slower than they are shows in the latency from the intended
// start, not in the uncorrected one.
func TestOpenLoop(t *testing.T) {
	cfg := server(t, nil)
	drivers(t, func(t *testing.T, driver string) {
		e := open(t, Config{Connect: cfg, Driver: driver, Seed: 1, Scripts: []Weighted{{parse(t, "sleep", "SELECT pg_sleep(0.01);"), 1}}}, 2)
		r, err := e.Run(context.Background(), Load{Pool: 2, Rate: 100, Uniform: true, Duration: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if due := r.Transactions + r.Unserved; due < 97 || due > 101 || r.Transactions == 0 { // two may be under way at the end; a busy machine does not get to all
			t.Errorf("%d transactions, and %d unserved, in a second at 100 a second", r.Transactions, r.Unserved)
		}
		r, err = e.Run(context.Background(), Load{Pool: 2, Rate: 400, Duration: time.Second}) // twice what two connections carry
		if err != nil {
			t.Fatal(err)
		}
		op := r.Ops[0]
		if c, u := op.Latency.ValueAtQuantile(99), op.Uncorrected.ValueAtQuantile(99); c < 5*u || r.Late == 0 {
			t.Errorf("p99 from the intended start %d µs, uncorrected %d µs, %d late", c, u, r.Late)
		}
		if r.Unserved == 0 {
			t.Error("an overloaded open loop left nothing unserved")
		}
	})
}

// TestOpenLoopEnds: what is under way when the last arrival has been is waited for, and the visit ends, at any rate.
func TestOpenLoopEnds(t *testing.T) {
	cfg := server(t, nil)
	drivers(t, func(t *testing.T, driver string) {
		e := open(t, Config{Connect: cfg, Driver: driver, Seed: 1, Scripts: []Weighted{{parse(t, "sleep", "SELECT pg_sleep(0.002);"), 1}}}, 32)
		for range 100 { // an arrival has to fall due just as the visit ends
			r, err := e.Run(context.Background(), Load{Pool: 32, Rate: 5000, Duration: 10 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if r.Interrupted || r.Failed > 0 {
				t.Errorf("interrupted %v, %d failed", r.Interrupted, r.Failed)
			}
		}
	})
}

// TestErrors: what fails is counted by SQLSTATE and is no fast success; a lost connection comes back.
func TestErrors(t *testing.T) {
	cfg := server(t, nil)
	drivers(t, func(t *testing.T, driver string) {
		e := open(t, Config{Connect: cfg, Driver: driver, Seed: 1, Scripts: []Weighted{
			{parse(t, "good", selectScript), 1}, {parse(t, "bad", "BEGIN;\nSELECT 1 / (random() * 0)::int;\nEND;\n"), 1}}}, 2)
		r, err := e.Run(context.Background(), Load{Pool: 2, Duration: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Errors) != 1 || r.Errors[0].SQLState != "22012" || r.Errors[0].Count != r.Failed || r.Failed == 0 {
			t.Errorf("errors %+v, failed %d, want division_by_zero", r.Errors, r.Failed)
		}
		if r.Ops[1].Count != 0 || r.Ops[1].Service.TotalCount() != 0 {
			t.Error("failures are among the successes")
		}
	})
}

func TestReconnect(t *testing.T) {
	cfg := server(t, nil)
	drivers(t, func(t *testing.T, driver string) {
		e := open(t, Config{Connect: cfg, Driver: driver, Seed: 1, Scripts: []Weighted{
			{parse(t, "good", selectScript), 200}, {parse(t, "suicide", "SELECT pg_terminate_backend(pg_backend_pid());"), 1}}}, 3)
		r, err := e.Run(context.Background(), Load{Pool: 3, Duration: 500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if r.Reconnects == 0 || r.Failed == 0 || r.Transactions == 0 {
			t.Errorf("%d reconnects, %d failed, %d transactions, %+v", r.Reconnects, r.Failed, r.Transactions, r.Errors)
		}
		if r.Failed < r.Reconnects {
			t.Errorf("%d failed, fewer than the %d connections lost", r.Failed, r.Reconnects)
		}
	})
}

// TestRetries: serialization failures are tried again and counted apart.
func TestRetries(t *testing.T) {
	cfg := server(t, nil)
	drivers(t, func(t *testing.T, driver string) {
		e := open(t, Config{Connect: cfg, Driver: driver, Seed: 1, MaxTries: 50, Scripts: []Weighted{{parse(t, "serial",
			"BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT bal FROM acc WHERE id = 1;\nUPDATE acc SET bal = bal + 1 WHERE id = 1;\nEND;\n"), 1}}}, 4)
		r, err := e.Run(context.Background(), Load{Pool: 4, Duration: 500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if r.Retried == 0 || r.Tries < r.Retried {
			t.Errorf("%d retried in %d more tries, %d done, %d failed", r.Retried, r.Tries, r.Transactions, r.Failed)
		}
	})
}

// TestInterrupt: a cancelled context ends a visit within a moment, also in the middle of a long statement.
func TestInterrupt(t *testing.T) {
	cfg := server(t, nil)
	drivers(t, func(t *testing.T, driver string) {
		e := open(t, Config{Connect: cfg, Driver: driver, Seed: 1, Scripts: []Weighted{{parse(t, "long", "SELECT pg_sleep(60);"), 1}}}, 3)
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		begun := time.Now()
		r, err := e.Run(ctx, Load{Pool: 3, Duration: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 20*time.Second || !r.Interrupted {
			t.Errorf("ended after %s, interrupted %v", took, r.Interrupted)
		}
	})
}
