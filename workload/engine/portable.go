package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"pgfit/workload/script"
)

// portable drives a goroutine for each caller over pgconn. It runs everywhere and with TLS; it costs more processor time
// for each transaction than the epoll driver, so figures of the two are not to be mixed.
type portable struct {
	cfg     Config
	scripts []*script.Script
	conns   []*conn
	seed    atomic.Uint64 // so that no two visits draw the same keys
}

// Open connects once, to see what is there, and chooses the driver.
func Open(ctx context.Context, cfg Config) (Engine, error) {
	if cfg.Protocol == "" {
		cfg.Protocol = Prepared
	}
	cfg.MaxTries = max(1, cfg.MaxTries)
	cfg.Connect = cfg.Connect.Copy()
	// A cancelled context sends a cancel request, so that a long statement ends in the server too.
	cfg.Connect.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pg, DeadlineDelay: 2 * time.Second}
	}
	e := &portable{cfg: cfg}
	for _, w := range cfg.Scripts {
		e.scripts = append(e.scripts, w.Script)
	}
	if err := e.Grow(ctx, 1); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *portable) Driver() string     { return DriverPortable }
func (e *portable) Protocol() Protocol { return e.cfg.Protocol }
func (e *portable) Notices() []string  { return nil }

// Grow opens connections up to n.
func (e *portable) Grow(ctx context.Context, n int) error {
	for len(e.conns) < n {
		c, err := e.connect(ctx)
		if err != nil {
			return err
		}
		e.conns = append(e.conns, c)
	}
	return nil
}

// Close ends every connection.
func (e *portable) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, c := range e.conns {
		_ = c.pg.Close(ctx)
	}
	e.conns = nil
}

// conn is one connection with its prepared statements, by script and index.
type conn struct {
	pg    *pgconn.PgConn
	names [][]string
	dead  bool
}

func (e *portable) connect(ctx context.Context) (*conn, error) {
	pg, err := pgconn.ConnectConfig(ctx, e.cfg.Connect)
	if err != nil {
		return nil, err
	}
	c := &conn{pg: pg}
	if e.cfg.Protocol != Prepared {
		return c, nil
	}
	for i, sc := range e.scripts {
		var names []string
		for j, st := range sc.Stmts {
			name := fmt.Sprintf("pgfit_%d_%d", i, j)
			if _, err := pg.Prepare(ctx, name, st.SQL, nil); err != nil {
				_ = pg.Close(ctx)
				return nil, fmt.Errorf("preparing a statement of %s (%.80s): %w", sc.Name, st.SQL, err)
			}
			names = append(names, name)
		}
		c.names = append(c.names, names)
	}
	return c, nil
}

// visit is one Run.
type visit struct {
	e       *portable
	load    Load
	weights []int
	total   int
	start   time.Time
	win     window
	pool    chan *conn // first come, first served: Go's channels queue their receivers
	recs    []*recorder
	stop    atomic.Bool
	storm   atomic.Pointer[string]
	reconn  atomic.Int64
	lag     *recorderLag
	ending  chan struct{}
}

// Run makes one visit.
func (e *portable) Run(ctx context.Context, load Load) (*Result, error) {
	v, err := e.newVisit(load)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { v.stop.Store(true) })()
	watch := v.watch(ctx)
	if load.Rate > 0 {
		err = v.openLoop(ctx)
	} else {
		err = v.closedLoop(ctx)
	}
	res := merge(v.recs)
	watch(res)
	e.takeBack(v)
	if err != nil {
		return nil, err
	}
	res.Driver, res.Protocol, res.Reconnects = DriverPortable, e.cfg.Protocol, v.reconn.Load()
	res.Interrupted = ctx.Err() != nil
	if s := v.storm.Load(); s != nil {
		res.Storm = *s
	}
	return res, nil
}

