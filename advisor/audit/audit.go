// Package audit holds an application's stack against an environment's profile: postgresql.conf or the settings of a
// server, pg_hba.conf, the roles, config.yaml and .env, compose files. What is judged, how badly, why and by whose word
// stands in profiles/audit; this package knows how to find it. It is a pure function of what was read, and what was not
// given is named as not looked at, never passed.
package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/probe/pgconf"
	"pgfit/probe/pghba"
	"pgfit/probe/roles"
	"pgfit/probe/stack"
	"pgfit/profiles"
)

// Input is what was read. What is nil was not given.
type Input struct {
	Environment string       // development, testing or production
	Major       int          // of the server
	Server      guc.Settings // of a live server; judged where there is no Conf
	Conf        *pgconf.Tree
	HBA         *pghba.Rules
	App         *stack.App
	Compose     []stack.Compose
	Roles       *roles.Facts
	Names       Names
	Certificate *stack.Certificate
	Memory      int64       // of the database host in bytes, 0 when not known
	CPUs        float64     // the same
	Disk        probe.Class // under the data directory, "" when not known
	Processes   int         // of the application, each with a pool of its own
}

// Names are the roles of the three-role pattern and the databases to look at; empty where not known.
type Names struct {
	Database, Owner, User, ReadOnly string
	Temporal                        []string // its databases
	TemporalUser                    string
}

// Finding is one thing that is wrong.
type Finding struct {
	Check    string `json:"check"`
	Severity string `json:"severity"` // error, warning, note
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Object   string `json:"object,omitempty"` // of a server: a role, a setting
	Text     string `json:"text"`
	Reason   string `json:"reason"`
	Source   string `json:"source"`
	Fix      string `json:"fix"`
	Setting  string `json:"setting,omitempty"` // what a patch of postgresql.conf would set
	Value    string `json:"value,omitempty"`
}

// Where is file:line, or the object.
func (f Finding) Where() string {
	if f.File == "" {
		return f.Object
	}
	return stack.Place{File: f.File, Line: f.Line}.String()
}

// Skip is an area that was not looked at.
type Skip struct {
	Area   string `json:"area"`
	Reason string `json:"reason"`
}

// Result is an audit.
type Result struct {
	Environment string    `json:"profile"`
	Findings    []Finding `json:"findings"` // the worst first
	Passed      []string  `json:"passed"`   // checks that were made and found nothing
	Skipped     []Skip    `json:"not_checked"`
	Left        []Skip    `json:"not_judged,omitempty"` // settings that are set, read, and judged by no check
}

// Count is the number of findings of a severity.
func (r Result) Count(severity string) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == severity {
			n++
		}
	}
	return n
}

// Fails tells whether a gate at a severity is closed: error, or warning, which errors fail too.
func (r Result) Fails(at string) bool {
	return r.Count("error") > 0 || at == "warning" && r.Count("warning") > 0
}

// runner collects findings.
type runner struct {
	in     Input
	checks map[string]profiles.AuditCheck
	made   map[string]bool // checks that could be made
	out    Result
	set    settings
}

// Run audits. The error is a profile that does not exist.
func Run(in Input) (Result, error) {
	checks, err := profiles.Audit(in.Environment)
	if err != nil {
		return Result{}, err
	}
	r := &runner{in: in, checks: map[string]profiles.AuditCheck{}, made: map[string]bool{}}
	r.out = Result{Environment: in.Environment, Findings: []Finding{}, Passed: []string{}, Skipped: []Skip{}}
	for _, c := range checks {
		r.checks[c.ID] = c
	}
	r.areas(checks)
	r.finish(checks)
	return r.out, r.left(checks)
}

// areas looks at everything that was given.
func (r *runner) areas(checks []profiles.AuditCheck) {
	if r.in.Conf != nil || r.in.Server != nil {
		r.conf(checks)
	} else {
		r.skip("postgresql.conf", "no server and no --conf was given")
	}
	if r.in.HBA != nil {
		r.hba()
	} else {
		r.skip("pg_hba.conf", "no --hba was given, or the server does not show its file to this role")
	}
	if r.in.Roles != nil {
		r.roles()
	} else {
		r.skip("roles", "they are read from a live server")
	}
	if r.in.App != nil {
		r.app()
	} else {
		r.skip("config.yaml and .env", "neither --config nor --env-file was given")
	}
	if r.in.Compose != nil {
		r.compose()
	} else {
		r.skip("compose file", "none was given")
	}
}

func (r *runner) skip(area, reason string) { r.out.Skipped = append(r.out.Skipped, Skip{area, reason}) }

// look says that checks are made now, whatever they find.
func (r *runner) look(ids ...string) {
	for _, id := range ids {
		r.made[id] = true
	}
}

// at is where a finding is.
type at struct {
	stack.Place
	object string
}

func in(p stack.Place) at { return at{Place: p} }

// find adds a finding when the profile has the check. fill are pairs for the {places} of the fix.
func (r *runner) find(id string, where at, text string, fill ...string) {
	c, ok := r.checks[id]
	if !ok {
		return
	}
	r.made[id] = true
	f := Finding{
		Check: id, Severity: c.Severity[r.in.Environment], File: where.File, Line: where.Line, Object: where.object, Text: text,
		Reason: c.Reason, Source: c.Source, Fix: strings.NewReplacer(fill...).Replace(c.Fix),
	}
	if c.Setting != "" {
		f.Setting, f.Value = c.Setting, cmp.Or(c.Value, c.Is)
	}
	r.out.Findings = append(r.out.Findings, f)
}

// finish sorts the findings and lists what passed.
func (r *runner) finish(checks []profiles.AuditCheck) {
	failed := map[string]bool{}
	for _, f := range r.out.Findings {
		failed[f.Check] = true
	}
	for _, c := range checks {
		if r.made[c.ID] && !failed[c.ID] {
			r.out.Passed = append(r.out.Passed, c.ID)
		}
	}
	slices.SortStableFunc(r.out.Findings, func(a, b Finding) int {
		return cmp.Or(slices.Index(profiles.Severities, a.Severity)-slices.Index(profiles.Severities, b.Severity),
			cmp.Compare(a.File, b.File), a.Line-b.Line, cmp.Compare(a.Object, b.Object))
	})
}

// list joins words: a, b and c.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func quoted(s string) string {
	if s == "" {
		return "empty"
	}
	return fmt.Sprintf("%q", s)
}
