package trial

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/workload/engine"
	"pgfit/workload/load"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
)

// warm brings each side to its working state, the other one frozen: caches filled, then load until it gets no faster, then a
// checkpoint. Again, after another start, the page cache still has what a scratch server needs, and the load is short; the
// user's server was not started.
func (r *Runner) warm(ctx context.Context, seats []*seat, scenarios []scenario.Scenario, again bool) error {
	stretch := r.FirstWarmup / time.Duration(2*len(scenarios))
	if again {
		stretch = min(stretch, r.Warmup)
	} else {
		r.mean = map[string]time.Duration{}
	}
	if r.decided == nil {
		r.decided, r.cost = map[string]bool{}, map[string][]float64{}
	}
	for i, s := range seats {
		if again && s.server == nil {
			continue
		}
		focus(seats, i)
		if err := s.fill(ctx); err != nil {
			return err
		}
		for _, sc := range scenarios {
			if again && r.narrowed(sc.Name) != nil { // a round is as long as a visit
				continue
			}
			if err := r.warmOne(ctx, s, sc, stretch); err != nil {
				return fmt.Errorf("warming up %s: %w", sc.Name, err)
			}
		}
		if _, err := s.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// readBlocks reads the first blocks of a table one by one, each by the address of its first row. Unlike a scan of the whole
// table, which keeps to a ring of 256 kB so as not to disturb the others, that goes through shared_buffers as an index does.
const readBlocks = `SELECT count(*) FROM generate_series(0::bigint, $1::bigint - 1) AS block,
	LATERAL (SELECT FROM %s WHERE ctid = ('(' || block || ',1)')::tid LIMIT 1) AS hit`

// fill reads a scratch server's tables into its shared_buffers, the small ones first, until those are full: under load
// alone the larger of two takes minutes to fill, and would be measured half empty. Within a limit of memory the page cache
// is filled up as well, since it begins empty there; elsewhere copying has filled it. Indexes are much smaller and hotter,
// and left to the load. A server of the user's is left alone.
func (s *seat) fill(ctx context.Context) error {
	if s.server == nil {
		return nil
	}
	var room, size int64
	err := s.conn.QueryRow(ctx, `SELECT setting::bigint * current_setting('block_size')::bigint, current_setting('block_size')::bigint
		FROM pg_settings WHERE name = 'shared_buffers'`).Scan(&room, &size)
	if err != nil {
		return fmt.Errorf("reading shared_buffers: %w", err)
	}
	room = max(room, s.server.Shape().Memory)
	rows, err := s.conn.Query(ctx, `SELECT format('%I.%I', nspname, relname), pg_relation_size(c.oid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = $1 AND relkind = 'r' ORDER BY 2, 1`, load.Schema)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		Name  string
		Bytes int64
	}])
	if err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := s.conn.Exec(ctx, fmt.Sprintf(readBlocks, t.Name), min(t.Bytes, room)/size); err != nil {
			return fmt.Errorf("filling the caches with %s: %w", t.Name, err)
		}
		if room -= t.Bytes; room <= 0 {
			break
		}
	}
	return nil
}

// A side is warm when a stretch is not faster than the one before by more than a tenth. One whose data do not fit into its
// memory goes on for up to so many stretches. A narrowed scenario has one round instead.
const (
	stillWarming = 1.1
	mostWarming  = 20
)

func (r *Runner) warmOne(ctx context.Context, s *seat, sc scenario.Scenario, stretch time.Duration) error {
	if err := r.decide(ctx, s, sc.Name); err != nil {
		return err
	}
	if scope := r.narrowed(sc.Name); scope != nil {
		_, err := s.run(ctx, r.round(scope, 0, 0))
		return err
	}
	before, done, elapsed := 0.0, int64(0), time.Duration(0)
	for range mostWarming {
		res, err := s.run(ctx, engine.Load{Weights: r.weights(sc.Name), Pool: r.Pool, Duration: stretch, Progress: r.Live})
		if err != nil {
			return err
		}
		done, elapsed = done+res.Transactions, elapsed+res.Elapsed
		tps := float64(res.Transactions) / res.Elapsed.Seconds()
		if before > 0 && tps < stillWarming*before {
			break
		}
		before = tps
	}
	r.mean[sc.Name] = max(r.mean[sc.Name], time.Duration(r.Pool)*elapsed/time.Duration(max(1, done)))
	return nil
}

// decide narrows a scenario, in the first warm-up of all, when two rounds of its transactions on few connections, of which
// the first may have read from a cold disk, say that it has to be.
func (r *Runner) decide(ctx context.Context, s *seat, name string) error {
	if r.decided[name] {
		return nil
	}
	scope := rundoc.Scope{Scenario: name, MostPool: min(2, r.Pool)}
	load := r.round(&scope, 0, 0)
	for range 2 {
		res, err := s.run(ctx, load)
		if err != nil {
			return err
		}
		fewer, long := narrow(r.Pool, r.Measure, res.Transactions, res.Elapsed)
		if r.decided[name] = !long; !long {
			return nil
		}
		scope.MostPool = fewer
		r.cost[name] = engine.Costs(res)
		r.size(&scope, res.Elapsed)
	}
	r.decided[name] = true
	r.Narrowed = append(r.Narrowed, scope)
	return nil
}

// run makes one visit of the engine. One that was cut short, or in which too much failed, is an error.
func (s *seat) run(ctx context.Context, load engine.Load) (*engine.Result, error) {
	res, err := s.eng.Run(ctx, load)
	switch {
	case err != nil:
		return nil, err
	case ctx.Err() != nil: // half a visit is no replication
		return nil, ctx.Err()
	case res.Storm != "":
		return nil, fmt.Errorf("%w: %s", ErrStorm, res.Storm)
	}
	if n := load.Listed(); res.Transactions+res.Failed < n {
		return nil, fmt.Errorf("%w: of a list of %d transactions %d were made in %s", ErrStuck, n, res.Transactions+res.Failed, res.Elapsed.Truncate(time.Second))
	}
	return res, nil
}
