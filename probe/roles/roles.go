// Package roles reads who may do what on a live server: roles with their attributes and memberships, owners, what given
// roles may do in each schema, and what PUBLIC may. It reads catalogues only, never a row of the user's tables, and of a
// password it keeps nothing but the kind of its hash. It does not judge.
package roles

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Facts are the roles of a server and the rights in some of its databases.
type Facts struct {
	Now       time.Time
	Roles     []Role
	Databases []Database
	Denied    []string // what the connected role may not see
}

// Role is one role. Hash is scram-sha-256, md5, none, or "" where it may not be read.
type Role struct {
	Name       string
	Login      bool
	Powers     []string // SUPERUSER, CREATEROLE, CREATEDB, REPLICATION, BYPASSRLS
	Bootstrap  bool     // the superuser that initdb made
	ValidUntil time.Time
	Hash       string
	Member     []string // roles that it is a member of, also through others
}

// Find returns a role by name.
func (f Facts) Find(name string) (Role, bool) {
	for _, r := range f.Roles {
		if r.Name == name {
			return r, true
		}
	}
	return Role{}, false
}

// Database is one database that could be looked into.
type Database struct {
	Name, Owner   string
	PublicConnect bool
	Schemas       []Schema
	Statements    bool // pg_stat_statements is created here
}

// Schema is a schema that is no part of PostgreSQL or its extensions.
type Schema struct {
	Name, Owner                string
	PublicCreate, PublicTables bool
	Tables, Sequences          int
	Access                     map[string]Access   // by role
	Defaults                   map[string][]string // rights on future tables by grantee
}

// Access is what a role may do in a schema; the counts are of tables (of sequences in NoSequence).
type Access struct {
	Usage, Create                             bool
	Owns                                      int
	NoSelect, NoInsert, NoUpdate, NoDelete    int
	Insert, Update, Delete, Truncate, Trigger int
	NoSequence                                int
}

// Connect opens a connection to a database of the same server.
type Connect func(ctx context.Context, database string) (*pgx.Conn, error)

// Read reads the roles, and for each database that exists the rights of the named roles. What is denied is named.
func Read(ctx context.Context, conn *pgx.Conn, connect Connect, databases, names []string) (Facts, error) {
	var f Facts
	if err := f.roles(ctx, conn); err != nil {
		return f, fmt.Errorf("reading pg_roles: %w", err)
	}
	if err := f.hashes(ctx, conn); err != nil {
		return f, fmt.Errorf("reading pg_authid: %w", err)
	}
	var known []string
	for _, n := range names {
		if _, ok := f.Find(n); ok {
			known = append(known, n)
		}
	}
	for _, name := range databases {
		db, err := readDatabase(ctx, conn, connect, name, known)
		switch {
		case errors.Is(err, pgx.ErrNoRows): // there is none of that name
		case err != nil && !denied(err):
			return f, fmt.Errorf("reading the rights in database %s: %w", name, err)
		case err != nil:
			f.Denied = append(f.Denied, fmt.Sprintf("database %s: %v", name, reason(err)))
		default:
			f.Databases = append(f.Databases, db)
		}
	}
	return f, nil
}

// denied tells a refusal from a failure: no connection, or a privilege that is missing.
func denied(err error) bool {
	var pg *pgconn.PgError
	var no *pgconn.ConnectError
	return errors.As(err, &no) || errors.As(err, &pg) && pg.Code == "42501"
}

// reason is the server's own word where it has one.
func reason(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return fmt.Errorf("%s (SQLSTATE %s)", pg.Message, pg.Code)
	}
	return errors.New("it cannot be connected to")
}

func (f *Facts) roles(ctx context.Context, conn *pgx.Conn) error {
	if err := conn.QueryRow(ctx, "SELECT now()").Scan(&f.Now); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, `
		WITH RECURSIVE up AS (
			SELECT member, roleid FROM pg_auth_members
			UNION SELECT up.member, m.roleid FROM up JOIN pg_auth_members m ON m.member = up.roleid)
		SELECT rolname, rolcanlogin, oid = 10, coalesce(CASE WHEN isfinite(rolvaliduntil) THEN rolvaliduntil END, 'epoch'),
			array_remove(ARRAY[CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
				CASE WHEN rolreplication THEN 'REPLICATION' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL),
			ARRAY(SELECT g.rolname::text FROM up JOIN pg_roles g ON g.oid = up.roleid WHERE up.member = r.oid ORDER BY 1)
		FROM pg_roles r WHERE rolname !~ '^pg_' ORDER BY rolname`)
	if err != nil {
		return err
	}
	var r Role
	_, err = pgx.ForEachRow(rows, []any{&r.Name, &r.Login, &r.Bootstrap, &r.ValidUntil, &r.Powers, &r.Member}, func() error {
		one := r
		one.Powers, one.Member = append([]string(nil), r.Powers...), append([]string(nil), r.Member...)
		if one.ValidUntil.Unix() == 0 {
			one.ValidUntil = time.Time{}
		}
		f.Roles = append(f.Roles, one)
		return nil
	})
	return err
}

