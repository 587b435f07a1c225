package target

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// canary is the password of every test here; it must come out nowhere.
const canary = "CaNaRy-9f3:7"

const canaryURL = "CaNaRy-9f3%3A7"

// quiet clears what the environment of the test's process could add.
func quiet(t *testing.T) {
	t.Helper()
	for _, name := range append(slices.Collect(maps.Values(envNames)), "DATABASE_URL", "APP_ENVIRONMENT") {
		if old, ok := os.LookupEnv(name); ok {
			t.Setenv(name, old) // restored by the test's end
			os.Unsetenv(name)
		}
	}
	t.Setenv("HOME", t.TempDir())
}

func env(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func TestResolveURL(t *testing.T) {
	quiet(t)
	tests := []struct {
		name, arg, redacted, password string
	}{
		{"plain", "postgresql://app@db/app", "postgresql://app@db:5432/app?sslmode=prefer", ""},
		{"password", "postgres://app:" + canaryURL + "@db:5433/app", "postgresql://app@db:5433/app?sslmode=prefer", canary},
		{"asyncpg", "postgresql+asyncpg://app:" + canaryURL + "@db/app?ssl=require", "postgresql://app@db:5432/app?sslmode=require", canary},
		{"psycopg2", "postgresql+psycopg2://app@db/app?sslmode=disable", "postgresql://app@db:5432/app?sslmode=disable", ""},
		{"pg8000 upper case", "PostgreSQL+PG8000://app@db/app", "postgresql://app@db:5432/app?sslmode=prefer", ""},
		{"socket in the query", "postgresql:///app?host=/run/postgresql&user=app", "postgresql://app@/app?host=/run/postgresql", ""},
		{"socket in the host", "postgresql://app@%2Frun%2Fpg:5433/app", "postgresql://app@/app?host=/run/pg&port=5433", ""},
		{"two hosts", "postgresql://app@h1:1,h2:2/app", "postgresql://app@h1:1,h2:2/app?sslmode=prefer", ""},
		{"ipv6", "postgresql://app@[::1]:5433/app", "postgresql://app@[::1]:5433/app?sslmode=prefer", ""},
		{"keyword string", "host=db user=app dbname=app password='" + canary + "'", "postgresql://app@db:5432/app?sslmode=prefer", canary},
		{"keyword escapes", `host = db user=app dbname=app password='Ca\'Na\\Ry'`, "postgresql://app@db:5432/app?sslmode=prefer", `Ca'Na\Ry`},
		{"slash in a password", "postgresql://app:Ca/Na/Ry@db:5432/app", "postgresql://app@db:5432/app?sslmode=prefer", "Ca/Na/Ry"},
		{"ssl false", "postgresql://app@db/app?ssl=false", "postgresql://app@db:5432/app?sslmode=disable", ""},
		{"ssl and the same sslmode", "postgresql://app@db/app?ssl=true&sslmode=require", "postgresql://app@db:5432/app?sslmode=require", ""},
		{"hostaddr alone", "hostaddr=127.0.0.1 user=app dbname=app", "postgresql://app@127.0.0.1:5432/app?sslmode=prefer", ""},
		{"blank around", "  postgresql://app@db/app\n", "postgresql://app@db:5432/app?sslmode=prefer", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(Input{Arg: tt.arg, LookupEnv: env()})
			if err != nil {
				t.Fatal(err)
			}
			if got.Redacted != tt.redacted {
				t.Errorf("Redacted = %q, want %q", got.Redacted, tt.redacted)
			}
			if got.Config.Password != tt.password {
				t.Errorf("Password = %q, want %q", got.Config.Password, tt.password)
			}
			if strings.Contains(got.Config.ConnString(), "Na") {
				t.Errorf("the driver's own copy of the connection string holds the password")
			}
		})
	}
}

func TestResolveKeepsParameters(t *testing.T) {
	quiet(t)
	got, err := Resolve(Input{LookupEnv: env(), Arg: "postgresql+asyncpg://app@db/app?application_name=shop&options=-c%20work_mem%3D8MB&connect_timeout=7" +
		"&pool_size=12&max_overflow=3&gssencmode=disable&statement_cache_size=0"})
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Config.RuntimeParams; p["application_name"] != "shop" || p["options"] != "-c work_mem=8MB" || len(p) != 2 {
		t.Errorf("RuntimeParams = %v, want application_name and options alone", p)
	}
	if got.Config.ConnectTimeout != 7*time.Second {
		t.Errorf("ConnectTimeout = %v, want 7s", got.Config.ConnectTimeout)
	}
	if want := (AppPool{12, 3, 30, 1800}); got.Pool == nil || *got.Pool != want {
		t.Errorf("Pool = %v, want %v", got.Pool, want)
	}
	if got.Origins["pool_size"] != "argument" || got.Origins["pool_timeout"] != "default" {
		t.Errorf("Origins = %v", got.Origins)
	}
	if len(got.Notices) != 1 || !strings.Contains(got.Notices[0], "gssencmode, statement_cache_size") {
		t.Errorf("Notices = %q, want one that names both dropped parameters", got.Notices)
	}
}

