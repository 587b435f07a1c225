package rules

import (
	"fmt"
	"math"
	"strconv"

	"pgfit/advisor"
	"pgfit/advisor/budget"
	"pgfit/probe/guc"
)

// advice collects verdicts over the passes, against the settings that are in force.
type advice struct {
	present   guc.Settings
	proposals map[string]advisor.Proposal
	kept      map[string]advisor.Kept
	findings  []advisor.Finding
}

func newAdvice(present guc.Settings) *advice {
	return &advice{present: present, proposals: map[string]advisor.Proposal{}, kept: map[string]advisor.Kept{}}
}

// run asks every rule once, then makes the result keep the memory budget. It tells whether anything changed.
func (s *situation) run(rules []rule, a *advice) ([]advisor.Finding, bool) {
	for _, r := range rules {
		if set, ok := s.next[r.name]; ok && set.Context != "internal" {
			s.take(r, set, a)
		}
	}
	findings := append(s.fit(a), s.slow()...)
	for name, set := range s.next {
		if s.present[name].Value != set.Value {
			return findings, true
		}
	}
	return findings, false
}

// take applies one rule's verdict.
func (s *situation) take(r rule, set guc.Setting, a *advice) {
	if why := s.untouchable(set, r.family); why != "" {
		a.keep(set, why)
		return
	}
	v := r.advise(s)
	switch {
	case v.value == "" && v.keep == "":
		return
	case v.value == "":
		a.keep(set, v.keep)
		return
	}
	canonical, err := set.Parse(v.value)
	if err != nil {
		a.keep(set, "the rule's value is refused by this server: "+err.Error())
		return
	}
	if set.VarType == "string" {
		canonical = v.value // blanks at the end count in a string
	}
	why := s.conflict(set.Name, canonical)
	switch {
	case canonical == set.Value:
		why = "has this value already: " + v.reason
	case near(set, set.Value, canonical):
		why = "within 5 % of " + set.Show(canonical) + ": " + v.reason
	}
	if why != "" {
		a.keep(set, why)
		return
	}
	s.propose(set, canonical, r.family, v, a)
}

// conflict says which condition between settings a value would break that the server checks only at its start, "" when
// it breaks none: reserved slots below max_connections, WAL sizes of two segments at least.
func (s *situation) conflict(name, canonical string) string {
	switch name {
	case "max_connections", "superuser_reserved_connections", "reserved_connections", "max_wal_size", "min_wal_size":
	default:
		return ""
	}
	with := &situation{next: budget.Overlay(s.next, map[string]string{name: canonical})}
	limit, _ := with.next.Int("max_connections")
	segments := 2 * size(with.next, "wal_segment_size")
	switch name {
	case "max_connections", "superuser_reserved_connections", "reserved_connections":
		if with.reserved() >= limit {
			return fmt.Sprintf("with %s the reserved slots would leave no connection for anybody else", canonical)
		}
	case "max_wal_size", "min_wal_size":
		if size(with.next, name) < segments {
			return "the server wants two WAL segments at least, " + roughly(segments)
		}
	}
	return ""
}

// propose records a change and lets the rules after it see it.
func (s *situation) propose(set guc.Setting, canonical, family string, v verdict, a *advice) {
	original := a.present[set.Name]
	p := advisor.Proposal{
		Name: set.Name, Family: family, Current: show(original, original.Value), Proposed: show(set, canonical),
		Context: set.Context, Apply: "reload", Method: v.method, Reason: v.reason, Inputs: v.inputs,
		Source: v.source, Confidence: v.confidence, Lift: v.lift,
	}
	if set.NeedsRestart() {
		p.Apply = "restart"
	}
	if p.Method == "" {
		p.Method = advisor.Rule
	}
	if p.Confidence == "" {
		p.Confidence = "medium"
	}
	s.set(set.Name, canonical)
	delete(a.kept, set.Name)
	a.proposals[set.Name] = p
	if canonical == original.Value {
		delete(a.proposals, set.Name)
		a.kept[set.Name] = advisor.Kept{Name: set.Name, Value: p.Current, Reason: v.reason}
	}
}

// keep records why a setting stays, unless an earlier pass changed it: then what that pass said stands.
func (a *advice) keep(set guc.Setting, why string) {
	if _, changed := a.proposals[set.Name]; changed {
		return
	}
	a.kept[set.Name] = advisor.Kept{Name: set.Name, Value: show(set, set.Value), Reason: why}
}

// settings puts everything in the order of the rules; what only the budget touched comes last, by name.
func (a *advice) settings(rules []rule) advisor.Settings {
	out := advisor.Settings{Proposals: []advisor.Proposal{}, Kept: []advisor.Kept{}, Findings: a.findings}
	seen := map[string]bool{}
	add := func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		if p, ok := a.proposals[name]; ok {
			out.Proposals = append(out.Proposals, p)
		} else if k, ok := a.kept[name]; ok {
			out.Kept = append(out.Kept, k)
		}
	}
	for _, r := range rules {
		add(r.name)
	}
	for _, name := range a.present.Names() {
		add(name)
	}
	return out
}

// near tells whether b is within 5 % of a, in base units. Special values (0, -1) are near nothing but themselves.
func near(set guc.Setting, a, b string) bool {
	if a == b {
		return true
	}
	if set.VarType != "integer" && set.VarType != "real" {
		return false
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	if err1 != nil || err2 != nil || x <= 0 || y <= 0 {
		return false
	}
	return math.Abs(x-y) <= 0.05*x
}

// show writes a value as a person would; the empty string is shown as such.
func show(set guc.Setting, value string) string {
	if value == "" {
		return "''"
	}
	return set.Show(value)
}
