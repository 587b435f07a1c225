package appconf

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

// FuzzEdit changes one value of any file to any text: the result reads back as that text, every other value and every
// byte before and behind the value stays.
func FuzzEdit(f *testing.F) {
	f.Add([]byte(guide), uint(2), "30")
	f.Add([]byte("a: {b: 'x''y', c: \"d\\te\"}\n"), uint(1), "it's: \"#\"")
	f.Add([]byte("a: &x 1\nb: *x\n- c\n"), uint(0), "2")
	f.Add([]byte("\uFEFFk: ${POOL:-20}\r\n# end"), uint(0), "30")
	f.Add([]byte("a: 1\u2028b: 2\n"), uint(0), "${X}")
	f.Fuzz(func(t *testing.T, data []byte, which uint, value string) {
		d, err := Parse(data)
		if err != nil || len(d.scalars) == 0 {
			return
		}
		s := d.scalars[which%uint(len(d.scalars))]
		if s.Start > s.End || s.End > len(data) {
			t.Fatalf("%q: place %d:%d lies outside of %d bytes", s.Path, s.Start, s.End, len(data))
		}
		out, err := Edit(data, []Change{{s.Path, value}})
		if err != nil {
			return
		}
		if !bytes.HasPrefix(out, data[:s.Start]) || !bytes.HasSuffix(out, data[s.End:]) {
			t.Fatalf("editing %s of %q to %q lost bytes: %q", s.Path, data, value, out)
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("%q cannot be read back: %v", out, err)
		}
		want, _ := withDefault(s.Text, value)
		if got, _ := again.Scalar(s.Path); got.Text != want || !utf8.Valid(out) {
			t.Fatalf("%s reads back as %q, want %q", s.Path, got.Text, want)
		}
		if back, err := Edit(out, []Change{{s.Path, defaultOf(s.Text)}}); err == nil && len(again.scalars) != len(d.scalars) {
			t.Fatalf("%d values became %d: %q", len(d.scalars), len(again.scalars), back)
		}
	})
}

func defaultOf(text string) string {
	if m := wholeTemplate.FindStringSubmatch(text); m != nil {
		return m[3]
	}
	return text
}

// FuzzEnv holds the reader of .env against Compose's own and edits a variable in place.
func FuzzEnv(f *testing.F) {
	f.Add([]byte(dotEnv), "30")
	f.Add([]byte("A=\"x\\\"y\" B='z'\nC: ${A:-${B}}\n"), "x y")
	f.Add([]byte("export A=1\r\nA = 2 # c\n#x\n"), "\\")
	f.Fuzz(func(t *testing.T, data []byte, value string) {
		e, err := ReadEnv(data, none)
		if err == nil {
			compareWithCompose(t, data, e)
		}
		vars, err := ParseEnv(data)
		if err != nil || len(vars) == 0 {
			return
		}
		v, _ := last(vars, vars[0].Name)
		out, err := EditEnv(data, []Change{{v.Name, value}})
		if err != nil {
			return
		}
		if !bytes.HasPrefix(out, data[:v.Start]) || !bytes.HasSuffix(out, data[v.End:]) {
			t.Fatalf("editing %s of %q to %q lost bytes: %q", v.Name, data, value, out)
		}
	})
}

// compareWithCompose wants the library to read the whole file as we read it statement by statement. The library takes a
// last line without = for a value of no name, and that difference is ours on purpose.
func compareWithCompose(t *testing.T, data []byte, e *Env) {
	defer func() {
		if r := recover(); r != nil {
			t.Skip("the library panics")
		}
	}()
	want, err := dotenv.UnmarshalWithLookup(string(bytes.TrimPrefix(data, bom)), none)
	if err != nil {
		return
	}
	for name, value := range want {
		if got, ok := e.Lookup(name); name != "" && (!ok || got != value) {
			t.Fatalf("%q: %q = %q, Compose reads %q", data, name, got, value)
		}
	}
}
