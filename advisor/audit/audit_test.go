package audit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgfit/probe"
	"pgfit/probe/stack"
	"pgfit/profiles"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// guide is the stack of the house guide as the guide prints it, production's lines where it gives alternatives.
const guide = "../../testdata/guide"

func unset(string) (string, bool) { return "", false }

// readStack audits the files of a directory.
func readStack(t *testing.T, dir, environment string) Result {
	t.Helper()
	files, passed, err := stack.Find(dir, environment)
	if err != nil || len(passed) > 0 {
		t.Fatalf("Find: %v, passed over %v", err, passed)
	}
	s, major, err := stack.Read(files, 0, unset)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Run(Input{Environment: environment, Major: major, Conf: s.Conf, HBA: s.HBA, App: s.App, Compose: s.Compose, Certificate: s.Certificate, Processes: 1})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func lines(r Result, dir string) string {
	var b strings.Builder
	for _, f := range r.Findings {
		name, err := filepath.Rel(dir, f.File)
		if err != nil {
			name = f.File
		}
		fmt.Fprintf(&b, "%s %s:%d %s: %s\n", f.Severity, name, f.Line, f.Check, f.Text)
	}
	return b.String()
}

// The guide's own files have the findings that are really in them, and no other.
func TestGuide(t *testing.T) {
	for _, environment := range profiles.AuditEnvironments {
		got := lines(readStack(t, guide, environment), guide)
		golden(t, "guide-"+environment, got)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

// fault is one thing broken in one file of the guide: old becomes new, and a check has to find it.
type fault struct{ file, old, new, check string }

const conf, hba, config, env, compose = "infra/docker/prod/postgres/postgresql.conf", "infra/docker/prod/postgres/pg_hba.conf", "config.yaml", ".env", "docker-compose.prod.yml"

var faults = []fault{
	{conf, "ssl = on", "ssl = off", "conf.ssl"},
	{conf, "ssl_min_protocol_version = 'TLSv1.2'", "ssl_min_protocol_version = 'TLSv1'", "conf.ssl-min-protocol"},
	{conf, "ssl_max_protocol_version = 'TLSv1.3'", "ssl_max_protocol_version = 'TLSv1.2'", "conf.ssl-max-protocol"},
	{conf, "HIGH:!aNULL:!MD5", "HIGH:MEDIUM:RC4:!aNULL", "conf.ssl-ciphers"},
	{conf, "ssl_prefer_server_ciphers = on", "ssl_prefer_server_ciphers = off", "conf.ssl-prefer-server-ciphers"},
	{conf, "password_encryption = scram-sha-256", "password_encryption = md5", "conf.password-encryption"},
	{conf, "row_security = on", "row_security = off", "conf.row-security"},
	{conf, "max_connections = 100", "max_connections = 20", "pool.fits"},
	{conf, "superuser_reserved_connections = 3", "superuser_reserved_connections = 0", "conf.superuser-reserved"},
	{conf, "effective_cache_size = 1GB", "effective_cache_size = 64MB", "conf.cache-size"},
	{conf, "maintenance_work_mem = 64MB", "maintenance_work_mem = 4MB", "conf.maintenance-work-mem"},
	{conf, "wal_level = replica", "wal_level = minimal", "conf.wal-level"},
	{conf, "max_wal_size = 1GB", "max_wal_size = 64MB", "conf.max-wal-size"},
	{conf, "min_wal_size = 80MB", "min_wal_size = 2GB", "conf.min-wal-size"},
	{conf, "checkpoint_completion_target = 0.9", "checkpoint_completion_target = 0.1", "conf.checkpoint-target"},
	{conf, "wal_buffers = 16MB", "wal_buffers = 64kB", "conf.wal-buffers"},
	{conf, "random_page_cost = 1.1", "random_page_cost = 0.5", "conf.random-page-cost"},
	{conf, "effective_io_concurrency = 200", "effective_io_concurrency = 0", "conf.io-concurrency"},
	{conf, "log_destination = 'stderr'", "log_destination = ''", "conf.log-destination"},
	{conf, "logging_collector = on", "logging_collector = off", "conf.logging-collector"},
	{conf, "%t [%p-%l] %q%u@%d ", "%t %p ", "conf.log-line-prefix"},
	{conf, "log_min_duration_statement = 1000", "log_min_duration_statement = -1", "conf.log-min-duration"},
	{conf, "log_connections = on", "log_connections = off", "conf.log-connections"},
	{conf, "log_disconnections = on", "log_disconnections = off", "conf.log-disconnections"},
	{conf, "log_lock_waits = on", "log_lock_waits = off", "conf.log-lock-waits"},
	{conf, "'pg_stat_statements'", "''", "conf.statements"},
	{conf, "track_activities = on", "track_activities = off", "conf.track-activities"},
	{conf, "track_counts = on", "track_counts = off", "conf.track-counts"},
	{conf, "track_io_timing = on", "track_io_timing = off", "conf.track-io-timing"},
	{conf, "track_functions = all", "track_functions = none", "conf.track-functions"},
	{conf, "port = 5432", "port = 5432\nfsync = off", "conf.fsync"},
	{conf, "port = 5432", "port = 5432\nfull_page_writes = off", "conf.full-page-writes"},
	{conf, "port = 5432", "port = 5432\nsynchronous_commit = off", "conf.synchronous-commit"},
	{conf, "port = 5432", "port = 5432\nautovacuum = off", "conf.autovacuum"},
	{conf, "port = 5432", "port = 5432\nlog_statement = all", "conf.log-statement"},
	{conf, "port = 5432", "port = 5432\ncheckpoint_segments = 32", "conf.unknown"},
	{conf, "port = 5432", "port = 5432\nwork_mem = 4 QB", "conf.syntax"},
	{conf, "port = 5432", "port = 70000", "conf.value"},
	{conf, "port = 5432", "port = 5433\nport = 5432", "conf.twice"},
	{conf, "listen_addresses = '*'", "listen_addresses = 'localhost'", "conf.listen"},
	{conf, "listen_addresses = '*'", "# listen_addresses = '*'", "conf.listen"},
	{conf, "port = 5432", "port = 5433", "conf.port"},
	{conf, "port = 5432", "port = 5432\nmax_worker_processes = 2\nmax_parallel_workers_per_gather = 4", "conf.parallel-workers"},
	{hba, "127.0.0.1/32            scram-sha-256\nhost    all             all             ::1", "127.0.0.1/32            trust\nhost    all             all             ::1", "hba.trust"},
	{hba, "::1/128                 scram-sha-256", "::1/128                 password", "hba.password"},
	{hba, "172.18.0.0/16           scram-sha-256", "172.18.0.0/16           md5", "hba.md5"},
	{hba, "10.10.0.0/16            scram-sha-256", "10.10.0.0/16            ident", "hba.ident"},
	{hba, "# Reject non-TLS", "host all all 192.168.0.0/16 scram-sha-256\n# Reject non-TLS", "hba.plain"},
	{hba, "# Final deny-all", "hostssl all all all scram-sha-256\n# Final deny-all", "hba.any-address"},
	{hba, "# Final deny-all", "hostssl replication all 10.0.0.0/8 scram-sha-256\n# Final deny-all", "hba.replication"},
	{hba, "hostnossl all           all             ::/0", "hostnossl other         all             ::/0", "hba.nossl-reject"},
	{hba, "host     all            all             ::/0                    reject", "", "hba.final-reject"},
	{hba, "# Final deny-all", "hostssl app appuser 172.18.7.0/24 scram-sha-256\n# Final deny-all", "hba.shadowed"},
	{hba, "hostssl  all            all             10.10.0.0/16 ", "hostssl  all            all             10.10.0.0/66 ", "hba.error"},
	{config, "pool_size: 20 ", "pool_size: 200 ", "app.range"},
	{config, "pool_recycle: 1800", "pool_recycle: 10", "app.range"},
	{config, "environment_mode: \"${APP", "environment_mode: [\"${APP", "app.syntax"},
	{env, "APP_DB_OWNER=appowner", "APP_DB_OWNER=appuser", "app.roles"},
	{env, "APP_ENVIRONMENT=production", "APP_ENVIRONMENT=development", "app.environment"},
	{env, "${POSTGRES_APP_USER_PW}@", "hunter22@", "app.literal-password"},
	{env, "${POSTGRES_APP_USER_PW}@", "devpass@", "app.default-password"},
	{env, "?sslmode=require", "?sslmode=disable", "app.sslmode"},
	{env, "?sslmode=require", "?sslmode=verify-full", "app.tls-files"},
	{env, "?sslmode=require", "?sslmode=verify-ca&sslrootcert=ca.crt&sslcert=client.crt", "app.tls-files"},
	{env, "postgresql://appuser", "postgres://appuser", "app.scheme"},
	{env, "POSTGRES_APP_RO_PW=/run/secrets/postgres_app_ro_pw", "POSTGRES_APP_RO_PW=postgres", "app.default-password"},
	{env, "postgresql://appuser", "postgresql+asyncpg://appuser", "app.driver-parameter"},
	{env, "${POSTGRES_APP_USER_PW}@", "${NOT_THERE}@", "app.unset"},
	{config, "${APP_DB_RO_USER:-backupuser}", "${RO_USER}", "app.unset"},
	{config, "database:", "databases:", "app.syntax"},
	{config, "  password_file_path: \"${DATABASE_PASSWORD_FILE_PATH:-/run/secrets/postgres_app_user_pw}\"\n  password_env_var: \"${DATABASE_PASSWORD_ENV_VAR:-POSTGRES_APP_USER_PW}\"\n",
		"", "app.no-password"},
	{env, "postgresql://appuser:", "mysql://appuser:", "app.url"},
	{env, "DATABASE_URL=postgresql://appuser:${POSTGRES_APP_USER_PW}@postgres:5432/appdb?sslmode=require", "DATABASE_URL=sqlite:///./database.db", "app.sqlite"},
	{env, "# Database connection", "POSTGRES_APP_USER_PW=/run/secrets/postgres_app_user_pw\n# Database connection", "app.password-is-path"},
	{env, "5432/appdb", "5432/otherdb", "app.mismatch"},
	{env, "APP_DB=appdb", "APP_DB=first\nAPP_DB=appdb", "app.twice"},
	{compose, "127.0.0.1:5432:5432", "5432:5432", "compose.port"},
	{compose, "127.0.0.1:5432:5432", "127.0.0.1:5432:5433", "conf.port"},
	{compose, "    networks:\n      - backend", "    network_mode: host", "compose.network"},
	{compose, "    container_name: api-forge-postgres", "    mem_limit: 512m", "conf.shared-buffers"},
	{compose, "    container_name: api-forge-postgres", "    deploy: {resources: {limits: {memory: 0.5gb}}}", "conf.memory"},
	{compose, "--data-checksums", "", "compose.checksums"},
	{compose, "postgres:16-alpine", "postgres:latest", "compose.image"},
	{compose, "APP_DB: ${APP_DB:-appdb}", "POSTGRES_PASSWORD: s3cr3t-of-ours", "compose.literal-password"},
	{compose, "APP_DB: ${APP_DB:-appdb}", "POSTGRES_PASSWORD: ${PW:-postgres}", "compose.default-password"},
	{compose, "APP_DB: ${APP_DB:-appdb}", "POSTGRES_HOST_AUTH_METHOD: trust", "compose.trust"},
	{compose, "      - ./data/postgres:/var/lib/postgresql/data\n", "", "compose.volume"},
	{compose, "    ports:", "   ports:", "compose.syntax"},
}

func broken(t *testing.T, which ...fault) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(guide)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, env), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range which {
		path := filepath.Join(dir, f.file)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), f.old) {
			t.Fatalf("%s has no %q", f.file, f.old)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(data), f.old, f.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Each fault alone is found, and adds nothing beyond what it may bring along.
func TestFaults(t *testing.T) {
	good := checksOf(readStack(t, guide, "production"))
	for _, f := range faults {
		t.Run(f.check+" "+f.new, func(t *testing.T) {
			dir := broken(t, f)
			got := readStack(t, dir, "production")
			if n, was := checksOf(got)[f.check], good[f.check]; n <= was {
				t.Errorf("not found: %d, in the good copy %d\n%s", n, was, lines(got, dir))
			}
			for check, n := range checksOf(got) {
				if n > good[check] && check != f.check && !slices.Contains(along[f.check], check) {
					t.Errorf("also found: %s\n%s", check, lines(got, dir))
				}
			}
		})
	}
}

// along is what a fault rightly brings along.
var along = map[string][]string{
	"hba.any-address": {"hba.shadowed"}, "hba.error": nil, "app.default-password": {"app.literal-password"}, "compose.default-password": {"compose.literal-password"},
	"app.unset": {"app.no-password"}, "app.password-is-path": {"app.twice"}, "app.syntax": {"app.environment", "app.no-password"}, "compose.image": {"compose.checksums"}, "hba.nossl-reject": {"hba.plain"},
	"conf.shared-buffers": {"conf.memory", "conf.cache-size"}, "conf.memory": {"conf.shared-buffers", "conf.cache-size"},
	"conf.max-wal-size": {"conf.min-wal-size"}, "hba.plain": {"hba.shadowed"},
}

// One copy with a fault of each kind in every file: all of them are found at once.
func TestBrokenCopy(t *testing.T) {
	var all []fault
	done := map[string]bool{}
	for _, f := range faults {
		if key := f.file + f.old; !done[key] && f.new != "pool_size: 200 " && !slices.Contains([]string{"app.syntax", "compose.syntax", "app.url", "app.sqlite", "hba.error", "conf.log-destination", "app.password-is-path", "app.no-password"}, f.check) {
			done[key] = true
			all = append(all, f)
		}
	}
	dir := broken(t, all...)
	got := readStack(t, dir, "production")
	found := checksOf(got)
	for _, f := range all {
		if found[f.check] == 0 {
			t.Errorf("%s in %s was not found", f.check, f.file)
		}
	}
	if len(all) < 25 {
		t.Errorf("%d faults, want at least 25", len(all))
	}
	t.Logf("%d faults seeded, %d findings: %d errors, %d warnings, %d notes", len(all), len(got.Findings), got.Count("error"), got.Count("warning"), got.Count("note"))
}

func checksOf(r Result) map[string]int {
	n := map[string]int{}
	for _, f := range r.Findings {
		n[f.Check]++
	}
	return n
}

// Every check of the profiles is either judged from its data or known by name, and some fault or role shows it.
func TestNothingIsDead(t *testing.T) {
	shown := map[string]bool{}
	for _, f := range faults {
		shown[f.check] = true
	}
	checks, err := profiles.Audit("production")
	if err != nil {
		t.Fatal(err)
	}
	good := checksOf(readStack(t, guide, "production"))
	for _, c := range checks {
		if !shown[c.ID] && good[c.ID] == 0 && !strings.HasPrefix(c.ID, "roles.") && !slices.Contains(liveOnly, c.ID) {
			t.Errorf("no test shows %s", c.ID)
		}
	}
}

// liveOnly need a server, the machine, or a file's mode or age: see the other tests.
var liveOnly = []string{"conf.data-checksums", "conf.statements-extension", "conf.page-cost-ssd", "conf.page-cost-hdd", "conf.ssl-expiry", "conf.ssl-key-mode", "app.readable"}

func TestReadable(t *testing.T) {
	dir := broken(t, fault{env, "${POSTGRES_APP_USER_PW}@", "hunter22@", ""})
	if n := checksOf(readStack(t, dir, "production"))["app.readable"]; n != 0 {
		t.Error("mode 0600 was called readable")
	}
	if err := os.Chmod(filepath.Join(dir, env), 0o644); err != nil {
		t.Fatal(err)
	}
	if n := checksOf(readStack(t, dir, "production"))["app.readable"]; n != 1 {
		t.Errorf("mode 0644: %d findings, want 1", n)
	}
}

// What the machine has is judged only where it is known.
func TestMemory(t *testing.T) {
	for _, tc := range []struct {
		ram  int64
		want string
	}{{0, ""}, {1 << 30, ""}, {1 << 29, "conf.cache-size conf.memory conf.shared-buffers"}, {8 << 30, "conf.shared-buffers"}} {
		files, _, err := stack.Find(guide, "production")
		if err != nil {
			t.Fatal(err)
		}
		s, major, err := stack.Read(stack.Files{Conf: files.Conf}, 16, unset)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Run(Input{Environment: "production", Major: major, Conf: s.Conf, Memory: tc.ram})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, f := range got.Findings {
			ids = append(ids, f.Check)
		}
		slices.Sort(ids)
		if strings.Join(ids, " ") != tc.want {
			t.Errorf("with %d bytes: %v, want %s", tc.ram, ids, tc.want)
		}
	}
}

// Every setting of the guide is judged, or left with a reason of its own.
func TestLeft(t *testing.T) {
	got := readStack(t, guide, "production")
	var names []string
	for _, l := range got.Left {
		names = append(names, l.Area)
		if strings.HasPrefix(l.Reason, "no check") {
			t.Errorf("%s is neither judged nor left with a reason", l.Area)
		}
	}
	if want := "log_directory log_filename shared_buffers ssl_cert_file ssl_key_file work_mem"; strings.Join(names, " ") != want {
		t.Errorf("left: %v, want %s", names, want)
	}
	dir := broken(t, fault{conf, "port = 5432", "port = 5432\ncluster_name = 'x'", ""})
	if l := readStack(t, dir, "production").Left; len(l) != 7 || l[0].Area != "cluster_name" {
		t.Errorf("left: %v, want cluster_name too", l)
	}
}

// Which names a server takes depends on its version and build.
func TestNames(t *testing.T) {
	for _, tc := range []struct {
		major int
		line  string
		want  string
	}{
		{15, "extension_destdir = ''", ""}, {18, "ssl_ecdh_curve = 'prime256v1'", ""}, {17, "ssl_ecdh_curve = 'prime256v1'", ""}, {15, "sort_mem = 4MB", ""},
		{15, "my.own = 1", ""}, {15, "db_user_namespace = off", ""}, {15, "ssl_groups = 'x'", "PostgreSQL 15 has no setting ssl_groups"},
		{17, "db_user_namespace = off", "PostgreSQL 17 has no setting db_user_namespace: it went away with 17"},
		{16, "io_method = worker", "PostgreSQL 16 has no setting io_method"}, {18, "io_method = worker", ""},
		{16, "wal_compression = snappy", "wal_compression"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "postgresql.conf")
		if err := os.WriteFile(path, []byte(tc.line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, _, err := stack.Read(stack.Files{Conf: path}, tc.major, unset)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Run(Input{Environment: "development", Major: tc.major, Conf: s.Conf})
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, f := range got.Findings {
			if f.Severity == "error" {
				text += f.Text
			}
		}
		if tc.want == "" && text != "" || !strings.Contains(text, tc.want) {
			t.Errorf("%d, %s: %q, want %q", tc.major, tc.line, text, tc.want)
		}
	}
}

// What is judged against the disk and the CPUs is judged only where they are known.
func TestMachine(t *testing.T) {
	for _, tc := range []struct {
		lines string
		disk  probe.Class
		cpus  float64
		want  string
	}{
		{"", "", 0, ""}, {"", probe.SSD, 2, "conf.page-cost-ssd"}, {"random_page_cost = 1.1", probe.NVMe, 2, ""}, {"random_page_cost = 1.1", probe.HDD, 2, "conf.page-cost-hdd"},
		{"", probe.HDD, 1, ""}, {"max_parallel_workers_per_gather = 4", probe.Network, 5, ""}, {"max_parallel_workers_per_gather = 4", probe.Network, 4, "conf.parallel-workers"},
		{"max_parallel_workers_per_gather = 1", "", 1, ""}, {"max_parallel_workers = 1", "", 0, "conf.parallel-workers"},
	} {
		got := auditConf(t, tc.lines, "production", func(in *Input) { in.Disk, in.CPUs = tc.disk, tc.cpus })
		var ids []string
		for _, f := range got.Findings {
			if strings.Contains(f.Check, "page-cost") || f.Check == "conf.parallel-workers" {
				ids = append(ids, f.Check)
			}
		}
		if strings.Join(ids, " ") != tc.want {
			t.Errorf("%q on %g CPUs, %s: %v, want %q", tc.lines, tc.cpus, tc.disk, ids, tc.want)
		}
	}
}

// auditConf audits a postgresql.conf of some lines.
func auditConf(t *testing.T, lines, environment string, with func(*Input)) Result {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postgresql.conf")
	if err := os.WriteFile(path, []byte(lines+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, major, err := stack.Read(stack.Files{Conf: path}, 16, unset)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Environment: environment, Major: major, Conf: s.Conf, Certificate: s.Certificate}
	with(&in)
	got, err := Run(in)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The certificate and its key are judged where their files lie here, and not otherwise.
func TestCertificate(t *testing.T) {
	for _, tc := range []struct {
		name  string
		valid time.Duration
		mode  os.FileMode
		ssl   string
		want  string
	}{
		{"good", 400 * 24 * time.Hour, 0o600, "on", ""}, {"the group may read", 400 * 24 * time.Hour, 0o640, "on", ""}, {"expired", -time.Minute, 0o600, "on", "conf.ssl-expiry"},
		{"soon", 5 * 24 * time.Hour, 0o600, "yes", "conf.ssl-expiry"}, {"all may read", 400 * 24 * time.Hour, 0o644, "on", "conf.ssl-key-mode"}, {"off", -time.Minute, 0o644, "off", ""},
		{"not here", 0, 0, "on", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cert, key := filepath.Join(t.TempDir(), "c.crt"), filepath.Join(t.TempDir(), "c.key")
			if tc.mode != 0 {
				certificate(t, cert, key, tc.valid)
				if err := os.Chmod(key, tc.mode); err != nil {
					t.Fatal(err)
				}
			}
			got := auditConf(t, fmt.Sprintf("ssl = %s\nssl_cert_file = '%s'\nssl_key_file = '%s'", tc.ssl, cert, key), "production", func(*Input) {})
			var ids []string
			for _, f := range got.Findings {
				if f.Check == "conf.ssl-expiry" || f.Check == "conf.ssl-key-mode" {
					ids = append(ids, f.Check)
				}
			}
			if strings.Join(ids, " ") != tc.want {
				t.Errorf("%v, want %q", ids, tc.want)
			}
		})
	}
}

// certificate writes one that signed itself, and its key.
func certificate(t *testing.T, cert, key string, valid time.Duration) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
