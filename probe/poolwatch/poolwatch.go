// Package poolwatch looks at an application's pool from the server's side, once per call: its connections by state, what
// they wait for, how old they are, how many came and went, and how many the database kept busy on average. It reads
// pg_stat_activity and pg_stat_database and nothing else.
package poolwatch

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
)

// Filter says whose connections to count; the zero value counts all client backends of the connected database.
type Filter struct {
	Application string // application_name
	User        string
}

// Pool is what the application's pool may hold in all its processes; zero where it is not known.
type Pool struct{ Size, MaxOverflow int }

// Sample is one look. The first five are the house guide's get_pool_status, as far as the server can see it.
type Sample struct {
	At         time.Time `json:"at"`
	Size       int       `json:"size"`        // open connections up to pool_size; all of them where pool_size is not known
	CheckedIn  int       `json:"checked_in"`  // idle
	CheckedOut int       `json:"checked_out"` // active or in a transaction
	Overflow   int       `json:"overflow"`    // beyond pool_size
	Invalid    int       `json:"invalid"`     // in a transaction that has failed

	Connections       int     `json:"connections"`
	Active            int     `json:"active"`
	IdleInTransaction int     `json:"idle_in_transaction"`
	WaitingOnLocks    int     `json:"waiting_on_locks"`
	Hidden            int     `json:"state_hidden"` // of other roles, without pg_read_all_stats
	OldestConnection  float64 `json:"oldest_connection_seconds"`
	OldestTransaction float64 `json:"oldest_transaction_seconds"`
	Opened            int     `json:"opened"` // since the last look
	Closed            int     `json:"closed"`
	Churn             float64 `json:"opened_per_second"`

	ServerConnections int     `json:"server_connections"` // all client backends
	MaxConnections    int     `json:"max_connections"`
	UsedShare         float64 `json:"used_share"` // of max_connections, 0 to 1

	// The house guide's formula, rate x mean time = connections, from what the database counted since the last look; zero
	// in the first sample and before 14. Every session of the database counts, not the application's alone.
	TransactionsPerSecond float64   `json:"transactions_per_second"`
	ActivePerTransaction  float64   `json:"active_seconds_per_transaction"`
	ConnectionsNeeded     float64   `json:"connections_needed"`
	Findings              []Finding `json:"findings,omitempty"`
}

// Finding is something that a pool should not be in, and the way out.
type Finding struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Hint string `json:"hint"`
}

// Watcher remembers the last look.
type Watcher struct {
	conn    *pgx.Conn
	filter  Filter
	pool    Pool
	started map[int32]time.Time // backend_start by pid
	last    time.Time
	xacts   int64
	active  float64 // seconds
}

// New watches over a connection of its own.
func New(conn *pgx.Conn, f Filter, p Pool) *Watcher { return &Watcher{conn: conn, filter: f, pool: p} }

// Look takes a sample.
func (w *Watcher) Look(ctx context.Context) (Sample, error) {
	var s Sample
	if err := w.server(ctx, &s); err != nil {
		return s, fmt.Errorf("reading pg_stat_database: %w", err)
	}
	if err := w.backends(ctx, &s); err != nil {
		return s, fmt.Errorf("reading pg_stat_activity: %w", err)
	}
	s.derive(w.pool)
	return s, nil
}

// server reads the database's counters. The snapshot is cleared first: within a session they may be of an earlier look.
func (w *Watcher) server(ctx context.Context, s *Sample) error {
	var xacts int64
	var active float64
	err := w.conn.QueryRow(ctx, `SELECT clock_timestamp(), xact_commit + xact_rollback, coalesce((to_jsonb(d) ->> 'active_time')::float8, 0) / 1000,
			current_setting('max_connections')::int, (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
		FROM pg_stat_database d WHERE datname = current_database()`).Scan(&s.At, &xacts, &active, &s.MaxConnections, &s.ServerConnections)
	if err != nil {
		return err
	}
	s.At = s.At.UTC()
	if elapsed := s.At.Sub(w.last).Seconds(); !w.last.IsZero() && elapsed > 0 && xacts >= w.xacts {
		n := float64(xacts - w.xacts)
		s.TransactionsPerSecond = n / elapsed
		if spent := math.Max(0, active-w.active); spent > 0 && n > 0 {
			s.ActivePerTransaction = spent / n
			s.ConnectionsNeeded = s.TransactionsPerSecond * s.ActivePerTransaction
		}
	}
	w.xacts, w.active = xacts, active
	return nil
}

