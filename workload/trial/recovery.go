package trial

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/workload/engine"
	"pgfit/workload/load"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
)

// fullShare is how much of the WAL between two checkpoints the crash waits for: just before the next one.
const fullShare = 0.9

// Recover writes to a scratch server until just before its next checkpoint, or for at most as long as given, kills it with
// SIGKILL, starts it again and holds checksums over every row of pgfit's tables against those from before. The server runs
// afterwards. Where the time does not reach the worst moment, the time of the replay is extrapolated by WAL.
func (r *Runner) Recover(ctx context.Context, side Side, atMost, limit time.Duration) (*rundoc.RecoveryCheck, error) {
	sc, ok := r.writer()
	if !ok {
		return nil, errors.New("no scenario of this run writes")
	}
	seats, err := r.sit(ctx, 0, place{side, "A"})
	if err != nil {
		return nil, err
	}
	check, sums, err := r.untilFull(ctx, seats[0], sc, atMost)
	closeAll(seats)
	if err != nil {
		return nil, err
	}
	check.Limit = limit.Seconds()
	usual := side.Server.StartTook().Seconds() // after a clean stop
	if err := side.Server.Kill(); err != nil {
		return nil, err
	}
	took, err := side.Server.Recover(ctx, max(2*limit, time.Minute))
	if err != nil {
		return nil, fmt.Errorf("recovering the killed server: %w", err)
	}
	check.Seconds = took.Seconds()
	check.Estimate = check.Seconds
	if check.WALBytes > 0 {
		replay := max(0, check.Seconds-usual)
		if log, err := side.Server.Log(); err == nil {
			if redo, ok := redoTime(string(log)); ok { // the rest does not grow with the WAL
				replay = min(replay, redo.Seconds())
			}
		}
		check.Estimate += replay * max(0, float64(check.AtWorst)/float64(check.WALBytes)-1)
	}
	conn, err := pgx.ConnectConfig(ctx, side.Config)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	after, err := checksums(ctx, conn)
	if err != nil {
		return nil, err
	}
	check.Tables = len(sums)
	check.Different = differing(sums, after)
	check.Intact = check.Different == ""
	return check, nil
}

// The lines around the replay of WAL in a server's log, with its usual prefix of a time in milliseconds (xlogrecovery.c).
var redoLine = regexp.MustCompile(`(?m)^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) .*LOG:  redo (starts|done) at `)

// redoTime is how long the last replay took by the log; false where its lines cannot be read.
func redoTime(log string) (time.Duration, bool) {
	lines := redoLine.FindAllStringSubmatch(log, -1)
	if len(lines) < 2 || lines[len(lines)-2][2] != "starts" || lines[len(lines)-1][2] != "done" {
		return 0, false
	}
	const stamp = "2006-01-02 15:04:05.000"
	from, err1 := time.Parse(stamp, lines[len(lines)-2][1])
	to, err2 := time.Parse(stamp, lines[len(lines)-1][1])
	return to.Sub(from), err1 == nil && err2 == nil && !to.Before(from)
}

// Writes tells whether there is a scenario for Recover.
func (r *Runner) Writes() bool {
	_, ok := r.writer()
	return ok
}

// writer is the scenario that writes most, by its class.
func (r *Runner) writer() (scenario.Scenario, bool) {
	for _, class := range []string{scenario.Write, scenario.Mixed} {
		for _, sc := range r.Scenarios {
			if sc.Class == class {
				return sc, true
			}
		}
	}
	return scenario.Scenario{}, false
}

// untilFull writes in short stretches, and takes checksums once the load has stopped.
func (r *Runner) untilFull(ctx context.Context, s *seat, sc scenario.Scenario, atMost time.Duration) (*rundoc.RecoveryCheck, map[string]string, error) {
	if _, err := s.settle(ctx); err != nil {
		return nil, nil, err
	}
	check := &rundoc.RecoveryCheck{}
	begun, stretch := time.Now(), min(time.Second, atMost)
	for {
		res, err := s.visit(ctx, engine.Load{Weights: r.weights(sc.Name), Pool: r.Pool, Duration: stretch, Progress: r.Live})
		switch {
		case err != nil:
			return nil, nil, err
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case res.Storm != "":
			return nil, nil, fmt.Errorf("%s: %w: %s", sc.Name, ErrStorm, res.Storm)
		}
		pending, full, err := s.pendingWAL(ctx)
		if err != nil {
			return nil, nil, err
		}
		spent := time.Since(begun)
		if float64(pending) >= fullShare*full.distance || spent+stretch > atMost {
			check.AtWorst = max(pending, full.worst(float64(pending)/spent.Seconds()))
			break
		}
	}
	sums, err := checksums(ctx, s.conn)
	if err != nil {
		return nil, nil, err
	}
	check.WALBytes, _, err = s.pendingWAL(ctx) // reading wrote hint bits, and a checkpoint may have begun
	return check, sums, err
}

// full says how much WAL lies between two checkpoints.
type full struct {
	distance float64       // bytes after which a checkpoint begins
	max      float64       // max_wal_size: what has to be replayed when one is about to end
	timeout  time.Duration // checkpoint_timeout
	spread   float64       // checkpoint_completion_target
}

// worst is the WAL to be replayed after a crash at the worst moment, when a checkpoint is about to end: max_wal_size, or
// what is written at that rate while one timed checkpoint waits for the next to end.
func (f full) worst(rate float64) int64 {
	return int64(math.Min(f.max, rate*f.timeout.Seconds()*(1+f.spread)))
}

// pendingWAL is what would have to be replayed now. A checkpoint begins max_wal_size / (1 + checkpoint_completion_target)
// after the last one (xlog.c, CalculateCheckpointSegments).
func (s *seat) pendingWAL(ctx context.Context) (pending int64, f full, err error) {
	var mb, seconds float64
	err = s.conn.QueryRow(ctx, `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), redo_lsn)::bigint,
		(SELECT setting FROM pg_settings WHERE name = 'max_wal_size')::float8,
		(SELECT setting FROM pg_settings WHERE name = 'checkpoint_timeout')::float8,
		current_setting('checkpoint_completion_target')::float8 FROM pg_control_checkpoint()`).Scan(&pending, &mb, &seconds, &f.spread)
	if err != nil {
		return 0, f, fmt.Errorf("reading the last checkpoint: %w", err)
	}
	f.max, f.timeout = mb*(1<<20), time.Duration(seconds*float64(time.Second))
	f.distance = f.max / (1 + f.spread)
	return pending, f, nil
}

// checksums are a count and a sum of hashes over all rows of each of pgfit's tables: the order of rows does not matter.
func checksums(ctx context.Context, conn *pgx.Conn) (map[string]string, error) {
	rows, err := conn.Query(ctx, "SELECT tablename FROM pg_tables WHERE schemaname = $1", load.Schema)
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for _, t := range tables {
		name := pgx.Identifier{load.Schema, t}.Sanitize()
		var sum string
		err := conn.QueryRow(ctx, "SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM "+name+" t").Scan(&sum)
		if err != nil {
			return nil, fmt.Errorf("checksum of %s: %w", t, err)
		}
		sums[t] = sum
	}
	return sums, nil
}

// differing names the tables whose checksums differ.
func differing(before, after map[string]string) string {
	var names []string
	for t, sum := range before {
		if after[t] != sum {
			names = append(names, t)
		}
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}
