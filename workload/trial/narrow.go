package trial

import "time"

// Narrowed is how a scenario with long statements is visited instead.
type Narrowed struct {
	Pool    int
	Measure time.Duration
}

// generations is how many transactions of each connection a visit has to hold, and leastDone how many in all: with fewer,
// how many end within it is chance, and so is which of a scenario's kinds they are. With ten analytic transactions a visit,
// pairs of visits to one server differed by 76 %.
const (
	generations = 5
	leastDone   = 50
)

// narrow finds connections and length of the visits to a scenario that makes done transactions in a time with pool
// connections. Where a visit holds too few of them it takes fewer connections, two at least, since in a closed loop they
// only wait for each other, and lasts as long as it has to, up to ten times the planned time.
func narrow(pool int, measure time.Duration, done int64, elapsed time.Duration) (Narrowed, bool) {
	each := elapsed / time.Duration(max(1, done)) // between two ends
	hold := time.Duration(pool) * each
	if generations*hold <= measure && leastDone*each <= measure {
		return Narrowed{}, false
	}
	n := min(pool, max(2, int(measure/(generations*max(each, 1)))))
	return Narrowed{Pool: n, Measure: min(max(measure, generations*time.Duration(n)*each, leastDone*each), 10*measure)}, true
}

// scope is how a scenario is visited.
func (r *Runner) scope(name string) (pool int, measure time.Duration) {
	if n, ok := r.Narrowed[name]; ok {
		return n.Pool, n.Measure
	}
	return r.Pool, r.Measure
}

// took notes how long a transaction of a scenario takes on the slower side; where none was finished, longer than was waited.
// The first warm-up of all decides whether the scenario is narrowed, and every later visit keeps to that.
func (r *Runner) took(name string, done int64, elapsed time.Duration) {
	pool, measure := r.scope(name)
	if !r.decided[name] {
		if r.decided == nil {
			r.decided = map[string]bool{}
		}
		r.decided[name] = true
		if n, ok := narrow(pool, measure, done, elapsed); ok {
			if r.Narrowed == nil {
				r.Narrowed = map[string]Narrowed{}
			}
			r.Narrowed[name] = n
		}
	}
	now, _ := r.scope(name)
	mean := time.Duration(now) * elapsed / time.Duration(max(1, done))
	r.mean[name] = max(r.mean[name], mean)
}
