// Package load makes and unmakes the data that a workload runs on: a schema of pgfit's own with an ownership mark,
// filled by COPY. It never touches a schema that does not carry the mark.
package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/workload/scenario"
)

// Schema is where all of pgfit's tables live.
const Schema = "pgfit"

// mark is the comment on the schema by which pgfit knows its own.
const mark = "created by pgfit for its workload; it may be dropped at any time"

// lockKey is the session-level advisory lock that a run holds while it owns the schema ("pgfit" in ASCII).
const lockKey int64 = 0x7067666974

var (
	// ErrForeign says that a schema of our name exists without our mark.
	ErrForeign = errors.New("schema " + Schema + " exists and is not pgfit's own")
	// ErrBusy says that another run holds the schema.
	ErrBusy = errors.New("another pgfit is at work in schema " + Schema)

	eof = io.EOF
)

func mul64(a, b uint64) (hi, lo uint64) { return bits.Mul64(a, b) }

// Data is a filled schema. Release drops it.
type Data struct {
	Rows    map[string]int64 // by table
	Scale   map[string]int64 // by data set
	Bytes   int64            // as the server counts them, indexes included
	Elapsed time.Duration

	conn *pgx.Conn
}

// Own takes the schema: it checks the mark, clears what a killed run left behind, and creates it anew. The connection is
// kept for the lock and for Release; its search_path does not matter.
func Own(ctx context.Context, cfg *pgx.ConnConfig) (*Data, error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := own(ctx, conn); err != nil {
		_, _ = conn.Exec(context.WithoutCancel(ctx), "ROLLBACK") // of a statement that failed, so that the lock can be given back
		_ = unlock(ctx, conn)
		conn.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return &Data{conn: conn, Rows: map[string]int64{}, Scale: map[string]int64{}}, nil
}

func own(ctx context.Context, conn *pgx.Conn) error {
	var got bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", lockKey).Scan(&got); err != nil {
		return fmt.Errorf("locking schema %s: %w", Schema, err)
	}
	if !got {
		return ErrBusy
	}
	rights, err := ReadRights(ctx, conn)
	if err != nil {
		return err
	}
	if rights.Ready && !rights.Create { // an administrator has made it for us
		return empty(ctx, conn)
	}
	exists, err := Check(ctx, conn)
	if err != nil {
		return err
	}
	sql := "CREATE SCHEMA " + Schema + "; COMMENT ON SCHEMA " + Schema + " IS '" + mark + "'"
	if exists {
		sql = "DROP SCHEMA " + Schema + " CASCADE; " + sql
	}
	if _, err := conn.Exec(ctx, "BEGIN; SET LOCAL client_min_messages = warning; "+sql+"; COMMIT"); err != nil {
		return fmt.Errorf("creating schema %s: %w", Schema, err)
	}
	return nil
}

// Check tells whether the schema exists with our mark; without the mark the error is ErrForeign.
func Check(ctx context.Context, conn *pgx.Conn) (exists bool, err error) {
	var comment string
	err = conn.QueryRow(ctx, "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = $1", Schema).Scan(&comment)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking for schema %s: %w", Schema, err)
	case comment != mark:
		return false, ErrForeign
	}
	return true, nil
}

// loaders is how many tables are filled at once. COPY FREEZE wants a table to itself, made in the same transaction; that
// spares VACUUM the writing of every page once more, which cost more than a second connection on the same table gained.
const loaders = 2

