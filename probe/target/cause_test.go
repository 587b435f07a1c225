package target

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"pgfit/probe/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fail connects to the target and returns the cause of the failure; a test of the causes wants one.
func fail(t *testing.T, arg string) (Cause, Target) {
	t.Helper()
	got, err := Resolve(Input{Arg: arg, LookupEnv: env()})
	if err != nil {
		t.Fatalf("Resolve: %v", err)
	}
	conn, err := pgx.ConnectConfig(context.Background(), got.Config)
	if err == nil {
		conn.Close(context.Background())
		t.Fatalf("%s: connected, want a failure", got.Redacted)
	}
	c := Explain(err, got)
	noCanary(t, c.Text, c.Hint)
	if lines := strings.Count(c.Hint, "\n") + 1; lines > 3 {
		t.Errorf("%s: %d hints, want at most 3", c.Code, lines)
	}
	if !strings.Contains(c.Text, got.Redacted) {
		t.Errorf("the text %q does not name the target", c.Text)
	}
	return c, got
}

func wantCode(t *testing.T, c Cause, code string) {
	t.Helper()
	if c.Code != code {
		t.Errorf("code %q, want %q: %s", c.Code, code, c.Text)
	}
}

func TestExplainRealServer(t *testing.T) {
	quiet(t)
	ca := pgtest.NewAuthority(t, "ca")
	cert, key := ca.Issue(t, "localhost", time.Hour)
	s := pgtest.Start(t, pgtest.Options{
		Conf: []string{"ssl = on", "password_encryption = 'scram-sha-256'", "max_connections = 8", "superuser_reserved_connections = 1",
			"max_wal_senders = 0", "wal_level = 'minimal'"},
		HBA: "local all peered peer\nhostssl tlsdb all 127.0.0.1/32 scram-sha-256\nhostnossl tlsdb all all reject\nhost denied all all reject\n" +
			"host trusted all all trust\nhost all app 127.0.0.1/32 scram-sha-256\n",
	}, pgtest.File{Name: "server.crt", Text: cert}, pgtest.File{Name: "server.key", Text: key})
	s.Exec(t, "postgres", "CREATE ROLE app LOGIN PASSWORD '"+canary+"'", "CREATE ROLE owner NOLOGIN", "CREATE ROLE peered LOGIN",
		"CREATE DATABASE app", "CREATE DATABASE tlsdb", "CREATE DATABASE denied", "CREATE DATABASE trusted", "CREATE DATABASE closed",
		"ALTER DATABASE closed ALLOW_CONNECTIONS false", "CREATE DATABASE private", "REVOKE CONNECT ON DATABASE private FROM PUBLIC")
	url := func(user, password, db, params string) string {
		return fmt.Sprintf("postgresql://%s:%s@127.0.0.1:%d/%s?%s", user, escapeAll(password), s.Port, db, params)
	}
	tests := []struct{ name, arg, code string }{
		{"wrong password", url("app", canary+"x", "app", ""), "wrong-password"},
		{"no password", url("app", "", "app", ""), "no-password"},
		{"no such database", url("app", canary, "nowhere", ""), "no-such-database"},
		{"closed database", url("app", canary, "closed", ""), "database-closed"},
		{"no connect privilege", url("app", canary, "private", ""), "no-permission"},
		{"no such role", url("ghost", canary, "trusted", ""), "no-such-role"},
		{"role without login", url("owner", canary, "trusted", ""), "no-such-role"},
		{"no entry", url("stranger", canary, "app", ""), "no-hba-entry"},
		{"reject entry", url("app", canary, "denied", "sslmode=require"), "no-hba-entry"},
		{"tls required", url("app", canary, "tlsdb", "sslmode=disable"), "tls-required"},
		{"peer", fmt.Sprintf("host=%s port=%d user=peered dbname=app password=%s", s.Socket, s.Port, canary), "peer-failed"},
		{"unknown option", url("app", canary, "app", "options=-c%20no_such%3D1"), "bad-setting"},
		{"unknown ca, verify-ca", url("app", canary, "app", "sslmode=verify-ca&sslrootcert="+pgtest.NewAuthority(t, "other").File), "cert-unknown-ca"},
		{"wrong host", url("app", canary, "app", "sslmode=verify-full&sslrootcert="+ca.File), "cert-wrong-host"},
		{"primary where a standby is asked", url("app", canary, "app", "target_session_attrs=standby"), "not-a-standby"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := fail(t, tt.arg)
			wantCode(t, c, tt.code)
		})
	}
	t.Run("read-only", func(t *testing.T) {
		s.Exec(t, "postgres", "ALTER ROLE app SET default_transaction_read_only = on")
		c, _ := fail(t, url("app", canary, "app", "target_session_attrs=read-write"))
		wantCode(t, c, "read-only-standby")
		got, _ := Resolve(Input{Arg: url("app", canary, "app", ""), LookupEnv: env()})
		conn := must(pgx.ConnectConfig(context.Background(), got.Config))(t)
		defer conn.Close(context.Background())
		_, err := conn.Exec(context.Background(), "CREATE TABLE t ()")
		wantCode(t, Explain(err, got), "read-only-standby")
	})
	t.Run("too many connections", func(t *testing.T) {
		got := must(Resolve(Input{Arg: url("app", canary, "app", ""), LookupEnv: env()}))(t)
		for range 7 {
			conn := must(pgx.ConnectConfig(context.Background(), got.Config))(t)
			defer conn.Close(context.Background())
		}
		c, _ := fail(t, url("app", canary, "app", ""))
		wantCode(t, c, "too-many-connections")
	})
	t.Run("tls not offered and expired", func(t *testing.T) {
		cert, key := ca.Issue(t, "127.0.0.1", -time.Hour)
		s.Write(t, "server.crt", cert)
		s.Write(t, "server.key", key)
		s.Reload(t)
		c, _ := fail(t, url("app", canary, "app", "sslmode=verify-full&sslrootcert="+ca.File))
		wantCode(t, c, "cert-expired")
		s.Exec(t, "postgres", "ALTER SYSTEM SET ssl = off")
		s.Reload(t)
		c, _ = fail(t, url("app", canary, "app", "sslmode=require"))
		wantCode(t, c, "tls-not-offered")
	})
}

