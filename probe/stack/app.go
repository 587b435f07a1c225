package stack

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"pgfit/probe/appconf"
	"pgfit/probe/target"
)

// Value is an effective value and where it comes from.
type Value struct {
	Place
	Text string // never a secret
	From string // the variable that gave it, "" when the file itself does
}

// URL is one connection URL without its secrets.
type URL struct {
	Place
	target.URLFacts
	Name     string // DATABASE_URL, or database.url
	Fallback bool   // the default of ${DATABASE_URL:-...}, not what is in force
	Literal  bool   // the password is written out, not put together from variables
	Error    string // why no driver takes it
}

// App is what config.yaml and .env say.
type App struct {
	ConfigFile, EnvFile string
	Problems            []Problem
	Environment         Value
	Pool                map[string]Value
	Names               map[string]Value // app_db, owner_user, user, ro_user
	Temporal            []string         // databases of Temporal, as .env names them
	TemporalUser        string
	URLs                []URL // the one in force first, if there is one
	PasswordSource      bool  // something beside the URL gives a password, or may on another machine
	Unset               []Problem
	Later               []Problem // variables that .env sets below the line that uses them
	Twice               []Problem
	Weak                []Problem // passwords of .env that everybody tries first
	Readable            []Place   // files with a secret that everybody may read
}

// appReader reads an App.
type appReader struct {
	app    *App
	doc    *appconf.Document
	env    *appconf.Env
	vars   []appconf.EnvVar
	data   []byte // of .env
	lookup func(string) (string, bool)
}

const section = "database."

func readApp(config, env string, outer func(string) (string, bool)) (*App, error) {
	r := &appReader{app: &App{ConfigFile: config, EnvFile: env, Pool: map[string]Value{}, Names: map[string]Value{}}}
	if env != "" {
		data, err := os.ReadFile(env)
		if err != nil {
			return nil, fmt.Errorf("reading .env: %w", err)
		}
		r.readEnv(data, outer)
	}
	r.lookup = func(name string) (string, bool) {
		if v, ok := outer(name); ok {
			return v, true
		}
		return r.env.Lookup(name)
	}
	if config != "" {
		data, err := os.ReadFile(config)
		if err != nil {
			return nil, fmt.Errorf("reading config.yaml: %w", err)
		}
		if r.doc, err = appconf.Parse(data); err != nil {
			r.problem(config, err)
		} else if !slices.ContainsFunc(r.doc.Scalars(), func(s appconf.Scalar) bool { return strings.HasPrefix(s.Path, section) }) {
			r.problem(config, errors.New("it has no section database"))
		}
	}
	r.names()
	r.urls(outer)
	r.pool()
	r.passwords()
	return r.app, nil
}

// problem takes the line out of an error of appconf, which begins with it.
func (r *appReader) problem(file string, err error) {
	p := Problem{Place: Place{File: file}, Text: err.Error()}
	var line int
	if _, scan := fmt.Sscanf(err.Error(), "line %d:", &line); scan == nil {
		p.Line = line
		_, p.Text, _ = strings.Cut(err.Error(), ": ")
	}
	r.app.Problems = append(r.app.Problems, p)
}

func (r *appReader) readEnv(data []byte, outer func(string) (string, bool)) {
	r.data = data
	var err error
	if r.env, err = appconf.ReadEnv(data, outer); err != nil {
		r.problem(r.app.EnvFile, err)
		r.env = nil
		return
	}
	r.vars, _ = appconf.ParseEnv(data)
	for _, name := range r.env.Names() {
		if n := r.env.Times(name); n > 1 {
			r.app.Twice = append(r.app.Twice, Problem{Place{r.app.EnvFile, r.env.Line(name)}, fmt.Sprintf("%s is set %d times", name, n)})
		}
	}
	for _, v := range r.vars {
		r.unset(string(data[v.Start:v.End]), Place{r.app.EnvFile, v.Line}, outer)
	}
}

// bareVariable is a ${NAME} without a default.
var bareVariable = regexp.MustCompile(`\$\{([A-Z_][A-Z0-9_]*)\}`)

// unset finds variables that are set nowhere, or only further down: .env is read from the top.
func (r *appReader) unset(text string, at Place, outer func(string) (string, bool)) {
	for _, m := range bareVariable.FindAllStringSubmatch(text, -1) {
		if _, ok := outer(m[1]); ok {
			continue
		}
		switch first := r.first(m[1]); {
		case first == 0:
			r.app.Unset = append(r.app.Unset, Problem{at, "the variable " + m[1] + " is not set"})
		case first >= at.Line:
			r.app.Later = append(r.app.Later, Problem{at, fmt.Sprintf("the variable %s is set only in line %d", m[1], first)})
		}
	}
}

// first is the first line of .env that sets a variable, 0 when none does.
func (r *appReader) first(name string) int {
	for _, v := range r.vars {
		if v.Name == name {
			return v.Line
		}
	}
	return 0
}

// value is a key of the section, variables put in place.
func (r *appReader) value(key string) (Value, bool) {
	if r.doc == nil {
		return Value{}, false
	}
	s, ok := r.doc.Scalar(section + key)
	if !ok || s.Null() {
		return Value{}, false
	}
	v := Value{Place: Place{r.app.ConfigFile, s.Line}}
	var err error
	v.Text, err = appconf.Expand(s.Text, func(name string) (string, bool) {
		text, ok := r.asked(name, s)
		if ok && text != "" && v.From == "" {
			v.From = name
			if line := r.env.Line(name); line > 0 {
				v.Place = Place{r.app.EnvFile, line}
			}
		}
		return text, ok
	})
	if err != nil {
		r.app.Problems = append(r.app.Problems, Problem{Place{r.app.ConfigFile, s.Line}, key + " " + err.Error()})
		return v, false
	}
	return v, true
}

