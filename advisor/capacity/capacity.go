// Package capacity turns the visits of a sweep into capacity curves: what each pool size delivered, which one is chosen,
// which law describes the curve, and what the data cannot carry. It decides on measured pool sizes alone; the law explains
// and interpolates.
package capacity

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sort"

	"pgfit/advisor"
	"pgfit/advisor/queue"
	"pgfit/advisor/usl"
	"pgfit/workload/rundoc"
)

// Level is what one pool size delivered under one scenario. Times are in seconds, latencies those of the closed loop:
// service time of the database, no user's latency.
type Level struct {
	Pool        int          `json:"pool_size"`
	Visits      int          `json:"visits"`
	TPS         float64      `json:"tps"`                   // geometric mean over visits
	TPSInterval usl.Interval `json:"tps_interval,omitzero"` // left out where it is not known: of one visit, or beyond ±100 %
	Ratio       float64      `json:"ratio_to_best"`
	Good        bool         `json:"as_good_as_best"` // delivers 97 % of the best, and surely 95 %: see AsGood
	Service     float64      `json:"mean_service_seconds"`
	Wait        float64      `json:"mean_wait_seconds"`
	P50         float64      `json:"service_p50_seconds"`
	P95         float64      `json:"service_p95_seconds"`
	P99         float64      `json:"service_p99_seconds"` // 0 where there are too few operations to say
	// The intervals are over rounds, of a single visit by order statistics; 0 where they cannot be told.
	P50Interval usl.Interval `json:"service_p50_interval,omitzero"`
	P95Interval usl.Interval `json:"service_p95_interval,omitzero"`
	P99Interval usl.Interval `json:"service_p99_interval,omitzero"`
	Failed      int64        `json:"failed"`
	ClientCPU   float64      `json:"client_cpu_share"`
	Busy        float64      `json:"mean_busy"`
	WALRate     float64      `json:"wal_bytes_per_second"`
	Marks       []string     `json:"marks,omitempty"`
	// Absolute is the interval of the throughput itself: what whole rounds differ is in it, unlike in TPSInterval.
	Absolute usl.Interval `json:"tps_interval_absolute,omitzero"`
	// Times are service times in seconds at Shares, from the merged histograms.
	Times []float64 `json:"-"`
}

// Capacity is one scenario's curve.
type Capacity struct {
	Scenario string  `json:"scenario"`
	Levels   []Level `json:"levels"`
	// Unfinished are pool sizes that are neither chosen nor fitted, since nothing was finished in some visit.
	Unfinished []Level `json:"unfinished,omitempty"`
	Best       int     `json:"best_pool_size"`
	Chosen     int     `json:"chosen_pool_size"`  // the smallest that is as good as the best: see choose
	Hold       float64 `json:"hold_seconds"`      // mean time a transaction holds its connection, at the chosen size
	CV2        float64 `json:"hold_cv2"`          // its squared coefficient of variation
	Idle       float64 `json:"hold_seconds_idle"` // the same at the smallest pool size: the query time without contention
	Fit        *Fit    `json:"fit,omitempty"`
	// Precision is what the sweep reached.
	Precision Precision `json:"precision"`

	grid   []float64    // X at whole numbers of connections, from 0
	replay queue.Replay // throughput over the mean of its pool size, by visit, around the chosen one
}

// Unsteady is what callers who come at a rate, in 1/s, wait for n connections because the server is not steady, when free of
// those are idle in the mean; with none, what they wait for the server's work. The visits to pool sizes around the chosen one,
// half to twice as many, show how steady it is.
func (c Capacity) Unsteady(rate, n, free float64) queue.Backlog {
	return c.replay.Unsteady(rate, c.Throughput(n), free)
}

// UnsteadyEach is the mean of what Unsteady says for each visit by itself.
func (c Capacity) UnsteadyEach(rate, n, free float64) []float64 {
	return c.replay.Each(rate, c.Throughput(n), free)
}

// Lengths in seconds of the stretches of rundoc.Visit.Bins and Fine. Unsteady goes through the finest stretches that hold
// leastInStretch transactions in the mean: a standstill of 30 ms hides in 100 ms, while in a stretch with few transactions
// it is chance how many end there.
const (
	binStep        = 0.1
	fineStep       = 0.01
	leastInStretch = 100
)

// trace fills replay.
func (c *Capacity) trace(byPool map[int][]rundoc.Visit) {
	fine, k := true, math.Ceil(leastInStretch/(c.At(c.Chosen).TPS*fineStep))
	for _, l := range c.Levels {
		for _, v := range byPool[l.Pool] {
			fine = fine && v.Fine != nil
		}
	}
	if c.replay.Step = binStep; fine && k < binStep/fineStep {
		c.replay.Step = k * fineStep
	}
	for _, l := range c.Levels {
		if 2*l.Pool >= c.Chosen && l.Pool <= 2*c.Chosen {
			for _, v := range byPool[l.Pool] {
				c.follow(v, l.TPS)
			}
		}
	}
}

