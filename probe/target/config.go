package target

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"pgfit/probe/appconf"
)

// config is the application's config.yaml.
type config struct {
	file string
	doc  *appconf.Document
}

// section is the part of config.yaml that describes the database.
const section = "database"

// readEnvFile reads .env; the environment of the process is asked first for the variables in it.
func (r *resolver) readEnvFile() *UsageError {
	if r.in.EnvFile == "" {
		return nil
	}
	data, err := os.ReadFile(r.in.EnvFile)
	if err != nil {
		return (&UsageError{Text: "reading --env-file", Err: err}).hint("make it from the template: cp .env.example .env\ncheck the path: it counts from the present directory")
	}
	if r.env, err = appconf.ReadEnv(data, r.in.LookupEnv); err != nil {
		return usagef("%s: %v", r.in.EnvFile, err).hint("write NAME=value, or NAME='value' where it has blanks or a dollar sign")
	}
	for _, name := range r.env.Names() {
		if n := r.env.Times(name); n > 1 {
			r.notice("%s: %s is set %d times, the last one counts (line %d)", r.in.EnvFile, name, n, r.env.Line(name))
		}
	}
	return nil
}

func (r *resolver) readConfig() *UsageError {
	if r.in.ConfigFile == "" {
		return nil
	}
	data, err := os.ReadFile(r.in.ConfigFile)
	if err != nil {
		return &UsageError{Text: "reading --config", Err: err}
	}
	doc, err := appconf.Parse(data)
	if err != nil {
		return usagef("%s: %v", r.in.ConfigFile, err)
	}
	r.conf = &config{file: r.in.ConfigFile, doc: doc}
	if !r.conf.describes() {
		return usagef("%s has no section %s", r.in.ConfigFile, section).hint("pgfit reads database: url, pool_size, max_overflow, pool_timeout, pool_recycle and the rest of the guide")
	}
	return r.readApp()
}

func (c *config) describes() bool {
	for _, s := range c.doc.Scalars() {
		if strings.HasPrefix(s.Path, section+".") {
			return true
		}
	}
	return false
}

func (r *resolver) readApp() *UsageError {
	app := &App{ConfigFile: r.in.ConfigFile, EnvFile: r.in.EnvFile}
	for key, to := range map[string]*string{"app_db": &app.Database, "owner_user": &app.Owner, "user": &app.User, "ro_user": &app.ReadOnly} {
		value, place, err := r.setting(key)
		if err != nil {
			return err
		}
		if *to = value; value != "" {
			name := map[string]string{"user": "app_user"}[key] // "user" is the connection's
			if name == "" {
				name = key
			}
			r.t.values[name], r.t.Origins[name] = value, place
		}
	}
	r.t.App = app
	return nil
}

// lookup finds a variable: the environment of the process first, then .env.
func (r *resolver) lookup(name string) (string, bool) {
	if v, ok := r.in.LookupEnv(name); ok {
		return v, true
	}
	return r.env.Lookup(name)
}

// place tells where lookup finds a variable.
func (r *resolver) place(name string) string {
	if _, ok := r.in.LookupEnv(name); !ok && r.env.Line(name) > 0 {
		return name + " (" + r.in.EnvFile + ":" + strconv.Itoa(r.env.Line(name)) + ")"
	}
	return name + " (environment)"
}

// setting reads a value of the section, variables put in place. The place names the variable that gave it, if one did.
func (r *resolver) setting(key string) (value, place string, err *UsageError) {
	if r.conf == nil {
		return "", "", nil
	}
	s, ok := r.conf.doc.Scalar(section + "." + key)
	if !ok || s.Null() {
		return "", "", nil
	}
	place = r.conf.file + ":" + strconv.Itoa(s.Line)
	var from []string
	value, bad := appconf.Expand(s.Text, func(name string) (string, bool) {
		v, ok := r.lookup(name)
		if ok && v != "" && strings.Contains(s.Text, name) {
			from = append(from, name)
		}
		return v, ok
	})
	if bad != nil {
		return "", "", usagef("%s: %s %v", place, key, bad).hint(notSet)
	}
	if len(from) > 0 {
		place = r.place(from[0]) + ", " + place
	}
	r.unset(s.Text, place)
	return value, place, nil
}

// notSet is what to check when a variable has no value.
const notSet = "check that the variable is set: env | grep -i -e database -e postgres\n" +
	"check that the .env file is read: pass it with --env-file, pgfit reads none by itself\n" +
	"give it a default: ${NAME:-value}"

