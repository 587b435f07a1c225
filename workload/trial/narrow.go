package trial

import (
	"time"

	"pgfit/workload/rundoc"
)

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
func narrow(pool int, measure time.Duration, done int64, elapsed time.Duration) (fewer int, longer time.Duration, ok bool) {
	each := elapsed / time.Duration(max(1, done)) // between two ends
	hold := time.Duration(pool) * each
	if generations*hold <= measure && leastDone*each <= measure {
		return pool, measure, false
	}
	n := min(pool, max(2, int(measure/(generations*max(each, 1)))))
	return n, min(max(measure, generations*time.Duration(n)*each, leastDone*each), 10*measure), true
}

// scope is how a scenario is visited.
func (r *Runner) scope(name string) (pool int, measure time.Duration) {
	for _, s := range r.Narrowed {
		if s.Scenario == name {
			return s.MostPool, time.Duration(s.MeasureSeconds * float64(time.Second))
		}
	}
	return r.Pool, r.Measure
}

// took notes how long a transaction of a scenario takes on the slower side; where none was finished, longer than was waited.
// The first warm-up of all decides whether the scenario is narrowed, and every later visit keeps to that.
func (r *Runner) took(name string, done int64, elapsed time.Duration) {
	pool, measure := r.scope(name)
	if !r.decided[name] {
		r.decided[name] = true
		if fewer, longer, ok := narrow(pool, measure, done, elapsed); ok {
			r.Narrowed = append(r.Narrowed, rundoc.Scope{Scenario: name, MostPool: fewer, MeasureSeconds: longer.Seconds()})
			pool = fewer
		}
	}
	mean := time.Duration(pool) * elapsed / time.Duration(max(1, done))
	r.mean[name] = max(r.mean[name], mean)
}
