package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/advisor"
	"pgfit/probe/target"
	"pgfit/workload/cluster"
)

// guideStack is the house guide's stack on this machine: its postgresql.conf and pg_hba.conf in force on a server with TLS,
// SCRAM and the three roles, its config.yaml and .env beside it.
type guideStack struct {
	*handmade
	app    string // directory of config.yaml and .env
	port   int
	ca     string
	secret string // file with the application's password
}

// secretPassword is the application's; it must never be seen anywhere.
const secretPassword = "CaNaRy/9f3:@x"

func startGuide(t *testing.T) *guideStack {
	t.Helper()
	quietEnvironment(t)
	bin, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Skip("no PostgreSQL server binaries: ", err)
	}
	base, err := os.MkdirTemp("/var/tmp", "pgfit-guide-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	g := &guideStack{handmade: &handmade{t: t, bin: bin.Dir, dir: filepath.Join(base, "data"), sock: base}, app: filepath.Join(base, "app"), port: freePort(t)}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("root, and no user postgres to run a server as")
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		g.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(base, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	g.must("initdb", "-D", g.dir, "-U", "postgres", "-A", "trust", "--auth-host=scram-sha-256", "--data-checksums", "-E", "UTF8", "--locale=C.UTF-8")
	g.roles()
	g.server()
	g.files()
	return g
}

// quietEnvironment takes away what would name another target.
func quietEnvironment(t *testing.T) {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "APP_") || strings.HasPrefix(name, "POSTGRES_") || strings.HasPrefix(name, "DATABASE_") || strings.HasPrefix(name, "TEMPORAL_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// roles runs the guide's init script, as its container does before the hardened files are in force.
func (g *guideStack) roles() {
	g.start()
	for _, sql := range []string{
		"CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss-pw'", "CREATE ROLE appowner NOLOGIN", "CREATE ROLE appuser LOGIN PASSWORD '" + secretPassword + "'",
		"CREATE ROLE backupuser LOGIN PASSWORD 'b'", "CREATE DATABASE appdb OWNER appowner", "GRANT pg_monitor TO appuser",
	} {
		g.exec(sql)
	}
	g.stop()
	g.must("pg_ctl", "-D", g.dir, "-w", "-l", filepath.Join(g.dir, "log"), "-o", "-k "+g.sock+" -c listen_addresses=''", "start")
	conn, err := pgx.Connect(g.t.Context(), fmt.Sprintf("host=%s user=postgres dbname=appdb", g.sock))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, sql := range []string{"CREATE SCHEMA app AUTHORIZATION appowner", "GRANT USAGE ON SCHEMA app TO appuser",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO appuser", "GRANT SELECT ON ALL TABLES IN SCHEMA app TO backupuser"} {
		if _, err := conn.Exec(g.t.Context(), sql); err != nil {
			g.t.Fatal(err)
		}
	}
	conn.Close(g.t.Context())
	g.must("pg_ctl", "-D", g.dir, "-w", "-m", "fast", "stop")
}

// server puts the guide's files in force, with this machine's address, port and paths.
func (g *guideStack) server() {
	guide := filepath.Join("..", "..", "testdata", "guide", "infra", "docker", "prod", "postgres")
	conf, err := os.ReadFile(filepath.Join(guide, "postgresql.conf"))
	if err != nil {
		g.t.Fatal(err)
	}
	hba, err := os.ReadFile(filepath.Join(guide, "pg_hba.conf"))
	if err != nil {
		g.t.Fatal(err)
	}
	cert, key := g.certificate()
	text := strings.NewReplacer("'*'", "'127.0.0.1'", "port = 5432", fmt.Sprintf("port = %d", g.port), "/etc/postgresql/ssl/server.crt", cert,
		"/etc/postgresql/ssl/server.key", key).Replace(string(conf)) + "unix_socket_directories = '" + g.sock + "'\n"
	g.write(filepath.Join(g.dir, "postgresql.conf"), []byte(text))
	g.write(filepath.Join(g.dir, "pg_hba.conf"), hba)
	g.up()
	g.t.Cleanup(g.down)
}

func (g *guideStack) up() {
	g.t.Helper()
	g.must("pg_ctl", "-D", g.dir, "-w", "-t", "60", "-l", filepath.Join(g.dir, "log"), "start")
}

func (g *guideStack) down() {
	if out, err := g.command("pg_ctl", "-D", g.dir, "-w", "-m", "fast", "stop").CombinedOutput(); err != nil {
		g.t.Errorf("stopping: %v\n%s", err, out)
	}
}

// certificate makes an authority and the server's certificate for 127.0.0.1.
func (g *guideStack) certificate() (cert, key string) {
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	server := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "postgres"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	make := func(tmpl, parent *x509.Certificate, by *ecdsa.PrivateKey) (der []byte, own *ecdsa.PrivateKey) {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			g.t.Fatal(err)
		}
		if by == nil {
			by = own
		}
		if der, err = x509.CreateCertificate(rand.Reader, tmpl, parent, &own.PublicKey, by); err != nil {
			g.t.Fatal(err)
		}
		return der, own
	}
	caDER, caKey := make(authority, authority, nil)
	der, own := make(server, authority, caKey)
	keyDER, err := x509.MarshalECPrivateKey(own)
	if err != nil {
		g.t.Fatal(err)
	}
	put := func(name, kind string, der []byte) string {
		path := filepath.Join(g.sock, name)
		g.write(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
		return path
	}
	g.ca = put("ca.crt", "CERTIFICATE", caDER)
	return put("server.crt", "CERTIFICATE", der), put("server.key", "EC PRIVATE KEY", keyDER)
}

// files puts config.yaml as the guide has it beside a .env with this machine's host, port and secret.
func (g *guideStack) files() {
	if err := os.Mkdir(g.app, 0o755); err != nil {
		g.t.Fatal(err)
	}
	guide := filepath.Join("..", "..", "testdata", "guide")
	g.secret = filepath.Join(g.app, "postgres_app_user_pw")
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(g.app, name), data, 0o600); err != nil {
			g.t.Fatal(err)
		}
	}
	write("postgres_app_user_pw", []byte(secretPassword+"\n"))
	for _, name := range []string{"config.yaml", ".env"} {
		data, err := os.ReadFile(filepath.Join(guide, name))
		if err != nil {
			g.t.Fatal(err)
		}
		write(name, []byte(strings.NewReplacer("@postgres:5432/", fmt.Sprintf("@127.0.0.1:%d/", g.port),
			"sslmode=require", "sslmode=verify-full&sslrootcert="+g.ca, "/run/secrets/postgres_app_user_pw", g.secret).Replace(string(data))))
	}
}

