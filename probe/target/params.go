package target

import (
	"slices"
	"strings"
)

// passed are the parameters that the driver understands and that are handed on.
var passed = []string{
	"host", "port", "dbname", "user", "passfile", "service", "servicefile", "connect_timeout", "application_name", "options",
	"sslmode", "sslrootcert", "sslcert", "sslkey", "sslnegotiation", "sslcertmode", "sslsni", "target_session_attrs",
	"channel_binding", "require_auth", "krbsrvname", "krbspn", "min_protocol_version", "max_protocol_version",
}

// secrets are parameters that are handed on apart from the others, so that no message of the driver can hold them.
var secrets = []string{"password", "sslpassword"}

// PoolKeys are the parameters of the application's pool: in a URL they are the pool to judge, never sent to the server.
var PoolKeys = []string{"pool_size", "max_overflow", "pool_timeout", "pool_recycle"}

// ignored are parameters of libpq and of the application's drivers that have no counterpart here. They are dropped with
// one notice; anything else is refused, since a misspelt sslmode must not be dropped in silence.
var ignored = []string{
	"async_fallback", "client_encoding", "command_timeout", "fallback_application_name", "gssdelegation", "gssencmode",
	"gsslib", "hostaddr", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts",
	"max_cacheable_statement_size", "max_cached_statement_lifetime", "pool_pre_ping", "pool_use_lifo", "prepare_threshold",
	"prepared_statement_cache_size", "prepared_statement_name_func", "replication", "requirepeer", "requiressl", "schema",
	"server_settings", "ssl_context", "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcompression", "sslcrl",
	"sslcrldir", "statement_cache_size", "tcp_user_timeout", "timeout",
}

var sslModes = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

func canonical(name string) string {
	switch name {
	case "database":
		return "dbname"
	case "username":
		return "user"
	}
	return name
}

func isKnown(name string) bool {
	name = canonical(name)
	return name == "ssl" || slices.Contains(passed, name) || slices.Contains(secrets, name) ||
		slices.Contains(PoolKeys, name) || slices.Contains(ignored, name)
}

// known is a name fit for a message: an unknown one could be a piece of a mislaid password.
func known(name string) string {
	if isKnown(name) {
		return canonical(name)
	}
	return "parameter"
}

// translated is what a URL or keyword string comes to.
type translated struct {
	conn    params            // what the driver gets, and the secrets
	pool    map[string]string // the pool to judge
	dropped []string
}

// translate sorts the parameters and settles ssl= and sslmode=.
func (p params) translate() (translated, *UsageError) {
	out := translated{conn: params{}, pool: map[string]string{}}
	for name, value := range p {
		switch {
		case slices.Contains(passed, name), slices.Contains(secrets, name):
			out.conn[name] = value
		case slices.Contains(PoolKeys, name):
			out.pool[name] = value
		case slices.Contains(ignored, name):
			out.dropped = append(out.dropped, name)
		case name != "ssl":
			return out, unknownParam(p)
		}
	}
	slices.Sort(out.dropped)
	if addr := p["hostaddr"]; addr != "" && out.conn["host"] == "" {
		out.conn["host"] = addr
		out.dropped = slices.DeleteFunc(out.dropped, func(s string) bool { return s == "hostaddr" })
	}
	return out, out.ssl(p["ssl"])
}

// unknownParam names the first unknown parameter in alphabetical order, so that the message is always the same.
func unknownParam(p params) *UsageError {
	var names []string
	for name := range p {
		if !isKnown(name) {
			names = append(names, name)
		}
	}
	name := slices.Min(names)
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.0123456789") != "" || len(name) > 40 {
		return usagef("the connection parameters have an unknown one")
	}
	return usagef("unknown connection parameter %s", name).
		hint("a setting of the server goes into options: options=-c%%20%s%%3Dvalue", name)
}

// ssl turns asyncpg's ssl= into sslmode= and checks the mode.
func (t *translated) ssl(ssl string) *UsageError {
	if ssl != "" {
		mode := strings.ToLower(ssl)
		switch mode {
		case "true", "1", "on", "yes":
			mode = "require"
		case "false", "0", "off", "no":
			mode = "disable"
		}
		if have := t.conn["sslmode"]; have != "" && have != mode {
			return usagef("ssl= and sslmode= contradict each other").hint("keep sslmode= alone")
		}
		t.conn["sslmode"] = mode
	}
	if mode := t.conn["sslmode"]; mode != "" && !slices.Contains(sslModes, mode) {
		return usagef("the sslmode is not one that PostgreSQL knows").hint("want %s", strings.Join(sslModes, ", "))
	}
	return nil
}
