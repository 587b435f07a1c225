package audit

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"pgfit/probe/stack"
	"pgfit/probe/target"
)

// app looks at config.yaml and .env.
func (r *runner) app() {
	a := r.in.App
	r.look("app.syntax", "app.range", "app.environment", "app.unset", "app.order", "app.twice", "app.roles", "app.readable")
	for _, p := range a.Problems {
		r.find("app.syntax", in(p.Place), p.Text)
	}
	for _, p := range a.Unset {
		r.find("app.unset", in(p.Place), p.Text)
	}
	for _, p := range a.Later {
		r.find("app.order", in(p.Place), p.Text+", further down: here it is empty")
	}
	for _, p := range a.Twice {
		r.find("app.twice", in(p.Place), p.Text+": the last one counts")
	}
	for _, p := range a.Readable {
		r.find("app.readable", in(p), "every user may read it")
	}
	for _, p := range a.Weak {
		r.find("app.default-password", in(p.Place), p.Text+" is a well-known password")
	}
	if e := a.Environment; e.Text != "" && e.Text != r.in.Environment {
		r.find("app.environment", in(e.Place), "the environment is "+e.Text)
	}
	r.poolRange()
	r.threeNames()
	for _, u := range a.URLs {
		r.url(u)
	}
	r.fits()
}

func (r *runner) poolRange() {
	for _, name := range target.PoolKeys {
		v, ok := r.in.App.Pool[name]
		if !ok {
			continue
		}
		if _, err := target.CheckPool(name, v.Text); err != nil {
			r.find("app.range", in(v.Place), err.Error())
		}
	}
}

func (r *runner) threeNames() {
	names := r.in.App.Names
	for _, pair := range [][2]string{{"user", "owner_user"}, {"ro_user", "owner_user"}, {"ro_user", "user"}} {
		a, b := names[pair[0]], names[pair[1]]
		if a.Text != "" && a.Text == b.Text {
			r.find("app.roles", in(a.Place), fmt.Sprintf("%s and %s are the same role, %s", pair[0], pair[1], a.Text))
		}
	}
}

// url looks at one URL.
func (r *runner) url(u stack.URL) {
	r.look("app.url", "app.fallback-password", "app.scheme")
	where := in(u.Place)
	if u.Scheme == "postgres" && r.in.App.ConfigFile != "" {
		r.find("app.scheme", where, u.Name+" begins with postgres://")
	}
	switch {
	case u.Error != "":
		r.find("app.url", where, u.Name+": "+u.Error)
		return
	case u.Fallback:
		if u.HasPassword {
			r.find("app.fallback-password", where, "the default of the URL has a password in it")
		}
		return
	}
	r.look("app.sqlite", "app.literal-password", "app.default-password", "app.password-is-path", "app.sslmode", "app.sslmode-verify", "app.tls-files", "app.driver-parameter",
		"app.mismatch", "app.no-password")
	if u.SQLite {
		r.find("app.sqlite", where, u.Name+" names SQLite")
		return
	}
	r.urlPassword(u, where)
	r.urlTLS(u, where)
	for _, pair := range [][3]string{{"user", u.User, "user"}, {"app_db", u.Database, "database"}} {
		if name := r.in.App.Names[pair[0]]; name.Text != "" && pair[1] != "" && name.Text != pair[1] {
			r.find("app.mismatch", where, fmt.Sprintf("the URL's %s is %s, and %s is %s", pair[2], pair[1], pair[0], name.Text))
		}
	}
}

func (r *runner) urlPassword(u stack.URL, where at) {
	switch {
	case u.Path:
		r.find("app.password-is-path", where, "the password in "+u.Name+" comes out as the path of a file")
	case u.Literal:
		r.find("app.literal-password", where, "the password is written out in "+u.Name)
	case !u.HasPassword && !r.in.App.PasswordSource && !strings.HasPrefix(u.Host, "/") && u.Host != "":
		r.find("app.no-password", where, "nothing gives a password for "+u.Name)
	}
	if u.Weak {
		r.find("app.default-password", where, "the password of "+u.Name+" is a well-known one")
	}
}

func (r *runner) urlTLS(u stack.URL, where at) {
	if u.SSLModeForAsyncpg {
		r.find("app.driver-parameter", where, "the URL names asyncpg and sslmode")
	}
	switch verify := strings.HasPrefix(u.SSLMode, "verify-"); {
	case verify && !u.RootCert:
		r.find("app.tls-files", where, fmt.Sprintf("%s has sslmode=%s and no sslrootcert", u.Name, u.SSLMode))
	case u.Cert != u.Key:
		r.find("app.tls-files", where, u.Name+" has only one of sslcert and sslkey")
	}
	if u.Host == "" || strings.HasPrefix(u.Host, "/") || onlyHere(u.Host) {
		return
	}
	switch u.SSLMode {
	case "":
		r.find("app.sslmode", where, u.Name+" has no sslmode, which means prefer")
	case "disable", "allow", "prefer":
		r.find("app.sslmode", where, u.Name+" has sslmode="+u.SSLMode)
	case "require":
		r.find("app.sslmode-verify", where, u.Name+" has sslmode=require")
	}
}