// Fill creates and loads a data set at a scale, a few tables at once. progress, where given, is called with rows done and
// rows in all, from several goroutines.
func (d *Data) Fill(ctx context.Context, cfg *pgx.ConnConfig, ds scenario.Dataset, scale int64, seed uint64, progress func(done, total int64)) error {
	start := time.Now()
	rows := ds.Rows(scale)
	var total, done atomic.Int64
	for _, n := range rows {
		total.Add(n)
	}
	step := func(n int64) {
		if v := done.Add(n); progress != nil {
			progress(v, total.Load())
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	free := make(chan struct{}, loaders)
	for i, t := range largestFirst(ds.Tables, rows) {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			if err := fillTable(ctx, cfg, t, rows, seed+uint64(i)<<32, step); err != nil {
				cancel(err) // the first one counts
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, t := range ds.Tables {
		d.Rows[t.Name] = rows[t.Name]
	}
	d.Scale[ds.Name] = scale
	d.Elapsed += time.Since(start)
	return d.measure(ctx)
}

// largestFirst orders tables so that no large one is left alone at the end.
func largestFirst(tables []scenario.Table, rows map[string]int64) []scenario.Table {
	return slices.SortedStableFunc(slices.Values(tables), func(a, b scenario.Table) int { return cmp.Compare(rows[b.Name], rows[a.Name]) })
}

// fillTable makes one table with all that belongs to it, on a connection of its own.
func fillTable(ctx context.Context, cfg *pgx.ConnConfig, t scenario.Table, rows map[string]int64, seed uint64, step func(int64)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("loading table %s: %w", t.Name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "BEGIN; "+createSQL(t)); err != nil {
		return fmt.Errorf("creating table %s: %w", t.Name, err)
	}
	n := rows[t.Name]
	if _, err := conn.PgConn().CopyFrom(ctx, newCopyReader(t, rows, 1, n, seed, step), copySQL(t)); err != nil {
		return fmt.Errorf("loading table %s: %w", t.Name, err)
	}
	counts := strings.NewReplacer(":rows", strconv.FormatInt(n, 10), ":next", strconv.FormatInt(n+1, 10))
	for _, sql := range append([]string{"COMMIT"}, t.After...) {
		if _, err := conn.Exec(ctx, counts.Replace(sql)); err != nil {
			return fmt.Errorf("finishing table %s: %w", t.Name, err)
		}
	}
	if _, err := conn.Exec(ctx, "VACUUM (ANALYZE) "+Schema+"."+t.Name); err != nil {
		return fmt.Errorf("analyzing table %s: %w", t.Name, err)
	}
	return nil
}

func createSQL(t scenario.Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %s.%s (", Schema, t.Name)
	for i, c := range t.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s", c.Name, c.Type)
	}
	b.WriteString(")")
	if t.With != "" {
		fmt.Fprintf(&b, " WITH (%s)", t.With)
	}
	return b.String()
}

func copySQL(t scenario.Table) string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return fmt.Sprintf("COPY %s.%s (%s) FROM STDIN WITH (FORMAT binary, FREEZE)", Schema, t.Name, strings.Join(names, ", "))
}

func (d *Data) measure(ctx context.Context) error {
	err := d.conn.QueryRow(ctx, `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind = 'r'`, Schema).Scan(&d.Bytes)
	if err != nil {
		return fmt.Errorf("measuring schema %s: %w", Schema, err)
	}
	return nil
}

// Settle writes out what loading left dirty, so that the first visits do not pay for it. CHECKPOINT needs a superuser or
// pg_checkpoint (15+); without the right nothing happens and false comes back.
func (d *Data) Settle(ctx context.Context) bool {
	_, err := d.conn.Exec(ctx, "CHECKPOINT")
	return err == nil
}

// Conn is the connection that owns the schema, for statements between visits.
func (d *Data) Conn() *pgx.Conn { return d.conn }

// Release drops the schema and closes the connection. It works on a context of its own, since it has to run after
// Ctrl-C, and on a new connection where the old one is lost.
func (d *Data) Release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 60*time.Second)
	defer cancel()
	cfg := d.conn.Config()
	if d.conn.IsClosed() || d.conn.Ping(ctx) != nil {
		d.conn.Close(ctx)
		conn, err := pgx.ConnectConfig(ctx, cfg)
		if err != nil {
			return fmt.Errorf("dropping schema %s: %w", Schema, err)
		}
		d.conn = conn
	}
	defer d.conn.Close(ctx)
	exists, err := Check(ctx, d.conn)
	if err != nil || !exists {
		return err
	}
	if _, err := d.conn.Exec(ctx, "SET client_min_messages = warning; SET lock_timeout = '20s'; DROP SCHEMA "+Schema+" CASCADE"); err != nil {
		return fmt.Errorf("dropping schema %s: %w", Schema, err)
	}
	return unlock(ctx, d.conn)
}
