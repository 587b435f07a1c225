package target

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// guideConfig is the section of the house guide's config.yaml.
const guideConfig = `database:
  # Connection URL with environment variable substitution
  url: "${DATABASE_URL:-postgresql+asyncpg://user:password@postgres:5432/app_db}"
  app_db: "${APP_DB:-appdb}"
  owner_user: "${APP_DB_OWNER:-appowner}"
  user: "${APP_DB_USER:-appuser}"
  ro_user: "${APP_DB_RO_USER:-backupuser}"
  pool_size: ${POOL:-20}     # Base pool size
  max_overflow: 10
  pool_timeout: 30
  pool_recycle: 1800
  environment_mode: "${APP_ENVIRONMENT:-development}"
  password_file_path: "${DATABASE_PASSWORD_FILE_PATH:-/nowhere/secret}"
  password_env_var: "${DATABASE_PASSWORD_ENV_VAR:-POSTGRES_APP_USER_PW}"
`

// app lays an application's files into a directory; "" leaves one out.
func app(t *testing.T, config, dotenv string) Input {
	t.Helper()
	dir := t.TempDir()
	in := Input{ConfigFile: filepath.Join(dir, "config.yaml"), LookupEnv: env()}
	write(t, in.ConfigFile, config)
	if dotenv != "" {
		in.EnvFile = filepath.Join(dir, ".env")
		write(t, in.EnvFile, dotenv)
	}
	return in
}

