package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// worker is a thread that drives some of a visit's connections. One that has a single connection and nobody to share it
// with waits in a blocking read; the others wait for the events of all their connections at once.
type worker struct {
	v       *rawVisit
	number  int
	rec     *recorder
	links   []*link
	callers []*caller // without a connection of their own
	solo    *link
	busy    int // links with a transaction under way
	mending int
	cutting bool
	giveUp  time.Duration // after Ctrl-C: when to stop waiting for answers
	err     error

	timers  timers
	armed   time.Duration // what the timer descriptor is set to; 0 is not at all
	ep      int
	clock   int // timerfd
	bell    int // eventfd: there are notes, or the visit is over
	events  []unix.EpollEvent
	buf     []byte
	rang    bool          // the bell was heard: there may be notes
	arrival time.Duration // when to look for the next arrival of an open loop; 0 is never
	window  bool          // inside the measured window

	mu    sync.Mutex
	notes []note
	spare []note

	bytesSent, bytesReceived int64
}

// note is what others tell a worker: a connection mended or not (fd -1), or a demand that its free connection is to serve.
type note struct {
	l      *link
	pg     *pgconn.PgConn
	fd     int
	demand *demand
}

// In epoll events, descriptors of the worker's own have these numbers, links theirs from 0 on.
const (
	bellEvent  = -1
	clockEvent = -2
)

// cutDelay is how long Ctrl-C waits for statements to end after they were cancelled; as in the portable driver.
const cutDelay = 2 * time.Second

// soloTimeout ends a blocking read now and then; that it is set lets signals interrupt the read.
const soloTimeout = 250 * time.Millisecond

func newWorker(v *rawVisit, number int) (w *worker, err error) {
	w = &worker{v: v, number: number, rec: v.recs[number], ep: -1, clock: -1, bell: -1, buf: make([]byte, 64<<10), events: make([]unix.EpollEvent, 128)}
	if w.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return w, fmt.Errorf("epoll_create: %w", err)
	}
	if w.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return w, fmt.Errorf("eventfd: %w", err)
	}
	if w.clock, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return w, fmt.Errorf("timerfd_create: %w", err)
	}
	return w, nil
}

// register tells epoll what to watch.
func (w *worker) register() error {
	if len(w.links) == 1 && w.v.gate == nil {
		w.solo = w.links[0]
	}
	for fd, number := range map[int]int32{w.bell: bellEvent, w.clock: clockEvent} {
		if err := unix.EpollCtl(w.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: number}); err != nil {
			return fmt.Errorf("epoll_ctl: %w", err)
		}
	}
	for _, l := range w.links {
		if err := w.add(l); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) add(l *link) error {
	if w.solo != nil {
		pause := unix.NsecToTimeval(soloTimeout.Nanoseconds())
		return unix.SetsockoptTimeval(l.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &pause)
	}
	return w.control(unix.EPOLL_CTL_ADD, l, unix.EPOLLIN)
}

func (w *worker) control(op int, l *link, events uint32) error {
	for i, other := range w.links {
		if other == l {
			if err := unix.EpollCtl(w.ep, op, l.fd, &unix.EpollEvent{Events: events, Fd: int32(i)}); err != nil {
				return fmt.Errorf("epoll_ctl: %w", err)
			}
		}
	}
	return nil
}

// watchOut asks to be told, or no longer, when a socket's buffer has room.
func (w *worker) watchOut(l *link, on bool) {
	if l.wantOut = on; w.solo != nil {
		return
	}
	events := uint32(unix.EPOLLIN)
	if on {
		events |= unix.EPOLLOUT
	}
	if err := w.control(unix.EPOLL_CTL_MOD, l, events); err != nil {
		w.fault(err)
	}
}

// forget drops a link that is about to be closed from the free ones and from the timers.
func (w *worker) forget(l *link) {
	l.seq++
	if w.v.gate != nil {
		w.v.gate.remove(l)
	}
}

func (w *worker) close() {
	for _, fd := range []int{w.ep, w.clock, w.bell} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// fault ends the visit for a system call that should not have failed.
func (w *worker) fault(err error) {
	if w.err == nil {
		w.err = err
	}
	w.v.interrupt()
}

// run drives the worker's connections until the visit is over and all of them are out of their transactions.
func (w *worker) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer pin(w.number)()
	now := w.v.since()
	if w.v.gate == nil {
		for _, l := range w.links {
			w.onward(l, l.own, now)
		}
	}
	for _, c := range w.callers {
		w.want(c, now)
	}
	for {
		now = w.v.since()
		w.window = w.v.win.holds(now)
		w.due(now)
		if w.rang {
			w.read()
		}
		if w.v.cut.Load() {
			w.cutOff(now)
		}
		if w.v.over(now) && w.busy == 0 && w.mending == 0 {
			return
		}
		w.wait(now)
	}
}

