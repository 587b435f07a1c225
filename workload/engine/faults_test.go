package engine

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgfit/workload/cluster"
)

const markScript = "\\set x random(1, 1000000)\nBEGIN;\nINSERT INTO marks VALUES (:client_id, :x);\nSELECT bal AS b FROM acc WHERE id = 1 + :x % 1000 \\gset\nEND;\n"

// TestFaults: backends that are terminated or cancelled, a network that is cut or held, a server that restarts, Ctrl-C, in
// random order while load runs. Every transaction is counted once, as done or as failed; what is counted as done is in the
// table; what failed may be there only if its answer was lost. Nothing is left: no goroutine, no session.
func TestFaults(t *testing.T) {
	s := scratch(t, map[string]string{"max_connections": "40"})
	admin := &s.Config().Config
	statement(t, admin, "CREATE TABLE marks (client int, x int)")
	total := 100 // with each driver
	if testing.Short() {
		total = 20
	}
	drivers(t, func(t *testing.T, driver string) {
		p := newProxy(t, filepath.Join(admin.Host, ".s.PGSQL."+strconv.Itoa(int(admin.Port))))
		defer p.end()
		rng := rand.New(rand.NewPCG(7, uint64(len(driver))))
		for faults := 0; faults < total; {
			faults += faultyVisit(t, s, p, driver, rng)
		}
	})
}

// faultyVisit makes one visit of a fixed number of transactions and lets faults happen until it ends.
func faultyVisit(t *testing.T, s *cluster.Server, p *proxy, driver string, rng *rand.Rand) (faults int) {
	t.Helper()
	admin := &s.Config().Config
	cfg := admin.Copy()
	cfg.Host, cfg.Port = p.dir, 5432
	cfg.RuntimeParams["application_name"] = "faulty"
	statement(t, admin, "TRUNCATE marks")
	pool := 1 + rng.IntN(6)
	callers := pool * (1 + rng.IntN(3))
	const each = 60
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	e, err := Open(ctx, Config{Connect: cfg, Driver: driver, Seed: rng.Uint64(), MaxTries: 3, Scripts: []Weighted{{parse(t, "mark", markScript), 1}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Grow(ctx, pool); err != nil {
		t.Fatal(err)
	}
	var ended atomic.Bool
	interrupted := make(chan int, 1)
	go func() {
		n := 0
		for p.wait(20+rng.Int64N(150), &ended); !ended.Load(); p.wait(20+rng.Int64N(150), &ended) {
			n++
			fault(t, s, p, rng, cancel)
		}
		interrupted <- n
	}()
	r, err := e.Run(ctx, Load{Pool: pool, Callers: callers, Txns: each})
	ended.Store(true)
	p.tell()
	faults = <-interrupted
	if err != nil {
		t.Fatalf("%s, pool %d, callers %d: %v", driver, pool, callers, err)
	}
	rows := count(t, admin, "SELECT count(*) FROM marks")
	if rows < r.Transactions || rows > r.Transactions+r.Failed+int64(pool) || !r.Interrupted && rows > r.Transactions+r.Failed {
		t.Errorf("%s: %d rows, %d transactions done and %d failed: %+v", driver, rows, r.Transactions, r.Failed, r.Errors)
	}
	if !r.Interrupted && r.Transactions+r.Failed != int64(callers*each) {
		t.Errorf("%s: %d done and %d failed of %d transactions (pool %d, %d callers, %d reconnects)", driver, r.Transactions, r.Failed, callers*each, pool, callers, r.Reconnects)
	}
	if err := ctx.Err(); err == context.DeadlineExceeded {
		t.Fatalf("%s: a visit hung: pool %d, callers %d, %d done", driver, pool, callers, r.Transactions)
	}
	e.Close()
	statement(t, admin, "DO $$ BEGIN FOR i IN 1..500 LOOP PERFORM pg_stat_clear_snapshot(); "+
		"EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'faulty'); PERFORM pg_sleep(0.02); END LOOP; END $$")
	if n := count(t, admin, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'faulty'"); n != 0 {
		t.Errorf("%s: %d sessions left", driver, n)
	}
	return max(1, faults)
}

// fault does one thing that goes wrong in production.
func fault(t *testing.T, s *cluster.Server, p *proxy, rng *rand.Rand, interrupt func()) {
	const one = "(SELECT pid FROM pg_stat_activity WHERE application_name = 'faulty' ORDER BY random() LIMIT 1)"
	switch k := rng.IntN(60); {
	case k == 0:
		interrupt()
	case k == 1:
		if err := s.Restart(context.Background(), map[string]string{"max_connections": "40"}); err != nil {
			t.Errorf("restarting: %v", err)
		}
	case k < 10:
		p.cut(1 + rng.IntN(4))
	case k < 14:
		p.hold(true)
		attempt(s, "SELECT pg_sleep(0.03)")
		p.hold(false)
	case k < 35:
		attempt(s, "SELECT pg_terminate_backend("+one+")")
	default:
		attempt(s, "SELECT pg_cancel_backend("+one+")")
	}
}

// attempt runs SQL on a server that may be restarting.
func attempt(s *cluster.Server, sql string) {
	pg, err := pgconn.ConnectConfig(context.Background(), &s.Config().Config)
	if err != nil {
		return
	}
	defer closeNow(pg)
	_, _ = pg.Exec(context.Background(), sql).ReadAll()
}

func count(t *testing.T, cfg *pgconn.Config, sql string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text(t, cfg, sql), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// text is the one value that SQL gives.
func text(t *testing.T, cfg *pgconn.Config, sql string) string {
	t.Helper()
	pg, err := pgconn.ConnectConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(pg)
	res, err := pg.Exec(context.Background(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return string(res[0].Rows[0][0])
}