// hashes reads the kind of each hash, which only a superuser may see.
func (f *Facts) hashes(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT rolname, CASE WHEN rolpassword IS NULL THEN 'none' WHEN rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram-sha-256'
		WHEN rolpassword LIKE 'md5%' THEN 'md5' ELSE 'none' END FROM pg_authid`)
	kinds := map[string]string{}
	if err == nil {
		var name, kind string
		_, err = pgx.ForEachRow(rows, []any{&name, &kind}, func() error { kinds[name] = kind; return nil })
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		f.Denied = append(f.Denied, "the kind of the password hashes: only a superuser may read pg_authid")
		return nil
	}
	for i := range f.Roles {
		f.Roles[i].Hash = kinds[f.Roles[i].Name]
	}
	return err
}

func readDatabase(ctx context.Context, conn *pgx.Conn, connect Connect, name string, names []string) (Database, error) {
	db := Database{Name: name}
	err := conn.QueryRow(ctx, `SELECT pg_get_userbyid(datdba), EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0 AND privilege_type = 'CONNECT')
		FROM pg_database WHERE datname = $1 AND datallowconn`, name).Scan(&db.Owner, &db.PublicConnect)
	if err != nil {
		return db, err
	}
	in, err := connect(ctx, name)
	if err != nil {
		return db, err
	}
	defer in.Close(context.WithoutCancel(ctx))
	if err := in.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')").Scan(&db.Statements); err != nil {
		return db, err
	}
	if err := db.schemas(ctx, in); err != nil {
		return db, err
	}
	for i := range db.Schemas {
		s := &db.Schemas[i]
		s.Access, s.Defaults = map[string]Access{}, map[string][]string{}
		for _, role := range names {
			if err := s.access(ctx, in, role); err != nil {
				return db, err
			}
		}
		if err := s.defaults(ctx, in); err != nil {
			return db, err
		}
	}
	return db, nil
}

// tables are what GRANT ON ALL TABLES reaches, those of extensions left out.
const tables = `pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`

func (db *Database) schemas(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT nspname, pg_get_userbyid(nspowner),
			EXISTS (SELECT FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) WHERE grantee = 0 AND privilege_type = 'CREATE'),
			EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.grantee = 0
				AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')),
			(SELECT count(*) FROM `+tables+`),
			(SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind = 'S')
		FROM pg_namespace n WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'pgfit')
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
		ORDER BY nspname`)
	if err != nil {
		return err
	}
	var s Schema
	_, err = pgx.ForEachRow(rows, []any{&s.Name, &s.Owner, &s.PublicCreate, &s.PublicTables, &s.Tables, &s.Sequences}, func() error {
		db.Schemas = append(db.Schemas, s)
		return nil
	})
	return err
}

func (s *Schema) access(ctx context.Context, conn *pgx.Conn, role string) error {
	var a Access
	err := conn.QueryRow(ctx, `SELECT has_schema_privilege($1, n.oid, 'USAGE'), has_schema_privilege($1, n.oid, 'CREATE'), t.*,
			(SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid AND CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege($1, c.oid, 'USAGE') END)
		FROM pg_namespace n, LATERAL (SELECT count(*) FILTER (WHERE pg_get_userbyid(relowner) = $1),
			count(*) FILTER (WHERE NOT has_table_privilege($1, c.oid, 'SELECT')), count(*) FILTER (WHERE relkind IN ('r', 'p') AND NOT has_table_privilege($1, c.oid, 'INSERT')),
			count(*) FILTER (WHERE relkind IN ('r', 'p') AND NOT has_table_privilege($1, c.oid, 'UPDATE')),
			count(*) FILTER (WHERE relkind IN ('r', 'p') AND NOT has_table_privilege($1, c.oid, 'DELETE')),
			count(*) FILTER (WHERE has_table_privilege($1, c.oid, 'INSERT')), count(*) FILTER (WHERE has_table_privilege($1, c.oid, 'UPDATE')),
			count(*) FILTER (WHERE has_table_privilege($1, c.oid, 'DELETE')), count(*) FILTER (WHERE has_table_privilege($1, c.oid, 'TRUNCATE')),
			count(*) FILTER (WHERE has_table_privilege($1, c.oid, 'TRIGGER') OR has_table_privilege($1, c.oid, 'REFERENCES'))
			FROM `+tables+`) t
		WHERE nspname = $2`, role, s.Name).Scan(&a.Usage, &a.Create, &a.Owns, &a.NoSelect, &a.NoInsert, &a.NoUpdate, &a.NoDelete, &a.Insert, &a.Update, &a.Delete,
		&a.Truncate, &a.Trigger, &a.NoSequence)
	s.Access[role] = a
	return err
}

// defaults are the rights that tables made later will grant, whoever of the owners makes them.
func (s *Schema) defaults(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT pg_get_userbyid(a.grantee), a.privilege_type FROM pg_default_acl d, aclexplode(d.defaclacl) a
		WHERE d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, (SELECT oid FROM pg_namespace WHERE nspname = $1)) AND a.grantee <> 0
			AND d.defaclrole IN (SELECT nspowner FROM pg_namespace WHERE nspname = $1 UNION SELECT datdba FROM pg_database WHERE datname = current_database()
				UNION SELECT relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = $1)
		ORDER BY 1, 2`, s.Name)
	if err != nil {
		return err
	}
	var role, right string
	_, err = pgx.ForEachRow(rows, []any{&role, &right}, func() error {
		s.Defaults[role] = append(s.Defaults[role], right)
		return nil
	})
	return err
}