// bareVariable is a ${NAME} without a default. Only names in capitals are shown: another may be a piece of a password.
var bareVariable = regexp.MustCompile(`\$\{([A-Z_][A-Z0-9_]*)\}`)

// unset tells of variables that are asked for and set nowhere.
func (r *resolver) unset(text, place string) {
	for _, m := range bareVariable.FindAllStringSubmatch(text, -1) {
		if _, ok := r.lookup(m[1]); !ok {
			r.notice("%s: the variable %s is not set", place, m[1])
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(r.in.ConfigFile), ".env")); r.in.EnvFile == "" && err == nil && strings.Contains(text, "${") && !r.told {
		r.told = true
		r.notice("%s has variables and a .env lies beside it: it is read only with --env-file", r.in.ConfigFile)
	}
}

// applicationURL is the application's own URL and where it comes from.
func (r *resolver) applicationURL() (url, place string, err *UsageError) {
	if url, ok := r.lookup("DATABASE_URL"); ok && strings.TrimSpace(url) != "" {
		place := r.place("DATABASE_URL")
		if !strings.Contains(url, "${") {
			return url, place, nil
		}
		// What a shell exported from .env still has its ${POSTGRES_APP_USER_PW} in it.
		r.unset(url, place)
		if url, bad := appconf.Expand(url, r.lookup); bad == nil {
			return url, place, nil
		}
		return "", "", usagef("%s: a ${...} in it is broken or asks for a variable that is not set", place).hint(notSet)
	}
	return r.setting("url")
}

// poolOnly takes the pool out of the application's URL and leaves the rest: a scratch server is measured for it.
func (r *resolver) poolOnly(url, place string) {
	p, err := parse(url)
	if err != nil {
		return
	}
	for _, name := range PoolKeys {
		if p[name] != "" {
			r.pool[name], r.t.Origins[name] = p[name], place
		}
	}
}

// configPool takes the pool of config.yaml where the URL said nothing.
func (r *resolver) configPool() *UsageError {
	for _, name := range PoolKeys {
		if r.pool[name] != "" {
			continue
		}
		value, place, err := r.setting(name)
		if err != nil {
			return err
		}
		if value != "" {
			r.pool[name], r.t.Origins[name] = value, place
		}
	}
	return nil
}

// roles takes user and database from config.yaml where the application's URL has none, and refuses the owner's role.
func (r *resolver) roles() *UsageError {
	app := r.t.App
	if app == nil {
		return nil
	}
	if r.own {
		fill := map[string]string{"user": app.User, "dbname": app.Database}
		for name, value := range fill {
			if r.conn[name] == "" && value != "" {
				r.conn[name], r.t.Origins[name] = value, r.t.Origins[map[string]string{"user": "app_user", "dbname": "app_db"}[name]]
			}
		}
	}
	if app.Owner != "" && r.conn["user"] == app.Owner && app.Owner != app.User {
		return usagef("the connection (%s) would log in as %s, the owner of the database", r.t.Origins["user"], app.Owner).
			hint("connect as the application's role: the owner has no login in the three-role pattern")
	}
	return nil
}

// envFileDefaults takes libpq's variables from .env where nothing else gave a value.
func (r *resolver) envFileDefaults() *UsageError {
	for name, variable := range envNames {
		_, outside := r.in.LookupEnv(variable)
		if v, ok := r.env.Lookup(variable); ok && v != "" && !outside && r.conn[name] == "" {
			r.conn[name], r.t.Origins[name] = v, r.place(variable)
		}
	}
	return nil
}

// insistOnTLS refuses a connection that could go without TLS in production.
func (r *resolver) insistOnTLS() *UsageError {
	if r.t.Environment != "production" {
		return nil
	}
	cfg := r.t.Config
	plain := cfg.TLSConfig == nil && !strings.HasPrefix(cfg.Host, "/")
	for _, f := range cfg.Fallbacks {
		plain = plain || f.TLSConfig == nil && !strings.HasPrefix(f.Host, "/")
	}
	if !plain {
		return nil
	}
	return usagef("environment_mode is production (%s) and the connection could go without TLS", r.t.Origins["environment_mode"]).
		hint("add sslmode=verify-full&sslrootcert=/path/to/ca.crt to the URL, at least sslmode=require\n" +
			"prefer and allow fall back to plain text when the server, or somebody in between, says so")
}