// onlyHere tells loopback: nothing crosses a network there.
func onlyHere(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// toolConnections are kept for tools and rolling deploys beside the pools.
const toolConnections = 5

// fits holds the pools of all processes against max_connections.
func (r *runner) fits() {
	limit, ok := r.set.Int("max_connections")
	if !ok {
		return
	}
	sizes := map[string]int{"pool_size": 20, "max_overflow": 10} // the application's defaults
	for name := range sizes {
		if v, ok := r.in.App.Pool[name]; ok {
			n, err := target.CheckPool(name, v.Text)
			if err != nil {
				return // told already
			}
			sizes[name] = n
		}
	}
	su, _ := r.set.Int("superuser_reserved_connections")
	other, _ := r.set.Int("reserved_connections")
	processes := max(1, r.in.Processes)
	pools := processes * (sizes["pool_size"] + sizes["max_overflow"])
	r.look("pool.fits")
	if need := pools + int(su+other) + toolConnections; need > int(limit) {
		where := r.set.where("max_connections")
		if v, ok := r.in.App.Pool["pool_size"]; ok {
			where = in(v.Place)
		}
		r.find("pool.fits", where, fmt.Sprintf("%d processes x (%d + %d) = %d connections, %d reserved and %d for tools are %d: max_connections is %d",
			processes, sizes["pool_size"], sizes["max_overflow"], pools, su+other, toolConnections, need, limit))
	}
}

// compose looks at the services that run PostgreSQL.
func (r *runner) compose() {
	r.look("compose.syntax")
	for _, c := range r.in.Compose {
		for _, p := range c.Problems {
			r.find("compose.syntax", in(p.Place), p.Text)
		}
		for _, s := range c.Services {
			r.service(s)
		}
	}
}

func (r *runner) service(s stack.Service) {
	r.look("compose.port", "compose.literal-password", "compose.default-password", "compose.no-password", "compose.trust", "compose.healthcheck",
		"compose.checksums", "compose.image", "compose.unread", "compose.volume", "compose.network")
	for _, p := range s.Ports {
		if p.Open {
			r.find("compose.port", in(p.Place), fmt.Sprintf("service %s publishes %s on every address", s.Name, p.Text))
		}
	}
	if s.Network.Text == "host" {
		r.find("compose.network", in(s.Network.Place), "service "+s.Name+" shares the network of the host")
	}
	r.serviceSecrets(s)
	if !s.HealthCheck {
		r.find("compose.healthcheck", in(s.Place), "service "+s.Name+" has no healthcheck")
	}
	initdb := s.Env["POSTGRES_INITDB_ARGS"]
	if m := s.Major(); m < 18 && !strings.Contains(initdb.Text, "--data-checksums") && !strings.Contains(initdb.Text, "-k") {
		r.find("compose.checksums", in(s.Place), "service "+s.Name+" makes a cluster without data checksums")
	}
	if s.Major() == 0 && s.Image.Text != "" && !strings.Contains(s.Image.Text, "@") {
		r.find("compose.image", in(s.Image.Place), fmt.Sprintf("the image %s names no major version", s.Image.Text))
	}
	r.mounts(s)
}

func (r *runner) serviceSecrets(s stack.Service) {
	var names []string
	for name := range s.Env {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v := s.Env[name]
		if v.Literal {
			r.find("compose.literal-password", in(v.Place), name+" is written out in service "+s.Name)
		}
		if v.Weak {
			r.find("compose.default-password", in(v.Place), name+" of service "+s.Name+" is a well-known one")
		}
	}
	trust := s.Env["POSTGRES_HOST_AUTH_METHOD"]
	if trust.Text == "trust" {
		r.find("compose.trust", in(trust.Place), "service "+s.Name+" lets everybody in without a password")
	}
	_, plain := s.Env["POSTGRES_PASSWORD"]
	_, file := s.Env["POSTGRES_PASSWORD_FILE"]
	if !plain && !file && !s.EnvUnread && trust.Text != "trust" {
		r.find("compose.no-password", in(s.Place), "service "+s.Name+" has neither POSTGRES_PASSWORD nor POSTGRES_PASSWORD_FILE")
	}
}

// mounts looks for configuration that the server never reads, and for data that do not last.
func (r *runner) mounts(s stack.Service) {
	kept := false
	hba := ""
	if r.in.Conf != nil {
		if p, ok := r.in.Conf.InForce("hba_file"); ok {
			hba = p.Value
		}
	}
	for _, m := range s.Mounts {
		kept = kept || holdsData(m.Target, s.Env["PGDATA"].Text)
		for suffix, option := range map[string]string{"/postgresql.conf": "config_file=", "/pg_hba.conf": "hba_file="} {
			if strings.HasSuffix(m.Target, suffix) && !strings.HasPrefix(m.Target, "/var/lib/postgresql") && !strings.Contains(s.Command, option+m.Target) && hba != m.Target {
				r.find("compose.unread", in(m.Place), fmt.Sprintf("service %s mounts %s and is not started with -c %s%s", s.Name, m.Target, option, m.Target))
			}
		}
	}
	if !kept {
		r.find("compose.volume", in(s.Place), "service "+s.Name+" keeps its data in the container")
	}
}

// dataDirs are where images keep their data, unless PGDATA says otherwise.
var dataDirs = []string{"/var/lib/postgresql", "/bitnami/postgresql", "/home/postgres/pgdata"}

// holdsData tells whether a mount is of the data directory, or of one above or below it.
func holdsData(target, pgdata string) bool {
	if pgdata != "" {
		return target == pgdata || strings.HasPrefix(pgdata, strings.TrimSuffix(target, "/")+"/")
	}
	return !strings.Contains(target, "backup") && slices.ContainsFunc(dataDirs, func(dir string) bool { return strings.HasPrefix(target, dir) })
}
