package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"pgfit/advisor/audit"
)

var sampleAudit = audit.Result{
	Environment: "production",
	Findings: []audit.Finding{
		{Check: "conf.ssl", Severity: "error", File: "a/postgresql.conf", Line: 7, Text: "ssl is off, want on", Reason: "in the clear <&>", Source: "guide", Fix: "ssl = on"},
		{Check: "conf.ssl", Severity: "error", File: "a/other.conf", Text: "again", Reason: "in the clear <&>", Source: "guide", Fix: "ssl = on"},
		{Check: "roles.powers", Severity: "warning", Object: "role app", Text: "app has SUPERUSER", Reason: "r", Source: "s", Fix: "one\ntwo"},
		{Check: "conf.twice", Severity: "note", File: "x", Line: 1, Text: "set twice", Reason: "r", Source: "s", Fix: "f"},
	},
	Passed: []string{"hba.trust"}, Skipped: []audit.Skip{{Area: "compose file", Reason: "none was given"}},
}

func TestAuditText(t *testing.T) {
	var b bytes.Buffer
	if err := Audit(&b, sampleAudit, "text", "v1"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"error    ssl is off, want on\n         a/postgresql.conf:7 (conf.ssl)\n", "fix: one\n              two\n", "role app (roles.powers)",
		"profile production: 2 errors, 1 warning, 1 note; 1 check passed\nnot looked at: compose file: none was given\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// SARIF: each result names a rule that is there, a level that the standard has, and a place.
func TestAuditSARIF(t *testing.T) {
	var b bytes.Buffer
	if err := Audit(&b, sampleAudit, "sarif", "v1.2.0"); err != nil {
		t.Fatal(err)
	}
	var got sarif
	dec := json.NewDecoder(&b)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	run := got.Runs[0]
	if got.Version != "2.1.0" || len(run.Results) != 4 || len(run.Tool.Driver.Rules) != 3 {
		t.Fatalf("version %s, %d results, %d rules", got.Version, len(run.Results), len(run.Tool.Driver.Rules))
	}
	for _, res := range run.Results {
		if run.Tool.Driver.Rules[res.RuleIndex].ID != res.RuleID || !strings.Contains("error warning note", res.Level) || len(res.Locations) != 1 {
			t.Errorf("%+v", res)
		}
	}
	if at := run.Results[0].Locations[0].Physical; at.Artifact.URI != "a/postgresql.conf" || at.Region.StartLine != 7 || run.Results[1].Locations[0].Physical.Region != nil {
		t.Error("the places are wrong")
	}
	if run.Results[2].Locations[0].Logical[0].Name != "role app" {
		t.Error("a role is a logical place")
	}
}

func TestAuditJUnit(t *testing.T) {
	var b bytes.Buffer
	if err := Audit(&b, sampleAudit, "junit", ""); err != nil {
		t.Fatal(err)
	}
	var got junitSuite
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Tests != 6 || len(got.Cases) != 6 || got.Failures != 3 || got.Skipped != 1 {
		t.Errorf("%d tests, %d cases, %d failures, %d skipped", got.Tests, len(got.Cases), got.Failures, got.Skipped)
	}
	if got.Cases[0].Failure.Type != "error" || !strings.Contains(got.Cases[0].Failure.Text, "<&>") || got.Cases[3].Failure != nil {
		t.Errorf("%+v", got.Cases[0])
	}
}

func TestAuditJSON(t *testing.T) {
	var b bytes.Buffer
	if err := Audit(&b, sampleAudit, "json", ""); err != nil {
		t.Fatal(err)
	}
	var got audit.Result
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || len(got.Findings) != 4 || got.Findings[0] != sampleAudit.Findings[0] {
		t.Errorf("%v: %+v", err, got)
	}
}
