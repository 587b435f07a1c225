package report

import (
	"encoding/json"
	"fmt"
	"io"

	"pgfit/advisor/capacity"
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
	method := "weighted least squares on N/X, exact; intervals by the residual bootstrap"
	if f.Method == "plain" {
		method = "plain least squares on X; intervals by the residual bootstrap"
	}
	p.line("X(N) = λN / (1 + σ(N-1) + κN(N-1)), %s", method)
	p.line("%d points, %d different N up to %g; residual standard error of X %s, worst miss %s", f.Points, f.Levels, f.Largest, figures(f.RSE), Percent(f.Fit.WorstError))
	p.line("")
	t := Table{Header: []string{"", "value", "95 % from", "to", "meaning "}}
	t.Header[0] = "coefficient "
	m := f.Fit.Model
	t.Add("λ", fmt.Sprintf("%.9g", m.Lambda), "", "", "rate of one client, per second")
	t.Add("σ", fmt.Sprintf("%.9g", m.Sigma), fmt.Sprintf("%.4g", f.Fit.Sigma.Low), fmt.Sprintf("%.4g", f.Fit.Sigma.High), "contention")
	t.Add("κ", fmt.Sprintf("%.9g", m.Kappa), fmt.Sprintf("%.4g", f.Fit.Kappa.Low), fmt.Sprintf("%.4g", f.Fit.Kappa.High), "coherency")
	p.table(t)
	p.line("")
	k := Table{Header: []string{"knee ", "N", "95 % from", "to", "meaning "}}
	k.Add("latency-first", knee(f.Fit.Power), "", "", "the most throughput per latency (Kleinrock)")
	k.Add("useful", knee(f.Fit.Knee), knee(f.Fit.KneeInterval.Low), knee(f.Fit.KneeInterval.High), "1 % more clients buy 0.1 % more throughput")
	if f.Fit.Peak != nil {
		iv := usl.Interval{Low: far, High: far}
		if f.Fit.PeakInterval != nil {
			iv = *f.Fit.PeakInterval
		}
		k.Add("peak", fmt.Sprintf("%.2f", *f.Fit.Peak), knee(iv.Low), knee(iv.High), fmt.Sprintf("the highest throughput, %s per second", Rate(*f.PeakX)))
	}
	p.table(k)
	if f.Limit != nil {
		p.line("\nWithout coherency the throughput would end at λ/σ = %s per second.", Rate(*f.Limit))
	}
	if len(f.Findings) > 0 {
		p.line("")
	}
	for _, x := range f.Findings {
		p.item(x.Code+": "+x.Text, lift2(x.Lift))
	}
}

// far stands for "none" in an interval that is not known.
const far = 1e6
