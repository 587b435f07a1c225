// Package target settles which server pgfit is to reach and how: an argument, DATABASE_URL, libpq's environment, the
// application's config.yaml and .env become one resolved, redacted target. It knows the dialects of connection URLs, where
// passwords come from, which value wins and where each one came from, and it explains why a connection failed. It does
// not connect, and no password reaches its errors, notices or redacted texts.
package target

import (
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Input is where a target may be named. The zero value means: look at the environment of the process only.
type Input struct {
	Arg        string // a URL or a libpq keyword string, "" when none was given
	Scratch    bool   // a throw-away server was asked for; configuration files are then read for the pool only
	ConfigFile string // the application's config.yaml
	EnvFile    string // its .env
	// LookupEnv is os.LookupEnv when nil. PG* variables and files that pgx itself reads come from the process either way.
	LookupEnv func(string) (string, bool)
}

// Target is one resolved target.
type Target struct {
	Scratch     bool
	Config      *pgx.ConnConfig // nil for a scratch server
	Redacted    string          // for people and for the run document; never holds a password
	Environment string          // development, testing or production; "" when nothing says so
	Pool        *AppPool        // the application's pool, nil when nothing describes it
	// Origins tells for each value (host, port, dbname, user, password, sslmode, pool_size, ...) where it came from.
	Origins map[string]string
	Notices []string // what the user should know: dropped parameters, readable secrets
	values  map[string]string
}

// AppPool is the application's pool in SQLAlchemy's words; what nothing sets has the guide's default. Per process.
type AppPool struct {
	Size           int `json:"pool_size"`
	MaxOverflow    int `json:"max_overflow"`
	TimeoutSeconds int `json:"pool_timeout_seconds"`
	RecycleSeconds int `json:"pool_recycle_seconds"`
}

// Ceiling is the number of connections that one process can hold.
func (p AppPool) Ceiling() int { return p.Size + p.MaxOverflow }

// resolver carries what Resolve has gathered so far.
type resolver struct {
	in   Input
	conn params
	pool map[string]string
	t    Target
}

// namedBy are the variables of libpq that name a server; a password or an application name alone does not.
var namedBy = []string{"PGSERVICE", "PGHOST", "PGPORT", "PGDATABASE"}

// Resolve settles the target: argument, then DATABASE_URL, then libpq's PG* variables, PGSERVICE and ~/.pgpass. What a URL
// leaves open is filled from PG*. When nothing names a server the target is a scratch server. An error is a *UsageError.
func Resolve(in Input) (Target, error) {
	if in.LookupEnv == nil {
		in.LookupEnv = os.LookupEnv
	}
	r := &resolver{in: in, conn: params{}, pool: map[string]string{}, t: Target{Origins: map[string]string{}, values: map[string]string{}}}
	if err := r.resolve(); err != nil {
		return Target{}, err
	}
	return r.t, nil
}

func (r *resolver) resolve() *UsageError {
	if err := r.source(); err != nil {
		return err
	}
	if err := r.environment(); err != nil {
		return err
	}
	if err := r.settlePool(); err != nil {
		return err
	}
	if r.t.Scratch {
		r.t.Redacted = "a scratch server"
		return nil
	}
	return r.build()
}

// source finds what names the server.
func (r *resolver) source() *UsageError {
	url, _ := r.in.LookupEnv("DATABASE_URL")
	switch {
	case r.in.Arg != "":
		return r.take(r.in.Arg, "argument")
	case r.in.Scratch:
		r.t.Scratch = true
	case strings.TrimSpace(url) != "":
		return r.take(url, "DATABASE_URL (environment)")
	default:
		r.t.Scratch = !slices.ContainsFunc(namedBy, func(name string) bool { v, _ := r.in.LookupEnv(name); return v != "" })
	}
	return nil
}

// take reads one connection string and keeps what it says, with its place as origin.
func (r *resolver) take(text, place string) *UsageError {
	p, err := parse(text)
	if err != nil {
		return err.at(place)
	}
	out, err := p.translate()
	if err != nil {
		return err.at(place)
	}
	for name, value := range out.conn {
		r.conn[name], r.t.Origins[name] = value, place
	}
	for name, value := range out.pool {
		r.pool[name], r.t.Origins[name] = value, place
	}
	if len(out.dropped) > 0 {
		r.notice("%s: not used by pgfit: %s", place, strings.Join(out.dropped, ", "))
	}
	return nil
}

// parse tells a URL from a keyword string.
func parse(text string) (params, *UsageError) {
	text = strings.TrimSpace(text)
	scheme, _, isURL := strings.Cut(text, "://")
	switch {
	case isURL && !strings.ContainsAny(scheme, "= \t"), strings.HasPrefix(strings.ToLower(text), "sqlite"):
		return parseURL(text)
	case strings.Contains(text, "="):
		return parseKeywords(text)
	}
	return nil, usagef("the target is neither a URL nor a keyword string").hint("write %s, or host=... dbname=...", urlForm)
}

// environment is the application's mode.
func (r *resolver) environment() *UsageError {
	const place = "APP_ENVIRONMENT (environment)"
	mode, _ := r.in.LookupEnv("APP_ENVIRONMENT")
	return r.setEnvironment(mode, place)
}

func (r *resolver) setEnvironment(mode, place string) *UsageError {
	switch mode {
	case "":
		return nil
	case "development", "testing", "production":
		r.t.Environment, r.t.Origins["environment_mode"] = mode, place
		return nil
	}
	return usagef("%s: the environment is not one of development, testing, production", place)
}
