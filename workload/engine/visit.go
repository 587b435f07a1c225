package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgfit/workload/script"
)

// base is what every driver keeps between visits.
type base struct {
	cfg     Config
	scripts []*script.Script
	names   [][]string // of prepared statements, by script and statement
	want    int        // connections that Grow has been asked for
	drawn   uint64     // seeds handed out, so that no two visits draw the same keys
	notices []string
}

func (b *base) Protocol() Protocol { return b.cfg.Protocol }
func (b *base) Notices() []string  { return b.notices }

// connect opens a connection and prepares what the protocol wants prepared. The descriptions are by script and statement.
func (b *base) connect(ctx context.Context) (*pgconn.PgConn, [][]*pgconn.StatementDescription, error) {
	pg, err := pgconn.ConnectConfig(ctx, b.cfg.Connect)
	if err != nil {
		return nil, nil, err
	}
	if b.cfg.Protocol != Prepared {
		return pg, nil, nil
	}
	all := make([][]*pgconn.StatementDescription, len(b.scripts))
	for i, sc := range b.scripts {
		for j, st := range sc.Stmts {
			d, err := pg.Prepare(ctx, b.names[i][j], st.SQL, nil)
			if err != nil {
				closeNow(pg)
				return nil, nil, fmt.Errorf("preparing a statement of %s (%.80s): %w", sc.Name, st.SQL, err)
			}
			all[i] = append(all[i], d)
		}
	}
	return pg, all, nil
}

// nameStatements gives every statement the name it is prepared under.
func (b *base) nameStatements() {
	for i, sc := range b.scripts {
		var names []string
		for j := range sc.Stmts {
			names = append(names, fmt.Sprintf("pgfit_%d_%d", i, j))
		}
		b.names = append(b.names, names)
	}
}

// closeNow ends a connection, waiting a moment at the most.
func closeNow(pg *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = pg.Close(ctx)
}

// processors is what this process may use, before an engine asks the runtime for more places to run.
var processors = runtime.GOMAXPROCS(0)

// visit is one Run: what the drivers share of it. Its clock starts with it.
type visit struct {
	b       *base
	load    Load
	weights []int
	total   int
	start   time.Time
	win     window
	recs    []*recorder
	stop    atomic.Bool
	wake    func() // tells whoever waits that stop is set; may be nil
	storm   atomic.Pointer[string]
	reconn  atomic.Int64
	lag     *recorderLag
	threads int // processors that the load generator can use at once
	ending  chan struct{}
}

// newVisit checks the load against the open connections and makes so many recorders.
func (b *base) newVisit(load Load, open, recorders int) (*visit, error) {
	switch {
	case load.Pool < 1 || load.Pool > open:
		return nil, fmt.Errorf("a pool of %d from %d open connections", load.Pool, open)
	case load.Duration <= 0 && load.Txns <= 0 && load.Lists == nil:
		return nil, errors.New("a visit needs a duration, a number of transactions or lists of them")
	}
	if load.Callers == 0 {
		load.Callers = load.Pool
	}
	if load.Lists != nil && (load.Rate > 0 || load.Callers != len(load.Lists) || load.Callers > load.Pool) {
		return nil, fmt.Errorf("%d lists of transactions for %d callers of %d connections", len(load.Lists), load.Callers, load.Pool)
	}
	if load.Duration <= 0 {
		load.Duration = 24 * time.Hour
	}
	v := &visit{b: b, load: load, weights: load.Weights, start: time.Now(),
		win: window{load.Warmup, load.Warmup + load.Duration}, ending: make(chan struct{}), threads: processors}
	names := make([]string, len(b.scripts))
	for i, w := range b.cfg.Scripts {
		names[i] = w.Script.Name
		if load.Weights == nil {
			v.weights = append(v.weights, w.Weight)
		}
	}
	for _, w := range v.weights {
		v.total += w
	}
	if v.total <= 0 {
		return nil, errors.New("no script has a weight")
	}
	for range recorders {
		v.recs = append(v.recs, newRecorder(names, v.weights, v.win, load.Rate > 0))
	}
	return v, nil
}

