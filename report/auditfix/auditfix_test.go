package auditfix

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgfit/advisor/audit"
	"pgfit/probe/stack"
	"pgfit/report/files"
)

func unset(string) (string, bool) { return "", false }

const pg = "infra/docker/prod/postgres/"

// faults are pairs of old and new by file.
var faults = map[string][]string{
	pg + "postgresql.conf": {"ssl = on", "ssl = off", "password_encryption = scram-sha-256", "password_encryption = md5", "'pg_stat_statements'", "'auto_explain'",
		"log_lock_waits = on", "log_lock_waits = off # why?", "checkpoint_completion_target = 0.9", "checkpoint_completion_target = 0.1"},
	pg + "pg_hba.conf": {"127.0.0.1/32            scram-sha-256\nhost    all             all             ::1", "127.0.0.1/32            trust # for now\nhost    all             all             ::1",
		"172.18.0.0/16           scram-sha-256", "172.18.0.0/16           \"md5\"", "hostnossl all           all             ::/0                    reject\n", "",
		"host     all            all             ::/0                    reject\n", ""},
	"config.yaml": {"pool_size: 20 ", "pool_size: 0 ", "pool_recycle: 1800", `pool_recycle: "${RECYCLE:-60}"`},
}

func broken(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../testdata/guide")); err != nil {
		t.Fatal(err)
	}
	for name, pairs := range faults {
		text := read(t, filepath.Join(dir, name))
		if strings.NewReplacer(pairs...).Replace(text) == text {
			t.Fatalf("%s: nothing was replaced", name)
		}
		for i := 0; i < len(pairs); i += 2 {
			text = strings.Replace(text, pairs[i], pairs[i+1], 1)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func auditOf(t *testing.T, dir string) (audit.Result, *stack.Stack, int) {
	t.Helper()
	found, _, err := stack.Find(dir, "production")
	if err != nil {
		t.Fatal(err)
	}
	s, major, err := stack.Read(found, 0, unset)
	if err != nil {
		t.Fatal(err)
	}
	r, err := audit.Run(audit.Input{Environment: "production", Major: major, Conf: s.Conf, HBA: s.HBA, App: s.App, Compose: s.Compose})
	if err != nil {
		t.Fatal(err)
	}
	return r, s, major
}

// TestApply: patch and git take the patches, the audit then finds what the guide's own files have and nothing else, and the
// rollbacks give the bytes back.
func TestApply(t *testing.T) {
	good, _, _ := auditOf(t, "../../testdata/guide")
	for _, tool := range [][]string{{"patch", "-p1", "-s", "-i"}, {"git", "apply"}} {
		t.Run(tool[0], func(t *testing.T) {
			dir := broken(t)
			before, s, major := auditOf(t, dir)
			fixes, err := Make(Input{Result: before, Stack: s, Major: major, Config: []byte(read(t, filepath.Join(dir, "config.yaml"))), Env: []byte(read(t, filepath.Join(dir, ".env")))})
			if err != nil {
				t.Fatal(err)
			}
			was := map[string]string{}
			for name := range faults {
				was[name] = read(t, filepath.Join(dir, name))
			}
			apply(t, tool, dir, fixes, ".patch", ".rollback.patch")
			after, _, _ := auditOf(t, dir)
			if got, want := checks(after), checks(good); !slices.Equal(got, want) {
				t.Errorf("after the patches: %v\nthe good copy: %v", got, want)
			}
			if !strings.Contains(read(t, filepath.Join(dir, pg, "pg_hba.conf")), "scram-sha-256 # for now") || !strings.Contains(read(t, filepath.Join(dir, "config.yaml")), `"${RECYCLE:-300}"`) {
				t.Error("a comment or a variable was lost")
			}
			apply(t, tool, dir, fixes, ".rollback.patch", "")
			for name, text := range was {
				if read(t, filepath.Join(dir, name)) != text {
					t.Errorf("%s differs after the rollback", name)
				}
			}
		})
	}
}

func apply(t *testing.T, tool []string, dir string, fixes Fixes, suffix, not string) {
	t.Helper()
	n := 0
	for _, f := range fixes.Files {
		if !strings.HasSuffix(f.Name, suffix) || not != "" && strings.HasSuffix(f.Name, not) {
			continue
		}
		n++
		where := dir
		if strings.HasPrefix(f.Name, "p") {
			where = filepath.Join(dir, pg)
		}
		out := t.TempDir()
		if err := files.Write(out, []files.File{f}); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(tool[0], append(slices.Clone(tool[1:]), filepath.Join(out, f.Name))...)
		cmd.Dir = where
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s\n%s", f.Name, err, text, f.Data)
		}
	}
	if n != len(faults) {
		t.Fatalf("%d patches, want %d: %s", n, len(faults), files.Names(fixes.Files))
	}
}

func checks(r audit.Result) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.Check)
	}
	slices.Sort(out)
	return out
}

// Statements are written only where they can be run as they stand.
func TestStatements(t *testing.T) {
	r := audit.Result{Findings: []audit.Finding{
		{Check: "roles.owner-login", Object: "role o", Text: "o may log in", Fix: "ALTER ROLE o NOLOGIN;"},
		{Check: "roles.expired", Object: "role a", Text: "expired", Fix: "ALTER ROLE a PASSWORD '...' VALID UNTIL '...';"},
	}}
	fixes, err := Make(Input{Result: r, Stack: &stack.Stack{}, Major: 16})
	if err != nil || len(fixes.Files) != 1 || len(fixes.Left) != 1 {
		t.Fatalf("%v: %d files, %d left", err, len(fixes.Files), len(fixes.Left))
	}
	if got := string(fixes.Files[0].Data); !strings.Contains(got, "\nALTER ROLE o NOLOGIN;\n") || strings.Contains(got, "'...'") {
		t.Errorf("roles.sql:\n%s", got)
	}
}
