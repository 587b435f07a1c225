package script

import (
	"fmt"
	"strings"
	"testing"
)

// client makes the only client of one script.
func client(t testing.TB, src string, vars map[string]string) *Session {
	t.Helper()
	s, err := Parse("test.sql", src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient([]*Script{s}, 1, 0, vars)
	if err != nil {
		t.Fatal(err)
	}
	return c.Session(0)
}

// trace runs a script to its end and writes down its steps. rows are handed to \gset and \aset one after the other.
func trace(s *Session, rows ...[]string) (string, error) {
	var b strings.Builder
	for {
		step, err := s.Next()
		if err != nil {
			return b.String(), err
		}
		switch step.Kind {
		case Done:
			return b.String(), nil
		case Query:
			fmt.Fprintf(&b, "%d: %s", step.Line, step.Stmt.SQL)
			for _, p := range step.Params {
				if p == nil {
					b.WriteString(" [NULL]")
				} else {
					fmt.Fprintf(&b, " [%s]", p)
				}
			}
			fmt.Fprintf(&b, " = %s\n", s.Simple(nil, step.Stmt))
			if (step.Stmt.Gset || step.Stmt.Aset) && len(rows) > 0 {
				var names []string
				var values [][]byte
				for _, column := range rows[0] {
					name, text, ok := strings.Cut(column, "=")
					names = append(names, name)
					if ok {
						values = append(values, []byte(text))
					} else {
						values = append(values, nil)
					}
				}
				rows = rows[1:]
				if err := s.Row(names, values); err != nil {
					return b.String(), err
				}
			}
		case Sleep:
			fmt.Fprintf(&b, "%d: sleep %v\n", step.Line, step.Duration)
		default:
			fmt.Fprintf(&b, "%d: %s\n", step.Line, map[Kind]string{
				StartPipeline: "start", SyncPipeline: "sync", EndPipeline: "end"}[step.Kind])
		}
	}
}

func TestSteps(t *testing.T) {
	tests := []struct {
		name, src, want string
		vars            map[string]string
		rows            [][]string
	}{
		{name: "arithmetic", src: "\\set x 1 + 2 * 3\nSELECT :x, :x + 1;", want: "2: SELECT $1, $2 + 1; [7] [7] = SELECT 7, 7 + 1;\n"},
		{name: "text variable", src: "SELECT :a;", vars: map[string]string{"a": "007"}, want: "1: SELECT $1; [007] = SELECT 007;\n"},
		{name: "undefined", src: "SELECT :a;", want: "1: SELECT $1; [NULL] = SELECT :a;\n"},
		{name: "null", src: "\\set a NULL\nSELECT :a;", want: "2: SELECT $1; [NULL] = SELECT NULL;\n"},
		{name: "casts and slices", src: "SELECT '1'::int, a[:n:2], :::n, ':n', :1", vars: map[string]string{"n": "3"},
			want: "1: SELECT '1'::int, a[$1:2], :::n, '$2', :1 [3] [3] = SELECT '1'::int, a[3:2], :::n, '3', :1\n"},
		{name: "sleep", src: "\\sleep 5\n\\sleep 10ms\n\\sleep 7 us\n\\set x 3\n\\sleep :x ms\n\\sleep -3 s",
			want: "1: sleep 5s\n2: sleep 10ms\n3: sleep 7µs\n5: sleep 3ms\n6: sleep 0s\n"},
		{name: "if", src: "\\set x 2\n\\if :x = 1\na;\n\\elif :x = 2\nb;\n\\elif 1/0\nc;\n\\else\nd;\n\\endif\ne;", want: "5: b; = b;\n11: e; = e;\n"},
		{name: "else", src: "\\if NULL\na;\n\\if true\nb;\n\\else\nc;\n\\endif\n\\else\n\\if 0\nd;\n\\else\ne;\n\\endif\n\\endif\nf;", want: "12: e; = e;\n15: f; = f;\n"},
		{name: "pipeline", src: "\\startpipeline\nSELECT 1;\n\\syncpipeline\nSELECT 2;\n\\endpipeline",
			want: "1: start\n2: SELECT 1; = SELECT 1;\n3: sync\n4: SELECT 2; = SELECT 2;\n5: end\n"},
		{name: "gset", src: "SELECT 5 AS a, 'x' AS b \\gset p_\nSELECT :p_a, :p_b, :p_c;", rows: [][]string{{"a=5", "b=x", "c"}},
			want: "1: SELECT 5 AS a, 'x' AS b  = SELECT 5 AS a, 'x' AS b \n2: SELECT $1, $2, $3; [5] [x] [] = SELECT 5, x, ;\n"},
		{name: "gset in an expression", src: "SELECT 5 AS a; \\gset\n\\set b :a * 2\nSELECT :b", rows: [][]string{{"a=5"}},
			want: "1: SELECT 5 AS a; = SELECT 5 AS a;\n3: SELECT $1 [10] = SELECT 10\n"},
		{name: "comment at the end", src: "SELECT 1 -- one", want: "1: SELECT 1 -- one = SELECT 1 -- one\n"},
		{name: "line of a statement", src: "-- first\n\n  SELECT 1\n;", want: "3: SELECT 1\n; = SELECT 1\n;\n"},
		{name: "Cyrillic name", src: "\\set имя 1\nSELECT :имя", want: "2: SELECT $1 [1] = SELECT 1\n"},
		{name: "sleep of a number with a tail", src: "\\sleep :x ms", vars: map[string]string{"x": "12abc"}, want: "1: sleep 12ms\n"},
		{name: "endless sleep", src: "\\sleep 9223372036854775807 s", want: "1: sleep 2562047h47m16.854775807s\n"},
		{name: "booleans", src: "\\set a :b\nSELECT :a, :b", vars: map[string]string{"b": "Y"}, want: "2: SELECT $1, $2 [true] [Y] = SELECT true, Y\n"},
		{name: "aset without rows", src: "SELECT 5 AS a \\aset\nSELECT :a", want: "1: SELECT 5 AS a  = SELECT 5 AS a \n2: SELECT $1 [NULL] = SELECT :a\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := client(t, tt.src, tt.vars)
			s.Begin()
			got, err := trace(s, tt.rows...)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestRewind(t *testing.T) {
	s := client(t, `\set r random(1, 1000000000)
\if :n > 3
\set once 1
\endif
\set n :n + 1
SELECT max(x) AS m FROM t \gset
\set m2 :m + 1
SELECT :r, :n, :m, :once;`, map[string]string{"n": "2", "m": "9"})
	for i := range 4 {
		s.Begin()
		first, err := trace(s, []string{"m=" + fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		s.Rewind()
		again, err := trace(s, []string{"m=" + fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		if first != again {
			t.Errorf("transaction %d: after a rewind\n%swant\n%s", i, again, first)
		}
	}
}

func TestRewindKeepsLittle(t *testing.T) {
	s, _ := Builtin("tpcb-like")
	c, err := NewClient([]*Script{s}, 1, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(c.Session(0).kept); n != 0 {
		t.Errorf("tpcb-like keeps %d variables for a rewind, want 0", n)
	}
}

// transaction runs a script once without looking at it.
func transaction(tb testing.TB, s *Session, buf []byte, names []string, row [][]byte) []byte {
	s.Begin()
	for {
		step, err := s.Next()
		if err != nil {
			tb.Fatal(err)
		}
		switch step.Kind {
		case Done:
			return buf
		case Query:
			buf = s.Simple(buf[:0], step.Stmt)
			if step.Stmt.Gset {
				if err := s.Row(names, row); err != nil {
					tb.Fatal(err)
				}
			}
		}
	}
}

const everything = `\set a random(1, 100000 * :scale)
\set b random_gaussian(1, 100, 2.5)
\set c random_exponential(1, 100, 2.5)
\set d random_zipfian(1, 1000000, 1.01)
\set e permute(:a, 100000, 5) + hash(:a) % 7 + hash_fnv1a(:b, 3) + abs(-1) + int(2.5) + least(1, 2, 3)
\set f case when :a > 5 and :b < 10 or not :c is null then pow(:a, 2) else sqrt(:d) + ln(2) end
BEGIN;
SELECT :a, :b, :c, :d, :e, :f \gset
\if :x > 3
SELECT :x + 1;
\endif
\set n :n + 1
\sleep 5 us
\startpipeline
SELECT :n;
\endpipeline
`

func TestNoAllocation(t *testing.T) {
	s := client(t, everything, map[string]string{"n": "1"})
	names, row := []string{"x"}, [][]byte{[]byte("42")}
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(1000, func() { buf = transaction(t, s, buf, names, row) }); n != 0 {
		t.Errorf("%v allocations a transaction, want 0", n)
	}
	if n := testing.AllocsPerRun(1000, func() { s.Rewind() }); n != 0 {
		t.Errorf("%v allocations a rewind, want 0", n)
	}
}

func BenchmarkNext(b *testing.B) {
	for _, name := range Builtins() {
		b.Run(name, func(b *testing.B) { benchmarkNext(b, name) })
	}
}

func benchmarkNext(b *testing.B, name string) {
	sc, _ := Builtin(name)
	c, err := NewClient([]*Script{sc}, 1, 0, map[string]string{"scale": "20"})
	if err != nil {
		b.Fatal(err)
	}
	s := c.Session(0)
	steps := 0
	b.ReportAllocs()
	for b.Loop() {
		s.Begin()
		for {
			step, err := s.Next()
			if err != nil {
				b.Fatal(err)
			}
			steps++
			if step.Kind == Done {
				break
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps), "ns/step")
}
