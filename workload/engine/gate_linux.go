package engine

import (
	"sync"
	"time"
)

// gate is the pool of a visit in which more want connections than there are, or in which arrivals come by the clock:
// callers wait first come, first served, whichever worker their connection belongs to. A closed loop with a connection
// for each caller needs none.
type gate struct {
	mu      sync.Mutex
	free    []*link  // last in, first out: the warmest connection serves
	waiting []demand // a ring of callers, oldest at first
	first   int
	queued  int

	arrivals *arrivals // open loop, else nil
	next     time.Duration
	until    time.Duration
	armed    bool // the first worker has a timer for next
}

func newGate(v *visit) *gate {
	g := &gate{free: make([]*link, 0, v.load.Pool), until: v.win.until}
	if v.load.Rate > 0 {
		g.arrivals = v.arrivals()
		g.next = g.arrivals.next()
		return g
	}
	g.waiting = make([]demand, v.load.Callers)
	return g
}

// release hands a free connection to whoever has waited longest, if anybody has. When nobody has and an open loop's
// worker sleeps without a timer, it has to be woken.
func (g *gate) release(l *link, now time.Duration) (d demand, ok, wake bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d, ok = g.take(now); ok {
		if g.arrivals != nil && len(g.free) > 0 {
			d.asked = now
		}
		return d, true, false
	}
	g.free = append(g.free, l)
	return d, false, g.arrivals != nil && !g.armed
}

// take is the demand that is first in line at a time.
func (g *gate) take(now time.Duration) (d demand, ok bool) {
	if g.arrivals != nil {
		if g.next > now || g.next >= g.until {
			return d, false
		}
		d = demand{intended: g.next, asked: g.next}
		g.next = g.arrivals.next()
		return d, true
	}
	if g.queued == 0 {
		return d, false
	}
	d = g.waiting[g.first]
	g.first, g.queued = (g.first+1)%len(g.waiting), g.queued-1
	return d, true
}

// ask gives a caller a free connection, or puts it in line.
func (g *gate) ask(d demand) *link {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.pop(); l != nil {
		return l
	}
	g.waiting[(g.first+g.queued)%len(g.waiting)] = d
	g.queued++
	return nil
}

// arrive pairs the arrival that is due with a free connection: it asks for one now, since what it is late by is the
// generator's doing and not the pool's. Otherwise it says when to look again; ok is false when the
// next release will see to it.
func (g *gate) arrive(now time.Duration) (l *link, d demand, at time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = g.next > now && g.next < g.until
	if g.armed {
		return nil, d, g.next, true
	}
	if len(g.free) == 0 {
		return nil, d, 0, false
	}
	if d, ok = g.take(now); !ok {
		return nil, d, 0, false // the last arrival of the visit has been
	}
	d.asked = now
	return g.pop(), d, 0, true
}

func (g *gate) pop() *link {
	n := len(g.free)
	if n == 0 {
		return nil
	}
	l := g.free[n-1]
	g.free = g.free[:n-1]
	return l
}

// remove takes a connection that was lost out of the free ones; false says that somebody has it already.
func (g *gate) remove(l *link) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, f := range g.free {
		if f == l {
			g.free = append(g.free[:i], g.free[i+1:]...)
			return true
		}
	}
	return false
}

// unserved counts what was due inside the window before end and never began.
func (g *gate) unserved(win window, end time.Duration) (n int64) {
	if g.arrivals == nil {
		return 0
	}
	for ; g.next < min(end, win.until); g.next = g.arrivals.next() {
		if win.holds(g.next) {
			n++
		}
	}
	return n
}
