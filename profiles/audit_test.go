package profiles

import (
	"slices"
	"strings"
	"testing"

	"pgfit/probe/guc"
)

func TestAudit(t *testing.T) {
	all, err := auditChecks()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range all {
		if c.ID == "" || seen[c.ID] || c.Reason == "" || c.Source == "" || c.Fix == "" || c.Severity["production"] == "" {
			t.Errorf("%q: twice, or without reason, source, fix or a severity in production", c.ID)
		}
		seen[c.ID] = true
		for env, severity := range c.Severity {
			if !slices.Contains(AuditEnvironments, env) || !slices.Contains(Severities, severity) {
				t.Errorf("%s: severity %s in %s", c.ID, severity, env)
			}
		}
		if c.Setting != "" {
			checkSetting(t, c)
		}
	}
	for _, env := range AuditEnvironments {
		if checks, err := Audit(env); err != nil || len(checks) < 20 {
			t.Errorf("%s: %d checks, %v", env, len(checks), err)
		}
	}
	if _, err := Audit("staging"); err == nil {
		t.Error("an unknown environment was taken")
	}
}

// checkSetting wants the setting, its bounds and its fix to be ones that every version takes.
func checkSetting(t *testing.T, c AuditCheck) {
	t.Helper()
	for major := guc.OldestMajor; major <= guc.NewestMajor; major++ {
		server, err := guc.Catalogue(major)
		if err != nil {
			t.Fatal(err)
		}
		if !server.Has(c.Setting) {
			t.Errorf("%s: %d has no %s", c.ID, major, c.Setting)
			continue
		}
		for _, value := range slices.Concat([]string{c.Min, c.Max, c.Value}, c.Or) {
			if _, err := server[c.Setting].Parse(value); value != "" && err != nil {
				t.Errorf("%s: %d takes no %s: %v", c.ID, major, value, err)
			}
		}
	}
	if c.Value != "" && !strings.Contains(c.Fix, c.Setting) {
		t.Errorf("%s: the fix does not name %s", c.ID, c.Setting)
	}
}
