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

	"pgfit/probe/appconf"
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
	App         *App            // what config.yaml says, nil without one
	// Origins tells for each value (host, port, dbname, user, password, sslmode, pool_size, ...) where it came from.
	Origins map[string]string
	Notices []string // what the user should know: dropped parameters, readable secrets
	values  map[string]string
}

// App is what config.yaml says about the application beside its connection.
type App struct {
	ConfigFile string `json:"config_file"`
	EnvFile    string `json:"env_file,omitempty"`
	Database   string `json:"app_db,omitempty"`
	Owner      string `json:"owner_user,omitempty"` // owns the objects, has no login
	User       string `json:"user,omitempty"`
	ReadOnly   string `json:"ro_user,omitempty"`
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
	conf *config // nil without a config.yaml
	env  *appconf.Env
	told bool // of a .env that is not read
	own  bool // the connection is the application's own: no argument names another
	t    Target
}

// namedBy are the variables of libpq that name a server; a password or an application name alone does not.
var namedBy = []string{"PGSERVICE", "PGHOST", "PGPORT", "PGDATABASE"}

// Resolve settles the target. The argument wins over DATABASE_URL in the environment, that over DATABASE_URL in .env, that
// over url in config.yaml, and that over libpq's PG* variables, PGSERVICE and ~/.pgpass, which fill what the others leave
// open. When nothing names a server the target is a scratch server. An error is a *UsageError.
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
	for _, step := range []func() *UsageError{r.readEnvFile, r.readConfig, r.source, r.environment, r.settlePool} {
		if err := step(); err != nil {
			return err
		}
	}
	if r.t.Scratch {
		r.t.Redacted = "a scratch server"
		return nil
	}
	for _, step := range []func() *UsageError{r.roles, r.password, r.envFileDefaults, r.build, r.insistOnTLS} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// source finds what names the server.
func (r *resolver) source() *UsageError {
	url, place, err := r.applicationURL()
	switch {
	case r.in.Arg != "":
		return r.take(r.in.Arg, "argument")
	case r.in.Scratch:
		r.t.Scratch = true
		r.poolOnly(url, place)
		return nil
	case err != nil:
		return err
	case url != "":
		r.own = true
		return r.take(url, place)
	}
	r.t.Scratch = !slices.ContainsFunc(namedBy, func(name string) bool { v, _ := r.lookup(name); return v != "" })
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
	err := usagef("the target is neither a URL nor a keyword string")
	if strings.ContainsAny(text, "/.") { // no URL without ://, so somebody's file
		return nil, err.hint("an application's configuration goes behind --config or --env-file; a target is %s, or host=... dbname=...", urlForm)
	}
	return nil, err.hint("write %s, or host=... dbname=...", urlForm)
}

// environment is the application's mode.
func (r *resolver) environment() *UsageError {
	mode, place, err := r.setting("environment_mode")
	if err != nil {
		return err
	}
	if mode == "" {
		mode, _ = r.lookup("APP_ENVIRONMENT")
		place = r.place("APP_ENVIRONMENT")
	}
	switch mode {
	case "":
		return nil
	case "development", "testing", "production":
		r.t.Environment, r.t.values["environment_mode"], r.t.Origins["environment_mode"] = mode, mode, place
		return nil
	}
	return usagef("%s: the environment is not one of development, testing, production", place)
}
