package export

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// long skips what takes a whole cluster to test, unless make test-long asks for it.
func long(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("PGFIT_LONG") == "" {
		t.Skip("under make test-long")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%v: run .ci/need patroni etcd-server python3-etcd", err)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// background runs a program until the end of the test; its output is shown when the test has failed.
func (r room) background(name string, args ...string) {
	r.t.Helper()
	log, err := os.Create(filepath.Join(r.dir, filepath.Base(name)+".log"))
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := r.command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(slices.Clone(os.Environ()), "HOME="+r.dir, "ETCD_UNSUPPORTED_ARCH=arm64")
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		log.Close()
		if text, _ := os.ReadFile(log.Name()); r.t.Failed() {
			r.t.Logf("%s:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
}

// until asks again until the answer is yes.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(2 * time.Minute); !yes(); {
		select {
		case <-deadline:
			t.Fatalf("%s: not after two minutes", what)
		case <-tick.C:
		}
	}
}

// TestLongPatroni hands the file to patronictl of a running Patroni: every value is in force after the reload or the
// restart that the steps ask for, and the rollback file puts the old ones back.
func TestLongPatroni(t *testing.T) {
	long(t, "patroni", "patronictl", "etcd")
	bins, _ := filepath.Glob("/usr/lib/postgresql/15/bin")
	if len(bins) == 0 {
		t.Skip("no PostgreSQL 15 found")
	}
	r := newRoom(t)
	etcd, peer, rest, port := freePort(t), freePort(t), freePort(t), freePort(t)
	r.background("etcd", "--data-dir", filepath.Join(r.dir, "etcd"), "--listen-client-urls", fmt.Sprintf("http://127.0.0.1:%d", etcd),
		"--advertise-client-urls", fmt.Sprintf("http://127.0.0.1:%d", etcd), "--listen-peer-urls", fmt.Sprintf("http://127.0.0.1:%d", peer),
		"--initial-advertise-peer-urls", fmt.Sprintf("http://127.0.0.1:%d", peer), "--initial-cluster", fmt.Sprintf("default=http://127.0.0.1:%d", peer))
	config := r.write("patroni.yml", fmt.Sprintf(`scope: demo
name: one
restapi: {listen: "127.0.0.1:%d", connect_address: "127.0.0.1:%d"}
etcd3: {host: "127.0.0.1:%d"}
bootstrap:
  dcs: {loop_wait: 2, ttl: 20, retry_timeout: 5, postgresql: {parameters: {work_mem: 8MB}}}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}, {auth: trust}]
postgresql:
  listen: "127.0.0.1:%d"
  connect_address: "127.0.0.1:%d"
  data_dir: %s/data
  bin_dir: %s
  pgpass: %s/pgpass
  authentication: {superuser: {username: postgres}, replication: {username: postgres}}
  parameters: {unix_socket_directories: %s, fsync: "off"}
`, rest, rest, etcd, port, port, r.dir, bins[0], r.dir, r.dir))
	until(t, "etcd answers", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", etcd))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	r.background("patroni", config)
	settings := func() map[string]string {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres", r.dir, port))
		if err != nil {
			return nil
		}
		defer conn.Close(ctx)
		out := map[string]string{}
		var name, value string
		rows, _ := conn.Query(ctx, "SELECT name, setting FROM pg_settings WHERE NOT pg_is_in_recovery()")
		if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error { out[name] = value; return nil }); err != nil || len(out) == 0 {
			return nil
		}
		return out
	}
	until(t, "Patroni has a leader", func() bool { return settings() != nil })

	o := options(t)
	o.Name = "demo"
	out := render(t, "patroni", changes(), o)
	for _, f := range out.Files {
		r.write(f.Name, f.Data)
	}
	steps := func(commands []string) {
		for _, c := range commands {
			c = strings.Replace(c, " restart demo", " restart --force demo", 1) // else it asks
			cmd := r.command("sh", "-c", c)
			cmd.Env = append(slices.Clone(os.Environ()), "PATRONICTL_CONFIG="+config, "HOME="+r.dir, "LC_ALL=C.UTF-8")
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", c, err, text)
			}
		}
	}
	inForce := func(want map[string]string) func() bool {
		return func() bool {
			now := settings()
			for name, value := range want {
				if now[name] != value {
					return false
				}
			}
			return true
		}
	}
	reloaded := map[string]string{"work_mem": "16384", "checkpoint_timeout": "900", "random_page_cost": "1.1", "jit": "off", "log_line_prefix": `%t it's "${x}" %{y} \ $1 `}
	restarted := map[string]string{"max_connections": "200", "shared_buffers": "262144", "shared_preload_libraries": "pg_stat_statements, auto_explain", "pg_stat_statements.max": "10000"}
	steps(out.Apply[:1])
	until(t, "the reloaded values are in force", inForce(reloaded))
	steps(out.Apply[1:])
	until(t, "the restarted values are in force", inForce(restarted))
	steps(out.Rollback)
	until(t, "the old values are back", inForce(map[string]string{"work_mem": "8192", "checkpoint_timeout": "300", "jit": "on", "max_connections": "100", "shared_buffers": "16384",
		"shared_preload_libraries": "", "log_line_prefix": "%m "}))
}
