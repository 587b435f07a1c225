package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgfit/advisor"
	"pgfit/advisor/prune"
	"pgfit/advisor/verdict"
	"pgfit/workload/rundoc"
)

// VerifyPlan says what a verification is going to do.
func VerifyPlan(v *rundoc.Verification, bytes int64, now time.Time) string {
	var b strings.Builder
	groups, names, not := []string{}, map[string][]string{}, []string{}
	for _, p := range v.Patch {
		if p.Unverified != "" {
			not = append(not, p.Name)
			continue
		}
		if names[p.Group] == nil {
			groups = append(groups, p.Group)
		}
		names[p.Group] = append(names[p.Group], p.Name)
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "patch      %s: %s\n", g, strings.Join(names[g], ", "))
	}
	if len(not) > 0 {
		fmt.Fprintf(&b, "unverified %s\n", strings.Join(not, ", "))
	}
	for _, r := range v.Rivals {
		var set []string
		for _, n := range slices.Sorted(maps.Keys(r.Values)) {
			set = append(set, n+" = "+r.Values[n])
		}
		fmt.Fprintf(&b, "against    %s: %s\n", r.Name, strings.Join(set, ", "))
		for _, why := range r.LeftOut {
			fmt.Fprintf(&b, "           without this: %s\n", why)
		}
	}
	where := "two scratch servers from one snapshot, taking turns, started anew for each pair, with settings that a coin gives them"
	if v.Mode == rundoc.ModeSession {
		where = "one server, SET on pgfit's own connections, taking turns, new connections for each pair"
	}
	fmt.Fprintf(&b, "compares   %s\n", where)
	fmt.Fprintf(&b, "scenarios  %s; %s of data; pool size %d\n", strings.Join(v.Scenarios, ", "), Size(bytes), v.PoolSize)
	fmt.Fprintf(&b, "visits     %d pairs in random order, seed %d; each visit %s of warm-up and %s measured\n", v.Pairs, v.Seed, Seconds(v.WarmupSeconds), Seconds(v.MeasureSeconds))
	if len(v.Rivals) > 0 {
		fmt.Fprintf(&b, "steps      the noise between equal settings; the patch against each of %d; differences again; as far as the time goes\n", len(v.Rivals))
	} else {
		fmt.Fprintf(&b, "steps      the noise between equal settings; all of the patch; the patch without each group in turn, and without single settings\n"+
			"           of groups that matter; what is left of it; as far as the time goes\n")
	}
	end := now.Add(time.Duration(v.BudgetSeconds * float64(time.Second)))
	fmt.Fprintf(&b, "ends       by %s (budget %s)", end.Format("15:04:05"), Seconds(v.BudgetSeconds))
	return b.String()
}

// Promise says, before anything is compared, how small a change the comparisons will show.
func Promise(noise []prune.Noise, pairs int, measure time.Duration) string {
	var words []string
	for _, n := range noise {
		words = append(words, fmt.Sprintf("%s or more under %s (visits under equal settings differ by %s)", verdict.Percent(n.Detectable), n.Scenario, verdict.Percent(math.Exp(n.PairSD/math.Sqrt2)-1)))
	}
	text := fmt.Sprintf("%d pairs of %s will show, four times in five, a change of %s", pairs, Seconds(measure.Seconds()), strings.Join(words, ", "))
	if slices.ContainsFunc(noise, func(n prune.Noise) bool { return n.Detectable > prune.TooCoarse }) {
		text += "\nthat may be too noisy to drop a setting for making no difference: a quieter machine, a longer --measure or a longer --budget help"
	}
	return text
}

// TooShort says that the time that is left does not hold the pairs of one comparison.
func TooShort(pairs int, need, left time.Duration) string {
	return fmt.Sprintf("%d pairs take about %s here and %s are left, which may be too few for a verdict: a --budget that is longer by %s holds them",
		pairs, Seconds(need.Seconds()), Seconds(max(0, left).Seconds()), Seconds((need - left).Seconds()))
}

// StepText says what a comparison compares.
func StepText(c rundoc.Comparison) string {
	switch c.Step {
	case rundoc.StepNoise:
		return "noise between equal settings"
	case rundoc.StepPatch:
		if c.Name != "" {
			return "the patch against " + c.Name
		}
		return "the patch against the present settings"
	case rundoc.StepAgain:
		return "again, where a difference was seen: the patch against " + c.Name
	case rundoc.StepReload:
		return "what needs no restart"
	case rundoc.StepRestart:
		return "what the restart adds"
	case rundoc.StepGroup:
		if len(c.Removed) == 1 {
			return "without " + c.Removed[0]
		}
		return fmt.Sprintf("without %s (%s)", c.Name, strings.Join(c.Removed, ", "))
	case rundoc.StepSetting:
		return "without " + c.Name
	case rundoc.StepPruned:
		return "the pruned patch against the present settings"
	}
	return c.Step
}

