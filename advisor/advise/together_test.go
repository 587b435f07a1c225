package advise

import (
	"strings"
	"testing"

	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/workload/rundoc"
)

// TestTogether: on a stock server of 32 GB the rules raise maintenance_work_mem and, because of that, bound
// autovacuum_work_mem. A verification that drops the first takes the second with it, and the budget is that of what is left.
func TestTogether(t *testing.T) {
	all, err := guc.Catalogue(15)
	if err != nil {
		t.Fatal(err)
	}
	doc := &rundoc.Document{}
	doc.Facts.Host.Memory.Budget = probe.Is(int64(32<<30), "test")
	doc.Facts.Host.CPU.Effective = probe.Is(8., "test")
	doc.Facts.Server = probe.Server{VersionNum: 150000, Settings: all, ClusterBytes: probe.Is(int64(100<<30), "test")}
	before, err := FromFacts(doc, Options{Dedicated: true})
	if err != nil {
		t.Fatal(err)
	}
	if value(before, "maintenance_work_mem") == "" || value(before, "autovacuum_work_mem") == "" {
		t.Fatalf("the rules propose %v", before.Values())
	}
	doc.Verification = &rundoc.Verification{
		Mode: rundoc.ModeScratch, Scenarios: []string{"reads"}, Pairs: 6,
		Patch: []rundoc.PatchSetting{{Name: "maintenance_work_mem", Value: value(before, "maintenance_work_mem"), Present: "64MB", Group: "memory", Apply: "reload"}},
		Comparisons: []rundoc.Comparison{
			{Step: rundoc.StepNoise}, {Step: rundoc.StepPatch, Visits: pairs("reads", .5)},
			{Step: rundoc.StepGroup, Name: "memory", Removed: []string{"maintenance_work_mem"}, Visits: pairs("reads", 2)},
		},
	}
	after, err := FromFacts(doc, Options{Dedicated: true})
	if err != nil {
		t.Fatal(err)
	}
	if value(after, "maintenance_work_mem") != "" || value(after, "autovacuum_work_mem") != "" {
		t.Errorf("left in the patch: %v", after.Values())
	}
	if why := reason(after, "autovacuum_work_mem"); !strings.HasPrefix(why, "goes with what was dropped: ") {
		t.Errorf("autovacuum_work_mem was left out because %q", why)
	}
	if after.Settings.Budget.Total >= before.Settings.Budget.Total {
		t.Errorf("the budget holds %d bytes after %d", after.Settings.Budget.Total, before.Settings.Budget.Total)
	}
}

func value(a *Advice, name string) string { return a.Values()[name] }

func reason(a *Advice, name string) string {
	for _, k := range a.Settings.Kept {
		if k.Name == name {
			return k.Reason
		}
	}
	return ""
}
