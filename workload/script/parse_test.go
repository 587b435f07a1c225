package script

import (
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestErrorShowsPlace(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"parsing", "SELECT 1;\n\t\\set x 1 + é2\n",
			"f.sql:2:15: unexpected function name (é2) in command \"set\"\n\t\\set x 1 + é2\n\t            ^ error found here"},
		{"continued line", "\\set x 1 + \\\n  * 2\n", "f.sql:2:3: syntax error in command \"set\"\n  * 2\n  ^ error found here"},
		{"CRLF", "\\set x (\r\n", "f.sql:1:10: syntax error in command \"set\"\n\\set x (\n         ^ error found here"},
		{"open condition", "\\if 1\n  \\if 2\nSELECT 1;\n", "f.sql:2:3: \\if without matching \\endif in command \"if\"\n  \\if 2\n  ^ error found here"},
		{"running", "SELECT 1;\n\\set x 1 + 7 / 0\n", "f.sql:2:14: division by zero in command \"set\"\n\\set x 1 + 7 / 0\n             ^ error found here"},
		{"gset without row", "SELECT 1;\n SELECT 2 \\gset\n", "f.sql:2:2: expected one row, got 0\n SELECT 2 \\gset\n ^ error found here"},
		{"pipeline left open", "\\startpipeline\n", "f.sql:1:1: end of script reached with pipeline open in command \"startpipeline\"\n\\startpipeline\n^ error found here"},
		{"no pipeline", "\\endpipeline\n", "f.sql:1:1: not in pipeline mode in command \"endpipeline\"\n\\endpipeline\n^ error found here"},
		{"pipeline twice", "\\startpipeline\n\\startpipeline\n", "f.sql:2:1: already in pipeline mode in command \"startpipeline\"\n\\startpipeline\n^ error found here"},
		{"gset in a pipeline", "\\startpipeline\nSELECT 1 \\gset\n\\endpipeline\n", "f.sql:2:1: \\gset is not allowed in pipeline mode\nSELECT 1 \\gset\n^ error found here"},
		{"sleep of text", "\\sleep :t ms\n", "f.sql:1:1: invalid sleep time \"soon\" for variable \"t\" in command \"sleep\"\n\\sleep :t ms\n^ error found here"},
		{"sleep of nothing", "\\sleep :u ms\n", "f.sql:1:1: undefined variable \"u\" in command \"sleep\"\n\\sleep :u ms\n^ error found here"},
		{"name", "\\set 1x 5\n", "f.sql:1:6: invalid variable name (1x) in command \"set\"\n\\set 1x 5\n     ^ error found here"},
		{"zero byte", "SELECT\x00;", "f.sql:1:7: a script cannot hold a zero byte\nSELECT\x00;\n      ^ error found here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse("f.sql", tt.src, Options{})
			if err == nil {
				c, cerr := NewClient([]*Script{s}, 1, 0, map[string]string{"t": "soon"})
				if cerr != nil {
					t.Fatal(cerr)
				}
				c.Session(0).Begin()
				_, err = trace(c.Session(0))
			}
			if err == nil || err.Error() != tt.want {
				t.Errorf("error is\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

func TestRowErrors(t *testing.T) {
	s := client(t, "SELECT 1 \\gset\nSELECT 2 \\aset\nSELECT :b", nil)
	one := [][]byte{[]byte("1")}
	s.Begin()
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	if err := s.Row([]string{"?column?"}, one); err == nil || !strings.Contains(err.Error(), `invalid variable name: "?column?"`) {
		t.Errorf("Row(?column?) = %v, want a refusal", err)
	}
	s.Rewind()
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	if err := s.Row([]string{"a"}, one); err != nil {
		t.Fatal(err)
	}
	if err := s.Row([]string{"a"}, one); err == nil || !strings.Contains(err.Error(), "expected one row, got 2") {
		t.Errorf("second Row = %v, want a refusal", err)
	}
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"3", "4"} {
		if err := s.Row([]string{"b"}, [][]byte{[]byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if step, err := s.Next(); err != nil || string(step.Params[0]) != "4" {
		t.Errorf("after two rows of \\aset b is %s %v, want 4", step.Params, err)
	}
}

func TestClientVariables(t *testing.T) {
	s := client(t, "SELECT :client_id, :random_seed, :scale, :x", map[string]string{"scale": "50", "x": "it''s"})
	s.Begin()
	got, err := trace(s)
	if want := "1: SELECT $1, $2, $3, $4 [0] [1] [50] [it''s] = SELECT 0, 1, 50, it''s\n"; err != nil || got != want {
		t.Errorf("got %s %v, want %s", got, err, want)
	}
	if _, err := NewClient([]*Script{s.script}, 1, 0, map[string]string{"1x": "2"}); err == nil {
		t.Error("NewClient takes a variable named 1x")
	}
}

// Two scripts of one client share what either sets; another client has its own.
func TestScriptsShareVariables(t *testing.T) {
	var scripts []*Script
	for _, src := range []string{"\\set n :n + 1\nSELECT 7 AS g \\gset p_\n", "SELECT :n, :p_g;"} {
		s, err := Parse("s.sql", src, Options{})
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, s)
	}
	a, _ := NewClient(scripts, 1, 0, map[string]string{"n": "1"})
	b, _ := NewClient(scripts, 1, 1, map[string]string{"n": "1"})
	for range 3 {
		a.Session(0).Begin()
		if _, err := trace(a.Session(0), []string{"g=7"}); err != nil {
			t.Fatal(err)
		}
	}
	for c, want := range map[*Client]string{a: "[4] [7]", b: "[1] [NULL]"} {
		c.Session(1).Begin()
		got, err := trace(c.Session(1))
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("got %s %v, want %s", got, err, want)
		}
	}
}

func TestUnset(t *testing.T) {
	var scripts []*Script
	for _, src := range []string{"\\set a :b + hash(1)\nSELECT :c, :a, :p_x, :other, :scale, 'HH:MI';", "SELECT 1 AS x \\gset p_\n\\set other 1\n\\sleep :d\n"} {
		s, err := Parse("s.sql", src, Options{})
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, s)
	}
	if got, want := Unset(scripts, map[string]string{"b": "1"}), []string{"MI", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("Unset = %v, want %v", got, want)
	}
}

// Clients of one script run at the same time; go test -race watches.
func TestClientsRunAtOnce(t *testing.T) {
	sc, err := Parse("e.sql", everything, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for id := range 4 {
		wg.Go(func() {
			c, err := NewClient([]*Script{sc}, 1, id, map[string]string{"n": "1"})
			if err != nil {
				t.Error(err)
				return
			}
			for range 100 {
				c.Session(0).Begin()
				if _, err := trace(c.Session(0), []string{"x=5"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestParseWeighted(t *testing.T) {
	tests := []struct {
		arg, file string
		weight    int
		err       string
	}{
		{"a.sql", "a.sql", 1, ""}, {"a.sql@10", "a.sql", 10, ""}, {"a@b@0", "a@b", 0, ""}, {"a.sql@2147483647", "a.sql", 2147483647, ""},
		{"a@", "", 0, "invalid weight specification: @"}, {"a@x", "", 0, "invalid weight specification: @x"},
		{"a@-1", "", 0, "weight specification out of range (0 .. 2147483647): -1"},
		{"a@2147483648", "", 0, "weight specification out of range (0 .. 2147483647): 2147483648"},
	}
	for _, tt := range tests {
		file, weight, err := ParseWeighted(tt.arg)
		if file != tt.file || weight != tt.weight || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("ParseWeighted(%q) = %q, %d, %v, want %q, %d, %s", tt.arg, file, weight, err, tt.file, tt.weight, tt.err)
		}
	}
}

func TestBuiltin(t *testing.T) {
	for name, want := range map[string]string{"tpcb-like": "tpcb-like", "t": "tpcb-like", "simple": "simple-update", "se": "select-only",
		"s": "", "": "", "x": "", "select-only2": ""} {
		s, ok := Builtin(name)
		if ok != (want != "") || ok && s.Name != want {
			t.Errorf("Builtin(%q) = %v, %v, want %s", name, s, ok, want)
		}
	}
}

func TestNesting(t *testing.T) {
	for _, open := range []string{"(", "-", "~", "not ", "abs(", "case when ", "1+("} {
		_, err := Parse("deep.sql", "\\set x "+strings.Repeat(open, 1_000_000)+"\n", Options{})
		if err == nil {
			t.Errorf("Parse takes a million times %q", open)
		}
	}
	long := "\\set x 0" + strings.Repeat(" + 1", 100_000) + "\nSELECT :x;"
	s := client(t, long, nil)
	s.Begin()
	if step, err := s.Next(); err != nil || string(step.Params[0]) != "100000" {
		t.Errorf("a long sum is %s %v", step.Params, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range builtins {
		f.Add(b.src)
	}
	for _, m := range manual {
		f.Add(m.src)
	}
	f.Add(everything)
	for _, src := range []string{"\\set x 1 +", "\\if\n", "\\sleep 5x", "SELECT E'\\", "$a$", "/*", "\\", "\\\\\n", "::a:b:'c'", "\\set x case when", "\\aset a b",
		"create function begin case end end;", "\\set \\\n x 1\\\r\n+2", "\\sleep :x", "\\set x debug(permute(1,2,3))"} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		s, err := Parse("fuzz.sql", src, Options{Debug: io.Discard})
		if err != nil {
			placed(t, src, err)
			return
		}
		c, err := NewClient([]*Script{s}, 1, 0, map[string]string{"x": "1"})
		if err != nil {
			t.Fatal(err)
		}
		session := c.Session(0)
		session.Begin()
		var buf []byte
		for steps := 0; ; steps++ {
			step, err := session.Next()
			if err != nil {
				placed(t, src, err)
				return
			}
			switch step.Kind {
			case Done:
				return
			case Query:
				checkStatement(t, session, step)
				buf = session.Simple(buf[:0], step.Stmt)
				if err := session.Row([]string{"x"}, [][]byte{[]byte("2")}); err != nil {
					placed(t, src, err)
					return
				}
			case Sleep:
				if step.Duration < 0 || step.Duration > time.Duration(1<<63-1) {
					t.Errorf("sleep of %v", step.Duration)
				}
			}
			if steps > len(src) {
				t.Fatalf("%q does not end", src)
			}
		}
	})
}

// placed checks that an error is an *Error that points into the source.
func placed(t *testing.T, src string, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%q: %T: %v", src, err, err)
	}
	lines := strings.Split(src, "\n")
	if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > len(lines[e.Line-1])+1 || e.Msg == "" || e.Error() == "" {
		t.Errorf("%q: line %d, column %d: %v", src, e.Line, e.Column, e)
	}
}

// checkStatement holds the two forms of a statement against each other.
func checkStatement(t *testing.T, s *Session, step Step) {
	t.Helper()
	st := step.Stmt
	if s.script.Stmts[st.Index] != st || len(step.Params) != st.NParams || len(st.parts) != st.NParams+1 || strings.Contains(st.SQL, "\x00") {
		t.Errorf("statement %d has %d parts and %d of %d parameters", st.Index, len(st.parts), len(step.Params), st.NParams)
	}
	if st.NParams == 0 && string(s.Simple(nil, st)) != st.SQL {
		t.Errorf("simple %q, extended %q", s.Simple(nil, st), st.SQL)
	}
	if strings.TrimSpace(st.SQL) == "" || step.Line < 1 {
		t.Errorf("statement %q in line %d", st.SQL, step.Line)
	}
}