func TestResolveOrder(t *testing.T) {
	quiet(t)
	tests := []struct {
		name    string
		in      Input
		scratch bool
		host    string
		origin  string
	}{
		{"nothing", Input{LookupEnv: env()}, true, "", ""},
		{"argument before DATABASE_URL", Input{Arg: "postgresql://a/x", LookupEnv: env("DATABASE_URL", "postgresql://b/x")}, false, "a", "argument"},
		{"DATABASE_URL", Input{LookupEnv: env("DATABASE_URL", "postgresql+asyncpg://b/x", "PGHOST", "c")}, false, "b", "DATABASE_URL (environment)"},
		{"scratch before DATABASE_URL", Input{Scratch: true, LookupEnv: env("DATABASE_URL", "postgresql://b/x")}, true, "", ""},
		{"empty DATABASE_URL", Input{LookupEnv: env("DATABASE_URL", " ")}, true, "", ""},
		{"a password alone names nothing", Input{LookupEnv: env("PGPASSWORD", canary)}, true, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got.Scratch != tt.scratch || got.Origins["host"] != tt.origin {
				t.Errorf("Scratch = %v, host from %q, want %v, %q", got.Scratch, got.Origins["host"], tt.scratch, tt.origin)
			}
			if !tt.scratch && got.Config.Host != tt.host {
				t.Errorf("Host = %q, want %q", got.Config.Host, tt.host)
			}
		})
	}
}

