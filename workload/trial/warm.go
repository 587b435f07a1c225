package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/workload/engine"
	"pgfit/workload/load"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
	"pgfit/workload/script"
)

// againStretch is the longest stretch of warming up after another start than the first.
const againStretch = 500 * time.Millisecond

// warm brings the sides to their working state, one at a time, the other one frozen: caches filled, then load until it gets no
// faster, then a checkpoint. Again, after another start, statements that take as long as a visit are left out; the user's server
// was not started.
func (r *Runner) warm(ctx context.Context, seats []*seat, scenarios []scenario.Scenario, again bool) error {
	stretch := r.FirstWarmup / time.Duration(2*len(scenarios))
	if again {
		stretch = min(stretch, againStretch)
	} else {
		r.mean = map[string]time.Duration{}
	}
	if r.decided == nil {
		r.decided, r.cost = map[string]bool{}, map[string][]float64{}
	}
	each := func(do func(*seat) error) error {
		for i, s := range seats {
			if again && s.server == nil {
				continue
			}
			focus(seats, i)
			if err := do(s); err != nil {
				return err
			}
		}
		return nil
	}
	err := each(func(s *seat) error {
		if err := s.fill(ctx); err != nil {
			return err
		}
		return s.touch(ctx, r.Pool)
	})
	if err != nil {
		return err
	}
	for _, sc := range scenarios {
		if again && r.narrowed(sc.Name) != nil { // a round is as long as a visit
			continue
		}
		if err := r.warmOne(ctx, each, sc.Name, stretch); err != nil {
			return fmt.Errorf("warming up %s: %w", sc.Name, err)
		}
	}
	return each(func(s *seat) error { _, err := s.settle(ctx); return err })
}

// Queries that read every nth of the first blocks of a table, each by the address of its first row, or of an index. Unlike a
// scan of the whole, which keeps to a ring of 256 kB so as not to disturb the others, they go through shared_buffers.
const (
	readTable = `SELECT count(*) FROM generate_series(0::bigint, %d::bigint - 1, %d) AS block,
	LATERAL (SELECT FROM %s WHERE ctid = ('(' || block || ',1)')::tid LIMIT 1) AS hit`
	readIndex = `SELECT count(octet_length(get_raw_page('%[3]s', block))) FROM generate_series(0, %[1]d - 1, %[2]d) AS block`
)

// heap is what a scratch server's caches are filled with.
type heap struct {
	buffers   int64 // shared_buffers in bytes
	block     int64 // bytes
	relations []relation
}

// relation is a table or an index.
type relation struct {
	Name  string // quoted where it has to be
	Index bool
	Bytes int64
}

// readHeap lists tables and, after them, indexes, the small ones first. Indexes can only be read where pageinspect is installed.
func (s *seat) readHeap(ctx context.Context) (h heap, err error) {
	_, err = s.conn.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS pageinspect")
	indexes := err == nil
	err = s.conn.QueryRow(ctx, `SELECT setting::bigint * current_setting('block_size')::bigint, current_setting('block_size')::bigint
		FROM pg_settings WHERE name = 'shared_buffers'`).Scan(&h.buffers, &h.block)
	if err != nil {
		return h, fmt.Errorf("reading shared_buffers: %w", err)
	}
	rows, err := s.conn.Query(ctx, `SELECT format('%I.%I', nspname, relname), relkind = 'i', pg_relation_size(c.oid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
		WHERE nspname = $1 AND (relkind = 'r' OR relkind = 'i' AND $2) ORDER BY 2, 3, 1`, load.Schema, indexes)
	if err != nil {
		return h, err
	}
	h.relations, err = pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
	return h, err
}

// queries read every nth block of the tables up to so many bytes, and where all of them and the indexes fit of these as well.
func (h heap) queries(room, nth int64) []string {
	all := int64(0)
	for _, r := range h.relations {
		all += r.Bytes
	}
	var out []string
	for _, r := range h.relations {
		read := readTable
		if r.Index {
			read = readIndex
		}
		if r.Index && all > room {
			break
		}
		out = append(out, fmt.Sprintf(read, min(r.Bytes, room)/h.block, nth, r.Name))
		if room, all = room-r.Bytes, all-r.Bytes; room <= 0 {
			break
		}
	}
	return out
}

// mostIndexes is the part of a limited memory that indexes get at the most: a choice, so that tables are not left out.
const mostIndexes = 0.75

// within are queries that fill a limited memory as load would leave it, the hottest last, since what was read first goes first:
// parts of the large tables, the small ones, indexes. A page of an index serves many times the rows of one of a table. With
// indexes left to the load, visits to equal settings differed by 36 % under reads at 1 GB of memory and 3 GB of data.
func (h heap) within(memory int64) []string {
	indexes := int64(0)
	for _, r := range h.relations {
		if r.Index {
			indexes += r.Bytes
		}
	}
	forIndexes := min(indexes, int64(mostIndexes*float64(memory)))
	parts := func(index bool, room int64) (out []string) {
		read := readTable
		if index {
			read = readIndex
		}
		for _, r := range h.relations { // the small ones first
			if n := min(r.Bytes, room) / h.block; r.Index == index && n > 0 {
				out = append(out, fmt.Sprintf(read, n, 1, r.Name))
				room -= n * h.block
			}
		}
		slices.Reverse(out)
		return out
	}
	return append(parts(false, memory-forIndexes), parts(true, forIndexes)...)
}

