package engine

import (
	"context"
	"errors"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestScripts runs what the language can do through each driver and protocol; every script has to go through, or to fail
// with its SQLSTATE.
func TestScripts(t *testing.T) {
	cfg := server(t, nil)
	statement(t, cfg, "CREATE TABLE seen (what text, n bigint)")
	for _, tc := range []struct {
		name, text, fails string
		not               Protocol // that cannot do it, as in pgbench
	}{
		{name: "gset", text: "SELECT 41 + 1 AS a, NULL AS b \\gset p_\n\\if :p_a <> 42\nSELECT 1/0;\n\\endif\n"},
		{name: "gset in the middle", text: "BEGIN;\nSELECT count(*) AS n FROM acc \\gset\nINSERT INTO seen VALUES ('n', :n);\nEND;\n"},
		{name: "compound", text: "SELECT 1 AS one \\;\nSELECT 2 AS two, 3 AS three \\gset p_\n\\if :p_three = 3\nSELECT 1;\n\\else\nSELECT 1/0;\n\\endif\n", not: Prepared},
		{name: "aset", text: "SELECT 4 AS four \\;\nSELECT 5 AS five \\aset\n\\if :four + :five <> 9\nSELECT 1/0;\n\\endif\n", not: Prepared},
		{name: "gset of no row", text: "SELECT 1 AS a WHERE false \\gset\n", fails: "script"},
		{name: "gset of two rows", text: "SELECT generate_series(1, 2) AS a \\gset\n", fails: "script"},
		{name: "pipeline", text: "\\startpipeline\nBEGIN;\nSELECT bal FROM acc WHERE id = 1;\nINSERT INTO seen VALUES ('pipe', 1);\nEND;\n\\syncpipeline\nSELECT 1;\n\\endpipeline\nSELECT 2;\n", not: Simple},
		{name: "error in a pipeline", text: "\\startpipeline\nSELECT 1;\nSELECT 1 / (random() * 0)::int;\nSELECT 2;\n\\endpipeline\n", fails: "22012", not: Simple},
		{name: "sleep", text: "\\sleep 2 ms\nSELECT 1;\n\\set d 500\n\\sleep :d us\n"},
		{name: "no SQL", text: "\\set a 1 + 1\n"},
		{name: "large rows", text: "SELECT repeat('x', 3000000), generate_series(1, 3);\n"},
		{name: "large parameter", text: "SELECT repeat('y', 400000) AS big \\gset\nSELECT length(:big::text);\n", not: Simple},
		{name: "copy out", text: "COPY (SELECT generate_series(1, 1000)) TO STDOUT;\n"},
		{name: "open transaction", text: "BEGIN;\nSELECT 1;\n", fails: "script"},
		{name: "division in an expression", text: "BEGIN;\n\\set z 1 / 0\nEND;\n", fails: "script"},
		{name: "null parameter", text: "\\set n null\nSELECT :n::int IS NULL AS null_it_is \\gset\n"},
		{name: "notice", text: "DO $$ BEGIN RAISE NOTICE 'hello'; END $$;\n"},
	} {
		for _, protocol := range []Protocol{Prepared, Extended, Simple} {
			if protocol == tc.not || tc.not == Prepared && protocol == Extended {
				continue
			}
			t.Run(tc.name+"/"+string(protocol), func(t *testing.T) {
				drivers(t, func(t *testing.T, driver string) {
					e := open(t, Config{Connect: cfg, Driver: driver, Protocol: protocol, Seed: 1, Scripts: []Weighted{{parse(t, tc.name, tc.text), 1}}}, 2)
					ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
					defer cancel()
					r, err := e.Run(ctx, Load{Pool: 2, Txns: 3})
					if err != nil || r.Interrupted {
						t.Fatalf("interrupted %v, %v", r != nil && r.Interrupted, err)
					}
					switch {
					case tc.fails == "" && (r.Transactions != 6 || r.Failed != 0):
						t.Errorf("%d done, %d failed: %+v", r.Transactions, r.Failed, r.Errors)
					case tc.fails != "" && (r.Failed != 6 || r.Errors[0].SQLState != tc.fails):
						t.Errorf("%d failed with %+v, want 6 with %s", r.Failed, r.Errors, tc.fails)
					}
				})
			})
		}
	}
}

// TestCopyIn: a statement that waits for data is refused at once, and one that hides in a function's text is not.
func TestCopyIn(t *testing.T) {
	cfg := server(t, nil)
	statement(t, cfg, "CREATE TABLE fed (n int)")
	for text, refused := range map[string]bool{"copy fed\n from stdin;\n": true, "SELECT 'COPY fed FROM STDIN';\n": false} {
		e, err := Open(context.Background(), Config{Connect: cfg, Scripts: []Weighted{{parse(t, "copy", text), 1}}})
		if errors.Is(err, ErrCopyIn) != refused {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil {
			e.Close()
		}
	}
}

// TestNoAllocations: the loop allocates nothing: what there is comes from the ends of a visit and the watcher.
func TestNoAllocations(t *testing.T) {
	cfg := server(t, nil)
	e := open(t, Config{Connect: cfg, Seed: 1, Scripts: []Weighted{{parse(t, "select", selectScript), 2}, {parse(t, "update", updateScript), 1}}}, 8)
	if e.Driver() != DriverEpoll {
		t.Skip("the portable driver allocates")
	}
	run := func(txns int64) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := e.Run(context.Background(), Load{Pool: 8, Txns: txns, Every: time.Hour}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	few := run(50)
	many := run(2000)
	if more := int64(many) - int64(few); more > 8*1950/100 {
		t.Errorf("%d allocations more for %d transactions more", more, 8*1950)
	}
}

// TestStall stops the backends for half a second in an open loop at a rate far below capacity: from the intended start the
// stall is in the tail of everybody who should have begun in it; counted from the real start a handful saw it.
func TestStall(t *testing.T) {
	cfg := server(t, nil)
	drivers(t, func(t *testing.T, driver string) {
		e := open(t, Config{Connect: cfg, Driver: driver, Seed: 1, Scripts: []Weighted{{parse(t, "select", selectScript), 1}}}, 2)
		pids := backends(t, cfg)
		const stall = 500 * time.Millisecond
		stopped := false
		r, err := e.Run(context.Background(), Load{Pool: 2, Rate: 1500, Duration: 3 * time.Second, Every: time.Second, Progress: func(Progress) {
			if stopped {
				return
			}
			stopped = true
			signal(t, pids, syscall.SIGSTOP)
			time.AfterFunc(stall, func() { signal(t, pids, syscall.SIGCONT) })
		}})
		if err != nil || !stopped {
			t.Fatal(stopped, err)
		}
		op := r.Ops[0]
		c, u := time.Duration(op.Latency.ValueAtQuantile(99.9))*time.Microsecond, time.Duration(op.Uncorrected.ValueAtQuantile(99.9))*time.Microsecond
		t.Logf("%s: %d transactions, %d late; p99.9 from the intended start %s, uncorrected %s", driver, r.Transactions, r.Late, c, u)
		if c < stall*8/10 {
			t.Errorf("p99.9 from the intended start %s does not show a stall of %s", c, stall)
		}
		if u > c/2 {
			t.Errorf("p99.9 from the real start %s, corrected %s: the two should differ", u, c)
		}
		if r.Late < 500 {
			t.Errorf("%d arrivals were late, want most of the 750 in the stall", r.Late)
		}
	})
}

// backends are the server processes of the engine's sessions.
func backends(t *testing.T, cfg *pgconn.Config) (pids []int) {
	t.Helper()
	for i := range 2 {
		pids = append(pids, int(count(t, cfg, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid OFFSET "+string(rune('0'+i))+" LIMIT 1")))
	}
	return pids
}

func signal(t *testing.T, pids []int, s syscall.Signal) {
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil {
			t.Errorf("signalling a backend: %v", err)
		}
	}
}
