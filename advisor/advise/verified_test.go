package advise

import (
	"math"
	"strings"
	"testing"

	"pgfit/advisor"
	"pgfit/workload/rundoc"
)

// pairs makes six pairs of visits with B so many times as fast as A.
func pairs(scenario string, ratio float64) []rundoc.TrialVisit {
	var out []rundoc.TrialVisit
	for i := 1; i <= 6; i++ {
		jitter := 1 + float64(i)/1000
		out = append(out, rundoc.TrialVisit{Scenario: scenario, Side: "A", Pair: i, Seconds: 1, TPS: 100, P99: 1, Transactions: 100},
			rundoc.TrialVisit{Scenario: scenario, Side: "B", Pair: i, Seconds: 1, TPS: 100 * ratio * jitter, P99: 1, Transactions: 100})
	}
	return out
}

// TestVerified: what a verification dropped is no proposal any more and says why; what it kept carries its effect; what it
// did not measure is named.
func TestVerified(t *testing.T) {
	doc := &rundoc.Document{Verification: &rundoc.Verification{
		Mode: rundoc.ModeScratch, Scenarios: []string{"reads"}, Pairs: 6,
		Patch: []rundoc.PatchSetting{{Name: "shared_buffers", Value: "1GB", Present: "128MB", Group: "memory", Apply: "restart"},
			{Name: "random_page_cost", Value: "90", Present: "4", Group: "planner", Apply: "reload"}},
		Comparisons: []rundoc.Comparison{
			{Step: rundoc.StepNoise}, {Step: rundoc.StepPatch, Visits: pairs("reads", .6)},
			{Step: rundoc.StepGroup, Name: "memory", Removed: []string{"shared_buffers"}, Visits: pairs("reads", .8)},
			{Step: rundoc.StepGroup, Name: "planner", Removed: []string{"random_page_cost"}, Visits: pairs("reads", 2)},
			{Step: rundoc.StepPruned, Visits: pairs("reads", 1.25)},
		},
	}}
	a := &Advice{Settings: advisor.Settings{Proposals: []advisor.Proposal{
		{Name: "shared_buffers", Current: "128MB", Proposed: "1GB"}, {Name: "random_page_cost", Current: "4", Proposed: "90"}, {Name: "work_mem", Proposed: "8MB"},
	}}}
	a.verified(doc, "")
	if p := a.Settings.Proposals; len(p) != 2 || p[0].Name != "shared_buffers" || p[1].Name != "work_mem" {
		t.Fatalf("proposals %+v", p)
	}
	if e := a.Settings.Proposals[0].Verified; e == nil || e.Pairs != 6 || math.Abs(e.Ratio-1.25) > .02 {
		t.Errorf("shared_buffers carries %+v, want 1/0.8", e)
	}
	if k := a.Settings.Kept; len(k) != 1 || k[0].Name != "random_page_cost" || k[0].Value != "4" || !strings.HasPrefix(k[0].Reason, "dropped, it harms. With it: reads: worse by 50 %") {
		t.Errorf("kept %+v", k)
	}
	if f := a.Findings; len(f) != 2 || !strings.HasPrefix(f[0].Text, "the whole patch was worse by") || !strings.Contains(f[0].Text, "what is left of it: better by 25 %") || !strings.Contains(f[1].Text, "work_mem") {
		t.Errorf("findings %+v", f)
	}
	doc.Verification.Comparisons = []rundoc.Comparison{{Step: rundoc.StepNoise}, {Step: rundoc.StepPatch, Failed: "FATAL: out of memory"}}
	b := &Advice{}
	if b.verified(doc, ""); !b.Unfit() || !strings.Contains(b.Findings[0].Text, "out of memory") {
		t.Errorf("a patch that does not start: %+v", b.Findings)
	}
}