// backends counts the application's connections.
func (w *Watcher) backends(ctx context.Context, s *Sample) error {
	rows, err := w.conn.Query(ctx, `SELECT pid, backend_start, coalesce(state, ''), coalesce(wait_event_type, ''), coalesce(xact_start, 'epoch') FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()
			AND ($1 = '' OR application_name = $1) AND ($2 = '' OR usename = $2)`, w.filter.Application, w.filter.User)
	if err != nil {
		return err
	}
	seen := map[int32]time.Time{}
	var pid int32
	var start, xact time.Time
	var state, wait string
	_, err = pgx.ForEachRow(rows, []any{&pid, &start, &state, &wait, &xact}, func() error {
		seen[pid] = start
		s.add(state, wait)
		s.OldestConnection = math.Max(s.OldestConnection, s.At.Sub(start).Seconds())
		if xact.Unix() != 0 {
			s.OldestTransaction = math.Max(s.OldestTransaction, s.At.Sub(xact).Seconds())
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.compare(s, seen)
	return nil
}

func (s *Sample) add(state, wait string) {
	s.Connections++
	switch state {
	case "active", "fastpath function call":
		s.Active++
	case "idle in transaction":
		s.IdleInTransaction++
	case "idle in transaction (aborted)":
		s.Invalid++
	case "idle":
		s.CheckedIn++
	default:
		s.Hidden++
	}
	if wait == "Lock" {
		s.WaitingOnLocks++
	}
}

// compare tells what came and went since the last look; a connection that did both in between is not seen.
func (w *Watcher) compare(s *Sample, seen map[int32]time.Time) {
	if w.started != nil {
		for pid, start := range seen {
			if old, ok := w.started[pid]; !ok || !old.Equal(start) {
				s.Opened++
			}
		}
		for pid, start := range w.started {
			if now, ok := seen[pid]; !ok || !now.Equal(start) {
				s.Closed++
			}
		}
		if elapsed := s.At.Sub(w.last).Seconds(); elapsed > 0 {
			s.Churn = float64(s.Opened) / elapsed
		}
	}
	w.started, w.last = seen, s.At
}

// longTransaction is when a transaction that does nothing is called a leak, in seconds.
const longTransaction = 60

// derive fills the pool's own words and what is wrong.
func (s *Sample) derive(p Pool) {
	s.CheckedOut = s.Active + s.IdleInTransaction + s.Invalid
	s.Size = s.Connections
	if p.Size > 0 {
		s.Size, s.Overflow = min(s.Connections, p.Size), max(0, s.Connections-p.Size)
	}
	if s.MaxConnections > 0 {
		s.UsedShare = float64(s.ServerConnections) / float64(s.MaxConnections)
	}
	if limit := p.Size + p.MaxOverflow; p.Size > 0 && s.Hidden == 0 && s.CheckedOut >= limit {
		s.find("pool-exhausted", fmt.Sprintf("all %d connections are in use: the application sees QueuePool limit of size %d overflow %d reached", limit, p.Size, p.MaxOverflow),
			"look for connections that are not given back: idle in transaction, a missing session.close()\nmake the pool larger only up to what pgfit run measures\na smaller pool_timeout fails faster")
	}
	if s.IdleInTransaction+s.Invalid > 0 && s.OldestTransaction > longTransaction {
		s.find("leak", fmt.Sprintf("a transaction is open for %.0f s and %d connections do nothing in theirs", s.OldestTransaction, s.IdleInTransaction+s.Invalid),
			"close sessions as soon as the request is done\nset idle_in_transaction_session_timeout as a safety net")
	}
	if s.UsedShare > 0.9 {
		s.find("almost-full", fmt.Sprintf("%d of %d connections of the server are taken", s.ServerConnections, s.MaxConnections),
			"make the pools smaller: instances x processes x (pool_size + max_overflow)\nput PgBouncer in between, or raise max_connections")
	}
}

func (s *Sample) find(code, text, hint string) {
	s.Findings = append(s.Findings, Finding{code, text, hint})
}
