package diskbench

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"pgfit/probe"
)

// task is one kind of request, kept up at a depth for a time.
type task struct {
	write  bool
	block  int
	depth  int
	next   func() int64 // where the next request goes
	warmup time.Duration
	length time.Duration // after the warm-up
	most   int           // requests at most, 0 for no bound
}

// result is what was measured of a task: requests that began after the warm-up.
type result struct {
	count   int
	elapsed time.Duration
	latency []time.Duration
}

func (r result) rate() float64 {
	if r.elapsed <= 0 {
		return 0
	}
	return float64(r.count) / r.elapsed.Seconds()
}

func (r result) mean() float64 {
	var sum time.Duration
	for _, l := range r.latency {
		sum += l
	}
	return sum.Seconds() / float64(max(1, len(r.latency)))
}

// quantile is the smallest latency that a share q of the requests did not exceed, in seconds.
func (r result) quantile(q float64) float64 {
	if len(r.latency) == 0 {
		return 0
	}
	sorted := slices.Clone(r.latency)
	slices.Sort(sorted)
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Seconds()
}

// meter takes the rounds.
type meter struct {
	f    *file
	end  time.Time // of everything
	left int       // measurements still to come
	rng  *rand.Rand

	random                     [6][]result
	seqRead, seqWrite          []float64 // bytes a second
	buffered8, buffered128     []float64
	fdatasync                  []result
	lastBuffered, lastSequence int64
}

// shortest is the time that a measurement gets even when those before it took too long.
const shortest = 30 * time.Millisecond

// step is how long the next measurement may take: its share of what is left, so that one that dragged on shortens the
// others and not the whole.
func (m *meter) step() time.Duration {
	share := time.Until(m.end) / time.Duration(max(1, m.left))
	m.left--
	return max(share, shortest)
}

// measure takes the rounds, of everything or of writes alone.
func (m *meter) measure(ctx context.Context, writes bool, b *probe.DiskBench) error {
	for range rounds {
		if !writes {
			if err := m.reads(ctx); err != nil {
				return err
			}
		}
		rate, err := m.writes(ctx)
		if err != nil {
			return err
		}
		m.seqWrite = append(m.seqWrite, rate)
		sync, err := m.f.syncs(ctx, m.step())
		if err != nil {
			return err
		}
		m.fdatasync = append(m.fdatasync, sync)
		b.Rounds++
	}
	if writes {
		return nil
	}
	return m.again(ctx, b)
}

// reads measures every kind once, in the same order: what drifts meets every kind alike.
func (m *meter) reads(ctx context.Context) error {
	for i, depth := range depths {
		step := m.step()
		r, err := m.f.run(ctx, task{block: page, depth: depth, next: m.anywhere(page), warmup: step / 5, length: step * 4 / 5})
		if err != nil {
			return err
		}
		m.random[i] = append(m.random[i], r)
	}
	step := m.step()
	r, err := m.f.run(ctx, task{block: large, depth: 4, next: m.onwards(large), warmup: step / 5, length: step * 4 / 5})
	if err != nil {
		return err
	}
	m.seqRead = append(m.seqRead, r.rate()*large)
	for _, kind := range []struct {
		block int
		to    *[]float64
	}{{page, &m.buffered8}, {128 << 10, &m.buffered128}} {
		rate, err := m.buffered(ctx, kind.block)
		if err != nil {
			return err
		}
		*kind.to = append(*kind.to, rate)
	}
	return nil
}

// anywhere draws blocks at random.
func (m *meter) anywhere(block int) func() int64 {
	n := m.f.size / int64(block)
	return func() int64 { return m.rng.Int64N(n) * int64(block) }
}

// onwards goes through the file from where the last one ended, over and over.
func (m *meter) onwards(block int) func() int64 {
	return func() int64 {
		at := m.lastSequence
		if m.lastSequence += int64(block); m.lastSequence+int64(block) > m.f.size {
			m.lastSequence = 0
		}
		return at
	}
}

// buffered reads through the kernel's cache, emptied before, in requests of one size: the way the server reads a table.
func (m *meter) buffered(ctx context.Context, block int) (float64, error) {
	forget(m.f.cached)
	buf := make([]byte, block)
	begun, bytes, step := time.Now(), 0, m.step()
	for time.Since(begun) < step {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if m.lastBuffered+int64(block) > m.f.size {
			forget(m.f.cached)
			m.lastBuffered = 0
		}
		if _, err := m.f.cached.ReadAt(buf, m.lastBuffered); err != nil {
			return 0, err
		}
		m.lastBuffered += int64(block)
		bytes += block
	}
	return float64(bytes) / time.Since(begun).Seconds(), nil
}

