//go:build linux

package engine

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// bouncer starts PgBouncer before a server and returns the way through it.
func bouncer(t *testing.T, cfg *pgconn.Config, mode string) *pgconn.Config {
	t.Helper()
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			t.Skip("no pgbouncer found")
		}
	}
	dir, err := os.MkdirTemp("/tmp", "pgfit-bouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ini := fmt.Sprintf("[databases]\n* = host=%s port=%d\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = %s\nauth_type = trust\nauth_file = %s/users\n"+
		"pool_mode = %s\nlogfile = %s/log\npidfile = %s/pid\ndefault_pool_size = 4\n", cfg.Host, cfg.Port, dir, dir, mode, dir, dir)
	for name, text := range map[string]string{"users": fmt.Sprintf("%q \"\"\n", cfg.User), "ini": ini} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(bin, filepath.Join(dir, "ini"))
	if os.Getuid() == 0 { // which PgBouncer refuses to run as
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("root, and no user postgres to run PgBouncer as")
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	through := cfg.Copy()
	through.Host, through.Port = dir, 6432
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(20 * time.Millisecond) {
		pg, err := pgconn.ConnectConfig(context.Background(), through)
		if err == nil {
			closeNow(pg)
			return through
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("PgBouncer does not answer: %v\n%s", err, log)
		}
	}
}

// TestPooler: behind a transaction pooler that keeps no track of prepared statements the protocol is switched, that is
// said, and the load runs without an error; behind a session pooler nothing is switched.
func TestPooler(t *testing.T) {
	cfg := server(t, nil)
	for mode, want := range map[string]struct {
		protocol []Protocol
		notice   string
	}{
		"transaction": {[]Protocol{Extended, Prepared}, "by the transaction"}, // 1.21 and later may keep track
		"session":     {[]Protocol{Prepared}, "for each client"},
	} {
		t.Run(mode, func(t *testing.T) {
			through := bouncer(t, cfg, mode)
			drivers(t, func(t *testing.T, driver string) {
				e := open(t, Config{Connect: through, Driver: driver, Seed: 1, Scripts: []Weighted{{parse(t, "update", updateScript), 1}}}, 4)
				if !strings.Contains(strings.Join(e.Notices(), "\n"), want.notice) {
					t.Errorf("notices %q, want one with %q", e.Notices(), want.notice)
				}
				if p := e.Protocol(); p != want.protocol[0] && p != want.protocol[len(want.protocol)-1] {
					t.Errorf("protocol %s, want %s", p, want.protocol)
				}
				r, err := e.Run(context.Background(), Load{Pool: 4, Txns: 100})
				if err != nil || r.Failed > 0 || r.Transactions != 400 {
					t.Errorf("%d done, %d failed: %+v, %v", r.Transactions, r.Failed, r.Errors, err)
				}
			})
		})
	}
	e := open(t, Config{Connect: cfg, Scripts: []Weighted{{parse(t, "select", selectScript), 1}}}, 1)
	if len(e.Notices()) > 0 {
		t.Errorf("notices without a pooler: %q", e.Notices())
	}
}

// TestTLS: an encrypted connection is driven by the portable driver, which is said; who insists on the other one is told why
// it cannot be.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir)
	s := scratch(t, nil)
	for _, name := range []string{"server.crt", "server.key"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(s.DataDir(), name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		owner, err := os.Stat(s.DataDir())
		if err != nil {
			t.Fatal(err)
		}
		st := owner.Sys().(*syscall.Stat_t)
		if err := os.Chown(path, int(st.Uid), int(st.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	host := fmt.Sprintf("127.%d.%d.1", 64+os.Getpid()>>8&63, os.Getpid()&255) // of loopback; nobody else listens there
	if err := s.Restart(context.Background(), map[string]string{"ssl": "on", "listen_addresses": host}); err != nil {
		t.Fatal(err)
	}
	cfg := s.Config().Config.Copy()
	cfg.Host = host
	cfg.TLSConfig = &tls.Config{InsecureSkipVerify: true} // whom we talk to is not the question here
	scripts := []Weighted{{parse(t, "select", selectScript), 1}}
	e := open(t, Config{Connect: cfg, Scripts: scripts}, 2)
	if e.Driver() != DriverPortable || !strings.Contains(strings.Join(e.Notices(), ""), "uses TLS") {
		t.Errorf("driver %s, notices %q", e.Driver(), e.Notices())
	}
	r, err := e.Run(context.Background(), Load{Pool: 2, Txns: 50})
	if err != nil || r.Transactions != 100 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Open(context.Background(), Config{Connect: cfg, Driver: DriverEpoll, Scripts: scripts}); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("driver epoll over TLS: %v", err)
	}
}

func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"server.crt": {Type: "CERTIFICATE", Bytes: der}, "server.key": {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
