package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgfit/probe/roles"
)

// roles looks at the roles of a live server.
func (r *runner) roles() {
	r.look("roles.powers", "roles.no-expiry", "roles.expired", "roles.superusers")
	for _, d := range r.in.Roles.Denied {
		r.skip("roles", d)
	}
	for _, role := range r.in.Roles.Roles {
		r.role(role)
	}
	for _, name := range []string{r.in.Names.Owner, r.in.Names.User, r.in.Names.ReadOnly, r.in.Names.TemporalUser} {
		if name == "" {
			continue
		}
		if _, ok := r.in.Roles.Find(name); !ok {
			r.find("roles.missing", on("role", name), "there is no role "+name, "{role}", name)
		}
	}
	for _, db := range r.in.Roles.Databases {
		r.database(db)
	}
}

func on(kind, name string) at { return at{object: kind + " " + name} }

// role looks at a role's own attributes.
func (r *runner) role(role roles.Role) {
	where := on("role", role.Name)
	n := r.in.Names
	super := slices.Contains(role.Powers, "SUPERUSER")
	runtime := slices.Contains([]string{n.User, n.ReadOnly, n.TemporalUser}, role.Name)
	if runtime && len(role.Powers) > 0 {
		r.find("roles.powers", where, fmt.Sprintf("%s has %s", role.Name, list(role.Powers)), "{role}", role.Name)
	}
	if super && role.Login && !role.Bootstrap && !runtime {
		r.find("roles.superusers", where, role.Name+" is a superuser with a login", "{role}", role.Name)
	}
	if !role.Login || role.Hash == "none" {
		return
	}
	if role.Hash != "" {
		r.look("roles.hash")
	}
	if role.Hash == "md5" {
		r.find("roles.hash", where, "the password of "+role.Name+" is stored as md5", "{role}", role.Name)
	}
	r.expiry(role, where)
}

func (r *runner) expiry(role roles.Role, where at) {
	days := r.checks["roles.no-expiry"].Days
	left := role.ValidUntil.Sub(r.in.Roles.Now)
	switch {
	case role.ValidUntil.IsZero():
		r.find("roles.no-expiry", where, "the password of "+role.Name+" never expires", "{role}", role.Name)
	case left <= 0:
		r.find("roles.expired", where, "the password of "+role.Name+" expired on "+role.ValidUntil.UTC().Format(time.DateOnly), "{role}", role.Name)
	case days > 0 && left > time.Duration(days)*24*time.Hour:
		r.find("roles.no-expiry", where, fmt.Sprintf("the password of %s is good for %.0f days more, want at most %d", role.Name, left.Hours()/24, days), "{role}", role.Name)
	}
}

// pattern is who is who in one database.
type pattern struct {
	db                   roles.Database
	owner, user, readers string
	temporal             bool // its runtime role makes its own tables
}

func (r *runner) database(db roles.Database) {
	p := pattern{db: db, owner: r.in.Names.Owner, user: r.in.Names.User, readers: r.in.Names.ReadOnly}
	if p.temporal = slices.Contains(r.in.Names.Temporal, db.Name); p.temporal {
		p.owner, p.user, p.readers = "", r.in.Names.TemporalUser, ""
	}
	r.look("roles.owner-superuser", "roles.owner-login", "roles.public-connect")
	r.owner(p)
	if db.PublicConnect {
		r.find("roles.public-connect", on("database", db.Name), "PUBLIC may connect to "+db.Name, "{database}", db.Name)
	}
	if words(r.set.Text("shared_preload_libraries")); !p.temporal && slices.Contains(words(r.set.Text("shared_preload_libraries")), "pg_stat_statements") && r.in.Server != nil {
		if r.look("conf.statements-extension"); !db.Statements {
			r.find("conf.statements-extension", on("database", db.Name), "pg_stat_statements is loaded and not created in "+db.Name)
		}
	}
	r.members(p)
	for _, s := range db.Schemas {
		r.schema(p, s)
	}
}

func (r *runner) owner(p pattern) {
	db := p.db
	owner, _ := r.in.Roles.Find(db.Owner)
	if _, ok := r.in.Roles.Find(p.owner); ok && db.Owner != p.owner {
		r.find("roles.owner-other", on("database", db.Name), fmt.Sprintf("%s belongs to %s, not to %s", db.Name, db.Owner, p.owner), "{database}", db.Name, "{role}", p.owner)
		if named, _ := r.in.Roles.Find(p.owner); named.Login {
			r.find("roles.owner-login", on("role", named.Name), named.Name+" is the owner and may log in", "{role}", named.Name)
		}
	}
	switch {
	case slices.Contains(owner.Powers, "SUPERUSER"):
		r.find("roles.owner-superuser", on("database", db.Name), fmt.Sprintf("%s belongs to the superuser %s", db.Name, owner.Name), "{database}", db.Name)
	case owner.Login && owner.Name != p.user:
		r.find("roles.owner-login", on("role", owner.Name), owner.Name+" owns "+db.Name+" and may log in", "{role}", owner.Name)
	}
	if p.user != "" && db.Owner == p.user {
		r.find("roles.owns", on("role", p.user), p.user+" owns the database "+db.Name, "{role}", p.user, "{owner}", ownerName(p))
	}
}

func ownerName(p pattern) string {
	if p.owner != "" {
		return p.owner
	}
	return "an owner with NOLOGIN"
}

// strong are roles of PostgreSQL's own that no application needs.
var strong = []string{"pg_execute_server_program", "pg_write_server_files", "pg_read_server_files", "pg_write_all_data"}

