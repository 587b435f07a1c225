package pgconf

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func load(t *testing.T, files map[string]string) *Tree {
	t.Helper()
	raw := map[string][]byte{}
	for name, text := range files {
		raw[name] = []byte(text)
	}
	read, list := Memory(raw)
	tree, err := Load("/etc/pg/postgresql.conf", "/data", read, list)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func places(tree *Tree) []string {
	var all []string
	for _, p := range tree.Places() {
		all = append(all, fmt.Sprintf("%s %s=%s", p, p.Name, p.Value))
	}
	return all
}

func TestTreeOrder(t *testing.T) {
	tree := load(t, map[string]string{
		"/etc/pg/postgresql.conf":       "a.x = 1\ninclude 'sub/one.conf'\na.x = 3\ninclude_if_exists = 'none.conf'\ninclude_dir = 'conf.d'\na.y = 9\n",
		"/etc/pg/sub/one.conf":          "a.x = 2\ninclude = 'two.conf'\n",
		"/etc/pg/sub/two.conf":          "a.z = 1\n",
		"/etc/pg/conf.d/b.conf":         "a.x = 6\n",
		"/etc/pg/conf.d/B.conf":         "a.x = 4\n",
		"/etc/pg/conf.d/a.conf":         "a.x = 5\n",
		"/etc/pg/conf.d/.hidden.conf":   "a.x = 100\n",
		"/etc/pg/conf.d/.conf":          "a.x = 100\n",
		"/etc/pg/conf.d/a.conf.dpkg":    "a.x = 100\n",
		"/data/postgresql.auto.conf":    "# Do not edit\na.y = '10'\n",
		"/etc/pg/postgresql.auto.conf":  "a.y = 100\n",
		"/etc/pg/conf.d/deep/more.conf": "a.x = 100\n",
	})
	want := []string{"/etc/pg/postgresql.conf:1 a.x=1", "/etc/pg/sub/one.conf:1 a.x=2", "/etc/pg/sub/two.conf:1 a.z=1",
		"/etc/pg/postgresql.conf:3 a.x=3", "/etc/pg/conf.d/B.conf:1 a.x=4", "/etc/pg/conf.d/a.conf:1 a.x=5",
		"/etc/pg/conf.d/b.conf:1 a.x=6", "/etc/pg/postgresql.conf:6 a.y=9", "/data/postgresql.auto.conf:2 a.y=10"}
	if got := places(tree); !slices.Equal(got, want) {
		t.Errorf("places:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(tree.Problems) > 0 {
		t.Errorf("problems: %v", tree.Problems)
	}
	if p, ok := tree.InForce("A.Y"); !ok || !p.Auto || p.Value != "10" {
		t.Errorf("InForce(a.y) = %v %v, want 10 from postgresql.auto.conf", p, ok)
	}
	if p, ok := tree.Editable("a.y"); !ok || p.String() != "/etc/pg/postgresql.conf:6" {
		t.Errorf("Editable(a.y) = %v %v", p, ok)
	}
	if _, ok := tree.InForce("b"); ok {
		t.Error("InForce(b) found a line")
	}
}

func TestTreeSet(t *testing.T) {
	files := map[string]string{
		"/etc/pg/postgresql.conf": "work_mem = 1MB\n#jit = on\ninclude_dir = 'conf.d'\nport = 1\n",
		"/etc/pg/conf.d/x.conf":   "work_mem = 2MB # here\nport = 2\n#fsync = on\n#jit = on\n",
	}
	tests := []struct{ name, key, value, place, line string }{
		{"the include comes later", "work_mem", "8MB", "/etc/pg/conf.d/x.conf:1", "work_mem = 8MB # here\n"},
		{"the include comes earlier", "port", "3", "/etc/pg/postgresql.conf:4", "port = 3\n"},
		{"the main file's default first", "jit", "off", "/etc/pg/postgresql.conf:2", "jit = off\n"},
		{"a default in an include", "fsync", "on", "/etc/pg/conf.d/x.conf:3", "fsync = on\n"},
		{"nowhere", "a.b", "1", "/etc/pg/postgresql.conf:7", "a.b = 1\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := load(t, files)
			p, _, err := tree.Set(tt.key, tt.value)
			if err != nil {
				t.Fatal(err)
			}
			if l, _ := p.File.Line(p.Line); p.String() != tt.place || l.Text != tt.line {
				t.Errorf("Set(%s) edited %s to %q, want %s to %q", tt.key, p, l.Text, tt.place, tt.line)
			}
			if in, _ := tree.InForce(tt.key); in.Value != tt.value {
				t.Errorf("in force is %s = %q", in, in.Value)
			}
		})
	}
}

func TestTreeProblems(t *testing.T) {
	deep := map[string]string{"/etc/pg/postgresql.conf": "include '0'\n"}
	for i := range 12 {
		deep[fmt.Sprintf("/etc/pg/%d", i)] = fmt.Sprintf("include '%d'\n", i+1)
	}
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"syntax", map[string]string{"/etc/pg/postgresql.conf": "a = 1\nb = 1.5GB\n"}, "/etc/pg/postgresql.conf 2 syntax error"},
		{"missing", map[string]string{"/etc/pg/postgresql.conf": "include 'x'\n"}, "/etc/pg/postgresql.conf 1 includes /etc/pg/x, which cannot be read: /etc/pg/x: file does not exist"},
		{"itself", map[string]string{"/etc/pg/postgresql.conf": "include 'postgresql.conf'\n"}, "/etc/pg/postgresql.conf 1 includes /etc/pg/postgresql.conf, which is being read already"},
		{"too deep", deep, "/etc/pg/9 1 includes /etc/pg/10: files include each other more than 10 deep"},
		{"in an include", map[string]string{"/etc/pg/postgresql.conf": "include 'x'\n", "/etc/pg/x": "?\n"}, "/etc/pg/x 1 syntax error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range load(t, tt.files).Problems {
				got = append(got, fmt.Sprintf("%s %d %s", p.File, p.Line, p.Text))
			}
			if len(got) != 1 || got[0] != tt.want {
				t.Errorf("problems %q, want %q", got, tt.want)
			}
		})
	}
	if _, err := Load("/none", "", func(string) ([]byte, error) { return nil, fs.ErrNotExist }, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a missing file = %v", err)
	}
}

