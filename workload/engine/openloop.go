package engine

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// arrivals gives the intended start times of an open loop, from the start of the visit on.
type arrivals struct {
	rng     *rand.Rand
	gap     float64 // mean, in seconds
	uniform bool
	at      float64
}

func (a *arrivals) next() time.Duration {
	if a.uniform {
		a.at += a.gap
	} else {
		a.at += a.rng.ExpFloat64() * a.gap
	}
	return time.Duration(a.at * float64(time.Second))
}

// most is how many callers an open loop makes at the most: arrivals beyond that wait for one of them, and their wait counts
// from the intended start all the same.
const most = 2000

// openLoop hands arrivals to callers at their times. An arrival that finds every caller busy waits in the queue and is
// served late; nothing is skipped.
func (v *portableVisit) openLoop(ctx context.Context) error {
	queue := make(chan demand, 1<<16)
	var wg sync.WaitGroup
	callers := v.load.Callers
	if callers <= v.load.Pool {
		callers = min(most, v.load.Pool+64)
	}
	var firstErr error
	for i := range callers {
		c, err := v.newCaller(i)
		if err != nil {
			firstErr = err
			break
		}
		wg.Go(func() {
			for d := range queue {
				if v.over(v.since()) {
					if v.win.holds(d.intended) {
						c.rec.mu.Lock()
						c.rec.unserved++
						c.rec.mu.Unlock()
					}
					continue
				}
				v.one(ctx, c, d.intended, d.asked)
			}
		})
	}
	if firstErr == nil {
		v.feed(ctx, queue)
	}
	close(queue)
	wg.Wait()
	return firstErr
}

// feed puts arrivals into the queue when they are due. They ask for a connection when they are put there: what they are late
// by until then is the generator's doing and not the pool's.
func (v *portableVisit) feed(ctx context.Context, queue chan<- demand) {
	a := v.arrivals()
	for at := a.next(); at < v.win.until && !v.stop.Load(); at = a.next() {
		if wait := at - v.since(); wait > 0 {
			v.sleep(ctx, wait)
		}
		select {
		case queue <- demand{intended: at, asked: v.since()}:
		case <-ctx.Done():
			return
		}
	}
}
