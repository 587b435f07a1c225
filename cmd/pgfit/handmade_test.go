package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/workload/cluster"
)

// handmade is a server as an administrator would have set it up: a commented postgresql.conf, a conf.d include, a value
// by ALTER SYSTEM, a table of somebody's. It is not one of pgfit's scratch servers.
type handmade struct {
	t    *testing.T
	bin  string
	dir  string // data directory
	sock string
	cred *syscall.Credential
	conn *pgx.Conn
}

// startable skips a test where no server can be started.
func startable(t *testing.T) {
	t.Helper()
	if _, err := cluster.Find(cluster.FindOptions{}); err != nil {
		t.Skip("no PostgreSQL server binaries: ", err)
	}
}

func startHandmade(t *testing.T) *handmade {
	t.Helper()
	bin, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Skip("no PostgreSQL server binaries: ", err)
	}
	base, err := os.MkdirTemp("/var/tmp", "pgfit-hand-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	h := &handmade{t: t, bin: bin.Dir, dir: filepath.Join(base, "data"), sock: base}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("root, and no user postgres to run a server as")
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		h.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(base, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	h.must("initdb", "-D", h.dir, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
	h.configure()
	h.start()
	t.Cleanup(h.stop)
	h.exec("ALTER SYSTEM SET max_wal_size = '1536MB'")
	h.exec("CREATE TABLE precious AS SELECT g AS id, md5(g::text) AS text FROM generate_series(1, 20000) g")
	h.stop()
	h.start()
	return h
}

// configure writes comments, an include_dir and a value in it.
func (h *handmade) configure() {
	path := filepath.Join(h.dir, "postgresql.conf")
	text, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("shared_buffers = 128MB"), []byte("shared_buffers = 64MB  # agreed with Jo, 2023"), 1)
	text = append(text, []byte("\n# house rules below\nwork_mem = 2MB  # small on purpose\ninclude_dir = 'conf.d'\n")...)
	conf := filepath.Join(h.dir, "conf.d")
	if err := os.Mkdir(conf, 0o700); err != nil {
		h.t.Fatal(err)
	}
	h.write(path, text)
	h.write(filepath.Join(conf, "10-planner.conf"), []byte("# planner\nrandom_page_cost = 4.0 # disks of 2009\neffective_cache_size = 128MB\n"))
	if h.cred != nil {
		if err := os.Chown(conf, int(h.cred.Uid), int(h.cred.Gid)); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *handmade) write(path string, data []byte) {
	h.t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		h.t.Fatal(err)
	}
	if h.cred != nil {
		if err := os.Chown(path, int(h.cred.Uid), int(h.cred.Gid)); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *handmade) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(h.bin, name), args...)
	cmd.Dir = "/"
	if h.cred != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: h.cred}
	}
	return cmd
}

func (h *handmade) must(name string, args ...string) {
	h.t.Helper()
	if out, err := h.command(name, args...).CombinedOutput(); err != nil {
		h.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (h *handmade) start() {
	h.t.Helper()
	h.must("pg_ctl", "-D", h.dir, "-w", "-t", "60", "-l", filepath.Join(h.dir, "log"), "-o", "-k "+h.sock+" -c listen_addresses=''", "start")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, h.url())
	if err != nil {
		h.t.Fatal(err)
	}
	h.conn = conn
}

func (h *handmade) stop() {
	if h.conn == nil {
		return
	}
	h.conn.Close(context.Background())
	h.conn = nil
	if out, err := h.command("pg_ctl", "-D", h.dir, "-w", "-m", "fast", "stop").CombinedOutput(); err != nil {
		h.t.Errorf("stopping: %v\n%s", err, out)
	}
}

func (h *handmade) url() string { return fmt.Sprintf("host=%s user=postgres dbname=postgres", h.sock) }

func (h *handmade) exec(sql string) {
	h.t.Helper()
	if _, err := h.conn.Exec(context.Background(), sql); err != nil {
		h.t.Fatalf("%s: %v", sql, err)
	}
}

func (h *handmade) text(sql string, args ...any) string {
	h.t.Helper()
	var s *string
	if err := h.conn.QueryRow(context.Background(), sql, args...).Scan(&s); err != nil {
		h.t.Fatalf("%s: %v", sql, err)
	}
	if s == nil {
		return ""
	}
	return *s
}

// checksum is what the precious table must keep.
func (h *handmade) checksum() string {
	return h.text("SELECT md5(string_agg(id || text, ',' ORDER BY id)) FROM precious")
}

// leftovers counts what pgfit must not leave behind. A backend whose client is gone needs a moment to notice: sessions are
// counted until there are none, for ten seconds at the most.
func (h *handmade) leftovers() string {
	h.t.Helper()
	deadline := time.After(10 * time.Second)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		sessions := h.text("SELECT count(*)::text FROM pg_stat_activity WHERE application_name LIKE 'pgfit%'")
		late := false
		select {
		case <-deadline:
			late = true
		case <-again.C:
		}
		if sessions == "0" || late {
			return h.text("SELECT count(*)::text FROM pg_namespace WHERE nspname LIKE 'pgfit%'") + " schemas, " + sessions + " sessions"
		}
	}
}

// confFiles reads every configuration file, for a comparison byte by byte.
func (h *handmade) confFiles() map[string]string {
	all := map[string]string{}
	for _, pattern := range []string{"postgresql.conf", "postgresql.auto.conf", "conf.d/*.conf"} {
		paths, _ := filepath.Glob(filepath.Join(h.dir, pattern))
		for _, p := range paths {
			data, err := os.ReadFile(p)
			if err != nil {
				h.t.Fatal(err)
			}
			all[strings.TrimPrefix(p, h.dir+"/")] = string(data)
		}
	}
	return all
}
