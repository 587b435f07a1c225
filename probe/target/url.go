package target

import (
	"strings"
)

// params are connection parameters by libpq's names (dbname, not database). The lists of several hosts are joined with
// commas in host and port, as libpq does.
type params map[string]string

// drivers are the SQLAlchemy drivers whose URLs name a PostgreSQL server.
var drivers = map[string]bool{
	"asyncpg": true, "psycopg": true, "psycopg2": true, "psycopg_async": true, "psycopg2cffi": true, "pg8000": true,
}

const urlForm = "postgresql://[user[:password]@][host][:port][/dbname][?param=value&...]"

// parseURL reads a connection URL the way libpq does, with SQLAlchemy's driver suffixes. Where libpq and SQLAlchemy read
// a password with an unescaped slash differently, SQLAlchemy is followed, since the URL is the application's.
func parseURL(text string) (params, *UsageError) {
	scheme, rest, ok := strings.Cut(text, "://")
	if err := checkScheme(scheme); err != nil {
		return nil, err
	}
	if !ok {
		return nil, usagef("the URL has no :// after its scheme").hint("write %s", urlForm)
	}
	p := params{}
	rest, err := p.userinfo(rest)
	if err != nil {
		return nil, err
	}
	authority, path, query := splitURL(rest)
	if err := p.hosts(authority); err != nil {
		return nil, err
	}
	if strings.ContainsAny(path, "@/") {
		return nil, usagef("the database name in the URL has an unescaped @ or / in it").
			hint("percent-encode them, also in a password: @ is %%40, / is %%2F")
	}
	if err := p.set("dbname", path); err != nil {
		return nil, err
	}
	return p, p.query(query)
}

// checkScheme tells PostgreSQL's schemes from the others. A scheme is quoted back only when it is a known word.
func checkScheme(scheme string) *UsageError {
	base, driver, has := strings.Cut(strings.ToLower(scheme), "+")
	switch {
	case base == "sqlite" || strings.HasPrefix(base, "sqlite:"):
		return usagef("the URL names SQLite, a development database: it has no server to tune and no pool to size").
			hint("point DATABASE_URL at PostgreSQL, or use --scratch")
	case base == "mysql" || base == "mariadb" || base == "oracle" || base == "mssql" || base == "mongodb" || base == "redis":
		return usagef("the URL names %s, and pgfit measures PostgreSQL only", base)
	case base == "jdbc:postgresql":
		return usagef("the URL is JDBC's").hint("leave out jdbc: and write the user before the host: %s", urlForm)
	case base != "postgres" && base != "postgresql":
		return usagef("the URL does not begin with postgresql://").hint("write %s", urlForm)
	case has && !drivers[driver]:
		return usagef("the URL names a driver that pgfit does not know").
			hint("write postgresql:// alone, or with +asyncpg, +psycopg, +psycopg2 or +pg8000\n" +
				"for the application: install the driver that the URL names, such as uv add psycopg2-binary")
	}
	return nil
}

// userinfo takes user and password off the front of what follows the scheme.
func (p params) userinfo(rest string) (string, *UsageError) {
	end := strings.IndexAny(rest, "@/")
	if end < 0 {
		return rest, nil
	}
	if rest[end] == '/' {
		if end = slashPassword(rest); end < 0 {
			return rest, nil
		}
	}
	user, password, _ := strings.Cut(rest[:end], ":")
	if err := p.set("user", user); err != nil {
		return "", err
	}
	return rest[end+1:], p.set("password", password)
}

// slashPassword finds the @ behind a password with slashes in it, such as the path of a secret that Compose put in place
// of ${POSTGRES_APP_USER_PW}: user:/run/secrets/pw@host. libpq takes that for a host named user; its port is then no
// number, which no real URL has. -1 when the URL is an ordinary one.
func slashPassword(rest string) int {
	head, _, _ := strings.Cut(rest, "?")
	user, after, ok := strings.Cut(head, ":")
	if !ok || strings.ContainsAny(user, "/[,") {
		return -1
	}
	port, _, _ := strings.Cut(after, "/")
	if port != "" && strings.Trim(port, "0123456789,:") == "" {
		return -1
	}
	at := strings.IndexByte(after, '@')
	if at < 0 {
		return -1
	}
	return len(user) + 1 + at
}

// splitURL divides host1:port1,host2:port2/dbname?query. A question mark inside brackets belongs to the host.
func splitURL(rest string) (authority, path, query string) {
	end := 0
	for inside := false; end < len(rest); end++ {
		c := rest[end]
		if c == '[' {
			inside = true
		} else if c == ']' {
			inside = false
		} else if !inside && (c == '/' || c == '?') {
			break
		}
	}
	authority, rest = rest[:end], rest[end:]
	rest, query, _ = strings.Cut(rest, "?")
	return authority, strings.TrimPrefix(rest, "/"), query
}

// hosts reads the list of hosts and ports. Neither is quoted in an error: a mislaid password ends up here.
func (p params) hosts(authority string) *UsageError {
	if authority == "" {
		return nil
	}
	var hosts, ports []string
	named := false
	for _, one := range strings.Split(authority, ",") {
		host, port, err := hostPort(one)
		if err != nil {
			return err
		}
		named = named || port != ""
		hosts, ports = append(hosts, host), append(ports, port)
	}
	if err := p.set("host", strings.Join(hosts, ",")); err != nil {
		return err
	}
	if !named {
		return nil
	}
	return p.set("port", strings.Join(ports, ","))
}

func hostPort(one string) (host, port string, err *UsageError) {
	escape := usagef("the host and port of the URL cannot be read").
		hint("an unescaped @, : or / in a password does this: percent-encode them as %%40, %%3A and %%2F")
	if rest, ok := strings.CutPrefix(one, "["); ok {
		var tail string
		if host, tail, ok = strings.Cut(rest, "]"); !ok || host == "" || (tail != "" && tail[0] != ':') {
			return "", "", usagef("the IPv6 address of the URL cannot be read").hint("write it in brackets: [::1]:5432")
		}
		port = strings.TrimPrefix(tail, ":")
	} else {
		host, port, _ = strings.Cut(one, ":")
	}
	if strings.Contains(host, "@") || strings.Trim(port, "0123456789") != "" {
		return "", "", escape
	}
	return host, port, nil
}

// query reads the parameters after the question mark; the last one of a name wins, as in libpq.
func (p params) query(query string) *UsageError {
	for _, pair := range strings.Split(query, "&") {
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		name, decoded := unescape(key)
		if !ok || !decoded || name == "" {
			return usagef("a parameter of the URL is not of the form name=value").hint("write %s", urlForm)
		}
		if err := p.set(name, value); err != nil {
			return err
		}
	}
	return nil
}

// set decodes and keeps a value; an empty one is as good as none.
func (p params) set(name, raw string) *UsageError {
	value, ok := unescape(raw)
	if !ok {
		return usagef("the %s in the URL has a %% that is not followed by two hexadecimal digits", known(name)).
			hint("a literal %% is written %%25")
	}
	if value != "" {
		p[canonical(name)] = value
	}
	return nil
}

// unescape decodes %XX; false for a broken escape or a NUL, which no parameter can hold.
func unescape(raw string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) || unhex(raw[i+1]) < 0 || unhex(raw[i+2]) < 0 {
				return "", false
			}
			c = byte(unhex(raw[i+1])<<4 | unhex(raw[i+2]))
			i += 2
		}
		if c == 0 {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