// follow adds a visit's stretches, over a mean throughput. The last one may be cut short and is left out.
func (c *Capacity) follow(v rundoc.Visit, mean float64) {
	bins, each := v.Bins, 1
	switch {
	case c.replay.Step == 0: // it was not traced
		return
	case c.replay.Step < binStep:
		bins, each = v.Fine, int(math.Round(c.replay.Step/fineStep))
	}
	whole := int(v.Seconds/c.replay.Step + 0.01)
	if whole*each > len(bins) {
		return
	}
	relative := make([]float64, whole)
	for i := range relative {
		for _, n := range bins[i*each : (i+1)*each] {
			relative[i] += float64(n) / c.replay.Step / mean
		}
	}
	c.replay.Traces = append(c.replay.Traces, relative)
}

// Since is the curve at the speed of visits in a closed loop that were made after the sweep, at any pool sizes: as much
// faster or slower throughout as they are in the geometric mean, which is the factor that comes with it, 1 without any. What
// Unsteady goes through are visits by themselves, as the ones are that the curve is held against: these alone where they last
// as long as those of the sweep, else all of them.
func (c Capacity) Since(visits []rundoc.Visit) (Capacity, float64) {
	sum, n := 0.0, 0.0
	for _, v := range visits {
		if x := c.Throughput(float64(v.PoolSize)); v.TPS > 0 && x > 0 {
			sum, n = sum+math.Log(v.TPS/x), n+1
		}
	}
	if n == 0 {
		return c, 1
	}
	factor := math.Exp(sum / n)
	s := c.Scaled(factor)
	s.replay.Traces, s.replay.Apart = nil, true
	for _, v := range visits {
		if x := s.Throughput(float64(v.PoolSize)); x > 0 {
			s.follow(v, x)
		}
	}
	if s.replay.Seconds() < c.replay.Seconds() {
		s.replay.Traces = slices.Concat(c.replay.Traces, s.replay.Traces)
	}
	return s, factor
}

// Carries is the throughput in 1/s that the chosen pool size surely delivers: the lower end of its interval over rounds as
// they were, or the mean where there is none.
func (c Capacity) Carries() float64 {
	l := c.At(c.Chosen)
	return cmp.Or(l.Absolute.Low, l.TPS)
}

// Known tells whether throughput at n connections is measured, or can be told from what was.
func (c Capacity) Known(n float64) bool {
	if n < float64(c.Levels[0].Pool) || n > float64(c.Levels[len(c.Levels)-1].Pool) {
		return false
	}
	return c.Fit == nil || !c.Fit.Rough || n == math.Trunc(n) && c.At(int(n)).Pool > 0
}

// At is the level of a pool size, or the zero value.
func (c Capacity) At(pool int) Level {
	for _, l := range c.Levels {
		if l.Pool == pool {
			return l
		}
	}
	return Level{}
}

// Throughput is X(n) in 1/s, read off the measured levels along the law that counts, so that at a measured pool size it is
// the measured figure; without a law, or where none fits, in straight lines of ln X over ln n. Beyond the largest level it
// stays there.
func (c Capacity) Throughput(n float64) float64 {
	if n < 0 || len(c.Levels) == 0 {
		return 0
	}
	if c.grid == nil {
		return c.read(n)
	}
	whole := int(math.Min(n, float64(len(c.grid)-1)))
	if n == float64(whole) || whole == len(c.grid)-1 {
		return c.grid[whole]
	}
	if whole == 0 {
		return n * c.grid[1]
	}
	// The latency n/X(n) is the straighter of the two.
	share := n - float64(whole)
	return n / ((1-share)*float64(whole)/c.grid[whole] + share*float64(whole+1)/c.grid[whole+1])
}

// read is Throughput without the table.
func (c Capacity) read(n float64) float64 {
	var law func(float64) float64
	levels := make([]queue.Level, 0, len(c.Levels))
	for _, l := range c.Levels {
		levels = append(levels, queue.Level{N: float64(l.Pool), LogX: math.Log(l.TPS)})
	}
	if c.Fit != nil && !c.Fit.Straight {
		law = c.Fit.Throughput
	}
	if c.Fit != nil && c.Fit.WithoutOne && n < 2 {
		law = nil
	}
	return between(levels, law, n)
}

// tabulate fills the table that Throughput looks up.
func (c *Capacity) tabulate() {
	grid := make([]float64, c.Levels[len(c.Levels)-1].Pool+1)
	for n := range grid {
		grid[n] = c.read(float64(n))
	}
	c.grid = grid
}

// Scaled is the curve with every throughput times factor, for the ends of an interval.
func (c Capacity) Scaled(factor float64) Capacity {
	s := c
	s.Levels, s.grid, s.Fit = slices.Clone(c.Levels), slices.Clone(c.grid), nil
	for i := range s.Levels {
		s.Levels[i].TPS *= factor
	}
	for i := range s.grid {
		s.grid[i] *= factor
	}
	return s
}

