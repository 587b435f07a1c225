package script

// The tests of this file hold the package against the pgbench that is installed, and skip where there is none.

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestParseErrorsAsPgbench(t *testing.T) {
	scripts := []string{
		"\\set x 1 +\n", "\\set x 1 +", "\\set x random(1,\n", "SELECT 1;\n\\set x )\n", "\\set i 1 $ 2\n", "\\set i foo(2)\n",
		"\\set i foo\n", "\\set i abs + 1\n", "\\set i least()\n", "\\set i pi(1)\n", "\\set i abs(1, 2)\n", "\\set i hash()\n",
		"\\set i hash(1, 2, 3)\n", "\\set i permute(1)\n", "\\set i random(1)\n", "\\set i random_zipfian(1, 2)\n",
		"\\set i 1 < 2 < 3\n", "\\set i 1 = 2 <> 3\n", "\\set i 1 IS 2\n", "\\set i 1 IS NOT\n", "\\set i case end\n",
		"\\set i case when 1 then 2\n", "\\set i case when 1 else 2 end\n", "\\set i (1\n", "\\set i 1 2\n", "\\set i 1)\n",
		"\\set i\n", "\\set\n", "\\set i 9223372036854775808\n", "\\set i 5 - 9223372036854775808\n",
		"\\set i 9223372036854775809\n", "\\set i 1e400\n", "\\set i .5.5\n", "\\set i 1abc\n", "\\set i :\n", "\\set i !1\n",
		"\\if\n", "\\sleep\n", "\\sleep bad\n", "\\sleep 1 x\n", "\\sleep 1 ms x\n", "\\sleep 1x ms\n", "\\sleep 1min\n",
		"\\sleep - ms x\n", "\\sleep 5 ms ms ms\n", "\\bad x\n", "SELECT 1;\n  \\bad x\n", "\\if 1\n\\else x\n", "\\startpipeline 1\n",
		"\\shell\n", "\\setshell x\n", "\\gset\n", "SELECT 1 \\gset\n\\gset\n", "SELECT 1 \\gset\n\\aset\n", "\\set x 1\n\\gset\n",
		"SELECT 1 \\gset a b\n", "\\SET i 1 +\n", "\\set i \"1\n", "\\set i 1 -- one\n", "\\set i not\n", "\\set i 1 and\n",
		"\\set i - - \n", "\\set i 1 <= \t 2 <=\t3\n", "\\set i abs(;)\n", "\\set i +\n", "\\set i 1 is not null is\n",
		"\\set i 1 $\n", "\\set i - $\n", "\\set i 1 < 2 $\n", "\\set i 1 is $\n", "\\set i case $\n", "\\set i case when $\n",
		"\\set i case when 1 then $\n", "\\set i case when 1 then 2 $\n", "\\set i case when 1 then 2 else $\n", "\\set i abs($\n", "\\set i abs $\n",
		"\\set i abs(1 $\n", "\\set i least(1 2)\n",
	}
	for _, src := range scripts {
		t.Run(src, func(t *testing.T) {
			out, _ := pgbench(t, "/nonexistent", src)
			m := regexp.MustCompile(`(?s)error: test\.sql:(\d+): ([^\n]*)\n(?:(.*\n)( *)\^ error found here)?`).FindStringSubmatch(out)
			if m == nil {
				t.Fatalf("pgbench says %s", out)
			}
			_, err := Parse("test.sql", src, Options{AllowShell: true})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Parse = %v, pgbench says %s", err, out)
			}
			msg := e.Msg
			if e.Command != "" && !strings.Contains(msg, "must follow") {
				msg += fmt.Sprintf(" in command %q", e.Command)
			}
			msg = strings.Replace(msg, `\aset must`, `\gset must`, 1) // pgbench has one text for both
			if strings.Contains(msg, "must follow") {
				m[2], _, _ = strings.Cut(m[2], " (")
			}
			if msg != m[2] || strconv.Itoa(e.Line) != m[1] {
				t.Errorf("Parse: line %d: %s, pgbench: line %s: %s", e.Line, msg, m[1], m[2])
			}
			if m[3] != "" && e.Column != len(m[4])+1 {
				t.Errorf("Parse: column %d, pgbench: column %d\n%v", e.Column, len(m[4])+1, e)
			}
		})
	}
}