// flags name the two files.
func (g *guideStack) flags(args ...string) []string {
	return append(args, "--config", filepath.Join(g.app, "config.yaml"), "--env-file", filepath.Join(g.app, ".env"))
}

func (g *guideStack) boss() string {
	return fmt.Sprintf("postgresql://boss:boss-pw@127.0.0.1:%d/appdb?sslmode=verify-full&sslrootcert=%s", g.port, g.ca)
}

// secretsIn fails when the password is in any of the texts or in a file below a directory, as it is or percent-encoded.
func secretsIn(t *testing.T, dir string, texts ...string) {
	t.Helper()
	look := func(where, text string) {
		for _, piece := range []string{"CaNaRy", "9f3:@x", "9f3%3A"} {
			if strings.Contains(text, piece) {
				t.Errorf("a piece of the password is in %s", where)
			}
		}
	}
	for i, text := range texts {
		look(fmt.Sprintf("text %d", i), text)
	}
	if dir == "" {
		return
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		look(path, string(data))
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestGuideStack: pgfit run as the application's role over verified TLS, set up by an administrator, leaves the server's
// patch and the application's; both apply, the configuration is still good, and the rollbacks restore every byte.
func TestGuideStack(t *testing.T) {
	g := startGuide(t)
	out := filepath.Join(t.TempDir(), "out")
	args := g.flags("run", "--yes", "--out", out, "--budget", "40s", "--rounds", "3", "--measure", "500ms", "--pool-sizes", "1,2,4", "--scenario", "read-heavy",
		"--data-size", "16MB", "--seed", "5")
	code, stdout, stderr := pgfit(args...)
	if code != exitUsage || !strings.Contains(stderr, "environment_mode is production") || !strings.Contains(stderr, "--i-know-this-is-production") {
		t.Errorf("load on production: exit %d\n%s%s", code, stdout, stderr)
	}
	args = append(args, "--i-know-this-is-production")
	code, stdout, stderr = pgfit(args...)
	if code != exitUnreachable || !strings.Contains(stderr, `GRANT CREATE ON DATABASE "appdb" TO "appuser";`) {
		t.Errorf("without the right: exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = pgfit(append(args, "--admin-url", g.boss())...)
	if code != exitDone && code != exitUnfit {
		t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	secretsIn(t, out, stdout, stderr)
	g.leftNothing()
	before := g.texts()
	if len(before) != 3 {
		t.Fatalf("%d files, want 3", len(before))
	}
	applyPatch(t, g.dir, filepath.Join(out, "postgresql.conf.patch"))
	applyPatch(t, g.app, filepath.Join(out, "config.yaml.patch"))
	g.patched(out)
	g.down()
	g.up()
	applyPatch(t, g.dir, filepath.Join(out, "postgresql.conf.rollback.patch"))
	applyPatch(t, g.app, filepath.Join(out, "config.yaml.rollback.patch"))
	for name, text := range g.texts() {
		if text != before[name] {
			t.Errorf("%s differs after the rollback", name)
		}
	}
	g.others(out)
	g.canary(t)
}

// patched: the application's configuration still validates and has the pool of the advice, which was measured as appuser.
func (g *guideStack) patched(out string) {
	g.t.Helper()
	var advice struct {
		Target string             `json:"target"`
		Pool   advisor.PoolAdvice `json:"pool"`
	}
	data, err := os.ReadFile(filepath.Join(out, "advice.json"))
	if err := errors.Join(err, json.Unmarshal(data, &advice)); err != nil {
		g.t.Fatal(err)
	}
	if !strings.HasPrefix(advice.Target, "postgresql://appuser@127.0.0.1") || advice.Pool.Total < 1 {
		g.t.Errorf("measured %s, a pool of %d", advice.Target, advice.Pool.Total)
	}
	code, shown, errs := pgfit(g.flags("config", "show", "--format", "json")...)
	var config struct{ Values []target.Value }
	if err := json.Unmarshal([]byte(shown), &config); err != nil || code != exitDone {
		g.t.Fatalf("the patched configuration: exit %d, %v\n%s", code, err, errs)
	}
	want := map[string]string{"pool_size": strconv.Itoa(advice.Pool.PoolSize), "max_overflow": strconv.Itoa(advice.Pool.MaxOverflow), "pool_timeout": "30", "pool_recycle": "1800",
		"user": "appuser", "sslmode": "verify-full", "password": target.Masked, "environment_mode": "production"}
	for _, v := range config.Values {
		if w, ok := want[v.Name]; ok && v.Value != w {
			g.t.Errorf("%s = %s after the patch, want %s", v.Name, v.Value, w)
		}
		delete(want, v.Name)
	}
	if len(want) > 0 {
		g.t.Errorf("not shown: %v", want)
	}
}

func (g *guideStack) texts() map[string]string {
	g.t.Helper()
	out := map[string]string{}
	for _, path := range []string{filepath.Join(g.dir, "postgresql.conf"), filepath.Join(g.app, "config.yaml"), filepath.Join(g.app, ".env")} {
		data, err := os.ReadFile(path)
		if err != nil {
			g.t.Fatal(err)
		}
		out[path] = string(data)
	}
	return out
}

func (g *guideStack) leftNothing() {
	g.t.Helper()
	conn, err := pgx.Connect(g.t.Context(), g.boss())
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close(g.t.Context())
	var schemas, grants int
	err = conn.QueryRow(g.t.Context(), `SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'pgfit'), has_database_privilege('appuser', 'appdb', 'CREATE')::int`).Scan(&schemas, &grants)
	if err != nil || schemas+grants != 0 {
		g.t.Errorf("left behind: %d schemas, %d rights, %v", schemas, grants, err)
	}
}

// others are the other commands on the same stack: each works, and none shows the password.
func (g *guideStack) others(out string) {
	g.t.Helper()
	for _, args := range [][]string{
		g.flags("probe", "--format", "json"), g.flags("config", "show", "--origin", "--format", "json"), g.flags("advise", out), g.flags("advise", out, "--format", "config-rollback"),
		g.flags("audit", "--profile", "production", g.boss(), "--format", "json"), g.flags("audit", "--format", "sarif"), g.flags("audit", "--fix", filepath.Join(out, "fix")),
		g.flags("pool", "watch", "--count", "2", "--interval", "100ms", "--format", "json"), g.flags("pool", "watch", "--count", "1"), g.flags("run", "--dry-run", "-v"), {"report", out}, {"advise", out},
	} {
		code, stdout, stderr := pgfit(args...)
		if code != exitDone && code != exitUnfit {
			g.t.Errorf("%s: exit %d\n%s", strings.Join(args[:2], " "), code, stderr)
		}
		secretsIn(g.t, "", stdout, stderr)
		if args[0] == "audit" && strings.Contains(stdout, `"area": "pg_hba.conf"`) {
			g.t.Error("the audit does not see the rules")
		}
		if patch, _ := os.ReadFile(filepath.Join(out, "config.yaml.patch")); args[0] == "advise" && len(args) == 6 && stdout != string(patch) {
			g.t.Errorf("advise says another patch than run:\n%s\n%s", stdout, patch)
		}
		if args[0] == "audit" && strings.Contains(strings.Join(args, " "), "boss") && !strings.Contains(stdout, `"check": "roles.ro-blind"`) {
			g.t.Errorf("the audit of the server does not see the roles\n%s", stdout)
		}
	}
	secretsIn(g.t, out)
}
