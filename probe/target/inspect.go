package target

import (
	"slices"
	"strings"
)

// URLFacts is what can be said about a connection string without its secrets.
type URLFacts struct {
	Scheme   string // postgresql or postgres, "" of a keyword string
	Driver   string // SQLAlchemy's: asyncpg, psycopg, ...; "" when none is named
	SQLite   bool   // then nothing else is set
	Host     string // "" for the unix socket or a default
	Port     string // "" for the default
	User     string
	Database string
	SSLMode  string            // as given, or as ssl= comes to; "" when neither stands there
	Pool     map[string]string // pool_size and the like, unchecked
	// HasPassword is a password of any kind. Weak is one of those that everybody tries first, the user's name among them;
	// Path is a path such as that of a secret.
	HasPassword, Weak, Path bool
	// RootCert, Cert and Key tell whether sslrootcert, sslcert and sslkey are named.
	RootCert, Cert, Key bool
	// SSLModeForAsyncpg: sslmode= in the URL of a driver that knows only ssl=.
	SSLModeForAsyncpg bool
}

// Inspect reads a URL or keyword string and tells what is in it. The error is that of Resolve.
func Inspect(text string) (URLFacts, error) {
	scheme, _, _ := strings.Cut(strings.TrimSpace(text), ":")
	base, driver, _ := strings.Cut(strings.ToLower(scheme), "+")
	if base == "sqlite" {
		return URLFacts{SQLite: true}, nil
	}
	p, bad := parse(text)
	if bad != nil {
		return URLFacts{}, bad
	}
	out, bad := p.translate()
	if bad != nil {
		return URLFacts{}, bad
	}
	pw := out.conn["password"]
	if !strings.Contains(text, "://") {
		base = ""
	}
	return URLFacts{
		Scheme: base, Driver: driver, Host: out.conn["host"], Port: out.conn["port"], User: out.conn["user"], Database: out.conn["dbname"], SSLMode: out.conn["sslmode"], Pool: out.pool,
		HasPassword: pw != "", Weak: WeakPassword(pw, out.conn["user"]), Path: strings.HasPrefix(pw, "/") && strings.Count(pw, "/") > 1,
		RootCert: out.conn["sslrootcert"] != "", Cert: out.conn["sslcert"] != "", Key: out.conn["sslkey"] != "",
		SSLModeForAsyncpg: driver == "asyncpg" && p["sslmode"] != "",
	}, nil
}

// weak are passwords from images, manuals and the guide's own examples.
var weak = []string{
	"password", "passwd", "pass", "postgres", "postgresql", "secret", "changeme", "change_me", "admin", "root", "test", "example",
	"devpass", "dev", "letmein", "123456", "12345678", "qwerty", "mysecretpassword", "app", "newpassword",
}

// WeakPassword tells whether a password is among the first that anybody tries.
func WeakPassword(password, user string) bool {
	p := strings.ToLower(password)
	return p != "" && (slices.Contains(weak, p) || user != "" && p == strings.ToLower(user))
}

// PoolRange is what the application's validation takes for a parameter of its pool.
func PoolRange(name string) (low, high int, ok bool) {
	r, ok := poolRanges[name]
	return r.min, r.max, ok
}
