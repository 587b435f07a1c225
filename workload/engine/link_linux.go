package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"

	"pgfit/workload/script"
)

type linkState uint8

const (
	idle    linkState = iota
	busy              // a transaction is under way on it
	mending           // lost, being opened again
	lost              // lost for good
)

// link is one connection of the epoll driver and the transaction on it. During a visit its worker alone touches it.
type link struct {
	r     *raw
	w     *worker
	own   *caller // whom it serves when each caller has a connection of its own, and in an open loop
	state linkState

	mu sync.Mutex     // guards the two below against the one who cancels
	pg *pgconn.PgConn // hijacked: good for its cancel request
	fd int

	out     []byte // to be sent
	sent    int    // bytes of out that are
	wantOut bool   // epoll watches for room in the socket's buffer
	scan    scanner
	status  byte // of the transaction, from the last ReadyForQuery
	waiting int  // ReadyForQuery messages still to come

	c         *caller
	s         *script.Session
	o         outcome
	stmt      *script.Stmt // in flight; nil in a pipeline
	failed    error        // the first error of this try
	pipeline  bool
	undone    bool   // a ROLLBACK has been sent
	talked    bool   // something was sent in this transaction
	sleeping  bool   // the script sleeps; a timer goes on
	seq       uint32 // of the timer that counts
	rows      rows
	startNext demand // for a timer that begins a transaction
}

// join gives the link to a worker for one visit.
func (l *link) join(w *worker) {
	l.w, l.state, l.failed, l.talked = w, idle, nil, true
	w.links = append(w.links, l)
}

func (l *link) leave() { l.w, l.c, l.s, l.own = nil, nil, nil, nil }

// rows is what \gset and \aset want of a result: its number of rows and the last of them, copied.
type rows struct {
	n      int // so far
	last   int // of the last result that was complete
	names  []string
	values [][]byte
	memory []byte
}

// take keeps a row.
func (r *rows) take(body []byte) (err error) {
	r.n++
	r.memory = append(r.memory[:0], body...)
	r.values, err = rowValues(r.memory, r.values)
	return err
}

// wants and message make the link a sink of its scanner.
func (l *link) wants(kind byte) bool {
	switch kind {
	case 'Z', 'E', 'G':
		return true
	case 'T', 'D', 'C':
		return l.stmt != nil && (l.stmt.Gset || l.stmt.Aset)
	}
	return false
}

func (l *link) message(kind byte, body []byte) (err error) {
	switch kind {
	case 'Z':
		if len(body) != 1 {
			return errShort
		}
		l.status = body[0]
		l.waiting = max(0, l.waiting-1)
	case 'E':
		if l.state == busy && l.failed == nil {
			l.failed = serverError(body)
		}
	case 'T':
		l.rows.names, err = columnNames(body, l.rows.names)
	case 'D':
		return l.rows.take(body)
	case 'C':
		l.rows.last, l.rows.n = l.rows.n, 0
		if l.stmt.Aset && l.rows.last > 0 {
			return l.s.Row(l.columns(), l.rows.values)
		}
	case 'G': // the server waits for data that a script cannot give
		l.out = append(l.out, copyFail[:len(copyFail)-len(syncMsg)]...)
		if l.r.cfg.Protocol != Simple {
			l.out = append(l.out, syncMsg...)
		}
	}
	return err
}

// columns are the names of the result's columns: as prepared, or as the server just said.
func (l *link) columns() []string {
	if l.r.cfg.Protocol == Prepared {
		return l.r.templates[l.o.op][l.stmt.Index].columns
	}
	return l.rows.names
}

// gset hands the row of the last result to the session, which refuses any other number of rows than one.
func (l *link) gset() error {
	for range min(l.rows.last, 2) {
		if err := l.s.Row(l.columns(), l.rows.values); err != nil {
			return err
		}
	}
	return nil
}

// begin starts a transaction.
func (l *link) begin(c *caller, d demand, now time.Duration) {
	l.c, l.state = c, busy
	l.w.busy++
	l.o = outcome{op: c.pick(), intended: d.intended, asked: d.asked, got: now, tries: 1}
	l.s = c.client.Session(l.o.op)
	l.s.Begin()
	l.talked = false
	l.fresh()
	l.proceed()
}

// fresh forgets the try before.
func (l *link) fresh() {
	l.failed, l.pipeline, l.undone, l.stmt, l.sleeping = nil, false, false, nil, false
}

var errCut = errors.New("cut off")

// proceed goes on with the script until it has to wait for the server, for a time, or is through.
func (l *link) proceed() {
	for {
		if l.w.v.cut.Load() {
			l.fail(errCut)
			return
		}
		st, err := l.s.Next()
		if err != nil {
			l.fail(err)
			return
		}
		switch st.Kind {
		case script.Query:
			l.query(st)
			if !l.pipeline {
				l.sync()
				l.flush()
				return
			}
		case script.Done:
			if l.status != 'I' {
				l.fail(errOpenTransaction)
				return
			}
			l.end()
			return
		case script.Sleep:
			l.talked, l.sleeping = true, true
			l.w.at(min(l.w.v.since()+st.Duration, l.w.v.win.until), l)
			return
		case script.StartPipeline:
			l.pipeline = true
		case script.SyncPipeline:
			l.sync()
		case script.EndPipeline:
			l.pipeline = false
			l.sync()
			l.flush()
			return
		}
	}
}