// due does what the clock asks for.
func (w *worker) due(now time.Duration) {
	for len(w.timers) > 0 && w.timers[0].at <= now {
		t := w.timers.pop()
		switch {
		case t.c != nil:
			w.ask(t.c, now)
		case t.seq != t.l.seq:
		case t.l.sleeping:
			t.l.sleeping = false
			t.l.proceed()
		case t.l.state == idle && !w.v.over(now):
			d := t.l.startNext
			if d.c == nil { // after a think time: asked for now
				d = demand{c: t.l.own, intended: now, asked: now}
			}
			t.l.begin(d.c, d, now)
		}
	}
	if g := w.v.gate; g != nil && g.arrivals != nil && w.number == 0 {
		w.arrivals(g, now)
	}
}

// arrivals starts what has come due in an open loop.
func (w *worker) arrivals(g *gate, now time.Duration) {
	for !w.v.over(now) {
		l, d, at, ok := g.arrive(now)
		if w.arrival = at; !ok || l == nil {
			return
		}
		w.serve(l, d, now)
	}
}

// serve lets a free link begin, here or in the worker that it belongs to.
func (w *worker) serve(l *link, d demand, now time.Duration) {
	if l.w != w {
		l.w.post(note{l: l, demand: &d})
		return
	}
	w.start(l, d, now)
}

// start begins a transaction on a free link. One whose last transaction never talked to the server starts by the clock,
// so that the others get their turn.
func (w *worker) start(l *link, d demand, now time.Duration) {
	if d.c == nil {
		d.c = l.own
	}
	if l.state != idle { // it was lost meanwhile
		w.missed(d, now)
		return
	}
	if !l.talked {
		l.startNext = d
		w.at(now, l)
		return
	}
	l.begin(d.c, d, now)
}

// missed is a demand whose connection was lost before it began: a caller asks again, an arrival has failed.
func (w *worker) missed(d demand, now time.Duration) {
	if w.v.load.Rate == 0 {
		w.ask(d.c, now)
		return
	}
	w.rec.add(outcome{op: d.c.pick(), intended: d.intended, asked: d.asked, got: now, done: now, tries: 1, failed: true, code: "connection", message: errClosed.Error()})
}

// counted adds bytes that passed inside the window.
func (w *worker) counted(to *int64, n int) {
	if w.window {
		*to += int64(n)
	}
}

// at sets the timer of a link.
func (w *worker) at(when time.Duration, l *link) {
	l.seq++
	w.timers.push(timer{at: when, l: l, seq: l.seq})
}

// onward is what follows when a link is free: its caller's next transaction, or somebody else's.
func (w *worker) onward(l *link, c *caller, now time.Duration) {
	if w.v.gate == nil {
		w.goOn(l, c, now)
		return
	}
	w.parted(l, c, now)
	if w.v.over(now) {
		return
	}
	d, ok, wake := w.v.gate.release(l, now)
	if ok {
		w.start(l, d, now)
	} else if wake {
		ring(w.v.workers[0].bell)
	}
}

// parted lets the caller of a shared connection go on without it.
func (w *worker) parted(l *link, c *caller, now time.Duration) {
	if w.v.gate == nil || w.v.load.Rate > 0 || c == nil || l.c != c {
		return
	}
	l.c = nil
	c.done++
	w.want(c, now)
}

// goOn is the next transaction of a caller with a connection of its own.
func (w *worker) goOn(l *link, c *caller, now time.Duration) {
	if l.c != nil {
		c.done++
	}
	if c.enough() {
		l.c = nil
		w.v.retire(c)
		return
	}
	switch {
	case w.v.over(now):
	case w.v.load.Think > 0:
		l.startNext = demand{}
		w.at(min(now+c.think(), w.v.win.until), l)
	default:
		w.start(l, demand{c: c, intended: now, asked: now}, now)
	}
}

// want is the next transaction of a caller that shares the pool.
func (w *worker) want(c *caller, now time.Duration) {
	if c.enough() {
		w.v.retire(c)
		return
	}
	if w.v.load.Think > 0 {
		w.timers.push(timer{at: now + c.think(), c: c})
		return
	}
	w.ask(c, now)
}

func (w *worker) ask(c *caller, now time.Duration) {
	if w.v.over(now) {
		return
	}
	d := demand{c: c, intended: now, asked: now}
	if l := w.v.gate.ask(d); l != nil {
		w.serve(l, d, now)
	}
}

// post leaves a note and rings the bell.
func (w *worker) post(n note) {
	w.mu.Lock()
	w.notes = append(w.notes, n)
	w.mu.Unlock()
	ring(w.bell)
}

// read takes the notes.
func (w *worker) read() {
	w.rang = false
	w.mu.Lock()
	w.notes, w.spare = w.spare[:0], w.notes
	w.mu.Unlock()
	for _, n := range w.spare {
		if n.demand == nil {
			n.l.mended(n)
			continue
		}
		now := w.v.since()
		if !w.v.over(now) {
			w.start(n.l, *n.demand, now)
		} else if w.v.load.Rate > 0 && w.v.win.holds(n.demand.intended) {
			w.rec.unserved++
		}
	}
}

