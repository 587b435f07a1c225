package report

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"pgfit/advisor/audit"
	"pgfit/profiles"
)

// AuditFormats are what Audit writes.
var AuditFormats = []string{"text", "json", "sarif", "junit"}

// Audit writes the findings of an audit. version is pgfit's own.
func Audit(w io.Writer, r audit.Result, format, version string) error {
	switch format {
	case "json":
		return indented(w, r)
	case "sarif":
		return indented(w, sarifOf(r, version))
	case "junit":
		return junit(w, r)
	}
	return auditText(w, r)
}

func indented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(v)
}

// auditText is for a terminal: finding, why, fix, and at the end what passed and what was not looked at.
func auditText(w io.Writer, r audit.Result) error {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-7s  %s\n         %s (%s)\n", f.Severity, f.Text, f.Where(), f.Check)
		fmt.Fprintf(&b, "         why: %s; %s\n", f.Reason, f.Source)
		for i, line := range strings.Split(f.Fix, "\n") {
			fmt.Fprintf(&b, "         %s %s\n", []string{"fix:", "    "}[min(i, 1)], line)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "profile %s: %s, %s, %s; %s passed\n", r.Environment, many(r.Count("error"), "error"), many(r.Count("warning"), "warning"),
		many(r.Count("note"), "note"), many(len(r.Passed), "check"))
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "not looked at: %s: %s\n", s.Area, s.Reason)
	}
	var plain []string
	for _, s := range r.Left {
		if s.Reason == audit.NoCheck {
			plain = append(plain, s.Area)
			continue
		}
		fmt.Fprintf(&b, "not judged: %s: %s\n", s.Area, s.Reason)
	}
	if len(plain) > 0 {
		fmt.Fprintf(&b, "not judged: %s: %s\n", strings.Join(plain, ", "), audit.NoCheck)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func many(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// SARIF 2.1.0 (OASIS), as far as code hosts read it.
type sarif struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    sarifTool     `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version,omitempty"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID      string      `json:"id"`
	Short   sarifText   `json:"shortDescription"`
	Help    sarifText   `json:"help"`
	Default sarifConfig `json:"defaultConfiguration"`
}

type sarifConfig struct {
	Level string `json:"level"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	RuleIndex int             `json:"ruleIndex"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifLocation struct {
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
}

func sarifOf(r audit.Result, version string) sarif {
	run := sarifRun{Tool: sarifTool{Driver: sarifDriver{Name: "pgfit", Version: strings.TrimPrefix(version, "v"), Rules: []sarifRule{}}}, Results: []sarifResult{}}
	index := map[string]int{}
	for _, f := range r.Findings {
		at, ok := index[f.Check]
		if !ok {
			at = len(run.Tool.Driver.Rules)
			index[f.Check] = at
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
				ID: f.Check, Short: sarifText{f.Reason}, Help: sarifText{f.Fix + "\nSource: " + f.Source}, Default: sarifConfig{f.Severity},
			})
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: f.Check, RuleIndex: at, Level: f.Severity, Message: sarifText{f.Text + ". Fix: " + f.Fix}, Locations: []sarifLocation{locate(f)},
		})
	}
	return sarif{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

func locate(f audit.Finding) sarifLocation {
	if f.File == "" {
		return sarifLocation{Logical: []sarifLogical{{Name: f.Object}}}
	}
	p := &sarifPhysical{Artifact: sarifArtifact{URI: filepath.ToSlash(f.File)}}
	if f.Line > 0 {
		p.Region = &sarifRegion{StartLine: f.Line}
	}
	return sarifLocation{Physical: p}
}

func junit(w io.Writer, r audit.Result) error {
	s := junitSuite{Name: "pgfit audit " + r.Environment}
	for _, f := range r.Findings {
		c := junitCase{Class: "pgfit.audit." + f.Check, Name: f.Text, File: filepath.ToSlash(f.File), Line: f.Line}
		why := fmt.Sprintf("%s\nwhy: %s\nsource: %s\nfix: %s", f.Where(), f.Reason, f.Source, f.Fix)
		if f.Severity == profiles.Severities[2] {
			c.Out = why
		} else {
			c.Failure = &junitFailure{Message: f.Text, Type: f.Severity, Text: why}
			s.Failures++
		}
		s.Cases = append(s.Cases, c)
	}
	for _, id := range r.Passed {
		s.Cases = append(s.Cases, junitCase{Class: "pgfit.audit." + id, Name: id})
	}
	for _, k := range r.Skipped {
		s.Cases = append(s.Cases, junitCase{Class: "pgfit.audit", Name: k.Area, Skipped: &junitFailure{Message: k.Reason}})
		s.Skipped++
	}
	return writeJUnit(w, s)
}
