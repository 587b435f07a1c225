package pgconf

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"testing"
)

// FuzzParse holds what Parse and Set promise, for any file, name and value.
func FuzzParse(f *testing.F) {
	for _, conf := range []string{"", "\n", "work_mem = 4MB # x\r\n#jit = on\nfsync on", "a.b = 'it''s \\'x\\' \\101'\n",
		"#work_mem = 4MB\t# min\n", "# pgfit: begin\n# pgfit: end", "work_mem = 'x", "\xef\xbb\xbfa = 1\n\x00", "include '/a/../b' # c\ninclude_dir='/x'\r\njit on"} {
		f.Add([]byte(conf), "work_mem", "8MB")
		f.Add([]byte(conf), "a.b", "it's \\ \n\r\x01")
		f.Add([]byte(conf), "jit", "-1")
	}
	f.Fuzz(func(t *testing.T, conf []byte, name, value string) {
		file := Parse("postgresql.conf", conf)
		if got := file.Bytes(); !bytes.Equal(got, conf) {
			t.Fatalf("printed %q, want %q", got, conf)
		}
		checkRelocated(t, file)
		before := file.Lines()
		edit, err := file.Set(name, value)
		if err != nil {
			if !bytes.Equal(file.Bytes(), conf) {
				t.Fatalf("Set(%q, %q) failed and changed the file", name, value)
			}
			return
		}
		after := Parse("postgresql.conf", file.Bytes())
		if !slices.Equal(after.Lines(), file.Lines()) {
			t.Fatalf("Set(%q, %q) on %q: the file reads back as something else", name, value, conf)
		}
		if l, _ := after.Line(after.Find(name)); l.Value != value || after.Find(name) != edit.Line {
			t.Fatalf("Set(%q, %q) on %q reads back as %q on line %d, want line %d", name, value, conf, l.Value, after.Find(name), edit.Line)
		}
		checkRest(t, before, after.Lines(), edit)
	})
}

// checkRelocated: below another root every line means the same but for absolute includes and what is left out.
func checkRelocated(t *testing.T, file *File) {
	t.Helper()
	was, is := file.Lines(), Parse("", file.Relocated("/r o'ot", []string{"jit"})).Lines()
	if len(was) != len(is) {
		t.Fatalf("relocated, %d lines are %d: %q", len(was), len(is), file.Bytes())
	}
	for i, l := range was {
		switch {
		case l.Kind == Entry && SameName(l.Name, "jit"):
			if is[i].Kind == Entry {
				t.Fatalf("%q is not left out: %q", l.Text, is[i].Text)
			}
		case l.Directive() && strings.HasPrefix(l.Value, "/"):
			if !is[i].Directive() || is[i].Value != "/r o'ot"+path.Clean(l.Value) {
				t.Fatalf("%q is relocated to %q", l.Text, is[i].Text)
			}
		case l != is[i]:
			t.Fatalf("%q is now %q", l.Text, is[i].Text)
		}
	}
}

// checkRest compares everything but the edited line, and pgfit's own lines around it.
func checkRest(t *testing.T, before, after []Line, e Edit) {
	t.Helper()
	if e.Way == Added {
		after = slices.Delete(after, e.Line-1, e.Line)
		if len(after) != len(before) { // the block is new
			after = after[:len(after)-2]
			if len(after) == len(before)+1 && after[len(after)-1].Kind == Blank {
				after = after[:len(before)]
			}
			if n := len(before); n > 0 { // a final newline may have been missing
				before = slices.Clone(before)
				before[n-1].Text, after[n-1].Text = strings.TrimRight(before[n-1].Text, "\r\n"), strings.TrimRight(after[n-1].Text, "\r\n")
			}
		}
		if !slices.Equal(before, after) {
			t.Fatalf("adding changed other lines:\n%v\n%v", before, after)
		}
		return
	}
	if len(before) != len(after) {
		t.Fatalf("an edit in place made %d lines of %d", len(after), len(before))
	}
	for i := range before {
		if i != e.Line-1 && before[i] != after[i] {
			t.Fatalf("line %d changed from %q to %q", i+1, before[i].Text, after[i].Text)
		}
	}
	was, is := before[e.Line-1], after[e.Line-1]
	if !strings.HasSuffix(is.Text, was.Text[was.value.to:]) || !strings.Contains(is.Text, was.Text[was.name.from:was.value.from]) {
		t.Fatalf("more than the value changed: %q is now %q", was.Text, is.Text)
	}
}

// FuzzTree has a main file and two that it may include in any way. What Tree.Set writes is in force among the files that
// people edit, and the other files stay as they are.
func FuzzTree(f *testing.F) {
	f.Add([]byte("work_mem = 1MB\ninclude 'a.conf'\n#jit = on\n"), []byte("work_mem = 2MB\ninclude_dir '.'\n"), []byte("jit = on"), "work_mem", "8MB")
	f.Add([]byte("include_if_exists = 'none'\ninclude_dir = '/d'\n"), []byte("include 'b.conf'\ninclude 'b.conf'\n"), []byte("#jit = on\r\n"), "jit", "off")
	f.Fuzz(func(t *testing.T, main, a, b []byte, name, value string) {
		files := map[string][]byte{"/d/main": main, "/d/a.conf": a, "/d/b.conf": b}
		read, list := Memory(files)
		tree, err := Load("/d/main", "/d", read, list)
		if err != nil {
			t.Fatal(err)
		}
		place, _, err := tree.Set(name, value)
		if err != nil {
			return
		}
		for _, file := range tree.Files() {
			if file != place.File && !bytes.Equal(file.Bytes(), files[file.Path]) {
				t.Fatalf("Set edited %s and changed %s", place, file.Path)
			}
			files[file.Path] = file.Bytes()
		}
		again, err := Load("/d/main", "/d", read, list)
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := again.Editable(name); !ok || p.Value != value || p.String() != place.String() {
			t.Fatalf("Set(%q, %q) edited %s, and in force is %s with %q", name, value, place, p, p.Value)
		}
	})
}
