package report

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/advisor"
	"pgfit/advisor/advise"
	"pgfit/advisor/capacity"
	"pgfit/advisor/plan"
	"pgfit/advisor/prune"
	"pgfit/probe"
	"pgfit/workload/rundoc"
)

// page writes sections one after the other and keeps the first error.
type page struct {
	w        io.Writer
	markdown bool
	err      error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *page) title(text string) {
	if p.markdown {
		p.line("\n## %s\n", text)
		return
	}
	p.line("\n%s\n", sentence(text))
}

func (p *page) table(t Table) {
	if p.err == nil && len(t.Rows) > 0 {
		p.err = t.Render(p.w, p.markdown)
	}
}

// para writes a sentence, broken where a terminal ends.
func (p *page) para(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !p.markdown {
		text = wrap(text, textWidth, "\n")
	}
	p.line("%s", text)
}

// item writes one line of a list, with continuation lines set in.
func (p *page) item(lines ...string) {
	for i, l := range nonEmpty(lines...) {
		lead := "- "
		if i > 0 {
			lead = "  "
		}
		if !p.markdown {
			l = wrap(l, textWidth-2, "\n  ")
		}
		p.line("%s%s", lead, l)
	}
}

// textWidth is where sentences are broken for a terminal or a mail. Tables keep their width.
const textWidth = 110

// wrap breaks a text between words into lines of at most width characters, joined by sep.
func wrap(text string, width int, sep string) string {
	var b strings.Builder
	used := 0
	for _, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case b.Len() == 0:
		case used+1+n > width:
			b.WriteString(sep)
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}

// Run writes the whole report of a run: the sweep, the pool, the settings, and what the data cannot carry.
func Run(w io.Writer, doc *rundoc.Document, a *advise.Advice, markdown bool) error {
	p := &page{w: w, markdown: markdown}
	p.head(doc)
	for _, c := range a.Capacities {
		p.curve(c)
	}
	p.pool(a.Pool)
	p.checks(a.Checks)
	p.settings(a)
	p.verified(a.Verified)
	p.verified(a.Against)
	p.formulas(a)
	p.findings(a.Findings)
	return p.err
}

// Applying writes what to know before the patch of a report is applied, if there is anything.
func Applying(w io.Writer, lines []string, markdown bool) error {
	p := &page{w: w, markdown: markdown}
	if len(lines) > 0 {
		p.title("before the patch is applied")
	}
	for _, l := range lines {
		p.item(l)
	}
	return p.err
}

// Formulas writes what the well-known formulas say beside the advice's values, when the advice has them.
func Formulas(w io.Writer, a *advise.Advice) error {
	p := &page{w: w}
	p.formulas(a)
	return p.err
}

// Bench writes the measurements without advice.
func Bench(w io.Writer, doc *rundoc.Document, markdown bool) error {
	p := &page{w: w, markdown: markdown}
	p.head(doc)
	curves, findings := capacity.Analyse(doc)
	for _, c := range curves {
		p.curve(c)
	}
	p.openLoop(doc)
	p.checks(plan.Checks(doc, curves))
	p.errors(doc)
	p.findings(findings)
	return p.err
}

func (p *page) head(doc *rundoc.Document) {
	if p.markdown {
		p.line("# pgfit: %s\n", doc.Target)
	}
	f := doc.Facts
	if doc.Plan.Scenarios == nil {
		p.line("%s. Rules only: nothing was measured.", machine(f))
		return
	}
	p.line("%s; %s of data; seed %d; driver %s, protocol %s", machine(f), Size(doc.Plan.DataBytes), doc.Plan.Seed, doc.Plan.Driver, doc.Plan.Protocol)
	if doc.Partial != "" {
		p.line("This run is partial: %s.", doc.Partial)
	}
	for _, w := range doc.Warnings {
		if w.Code == "pooler" || w.Code == "unchecked" { // it belongs to what was measured
			p.para("%s.", sentence(w.Text))
		}
	}
}

// machine is the server and what it runs on, in one line.
func machine(f probe.Facts) string {
	memory, cpus := "unknown memory", "unknown CPUs"
	if v, ok := f.Host.Memory.Budget.Get(); ok {
		memory = Size(v)
	}
	if v, ok := f.Host.CPU.Effective.Get(); ok {
		cpus = figures(v) + " CPUs"
	}
	disk := f.DataStorage().Class
	if disk == "" {
		disk = probe.UnknownClass
	}
	return fmt.Sprintf("PostgreSQL %s, %s, %s, disk %s", f.Server.Version, memory, cpus, disk)
}