// writes overwrites the file in large requests, four at a time, and counts the time until they are safe.
func (m *meter) writes(ctx context.Context) (float64, error) {
	begun := time.Now()
	r, err := m.f.run(ctx, task{write: true, block: large, depth: 4, next: m.onwards(large), length: m.step() * 4 / 5})
	if err != nil {
		return 0, err
	}
	if err := datasync(m.f.direct); err != nil {
		return 0, err
	}
	return float64(r.count) * large / time.Since(begun).Seconds(), nil
}

// syncs writes pages one after the other through the cache and waits for each to be safe, as the server does with its WAL.
func (f *file) syncs(ctx context.Context, length time.Duration) (r result, err error) {
	buf := make([]byte, page)
	stamp(buf, time.Now().UnixNano())
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begun := time.Now()
	for at := int64(0); time.Since(begun) < length; at = (at + page) % walBytes {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		one := time.Now()
		if err := settle(f.wal, buf, at); err != nil {
			return r, err
		}
		r.latency = append(r.latency, time.Since(one))
		r.count++
	}
	r.elapsed = time.Since(begun)
	return r, nil
}

// cachedGain is how much faster the same blocks come the second time when something below the kernel caches them.
const cachedGain = 0.30

// again reads blocks at depth 1 and then the same ones once more.
func (m *meter) again(ctx context.Context, b *probe.DiskBench) error {
	var seen []int64
	draw := m.anywhere(page)
	first, err := m.f.run(ctx, task{block: page, depth: 1, length: m.step(), next: func() int64 { seen = append(seen, draw()); return seen[len(seen)-1] }})
	if err != nil {
		return err
	}
	i := -1
	second, err := m.f.run(ctx, task{block: page, depth: 1, length: 2 * m.step(), most: first.count, next: func() int64 { i++; return seen[i%len(seen)] }})
	if err != nil {
		return err
	}
	b.FirstP50, b.SecondP50 = first.quantile(0.5), second.quantile(0.5)
	b.CachedBelow = b.SecondP50 < (1-cachedGain)*b.FirstP50
	return nil
}

// fill writes the best round of each kind and how far the rounds lie apart.
func (m *meter) fill(b *probe.DiskBench) {
	b.FileBytes, b.Direct, b.Method = m.f.size, m.f.bypass, method(m.f)
	for i, depth := range depths {
		rs := m.random[i]
		if len(rs) == 0 {
			continue
		}
		best := slices.MaxFunc(rs, func(x, y result) int { return sign(x.rate() - y.rate()) })
		d := probe.DepthRate{Depth: depth, IOPS: best.rate(), Mean: best.mean(), P50: best.quantile(0.5), P99: best.quantile(0.99), Max: best.rate()}
		d.Min = slices.MinFunc(rs, func(x, y result) int { return sign(x.rate() - y.rate()) }).rate()
		b.Random = append(b.Random, d)
		b.Spread = max(b.Spread, apart(d.Min, d.Max))
	}
	for _, kind := range []struct {
		rates []float64
		to    *float64
	}{{m.seqRead, &b.SeqReadRate}, {m.seqWrite, &b.SeqWriteRate}, {m.buffered8, &b.SeqRead8kRate}, {m.buffered128, &b.SeqRead128kRate}} {
		if len(kind.rates) == 0 {
			continue
		}
		*kind.to = slices.Max(kind.rates)
		b.Spread = max(b.Spread, apart(slices.Min(kind.rates), *kind.to))
	}
	best := slices.MaxFunc(m.fdatasync, func(x, y result) int { return sign(x.rate() - y.rate()) })
	b.FdatasyncMean, b.FdatasyncP50, b.FdatasyncP99 = best.mean(), best.quantile(0.5), best.quantile(0.99)
}

// apart is the range of the rounds over the best of them.
func apart(least, most float64) float64 {
	if most <= 0 {
		return 0
	}
	return (most - least) / most
}

func sign(x float64) int {
	switch {
	case x < 0:
		return -1
	case x > 0:
		return 1
	}
	return 0
}
