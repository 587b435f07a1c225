package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/probe/pooler"
	"pgfit/report"
	"pgfit/workload/rundoc"
)

// bouncer starts PgBouncer before a server and returns the URL through it. admin is who may ask its console.
func bouncer(t *testing.T, h *handmade, mode, admin string) string {
	t.Helper()
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			t.Skip("no pgbouncer found")
		}
	}
	dir, err := os.MkdirTemp(h.sock, "b")
	if err != nil {
		t.Fatal(err)
	}
	if h.cred != nil {
		if err := os.Chown(dir, int(h.cred.Uid), int(h.cred.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	h.write(filepath.Join(dir, "users.txt"), []byte("\"postgres\" \"\"\n\"other\" \"\"\n"))
	ini := fmt.Sprintf("[databases]\n* = host=%s\npostgres = host=%s pool_size=6\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = %s\nauth_type = trust\nauth_file = %s/users.txt\n"+
		"admin_users = %s\npool_mode = %s\nlogfile = %s/log\npidfile = %s/pid\nignore_startup_parameters = extra_float_digits,options\nquery_wait_timeout = 20\n",
		h.sock, h.sock, dir, dir, admin, mode, dir, dir)
	h.write(filepath.Join(dir, "b.ini"), []byte(ini))
	cmd := exec.Command(bin, "-q", filepath.Join(dir, "b.ini"))
	cmd.Dir = "/"
	if h.cred != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: h.cred}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	url := fmt.Sprintf("host=%s port=6432 user=postgres dbname=postgres", dir)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(10 * time.Second); ; {
		if conn, err := pgx.Connect(context.Background(), url); err == nil {
			conn.Close(context.Background())
			return url
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("pgbouncer ended: %v", err)
		case <-deadline:
			t.Fatal("pgbouncer does not answer")
		case <-tick.C:
		}
	}
}

// TestPgBouncer: it is noticed, its limits are read where its console answers, a session pool is measured within them and
// said to be, and a pool that shares connections is refused for load and harmless for the rest.
func TestPgBouncer(t *testing.T) {
	quietEnvironment(t)
	h := startHandmade(t)
	h.exec("CREATE ROLE other LOGIN")
	for _, tc := range []struct {
		mode, admin string
		shared      bool
		limit       int
	}{{"session", "postgres", false, 6}, {"transaction", "postgres", true, 6}, {"session", "other", false, 0}, {"transaction", "other", true, 0}} {
		t.Run(tc.mode+" "+tc.admin, func(t *testing.T) {
			url := bouncer(t, h, tc.mode, tc.admin)
			cfg, err := pgx.ParseConfig(url)
			if err != nil {
				t.Fatal(err)
			}
			p, err := pooler.Detect(t.Context(), cfg)
			if err != nil || p == nil || p.Shared != tc.shared || p.Limit() != tc.limit || p.Console != (tc.limit > 0) || p.Console && p.Mode != tc.mode {
				t.Fatalf("Detect = %+v, %v", p, err)
			}
			code, stdout, stderr := pgfit("probe", url)
			if code != exitDone || !strings.Contains(stderr, "is in between") {
				t.Errorf("probe: exit %d\n%s%s", code, stdout, stderr)
			}
			bench := []string{"bench", url, "--yes", "--budget", "15s", "--rounds", "1", "--measure", "500ms", "--pool-sizes", "1,3", "--data-size", "16MB", "--scenario", "read-only", "--format", "json"}
			if tc.shared {
				if code, _, stderr = pgfit(bench...); code != exitUsage || !strings.Contains(stderr, "hint: to measure through it, its queue included: --admin-url") {
					t.Errorf("load through a shared pool: exit %d\n%s", code, stderr)
				}
				throughShared(t, h, strings.Replace(url, "user=postgres", "user=other", 1), bench, tc.admin == "other")
				own := filepath.Join(t.TempDir(), "own.sql")
				if err := os.WriteFile(own, []byte("SELECT count(*) FROM precious WHERE id < 100;\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				script := []string{"bench", url, "--yes", "--budget", "15s", "--rounds", "1", "--measure", "500ms", "--pool-sizes", "1,2", "-f", own, "--format", "json"}
				if code, stdout, stderr = pgfit(script...); code != exitDone || !strings.Contains(stdout, "protocol extended instead of prepared") {
					t.Errorf("a script through a shared pool: exit %d\n%s", code, stderr)
				}
			} else if tc.limit > 0 {
				if code, stdout, stderr = pgfit(bench...); code != exitDone || !strings.Contains(stdout, "at most 6 connections to the server for this database and role; pool sizes beyond 3 cannot be measured") {
					t.Errorf("load through a session pool: exit %d\n%s", code, stderr)
				}
				bench[10] = "1,4"
				if code, _, stderr = pgfit(bench...); code != exitUsage || !strings.Contains(stderr, "3 connections free") {
					t.Errorf("a pool size beyond PgBouncer's: exit %d\n%s", code, stderr)
				}
			}
		})
	}
	cfg, err := pgx.ParseConfig(h.url())
	if err != nil {
		t.Fatal(err)
	}
	if p, err := pooler.Detect(t.Context(), cfg); p != nil || err != nil {
		t.Errorf("Detect without a pooler = %+v, %v", p, err)
	}
	for role, want := range map[string]string{"postgres": "another server", "nobody": "as nobody"} {
		if _, err := (&server{}).past(t.Context(), cfg, role, "12345"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("past the pooler as %s to another server: %v, want %q", role, err, want)
		}
	}
	if got := h.leftovers(); !strings.HasPrefix(got, "0 schemas") {
		t.Errorf("left behind: %s", got)
	}
}

// throughShared: with an administrator's own connection to the server a built-in scenario is measured through the pool that
// shares connections, also with more callers than it has, and it is said what that means. The role may make no schema.
func throughShared(t *testing.T, h *handmade, url string, bench []string, console bool) {
	t.Helper()
	bench = slices.Clone(bench)
	bench[1], bench[10] = url, "1,8"
	want := "its queue is in the figures; its limits are not known"
	if console {
		want = "transaction mode: its queue is in the figures; its pool bounds what the server sees at 6 connections"
	}
	code, stdout, stderr := pgfit(append(bench, "--admin-url", h.url())...)
	doc, err := rundoc.Read(strings.NewReader(stdout))
	if code != exitDone || err != nil || !strings.Contains(stdout, want) || doc.Plan.Protocol != "extended" {
		t.Fatalf("through a shared pool with --admin-url: exit %d, %v, want %q\n%s", code, err, want, stderr)
	}
	var page strings.Builder
	if err := report.Bench(&page, doc, true); err != nil || !strings.Contains(page.String(), want) {
		t.Errorf("the report does not say what was measured: %v\n%s", err, page.String())
	}
	for _, v := range doc.Visits {
		if v.Transactions == 0 || len(v.Errors) > 0 {
			t.Errorf("%d connections: %d transactions, errors %v", v.PoolSize, v.Transactions, v.Errors)
		}
	}
	if code, _, stderr := pgfit(append(bench, "--admin-url", url)...); code != exitUsage || !strings.Contains(stderr, "--admin-url goes through a pooler") {
		t.Errorf("--admin-url through the same pooler: exit %d\n%s", code, stderr)
	}
	if code, _, stderr := pgfit("bench", url, "--yes", "--budget", "15s", "-b", "select-only", "-s", "1", "--admin-url", h.url()); code != exitUsage || !strings.Contains(stderr, "search_path") {
		t.Errorf("pgbench's own script through a shared pool: exit %d\n%s", code, stderr)
	}
}