func TestResolveConfig(t *testing.T) {
	quiet(t)
	const short = "database:\n  url: postgresql://db/shop\n"
	tests := []struct {
		name, config, dotenv string
		env                  []string
		redacted, password   string
		origin, from         string // a value's name and a piece of where it must come from
	}{
		{"the default in config.yaml", guideConfig, "", nil, "postgresql://user@postgres:5432/app_db?sslmode=prefer", "password", "host", "config.yaml:3"},
		{".env beats config.yaml", guideConfig, "DATABASE_URL=postgresql://appuser:" + canaryURL + "@localhost:5433/appdb\n", nil,
			"postgresql://appuser@localhost:5433/appdb?sslmode=prefer", canary, "host", ".env:1"},
		{"the environment beats .env", guideConfig, "DATABASE_URL=postgresql://a@b/c\n", []string{"DATABASE_URL", "postgresql://x@y/z"},
			"postgresql://x@y:5432/z?sslmode=prefer", "", "host", "DATABASE_URL (environment)"},
		{"a variable inside .env", guideConfig, "POSTGRES_APP_USER_PW='" + canary + "'\nDATABASE_URL=postgresql://appuser:${POSTGRES_APP_USER_PW}@h/d\n", nil,
			"", "", "", ""},
		{"the role and the database of config.yaml", "database:\n  url: postgresql://db\n  user: web\n  app_db: shop\n", "", nil,
			"postgresql://web@db:5432/shop?sslmode=prefer", "", "user", "config.yaml:3"},
		{"password_env_var", short + "  user: web\n  password_env_var: PW\n", "PW=" + canary + "\n", nil,
			"postgresql://web@db:5432/shop?sslmode=prefer", canary, "password", "PW ("},
		{"the port of .env's PGPORT", short + "  user: web\n", "PGPORT=6543\n", nil, "postgresql://web@db:6543/shop?sslmode=prefer", "", "port", "PGPORT"},
		{"the environment's mode", short + "  user: web\n  environment_mode: ${MODE:-testing}\n", "", []string{"MODE", "development"},
			"postgresql://web@db:5432/shop?sslmode=prefer", "", "environment_mode", "MODE (environment)"},
		{"null is nothing", short + "  user: web\n  pool_size: ~\n  password_file_path:\n", "", nil, "postgresql://web@db:5432/shop?sslmode=prefer", "", "host", "config.yaml:2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := app(t, tt.config, tt.dotenv)
			in.LookupEnv = env(tt.env...)
			got, err := Resolve(in)
			if tt.redacted == "" { // a password with a raw colon cannot stand in a URL: the error must not show it
				if err != nil {
					noCanary(t, err.Error())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Redacted != tt.redacted || got.Config.Password != tt.password {
				t.Errorf("Redacted %q, password %q; want %q, %q", got.Redacted, got.Config.Password, tt.redacted, tt.password)
			}
			if !strings.Contains(got.Origins[tt.origin], tt.from) {
				t.Errorf("%s comes from %q, want %q", tt.origin, got.Origins[tt.origin], tt.from)
			}
			for _, v := range got.Values() {
				noCanary(t, v.Value, v.Origin)
			}
		})
	}
}

func TestConfigPool(t *testing.T) {
	quiet(t)
	in := app(t, guideConfig, "POOL=30\n")
	got, err := Resolve(in)
	if err != nil {
		t.Fatal(err)
	}
	want := AppPool{Size: 30, MaxOverflow: 10, TimeoutSeconds: 30, RecycleSeconds: 1800}
	if got.Pool == nil || *got.Pool != want {
		t.Errorf("Pool = %+v, want %+v", got.Pool, want)
	}
	if o := got.Origins["pool_size"]; !strings.Contains(o, "POOL") || !strings.Contains(o, ".env:1") {
		t.Errorf("pool_size comes from %q, want POOL of .env:1", o)
	}
	if got.App == nil || got.App.Owner != "appowner" || got.App.ReadOnly != "backupuser" {
		t.Errorf("App = %+v", got.App)
	}
	in.Scratch = true
	if got, err = Resolve(in); err != nil || !got.Scratch || got.Pool == nil || got.Pool.Size != 30 {
		t.Errorf("with --scratch: %+v, %v; want the application's pool on a scratch server", got.Pool, err)
	}
}

func TestPasswordFile(t *testing.T) {
	quiet(t)
	secret := filepath.Join(t.TempDir(), "secret")
	config := "database:\n  url: postgresql://web@db/shop\n  password_file_path: " + secret + "\n"
	write(t, secret, canary+"\n")
	got, err := Resolve(app(t, config, ""))
	if err != nil || got.Config.Password != canary || len(got.Notices) > 0 {
		t.Fatalf("password %v, notices %v, %v; one newline is not part of it", got.Config != nil, got.Notices, err)
	}
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err = Resolve(app(t, config, "")); err != nil || !strings.Contains(strings.Join(got.Notices, "\n"), "can be read by everybody") {
		t.Errorf("notices of a world-readable file: %v, %v", got.Notices, err)
	}
	noCanary(t, got.Notices...)
	write(t, secret, "")
	if _, err = Resolve(app(t, config, "")); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty file: %v", err)
	}
	// The guide sets the variable to the path of the secret.
	write(t, secret, canary)
	got, err = Resolve(app(t, "database:\n  url: postgresql://web@db/shop\n  password_env_var: PW\n", "PW="+secret+"\n"))
	if err != nil || got.Config.Password != canary {
		t.Errorf("a variable with the secret's path: %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	quiet(t)
	const url = "database:\n  url: postgresql://web:" + canaryURL + "@db/shop"
	tests := []struct{ name, config, dotenv, want string }{
		{"no section", "server:\n  port: 1\n", "", "has no section database"},
		{"not YAML", "database: [", "", "config.yaml"},
		{"sqlite", "database:\n  url: sqlite:///x.db\n", "", "SQLite, a development database"},
		{"pool out of range", url + "\n  pool_size: 0\n", "", "config.yaml:3"},
		{"pool range named", url + "\n  max_overflow: 101\n", "", "0 to 100"},
		{"timeout of words", url + "\n  pool_timeout: long\n", "", "pool_timeout is not a whole number"},
		{"mode", url + "\n  environment_mode: prod\n", "", "not one of development, testing, production"},
		{"production without TLS", url + "\n  environment_mode: production\n", "", "without TLS"},
		{"the owner's role", "database:\n  url: postgresql://boss@db/shop\n  owner_user: boss\n", "", "the owner of the database"},
		{"a required variable", "database:\n  url: ${URL:?say which}\n", "", "url"},
		{"a broken .env", url + "\n", "PW='" + canary + "\n", ".env"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Resolve(app(t, tt.config, tt.dotenv))
			var usage *UsageError
			if !errors.As(err, &usage) {
				t.Fatalf("Resolve = %v, want a usage error", err)
			}
			if !strings.Contains(usage.Error(), tt.want) {
				t.Errorf("error %q, want %q in it", usage, tt.want)
			}
			noCanary(t, usage.Error(), usage.Hint())
		})
	}
	if _, err := Resolve(Input{ConfigFile: "/nowhere/config.yaml", LookupEnv: env()}); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("a missing file: %v", err)
	}
}

// TestProductionTLS: verify-full and require are enough, a unix socket needs none.
func TestProductionTLS(t *testing.T) {
	quiet(t)
	for _, url := range []string{"postgresql://web@db/shop?sslmode=require", "postgresql:///shop?host=/run/postgresql&user=web"} {
		if _, err := Resolve(app(t, "database:\n  url: "+url+"\n  environment_mode: production\n", "")); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