// TestTroubleshooting: each row of the house guide's troubleshooting that comes up before a query runs, by the words that the
// guide has for it. The pool's time-out comes up inside the application; package poolwatch tells of it.
func TestTroubleshooting(t *testing.T) {
	quiet(t)
	ca := pgtest.NewAuthority(t, "ca")
	cert, key := ca.Issue(t, "127.0.0.1", time.Hour)
	s := pgtest.Start(t, pgtest.Options{Conf: []string{"ssl = on", "password_encryption = 'scram-sha-256'"}, HBA: "hostssl all all all scram-sha-256\n"},
		pgtest.File{Name: "server.crt", Text: cert}, pgtest.File{Name: "server.key", Text: key})
	s.Exec(t, "postgres", "CREATE ROLE appuser LOGIN PASSWORD '"+canary+"'")
	url := func(password, host string, port int, params string) string {
		return fmt.Sprintf("postgresql://appuser:%s@%s:%d/postgres?%s", password, host, port, params)
	}
	for _, tt := range []struct{ row, arg, code, hint string }{
		{"Could not connect to database, Connection refused", url(canaryURL, "127.0.0.1", closedPort(t), ""), "refused", "pg_isready -h 127.0.0.1"},
		{"Could not translate host name", url(canaryURL, "no-such-host.invalid", s.Port, ""), "unknown-host", "resolver"},
		{"SSL connection required", url(canaryURL, "127.0.0.1", s.Port, "sslmode=disable"), "tls-required", "sslmode=require"},
		{"Password authentication failed", url("x"+canaryURL, "127.0.0.1", s.Port, ""), "wrong-password", "ALTER ROLE appuser PASSWORD"},
	} {
		t.Run(tt.row, func(t *testing.T) {
			c, _ := fail(t, tt.arg)
			if wantCode(t, c, tt.code); !strings.Contains(c.Hint, tt.hint) {
				t.Errorf("hint %q, want %q in it", c.Hint, tt.hint)
			}
		})
	}
	for _, tt := range []struct{ row, arg, config, hint string }{
		{"No such driver", "postgresql+psycopg9://appuser@db/appdb", "", "uv add psycopg2-binary"},
		{"Invalid connection string", "postgresql:/appuser@db/appdb", "", "postgresql://[user[:password]@][host]"},
		{"Environment variable not set", "", "database:\n  url: \"${DATABASE_URL:?}\"\n", "env | grep -i -e database"},
	} {
		t.Run(tt.row, func(t *testing.T) {
			in := Input{Arg: tt.arg, LookupEnv: env()}
			if tt.config != "" {
				in = app(t, tt.config, "")
			}
			_, err := Resolve(in)
			var usage *UsageError
			if !errors.As(err, &usage) || !strings.Contains(usage.Hint(), tt.hint) {
				t.Fatalf("Resolve = %v, want a hint with %q", err, tt.hint)
			}
		})
	}
}