func (p *page) curve(c capacity.Capacity) {
	p.title("scenario " + c.Scenario)
	waits := slices.ContainsFunc(c.Levels, func(l capacity.Level) bool { return l.Wait >= 5e-6 }) // more callers than connections
	t := Table{Header: []string{"pool", "TPS", "95 % from", "to", "of best", "p50 ms", "p95 ms", "p99 ms", "95 % from", "to"}}
	if waits {
		t.Header = append(t.Header, "pool wait ms")
	}
	t.Header = append(t.Header, "failed", "client CPU", "marks ")
	for _, l := range c.Levels {
		row := []string{strconv.Itoa(l.Pool), Rate(l.TPS), rateOrNone(l.TPSInterval.Low), rateOrNone(l.TPSInterval.High), Percent(l.Ratio), Millis(l.P50), millisOr(l.P95), millisOr(l.P99),
			millisOrNone(l.P99Interval.Low), millisOrNone(l.P99Interval.High)}
		if waits {
			row = append(row, Millis(l.Wait))
		}
		t.Add(append(row, strconv.FormatInt(l.Failed, 10), Percent(l.ClientCPU), strings.Join(l.Marks, " "))...)
	}
	for _, l := range c.Unfinished {
		row := append([]string{strconv.Itoa(l.Pool), Rate(l.TPS)}, slices.Repeat([]string{"-"}, len(t.Header)-5)...)
		t.Add(append(row, strconv.FormatInt(l.Failed, 10), Percent(l.ClientCPU), strings.Join(l.Marks, " "))...)
	}
	p.table(t)
	p.line("")
	p.line("Chosen: pool size %d, the smallest that delivers 97 %% of the best (%d), and surely 95 %%.", c.Chosen, c.Best)
	p.precision(c)
	p.falls(c)
	if f := c.Fit; f != nil {
		p.law(f)
	}
}

// falls names what pool sizes beyond the best one lose.
func (p *page) falls(c capacity.Capacity) {
	var parts []string
	for _, l := range c.Levels {
		if l.Pool > c.Best && l.Ratio < 0.95 {
			parts = append(parts, fmt.Sprintf("%.0f %% at %d", 100*(1-l.Ratio), l.Pool))
		}
	}
	if len(parts) > 0 {
		p.para("Larger pools lose throughput against the best: %s.", strings.Join(parts, ", "))
	}
}

// law says which law describes the curve, with its knees.
func (p *page) law(f *capacity.Fit) {
	p.para("%s", chosenLaw(f))
	if f.Lacks {
		return
	}
	coefficients := fmt.Sprintf("λ %s/s, σ %.4g (%.4g to %.4g), κ %.4g (%.4g to %.4g)",
		Rate(f.Model.Lambda), f.Model.Sigma, f.Sigma.Low, f.Sigma.High, f.Model.Kappa, f.Kappa.Low, f.Kappa.High)
	if s := f.Server; s != nil && f.Family == capacity.FamilyQueue {
		coefficients = fmt.Sprintf("servers %d, %s each, %s outside, slowdown %.4g a job", s.Servers, Seconds(s.Service), delay(s), s.Slowdown)
	}
	p.para("Law: %s; knee at %s %s, latency-first at %s%s; worst miss %s.", coefficients, knee(f.Knee), kneeRange(f), knee(f.Power), peak(f), Percent(f.WorstError))
	if other, name := rival(f); other != nil && f.Close {
		p.para("By the other law, %s: knee at %s (%s to %s).", name, knee(other.Knee), knee(other.KneeInterval.Low), knee(other.KneeInterval.High))
	}
	if l := f.LeftOut; l != nil {
		p.para("Pool sizes left out and predicted from the others: median error %s, worst %s.", Percent(l.Median), Percent(l.Worst))
	}
}

func millisOr(s float64) string {
	if s == 0 {
		return "too few"
	}
	return Millis(s)
}

// rateOrNone leaves out what cannot be told.
func rateOrNone(v float64) string {
	if v == 0 {
		return "-"
	}
	return Rate(v)
}

// millisOrNone leaves out what cannot be told.
func millisOrNone(s float64) string {
	if s == 0 {
		return "-"
	}
	return Millis(s)
}

// knee writes a number of connections; what lies beyond sense is said in words.
func knee(n float64) string {
	switch {
	case n >= 10000:
		return "none"
	case n < 1:
		return "1"
	}
	return figures(n)
}

func peak(f *capacity.Fit) string {
	if f.Peak == nil {
		return ", no peak seen"
	}
	return fmt.Sprintf(", peak at %s (%s to %s)", knee(*f.Peak), knee(f.PeakInterval.Low), knee(f.PeakInterval.High))
}

