package auditfix

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgfit/probe"
)

// fixesOf writes files into a directory and audits them.
func fixesOf(t *testing.T, texts map[string]string, disk probe.Class) Fixes {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, s, major := auditOf(t, dir)
	fixes, err := Make(Input{Result: r, Stack: s, Major: major, Config: []byte(texts["config.yaml"]), Env: []byte(texts[".env"]), Disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	return fixes
}

func (x Fixes) text(name string) string {
	for _, f := range x.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func (x Fixes) why(check string) string {
	for _, f := range x.Left {
		if f.Check == check {
			return f.Why
		}
	}
	return "not left"
}

// What could keep a server from starting, or shut people out, is left out or said.
func TestConditions(t *testing.T) {
	conf := "ssl = off\nrandom_page_cost = 5\n"
	x := fixesOf(t, map[string]string{"postgresql.conf": conf}, "")
	if got := x.text("postgresql.conf.patch"); strings.Contains(got, "+ssl = on") || strings.Contains(got, "+random_page_cost") {
		t.Errorf("a certificate and a disk that nobody named:\n%s", got)
	}
	if !strings.Contains(x.why("conf.ssl"), "ssl_cert_file") || !strings.Contains(x.why("conf.random-page-cost"), "--disk") {
		t.Errorf("left: %+v", x.Left)
	}
	for disk, want := range map[probe.Class]string{probe.SSD: "+random_page_cost = 1.1\n", probe.HDD: "+random_page_cost = 4.0\n"} {
		x = fixesOf(t, map[string]string{"postgresql.conf": conf + "ssl_cert_file = '/c'\nssl_key_file = '/k'\n"}, disk)
		got := x.text("postgresql.conf.patch")
		if !strings.Contains(got, want) || !strings.Contains(got, "+ssl = on\n") || !strings.HasPrefix(got, "# Before you apply this:\n# - ssl = on: the server does not start unless /c and /k") {
			t.Errorf("%s:\n%s", disk, got)
		}
	}
	x = fixesOf(t, map[string]string{"pg_hba.conf": "local all all trust\nhost all all 10.0.0.0/8 md5\n"}, "")
	got := x.text("pg_hba.conf.patch")
	for _, want := range []string{"line 1: a role without a password cannot log in", "line 2: a role whose password is stored as md5 cannot log in", "+local all all scram-sha-256"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if len(x.Before) != 2 || !strings.HasPrefix(x.Before[0], "pg_hba.conf.patch, line 1") {
		t.Errorf("said: %q", x.Before)
	}
}

// A line that would never be reached is no fix.
func TestNeverReached(t *testing.T) {
	x := fixesOf(t, map[string]string{"pg_hba.conf": "local all all peer\nhost all all all scram-sha-256\n"}, "")
	for _, check := range []string{"hba.nossl-reject", "hba.final-reject"} {
		if !strings.Contains(x.why(check), "never be reached") {
			t.Errorf("%s: %s\n%s", check, x.why(check), x.text("pg_hba.conf.patch"))
		}
	}
}

// No patch shows a secret, not even as context, and each is for its owner alone.
func TestNoSecretInPatch(t *testing.T) {
	with := map[string]string{
		"config.yaml":     "database:\n  password: hunter2\n  x: 1\n  pool_size: ${DB_POOL_SIZE:-20}\n  max_overflow: 10\n",
		".env":            "DATABASE_URL=postgresql://app:hunter2@db/app\nDB_POOL_SIZE=500\nA=1\n",
		"pg_hba.conf":     "host a a 10.0.0.1/32 ldap ldapbindpasswd=hunter2\nhost all all 127.0.0.1/32 trust\nlocal all all peer\n",
		"postgresql.conf": "primary_conninfo = 'host=h password=hunter2'\nlog_lock_waits = off\nport = 5432\n",
	}
	x := fixesOf(t, with, "")
	for _, name := range []string{"env.patch", "pg_hba.conf.patch", "postgresql.conf.patch", "env.rollback.patch"} {
		if x.text(name) == "" {
			t.Errorf("no %s: %+v", name, x.Left)
		}
	}
	for _, f := range x.Files {
		if strings.Contains(string(f.Data), "hunter2") || !f.Private {
			t.Errorf("%s, private %v:\n%s", f.Name, f.Private, f.Data)
		}
	}
	beside := maps.Clone(with)
	beside[".env"] = "DB_POOL_SIZE=500\nDB_PASSWORD=hunter2\n" // nothing can follow the change
	beside["pg_hba.conf"] = "host all all 127.0.0.1/32 trust\nhost a a 10.0.0.1/32 ldap ldapbindpasswd=hunter2\nlocal all all peer\n"
	beside["postgresql.conf"] = "log_lock_waits = off\nprimary_conninfo = 'host=h password=hunter2'\nport = 5432\n"
	x = fixesOf(t, beside, "")
	for _, check := range []string{"app.range", "hba.trust", "conf.log-lock-waits"} {
		if !strings.Contains(x.why(check), "a secret") {
			t.Errorf("%s: %s", check, x.why(check))
		}
	}
	for _, f := range x.Files {
		if strings.Contains(string(f.Data), "hunter2") {
			t.Errorf("%s:\n%s", f.Name, f.Data)
		}
	}
}
