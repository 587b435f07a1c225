package poolwatch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/probe/internal/pgtest"
)

// TestLook: a pool of five in every state that there is, on a real server.
func TestLook(t *testing.T) {
	ctx := context.Background()
	s := pgtest.Start(t, pgtest.Options{Conf: []string{"max_connections = 20"}})
	s.Exec(t, "postgres", "CREATE TABLE t (id int)")
	app := func() *pgx.Conn {
		conn, err := pgx.Connect(ctx, fmt.Sprintf("host='%s' port=%d user=postgres dbname=postgres application_name=shop", s.Socket, s.Port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(ctx) })
		return conn
	}
	exec := func(c *pgx.Conn, sql string) {
		if _, err := c.Exec(ctx, sql); err != nil && !strings.Contains(sql, "nonsense") {
			t.Fatal(err)
		}
	}
	w := New(s.Connect(t, "postgres"), Filter{Application: "shop"}, Pool{Size: 3, MaxOverflow: 2})
	if got, err := w.Look(ctx); err != nil || got.Connections != 0 || got.MaxConnections != 20 || got.Opened != 0 {
		t.Fatalf("before: %+v, %v", got, err)
	}
	spare := app()
	holder, failed, waiter, idle := app(), app(), app(), app()
	exec(holder, "BEGIN")
	exec(holder, "LOCK TABLE t")
	exec(failed, "BEGIN")
	exec(failed, "SELECT nonsense")
	done := make(chan error, 1)
	go func() { _, err := waiter.Exec(ctx, "SELECT * FROM t"); done <- err }()
	got := until(t, w, func(s Sample) bool { return s.WaitingOnLocks == 1 })
	if got.Connections != 5 || got.Size != 3 || got.Overflow != 2 || got.CheckedIn != 2 || got.CheckedOut != 3 || got.Invalid != 1 || got.Active != 1 || got.IdleInTransaction != 1 {
		t.Errorf("a pool of five: %+v", got)
	}
	if got.UsedShare < 0.3 || got.OldestConnection <= 0 || got.OldestTransaction <= 0 || len(got.Findings) != 0 {
		t.Errorf("shares and ages: %+v", got)
	}
	exec(spare, "BEGIN")
	exec(idle, "BEGIN") // the fifth of five: who comes next waits for pool_timeout
	got = until(t, w, func(s Sample) bool { return s.CheckedOut == 5 })
	if len(got.Findings) != 1 || got.Findings[0].Code != "pool-exhausted" || !strings.Contains(got.Findings[0].Text, "QueuePool limit of size 3 overflow 2 reached") {
		t.Errorf("all in use: %+v", got.Findings)
	}
	idle.Close(ctx)
	exec(holder, "COMMIT")
	if err := <-done; err != nil {
		t.Error(err)
	}
	got = until(t, w, func(s Sample) bool { return s.Connections == 4 })
	if got.Closed != 1 || got.Opened != 0 {
		t.Errorf("after one was closed: %d opened, %d closed", got.Opened, got.Closed)
	}
}

// until looks until a condition holds, for ten seconds at most.
func until(t *testing.T, w *Watcher, ok func(Sample) bool) Sample {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		s, err := w.Look(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to that: %+v", s)
		}
	}
}

func TestDerive(t *testing.T) {
	for _, tc := range []struct {
		name string
		s    Sample
		pool Pool
		want string
	}{
		{"exhausted", Sample{Connections: 30, Active: 30}, Pool{20, 10}, "pool-exhausted"},
		{"busy, not exhausted", Sample{Connections: 30, Active: 29, CheckedIn: 1}, Pool{20, 10}, ""},
		{"pool not known", Sample{Connections: 30, Active: 30}, Pool{}, ""},
		{"states hidden", Sample{Connections: 30, Active: 30, Hidden: 1}, Pool{20, 10}, ""},
		{"leak", Sample{Connections: 1, IdleInTransaction: 1, OldestTransaction: 61}, Pool{}, "leak"},
		{"almost full", Sample{MaxConnections: 100, ServerConnections: 91}, Pool{}, "almost-full"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.s.derive(tc.pool)
			got := ""
			for _, f := range tc.s.Findings {
				got += f.Code
				if n := strings.Count(f.Hint, "\n") + 1; n < 2 || n > 3 {
					t.Errorf("%d things to check, want 2 or 3", n)
				}
			}
			if got != tc.want {
				t.Errorf("findings %q, want %q", got, tc.want)
			}
		})
	}
}