// asked looks a variable of config.yaml up; one without a default that is set nowhere is noted.
func (r *appReader) asked(name string, s appconf.Scalar) (string, bool) {
	text, ok := r.lookup(name)
	if !ok && strings.Contains(s.Text, "${"+name+"}") {
		r.app.Unset = append(r.app.Unset, Problem{Place{r.app.ConfigFile, s.Line}, "the variable " + name + " is not set"})
	}
	return text, ok
}

// names reads what is no secret.
func (r *appReader) names() {
	for key, variable := range map[string]string{"app_db": "APP_DB", "owner_user": "APP_DB_OWNER", "user": "APP_DB_USER", "ro_user": "APP_DB_RO_USER"} {
		if v, ok := r.either(key, variable); ok {
			r.app.Names[key] = v
		}
	}
	r.app.Environment, _ = r.either("environment_mode", "APP_ENVIRONMENT")
	for _, name := range []string{"TEMPORAL_DB", "TEMPORAL_VIS_DB"} {
		if v, ok := r.lookup(name); ok && v != "" {
			r.app.Temporal = append(r.app.Temporal, v)
		}
	}
	r.app.TemporalUser, _ = r.lookup("TEMPORAL_DB_USER")
}

// either is a key of config.yaml, or without one a variable of .env.
func (r *appReader) either(key, variable string) (Value, bool) {
	if v, ok := r.value(key); ok || r.doc != nil {
		return v, ok && v.Text != ""
	}
	text, ok := r.env.Lookup(variable)
	return Value{Place{r.app.EnvFile, r.env.Line(variable)}, text, variable}, ok && text != ""
}

// urls finds the URL in force and the default that stands behind it.
func (r *appReader) urls(outer func(string) (string, bool)) {
	none := func(string) (string, bool) { return "", false }
	if text, ok := r.lookup("DATABASE_URL"); ok && strings.TrimSpace(text) != "" {
		u := URL{Name: "DATABASE_URL", Place: Place{File: "DATABASE_URL (environment)"}}
		if _, fromOutside := outer("DATABASE_URL"); !fromOutside {
			u.Place = Place{r.app.EnvFile, r.env.Line("DATABASE_URL")}
		}
		raw := text
		for _, v := range r.vars {
			if v.Name == "DATABASE_URL" && v.Line == u.Line {
				raw = strings.Trim(string(r.data[v.Start:v.End]), `"'`)
			}
		}
		bare, _ := appconf.Expand(raw, none)
		r.url(u, text, bare)
	}
	if r.doc == nil {
		return
	}
	s, ok := r.doc.Scalar(section + "url")
	if !ok || s.Null() {
		return
	}
	u := URL{Name: section + "url", Place: Place{r.app.ConfigFile, s.Line}, Fallback: len(r.app.URLs) > 0}
	bare, _ := appconf.Expand(s.Text, none)
	text := bare
	if !u.Fallback {
		if text, _ = appconf.Expand(s.Text, func(name string) (string, bool) { return r.asked(name, s) }); text == "" {
			return
		}
	} else if name, whole := appconf.Variable(s.Text); !whole && name == "" && !strings.Contains(s.Text, "DATABASE_URL") {
		return // a URL of its own beside DATABASE_URL is not in force
	}
	if text != "" {
		r.url(u, text, bare)
	}
}

// url inspects one URL; bare is the same with every variable empty.
func (r *appReader) url(u URL, text, bare string) {
	facts, err := target.Inspect(text)
	if err != nil {
		u.Error = err.Error()
	}
	u.URLFacts = facts
	if b, err := target.Inspect(bare); err == nil {
		u.Literal = b.HasPassword
	}
	r.app.URLs = append(r.app.URLs, u)
}

// pool takes the pool from the URL's query in force, then from config.yaml.
func (r *appReader) pool() {
	for _, name := range target.PoolKeys {
		if len(r.app.URLs) > 0 && !r.app.URLs[0].Fallback {
			if text, ok := r.app.URLs[0].URLFacts.Pool[name]; ok {
				r.app.Pool[name] = Value{Place: r.app.URLs[0].Place, Text: text, From: r.app.URLs[0].Name}
				continue
			}
		}
		if v, ok := r.value(name); ok {
			r.app.Pool[name] = v
		}
	}
}

// passwords looks for sources beside the URL, and for files that everybody may read.
func (r *appReader) passwords() {
	if v, ok := r.value("password_env_var"); ok && v.Text != "" {
		_, set := r.lookup(v.Text)
		r.app.PasswordSource = set
	}
	if v, ok := r.value("password_file_path"); ok && v.Text != "" {
		r.app.PasswordSource = true // the file may lie on the machine where the application runs
		r.readable(v.Text)
	}
	secret := false
	for _, v := range r.vars {
		name, text := strings.ToUpper(v.Name), strings.Trim(string(r.data[v.Start:v.End]), `"'`)
		if text == "" || strings.HasPrefix(text, "/") || strings.Contains(name, "_FILE") || !strings.Contains(name, "PASSWORD") && !strings.HasSuffix(name, "_PW") {
			continue
		}
		secret = true
		if target.WeakPassword(text, "") {
			r.app.Weak = append(r.app.Weak, Problem{Place{r.app.EnvFile, v.Line}, v.Name})
		}
	}
	if secret || len(r.app.URLs) > 0 && r.app.URLs[0].Literal && r.app.URLs[0].File == r.app.EnvFile {
		r.readable(r.app.EnvFile)
	}
}

func (r *appReader) readable(path string) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
		r.app.Readable = append(r.app.Readable, Place{File: path})
	}
}
