package audit

import (
	"fmt"
	"slices"
	"strings"

	"pgfit/probe/pghba"
	"pgfit/probe/stack"
)

// hba looks at pg_hba.conf. What earlier rules leave nothing of is only told to be shadowed.
func (r *runner) hba() {
	rules := r.in.HBA
	r.look("hba.error", "hba.trust", "hba.password", "hba.md5", "hba.ident", "hba.plain", "hba.any-address", "hba.replication", "hba.nossl-reject",
		"hba.final-reject", "hba.shadowed")
	for _, rule := range rules.Errors() {
		r.find("hba.error", hbaAt(&rule), rule.Error)
	}
	shadowed := map[int]bool{}
	for _, s := range rules.Shadowed() {
		shadowed[s.Rule] = true
		var by []string
		for _, i := range s.By {
			by = append(by, fmt.Sprint(rules.Rules[i].Line))
		}
		r.find("hba.shadowed", hbaAt(&rules.Rules[s.Rule]), "the rule can never match: line "+list(by)+" takes all its connections")
	}
	far, tcp := false, false
	for i, reach := range rules.Reach() {
		if shadowed[i] || reach.Rule.Error != "" || reach.Rule.Method == "reject" {
			continue
		}
		r.rule(reach)
		far, tcp = far || reach.Far, tcp || reach.Rule.Type != pghba.Local
	}
	if far && !rules.RefusesPlain() {
		r.find("hba.nossl-reject", in(stack.Place{File: rules.Main}), "no hostnossl rule refuses connections without TLS from everywhere")
	}
	if tcp && !rules.RefusesRest() {
		r.find("hba.final-reject", in(stack.Place{File: rules.Main}), "no rule at the end refuses the rest from everywhere")
	}
}

func hbaAt(rule *pghba.Rule) at { return in(stack.Place{File: rule.File, Line: rule.Line}) }

// rule looks at one rule that lets somebody in.
func (r *runner) rule(reach pghba.Reach) {
	rule := reach.Rule
	who := strings.TrimSpace(fmt.Sprintf("%s %s %s %s", rule.Type, items(rule.Databases), items(rule.Users), rule.Address))
	switch rule.Method {
	case "trust", "password", "md5", "ident":
		r.find("hba."+rule.Method, hbaAt(rule), fmt.Sprintf("%s uses %s", who, rule.Method))
	}
	if reach.PlainFar {
		r.find("hba.plain", hbaAt(rule), who+" takes connections without TLS")
	}
	if a := rule.Address; reach.Far && (a.Kind == pghba.AllAddresses || a.Prefix.IsValid() && a.Prefix.Bits() == 0) {
		r.find("hba.any-address", hbaAt(rule), who+" takes every address")
	}
	if reach.Far && reach.Replication && slices.ContainsFunc(rule.Users, func(t pghba.Token) bool { return t.Text == "all" && !t.Quoted }) {
		r.find("hba.replication", hbaAt(rule), who+" lets every role replicate")
	}
}

// items are the items of a field as the file has them.
func items(tokens []pghba.Token) string {
	var out []string
	for _, t := range tokens {
		if t.Quoted {
			t.Text = `"` + strings.ReplaceAll(t.Text, `"`, `""`) + `"`
		}
		out = append(out, t.Text)
	}
	return strings.Join(out, ",")
}

// Strong is the method that a patch puts in the place of one that a finding names; "" when it names none.
func (f Finding) Strong() string {
	if slices.Contains([]string{"hba.trust", "hba.password", "hba.md5", "hba.ident"}, f.Check) {
		return "scram-sha-256"
	}
	return ""
}

// Appends are the lines that a patch puts at the end of pg_hba.conf.
func (f Finding) Appends() []string {
	if f.Check == "hba.final-reject" || f.Check == "hba.nossl-reject" {
		return strings.Split(f.Fix, "\n")
	}
	return nil
}
