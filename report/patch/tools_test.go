package patch

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/workload/rundoc"
)

// server15 is an untouched PostgreSQL 15 whose main file is at path.
func server15(t testing.TB, path string) probe.Server {
	t.Helper()
	all, err := guc.Catalogue(15)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range all {
		s.Source = "default"
		all[name] = s
	}
	return probe.Server{Version: "15.18", VersionNum: 150018, Settings: all, ConfigFile: probe.Is(path, "test")}
}

// appliers are the two ways in which a diff is applied in a directory.
var appliers = []struct {
	name string
	args []string
}{
	{"patch", []string{"patch", "-p1", "--no-backup-if-mismatch", "--fuzz=0", "-i"}},
	{"git apply", []string{"git", "apply"}},
}

func apply(t *testing.T, args []string, dir string, diff []byte) {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skipf("no %s found", args[0])
	}
	file := filepath.Join(t.TempDir(), "x.patch")
	if err := os.WriteFile(file, diff, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(args[0], append(args[1:len(args):len(args)], file)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "offset") || strings.Contains(string(out), "fuzz") {
		t.Fatalf("%s: %v\n%s\n%s", strings.Join(args, " "), err, out, diff)
	}
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// roundTrip applies the diff and its reverse with both tools and compares bytes.
func roundTrip(t *testing.T, p Patch) {
	t.Helper()
	for _, tool := range appliers {
		t.Run(tool.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range p.Files {
				if f.Before != nil {
					write(t, dir, f.Name, f.Before)
				}
			}
			check := func(want func(FileEdit) []byte) {
				t.Helper()
				for _, f := range p.Files {
					got, err := os.ReadFile(filepath.Join(dir, f.Name))
					if os.IsNotExist(err) && want(f) == nil {
						continue
					}
					if err != nil || !bytes.Equal(got, want(f)) {
						t.Fatalf("%s is %q (%v), want %q", f.Name, got, err, want(f))
					}
				}
			}
			apply(t, tool.args, dir, p.Diff)
			check(func(f FileEdit) []byte { return f.After })
			apply(t, tool.args, dir, p.Rollback)
			check(func(f FileEdit) []byte { return f.Before })
		})
	}
}

func TestDiffIsTakenByTools(t *testing.T) {
	long := strings.Repeat("# filler\n", 20)
	stock := "# PostgreSQL\n\n" + long + "max_connections = 100\t\t\t# (change requires restart)\n" + long +
		"#work_mem = 4MB\t\t\t\t# min 64kB\n" + long + "port = 5432\n"
	tests := []struct{ name, conf string }{
		{"LF", stock},
		{"CRLF", strings.ReplaceAll(stock, "\n", "\r\n")},
		{"no final newline", strings.TrimSuffix(stock, "\n")},
		{"CRLF, no final newline", strings.TrimSuffix(strings.ReplaceAll(stock, "\n", "\r\n"), "\r\n")},
		{"empty", ""},
		{"one newline", "\n"},
		{"one line without newline", "max_connections = 100"},
		{"value on the last line without newline", long + "work_mem = 1MB"},
		{"not UTF-8", "# Gr\xf6\xdfe\n" + stock},
		{"diff-like lines", "--- a\n+++ b\n@@ -1 +1 @@\n# --- x\n#work_mem = 4MB\n-- \n"},
	}
	changes := []Change{{Name: "max_connections", Value: "200"}, {Name: "work_mem", Value: "16MB"}, {Name: "jit", Value: "off"},
		{Name: "random_page_cost", Value: "1.1"}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Make(Input{Server: server15(t, "/etc/pg/postgresql.conf"), Changes: changes,
				Files: []rundoc.File{{Path: "/etc/pg/postgresql.conf", Text: tt.conf}}})
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Applied) != len(changes) || p.Dir != "/etc/pg" || len(p.Files) != 1 {
				t.Fatalf("%d of %d changes in %d files below %s: %+v", len(p.Applied), len(changes), len(p.Files), p.Dir, p.Skipped)
			}
			roundTrip(t, p)
		})
	}
}

func TestDiffOfSeveralFiles(t *testing.T) {
	changes := []Change{{Name: "work_mem", Value: "16MB"}, {Name: "jit", Value: "off"}, {Name: "max_connections", Value: "200"}}
	tests := []struct {
		name, other, dir, wantName string
	}{
		{"below", "/etc/pg/conf.d/mem ory.conf", "/etc/pg", "conf.d/mem ory.conf"},
		{"beside", "/etc/pg-common/mem.conf", "/etc", "pg-common/mem.conf"},
		{"far away", "/srv/mem.conf", "/", "srv/mem.conf"},
		{"odd name", "/etc/pg/conf.d/m\"e\\m\t.conf", "/etc/pg", "conf.d/m\"e\\m\t.conf"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			main := "max_connections = 100\nwork_mem = 1MB\ninclude '" + strings.ReplaceAll(tt.other, `\`, `\\`) + "'\n#jit = on\n"
			p, err := Make(Input{Server: server15(t, "/etc/pg/postgresql.conf"), Changes: changes, Files: []rundoc.File{
				{Path: "/etc/pg/postgresql.conf", Text: main}, {Path: tt.other, Text: "work_mem = 2MB # here\n"}}})
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Files) != 2 || p.Dir != tt.dir || p.Files[1].Name != tt.wantName {
				t.Fatalf("files %+v below %s, want %s below %s", p.Files, p.Dir, tt.wantName, tt.dir)
			}
			roundTrip(t, p)
		})
	}
}

func TestRelativeNames(t *testing.T) {
	for main, want := range map[string][2]string{"postgresql.conf": {".", "postgresql.conf"}, ".pg/x.conf": {".pg", "x.conf"}, ".conf": {".", ".conf"},
		"/x.conf": {"/", "x.conf"}} {
		p, err := Make(Input{Server: server15(t, ""), Files: []rundoc.File{{Path: main}}, Changes: []Change{{Name: "jit", Value: "off"}}})
		if err != nil {
			t.Fatal(err)
		}
		if p.Dir != want[0] || p.Files[0].Name != want[1] {
			t.Errorf("%s is %s in %s, want %s in %s", main, p.Files[0].Name, p.Dir, want[1], want[0])
		}
	}
}

func TestDropInIsTakenByTools(t *testing.T) {
	for _, lines := range [][]probe.FileSetting{nil, {{File: "/etc/pg/conf.d/90-pgfit.conf", Line: 2, Name: "jit", Value: "on"}}} {
		s := server15(t, "/etc/pg/postgresql.conf")
		s.FileLines = lines
		p, err := Make(Input{Server: s, Changes: []Change{{Name: "work_mem", Value: "16MB", Reason: "sorts\nspill"}, {Name: "jit", Value: "off"}}})
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, p)
		want := "# Written by pgfit.\n\n# sorts spill\nwork_mem = 16MB\njit = off\n"
		if got := string(p.Files[0].After); got != want {
			t.Errorf("drop-in %q, want %q", got, want)
		}
		name, include := "conf.d/90-pgfit.conf", "include_dir = 'conf.d'"
		if lines != nil {
			name, include = "conf.d/91-pgfit.conf", ""
		}
		if p.DropIn != name || p.Include != include || p.Dir != "/etc/pg" || p.Applied[0].Line != 4 {
			t.Errorf("drop-in %s in %s, include %q, line %d; want %s, %q, line 4", p.DropIn, p.Dir, p.Include, p.Applied[0].Line, name, include)
		}
	}
}
