package engine

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// lateAfter is the wait for a connection from which an arrival counts as late; below it lies the timers' own lateness.
const lateAfter = time.Millisecond

// binWidth is the length of a throughput bin, fineWidth that of a fine one, which visits of up to mostFine have.
const (
	binWidth  = 100 * time.Millisecond
	fineWidth = 10 * time.Millisecond
	mostFine  = 10 * time.Minute
)

// binsOf makes bins for a window.
func binsOf(win window, width time.Duration) []uint32 {
	return make([]uint32, int((win.until-win.from+width-1)/width))
}

// outcome is one finished transaction. Times are offsets from the start of the visit.
type outcome struct {
	op       int
	intended time.Duration // open loop: when it should have begun; closed loop: when the caller asked
	asked    time.Duration // when the caller really asked for a connection
	got      time.Duration // when it had one
	done     time.Duration
	tries    int
	failed   bool
	code     string
	message  string
}

// window is the measured part of a visit.
type window struct{ from, until time.Duration }

func (w window) holds(t time.Duration) bool { return t >= w.from && t < w.until }

// overlap is the part of [a, b) inside the window.
func (w window) overlap(a, b time.Duration) time.Duration {
	return max(0, min(b, w.until)-max(a, w.from))
}

// recorder takes outcomes. Recorders are merged at the end of a visit; each is used under its own lock, so that callers
// who share one seldom meet.
type recorder struct {
	mu   sync.Mutex
	win  window
	open bool
	ops  []OpResult
	errs map[string]*ErrorCount
	bins []uint32
	fine []uint32
	busy time.Duration

	failed, retried, tries, late, unserved int64
	recent                                 *hdrhistogram.Histogram // since the last progress line
	recentErrors                           int64
}

func newHist() *hdrhistogram.Histogram { return hdrhistogram.New(HistMin, HistMax, HistDigits) }

func newRecorder(names []string, used []int, win window, open bool) *recorder {
	r := &recorder{win: win, open: open, errs: map[string]*ErrorCount{}, ops: make([]OpResult, len(names)),
		bins: binsOf(win, binWidth), recent: newHist()}
	if win.until-win.from <= mostFine {
		r.fine = binsOf(win, fineWidth)
	}
	for i, name := range names {
		r.ops[i].Name = name
		if used != nil && used[i] == 0 {
			continue
		}
		r.ops[i].Service, r.ops[i].Wait = newHist(), newHist()
		if open {
			r.ops[i].Latency, r.ops[i].Uncorrected, r.ops[i].Lag = newHist(), newHist(), newHist()
		}
	}
	return r
}

// add takes one outcome. What ends outside the window counts for the busy time inside it only.
func (r *recorder) add(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy += r.win.overlap(o.got, o.done)
	if o.failed {
		r.recentErrors++
	} else {
		_ = r.recent.RecordValue(micros(o.done - o.got))
	}
	if !r.win.holds(o.done) {
		return
	}
	r.tries += int64(o.tries - 1)
	if o.tries > 1 {
		r.retried++
	}
	if o.failed {
		r.failed++
		r.count(o.code, o.message)
		return
	}
	op := &r.ops[o.op]
	service, wait := o.done-o.got, o.got-o.asked
	op.Count++
	s := service.Seconds()
	op.SumService += s
	op.SumService2 += s * s
	op.SumWait += wait.Seconds()
	op.record(op.Service, service)
	op.record(op.Wait, wait)
	if r.open {
		op.record(op.Latency, o.done-o.intended)
		op.record(op.Uncorrected, o.done-o.got)
		op.record(op.Lag, o.got-o.intended)
		if wait > lateAfter {
			r.late++
		}
	}
	r.bins[(o.done-r.win.from)/binWidth]++
	if r.fine != nil {
		r.fine[(o.done-r.win.from)/fineWidth]++
	}
}

func (r *recorder) count(code, message string) {
	e := r.errs[code]
	if e == nil {
		e = &ErrorCount{SQLState: code, Message: message}
		r.errs[code] = e
	}
	e.Count++
}

// record clamps to the histogram's range and counts what it clamped above.
func (op *OpResult) record(h *hdrhistogram.Histogram, d time.Duration) {
	if d > HistMax*time.Microsecond {
		op.Clamped++
	}
	_ = h.RecordValue(micros(d))
}

func micros(d time.Duration) int64 { return min(max(int64(d/time.Microsecond), HistMin), HistMax) }

// merge makes one result of many recorders.
func merge(all []*recorder) *Result {
	res := &Result{Ops: all[0].ops, Bins: all[0].bins, Fine: all[0].fine}
	errs := map[string]*ErrorCount{}
	var busy time.Duration
	for i, r := range all {
		res.Failed, res.Retried, res.Tries, res.Late = res.Failed+r.failed, res.Retried+r.retried, res.Tries+r.tries, res.Late+r.late
		busy += r.busy
		for code, e := range r.errs {
			if errs[code] == nil {
				errs[code] = &ErrorCount{SQLState: code, Message: e.Message}
			}
			errs[code].Count += e.Count
		}
		if i > 0 {
			for j, n := range r.bins {
				res.Bins[j] += n
			}
			for j, n := range r.fine {
				res.Fine[j] += n
			}
			for j := range r.ops {
				res.Ops[j].add(&r.ops[j])
			}
		}
	}
	for _, e := range errs {
		res.Errors = append(res.Errors, *e)
	}
	slices.SortFunc(res.Errors, func(a, b ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.SQLState, b.SQLState))
	})
	for _, op := range res.Ops {
		res.Transactions += op.Count
	}
	if span := all[0].win.until - all[0].win.from; span > 0 {
		res.MeanBusy = float64(busy) / float64(span)
	}
	return res
}

func (op *OpResult) add(o *OpResult) {
	op.Count, op.Clamped = op.Count+o.Count, op.Clamped+o.Clamped
	op.SumService, op.SumService2, op.SumWait = op.SumService+o.SumService, op.SumService2+o.SumService2, op.SumWait+o.SumWait
	for _, h := range [][2]*hdrhistogram.Histogram{{op.Service, o.Service}, {op.Wait, o.Wait}, {op.Latency, o.Latency}, {op.Uncorrected, o.Uncorrected}, {op.Lag, o.Lag}} {
		if h[0] != nil && h[1] != nil {
			h[0].Merge(h[1])
		}
	}
}