// ComparisonText is one line on a comparison that has been made: B against A.
func ComparisonText(v *rundoc.Verification, c rundoc.Comparison) string {
	if c.Failed != "" {
		return StepText(c) + ": cannot be measured: " + c.Failed
	}
	var words []string
	for _, sc := range v.Scenarios {
		if r := prune.Throughput(c, sc); r.Pairs > 0 {
			words = append(words, sc+" "+r.Words())
		}
	}
	return StepText(c) + ": " + strings.Join(words, "; ")
}

// Verified writes what a verification of a target came to.
func Verified(w io.Writer, target string, r *prune.Result, markdown bool) error {
	p := &page{w: w, markdown: markdown}
	if markdown {
		p.line("# pgfit verify: %s\n", target)
	}
	p.verified(r)
	return p.err
}

// verified is the section about a verification.
func (p *page) verified(r *prune.Result) {
	if r == nil {
		return
	}
	if len(r.Rivals) > 0 {
		p.against(r)
		return
	}
	p.title("verified: the patch against the present settings, in pairs")
	if r.Failed != "" {
		p.para("The patch could not be measured: %s", r.Failed)
		return
	}
	if r.Partial != "" {
		p.para("This verification is partial (%s): what follows is what had been measured by then.\n", r.Partial)
	}
	p.gains("All of the patch", r.Patch)
	p.gains("What is left of it", r.Pruned)
	p.gains("Of that, what needs no restart", r.Reload)
	p.gains("What the restart adds to it", r.Restart)
	p.pieces(r)
	p.recovered(r.Recovery)
	p.remarks(r)
}

// remarks are what a reader has to know of how it was measured.
func (p *page) remarks(r *prune.Result) {
	for _, n := range r.Notes {
		p.item(n)
	}
	for _, u := range r.Unchecked {
		p.item("unverified: " + u)
	}
	p.noise(r)
}

func (p *page) gains(what string, all []prune.Gain) {
	if len(all) == 0 {
		return
	}
	p.line("%s\n", what)
	t := Table{Header: []string{"scenario ", "TPS before", "after", "ratio (95 %) ", "verdict ", "pairs", "p"}}
	more := Table{Header: []string{"scenario ", "p99 ms before", "after", "changed ", "CPU ms/tx before", "after", "WAL/tx before", "after"}}
	for _, g := range all {
		t.Add(g.Scenario, Rate(g.BeforeTPS), Rate(g.AfterTPS), ratio(g), g.Verdict, strconv.Itoa(g.Verified.Pairs), chance(g.P))
		more.Add(g.Scenario, Millis(g.BeforeP99), Millis(g.AfterP99), effect(g.P99), cpu(g.BeforeCPU), cpu(g.AfterCPU), Size(int64(g.BeforeWAL)), Size(int64(g.AfterWAL)))
	}
	p.table(t)
	p.line("")
	p.table(more)
	p.line("")
	said := false
	for _, g := range all {
		if g.Depends != "" {
			said = true
			p.item(g.Depends)
		}
	}
	if said {
		p.line("")
	}
}

func cpu(seconds float64) string {
	if seconds <= 0 {
		return "-"
	}
	return figures(seconds * 1e3)
}

func chance(p float64) string {
	if p < 0 {
		return "-"
	}
	return strconv.FormatFloat(p, 'f', 3, 64)
}

// effect is a ratio as a signed percentage with its interval.
func effect(e advisor.Effect) string {
	if e.Pairs == 0 || e.High == 0 {
		return "-"
	}
	if e.Ratio > 2 {
		return fmt.Sprintf("%s times (%s to %s)", figures(e.Ratio), figures(e.Low), figures(e.High))
	}
	signed := func(r float64) string { return strconv.FormatFloat(100*(r-1), 'f', 0, 64) }
	sign := ""
	if e.Ratio > 1 {
		sign = "+"
	}
	return fmt.Sprintf("%s%s %% (%s to %s)", sign, signed(e.Ratio), signed(e.Low), signed(e.High))
}

