package capacity

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"pgfit/advisor"
	"pgfit/advisor/usl"
	"pgfit/workload/rundoc"
)

// Point is one measurement: N busy at once, X per second, in one round.
type Point = usl.Point

// Foreign is the law of measurements that did not come from a sweep, with what the data cannot carry.
type Foreign struct {
	Name     string            `json:"name"`
	Method   string            `json:"method"` // "weighted" or "plain"
	Points   int               `json:"points"`
	Levels   int               `json:"levels"`
	Fit      Fit               `json:"fit"`
	Limit    *float64          `json:"throughput_limit,omitempty"` // λ/σ, where κ is 0
	PeakX    *float64          `json:"peak_throughput,omitempty"`
	RSE      float64           `json:"residual_standard_error"` // of X
	Largest  float64           `json:"largest_n"`
	Measured []Measured        `json:"measured"`
	Best     float64           `json:"best_n"`
	Chosen   float64           `json:"chosen_n"` // the smallest measured N that is as good as the best, as a sweep chooses: see AsGood
	Findings []advisor.Finding `json:"findings"`
}

// Measured is one N of a table.
type Measured struct {
	N     float64 `json:"n"`
	X     float64 `json:"x"`     // geometric mean in 1/s, with the round effects taken out
	Ratio float64 `json:"ratio"` // to the best N's
	Rows  int     `json:"rows"`
}

// ErrCSV is wrapped by every refusal of ReadCSV.
var ErrCSV = errors.New("not a table of measurements")

// leastForeign is how many different N a law is fitted to at all; up to leastLevels it is a sketch (R1).
const leastForeign = 3

// littleOff is how far N may be from X R (Little's law) in a table that has all three.
const littleOff = 0.05

// maxRows bounds a table.
const maxRows = 100_000

// ReadCSV reads a table with the columns N and X, and R (seconds) and round where there are such; other columns are passed
// over. Case does not matter. A finding says where N, X and R are not of one measurement. The error names the line.
func ReadCSV(r io.Reader) ([]Point, []advisor.Finding, error) {
	points, times, err := readCSV(r)
	return points, little(points, times), err
}

// little holds N against X R.
func little(points []Point, times []float64) []advisor.Finding {
	off, worst := 0, 0
	miss := func(i int) float64 { return math.Abs(points[i].X*times[i]/points[i].N - 1) }
	for i := range times {
		if miss(i) > littleOff {
			off++
		}
		if miss(i) > miss(worst) {
			worst = i
		}
	}
	if off == 0 {
		return nil
	}
	p := points[worst]
	return []advisor.Finding{{Code: "little", Text: fmt.Sprintf("%d of %d rows have an N that is not X x R within 5 %% (Little's law); the farthest is N = %g, X x R = %.4g: "+
		"they are not of one measurement, R is not in seconds, or not all clients were busy", off, len(times), p.N, p.X*times[worst]),
		Lift: "N as the mean number busy at once, R as the mean response time in seconds of the same time"}}
}

// readCSV reads the points, and the times where there is a column R.
func readCSV(r io.Reader) (points []Point, times []float64, err error) {
	rd := csv.NewReader(r)
	rd.TrimLeadingSpace, rd.Comment, rd.FieldsPerRecord = true, '#', -1
	head, err := rd.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the first line must name the columns N and X", ErrCSV)
	}
	for i := range head {
		head[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(head[i], "\ufeff")))
	}
	n, x, resp, round := slices.Index(head, "n"), slices.Index(head, "x"), slices.Index(head, "r"), slices.Index(head, "round")
	if n < 0 || x < 0 {
		return nil, nil, fmt.Errorf("%w: the first line must name the columns N and X, it has %s", ErrCSV, strings.Join(head, ", "))
	}
	for {
		row, err := rd.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		line, _ := rd.FieldPos(0)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %s", ErrCSV, strings.ReplaceAll(err.Error(), "\n", " "))
		}
		p := Point{Round: len(points)}
		if p.N, err = cell(row, n, line, "N", 1); err != nil {
			return nil, nil, err
		}
		if p.X, err = cell(row, x, line, "X", 0); err != nil {
			return nil, nil, err
		}
		if resp >= 0 {
			v, err := cell(row, resp, line, "R", 0)
			if err != nil {
				return nil, nil, err
			}
			times = append(times, v)
		}
		if round >= 0 {
			v, err := cell(row, round, line, "round", 0)
			if err != nil {
				return nil, nil, err
			}
			p.Round = int(v)
		} else {
			p.Round = 0
		}
		if points = append(points, p); len(points) > maxRows {
			return nil, nil, fmt.Errorf("%w: more than %d rows", ErrCSV, maxRows)
		}
	}
	if len(points) == 0 {
		return nil, nil, fmt.Errorf("%w: no rows", ErrCSV)
	}
	return points, times, nil
}