// processors is how many the load generator can use at once. Go's runtime rounds a quota up, to two at the least, so a
// process that may use a fifth of a processor would never be seen to use it up.
func (v *visit) processors() float64 {
	if q := v.b.cfg.CPUs; q > 0 {
		return min(float64(v.threads), q)
	}
	return float64(v.threads)
}

func (v *visit) since() time.Duration { return time.Since(v.start) }

func (v *visit) over(now time.Duration) bool { return v.stop.Load() || now >= v.win.until }

// halt ends the visit early: nothing new is begun.
func (v *visit) halt() {
	v.stop.Store(true)
	if v.wake != nil {
		v.wake()
	}
}

// finish makes the result of what was recorded.
func (v *visit) finish(ctx context.Context, driver string, watch func(*Result)) *Result {
	res := merge(v.recs)
	watch(res)
	res.Driver, res.Protocol, res.Reconnects = driver, v.b.cfg.Protocol, v.reconn.Load()
	res.Interrupted = ctx.Err() != nil
	if s := v.storm.Load(); s != nil {
		res.Storm = *s
	}
	return res
}

// caller is one client: its variables and its random numbers.
type caller struct {
	v       *visit
	client  *script.Client
	rng     *rand.Rand
	rec     *recorder
	list    []int // what it runs, nil to draw
	most    int64 // transactions; 0 is by time
	done    int64
	retired bool // has made all that it was to make
}

// demand is a caller or an arrival that wants a connection.
type demand struct {
	c        *caller // nil for an arrival of an open loop: the link's own caller serves it
	intended time.Duration
	asked    time.Duration
}

func (v *visit) newCaller(i int) (*caller, error) {
	seed := v.load.Seed
	if seed == 0 {
		v.b.drawn++
		seed = v.b.cfg.Seed + v.b.drawn<<20
	}
	client, err := script.NewClient(v.b.scripts, seed, i, v.b.cfg.Vars)
	if err != nil {
		return nil, err
	}
	c := &caller{v: v, client: client, rng: rand.New(rand.NewPCG(seed, uint64(i))), rec: v.recs[i%len(v.recs)], most: v.load.Txns}
	if v.load.Lists != nil {
		c.list, c.most = v.load.Lists[i], int64(len(v.load.Lists[i]))
	}
	return c, nil
}

// enough tells whether the caller has made all its transactions.
func (c *caller) enough() bool { return (c.most > 0 || c.v.load.Lists != nil) && c.done >= c.most }

// pick is the next script of the list, or draws one by its weight.
func (c *caller) pick() int {
	if c.v.load.Lists != nil {
		return c.list[c.done]
	}
	k := c.rng.IntN(c.v.total)
	for i, w := range c.v.weights {
		if k < w {
			return i
		}
		k -= w
	}
	return 0
}

// think draws a think time.
func (c *caller) think() time.Duration {
	return time.Duration(c.rng.ExpFloat64() * float64(c.v.load.Think))
}

// arrivals are the intended starts of an open loop.
func (v *visit) arrivals() *arrivals {
	v.b.drawn++
	return &arrivals{rng: rand.New(rand.NewPCG(v.b.cfg.Seed, v.b.drawn)), gap: 1 / v.load.Rate, uniform: v.load.Uniform}
}

var errOpenTransaction = errors.New("the script ended inside a transaction: COMMIT or END is missing")

// sqlState is the error's SQLSTATE, "connection" for a lost one, "script" for an error of the script itself.
func sqlState(err error) string {
	var pg *pgconn.PgError
	var se *script.Error
	switch {
	case errors.As(err, &pg):
		return pg.Code
	case errors.As(err, &se), errors.Is(err, errOpenTransaction):
		return "script"
	}
	return "connection"
}