func TestResolveLibpqEnvironment(t *testing.T) {
	quiet(t)
	t.Setenv("PGHOST", "envhost")
	t.Setenv("PGPASSWORD", canary)
	t.Setenv("PGCONNECT_TIMEOUT", "3")
	got, err := Resolve(Input{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Config.Host != "envhost" || got.Config.Password != canary || got.Config.ConnectTimeout != 3*time.Second {
		t.Errorf("host %q, timeout %v: want those of PG*", got.Config.Host, got.Config.ConnectTimeout)
	}
	if got.Origins["host"] != "PGHOST (environment)" || got.Origins["password"] != "PGPASSWORD (environment)" || got.Origins["port"] != "default" {
		t.Errorf("Origins = %v", got.Origins)
	}
}

func TestResolveServiceAndPassfile(t *testing.T) {
	quiet(t)
	dir := t.TempDir()
	service, passfile := filepath.Join(dir, "services"), filepath.Join(dir, "pass")
	write(t, service, "[shop]\nhost=svc\nport=6000\ndbname=shop\nuser=app\n")
	write(t, passfile, "svc:6000:shop:app:"+strings.ReplaceAll(canary, ":", `\:`)+"\n")
	t.Setenv("PGSERVICE", "shop")
	t.Setenv("PGSERVICEFILE", service)
	t.Setenv("PGPASSFILE", passfile)
	got, err := Resolve(Input{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Redacted != "postgresql://app@svc:6000/shop" || got.Config.Password != canary {
		t.Errorf("Redacted = %q, want the service's target and the password of the file", got.Redacted)
	}
	if got.Origins["host"] != "service shop" || got.Origins["service"] != "PGSERVICE (environment)" {
		t.Errorf("Origins = %v", got.Origins)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestResolveErrors(t *testing.T) {
	quiet(t)
	tests := []struct{ name, arg, want string }{
		{"sqlite", "sqlite:///./database.db", "SQLite, a development database"},
		{"sqlite in memory", "sqlite+aiosqlite:///:memory:", "SQLite"},
		{"mysql", "mysql://root:" + canaryURL + "@db/app", "the URL names mysql"},
		{"another scheme", "http://app:" + canaryURL + "@db/app", "does not begin with postgresql://"},
		{"another driver", "postgresql+" + canaryURL + "://app@db/app", "a driver that pgfit does not know"},
		{"jdbc", "jdbc:postgresql://db/app", "JDBC"},
		{"neither", canaryURL, "neither a URL nor a keyword string"},
		{"raw at in the password", "postgresql://app:Na@" + canaryURL + "@db/app", "cannot be read"},
		{"raw colon and slash", "postgresql://app:12/" + canaryURL + "@db/app", "unescaped @ or /"},
		{"question mark and no at", "postgresql://app:" + canary + "?x", "cannot be read"},
		{"broken escape in the password", "postgresql://app:" + canary + "%zz@db/app", "the password in the URL has a %"},
		{"broken escape in a key", "postgresql://app@db/app?%zz=1", "not of the form name=value"},
		{"bad port", "postgresql://app:" + canaryURL + "@db:70000/app", "invalid port"},
		{"unknown parameter", "postgresql://app:" + canaryURL + "@db/app?ssl_mode=require", "unknown connection parameter ssl_mode"},
		{"bad sslmode", "postgresql://app:" + canaryURL + "@db/app?sslmode=maybe", "the sslmode is not one"},
		{"ssl against sslmode", "postgresql://app@db/app?ssl=require&sslmode=disable", "contradict"},
		{"missing ca", "postgresql://app:" + canaryURL + "@db/app?sslmode=verify-full&sslrootcert=/nowhere/ca.crt", "unable to read CA file"},
		{"cert without key", "postgresql://app:" + canaryURL + "@db/app?sslmode=require&sslcert=/nowhere/c.crt", "sslkey"},
		{"blank in a keyword password", "host=db password=Ca NaRy=" + canary, "unknown keyword after the password"},
		{"keyword without value", "host=db " + canary, "not of the form keyword=value"},
		{"quote without end", "host=db password='" + canary, "does not end"},
		{"NUL", "host=db password=" + canary + "\x00", "NUL"},
		{"pool size out of range", "postgresql://app:" + canaryURL + "@db/app?pool_size=101", "pool_size = 101 is out of range: want 1 to 100"},
		{"pool size of words", "postgresql://app@db/app?pool_size=many", "pool_size is not a whole number"},
		{"unknown service", "service=" + "nowhere password=" + canary, "failed to read service"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Resolve(Input{Arg: tt.arg, LookupEnv: env()})
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
}

// noCanary fails when a piece of the password is in one of the texts.
func noCanary(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(text, "CaNa") || strings.Contains(text, "NaRy") || strings.Contains(text, "9f3") {
			t.Errorf("a piece of the password is in %q", text)
		}
	}
}

func FuzzResolve(f *testing.F) {
	for _, seed := range []string{"postgresql://app:pw@db:5432/app?sslmode=require", "host=db password='a b'", "postgresql://u:/run/x@h/d",
		"postgresql+asyncpg://a:b@[::1]:1,h2/d?pool_size=5&ssl=true", "sqlite:///x", "postgresql://u:%41@/d?host=/tmp"} {
		f.Add(seed, "s3cr3t")
	}
	f.Setenv("HOME", f.TempDir())
	f.Fuzz(func(t *testing.T, text, secret string) {
		const mark = "CANARYCANARY"
		text = strings.ReplaceAll(text, "pw", mark)
		_, inspected := Inspect(text)
		got, err := Resolve(Input{Arg: text, LookupEnv: env()})
		if inspected != nil && !errors.As(inspected, new(*UsageError)) {
			t.Fatalf("Inspect(%q) = %v, want a usage error", text, inspected)
		}
		if err != nil {
			var usage *UsageError
			if !errors.As(err, &usage) {
				t.Fatalf("Resolve(%q) = %v, want a usage error", text, err)
			}
		} else if got.Config != nil && got.Config.Password != "" && len(got.Config.Password) > 7 &&
			!strings.Contains(got.Config.Host+got.Config.User+got.Config.Database, got.Config.Password) &&
			strings.Contains(got.Redacted, got.Config.Password) {
			t.Fatalf("the password of %q is in %q", text, got.Redacted)
		}
		url := "postgresql://user:" + escapeAll(secret) + "@host:1/db"
		got, err = Resolve(Input{Arg: url, LookupEnv: env()})
		switch {
		case strings.Contains(secret, "\x00"):
			if err == nil {
				t.Fatal("a NUL was taken")
			}
		case err != nil:
			t.Fatalf("Resolve with password %q = %v", secret, err)
		case got.Config.Password != secret:
			t.Fatalf("password %q came back as %q", secret, got.Config.Password)
		}
	})
}

func escapeAll(s string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte('%')
		b.WriteByte(hex[s[i]>>4])
		b.WriteByte(hex[s[i]&15])
	}
	return b.String()
}

// A file where a target is expected is told its flag.
func TestFileAsTarget(t *testing.T) {
	quiet(t)
	for arg, want := range map[string]bool{"config.yaml": true, "/etc/app/.env": true, "localhost": false} {
		_, err := Resolve(Input{Arg: arg, LookupEnv: env()})
		var usage *UsageError
		if !errors.As(err, &usage) || strings.Contains(usage.Hint(), "--config or --env-file") != want {
			t.Errorf("%s: %v, hint of the flags wanted: %v", arg, err, want)
		}
	}
}