func (p *page) pool(a advisor.PoolAdvice) {
	if a.Total == 0 {
		return
	}
	p.title("pool")
	t := Table{Header: []string{"setting ", "value", "each of"}}
	each := fmt.Sprintf("%d processes", a.Processes)
	if a.Processes == 1 {
		each = "1 process"
	}
	t.Add("pool_size", strconv.Itoa(a.PoolSize), each)
	t.Add("max_overflow", strconv.Itoa(a.MaxOverflow), each)
	t.Add("pool_timeout", strconv.Itoa(a.PoolTimeout)+" s", "policy")
	t.Add("pool_recycle", strconv.Itoa(a.PoolRecycle)+" s", "policy")
	t.Add("max_connections", fmt.Sprintf("≥ %d", a.MaxConnections), "the server")
	p.table(t)
	p.line("")
	for _, r := range append(a.Reasons, a.Warnings...) {
		p.item(r)
	}
	if b := a.PgBouncer; b != nil {
		p.item(fmt.Sprintf("PgBouncer in between, transaction mode: default_pool_size = %d, reserve_pool_size = %d, max_db_connections = %d, max_client_conn = %d",
			b.DefaultPoolSize, b.ReservePoolSize, b.MaxDBConnections, b.MaxClientConn))
	}
	p.demand(a)
	c := Table{Header: []string{"others would say ", "connections", "pool_size", "max_overflow", "throughput lost", "how "}}
	for _, x := range a.Comparators {
		lost := "not measured"
		if x.Loss >= 0 {
			lost = Percent(x.Loss)
		}
		c.Add(x.Name, figures(x.Connections), zeroDash(x.PoolSize), zeroDash(x.MaxOverflow), lost, x.How)
	}
	if len(c.Rows) > 0 {
		p.line("")
		p.table(c)
	}
	p.drivers(a.Drivers)
}

func (p *page) demand(a advisor.PoolAdvice) {
	t := Table{Header: []string{"scenario ", "demand /s", "carries /s", "used", "mean busy", "have to wait", "mean wait ms", "p99 wait ms"}}
	for _, s := range a.Scenarios {
		if s.Demand > 0 {
			t.Add(s.Scenario, Rate(s.Demand), Rate(s.MaxRate), Percent(s.Utilisation), figures(s.MeanBusy), Percent(s.WaitShare), Millis(s.WaitMean), Millis(s.WaitP99))
		}
	}
	if len(t.Rows) > 0 {
		p.line("")
		p.table(t)
	}
}

func zeroDash(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

func (p *page) settings(a *advise.Advice) {
	s := a.Settings
	p.title("settings")
	t := Table{Header: []string{"setting ", "now", "proposed", "takes ", "how ", "confidence "}}
	for _, x := range s.Proposals {
		t.Add(x.Name, x.Current, x.Proposed, x.Apply, string(x.Method), x.Confidence)
	}
	if len(t.Rows) == 0 {
		p.line("Nothing to change: no figure of this run and no fact asks for another value.")
	}
	p.table(t)
	if len(s.Proposals) > 0 {
		p.line("")
		p.para("%s.", sentence(a.StartCheck.Text))
		if a.Only != "" {
			p.para("Only what a %s brings into force goes into a patch.", a.Only)
		}
		p.line("\nWhy")
		for _, x := range s.Proposals {
			p.item(x.Name+": "+x.Reason, evidence(x), measured(x.Verified), lift(x.Lift), "source: "+x.Source)
		}
	}
	p.budget(s.Budget, a.Verified)
	if len(s.Kept) > 0 {
		p.line("\nLooked at and left alone")
		for _, k := range s.Kept {
			p.item(fmt.Sprintf("%s = %s: %s", k.Name, k.Value, k.Reason))
		}
	}
	if len(s.Notes) > 0 {
		p.line("\nNotes")
		for _, n := range s.Notes {
			p.item(n.Text, n.Hint)
		}
	}
}

// evidence is what a proposal was computed from, and where each figure was found.
func evidence(x advisor.Proposal) string {
	var in []string
	for _, i := range x.Inputs {
		in = append(in, i.Name+" "+i.Value)
	}
	if len(in) == 0 {
		return ""
	}
	return "from: " + strings.Join(in, "; ")
}

// sentence begins with a capital letter.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// measured is what a verification showed of a setting, or of the group it was taken back with.
func measured(e *advisor.Effect) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf("verified: throughput with it %s times that without it (%s to %s, %d pairs)", figures(e.Ratio), figures(e.Low), figures(e.High), e.Pairs)
}

func lift(text string) string {
	if text == "" {
		return ""
	}
	return "would change: " + text
}

