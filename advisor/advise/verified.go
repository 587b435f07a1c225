package advise

import (
	"slices"
	"strings"

	"pgfit/advisor"
	"pgfit/advisor/prune"
	"pgfit/advisor/rules"
	"pgfit/advisor/verdict"
	"pgfit/workload/rundoc"
)

// verified puts what a trial showed into the advice: what it dropped goes from the proposals to what was left alone, with
// the reason; what it kept carries its measured effect. What was measured of the values of another set of rules says nothing.
func (a *Advice) verified(doc *rundoc.Document, ruleSet string) {
	if doc.Against != nil {
		a.Against = prune.Judge(doc.Against)
		if doc.Against.File != "" && doc.Verification == nil {
			a.Settings.Proposals = fromFile(doc, doc.Against)
		}
	}
	v := doc.Verification
	if v == nil {
		return
	}
	if v.File == "" && v.Rules != ruleSet {
		a.Findings = append(a.Findings, advisor.Finding{Code: "verify", Text: "what was verified are the values of other rules: nothing is dropped from these", Lift: "run pgfit verify with these --rules"})
		return
	}
	a.Verified = prune.Judge(v)
	if v.File != "" {
		a.Settings.Proposals = fromFile(doc, v)
	}
	measured := map[string]string{}
	for _, p := range v.Patch {
		measured[p.Name] = p.Value
	}
	var others []string
	kept := []advisor.Proposal{}
	for _, p := range a.Settings.Proposals {
		value, ok := measured[p.Name]
		if !ok || value != p.Proposed {
			others = append(others, p.Name)
			kept = append(kept, p)
			continue
		}
		if why, dropped := a.Verified.Reason(p.Name); dropped {
			a.Settings.Kept = append(a.Settings.Kept, advisor.Kept{Name: p.Name, Value: p.Current, Reason: why})
			continue
		}
		p.Verified = a.Verified.Effect(p.Name)
		kept = append(kept, p)
	}
	a.Settings.Proposals = kept
	switch r := a.Verified; {
	case r.Failed != "":
		a.Findings = append(a.Findings, advisor.Finding{Code: "verify", Text: "the patch could not be measured: " + r.Failed, Lift: "do not apply it before that is mended", Blocks: true})
	case r.Rejected:
		a.Findings = append(a.Findings, advisor.Finding{Code: "verify", Text: "the patch is slower than the present settings and nothing of it is recommended; " + r.NoCulprit(),
			Lift: "pgfit verify with more --pairs or a longer --budget tells more"})
	}
	a.slower()
	if len(others) > 0 {
		a.Findings = append(a.Findings, advisor.Finding{Code: "verify", Text: "not among the values that were verified: " + strings.Join(others, ", "),
			Lift: "run pgfit verify again with these options"})
	}
}

// slower says where the patch was measured to be slower than the present settings, what of that is the price of seeing, and
// whether what is left of the patch was cleared.
func (a *Advice) slower() {
	r := a.Verified
	if r.Failed != "" || r.Rejected {
		return
	}
	for _, g := range r.Patch {
		if g.Kind != verdict.Worse {
			continue
		}
		text := "the whole patch was " + g.Verdict
		if g.Uncharged != verdict.Worse {
			text += ", and is not seen to be without the checkpoint after each visit"
		}
		if p := r.Price(); p != nil && p.Outcome == prune.Costs {
			text += "; " + strings.Join(p.Settings, ", ") + " cost part of that, as the verification says"
		}
		for _, left := range r.Pruned {
			if left.Scenario == g.Scenario {
				text += "; what is left of it: " + left.Verdict
			}
		}
		a.Findings = append(a.Findings, advisor.Finding{Code: "verify", Scenario: g.Scenario, Text: text, Lift: "read the table of what was taken back; a longer --budget tells more"})
	}
}

// together makes the advice hold together once a verification has dropped part of it: a value that only followed from
// another one goes with it, and budget and notes are those of the patch that is left.
func (a *Advice) together(in rules.Input, v *rundoc.Verification) {
	if a.Verified == nil || len(a.Verified.Dropped) == 0 || v.File != "" {
		return
	}
	in.Pinned = map[string]string{}
	for _, name := range a.Verified.Dropped {
		in.Pinned[name], _ = a.Verified.Reason(name)
	}
	again := rules.Advise(in)
	still, why := map[string]bool{}, map[string]string{}
	for _, p := range again.Proposals {
		still[p.Name] = true
	}
	for _, k := range again.Kept {
		why[k.Name] = k.Reason
	}
	a.Settings.Proposals = slices.DeleteFunc(a.Settings.Proposals, func(p advisor.Proposal) bool {
		if still[p.Name] || why[p.Name] == "" { // the second: no rule speaks of it
			return false
		}
		a.Settings.Kept = append(a.Settings.Kept, advisor.Kept{Name: p.Name, Value: p.Current, Reason: "goes with what was dropped: " + why[p.Name]})
		return true
	})
	rules.Restate(in, &a.Settings)
}

// fromFile makes proposals of a patch that the user brought.
func fromFile(doc *rundoc.Document, v *rundoc.Verification) []advisor.Proposal {
	var out []advisor.Proposal
	for _, p := range v.Patch {
		out = append(out, advisor.Proposal{
			Name: p.Name, Family: p.Group, Current: p.Present, Proposed: p.Value, Context: doc.Facts.Server.Settings[p.Name].Context, Apply: p.Apply,
			Method: advisor.Measured, Reason: "from the patch that was verified", Source: v.File, Confidence: "medium",
		})
	}
	return out
}