func (r *runner) members(p pattern) {
	for _, name := range []string{p.user, p.readers} {
		role, ok := r.in.Roles.Find(name)
		if !ok {
			continue
		}
		r.look("roles.member")
		for _, m := range role.Member {
			group, _ := r.in.Roles.Find(m)
			if m == p.owner || m == p.db.Owner || slices.Contains(strong, m) || slices.Contains(group.Powers, "SUPERUSER") {
				r.find("roles.member", on("role", name), name+" is a member of "+m, "{owner}", m, "{role}", name)
			}
		}
	}
}

// schema looks at who may do what in one schema.
func (r *runner) schema(p pattern, s roles.Schema) {
	where := on("schema", p.db.Name+"."+s.Name)
	r.look("roles.public-create", "roles.public-rights")
	if s.PublicCreate {
		r.find("roles.public-create", where, "PUBLIC may create in the schema "+s.Name, "{schema}", s.Name)
	}
	if s.PublicTables {
		r.find("roles.public-rights", where, "PUBLIC has rights on tables of the schema "+s.Name, "{schema}", s.Name)
	}
	user, isUser := r.plainRole(p.user)
	access := s.Access[p.user]
	theirs := s.Owner == p.db.Owner || s.Owner == p.owner || access.Usage && s.Tables > access.NoSelect
	if isUser && theirs && (s.Tables > 0 || s.Name != "public") {
		r.appRights(p, s, access, user)
	}
	if _, ok := r.plainRole(p.readers); ok {
		r.readerRights(p, s, theirs)
	}
}

// plainRole finds a role that rights matter to.
func (r *runner) plainRole(name string) (roles.Role, bool) {
	role, ok := r.in.Roles.Find(name)
	return role, ok && name != "" && !slices.Contains(role.Powers, "SUPERUSER")
}

func (r *runner) appRights(p pattern, s roles.Schema, a roles.Access, role roles.Role) {
	r.look("roles.owns", "roles.app-ddl", "roles.app-lacks", "roles.sequences", "roles.default-privileges")
	where := on("role", p.user)
	fill := []string{"{role}", p.user, "{schema}", s.Name, "{owner}", ownerName(p)}
	if s.Owner == p.user || a.Owns > 0 {
		r.find("roles.owns", where, fmt.Sprintf("%s owns %d tables of the schema %s, or the schema", p.user, a.Owns, s.Name), fill...)
		return
	}
	if slices.Contains(role.Member, p.owner) || slices.Contains(role.Member, s.Owner) {
		return // has every right through the owner, which is told
	}
	var more []string
	if a.Create && !p.temporal {
		more = append(more, "CREATE")
	}
	if a.Truncate > 0 && !p.temporal {
		more = append(more, "TRUNCATE")
	}
	if a.Trigger > 0 && !p.temporal {
		more = append(more, "TRIGGER or REFERENCES")
	}
	if len(more) > 0 {
		r.find("roles.app-ddl", where, fmt.Sprintf("%s has %s in the schema %s", p.user, list(more), s.Name), fill...)
	}
	if lacks := lacking(a); len(lacks) > 0 && (s.Tables > 0 || !a.Usage) {
		r.find("roles.app-lacks", where, fmt.Sprintf("%s lacks %s in the schema %s", p.user, list(lacks), s.Name), fill...)
	}
	if a.NoSequence > 0 && a.Insert > 0 {
		r.find("roles.sequences", where, fmt.Sprintf("%s may not use %d sequences of the schema %s", p.user, a.NoSequence, s.Name), fill...)
	}
	r.future(p, s, p.user, []string{"SELECT", "INSERT", "UPDATE", "DELETE"})
}

// lacking are the rights of DML that a role does not have on all tables.
func lacking(a roles.Access) []string {
	var out []string
	if !a.Usage {
		out = append(out, "USAGE")
	}
	for _, right := range []struct {
		name string
		none int
	}{{"SELECT", a.NoSelect}, {"INSERT", a.NoInsert}, {"UPDATE", a.NoUpdate}, {"DELETE", a.NoDelete}} {
		if right.none > 0 {
			out = append(out, fmt.Sprintf("%s on %d tables", right.name, right.none))
		}
	}
	return out
}

// future wants the rights on tables that are made later. Temporal's own role makes its tables itself.
func (r *runner) future(p pattern, s roles.Schema, role string, rights []string) {
	if p.temporal {
		return
	}
	var lacks []string
	for _, right := range rights {
		if !slices.Contains(s.Defaults[role], right) {
			lacks = append(lacks, right)
		}
	}
	if len(lacks) > 0 {
		r.find("roles.default-privileges", on("role", role), fmt.Sprintf("%s gets no %s on tables made later in the schema %s", role, strings.Join(lacks, ", "), s.Name),
			"{role}", role, "{schema}", s.Name, "{owner}", s.Owner, "{rights}", strings.Join(rights, ", "))
	}
}

func (r *runner) readerRights(p pattern, s roles.Schema, theirs bool) {
	r.look("roles.ro-writes", "roles.ro-blind")
	a := s.Access[p.readers]
	where := on("role", p.readers)
	fill := []string{"{role}", p.readers, "{schema}", s.Name}
	if a.Insert+a.Update+a.Delete+a.Truncate > 0 || a.Create {
		r.find("roles.ro-writes", where, fmt.Sprintf("%s may write in the schema %s", p.readers, s.Name), fill...)
	}
	role, _ := r.in.Roles.Find(p.readers)
	if !theirs || s.Tables == 0 && s.Name == "public" || slices.Contains(role.Member, "pg_read_all_data") {
		return
	}
	if !a.Usage || a.NoSelect > 0 {
		r.find("roles.ro-blind", where, fmt.Sprintf("%s cannot read the schema %s", p.readers, s.Name), fill...)
	}
	r.future(p, s, p.readers, []string{"SELECT"})
}
