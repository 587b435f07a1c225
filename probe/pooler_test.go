package probe_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/probe"
	"pgfit/probe/internal/pgtest"
)

// TestPooler: a pooler in transaction mode is noticed, and the server behind it is found all the same.
func TestPooler(t *testing.T) {
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin = "/usr/sbin/pgbouncer"; !executable(bin) {
			t.Skip("pgbouncer is not installed")
		}
	}
	s := pgtest.Start(t, pgtest.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	ini := filepath.Join(s.Socket, "pgbouncer.ini")
	text := fmt.Sprintf("[databases]\npostgres = host=%s port=%d user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n",
		s.Socket, s.Port, port)
	if err := os.WriteFile(ini, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{ini}
	if os.Geteuid() == 0 {
		args = []string{"-u", "postgres", ini}
	}
	cmd := exec.Command(bin, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
	conn := patiently(t, fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable default_query_exec_mode=exec", port))
	f, err := probe.Collect(context.Background(), conn, probe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := f.Server.Pooler.Get(); !ok || v != "pgbouncer" || !warned(f, "pooler") {
		t.Errorf("pooler %+v, warnings %+v", f.Server.Pooler, f.Warnings)
	}
	if same, ok := f.SameHost.Get(); !ok || !same || f.Server.DataDirectory.Value != s.Dir {
		t.Errorf("same host %+v, data directory %+v", f.SameHost, f.Server.DataDirectory)
	}
	direct, err := probe.Collect(context.Background(), s.Connect(t, "postgres"), probe.Options{})
	if err != nil || direct.Server.Pooler.State != probe.Absent {
		t.Errorf("without a pooler: %+v, %v", direct.Server.Pooler, err)
	}
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

// patiently connects to something that has just been started.
func patiently(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			t.Cleanup(func() { conn.Close(context.Background()) })
			return conn
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
