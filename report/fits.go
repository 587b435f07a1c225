package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"pgfit/advisor/capacity"
	"pgfit/advisor/queue"
	"pgfit/advisor/usl"
)

// Fits writes the laws of foreign measurements as text, markdown or json.
func Fits(w io.Writer, fits []capacity.Foreign, format string) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(fits)
	}
	p := &page{w: w, markdown: format == "markdown"}
	for _, f := range fits {
		p.foreign(f)
	}
	return p.err
}

func (p *page) foreign(f capacity.Foreign) {
	p.title("curve " + f.Name)
	p.line("%d points, %d different N up to %g; residual standard error of X %s, worst miss of a mean %s", f.Points, f.Levels, f.Largest, figures(f.RSE), Percent(f.Fit.WorstError))
	p.para("%s", chosenLaw(&f.Fit))
	p.line("")
	p.coefficients(&f.Fit, f.Method)
	p.line("")
	p.knees(f)
	if f.Limit != nil && f.Fit.Family == capacity.FamilyUSL {
		p.line("\nWithout coherency the throughput would end at λ/σ = %s per second.", Rate(*f.Limit))
	}
	p.measured(f)
	if len(f.Findings) > 0 {
		p.line("")
	}
	for _, x := range f.Findings {
		p.item(x.Code+": "+x.Text, lift2(x.Lift))
	}
}

// chosenLaw says which of the two laws counts, and why.
func chosenLaw(f *capacity.Fit) string {
	names := map[string]string{capacity.FamilyUSL: "the Universal Scalability Law", capacity.FamilyQueue: "the multi-server queue"}
	switch {
	case f.Queue == nil:
		return "Fitted: " + names[f.Family] + " alone."
	case f.Lacks:
		return fmt.Sprintf("Neither the Universal Scalability Law%s nor the multi-server queue%s describes this curve.", lackP(f.USL), lackP(*f.Queue))
	case f.Close:
		return fmt.Sprintf("The Universal Scalability Law and the multi-server queue describe it about equally well (AICc %s and %s); the smaller knee counts, of %s.",
			aicc(f.USL), aicc(*f.Queue), names[f.Family])
	case f.Family == capacity.FamilyQueue:
		return fmt.Sprintf("%s describes it better than the Universal Scalability Law (AICc %s against %s%s).", "The multi-server queue", aicc(*f.Queue), aicc(f.USL), lackWord(f.USL))
	}
	return fmt.Sprintf("%s describes it better than the multi-server queue (AICc %s against %s%s).", "The Universal Scalability Law", aicc(f.USL), aicc(*f.Queue), lackWord(*f.Queue))
}

// aicc writes Akaike's criterion, which too few points do not have.
func aicc(s capacity.Shape) string {
	if s.AICc >= far {
		return "none, for too few points,"
	}
	return fmt.Sprintf("%.1f", s.AICc)
}

func lackP(s capacity.Shape) string {
	if s.LackOfFit == nil {
		return fmt.Sprintf(" (worst miss %s)", Percent(s.WorstError))
	}
	return fmt.Sprintf(" (lack of fit p %.2g, worst miss %s)", *s.LackOfFit, Percent(s.WorstError))
}

func lackWord(s capacity.Shape) string {
	if s.LackOfFit == nil || *s.LackOfFit >= 0.01 {
		return ""
	}
	return fmt.Sprintf("; the other lacks fit, p %.2g", *s.LackOfFit)
}

// coefficients is the table of both laws' parameters.
func (p *page) coefficients(f *capacity.Fit, method string) {
	how := "least squares of ln X, round effects taken out; intervals by the residual bootstrap"
	if method == "plain" {
		how = "plain least squares on X; intervals by the residual bootstrap"
	}
	p.line("USL: X(N) = λN / (1 + σ(N-1) + κN(N-1)), %s", how)
	t := Table{Header: []string{"coefficient ", "value", "95 % from", "to", "meaning "}}
	m := f.Model
	t.Add("λ", fmt.Sprintf("%.9g", m.Lambda), "", "", "rate of one client, per second")
	t.Add("σ", fmt.Sprintf("%.9g", m.Sigma), fmt.Sprintf("%.4g", f.Sigma.Low), fmt.Sprintf("%.4g", f.Sigma.High), "contention")
	t.Add("κ", fmt.Sprintf("%.9g", m.Kappa), fmt.Sprintf("%.4g", f.Kappa.Low), fmt.Sprintf("%.4g", f.Kappa.High), "coherency")
	if s := f.Server; s != nil {
		t.Add("m", fmt.Sprint(s.Servers), "", "", "servers of the queue; no count of processors")
		t.Add("S", Seconds(s.Service), "", "", "service time at a server")
		t.Add("D", delay(s), "", "", "delay outside the servers")
		t.Add("d", fmt.Sprintf("%.4g", s.Slowdown), "", "", "slowdown by each job above the number of servers")
	}
	p.table(t)
}