func TestTreeManyIncludes(t *testing.T) {
	files := map[string]string{"/etc/pg/postgresql.conf": strings.Repeat("include '0'\n", 30)}
	for i := range 9 {
		files[fmt.Sprintf("/etc/pg/%d", i)] = strings.Repeat(fmt.Sprintf("include '%d'\n", i+1), 30)
	}
	files["/etc/pg/9"] = "a.b = 1\n"
	if p, ok := load(t, files).InForce("a.b"); !ok || p.Value != "1" {
		t.Errorf("InForce = %v %v", p, ok)
	}
}

func TestRelocated(t *testing.T) {
	text := "include '/etc/x/../a b.conf' # ours\ninclude_dir '/etc/it''s'\ninclude 'near.conf'\r\nDATA_DIRECTORY = '/var/lib/x'\n#data_directory = 'y'\nwork_mem = 4MB"
	f := Parse("/etc/postgresql.conf", []byte(text))
	want := "include '/root/etc/a b.conf' # ours\ninclude_dir '/root/etc/it''s'\ninclude 'near.conf'\r\n#DATA_DIRECTORY = '/var/lib/x'\n#data_directory = 'y'\nwork_mem = 4MB"
	if got := string(f.Relocated("/root", []string{"data_directory"})); got != want {
		t.Errorf("Relocated = %q, want %q", got, want)
	}
	if string(f.Bytes()) != text {
		t.Error("the file itself has changed")
	}
	tree := load(t, map[string]string{"/etc/pg/postgresql.conf": "include_dir 'conf.d'\ninclude_dir = '/x'\ninclude 'a'\ninclude_dir 'conf.d'\n", "/etc/pg/a": "include_dir = 'more'"})
	if got := tree.IncludeDirs(); !slices.Equal(got, []string{"/etc/pg/conf.d", "/etc/pg/more", "/x"}) {
		t.Errorf("IncludeDirs = %q", got)
	}
}

// Servers up to 14 name an included file as it is written, with .. in the middle.
func TestPathsOfOldServers(t *testing.T) {
	tree := load(t, map[string]string{"/etc/pg/postgresql.conf": "include 'sub/a.conf'\n", "/etc/pg/sub/a.conf": "include '../b.conf'\n", "/etc/pg/sub/../b.conf": "work_mem = 1MB\n"})
	if p, ok := tree.InForce("work_mem"); !ok || p.File.Path != "/etc/pg/b.conf" || len(tree.Problems) > 0 {
		t.Errorf("InForce = %v %v, problems %v", p, ok, tree.Problems)
	}
	if f := tree.File("/etc/pg/sub/../b.conf"); f == nil || f != tree.File("/etc/pg/b.conf") {
		t.Errorf("File by the server's name = %v", f)
	}
}
