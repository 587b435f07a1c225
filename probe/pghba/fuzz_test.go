package pghba

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// FuzzParse takes any bytes: no panic, every field lies where it says, replacing a method changes that method and nothing
// else, and a rule that is called shadowed matches none of a set of connections.
func FuzzParse(f *testing.F) {
	f.Add([]byte(guide), 16)
	f.Add([]byte("local \"a\"\"b\",@x all \\\n trust # c\r\nhost all all 10/8 255.0.0.0 md5 a=b\x00c\n"), 15)
	f.Add([]byte(randomFile(3, 20, true)), 18)
	f.Fuzz(func(t *testing.T, data []byte, major int) {
		rules := Parse("hba", data, 13+abs(major)%6)
		line := 0
		for i, r := range rules.Rules {
			if r.Line <= line || r.Last < r.Line || r.Last > 1+bytes.Count(data, []byte("\n")) {
				t.Fatalf("rule %d in lines %d to %d after line %d of %q", i, r.Line, r.Last, line, data)
			}
			line = r.Last
			at := 0
			for _, fld := range r.Fields {
				if fld.From < at || fld.To < fld.From || fld.To > len(data) || len(fld.Tokens) == 0 {
					t.Fatalf("field %d:%d after %d in %q", fld.From, fld.To, at, data)
				}
				at = fld.To
			}
			if m, ok := r.MethodField(); ok && r.Type != "" {
				replaceMethod(t, rules, i, m, data)
			}
		}
		checkShadows(t, rules)
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

func replaceMethod(t *testing.T, rules *Rules, i int, m Field, data []byte) {
	out := slices.Concat(data[:m.From], []byte("reject"), data[m.To:])
	again := Parse("hba", out, rules.Major)
	if len(again.Rules) != len(rules.Rules) {
		t.Fatalf("replacing a method made %d rules of %d: %q", len(again.Rules), len(rules.Rules), out)
	}
	for j, r := range again.Rules {
		if j != i && show(r) != show(rules.Rules[j]) {
			t.Fatalf("replacing the method of rule %d changed rule %d: %q", i, j, out)
		}
		if j == i && r.Error == "" && r.Method != "reject" {
			t.Fatalf("the method became %q: %q", r.Method, out)
		}
	}
}

func checkShadows(t *testing.T, rules *Rules) {
	dead := map[int]bool{}
	for _, s := range rules.Shadowed() {
		dead[rules.Rules[s.Rule].Line] = true
	}
	if len(dead) == 0 {
		return
	}
	for _, c := range someConns() {
		if r, _ := rules.Match(c); r != nil && dead[r.Line] {
			t.Fatalf("line %d is called shadowed and matches %+v\n%s", r.Line, c, strings.ToValidUTF8(shown(rules), "?"))
		}
	}
}
