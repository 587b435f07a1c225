package capacity

import (
	"math"

	"pgfit/advisor/queue"
	"pgfit/advisor/usl"
)

// Families of laws.
const (
	FamilyUSL   = "usl"
	FamilyQueue = "queue"
)

// Fit is the two rival laws of one curve. A knee above the largest measured pool size is given as it was computed; it is
// never recommended.
type Fit struct {
	Family     string  `json:"family"`                            // the law that describes the curve better, by AICc
	Close      bool    `json:"close,omitempty"`                   // neither is better by 2: both are printed, the smaller knee counts
	Lacks      bool    `json:"lack_of_fit,omitempty"`             // neither describes it (R4)
	Straight   bool    `json:"straight_between_levels,omitempty"` // between measured levels a straight line does better than the law
	Rough      bool    `json:"rough_between_levels,omitempty"`    // levels that were left out are missed by so much that nothing is said between them (R4, R8)
	WithoutOne bool    `json:"pool_size_1_set_aside,omitempty"`
	Knee       float64 `json:"knee"` // one per cent more connections buy 0.1 per cent more throughput
	// KneeInterval and what follows are the counting law's.
	KneeInterval usl.Interval  `json:"knee_interval"`
	AtLeast      bool          `json:"knee_at_least,omitempty"` // no fall is seen: of the interval only the lower end can be relied on
	Power        float64       `json:"power_knee"`              // the most throughput per latency (Kleinrock)
	Peak         *float64      `json:"peak,omitempty"`
	PeakInterval *usl.Interval `json:"peak_interval,omitempty"`
	WorstError   float64       `json:"worst_relative_error"` // of a pool size's mean
	LeftOut      *LeftOut      `json:"left_out,omitempty"`

	Model usl.Model    `json:"model"`
	Sigma usl.Interval `json:"sigma_interval"`
	Kappa usl.Interval `json:"kappa_interval"`
	USL   Shape        `json:"usl"`

	Server *queue.Server `json:"server,omitempty"` // nil when the queue was not tried
	Queue  *Shape        `json:"queue,omitempty"`
}

// Shape is one law's figures.
type Shape struct {
	Knee         float64      `json:"knee"`
	KneeInterval usl.Interval `json:"knee_interval"`
	Power        float64      `json:"power_knee"`
	WorstError   float64      `json:"worst_relative_error"`
	AICc         float64      `json:"aicc"`
	LackOfFit    *float64     `json:"lack_of_fit_p,omitempty"` // of the F test against the scatter between rounds; nil: too few rounds
	peak         float64
	peakInterval usl.Interval
}

// lacks tells whether the law misses the curve: by the F test where there is one, else by the worst miss.
func (s Shape) lacks() bool {
	if s.LackOfFit != nil {
		return *s.LackOfFit < fitAlpha && s.WorstError > leastMiss
	}
	return s.WorstError > fitLimit
}

// Throughput is X(n) in 1/s of the law that counts.
func (f *Fit) Throughput(n float64) float64 {
	if f.Family == FamilyQueue {
		return f.Server.Throughput(n)
	}
	return f.Model.Throughput(n)
}

// fitLaws fits both laws and chooses. Points must be clear of round effects, of which lost degrees of freedom were taken.
func fitLaws(points []usl.Point, lost int, seed uint64) (*Fit, error) {
	w := newWithin(points, lost)
	f := &Fit{}
	if err := f.fitUSL(w, seed); err != nil {
		return nil, err
	}
	f.fitQueue(w, seed)
	f.choose()
	return f, nil
}

// bounded keeps a knee between the smallest measured N, below which nothing is known, and the number that stands for none.
func bounded(v, first float64) float64 { return math.Min(math.Max(v, first), far) }

