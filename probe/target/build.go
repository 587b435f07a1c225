package target

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// defaultConnectTimeout is the guide's, in seconds; libpq and pgx would wait for ever.
const defaultConnectTimeout = "10"

// envNames are libpq's variables by parameter, as far as pgx reads them.
var envNames = map[string]string{
	"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD", "passfile": "PGPASSFILE",
	"application_name": "PGAPPNAME", "connect_timeout": "PGCONNECT_TIMEOUT", "sslmode": "PGSSLMODE", "sslkey": "PGSSLKEY",
	"sslcert": "PGSSLCERT", "sslcertmode": "PGSSLCERTMODE", "sslsni": "PGSSLSNI", "sslrootcert": "PGSSLROOTCERT",
	"sslpassword": "PGSSLPASSWORD", "sslnegotiation": "PGSSLNEGOTIATION", "target_session_attrs": "PGTARGETSESSIONATTRS",
	"service": "PGSERVICE", "servicefile": "PGSERVICEFILE", "options": "PGOPTIONS", "channel_binding": "PGCHANNELBINDING",
	"require_auth": "PGREQUIREAUTH",
}

// build makes the driver's configuration. The password is set on it afterwards: a message of the driver about the rest
// cannot hold what it never saw.
func (r *resolver) build() *UsageError {
	r.defaults()
	var names []string
	for _, name := range passed {
		if r.conn[name] != "" {
			names = append(names, name)
		}
	}
	var opts pgx.ParseConfigOptions
	if pw := r.conn["sslpassword"]; pw != "" {
		opts.GetSSLPassword = func(context.Context) string { return pw }
	}
	cfg, err := pgx.ParseConfigWithOptions(r.conn.keywords(names), opts)
	if err != nil {
		return r.badConfig(err)
	}
	if pw := r.conn["password"]; pw != "" {
		cfg.Password = pw
	}
	// No message of PostgreSQL is longer than 1 GiB; a length made of ASCII letters, as a web server's answer has, is.
	cfg.MaxProtocolMessageBodyLen = 1 << 30
	r.t.Config = cfg
	r.record(cfg)
	r.t.Redacted = redact(cfg, r.t.values["sslmode"])
	return nil
}

// defaults fills what nobody said and libpq would leave open.
func (r *resolver) defaults() {
	if r.conn["connect_timeout"] == "" && !r.fromOutside("connect_timeout") {
		r.conn["connect_timeout"] = defaultConnectTimeout
		r.t.Origins["connect_timeout"] = "default"
	}
}

// fromOutside tells whether pgx would take the parameter from its own sources.
func (r *resolver) fromOutside(name string) bool {
	return os.Getenv(envNames[name]) != "" || r.service() != ""
}

func (r *resolver) service() string {
	if s := r.conn["service"]; s != "" {
		return s
	}
	return os.Getenv("PGSERVICE")
}

// badConfig takes the driver's message without the connection string in front of it.
func (r *resolver) badConfig(err error) *UsageError {
	text := err.Error()
	if i := strings.LastIndex(text, "`: "); i >= 0 {
		text = text[i+len("`: "):]
	}
	place := r.t.Origins["host"]
	if place == "" {
		place = "libpq's environment"
	}
	return &UsageError{Text: fmt.Sprintf("the connection parameters (%s) cannot be used: %s", place, text)}
}

// record keeps the effective values and where they came from.
func (r *resolver) record(cfg *pgx.ConnConfig) {
	show := map[string]string{
		"host": cfg.Host, "port": strconv.Itoa(int(cfg.Port)), "dbname": cfg.Database, "user": cfg.User,
		"connect_timeout": strconv.FormatFloat(cfg.ConnectTimeout.Seconds(), 'f', -1, 64),
	}
	for name, value := range cfg.RuntimeParams {
		show[name] = value
	}
	for name := range envNames {
		if v := r.conn[name]; v != "" && show[name] == "" {
			show[name] = v
		} else if v := os.Getenv(envNames[name]); v != "" && show[name] == "" {
			show[name] = v
		}
	}
	if show["sslmode"] == "" && r.service() == "" {
		show["sslmode"] = "prefer"
	}
	for name, value := range show {
		if value != "" {
			r.t.values[name] = value
			r.origin(name)
		}
	}
	delete(r.t.values, "sslpassword")
	delete(r.t.values, "password")
	if cfg.Password != "" {
		r.t.values["password"] = Masked
		r.origin("password")
	}
}

// Masked stands for every secret.
const Masked = "********"

// origin names where a value came from that no connection string gave: the service file beats
// the environment.
func (r *resolver) origin(name string) {
	env := os.Getenv(envNames[name])
	switch {
	case r.t.Origins[name] != "":
	case r.service() != "" && env != r.t.values[name] && name != "service":
		r.t.Origins[name] = "service " + r.service()
	case env != "":
		r.t.Origins[name] = envNames[name] + " (environment)"
	case name == "password":
		r.t.Origins[name] = "password file"
	default:
		r.t.Origins[name] = "default"
	}
}

// redact writes the target as a URL that can be shown and typed again, without any password.
func redact(cfg *pgx.ConnConfig, sslmode string) string {
	u := url.URL{Scheme: "postgresql", Path: "/" + cfg.Database}
	if cfg.User != "" {
		u.User = url.User(cfg.User)
	}
	q := url.Values{}
	if network, _ := pgconn.NetworkAddress(cfg.Host, cfg.Port); network == "unix" {
		q.Set("host", cfg.Host)
		if cfg.Port != 5432 {
			q.Set("port", strconv.Itoa(int(cfg.Port)))
		}
	} else {
		u.Host = address(cfg.Host, cfg.Port)
		for _, f := range cfg.Fallbacks {
			if more := address(f.Host, f.Port); !strings.Contains(","+u.Host+",", ","+more+",") {
				u.Host += "," + more
			}
		}
		if sslmode != "" {
			q.Set("sslmode", sslmode)
		}
	}
	u.RawQuery = strings.ReplaceAll(q.Encode(), "%2F", "/")
	return u.String()
}

func address(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}

func (r *resolver) notice(format string, args ...any) {
	r.t.Notices = append(r.t.Notices, fmt.Sprintf(format, args...))
}
