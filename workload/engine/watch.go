package engine

import (
	"context"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// recorderLag measures how late the engine's own timers fire.
type recorderLag struct{ hist *hdrhistogram.Histogram }

// Error storm: over a tenth of the operations for five seconds.
const (
	stormShare   = 0.10
	stormSeconds = 5
)

// watch follows a visit: processor time inside the window, timer lag, progress, error storms. The function it returns ends
// the watch and fills the result.
func (v *visit) watch(ctx context.Context) func(*Result) {
	v.lag = &recorderLag{hist: newHist()}
	done := make(chan watched, 1)
	go func() { done <- v.look(ctx) }()
	return func(res *Result) {
		close(v.ending)
		w := <-done
		if !w.began {
			w.cpu, w.from = cpuTime(), v.since()
		}
		ended := min(v.since(), v.win.until)
		if w.ended > 0 {
			res.CPU, ended = w.cpuEnd-w.cpu, w.ended
		} else {
			res.CPU = cpuTime() - w.cpu
		}
		res.Elapsed = max(0, ended-v.win.from)
		res.Bins, res.Fine = until(res.Bins, binWidth, res.Elapsed), until(res.Fine, fineWidth, res.Elapsed)
		if res.Elapsed > 0 {
			res.CPUShare = res.CPU.Seconds() / res.Elapsed.Seconds() / v.processors()
			res.MeanBusy *= float64(v.win.until-v.win.from) / float64(res.Elapsed)
		}
		res.LagP99 = time.Duration(v.lag.hist.ValueAtQuantile(99)) * time.Microsecond
		for _, r := range v.recs {
			res.Unserved += r.unserved
		}
	}
}

// until are the bins of a window that ended early.
func until(bins []uint32, width, elapsed time.Duration) []uint32 {
	return bins[:min(len(bins), int((elapsed+width-1)/width))]
}

// watched is the processor time at both ends of the window.
type watched struct {
	began       bool
	cpu, cpuEnd time.Duration
	from, ended time.Duration
}

func (v *visit) look(ctx context.Context) watched {
	var w watched
	const step = 10 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	every := v.load.Every
	if every == 0 {
		every = time.Second
	}
	due, lastProgress := v.since()+step, v.since()
	storm := stormWatch{}
	for {
		if !w.began && v.since() >= v.win.from {
			w.began, w.cpu, w.from = true, cpuTime(), v.since()
		}
		if w.ended == 0 && v.since() >= v.win.until {
			w.ended, w.cpuEnd = v.win.until, cpuTime()
		}
		if now := v.since(); now-lastProgress >= every {
			v.progress(now, now-lastProgress, &storm)
			lastProgress = now
		}
		select {
		case <-v.ending:
			return w
		case <-tick.C:
			_ = v.lag.hist.RecordValue(micros(v.since() - due))
			due = v.since() + step
		}
	}
}

// stormWatch counts successive seconds in which too much failed.
type stormWatch struct{ bad time.Duration }

// progress reports the last stretch and stops the visit in an error storm.
func (v *visit) progress(now, span time.Duration, storm *stormWatch) {
	hist := newHist()
	var errs, total int64
	first := ""
	for _, r := range v.recs {
		r.mu.Lock()
		hist.Merge(r.recent)
		r.recent.Reset()
		errs += r.recentErrors
		r.recentErrors = 0
		for _, e := range r.errs {
			if first == "" {
				first = e.Message
			}
		}
		r.mu.Unlock()
	}
	total = hist.TotalCount() + errs
	if total > 0 && float64(errs) > stormShare*float64(total) {
		storm.bad += span
	} else {
		storm.bad = 0
	}
	if storm.bad >= stormSeconds*time.Second {
		if first == "" {
			first = "no message"
		}
		v.storm.Store(&first)
		v.halt()
	}
	if v.load.Progress != nil {
		q := func(p float64) time.Duration { return time.Duration(hist.ValueAtQuantile(p)) * time.Microsecond }
		v.load.Progress(Progress{Elapsed: now, Warm: now < v.win.from, TPS: float64(hist.TotalCount()) / span.Seconds(), P50: q(50), P99: q(99), Errors: errs})
	}
}