// fill reads a scratch server's tables into its shared_buffers, the small ones first, until those are full: under load
// alone the larger of two takes minutes to fill, and would be measured half empty. Within a limit of memory it is the page cache
// that is filled, since that begins empty there; elsewhere copying has filled it, and what does not fit into shared_buffers,
// such as indexes, is fetched by the load at once. A server of the user's is left alone.
func (s *seat) fill(ctx context.Context) error {
	if s.server == nil {
		return nil
	}
	queries := s.heap.queries(s.heap.buffers, 1)
	if memory := s.server.Shape().Memory; memory > 0 {
		queries = s.heap.within(memory)
	}
	for _, q := range queries {
		if _, err := s.conn.Exec(ctx, q); err != nil {
			return fmt.Errorf("filling the caches: %w", err)
		}
	}
	return nil
}

// touched is how many bytes of shared memory a backend maps with its first access to one of them: Linux maps what is there
// of the 64 kB around it (fault_around_bytes).
const touched = 64 << 10

// toucher is the script with which a connection maps what is in shared_buffers, as those of a pool that has been there for a
// while have done. Under load that takes ten seconds and more, and longest where shared_buffers hold most: 16 new connections
// under reads had 33000 page faults in their first second with 6 GB of shared_buffers and 3000 with 128 MB, and 6 GB looked
// 5.4 % slower (2.7 to 8.0 %, eight pairs of 1 s); touched beforehand, in 0.3 s, 9000.
func (h heap) toucher() (*script.Script, error) {
	text := "BEGIN;\nSET LOCAL jit = off;\n" + strings.Join(h.queries(h.buffers, touched/h.block), ";\n") + ";\nCOMMIT;\n"
	return script.Parse("touch", text, script.Options{})
}

// touch lets every connection of a scratch server run its toucher.
func (s *seat) touch(ctx context.Context, pool int) error {
	if s.server == nil {
		return nil
	}
	l := engine.Load{Weights: make([]int, s.scripts+1), Pool: pool, Lists: slices.Repeat([][]int{{s.scripts}}, pool), Duration: engine.LongestList}
	l.Weights[s.scripts] = 1
	res, err := s.eng.Run(ctx, l)
	if err == nil && res.Failed > 0 {
		err = errors.New(res.Errors[0].Message)
	}
	if err != nil {
		return fmt.Errorf("mapping shared memory: %w", err)
	}
	return nil
}

// Sides are warm when a stretch is on none of them faster than the one before by more than a tenth; both get the same, since what
// one has more would be taken for its settings. Those whose data do not fit into their memory go on for up to so many
// stretches. A narrowed scenario has one round instead.
const (
	stillWarming = 1.1
	mostWarming  = 20
)

func (r *Runner) warmOne(ctx context.Context, each func(func(*seat) error) error, name string, stretch time.Duration) error {
	if err := each(func(s *seat) error { return r.decide(ctx, s, name) }); err != nil {
		return err
	}
	if scope := r.narrowed(name); scope != nil {
		return each(func(s *seat) error { _, err := s.run(ctx, r.round(scope, 0, 0)); return err })
	}
	type speed struct {
		tps     float64 // of the last stretch
		done    int64
		elapsed time.Duration
	}
	speeds, warming := map[*seat]speed{}, true
	for n := 0; n < mostWarming && warming; n++ {
		warming = false
		err := each(func(s *seat) error {
			res, err := s.run(ctx, engine.Load{Weights: r.weights(name), Pool: r.Pool, Duration: stretch, Progress: r.Live})
			if err != nil {
				return err
			}
			last := speeds[s]
			now := speed{float64(res.Transactions) / res.Elapsed.Seconds(), last.done + res.Transactions, last.elapsed + res.Elapsed}
			warming = warming || n == 0 || now.tps >= stillWarming*last.tps
			speeds[s] = now
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, v := range speeds {
		r.mean[name] = max(r.mean[name], time.Duration(r.Pool)*v.elapsed/time.Duration(max(1, v.done)))
	}
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

// visit makes one visit of the engine by the weights of the scenarios' scripts.
func (s *seat) visit(ctx context.Context, load engine.Load) (*engine.Result, error) {
	if s.server != nil {
		load.Weights = append(slices.Clip(load.Weights), 0) // of the toucher
	}
	return s.eng.Run(ctx, load)
}

// run makes one visit of the engine. One that was cut short, or in which too much failed, is an error.
func (s *seat) run(ctx context.Context, load engine.Load) (*engine.Result, error) {
	res, err := s.visit(ctx, load)
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