// TestExplainShutdown: a server that waits for its last session refuses new ones, as one that starts does.
func TestExplainShutdown(t *testing.T) {
	quiet(t)
	s := pgtest.Start(t, pgtest.Options{HBA: "host all all 127.0.0.1/32 trust\n"})
	s.Connect(t, "postgres") // a smart shutdown waits for it
	pid := strings.Fields(string(must(os.ReadFile(filepath.Join(s.Dir, "postmaster.pid")))(t)))[0]
	if err := syscall.Kill(must(strconv.Atoi(pid))(t), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	arg := fmt.Sprintf("postgresql://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.Port)
	for deadline := time.Now().Add(10 * time.Second); ; { // until the signal has arrived
		got := must(Resolve(Input{Arg: arg, LookupEnv: env()}))(t)
		conn, err := pgx.ConnectConfig(context.Background(), got.Config)
		if err != nil {
			wantCode(t, Explain(err, got), "starting-up")
			return
		}
		conn.Close(context.Background())
		if time.Now().After(deadline) {
			t.Fatal("the server still takes connections")
		}
	}
}

// TestExplainClientCertificate: a client certificate of an authority that the server does not know, and none at all.
func TestExplainClientCertificate(t *testing.T) {
	quiet(t)
	ca, other := pgtest.NewAuthority(t, "ca"), pgtest.NewAuthority(t, "other")
	cert, key := ca.Issue(t, "127.0.0.1", time.Hour)
	authority := string(must(os.ReadFile(ca.File))(t))
	s := pgtest.Start(t, pgtest.Options{Conf: []string{"ssl = on", "ssl_ca_file = 'ca.crt'"}, HBA: "hostssl all all all cert\n"},
		pgtest.File{Name: "server.crt", Text: cert}, pgtest.File{Name: "server.key", Text: key}, pgtest.File{Name: "ca.crt", Text: authority})
	s.Exec(t, "postgres", "CREATE ROLE app LOGIN")
	client := func(a *pgtest.Authority, user string) string {
		cert, key := a.Issue(t, user, time.Hour)
		dir := t.TempDir()
		write(t, filepath.Join(dir, "c.crt"), cert)
		write(t, filepath.Join(dir, "c.key"), key)
		return fmt.Sprintf("&sslcert=%s&sslkey=%s", filepath.Join(dir, "c.crt"), filepath.Join(dir, "c.key"))
	}
	url := fmt.Sprintf("postgresql://app@127.0.0.1:%d/postgres?sslmode=require", s.Port)
	c, _ := fail(t, url+client(other, "app"))
	wantCode(t, c, "client-cert")
	c, _ = fail(t, url)
	wantCode(t, c, "client-cert")
	got := must(Resolve(Input{Arg: url + client(ca, "app"), LookupEnv: env()}))(t)
	conn, err := pgx.ConnectConfig(context.Background(), got.Config)
	if err != nil {
		t.Fatalf("with the right certificate: %v", err)
	}
	conn.Close(context.Background())
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestExplainTLSModes(t *testing.T) {
	quiet(t)
	ca, other := pgtest.NewAuthority(t, "ca"), pgtest.NewAuthority(t, "other")
	cert, key := ca.Issue(t, "127.0.0.1", time.Hour)
	s := pgtest.Start(t, pgtest.Options{Conf: []string{"ssl = on"}, HBA: "hostssl all all all scram-sha-256\n"},
		pgtest.File{Name: "server.crt", Text: cert}, pgtest.File{Name: "server.key", Text: key})
	s.Exec(t, "postgres", "CREATE ROLE app LOGIN PASSWORD '"+canary+"'")
	certs := []struct {
		name    string
		by      *pgtest.Authority
		host    string
		valid   time.Duration
		verify  string // code of verify-full
		verifyC string // code of verify-ca, which does not look at the name
	}{
		{"right", ca, "127.0.0.1", time.Hour, "", ""},
		{"wrong host", ca, "db.example", time.Hour, "cert-wrong-host", ""},
		{"expired", ca, "127.0.0.1", -time.Minute, "cert-expired", "cert-expired"},
		{"unknown authority", other, "127.0.0.1", time.Hour, "cert-unknown-ca", "cert-unknown-ca"},
	}
	for _, tt := range certs {
		cert, key := tt.by.Issue(t, tt.host, tt.valid)
		s.Write(t, "server.crt", cert)
		s.Write(t, "server.key", key)
		s.Reload(t)
		modes := map[string]string{"disable": "tls-required", "allow": "", "prefer": "", "require": "", "verify-ca": tt.verifyC, "verify-full": tt.verify}
		for mode, want := range modes {
			t.Run(tt.name+" "+mode, func(t *testing.T) {
				arg := fmt.Sprintf("postgresql://app:%s@127.0.0.1:%d/postgres?sslmode=%s", canaryURL, s.Port, mode)
				if strings.HasPrefix(mode, "verify") {
					arg += "&sslrootcert=" + ca.File
				}
				if want != "" {
					c, _ := fail(t, arg)
					wantCode(t, c, want)
					return
				}
				got := must(Resolve(Input{Arg: arg, LookupEnv: env()}))(t)
				conn, err := pgx.ConnectConfig(context.Background(), got.Config)
				if err != nil {
					t.Fatalf("connecting: %v", err)
				}
				conn.Close(context.Background())
			})
		}
	}
}

func TestExplainNetwork(t *testing.T) {
	quiet(t)
	port := closedPort(t)
	dir := t.TempDir()
	tests := []struct{ name, arg, code string }{
		{"refused", fmt.Sprintf("postgresql://app:%s@127.0.0.1:%d/app", canaryURL, port), "refused"},
		{"unknown host", "postgresql://app:" + canaryURL + "@no-such-host.invalid/app", "unknown-host"},
		{"no socket", "host=" + dir + " user=app password=" + canary, "no-socket"},
		{"timeout", fmt.Sprintf("postgresql://app:%s@%s/app?connect_timeout=1", canaryURL, answer(t, nil)), "timeout"},
		{"web server", fmt.Sprintf("postgresql://app:%s@%s/app", canaryURL, answer(t, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"))), "wrong-protocol"},
		{"ssh", fmt.Sprintf("postgresql://app:%s@%s/app?sslmode=require", canaryURL, answer(t, []byte("SSH-2.0-OpenSSH_9.2\r\n"))), "wrong-protocol"},
		{"another database", fmt.Sprintf("postgresql://app:%s@%s/app?sslmode=disable", canaryURL, answer(t, []byte("J\x00\x00\x00\x0a8.0.36"))), "wrong-protocol"},
		{"closed at once", fmt.Sprintf("postgresql://app:%s@%s/app?sslmode=disable", canaryURL, answer(t, []byte{})), "connection-closed"},
		{"starting up", fmt.Sprintf("postgresql://app:%s@%s/app?sslmode=disable", canaryURL, answer(t, serverSays("57P03"))), "starting-up"},
		{"pooler", fmt.Sprintf("postgresql://app:%s@%s/app?sslmode=disable", canaryURL, answer(t, serverSays("08P01"))), "pooler"},
		{"unheard of", fmt.Sprintf("postgresql://app:%s@%s/app?sslmode=disable", canaryURL, answer(t, serverSays("XX001"))), "other"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := fail(t, tt.arg)
			wantCode(t, c, tt.code)
		})
	}
	t.Run("stale socket", func(t *testing.T) {
		l := must(net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")))(t)
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close()
		c, _ := fail(t, "host="+dir+" user=app")
		wantCode(t, c, "refused")
		os.Remove(filepath.Join(dir, ".s.PGSQL.5432"))
	})
}

// serverSays is an ErrorResponse with a SQLSTATE.
func serverSays(code string) []byte {
	body := "SFATAL\x00VFATAL\x00C" + code + "\x00Mno\x00\x00"
	n := len(body) + 4
	return append([]byte{'E', byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// answer listens on loopback and answers each connection with fixed bytes after the first ones it gets; with nil it
// accepts and says nothing.
func answer(t *testing.T, reply []byte) string {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if reply == nil {
				<-stop
			} else {
				_, _ = bufio.NewReader(conn).ReadByte()
				_, _ = conn.Write(reply)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { close(stop); l.Close(); <-done })
	return l.Addr().String()
}

func closedPort(t *testing.T) int {
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
