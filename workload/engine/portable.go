package engine

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// portable drives a goroutine for each caller over pgconn. It runs everywhere and with TLS; it costs more processor time
// for each transaction than the epoll driver, so figures of the two are not to be mixed.
type portable struct {
	*base
	conns []*conn
}

func (e *portable) Driver() string { return DriverPortable }

// conn is one connection.
type conn struct {
	pg   *pgconn.PgConn
	dead bool
}

// Grow opens connections up to n.
func (e *portable) Grow(ctx context.Context, n int) error {
	e.want = max(e.want, n)
	for len(e.conns) < n {
		pg, _, err := e.connect(ctx)
		if err != nil {
			return err
		}
		e.conns = append(e.conns, &conn{pg: pg})
	}
	return nil
}

// Close ends every connection.
func (e *portable) Close() {
	for _, c := range e.conns {
		closeNow(c.pg)
	}
	e.conns = nil
}

// portableVisit is one Run over goroutines.
type portableVisit struct {
	*visit
	e    *portable
	pool chan *conn // first come, first served: Go's channels queue their receivers
}

// Run makes one visit. Connections that an earlier visit lost are opened again first.
func (e *portable) Run(ctx context.Context, load Load) (*Result, error) {
	if err := e.Grow(ctx, e.want); err != nil {
		return nil, err
	}
	base, err := e.newVisit(load, len(e.conns), min(8, max(1, load.Pool, load.Callers)))
	if err != nil {
		return nil, err
	}
	v := &portableVisit{visit: base, e: e, pool: make(chan *conn, load.Pool)}
	for _, c := range e.conns[:load.Pool] {
		v.pool <- c
	}
	defer context.AfterFunc(ctx, v.halt)()
	watch := v.watch(ctx)
	if load.Rate > 0 {
		err = v.openLoop(ctx)
	} else {
		err = v.closedLoop(ctx)
	}
	res := v.finish(ctx, DriverPortable, watch)
	e.dropLost()
	if err != nil {
		return nil, err
	}
	return res, nil
}

// dropLost forgets connections that are lost for good.
func (e *portable) dropLost() {
	kept := e.conns[:0]
	for _, c := range e.conns {
		if !c.dead && !c.pg.IsClosed() {
			kept = append(kept, c)
		}
	}
	e.conns = kept
}

// closedLoop runs every caller until the window ends.
func (v *portableVisit) closedLoop(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range v.load.Callers {
		c, err := v.newCaller(i)
		if err != nil {
			v.halt()
			return err
		}
		wg.Go(func() {
			for ; !v.over(v.since()) && !c.enough(); c.done++ {
				if v.load.Think > 0 {
					v.sleep(ctx, c.think())
				}
				at := v.since()
				v.one(ctx, c, at, at)
			}
		})
	}
	return nil
}

// one runs one transaction on a connection of the pool.
func (v *portableVisit) one(ctx context.Context, c *caller, intended, asked time.Duration) {
	var pc *conn
	select {
	case pc = <-v.pool:
	case <-ctx.Done():
		return
	}
	o := outcome{op: c.pick(), intended: intended, asked: asked, got: v.since(), tries: 1}
	err := v.transaction(ctx, c, pc, &o)
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
func (v *portableVisit) sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(min(d, max(0, v.win.until-v.since())))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// mend replaces a lost connection, with a pause that doubles up to a second, until the visit is over.
func (v *portableVisit) mend(ctx context.Context, pc *conn) *conn {
	if !pc.pg.IsClosed() {
		return pc
	}
	for pause := firstPause; !v.over(v.since()) && ctx.Err() == nil; pause = min(2*pause, lastPause) {
		fresh, _, err := v.e.connect(ctx)
		if err == nil {
			v.reconn.Add(1)
			pc.pg = fresh
			return pc
		}
		v.sleep(ctx, pause)
	}
	pc.dead = true
	return pc
}

// The pause between two attempts to open a lost connection again doubles from the first to the last.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)
