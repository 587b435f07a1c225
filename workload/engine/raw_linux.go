package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// raw drives connections through their descriptors: pgconn connects, authenticates and prepares, then a few workers, each
// a thread on a processor of its own, send and receive for many connections each. Nothing is allocated while it runs.
type raw struct {
	*base
	templates [][]template // by script and statement
	links     []*link
	procs     int // GOMAXPROCS before Open
}

// newRaw takes over the first connection.
func newRaw(ctx context.Context, b *base, pg *pgconn.PgConn, described [][]*pgconn.StatementDescription) (Engine, error) {
	e := &raw{base: b, procs: runtime.GOMAXPROCS(0)}
	for i, sc := range b.scripts {
		var ts []template
		for j, st := range sc.Stmts {
			if b.cfg.Protocol == Prepared {
				ts = append(ts, newTemplate(st, b.names[i][j], described[i][j]))
			} else {
				ts = append(ts, newTemplate(st, "", nil))
			}
		}
		e.templates = append(e.templates, ts)
	}
	fd, err := adopt(ctx, pg)
	if err != nil {
		return nil, err
	}
	e.links = append(e.links, &link{r: e, pg: pg, fd: fd, status: 'I'})
	// A worker that waits in the kernel keeps its place to run until the runtime takes it away; the watcher needs one too.
	if need := e.workers(1<<30) + 2; need > e.procs {
		runtime.GOMAXPROCS(need)
	}
	return e, nil
}

func (e *raw) Driver() string { return DriverEpoll }

// workers is the number of threads for a pool: half of the processors, unless it was said. On two of them, shared with the
// server, one thread took 0.8 to 0.9 of the processor time of two for each transaction at 16 and 64 connections, at the same
// throughput.
func (e *raw) workers(pool int) int {
	n := e.cfg.Threads
	if n <= 0 {
		n = max(1, processors/2)
	}
	return min(n, pool)
}

// Grow opens connections up to n.
func (e *raw) Grow(ctx context.Context, n int) error {
	e.want = max(e.want, n)
	for len(e.links) < n {
		pg, fd, err := e.dial(ctx)
		if err != nil {
			return err
		}
		e.links = append(e.links, &link{r: e, pg: pg, fd: fd, status: 'I'})
	}
	return nil
}

func (e *raw) dial(ctx context.Context) (*pgconn.PgConn, int, error) {
	pg, _, err := e.connect(ctx)
	if err != nil {
		return nil, 0, err
	}
	if why := rawUnable(pg); why != "" { // another host of a list of them, perhaps
		closeNow(pg)
		return nil, 0, fmt.Errorf("this connection is not like the first one: %s", why)
	}
	fd, err := adopt(ctx, pg)
	return pg, fd, err
}

// Close ends every connection.
func (e *raw) Close() {
	for _, l := range e.links {
		_, _ = transmit(l.fd, goodbye)
		unix.Close(l.fd)
	}
	e.links = nil
	runtime.GOMAXPROCS(e.procs)
}

// rawVisit is one Run over descriptors.
type rawVisit struct {
	*visit
	e       *raw
	workers []*worker
	gate    *gate // nil when each caller has a connection of its own
	left    atomic.Int64
	cut     atomic.Bool // Ctrl-C: give up what is under way

	mends    sync.WaitGroup
	mendCtx  context.Context
	endMends context.CancelFunc

	mu     sync.Mutex // guards the workers' descriptors against a late wake
	closed bool
	sealed chan struct{}
}

// Run makes one visit. Connections that an earlier visit lost are opened again first.
func (e *raw) Run(ctx context.Context, load Load) (*Result, error) {
	if err := e.Grow(ctx, e.want); err != nil {
		return nil, err
	}
	used := max(1, load.Pool) // connections
	if load.Callers > 0 && load.Rate == 0 {
		used = min(used, load.Callers)
	}
	base, err := e.newVisit(load, len(e.links), e.workers(used))
	if err != nil {
		return nil, err
	}
	v := &rawVisit{visit: base, e: e, sealed: make(chan struct{})}
	v.threads = min(processors, e.workers(used))
	if err := v.setUp(); err != nil {
		v.close()
		return nil, err
	}
	v.start = time.Now()
	v.mendCtx, v.endMends = context.WithDeadline(ctx, v.start.Add(v.win.until))
	defer v.endMends()
	v.wake = v.wakeAll
	watch := v.watch(ctx)
	defer context.AfterFunc(ctx, v.interrupt)()
	var wg sync.WaitGroup
	for _, w := range v.workers {
		wg.Go(w.run)
	}
	wg.Wait()
	ended := v.since()
	v.endMends()
	v.seal()
	v.mends.Wait()
	v.close()
	if v.gate != nil {
		v.recs[0].unserved += v.gate.unserved(v.win, ended)
	}
	res := v.finish(ctx, DriverEpoll, watch)
	for _, w := range v.workers {
		res.BytesSent, res.BytesReceived = res.BytesSent+w.bytesSent, res.BytesReceived+w.bytesReceived
	}
	e.dropLost()
	return res, v.failure()
}

