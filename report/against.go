package report

import (
	"fmt"
	"strconv"
	"strings"

	"pgfit/advisor/prune"
	"pgfit/advisor/verdict"
)

// against is the section about the patch and the answers of other tools.
func (p *page) against(r *prune.Result) {
	p.title("compared: the patch against other settings, in pairs, at equal durability")
	if r.Partial != "" {
		p.para("This comparison is partial (%s): what follows is what had been measured by then.\n", r.Partial)
	}
	t := Table{Header: []string{"against ", "scenario ", "TPS theirs", "patch", "ratio (95 %) ", "the patch is ", "pairs", "p", "p99 "}}
	for _, rival := range r.Rivals {
		name := rival.Name
		for _, g := range rival.Gains {
			t.Add(name, g.Scenario, Rate(g.BeforeTPS), Rate(g.AfterTPS), ratio(g), g.Verdict, strconv.Itoa(g.Verified.Pairs), chance(g.P), effect(g.P99))
			name = ""
		}
		if rival.Why != "" {
			t.Add(name, "", "", "", "", "not measured: "+rival.Why, "", "", "")
		}
	}
	p.table(t)
	p.line("")
	p.para("%s", conclusion(r.Rivals))
	for _, rival := range r.Rivals {
		for _, why := range rival.LeftOut {
			p.item("left out of " + rival.Name + ": " + why)
		}
	}
	for _, rival := range r.Rivals {
		if names := rival.NotCompared; len(names) > 0 {
			p.item("left out of the patch against "+rival.Name+": "+strings.Join(names, ", "), "it is there to be able to see, and what that costs is measured apart (pgfit verify without --against)")
			break // it is the same against each, but for what a file of the user's sets itself
		}
	}
	p.remarks(r)
}

// ratio is throughput after over before, with its interval.
func ratio(g prune.Gain) string {
	e := g.Verified
	if e.Pairs == 0 || e.High == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f (%.3f to %.3f)", e.Ratio, e.Low, e.High)
}

// conclusion says in one sentence whether the patch is worse than a rival anywhere.
func conclusion(all []prune.Rivalry) string {
	var worse, unknown []string
	judged := 0
	for _, r := range all {
		if len(r.Gains) == 0 {
			unknown = append(unknown, r.Name)
		}
		for _, g := range r.Gains {
			switch g.Kind {
			case verdict.Worse:
				worse = append(worse, fmt.Sprintf("than %s under %s (%s)", r.Name, g.Scenario, ratio(g)))
			case verdict.TooFew:
				unknown = append(unknown, r.Name+" under "+g.Scenario)
				continue
			}
			judged++
		}
	}
	var words []string
	switch {
	case judged == 0:
	case len(worse) > 0:
		words = append(words, fmt.Sprintf("The patch is worse %s. Of verdicts where there is no difference at most one in forty says so by chance; here are %d.", strings.Join(worse, ", "), judged))
	default:
		words = append(words, "The patch is not seen to be worse in any scenario; the intervals say by how much it could be.")
	}
	if len(unknown) > 0 {
		words = append(words, "No verdict on "+strings.Join(unknown, ", ")+".")
	}
	return strings.Join(words, " ")
}