// Conditions are checked at the end by pgbench, which names the command by number; the text is compared.
func TestConditionErrorsAsPgbench(t *testing.T) {
	for _, src := range []string{
		"\\if 1\nSELECT 1;\n", "\\else\n", "\\elif 1\n", "\\endif\n", "\\if 1\n\\else\n\\else\n\\endif\n",
		"\\if 1\n\\else\n\\elif 1\n\\endif\n", "\\if 1\n\\endif\n\\endif\n", "",
	} {
		out, _ := pgbench(t, "/nonexistent", src)
		_, err := Parse("test.sql", src, Options{})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("Parse(%q) = %v, pgbench says %s", src, err, out)
			continue
		}
		msg, _, _ := strings.Cut(e.Msg, " (")
		if !strings.Contains(out, msg) {
			t.Errorf("Parse(%q) = %v, pgbench says %s", src, err, out)
		}
	}
}

func TestBuiltinsAsPgbench(t *testing.T) {
	for _, b := range builtins {
		out, err := exec.Command(postgresBinary(t, "pgbench"), "--show-script="+b.name).CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := strings.Cut(string(out), "\n")
		if got := b.src; strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s is\n%swant\n%s", b.name, got, want)
		}
	}
}

// debugged is what debug() prints, without the place.
var debugged = regexp.MustCompile(`(?m)^debug\(script=\d+,command=\d+\): (.*)$`)

// evaluate gives what debug prints for an expression, or the error's message.
func evaluate(t *testing.T, expr string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	s, err := Parse("test.sql", "\\set v debug("+expr+")\n", Options{Debug: &out})
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient([]*Script{s}, 1, 0, expressionVars)
	if err != nil {
		t.Fatal(err)
	}
	c.Session(0).Begin()
	if _, err = c.Session(0).Next(); err != nil {
		return "", err
	}
	return debugged.FindStringSubmatch(out.String())[1], nil
}

var expressionVars = map[string]string{"i": "42", "neg": "-7", "d": "2.5", "n": "null", "t": "tru", "o": "oFf", "text": "abc",
	"big": "9223372036854775807", "toobig": "9223372036854775808", "sp": " 12", "plus": "+3", "exp": "1e3", "default_seed": "1234",
	"hexa": "0x1p3", "half": ".5"}

func defines() []string {
	var args []string
	for name, text := range expressionVars {
		args = append(args, "-D"+name+"="+text)
	}
	slices.Sort(args)
	return args
}

