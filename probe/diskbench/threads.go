package diskbench

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// threads runs a task with one blocking goroutine for each request in flight. A goroutine in a blocking read keeps its P, so
// there are as many as requests while it runs; else Go's scheduler is what is measured.
func (f *file) threads(ctx context.Context, t task) (result, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(runtime.NumCPU(), t.depth+2)))
	var (
		mu    sync.Mutex
		taken atomic.Int64
		out   result
		first error
		wg    sync.WaitGroup
	)
	from := time.Now().Add(t.warmup)
	until := from.Add(t.length)
	for range t.depth {
		wg.Go(func() {
			r, err := f.worker(ctx, t, &mu, &taken, from, until)
			mu.Lock()
			defer mu.Unlock()
			out.count, out.latency = out.count+r.count, append(out.latency, r.latency...)
			if first == nil {
				first = err
			}
		})
	}
	wg.Wait()
	out.elapsed = time.Since(from)
	return out, first
}

func (f *file) worker(ctx context.Context, t task, mu *sync.Mutex, taken *atomic.Int64, from, until time.Time) (r result, err error) {
	buf, err := aligned(t.block)
	if err != nil {
		return r, err
	}
	defer release(buf)
	if t.write {
		stamp(buf, from.UnixNano())
	}
	for ctx.Err() == nil {
		begun := time.Now()
		if begun.After(until) || t.most > 0 && taken.Add(1) > int64(t.most) {
			return r, nil
		}
		mu.Lock()
		at := t.next()
		mu.Unlock()
		if t.write {
			_, err = f.direct.WriteAt(buf, at)
		} else {
			_, err = f.direct.ReadAt(buf, at)
		}
		if err != nil {
			return r, err
		}
		if begun.After(from) {
			r.count++
			r.latency = append(r.latency, time.Since(begun))
		}
	}
	return r, ctx.Err()
}
