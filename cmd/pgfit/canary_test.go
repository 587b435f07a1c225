package main

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// way is one way to give the password.
type way struct {
	name string
	args []string
	env  []string
}

// ways are all ways to give a password for a server on this port.
func ways(t *testing.T, port int, password string) []way {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	with := fmt.Sprintf("postgresql://appuser:%s@127.0.0.1:%d/appdb?connect_timeout=3", url.QueryEscape(password), port)
	without := fmt.Sprintf("postgresql://appuser@127.0.0.1:%d/appdb?connect_timeout=3", port)
	secret := file("secret", password+"\n")
	pass := strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(password)
	return []way{
		{"URL", []string{with}, nil},
		{"keywords", []string{fmt.Sprintf("host=127.0.0.1 port=%d dbname=appdb user=appuser password='%s' connect_timeout=3", port, password)}, nil},
		{"DATABASE_URL", nil, []string{"DATABASE_URL=" + with}},
		{"PGPASSWORD", []string{without}, []string{"PGPASSWORD=" + password}},
		{"PGPASSFILE", []string{without}, []string{"PGPASSFILE=" + file("passfile", fmt.Sprintf("127.0.0.1:%d:*:appuser:%s\n", port, pass))}},
		{"config.yaml", []string{"--config", file("url.yaml", "database:\n  pool_size: 5\n  url: \""+with+"\"\n  max_overflow: 5\n")}, nil},
		{".env", []string{"--config", file("var.yaml", "database:\n  url: ${DATABASE_URL}\n  pool_size: 5\n"), "--env-file", file("a.env", "DATABASE_URL="+with+"\n")}, nil},
		{"password_env_var", []string{"--config", file("name.yaml", "database:\n  url: "+without+"\n  user: appuser\n  password_env_var: SECRET_PW\n")}, []string{"SECRET_PW=" + password}},
		{"password_env_var in .env", []string{"--config", file("name2.yaml", "database:\n  url: "+without+"\n  user: appuser\n  password_env_var: SECRET_PW\n"), "--env-file",
			file("b.env", "SECRET_PW='"+password+"'\n")}, nil},
		{"password_file_path", []string{"--config", file("path.yaml", "database:\n  url: "+without+"\n  user: appuser\n  password_file_path: "+secret+"\n")}, nil},
	}
}

// canary: a password given by each way is used, and is in no output, no file and no error of any command, whether it is
// right, wrong, or the server is not there.
func (g *guideStack) canary(t *testing.T) {
	for _, w := range ways(t, g.port, secretPassword) {
		t.Run(w.name, func(t *testing.T) {
			w.check(t, exitDone)
		})
	}
	for _, w := range ways(t, g.port, "wrong"+secretPassword) {
		t.Run(w.name+" wrong", func(t *testing.T) { w.check(t, exitUnreachable) })
	}
	for _, w := range ways(t, freePort(t), secretPassword) {
		t.Run(w.name+" refused", func(t *testing.T) { w.check(t, exitUnreachable) })
	}
}

// check runs commands; probe tells whether the password was used.
func (w way) check(t *testing.T, want int) {
	for _, kv := range w.env {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	out := t.TempDir()
	for _, cmd := range [][]string{{"probe", "--format", "json", "-v"}, {"config", "show", "--origin"}, {"config", "show", "--format", "json"},
		{"bench", "--dry-run", "-v", "--out", out}, {"audit", "--format", "json", "--fix", out}} {
		if cmd[0] == "audit" && len(w.args) == 0 {
			cmd = append(cmd, os.Getenv("DATABASE_URL"))
		}
		code, stdout, stderr := pgfit(append(cmd, w.args...)...)
		secretsIn(t, out, stdout, stderr)
		if cmd[0] == "probe" && code != want {
			t.Errorf("probe: exit %d, want %d\n%s", code, want, stderr)
		}
	}
}

// TestProcessTitle: a password among the arguments is soon gone from the list of processes.
func TestProcessTitle(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	quietEnvironment(t)
	bin := build(t)
	for i := range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0") // takes the connection and says nothing, so that pgfit waits
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		w := ways(t, l.Addr().(*net.TCPAddr).Port, secretPassword)[i]
		cmd := exec.Command(bin, append([]string{"probe"}, w.args...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept() // it is at work: whatever it does about its arguments is done
		if err != nil {
			t.Fatal(err)
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
		if err != nil || !bytes.Contains(line, []byte("appuser")) || !bytes.Contains(line, []byte("***")) {
			t.Errorf("%s: %v, the command line is %q", w.name, err, line)
		}
		secretsIn(t, "", string(line))
		conn.Close()
		l.Close()
		timer := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		if err := cmd.Wait(); err == nil {
			t.Error("it reached a server that is none")
		}
		timer.Stop()
	}
}

// TestAuditFixCanary: no password of the audited files gets into what --fix writes, and the patches are the owner's alone.
func TestAuditFixCanary(t *testing.T) {
	quietEnvironment(t)
	dir, out := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"config.yaml":     "database:\n  password: " + secretPassword + "\n  host: db\n  pool_size: ${DB_POOL_SIZE:-20}\n  max_overflow: 10\n",
		".env":            "DATABASE_URL=postgresql://app:" + url.QueryEscape(secretPassword) + "@db/app\nDB_POOL_SIZE=500\nOTHER=1\n",
		"pg_hba.conf":     "host a a 10.0.0.1/32 ldap ldapbindpasswd=" + secretPassword + "\nhost all all 127.0.0.1/32 trust\nlocal all all peer\n",
		"postgresql.conf": "primary_conninfo = 'host=h password=" + secretPassword + "'\nlog_lock_waits = off\nport = 5432\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := pgfit("audit", dir, "--fix", out)
	if code != exitDone {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	secretsIn(t, out, stdout, stderr)
	for _, name := range []string{"env.patch", "pg_hba.conf.patch", "postgresql.conf.patch"} {
		info, err := os.Stat(filepath.Join(out, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