// query appends a statement to what is to be sent.
func (l *link) query(st script.Step) {
	l.talked = true
	l.rows.n, l.rows.last = 0, 0
	if l.stmt = st.Stmt; l.pipeline {
		l.stmt = nil
	}
	if l.r.cfg.Protocol == Simple && !l.pipeline {
		l.out = appendSimple(l.out, l.s, st.Stmt)
		return
	}
	l.out = l.r.templates[l.o.op][st.Stmt.Index].appendQuery(l.out, st.Params)
}

// sync ends what was appended with a Sync, which the server answers with ReadyForQuery. A simple query has its own.
func (l *link) sync() {
	if l.r.cfg.Protocol != Simple || l.stmt == nil {
		l.out = append(l.out, syncMsg...)
	}
	l.waiting++
}

// flush sends what the socket takes; the rest goes when epoll says that there is room.
func (l *link) flush() {
	for l.sent < len(l.out) {
		n, e := transmit(l.fd, l.out[l.sent:])
		switch e {
		case 0:
			l.sent += n
			l.w.counted(&l.w.bytesSent, n)
			continue
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			l.w.watchOut(l, true)
			return
		}
		// The answer to what broke the connection may be there still: the next read tells.
		l.out, l.sent = l.out[:0], 0
		_ = unix.Shutdown(l.fd, unix.SHUT_WR)
		return
	}
	l.out, l.sent = l.out[:0], 0
	if l.wantOut {
		l.w.watchOut(l, false)
	}
}

// take feeds what came and, when the answer is complete, goes on.
func (l *link) take(buf []byte) {
	l.w.counted(&l.w.bytesReceived, len(buf))
	waited := l.waiting
	if err := l.scan.feed(buf, l); err != nil {
		l.lose(err)
		return
	}
	if len(l.out) > l.sent && !l.wantOut {
		l.flush() // a CopyFail
	}
	if l.state == busy && waited > 0 && l.waiting == 0 {
		l.replied()
	}
}

// replied goes on after the answer to everything that was sent.
func (l *link) replied() {
	if l.failed == nil && l.stmt != nil && l.stmt.Gset {
		if err := l.gset(); err != nil {
			l.fail(err)
			return
		}
	}
	if l.failed != nil {
		l.recover()
		return
	}
	l.proceed()
}

// fail gives this try up: first whatever is under way has to be answered.
func (l *link) fail(err error) {
	if l.failed == nil {
		l.failed = err
	}
	if l.pipeline {
		l.pipeline, l.stmt = false, nil
		l.sync()
	}
	if l.waiting > 0 {
		l.flush()
		return
	}
	l.recover()
}

// recover leaves the connection out of any transaction, and tries again what may be tried again.
func (l *link) recover() {
	if l.status != 'I' {
		if l.undone {
			l.lose(fmt.Errorf("ROLLBACK did not end the transaction: %w", l.failed))
			return
		}
		l.undone, l.stmt = true, nil
		l.out = append(l.out, rollback...)
		l.waiting++
		l.flush()
		return
	}
	code := sqlState(l.failed)
	if (code == "40001" || code == "40P01") && l.o.tries < l.r.cfg.MaxTries && !l.w.v.stop.Load() {
		l.o.tries++
		l.s.Rewind()
		l.fresh()
		l.proceed()
		return
	}
	l.end()
}

// end records the transaction, and lets its caller go on.
func (l *link) end() {
	now := l.w.v.since()
	l.record(now)
	l.state = idle
	l.w.busy--
	l.w.onward(l, l.c, now)
}

// record hands the outcome to the recorder. What Ctrl-C cut off is neither a success nor the server's failure.
func (l *link) record(now time.Duration) {
	l.o.done = now
	if l.failed != nil {
		if l.w.v.cut.Load() {
			return
		}
		l.o.failed, l.o.code, l.o.message = true, sqlState(l.failed), l.failed.Error()
	}
	l.c.rec.add(l.o)
}

// lose takes leave of a broken connection. A transaction on it has failed, with the server's own word where there was one.
func (l *link) lose(why error) {
	w := l.w
	was := l.state
	if was == mending || was == lost {
		return
	}
	w.forget(l)
	l.mu.Lock()
	unix.Close(l.fd)
	l.fd = -1
	l.mu.Unlock()
	l.scan.reset()
	l.out, l.sent, l.wantOut, l.waiting, l.status = l.out[:0], 0, false, 0, 'I'
	now := w.v.since()
	if was == busy {
		if l.failed == nil {
			l.failed = why
		}
		l.record(now)
		w.busy--
	}
	if w.v.over(now) {
		l.state = lost
	} else {
		l.state = mending
		w.mending++
		w.v.mend(w, l)
	}
	if was == busy {
		w.parted(l, l.c, now)
	}
}

// interrupt cancels the statement under way, and shuts the connection when that does not end the visit in time.
func (l *link) interrupt(ended <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), cutDelay)
	defer cancel()
	l.mu.Lock()
	pg := l.pg
	l.mu.Unlock()
	_ = pg.CancelRequest(ctx)
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd >= 0 {
		_ = unix.Shutdown(l.fd, unix.SHUT_RDWR)
	}
}

// mended takes a fresh connection, or learns that there will be none.
func (l *link) mended(n note) {
	l.w.mending--
	if n.fd < 0 {
		l.state = lost
		return
	}
	l.mu.Lock()
	l.pg, l.fd = n.pg, n.fd
	l.mu.Unlock()
	l.state, l.seq = idle, l.seq+1
	if err := l.w.add(l); err != nil {
		l.w.fault(err)
		return
	}
	l.w.onward(l, l.own, l.w.v.since())
}