func (f *Fit) fitUSL(w within, seed uint64) error {
	m, err := usl.FitLog(w.points)
	if err != nil {
		return err
	}
	first := w.levels[0].N
	iv := usl.Bootstrap(w.points, m, usl.FitLog, draws, seed, func(m usl.Model) float64 { return m.Sigma }, func(m usl.Model) float64 { return m.Kappa },
		func(m usl.Model) float64 { return bounded(m.Knee(0.1), first) }, func(m usl.Model) float64 { return bounded(m.Peak(), first) })
	f.Model, f.Sigma, f.Kappa, f.USL = m, orAny(iv[0], 0, 1), orAny(iv[1], 0, far), uslShape(w, m)
	f.USL.KneeInterval, f.USL.peakInterval = orAny(iv[2], first, far), orAny(iv[3], first, far)
	if f.Kappa.Low <= 0 {
		f.USL.peakInterval.High = far
	}
	return nil
}

// orAny is an interval, or the whole range where no resample could be fitted.
func orAny(iv usl.Interval, low, high float64) usl.Interval {
	if math.IsNaN(iv.Low) || math.IsNaN(iv.High) {
		return usl.Interval{Low: low, High: high}
	}
	return iv
}

// uslShape is a Shape without its intervals.
func uslShape(w within, m usl.Model) Shape {
	first := w.levels[0].N
	return Shape{
		Knee: bounded(m.Knee(0.1), first), Power: bounded(m.Knee(0.5), first), peak: bounded(m.Peak(), first), WorstError: w.worst(m.Throughput),
		AICc: w.aicc(usl.SSE(w.points, m), m.Free()+1), LackOfFit: w.lackOfFit(m.Throughput, m.Free()),
	}
}

// fitQueue fits the rival where there are enough points and not too many clients.
func (f *Fit) fitQueue(w within, seed uint64) {
	s, sse, err := queue.Fit(w.levels)
	if err != nil || len(w.levels) < 5 {
		return
	}
	shape := queueShape(w, s, sse)
	knee := w.queueKnee()
	shape.KneeInterval, shape.peakInterval = w.bootstrap(s, seed, func(s queue.Server) (float64, float64) { return knee(s, 0.1), knee(s, 0) })
	f.Server, f.Queue = &s, &shape
}

// queueShape is a Shape without its intervals; sse is the queue's sum of squares about the levels' means.
func queueShape(w within, s queue.Server, sse float64) Shape {
	knee := w.queueKnee()
	return Shape{
		Knee: knee(s, 0.1), Power: knee(s, 0.5), peak: knee(s, 0), WorstError: w.worst(s.Throughput),
		AICc: w.aicc(sse+w.ss, 5), LackOfFit: w.lackOfFit(s.Throughput, 4),
	}
}

func (w within) queueKnee() func(queue.Server, float64) float64 {
	first, top := w.levels[0].N, int(w.levels[len(w.levels)-1].N)
	return func(s queue.Server, e float64) float64 { return bounded(s.Knee(e, top), first) }
}

// choose takes the law with the smaller AICc; when they are close, the one with the smaller knee.
func (f *Fit) choose() {
	f.Family = FamilyUSL
	counts := f.USL
	if q := f.Queue; q != nil {
		f.Close = math.Abs(q.AICc-f.USL.AICc) < 2
		if f.Close && q.Knee < f.USL.Knee || !f.Close && q.AICc < f.USL.AICc {
			f.Family, counts = FamilyQueue, *q
		}
		if counts.lacks() && !f.USL.lacks() {
			f.Family, counts = FamilyUSL, f.USL
		}
		if counts.lacks() && !q.lacks() {
			f.Family, counts = FamilyQueue, *q
		}
	}
	f.Lacks = counts.lacks()
	f.AtLeast = f.Family == FamilyUSL && f.Kappa.Low <= 0
	f.Knee, f.KneeInterval, f.Power, f.WorstError = counts.Knee, counts.KneeInterval, counts.Power, counts.WorstError
	if counts.peak < far && counts.peakInterval.High < far {
		f.Peak, f.PeakInterval = &counts.peak, &counts.peakInterval
	}
}