func TestExpressionsAsPgbench(t *testing.T) {
	exprs := []string{
		"1", "-1", "+1", "- - 1", "1.5", ".5", "1.", "1e3", "1E-3", "-9223372036854775808", "9223372036854775807", "null", "TRUE", "False",
		"1 + 2 * 3", "(1 + 2) * 3", "2 - 3 - 4", "100 / 7 / 2", "-7 / 2", "7 / -2", "-7 % 3", "7 % -3", "7.5 % 2", "2.5 % 2", "7 / 2.0",
		"1 / 0.0", "-1 / 0.0", "0.0 / 0", "1 + 2.5", "1 - 2.5", "2 * 2.5", "100000 * 1.0", "1e15 * 1.0", "1e16 * 1.0", "123456789012345678.0",
		"0.1 + 0.2", "1.0 / 3", "1e-5 * 1", "0.0001 * 1", "1e300 * 1e300", "-0.0", "0.0 * -1",
		"~5", "~1 + 2", "~1 | 2", "1 + ~2 * 3", "1 * ~2 + 3", "1 | 6 & 4", "1 # 3 # 5", "1 << 2 + 1", "1 << 2 << 3", "-16 >> 2", "1 << 63",
		"1 << 64", "1 << -1", "5.5 & 3", "2.5 | 0", "3.5 # 0",
		"1 = 1", "1 <> 2", "1 != 1", "1 < 2", "1 <= 1", "2 > 1", "2 >= 3", "1 = 1.0", "1 < 1.5", "1.5 >= 1.5",
		"1 = 2 is null", "null = 1", "null is null", "1 is null", "1 isnull", "null isnull", "1 notnull", "null notnull", "1 is not null",
		"true is true", "true is not true", "false is false", "null is true", "1 is true", "null is not false", "1 = 1 is true",
		"null is null is true", "1 isnull isnull",
		"not true", "not false and false", "not 1 = 2", "not null", "not null is null", "true and null", "null and false", "false and null",
		"true or null", "null or true", "false or null", "false and 1 / 0 = 1", "true or 1 / 0 = 1", "true and false or true", "true or true and false",
		"1 < 2 and 2 < 3", "case when 1 then 2 end", "case when 0 then 2 end", "case when null then 1 else 2 end", "case when 0.0 then 1 when 0.1 then 2 else 3 end",
		"case when true then 1 else 1 / 0 end", "CASE WHEN 1 = 2 THEN 1 ELSE CASE WHEN true THEN 5 END END + 1",
		"abs(-5)", "abs(5)", "abs(-2.5)", "abs(null)", "abs(-9223372036854775807)", "int(2.5)", "int(3.5)", "int(-2.5)", "int(2)", "double(2)", "double(1.5)",
		"sqrt(2)", "sqrt(2.0)", "ln(10)", "ln(0)", "exp(1)", "exp(1000)", "pi()", "pow(2, 10)", "power(2, 0.5)", "pow(2, -1)", "pow(0, 0)", "pow(0, -1)", "pow(null, 2)", "pow(2, null)", "random(null, 3)", "random(1, null)", "random_zipfian(1, 2, null)",
		"random(5, 5)", "random_zipfian(7, 7, 1.5)", "hash(5, null)", "permute(1, null, 2)", "~null", "- null",
		"mod(17, 5)", "mod(-17, 5)", "mod(7.6, 3)", "least(3, 1, 2)", "greatest(3, 1, 2)", "least(3, 1.5, 2)", "greatest(1, 2.0)", "least(1, null)",
		"greatest(7)", "least(2, 2.0)", "greatest(-1, -2, -3)",
		"hash(5)", "hash(5, 7)", "hash_murmur2(5, 0)", "hash_fnv1a(5, 0)", "hash_fnv1a(5)", "hash(-1, -1)", "hash_fnv1a(-1, -1)", "hash(2.5, 1)", "hash(null)",
		"hash(1, null)", "permute(0, 10, 5)", "permute(null, 10)", "permute(3, 1)", "permute(-1, 10, 5)", "permute(100, 10, 5)", "permute(5, 10)",
		":i", ":neg", ":d", ":n", ":t", ":o", ":big", ":sp", ":plus", ":exp", ":half", ":i + :d", ":neg % 4", ":n is null", "not :t", ":o or :t",
		":hexa", "permute(12345, 9223372036854775807, 99)", "9223372036854775807 % -1", "-9223372036854775808 % -1", "-9223372036854775807 - 1",
		"4611686018427387904 * -2", "-3037000500 * 3037000499",
		"9223372036854775807 + 0", "0 - -9223372036854775807", "int(9223372036854774784.0)", "int(-9223372036854775808.0)",
	}
	src := ""
	for _, e := range exprs {
		src += "\\set v debug(" + e + ")\n"
	}
	out, ok := pgbench(t, server(t), src, defines()...)
	if !ok {
		t.Fatal(out[max(0, len(out)-1000):])
	}
	for i, m := range debugged.FindAllStringSubmatch(out, -1) {
		if got, err := evaluate(t, exprs[i]); err != nil || got != m[1] {
			t.Errorf("%s = %s %v, pgbench says %s", exprs[i], got, err, m[1])
		}
	}
}

