// Package observe watches a server and its host while load runs: the server's counters before and after, a look at the
// active sessions ten times a second, the host's processors and disks. It records; what a figure means is decided elsewhere.
package observe

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"pgfit/workload/rundoc"
)

// Counters are the server's cumulative counters at one moment, by the name of the field of rundoc.ServerDelta they feed.
// A counter that this version does not have is missing.
type Counters map[string]float64

// query is one statement whose columns are counters, for the versions it works on.
type query struct {
	from, below int // majors; below 0 is open
	sql         string
}

// queries read the counters. What moved between versions: pg_stat_bgwriter's checkpoint columns to pg_stat_checkpointer and
// its backend columns to pg_stat_io in 17; pg_stat_wal came in 14 and lost its write and sync columns to pg_stat_io in 18.
var queries = []query{
	{0, 0, `SELECT xact_commit AS commits, xact_rollback AS rollbacks, blks_hit, blks_read, tup_returned, tup_fetched, tup_inserted, tup_updated,
		tup_deleted, temp_files, temp_bytes, deadlocks FROM pg_stat_database WHERE datname = current_database()`},
	{14, 0, `SELECT active_time / 1000 AS active_seconds FROM pg_stat_database WHERE datname = current_database()`},
	{0, 17, `SELECT checkpoints_timed, checkpoints_req AS checkpoints_requested, buffers_checkpoint, buffers_clean, maxwritten_clean, buffers_backend,
		buffers_backend_fsync, buffers_alloc FROM pg_stat_bgwriter`},
	{17, 0, `SELECT num_timed AS checkpoints_timed, num_requested AS checkpoints_requested, buffers_written AS buffers_checkpoint FROM pg_stat_checkpointer`},
	{17, 0, `SELECT buffers_clean, maxwritten_clean, buffers_alloc FROM pg_stat_bgwriter`},
	{17, 0, `SELECT sum(writes) AS buffers_backend, sum(fsyncs) AS buffers_backend_fsync FROM pg_stat_io
		WHERE backend_type = 'client backend' AND object = 'relation'`},
	{14, 18, `SELECT wal_records, wal_fpi, wal_buffers_full, wal_sync FROM pg_stat_wal`},
	{18, 0, `SELECT wal_records, wal_fpi, wal_buffers_full, (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal') AS wal_sync FROM pg_stat_wal`},
	{0, 0, `SELECT sum(autovacuum_count + autoanalyze_count) AS autovacuums FROM pg_stat_all_tables`},
	{0, 0, `SELECT pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END, '0/0') AS wal_bytes`},
}

// Read takes the counters. The statistics snapshot is cleared first, so that the figures are of now.
func Read(ctx context.Context, conn *pgx.Conn, major int) (Counters, error) {
	if _, err := conn.Exec(ctx, "SELECT pg_stat_clear_snapshot()"); err != nil {
		return nil, fmt.Errorf("reading statistics: %w", err)
	}
	c := Counters{}
	for _, q := range queries {
		if major < q.from || q.below != 0 && major >= q.below {
			continue
		}
		if err := readRow(ctx, conn, q.sql, c); err != nil {
			return nil, fmt.Errorf("reading statistics: %w", err)
		}
	}
	return c, nil
}

// readRow adds every column of a one-row result as a number.
func readRow(ctx context.Context, conn *pgx.Conn, sql string, into Counters) error {
	rows, err := conn.Query(ctx, "SELECT to_jsonb(s) FROM ("+sql+") s")
	if err != nil {
		return err
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[map[string]*float64])
	if err != nil {
		return err
	}
	for name, v := range row {
		if v != nil {
			into[strings.ToLower(name)] = *v
		}
	}
	return nil
}

// Delta is what the counters gained from a to b. Counters that are missing come out as -1.
func Delta(a, b Counters) rundoc.ServerDelta {
	n := func(name string) int64 { return int64(gain(a, b, name)) }
	return rundoc.ServerDelta{
		Commits: n("commits"), Rollbacks: n("rollbacks"), BlksHit: n("blks_hit"), BlksRead: n("blks_read"), TupReturned: n("tup_returned"),
		TupFetched: n("tup_fetched"), TupInserted: n("tup_inserted"), TupUpdated: n("tup_updated"), TupDeleted: n("tup_deleted"),
		TempFiles: n("temp_files"), TempBytes: n("temp_bytes"), Deadlocks: n("deadlocks"), ActiveSeconds: gain(a, b, "active_seconds"),
		CheckpointsTimed: n("checkpoints_timed"), CheckpointsReq: n("checkpoints_requested"), BuffersCheckpoint: n("buffers_checkpoint"),
		BuffersClean: n("buffers_clean"), MaxWrittenClean: n("maxwritten_clean"), BuffersBackend: n("buffers_backend"),
		BuffersBackendSync: n("buffers_backend_fsync"), BuffersAlloc: n("buffers_alloc"), WALBytes: n("wal_bytes"), WALRecords: n("wal_records"),
		WALFPI: n("wal_fpi"), WALBuffersFull: n("wal_buffers_full"), WALSync: n("wal_sync"), Autovacuums: n("autovacuums"),
	}
}

func gain(a, b Counters, name string) float64 {
	before, ok := a[name]
	after, ok2 := b[name]
	if !ok || !ok2 || after < before { // missing, or the statistics were reset in between
		return -1
	}
	return after - before
}