// cutOff ends what is under way after Ctrl-C: statements are cancelled, sleeps end, and after a while the connections
// that do not answer are closed.
func (w *worker) cutOff(now time.Duration) {
	if !w.cutting {
		w.cutting, w.giveUp = true, now+cutDelay
		var pgs []*pgconn.PgConn
		for _, l := range w.links {
			switch {
			case l.state != busy:
			case l.sleeping:
				l.sleeping = false
				l.seq++
				l.fail(errCut)
			default:
				pgs = append(pgs, l.pg)
			}
		}
		w.v.cancel(pgs)
		w.timers.push(timer{at: w.giveUp, l: w.links[0], seq: ^uint32(0)})
		return
	}
	if now >= w.giveUp {
		for _, l := range w.links {
			if l.state == busy {
				l.lose(errCut)
			}
		}
	}
}

// cancel asks the server to end statements, from a goroutine.
func (v *rawVisit) cancel(pgs []*pgconn.PgConn) {
	if len(pgs) == 0 {
		return
	}
	v.mends.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cutDelay)
		defer cancel()
		for _, pg := range pgs {
			_ = pg.CancelRequest(ctx)
		}
	})
}

// wait takes what came, and sleeps until something comes.
func (w *worker) wait(now time.Duration) {
	if l := w.solo; l != nil && l.state == busy && l.waiting > 0 {
		w.waitSolo(l)
		return
	}
	n, e := poll(w.ep, w.events, w.arm(now))
	if e != 0 && e != syscall.EINTR {
		w.fault(fmt.Errorf("epoll_wait: %w", e))
		return
	}
	for _, ev := range w.events[:max(0, n)] {
		switch ev.Fd {
		case bellEvent:
			drain(w.bell)
			w.rang = true
		case clockEvent:
			drain(w.clock)
			w.armed = 0
		default:
			l := w.links[ev.Fd]
			if ev.Events&unix.EPOLLOUT != 0 {
				l.flush()
			}
			if ev.Events&^unix.EPOLLOUT != 0 {
				w.receive(l)
			}
		}
	}
}

// arm sets the clock to the next thing to do by time; false says that it is due already.
func (w *worker) arm(now time.Duration) bool {
	next := w.arrival
	if w.v.over(now) { // nothing arrives any more: what is left is to wait for the answers
		next = 0
	}
	if len(w.timers) > 0 && (next == 0 || w.timers[0].at < next) {
		next = w.timers[0].at
	}
	if !w.v.over(now) && (next == 0 || w.v.win.until < next) {
		next = w.v.win.until
	}
	if next == 0 || next == w.armed {
		return true
	}
	left := next - w.v.since()
	if left <= 0 {
		return false
	}
	setTimer(w.clock, left)
	w.armed = next
	return true
}

// receive reads what a link has.
func (w *worker) receive(l *link) {
	for l.state == idle || l.state == busy {
		n, e := receive(l.fd, w.buf)
		if !w.got(l, n, e) || n < len(w.buf) {
			return
		}
	}
}

// waitSolo waits for the answer in the read itself.
func (w *worker) waitSolo(l *link) {
	if l.wantOut {
		fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN | unix.POLLOUT}, {Fd: int32(w.bell), Events: unix.POLLIN}}
		_, _ = unix.Poll(fds, 1000)
		if fds[0].Revents&unix.POLLOUT != 0 {
			l.flush()
		}
		w.receive(l)
		return
	}
	if w.cutting { // the answer to a cancelled statement, but not for ever
		fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
		_, _ = unix.Poll(fds, int(cutDelay.Milliseconds()))
		w.receive(l)
		return
	}
	n, e := await(l.fd, w.buf)
	w.got(l, n, e)
}

// got handles the outcome of a read; false says that there is no more.
func (w *worker) got(l *link, n int, e syscall.Errno) bool {
	switch {
	case e == syscall.EINTR:
		return true
	case e == syscall.EAGAIN:
		return false
	case e != 0:
		l.lose(fmt.Errorf("reading from the server: %w", e))
		return false
	case n == 0:
		l.lose(errClosed)
		return false
	}
	l.take(w.buf[:n])
	return true
}

var errClosed = fmt.Errorf("the server closed the connection")

// pin keeps this thread on one processor, of those it may use, and returns what undoes it: threads that wander over a
// small machine fall into a slow mode (measured: README, Performance).
func pin(number int) (undo func()) {
	var all unix.CPUSet
	if unix.SchedGetaffinity(0, &all) != nil || all.Count() < 2 {
		return func() {}
	}
	left := number % all.Count()
	for cpu := 0; cpu < 1024; cpu++ {
		if !all.IsSet(cpu) {
			continue
		}
		if left == 0 {
			var one unix.CPUSet
			one.Set(cpu)
			_ = unix.SchedSetaffinity(0, &one)
			break
		}
		left--
	}
	return func() { _ = unix.SchedSetaffinity(0, &all) }
}
