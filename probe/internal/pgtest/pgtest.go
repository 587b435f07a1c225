// Package pgtest starts a real PostgreSQL server for a test of the probe's packages: unix socket and loopback, a data
// directory of its own, stopped and removed with the test. It knows nothing of what is tested with it.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running server; superuser postgres comes in over the socket without a password.
type Server struct {
	Dir    string // data directory
	Socket string // directory of the socket
	Port   int
	Major  int
	cmd    *exec.Cmd
	done   chan error
	log    *bytes.Buffer
}

// Options of a server. Conf are lines of postgresql.conf, HBA is the whole of pg_hba.conf after a line that lets postgres
// in over the socket. Bin is the directory of the server's binaries, "" for the newest installed.
type Options struct {
	Conf []string
	HBA  string
	Bin  string
}

// File is put into the data directory before the server starts.
type File struct{ Name, Text string }

// Start runs initdb and the server, and skips the test where no server binaries are installed.
func Start(t testing.TB, o Options, files ...File) *Server {
	t.Helper()
	bin := o.Bin
	if bin == "" {
		bin = binaries(t)
	}
	root, err := os.MkdirTemp("/var/tmp", "pgfit-probe-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	s := &Server{Dir: filepath.Join(root, "data"), Socket: root, Port: freePort(t), log: &bytes.Buffer{}}
	s.own(t, root)
	out, err := s.command(t, filepath.Join(bin, "initdb"), "-D", s.Dir, "-U", "postgres", "-A", "trust", "--no-sync",
		"-E", "UTF8", "--locale=C.UTF-8").CombinedOutput()
	if err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.Major = major(t, s.Dir)
	conf := append([]string{"", "listen_addresses = '127.0.0.1,::1'", "fsync = off", "unix_socket_directories = '" + root + "'",
		"port = " + strconv.Itoa(s.Port), "shared_buffers = '16MB'", "logging_collector = off"}, o.Conf...)
	s.Append(t, "postgresql.conf", strings.Join(conf, "\n")+"\n")
	s.HBA(t, o.HBA)
	for _, f := range files {
		s.Write(t, f.Name, f.Text)
	}
	s.run(t, bin)
	return s
}

// HBA replaces pg_hba.conf; a running server has to be told with Reload.
func (s *Server) HBA(t testing.TB, text string) {
	t.Helper()
	s.Write(t, "pg_hba.conf", "local all postgres trust\n"+text)
}

// Write puts a file into the data directory, owned by the server's user, mode 0600.
func (s *Server) Write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.own(t, path)
	return path
}

// Append adds to a file of the data directory.
func (s *Server) Append(t testing.TB, name, text string) {
	t.Helper()
	old, err := os.ReadFile(filepath.Join(s.Dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	s.Write(t, name, string(old)+text)
}

// Connect opens a connection as postgres over the socket.
func (s *Server) Connect(t testing.TB, dbname string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), fmt.Sprintf("host='%s' port=%d user=postgres dbname='%s'", s.Socket, s.Port, dbname))
	if err != nil {
		t.Fatalf("connecting as postgres: %v\n%s", err, s.log)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// Exec runs statements as postgres, each on its own.
func (s *Server) Exec(t testing.TB, dbname string, statements ...string) {
	t.Helper()
	conn := s.Connect(t, dbname)
	defer conn.Close(context.Background())
	for _, sql := range statements {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// Reload makes the server read its files again. A session that starts after pg_reload_conf has returned can still be met
// by the postmaster's old rules, so it waits until the reload time has moved.
func (s *Server) Reload(t testing.TB) {
	t.Helper()
	conn := s.Connect(t, "postgres")
	defer conn.Close(context.Background())
	var before, now time.Time
	read := func(at *time.Time) {
		c := s.Connect(t, "postgres")
		defer c.Close(context.Background())
		if err := c.QueryRow(context.Background(), "SELECT pg_conf_load_time()").Scan(at); err != nil {
			t.Fatal(err)
		}
	}
	read(&before)
	if _, err := conn.Exec(context.Background(), "SELECT pg_reload_conf()"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if read(&now); now.After(before) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the server did not reload")
		}
	}
}

func (s *Server) run(t testing.TB, bin string) {
	t.Helper()
	s.cmd = s.command(t, filepath.Join(bin, "postgres"), "-D", s.Dir)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.done = make(chan error, 1)
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(s.stop)
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-s.done:
			s.done <- err
			t.Fatalf("the server ended: %v\n%s", err, s.log)
		case <-deadline:
			t.Fatal("the server did not start in 30 s")
		case <-tick.C:
			if s.ready() {
				return
			}
		}
	}
}

func (s *Server) ready() bool {
	conn, err := pgx.Connect(context.Background(), fmt.Sprintf("host='%s' port=%d user=postgres dbname=postgres", s.Socket, s.Port))
	if err != nil {
		return false
	}
	return conn.Close(context.Background()) == nil
}

func (s *Server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGINT) // fast shutdown
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		<-s.done
	}
}

// command runs as the user postgres when the test runs as root, which the server refuses.
func (s *Server) command(t testing.TB, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = s.Socket
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "PG") })
	if uid, gid, ok := serverUser(t); ok {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	}
	return cmd
}

func (s *Server) own(t testing.TB, path string) {
	if uid, gid, ok := serverUser(t); ok {
		if err := os.Chown(path, int(uid), int(gid)); err != nil {
			t.Fatal(err)
		}
	}
}

func serverUser(t testing.TB) (uid, gid uint32, ok bool) {
	if os.Geteuid() != 0 {
		return 0, 0, false
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Skip("running as root, and there is no user postgres for the server")
	}
	a, _ := strconv.ParseUint(u.Uid, 10, 32)
	b, _ := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(a), uint32(b), true
}

func binaries(t testing.TB) string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.Sort(dirs)
	for _, dir := range slices.Backward(dirs) {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir
		}
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	t.Skip("no PostgreSQL server binaries found")
	return ""
}

func major(t testing.TB, dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