// setUp makes workers and callers and gives each connection to a worker.
func (v *rawVisit) setUp() error {
	if v.load.Rate > 0 || v.load.Callers > v.load.Pool {
		v.gate = newGate(v.visit)
	}
	for i := range v.recs {
		w, err := newWorker(v, i)
		if err != nil {
			return err
		}
		v.workers = append(v.workers, w)
	}
	links := v.e.links[:min(v.load.Pool, v.load.Callers)]
	if v.gate != nil {
		links = v.e.links[:v.load.Pool]
	}
	for i, l := range links {
		w := v.workers[i%len(v.workers)]
		l.join(w)
		if v.gate != nil {
			v.gate.free = append(v.gate.free, l)
		}
		if v.load.Rate > 0 || v.gate == nil {
			c, err := v.newCaller(i)
			if err != nil {
				return err
			}
			l.own, c.rec = c, w.rec
		}
	}
	if v.load.Rate == 0 {
		v.left.Store(int64(v.load.Callers))
		if v.gate != nil {
			if err := v.addCallers(); err != nil {
				return err
			}
		}
	}
	for _, w := range v.workers {
		if err := w.register(); err != nil {
			return err
		}
	}
	return nil
}

// addCallers makes the callers that share the pool.
func (v *rawVisit) addCallers() error {
	for i := range v.load.Callers {
		c, err := v.newCaller(i)
		if err != nil {
			return err
		}
		w := v.workers[i%len(v.workers)]
		w.callers = append(w.callers, c)
	}
	return nil
}

// interrupt is Ctrl-C. A worker that waits in a blocking read hears no bell: its statement is cancelled from here, and
// where that does not help, its connection is shut.
func (v *rawVisit) interrupt() {
	v.cut.Store(true)
	v.halt()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, w := range v.workers {
		if w.solo != nil && !v.closed {
			v.mends.Go(func() { w.solo.interrupt(v.sealed) })
		}
	}
}

func (v *rawVisit) wakeAll() {
	v.endMends()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	for _, w := range v.workers {
		ring(w.bell)
	}
}

// seal is the end of the workers: nobody is woken any more.
func (v *rawVisit) seal() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	close(v.sealed)
}

func (v *rawVisit) close() {
	for _, w := range v.workers {
		w.close()
	}
}

// failure is the first system call that failed and should not have.
func (v *rawVisit) failure() error {
	var errs []error
	for _, w := range v.workers {
		errs = append(errs, w.err)
	}
	return errors.Join(errs...)
}

// retire takes note of a caller that has made its number of transactions; when all have, the visit ends.
func (v *rawVisit) retire(c *caller) {
	if c.retired { // its idle connection was lost and is back
		return
	}
	if c.retired = true; v.left.Add(-1) == 0 {
		v.halt()
	}
}

// dropLost forgets connections that are lost for good.
func (e *raw) dropLost() {
	kept := e.links[:0]
	for _, l := range e.links {
		l.leave()
		if l.state != lost {
			kept = append(kept, l)
		}
	}
	e.links = kept
}

// mend opens a lost connection again, in a goroutine of its own, with a pause that doubles up to a second, until the
// visit is over. The worker hears of it through its bell.
func (v *rawVisit) mend(w *worker, l *link) {
	v.mends.Go(func() {
		for pause := firstPause; ; pause = min(2*pause, lastPause) {
			pg, fd, err := v.e.dial(v.mendCtx)
			if err == nil {
				v.reconn.Add(1)
				w.post(note{l: l, pg: pg, fd: fd})
				return
			}
			select {
			case <-time.After(pause):
			case <-v.mendCtx.Done():
				w.post(note{l: l, fd: -1})
				return
			}
		}
	})
}
