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
	row := func(name, scenario string, g prune.Gain) {
		t.Add(name, scenario, Rate(g.BeforeTPS), Rate(g.AfterTPS), ratio(g), g.Verdict, strconv.Itoa(g.Verified.Pairs), chance(g.P), effect(g.P99))
	}
	for _, rival := range r.Rivals {
		name := rival.Name
		for _, g := range rival.Gains {
			row(name, g.Scenario, g)
			if again := twice(rival, g.Scenario); again != nil {
				row("", "  once more", *again)
			}
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

// twice is the second look at a scenario in which a difference was seen; nil when there was none.
func twice(r prune.Rivalry, scenario string) *prune.Gain {
	for i, g := range r.Again {
		if g.Scenario == scenario {
			return &r.Again[i]
		}
	}
	return nil
}

// conclusion says in a few sentences whether the patch is worse than a rival anywhere. Where a difference was measured twice, the
// second time decides: the first is one that stood out among many.
func conclusion(all []prune.Rivalry) string {
	var worse, once, chance, unknown []string
	judged := 0
	for _, r := range all {
		if len(r.Gains) == 0 {
			unknown = append(unknown, r.Name)
		}
		for _, g := range r.Gains {
			if g.Kind == verdict.TooFew {
				unknown = append(unknown, r.Name+" under "+g.Scenario)
				continue
			}
			judged++
			name, again := "than "+r.Name+" under "+g.Scenario, twice(r, g.Scenario)
			switch {
			case again != nil && again.Kind == verdict.Worse:
				worse = append(worse, fmt.Sprintf("%s (%s)", name, ratio(*again)))
			case again != nil && g.Kind == verdict.Worse:
				chance = append(chance, name)
			case again == nil && g.Kind == verdict.Worse:
				once = append(once, fmt.Sprintf("%s (%s)", name, ratio(g)))
			}
		}
	}
	var words []string
	if len(worse) > 0 {
		words = append(words, fmt.Sprintf("The patch is worse %s, measured twice.", strings.Join(worse, ", ")))
	}
	if len(once) > 0 {
		words = append(words, fmt.Sprintf("The patch is worse %s, measured once. Of verdicts where there is no difference at most one in forty says so by chance; here are %d.", strings.Join(once, ", "), judged))
	}
	if len(worse)+len(once) == 0 && judged > 0 {
		words = append(words, "The patch is not seen to be worse in any scenario; the intervals say by how much it could be.")
	}
	if len(chance) > 0 {
		words = append(words, fmt.Sprintf("Worse %s at first, and not with twice the pairs.", strings.Join(chance, ", ")))
	}
	if len(unknown) > 0 {
		words = append(words, "No verdict on "+strings.Join(unknown, ", ")+".")
	}
	return strings.Join(words, " ")
}