// Analyse makes the curve of every scenario in the plan's order, with the findings about it. The same document gives the
// same result.
func Analyse(doc *rundoc.Document) ([]Capacity, []advisor.Finding) {
	var curves []Capacity
	var findings []advisor.Finding
	for _, name := range doc.Plan.Scenarios {
		visits, apart := sweepVisits(doc, name)
		findings = append(findings, nothingDone(name, apart, len(visits) > 0)...)
		if len(visits) == 0 {
			continue
		}
		c := curve(name, visits)
		byPool := byPoolSize(visits)
		for i := range c.Levels {
			c.Levels[i].latencies(byPool[c.Levels[i].Pool])
		}
		if _, long := doc.Plan.Scope(name); !long { // a few transactions one after the other are no stream
			c.trace(byPool)
		}
		c.Unfinished = unfinished(apart)
		findings = append(findings, c.fit(visits, doc.Plan.Seed)...)
		c.tabulate()
		c.reached(byPool, doc.Plan.PromisePercent)
		findings = append(findings, c.missed()...)
		curves, findings = append(curves, c), append(findings, doubts(c, visits)...)
	}
	return curves, slices.Concat(findings, coldStarts(doc.Plan), sameHost(doc))
}

// Doubts are the findings about the visits alone, without a law.
func Doubts(doc *rundoc.Document) []advisor.Finding {
	var out []advisor.Finding
	for _, name := range doc.Plan.Scenarios {
		visits, apart := sweepVisits(doc, name)
		out = append(out, nothingDone(name, apart, len(visits) > 0)...)
		if len(visits) > 0 {
			out = append(out, doubts(curve(name, visits), visits)...)
		}
	}
	return append(out, coldStarts(doc.Plan)...)
}

// Dropped tells whether a visit belongs to a first round that differed from the others and is set aside.
func Dropped(v rundoc.Visit) bool {
	return marked(v, rundoc.FirstRound)
}

// curve is the curve without a law and without latencies.
func curve(name string, visits []rundoc.Visit) Capacity {
	c := Capacity{Scenario: name}
	byPool := byPoolSize(visits)
	pools := slices.Sorted(maps.Keys(byPool))
	effects := roundEffects(visits)
	for _, pool := range pools {
		c.Levels = append(c.Levels, level(pool, byPool[pool], effects))
	}
	c.choose(byPool)
	c.Hold, c.CV2 = hold(byPool[c.Chosen])
	c.Idle, _ = hold(byPool[pools[0]])
	return c
}

// byPoolSize are the visits of each pool size, in the order of the rounds.
func byPoolSize(visits []rundoc.Visit) map[int][]rundoc.Visit {
	byPool := map[int][]rundoc.Visit{}
	for _, v := range visits {
		byPool[v.PoolSize] = append(byPool[v.PoolSize], v)
	}
	for _, at := range byPool {
		sort.Slice(at, func(i, j int) bool { return at[i].Round < at[j].Round })
	}
	return byPool
}

// AsGood is the share of the best throughput that counts as all of it, as measured; Surely is what it has to be at least, by
// its one-sided lower bound at 0.05/(L-1). The first alone would follow the noise, the second alone give away up to 5 % on a
// quiet machine.
const (
	AsGood = 0.97
	Surely = 0.95
)

// choose finds the best pool size, and the smallest one that is as good. A pool size that was added late has too few visits
// for a ratio: were it the best, nothing could be held against it, and it would be chosen for a single fast visit.
func (c *Capacity) choose(byPool map[int][]rundoc.Visit) {
	enough := 0
	for _, l := range c.Levels {
		enough = min(max(enough, l.Visits), leastPairs)
	}
	best := -1
	for i, l := range c.Levels {
		if l.Visits >= enough && (best < 0 || l.TPS > c.Levels[best].TPS) {
			best = i
		}
	}
	c.Best, c.Chosen = c.Levels[best].Pool, c.Levels[best].Pool
	alpha := 0.05 / float64(max(1, len(c.Levels)-1))
	for i := range c.Levels {
		l := &c.Levels[i]
		l.Ratio = l.TPS / c.Levels[best].TPS
		l.Good = i == best || l.Ratio >= AsGood && lowerBound(byPool[l.Pool], byPool[c.Best], alpha) > Surely
		if l.Good {
			c.Chosen = min(c.Chosen, l.Pool)
		}
	}
}

// hold is the mean time that a transaction holds its connection and its squared coefficient of variation.
func hold(visits []rundoc.Visit) (mean, cv2 float64) {
	var n, sum, sum2 float64
	for _, v := range visits {
		for _, o := range v.Ops {
			k := float64(o.Count)
			n, sum, sum2 = n+k, sum+k*o.MeanService, sum2+k*(o.M2Service+o.MeanService*o.MeanService)
		}
	}
	if n == 0 || sum == 0 {
		return 0, 0
	}
	mean = sum / n
	cv2 = sum2/n/(mean*mean) - 1
	if math.IsNaN(cv2) || cv2 > far {
		return mean, 1 // no figures that a server gives; as if exponential
	}
	return mean, math.Max(0, cv2)
}