// pieces lists the groups, and the single settings that were looked into, with what becomes of them.
func (p *page) pieces(r *prune.Result) {
	p.line("Taken back, one after the other: the server with it against the server without it\n")
	t := Table{Header: []string{"taken back ", "outcome ", "stays ", "scenario ", "with it ", "p99 "}}
	var why []string
	for _, it := range r.Items {
		name, stays := it.Name, "no"
		switch {
		case it.Single:
			name = "  " + name
		case len(it.Settings) == 1 && it.Settings[0] != it.Name, len(it.Settings) > 1 && len(strings.Join(it.Settings, ", ")) <= 40:
			name += ": " + strings.Join(it.Settings, ", ")
		case len(it.Settings) > 1:
			why = append(why, it.Name+" is "+strings.Join(it.Settings, ", "))
		}
		if price := r.Price(); it.Why != "" && (price == nil || price.Name != it.Name) { // that has a sentence of its own
			why = append(why, strings.TrimSpace(name)+": "+it.Why)
		}
		if it.Depends != "" {
			why = append(why, strings.TrimSpace(name)+": "+it.Depends)
		}
		if it.Kept {
			stays = "yes"
		}
		row := []string{name, string(it.Outcome), stays}
		for _, e := range it.Scenarios {
			t.Add(append(row, e.Scenario, e.Verdict, effect(e.P99))...)
			row = []string{"", "", ""}
		}
		if len(it.Scenarios) == 0 {
			t.Add(append(row, "", "", "")...)
		}
	}
	p.table(t)
	p.line("")
	for _, w := range why {
		p.item(w)
	}
	if h := r.Harmful(); len(h) > 0 {
		p.item("Harmful, and dropped: " + strings.Join(h, ", "))
	}
	if c := r.Price(); c != nil {
		p.item(price(c))
	}
	longer := r.Longer()
	for _, sc := range slices.Sorted(maps.Keys(longer)) {
		p.item(sc + ": " + longer[sc])
	}
	if r.Rejected {
		p.item("The patch is worse than the present settings, and " + r.NoCulprit() + "; pgfit verify with more --pairs or a longer --budget tells more")
	}
	if len(r.Dropped) > 0 {
		p.item("Dropped from the patch: " + strings.Join(r.Dropped, ", "))
	}
	if r.Restored {
		p.item("What made no difference by itself came back: without all of it a gain of the whole patch was gone")
	}
	if len(r.Dropped) > 0 && len(r.Kept) > 0 && len(r.Pruned) == 0 && len(r.Unchecked) < len(r.Kept) && !r.Rejected && !r.Restored {
		p.item("What is left of the patch was not measured as a whole")
	}
	if len(r.Kept) > 0 {
		p.item("Stay in the patch: " + strings.Join(r.Kept, ", "))
	} else {
		p.item("Nothing of the patch is left")
	}
}

// price says what observing costs, which the figures of the whole patch contain.
func price(it *prune.Item) string {
	var words []string
	for _, e := range it.Scenarios {
		words = append(words, e.Scenario+" "+e.Verdict)
	}
	return fmt.Sprintf("To be able to see, not for speed: %s. With it against without it: %s. It stays, and the gains above are what is left after its cost",
		strings.Join(it.Settings, ", "), strings.Join(words, "; "))
}

func (p *page) recovered(c *rundoc.RecoveryCheck) {
	if c == nil {
		return
	}
	verdict := "within"
	if c.Estimate > c.Limit {
		verdict = "over"
	}
	text := fmt.Sprintf("Killed before a checkpoint with %s of WAL to replay, the patched server was back after %s.", Size(c.WALBytes), Seconds(c.Seconds))
	if c.AtWorst > c.WALBytes {
		text += fmt.Sprintf(" At worst %s are to be replayed: about %s (in proportion),", Size(c.AtWorst), Seconds(c.Estimate))
	} else {
		text += " That is"
	}
	p.item(fmt.Sprintf("%s %s the limit of %s.", text, verdict, Seconds(c.Limit)), intact(c))
}

func intact(c *rundoc.RecoveryCheck) string {
	if c.Intact {
		return fmt.Sprintf("Checksums over every row of %d tables were the same before and after.", c.Tables)
	}
	return "Rows of " + c.Different + " differ after the recovery: something is wrong with this server or its disk."
}

// visitText is how long a visit to a scenario with long statements is.
func visitText(s rundoc.Scope) string {
	if s.Transactions == 0 { // documents of before there were lists
		return Seconds(s.MeasureSeconds)
	}
	return fmt.Sprintf("%d transactions that were the same on both sides (about %s)", s.Transactions, Seconds(s.MeasureSeconds))
}

func (p *page) noise(r *prune.Result) {
	for _, n := range r.Noise {
		p.item(fmt.Sprintf("noise under %s: visits under equal settings differed by %s, so that the plan was to see a change of %s or more", n.Scenario, verdict.Percent(math.Exp(n.PairSD/math.Sqrt2)-1), verdict.Percent(n.Detectable)))
	}
	if r.Mode == rundoc.ModeScratch && (len(r.Patch) > 0 || len(r.Rivals) > 0) {
		pieces := ""
		if len(r.Rivals) == 0 {
			pieces = "; a piece helps or harms where it does without that as well"
		}
		p.para("\nThe checkpoint after each visit is counted into its time, whole, which is more than its share in service"+pieces+". Intervals hold for this machine, data and pool (size %d); effects that take hours, "+
			"such as most of autovacuum's, do not show in visits of seconds.", r.PoolSize)
		for _, n := range r.Narrowed {
			p.para("Statements of %s take long: it was measured with %d connections, in visits of %s.", n.Scenario, n.MostPool, visitText(n))
		}
	}
}