func TestEvaluationErrorsAsPgbench(t *testing.T) {
	for _, e := range []string{
		"1 / 0", "1 % 0", "mod(1, 0)", "9223372036854775807 + 1", "-9223372036854775808 - 1", "9223372036854775807 * 2",
		"-9223372036854775808 * -1", "-9223372036854775808 / -1", "- -9223372036854775808", "-9223372036854775807 - 2",
		"true + 1", "1 + false", "true = true", "1.5 + true", "not 1", "1 and true", "true and 1", "false or 1 = 1 and 0.5", "false or 2",
		"int(true)", "double(false)", "int(1e19)", "int(1.0 / 0)", "int(9223372036854775807.0)", "least(true)", "greatest(1.5, true)", "true & 1", "1e30 | 1",
		"sqrt(true)", "hash(true)", "permute(1, 0)", "permute(1, -5)", "permute(true, 1)", "random(2, 1)", "random(-9223372036854775808, 5)",
		"random(0, 9223372036854775807)", "random_gaussian(1, 10, 1.9)", "random_exponential(1, 10, 0)", "random_exponential(1, 10, -2.5)",
		"random_zipfian(1, 10, 1.0)", "random_zipfian(1, 10, 1001)", "random_zipfian(10, 1, 1.5)", "random(1, true)", ":nope", ":text", ":toobig",
		"hash(:nope)",
		"pow(true, 1)", "pow(1, true)", "pow(1 / 0, 1)", "pow(1, 1 / 0)", "random(1 / 0, 2)", "random(1, 1 / 0)", "random_gaussian(1, 2, 1 / 0)",
		"random_exponential(1, 2, true)", "random(true, 1)", "1 / 0 is null", "not 1 / 0", "case when 1 / 0 then 1 end", "abs(1 / 0)", "debug(1 / 0)",
		"1 / 0 + 1", "1 + 1 / 0", "1 / 0 = 1 or true", "false or 1 / 0 = 1", "least(1, 1 / 0)", "permute(1 / 0, 2)",
	} {
		t.Run(e, func(t *testing.T) {
			out, ok := pgbench(t, server(t), "\\set v debug("+e+")\n", defines()...)
			got, err := evaluate(t, e)
			var se *Error
			if ok || !errors.As(err, &se) {
				t.Fatalf("evaluate = %s %v, pgbench says %s", got, err, out)
			}
			if !strings.Contains(out, "error: "+se.Msg+"\n") {
				t.Errorf("evaluate: %s, pgbench says %s", se.Msg, out)
			}
		})
	}
}

// TestRandomExpressionsAsPgbench makes expressions from a grammar, so that precedence meets precedence.
func TestRandomExpressionsAsPgbench(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var exprs, want []string
	src := ""
	for len(exprs) < 1500 {
		e := randomExpr(r, 4)
		got, err := evaluate(t, e)
		if err != nil {
			continue
		}
		exprs, want = append(exprs, e), append(want, got)
		src += "\\set v debug(" + e + ")\n"
	}
	out, ok := pgbench(t, server(t), src, defines()...)
	if !ok {
		t.Fatal(out[max(0, len(out)-1000):])
	}
	for i, m := range debugged.FindAllStringSubmatch(out, -1) {
		if m[1] != want[i] {
			t.Errorf("%s = %s, pgbench says %s", exprs[i], want[i], m[1])
		}
	}
}

// TestDoublesAsPgbench compares how doubles are read and written.
func TestDoublesAsPgbench(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var exprs []string
	src := ""
	for range 500 {
		f := (r.Float64() - 0.5) * math.Pow(10, float64(r.IntN(60)-30))
		format, digits := "efg"[r.IntN(3)], r.IntN(20)
		e := strconv.FormatFloat(f, format, digits, 64)
		if !strings.ContainsAny(e, ".e") {
			e += "." // or it is an integer, and too large
		}
		exprs = append(exprs, "double("+e+")", "double("+e+") / 3", "sqrt("+e+" * "+e+")")
	}
	for _, e := range exprs {
		src += "\\set v debug(" + e + ")\n"
	}
	out, ok := pgbench(t, server(t), src)
	if !ok {
		t.Fatal(out[max(0, len(out)-1000):])
	}
	for i, m := range debugged.FindAllStringSubmatch(out, -1) {
		if got, err := evaluate(t, exprs[i]); err != nil || got != m[1] {
			t.Errorf("%s = %s %v, pgbench says %s", exprs[i], got, err, m[1])
		}
	}
}