func (p *page) budget(b advisor.Budget, r *prune.Result) {
	if b.Total == 0 {
		return
	}
	p.line("\nWorst-case memory with this advice")
	for _, l := range b.Memory {
		p.item(fmt.Sprintf("%s: %s", l.What, Size(l.Bytes)))
	}
	limit := ""
	if b.Limit > 0 {
		limit = " of " + Size(b.Limit) + " allowed"
	}
	p.item(fmt.Sprintf("in all %s%s", Size(b.Total), limit))
	if b.WALDisk > 0 {
		free := ""
		if b.DiskFree > 0 {
			free = " of " + Size(b.DiskFree) + " free"
		}
		p.item("WAL on disk: up to " + Size(b.WALDisk) + free)
	}
	if b.Recovery > 0 {
		allowed := ""
		if b.RecoveryLimit > 0 {
			allowed = " of " + Seconds(b.RecoveryLimit) + " asked for"
		}
		how := fmt.Sprintf("assumed: replay at %s/s", Size(int64(b.Replay)))
		if r != nil && r.Recovery != nil {
			how += "; the verification measured " + Seconds(r.Recovery.Estimate) + " at worst with its data and load"
		}
		p.item("recovery after a crash: about "+Seconds(b.Recovery)+allowed, how)
	}
}

func (p *page) formulas(a *advise.Advice) {
	if len(a.Formulas) == 0 {
		return
	}
	p.title("what the well-known formulas say")
	names := map[string]bool{}
	for _, f := range a.Formulas {
		for n := range f.Values {
			names[n] = true
		}
	}
	sorted := make([]string, 0, len(names))
	for n := range names {
		sorted = append(sorted, n)
	}
	sort.Strings(sorted)
	ours := map[string]string{}
	for _, k := range a.Settings.Kept {
		ours[k.Name] = k.Value
	}
	for _, x := range a.Settings.Proposals {
		ours[x.Name] = x.Proposed
	}
	t := Table{Header: []string{"setting ", "pgfit"}}
	for _, f := range a.Formulas {
		t.Header = append(t.Header, f.Name)
	}
	for _, n := range sorted {
		row := []string{n, ours[n]}
		for _, f := range a.Formulas {
			row = append(row, f.Values[n])
		}
		t.Add(row...)
	}
	p.table(t)
	p.line("")
	for _, f := range a.Formulas {
		if f.Warning != "" {
			p.item(f.Name + ": " + f.Warning)
		}
	}
}

func (p *page) findings(all []advisor.Finding) {
	if len(all) == 0 {
		return
	}
	p.title("what the data cannot carry, and doubts")
	for _, f := range all {
		what := f.Code
		if f.Scenario != "" {
			what += ", " + f.Scenario
		}
		p.item(what+": "+f.Text, lift2(f.Lift))
	}
}

func lift2(text string) string {
	if text == "" {
		return ""
	}
	return "lifted by: " + text
}

// openLoop prints visits at a fixed rate: latency from the intended start, and what a closed loop would have shown.
func (p *page) openLoop(doc *rundoc.Document) {
	t := Table{Header: []string{"scenario ", "pool", "rate /s", "TPS", "p50 ms", "p99 ms", "p99.9 ms", "uncorrected p99.9 ms", "late", "unserved", "client CPU"}}
	for _, v := range doc.Visits {
		if v.Phase != "C" || v.Rate == 0 {
			continue
		}
		lat, raw := mergedHistogram(v, func(o rundoc.Op) string { return o.Latency }), mergedHistogram(v, func(o rundoc.Op) string { return o.Uncorrected })
		at := func(h *hdrhistogram.Histogram, q float64, least int64) string {
			if h.TotalCount() < least {
				return "too few"
			}
			return Millis(float64(h.ValueAtQuantile(q)) / 1e6)
		}
		t.Add(v.Scenario, strconv.Itoa(v.PoolSize), Rate(v.Rate), Rate(v.TPS), at(lat, 50, 1), at(lat, 99, capacity.LeastForP99), at(lat, 99.9, capacity.LeastForP999),
			at(raw, 99.9, capacity.LeastForP999), strconv.FormatInt(v.Late, 10), strconv.FormatInt(v.Dropped, 10), Percent(v.Client.CPUShare))
	}
	if len(t.Rows) > 0 {
		p.title("open loop, from the intended start")
		p.table(t)
	}
}

// errors lists what failed, by SQLSTATE.
func (p *page) errors(doc *rundoc.Document) {
	count, first := map[string]int64{}, map[string]string{}
	for _, v := range doc.Visits {
		for _, e := range v.Errors {
			count[e.SQLState] += e.Count
			if first[e.SQLState] == "" {
				first[e.SQLState] = e.Message
			}
		}
	}
	codes := make([]string, 0, len(count))
	for c := range count {
		codes = append(codes, c)
	}
	sort.Strings(codes)
	t := Table{Header: []string{"SQLSTATE ", "count", "first message "}}
	for _, c := range codes {
		t.Add(c, strconv.FormatInt(count[c], 10), first[c])
	}
	if len(t.Rows) > 0 {
		p.title("errors")
		p.table(t)
	}
}