func (e *portable) newVisit(load Load) (*visit, error) {
	switch {
	case load.Pool < 1 || load.Pool > len(e.conns):
		return nil, fmt.Errorf("a pool of %d from %d open connections", load.Pool, len(e.conns))
	case load.Duration <= 0 && load.Txns <= 0:
		return nil, errors.New("a visit needs a duration or a number of transactions")
	}
	if load.Callers == 0 {
		load.Callers = load.Pool
	}
	if load.Duration <= 0 {
		load.Duration = 24 * time.Hour
	}
	v := &visit{e: e, load: load, weights: load.Weights, start: time.Now(), win: window{load.Warmup, load.Warmup + load.Duration},
		pool: make(chan *conn, load.Pool), ending: make(chan struct{})}
	names := make([]string, len(e.scripts))
	for i, w := range e.cfg.Scripts {
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
	for range min(8, load.Callers) {
		v.recs = append(v.recs, newRecorder(names, v.weights, v.win, load.Rate > 0))
	}
	for _, c := range e.conns[:load.Pool] {
		v.pool <- c
	}
	return v, nil
}

// takeBack sees that connections lost for good are opened anew by the next Grow.
func (e *portable) takeBack(*visit) {
	kept := e.conns[:0]
	for _, c := range e.conns {
		if !c.dead && !c.pg.IsClosed() {
			kept = append(kept, c)
		}
	}
	e.conns = kept
}

func (v *visit) since() time.Duration { return time.Since(v.start) }

func (v *visit) over() bool { return v.stop.Load() || v.since() >= v.win.until }

// caller is one client: its variables, its random numbers, its recorder.
type caller struct {
	v      *visit
	client *script.Client
	rng    *rand.Rand
	rec    *recorder
}

func (v *visit) newCaller(i int) (*caller, error) {
	seed := v.e.cfg.Seed + v.e.seed.Add(1)<<20
	client, err := script.NewClient(v.e.scripts, seed, i, v.e.cfg.Vars)
	if err != nil {
		return nil, err
	}
	return &caller{v: v, client: client, rng: rand.New(rand.NewPCG(seed, uint64(i))), rec: v.recs[i%len(v.recs)]}, nil
}

func (c *caller) pick() int {
	k := c.rng.IntN(c.v.total)
	for i, w := range c.v.weights {
		if k < w {
			return i
		}
		k -= w
	}
	return 0
}

// closedLoop runs every caller until the window ends.
func (v *visit) closedLoop(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range v.load.Callers {
		c, err := v.newCaller(i)
		if err != nil {
			v.stop.Store(true)
			return err
		}
		wg.Go(func() {
			for n := int64(0); !v.over() && (v.load.Txns == 0 || n < v.load.Txns); n++ {
				if v.load.Think > 0 {
					v.sleep(ctx, time.Duration(c.rng.ExpFloat64()*float64(v.load.Think)))
				}
				at := v.since()
				c.one(ctx, at, at)
			}
		})
	}
	return nil
}

// one runs one transaction on a connection of the pool.
func (c *caller) one(ctx context.Context, intended, asked time.Duration) {
	v := c.v
	var pc *conn
	select {
	case pc = <-v.pool:
	case <-ctx.Done():
		return
	}
	o := outcome{op: c.pick(), intended: intended, asked: asked, got: v.since(), tries: 1}
	err := c.transaction(ctx, pc, &o)
	o.done = v.since()
	pc = v.mend(ctx, pc)
	v.pool <- pc
	if ctx.Err() != nil && err != nil {
		return // cut off, neither a success nor the server's failure
	}
	if err != nil {
		o.failed, o.code, o.message = true, sqlState(err), err.Error()
	}
	c.rec.add(o)
}

// sleep waits, but not beyond the visit.
func (v *visit) sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(min(d, max(0, v.win.until-v.since())))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// sqlState is the error's SQLSTATE, "connection" for a lost one, "script" for an error of the script itself.
func sqlState(err error) string {
	var pg *pgconn.PgError
	var se *script.Error
	switch {
	case errors.As(err, &pg):
		return pg.Code
	case errors.As(err, &se):
		return "script"
	}
	return "connection"
}