// TestTranscendentalsAsPgbench allows for the last place, in which mathematical libraries differ.
func TestTranscendentalsAsPgbench(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var exprs []string
	src := ""
	for range 200 {
		x, y := r.Float64()*100, r.Float64()*20-10
		exprs = append(exprs, fmt.Sprintf("ln(%v)", x), fmt.Sprintf("exp(%v)", y), fmt.Sprintf("pow(%v, %v)", x, y))
	}
	for _, e := range exprs {
		src += "\\set v debug(" + e + ")\n"
	}
	out, ok := pgbench(t, server(t), src)
	if !ok {
		t.Fatal(out[max(0, len(out)-1000):])
	}
	for i, m := range debugged.FindAllStringSubmatch(out, -1) {
		got, err := evaluate(t, exprs[i])
		var a, b float64
		_, errA := fmt.Sscanf(got, "double %g", &a)
		_, errB := fmt.Sscanf(m[1], "double %g", &b)
		if err != nil || errA != nil || errB != nil || math.Abs(a-b) > 2e-14*math.Abs(b) {
			t.Errorf("%s = %s %v, pgbench says %s", exprs[i], got, err, m[1])
		}
	}
}

// TestDebugPlaceAsPgbench compares which script and command debug() says it is in.
func TestDebugPlaceAsPgbench(t *testing.T) {
	const src = `\set a debug(1)
SELECT 1 AS x \gset
\if debug(false)
\set a debug(2)
\elif debug(:a = 1)
-- comment
\set a debug(3)
SELECT 1; SELECT 2;
\else
\set a debug(4)
\endif
\sleep 0 us
\set a debug(DEBUG(5))
`
	want, ok := pgbench(t, server(t), src)
	if !ok {
		t.Fatal(want)
	}
	var got bytes.Buffer
	s, err := Parse("test.sql", src, Options{Debug: &got})
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient([]*Script{s}, 1, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Session(0).Begin()
	if _, err := trace(c.Session(0), []string{"x=1"}); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("debug prints\n%swant\n%s", got.String(), want)
	}
}

func randomExpr(r *rand.Rand, depth int) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	sub := func() string { return randomExpr(r, depth-1) }
	if depth == 0 || r.IntN(8) == 0 {
		return pick("1", "2", "3", "7", "0", "2.5", "0.5", "1e3", "null", "true", "false", ":i", ":d", ":neg", ":t", strconv.Itoa(r.IntN(1000)))
	}
	switch r.IntN(12) {
	case 0:
		return "(" + sub() + ")"
	case 1:
		return pick("- ", "+", "~", "not ") + sub()
	case 2:
		return sub() + pick(" is null", " is not null", " isnull", " notnull", " is true", " is not false")
	case 3:
		return "case when " + sub() + " then " + sub() + " else " + sub() + " end"
	case 4:
		return pick("abs", "int", "double", "hash", "hash_fnv1a", "least") + "(" + sub() + ")"
	case 5:
		return pick("least", "greatest", "mod", "hash_murmur2") + "(" + sub() + ", " + sub() + ")"
	case 6:
		return "(" + sub() + pick(" < ", " > ", " = ", " <= ", " >= ", " <> ", " != ") + sub() + ")"
	case 7:
		return sub() + pick(" and ", " or ") + sub()
	default:
		return sub() + pick("+", "-", "*", "/", "%", " & ", " | ", " # ", " << ", " >> ") + sub()
	}
}

// TestPermuteAndHashesAsPgbench takes many values, sizes and seeds.
func TestPermuteAndHashesAsPgbench(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	src := ""
	var want []int64
	for range 700 {
		v, seed := int64(r.Uint64()), int64(r.Uint64())
		size := 1 + int64(r.Uint64()>>1)>>r.IntN(63)
		src += fmt.Sprintf("\\set v debug(hash_murmur2(%d, %d))\n\\set v debug(hash_fnv1a(%[1]d, %[2]d))\n", v, seed)
		src += fmt.Sprintf("\\set v debug(permute(%d, %d, %d))\n", v, size, seed)
		want = append(want, hashMurmur2(v, uint64(seed)), hashFnv1a(v, uint64(seed)), permute(v, size, seed))
	}
	out, ok := pgbench(t, server(t), src)
	if !ok {
		t.Fatal(out[max(0, len(out)-1000):])
	}
	lines := debugged.FindAllStringSubmatch(out, -1)
	if len(lines) != len(want) {
		t.Fatalf("pgbench printed %d values, want %d", len(lines), len(want))
	}
	for i, m := range lines {
		if m[1] != fmt.Sprint("int ", want[i]) {
			t.Errorf("line %d of the script: %d, pgbench says %s", i+1, want[i], m[1])
		}
	}
}