// delay writes the delay of a queue, 0 where it is none beside the service time.
func delay(s *queue.Server) string {
	if s.Delay < 1e-3*s.Service {
		return "0"
	}
	return Seconds(s.Delay)
}

// knees is the table of the knees of both laws, that of the counting one first.
func (p *page) knees(f capacity.Foreign) {
	fit := f.Fit
	k := Table{Header: []string{"knee ", "N", "95 % from", "to", "meaning "}}
	k.Add("latency-first", knee(fit.Power), "", "", "the most throughput per latency (Kleinrock)")
	high := knee(fit.KneeInterval.High)
	if fit.AtLeast {
		high = "more"
	}
	k.Add("useful", knee(fit.Knee), knee(fit.KneeInterval.Low), high, "1 % more clients buy 0.1 % more throughput")
	if fit.Peak != nil {
		iv := usl.Interval{Low: far, High: far}
		if fit.PeakInterval != nil {
			iv = *fit.PeakInterval
		}
		k.Add("peak", fmt.Sprintf("%.2f", *fit.Peak), knee(iv.Low), knee(iv.High), fmt.Sprintf("the highest throughput, %s per second", Rate(*f.PeakX)))
	}
	if other, name := rival(&fit); other != nil {
		k.Add("useful, "+name, knee(other.Knee), knee(other.KneeInterval.Low), knee(other.KneeInterval.High), "the same by the other law")
	}
	p.table(k)
}

// kneeRange is the interval of the knee in brackets.
func kneeRange(f *capacity.Fit) string {
	if f.AtLeast {
		return fmt.Sprintf("(about %s or more)", knee(f.KneeInterval.Low))
	}
	return fmt.Sprintf("(%s to %s)", knee(f.KneeInterval.Low), knee(f.KneeInterval.High))
}

// rival is the law that does not count.
func rival(f *capacity.Fit) (*capacity.Shape, string) {
	if f.Queue == nil {
		return nil, ""
	}
	if f.Family == capacity.FamilyQueue {
		return &f.USL, "USL"
	}
	return f.Queue, "queue"
}

// measured is the table of the measured N: what the choice rests on, and how each is predicted from the others.
func (p *page) measured(f capacity.Foreign) {
	p.line("")
	p.para("Measured: %s", choice(f))
	t := Table{Header: []string{"N", "X", "of best", "rows"}}
	left := map[float64]capacity.Predicted{}
	if l := f.Fit.LeftOut; l != nil {
		t.Header = append(t.Header, "left out, predicted", "error")
		for _, x := range l.Levels {
			left[x.N] = x
		}
	}
	for _, m := range f.Measured {
		row := []string{fmt.Sprintf("%g", m.N), Rate(m.X), Percent(m.Ratio), strconv.Itoa(m.Rows)}
		if x, ok := left[m.N]; ok {
			row = append(row, Rate(x.Predicted), fmt.Sprintf("%+.1f %%", 100*x.Error))
		} else if len(left) > 0 {
			row = append(row, "", "")
		}
		t.Add(row...)
	}
	p.table(t)
	if l := f.Fit.LeftOut; l != nil {
		p.line("Each N left out and predicted from the others: median error %s, worst %s", Percent(l.Median), Percent(l.Worst))
	}
}

// choice is the measured choice in words.
func choice(f capacity.Foreign) string {
	if f.Chosen == f.Best {
		return fmt.Sprintf("%g is chosen, the best; no smaller N surely delivers as much.", f.Best)
	}
	return fmt.Sprintf("%g is chosen, the smallest N that delivers 97 %% of the best (%g), and surely 95 %%.", f.Chosen, f.Best)
}

// far stands for "none" in an interval that is not known.
const far = 1e6