func cell(row []string, i, line int, name string, least float64) (float64, error) {
	if i >= len(row) {
		return 0, fmt.Errorf("line %d: %s is missing", line, name)
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(row[i]), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < least || v > 1e15 {
		return 0, fmt.Errorf("line %d: %s is %q: want a number of at least %g", line, name, row[i], least)
	}
	return v, nil
}

// Points are the visits of one scenario of a run.
func Points(doc *rundoc.Document, scenario string) []Point {
	var out []Point
	visits, _ := sweepVisits(doc, scenario)
	for _, v := range visits {
		out = append(out, Point{N: float64(v.PoolSize), X: v.TPS, Round: v.Round})
	}
	return out
}

// FitPoints fits both laws to measurements, or, for comparison with published figures, USL alone by plain least squares.
// Where every round has the same N, what a whole round was faster or slower is taken out first.
func FitPoints(name string, points []Point, plain bool, seed uint64) (Foreign, error) {
	f := Foreign{Name: name, Method: "weighted", Points: len(points), Findings: []advisor.Finding{}}
	if len(points) == 0 {
		return f, fmt.Errorf("%w: there are no points", usl.ErrData)
	}
	var err error
	var fit *Fit
	if n := len(newWithin(points, 0).levels); n < leastForeign {
		return f, fmt.Errorf("%w: %d different N where a law, with its three coefficients, needs at least %d", usl.ErrData, n, leastForeign)
	}
	clear, lost := withoutRounds(points)
	if plain {
		if f.Method = "plain"; lost > 0 {
			clear = points // the bootstrap takes the rounds out of the residuals
		}
		fit, err = fitPlain(clear, seed)
	} else {
		fit, err = fitCurve(clear, lost, seed)
	}
	if err != nil {
		return f, err
	}
	f.Fit = *fit
	if f.Fit.Peak != nil {
		x := fit.Throughput(*f.Fit.Peak)
		f.PeakX = &x
	}
	if m := f.Fit.Model; m.Sigma > 0 {
		limit := m.Lambda / m.Sigma
		f.Limit = &limit
	}
	f.describe(clear, lost)
	f.choose(newWithin(clear, lost))
	return f, nil
}

// choose decides on the measured N alone, by the rule of a sweep, with the bound from the scatter of all N together.
func (f *Foreign) choose(w within) {
	enough := 0.
	for _, l := range w.levels {
		enough = math.Min(math.Max(enough, l.Weight), leastPairs)
	}
	best := -1
	for i, l := range w.levels {
		if l.Weight >= enough && (best < 0 || l.LogX > w.levels[best].LogX) {
			best = i
		}
	}
	top := w.levels[best]
	f.Best, f.Chosen = top.N, top.N
	for _, l := range w.levels {
		f.Measured = append(f.Measured, Measured{N: l.N, X: math.Exp(l.LogX), Ratio: math.Exp(l.LogX - top.LogX), Rows: int(l.Weight)})
	}
	if best == len(w.levels)-1 {
		f.Findings = append(f.Findings, advisor.Finding{Code: "R2", Text: fmt.Sprintf("the best N is the largest one measured: the server carries at least %g", top.N), Lift: "measure larger N"})
	}
	df := w.df()
	if df < 1 {
		f.Findings = append(f.Findings, advisor.Finding{Code: "R8", Text: "one row for each N leaves no interval: the best N is chosen, and may be by chance", Lift: "at least 3 rows for each N, with their round"})
		return
	}
	t := distuv.StudentsT{Sigma: 1, Nu: df}.Quantile(1 - .05/math.Max(1, float64(len(w.levels)-1)))
	for _, l := range w.levels[:best] {
		ratio, se := l.LogX-top.LogX, math.Sqrt(w.ss/df*(1/l.Weight+1/top.Weight))
		if ratio >= math.Log(AsGood) && ratio-t*se > math.Log(Surely) {
			f.Chosen = l.N
			return
		}
	}
}

// withoutRounds takes the round effects out of points, and says how many degrees of freedom they took.
func withoutRounds(points []Point) ([]Point, int) {
	visits := make([]rundoc.Visit, len(points))
	for i, p := range points {
		if p.N != math.Trunc(p.N) || !(p.X > 0) {
			return clearOf(points, nil), 0
		}
		visits[i] = rundoc.Visit{PoolSize: int(p.N), Round: p.Round, TPS: p.X}
	}
	effects := roundEffects(visits)
	return clearOf(points, effects), max(0, len(effects)-1)
}

// clearOf takes the effects of rounds out of points. Those of rounds that have none count as of one round: a round's mean must
// not be taken from its residuals where it was not taken from its points, least of all from that of a single one.
func clearOf(points []Point, effects map[int]float64) []Point {
	out := slices.Clone(points)
	for i := range out {
		if effect, ok := effects[out[i].Round]; ok {
			out[i].X /= math.Exp(effect)
		} else {
			out[i].Round = noRound
		}
	}
	return out
}

// noRound is the round of points that are of none.
const noRound = -1

// fitPlain is USL alone by plain least squares on X.
func fitPlain(points []Point, seed uint64) (*Fit, error) {
	m, err := usl.FitPlain(points)
	if err != nil {
		return nil, err
	}
	w := newWithin(points, 0)
	first := w.levels[0].N
	knee := func(m usl.Model) float64 { return bounded(m.Knee(0.1), first) }
	iv := usl.Bootstrap(points, m, usl.Fit, draws, seed, func(m usl.Model) float64 { return m.Sigma }, func(m usl.Model) float64 { return m.Kappa },
		knee, func(m usl.Model) float64 { return bounded(m.Peak(), first) })
	f := &Fit{Family: FamilyUSL, Model: m, Sigma: orAny(iv[0], 0, 1), Kappa: orAny(iv[1], 0, far), Knee: knee(m), KneeInterval: orAny(iv[2], first, far), Power: bounded(m.Knee(0.5), first), WorstError: w.worst(m.Throughput)}
	f.USL = Shape{Knee: f.Knee, KneeInterval: f.KneeInterval, Power: f.Power, WorstError: f.WorstError}
	f.Lacks = f.WorstError > fitLimit
	if m.Kappa > 0 {
		peak := m.Peak()
		f.Peak, f.PeakInterval = &peak, &iv[3]
	}
	return f, nil
}

// describe adds the residuals and the refusals.
func (f *Foreign) describe(points []Point, lost int) {
	var levels []float64
	smallest, ss, scale := math.Inf(1), 0.0, 0.0
	for _, p := range points {
		scale = math.Max(scale, p.X) // squares of huge figures stay finite
	}
	for _, p := range points {
		f.Largest, smallest = math.Max(f.Largest, p.N), math.Min(smallest, p.N)
		if !slices.Contains(levels, p.N) {
			levels = append(levels, p.N)
		}
		d := (p.X - f.Fit.Throughput(p.N)) / scale
		ss += d * d
	}
	f.Levels = len(levels)
	if len(points) > 3 {
		f.RSE = scale * math.Sqrt(ss/float64(len(points)-3))
	}
	if f.Levels < leastLevels || f.Largest < leastSpan*smallest {
		f.Findings = append(f.Findings, advisor.Finding{
			Code: "R1", Text: fmt.Sprintf("%d different N from %g to %g: a law fits too few points too well, read it as a sketch", f.Levels, smallest, f.Largest),
			Lift: "measure at least 6, the largest at least 8 times the smallest",
		})
	}
	f.Findings = append(f.Findings, judge(&f.Fit, points, lost, "")...)
}