// TestStatementsAsPgbench compares what is sent, in the simple and the extended protocol.
func TestStatementsAsPgbench(t *testing.T) {
	keepsComments(t)
	const both = `-- a comment; with a semicolon
/* another; one /* nested; */ ; */ SELECT 1;
SELECT 'a;b''c;', "d"";" FROM (SELECT 1 AS "d"";") x; SELECT 2;
  SELECT
    3, -- inside; the statement
    4   ;
SELECT E'a\';b', 'c\', e'd''\';' ;
SELECT E'a'
  '\';b';
SELECT $$;$$, $a$;$b$;$$;$a$, $a$ $ $a$;
SELECT 1 AS a$b$;
SELECT b'01', x'0F', n'a;', U&'d\0061t;', U&"d" FROM (SELECT 1 AS d) x;
SELECT ((1 + 2) * 3), array[1,2,3];
CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);
SELECT '1'::int, :i::text, '{1,2,3}'::int[];
SELECT (array[1,2,3])[1\:2];
SELECT 5 AS five \gset
SELECT :five::int + :i::int, 'a' || ::text::
CREATE OR REPLACE FUNCTION one() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;
CREATE FUNCTION two(x int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT 2;';
DROP FUNCTION one; DROP FUNCTION two;
SELECT 1 -/**/- 2, 3 */* ; */ 4;
SELECT 1 --; comment after
 + 1;
BEGIN; END;
\set v 2.5
\set b 1 = 1
SELECT :v::float8, :b::bool;
SELECT 'last'
`
	src := strings.Replace(both, "'a' || ::text::\n", "'a;';\n", 1)
	const setUp = "CREATE TABLE IF NOT EXISTS t (i int); DROP RULE IF EXISTS r ON t;\n"
	for mode, own := range map[string]string{
		"simple":   "\\set n null\nSELECT 1 \\; SELECT 2;\nSELECT :n, :i*2, ':i', 'a:b', :d;\n",
		"extended": "SELECT :i::int*2;\n",
	} {
		t.Run(mode, func(t *testing.T) {
			text := setUp + src[:strings.Index(src, "SELECT 'last'")] + own + "SELECT 'last'\n"
			out, ok := pgbench(t, server(t), text, append(defines(), "--debug", "-M", mode)...)
			if !ok {
				t.Fatal(out)
			}
			var want []string
			for _, m := range regexp.MustCompile(`(?s)client 0 sending (.*?)\npgbench: client 0 `).FindAllStringSubmatch(out, -1) {
				want = append(want, m[1])
			}
			compareSent(t, client(t, text, expressionVars), mode == "simple", want)
		})
	}
}

// keepsComments skips where pgbench drops -- comments from statements, which version 15 ended.
func keepsComments(t *testing.T) {
	t.Helper()
	out, err := exec.Command(postgresBinary(t, "pgbench"), "--version").Output()
	if m := regexp.MustCompile(`\) (\d+)`).FindSubmatch(out); err != nil || m == nil || string(m[1]) < "15" {
		t.Skipf("%s is older than 15", out)
	}
}

// compareSent runs a script whose \gset gets five=5.
func compareSent(t *testing.T, s *Session, simple bool, want []string) {
	t.Helper()
	s.Begin()
	for i, w := range want {
		step, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		got := step.Stmt.SQL
		if simple {
			got = string(s.Simple(nil, step.Stmt))
		}
		if got = strings.TrimSuffix(got, "\n"); got != w { // the log drops it
			t.Errorf("statement %d is\n%q, pgbench sends\n%q", i+1, got, w)
		}
		if step.Stmt.Gset {
			if err := s.Row([]string{"five"}, [][]byte{[]byte("5")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if step, err := s.Next(); err != nil || step.Kind != Done {
		t.Errorf("after %d statements comes %v %v", len(want), step.Stmt, err)
	}
}

// TestSplitAsPgbench compares where statements end in text that no server would take. It is never run: pgbench shows
// the first line of each statement of a branch that is not taken.
func TestSplitAsPgbench(t *testing.T) {
	keepsComments(t)
	pieces := []string{";", ";", ";", "'", "'", "''", "\"", "$$", "$a$", "$a", "$1", "a$$", "(", ")", "/*", "*/", "--", "\n", "\n", "\\;", "\\:",
		"E'", "e'", " e'\\'", "U&'", "B'", "\\'", ":x", ":'x'", ":\"x\"", "::", ":e'", " ", "\t", "x", "+", "-", "*/", " 1 ", "\r\n", "\f", "é",
		"create ", "create ", "function ", "procedure ", "or ", "replace ", "begin ", "begin ", "end ", "end ", "case ", "\\sleep 0\n", "\\set a 1\n"}
	r := rand.New(rand.NewPCG(5, 6))
	var taken []string
	for refused := 0; len(taken) < 120; {
		var b strings.Builder
		for range 1 + r.IntN(25) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		src := "\\if 0\n" + b.String() + "\n;\n\\endif\n"
		if _, err := Parse("test.sql", src, Options{}); err == nil {
			taken = append(taken, src)
		} else if refused++; refused <= 20 { // the conditions' end was swallowed
			if out, ok := pgbench(t, server(t), src, "-r"); ok {
				t.Errorf("pgbench takes %q: %s, Parse: %v", src, out, err)
			}
		}
	}
	for i, want := range commandLines(t, taken) {
		s := client(t, taken[i], nil)
		var got []string
		for _, st := range s.script.Stmts {
			line := string(s.Simple(nil, st))
			if end := strings.IndexAny(line, "\r\n"); end >= 0 {
				line = line[:end]
			}
			got = append(got, line[:min(len(line), 127)])
		}
		if !slices.Equal(got, want) {
			t.Errorf("of %q Parse makes\n%q, pgbench\n%q", taken[i], got, want)
		}
	}
}

// commandLines is the first line of each SQL command that pgbench finds in each of up to 128 scripts.
func commandLines(t *testing.T, scripts []string) [][]string {
	t.Helper()
	cmd := exec.Command(postgresBinary(t, "pgbench"), "-n", "-t", "1", "-h", server(t), "-U", "postgres", "-r")
	cmd.Dir = t.TempDir()
	for i, src := range scripts {
		name := fmt.Sprintf("%d.sql", i)
		if err := os.WriteFile(filepath.Join(cmd.Dir, name), []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd.Args = append(cmd.Args, "-f", name)
	}
	cmd.Args = append(cmd.Args, "postgres")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pgbench: %s", out)
	}
	lines := make([][]string, len(scripts))
	for i, part := range strings.Split(string(out), "\nSQL script ")[1:] {
		for _, m := range regexp.MustCompile(`(?m)^ {3} +0\.\d{3} +0 +(.*)$`).FindAllStringSubmatch(part, -1) {
			if !strings.HasPrefix(m[1], `\`) {
				lines[i] = append(lines[i], m[1])
			}
		}
	}
	return lines
}

// TestDistributionsAsPgbench holds 20,000 draws of each random function against as many of pgbench's own.
func TestDistributionsAsPgbench(t *testing.T) {
	const n = 20_000
	exprs := []string{"random(1, 30)", "random_exponential(1, 30, 3.5)", "random_gaussian(1, 30, 2.5)", "random_zipfian(1, 30, 1.2)",
		"random_zipfian(1, 30, 2.5)"}
	src := ""
	for _, e := range exprs {
		src += strings.Repeat("\\set v debug("+e+")\n", n/1000)
	}
	out, ok := pgbench(t, server(t), src, "-t", "1000", "--random-seed=1")
	if !ok {
		t.Fatal(out[max(0, len(out)-1000):])
	}
	theirs := make([][]float64, len(exprs))
	for i := range theirs {
		theirs[i] = make([]float64, 30)
	}
	for _, m := range regexp.MustCompile(`command=(\d+)\): int (\d+)`).FindAllStringSubmatch(out, -1) {
		cmd, _ := strconv.Atoi(m[1])
		v, _ := strconv.Atoi(m[2])
		theirs[(cmd-1)/(n/1000)][v-1]++
	}
	for i, e := range exprs {
		var stat, df float64
		for k, mine := range draws(t, e, 1, 30, n) {
			if d := mine + theirs[i][k]; d >= 10 {
				stat += (mine - theirs[i][k]) * (mine - theirs[i][k]) / d
				df++
			}
		}
		if limit := chiSquareLimit(df - 1); stat > limit {
			t.Errorf("%s: chi-square %.1f with %v degrees of freedom, want at most %.1f", e, stat, df-1, limit)
		}
	}
}
