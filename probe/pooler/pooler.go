// Package pooler notices PgBouncer between pgfit and the server, tells whether sessions share server connections, and
// reads its limits where its console answers. It changes nothing and sends only what every pool mode takes.
package pooler

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Pooler is what is in between. Without Console the limits are not known.
type Pooler struct {
	Shared  bool   // a server connection serves several clients in turn: transaction or statement mode
	Console bool   // its console answered
	Version string // 1.18.0
	Mode    string // session, transaction, statement; "" without Console
	// Limits of connections to the server for the connected database; 0 is none.
	PoolSize, Reserve, MaxDBConnections int
	MaxClients                          int
	Prepared                            int // max_prepared_statements, 0 before 1.21
}

// Limit is how many connections to the server one client database and user can have at once, 0 when it is not known.
func (p Pooler) Limit() int {
	if !p.Console {
		return 0
	}
	limit := p.PoolSize + p.Reserve
	if p.MaxDBConnections > 0 {
		limit = min(limit, p.MaxDBConnections)
	}
	if p.MaxClients > 0 {
		limit = min(limit, p.MaxClients)
	}
	return limit
}

// String says what is in between, for people.
func (p Pooler) String() string {
	if !p.Console {
		mode := "which shares its server connections (transaction or statement mode)"
		if !p.Shared {
			mode = "which keeps a server connection for each session, as far as can be seen"
		}
		return "a pooler such as PgBouncer is in between, " + mode + "; its console does not answer to this role, so its limits are not known"
	}
	return fmt.Sprintf("PgBouncer %s is in between, in %s mode, with at most %d connections to the server for this database and role", p.Version, p.Mode, p.Limit())
}

// Detect looks for a pooler. It returns nil where the connection goes to the server itself. The error is that of the
// connection.
func Detect(ctx context.Context, cfg *pgx.ConnConfig) (*Pooler, error) {
	cfg = cfg.Copy()
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // the one that every pool mode takes
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	pid, behind, err := Backend(ctx, conn.PgConn())
	if err != nil || !behind {
		return nil, err
	}
	p := &Pooler{}
	p.console(ctx, cfg)
	if p.Console {
		p.Shared = p.Mode != "session"
		return p, nil
	}
	p.Shared, err = Shares(ctx, &cfg.Config, pid)
	return p, err
}

// Backend is the server process that serves a session just now. Behind a pooler it is another one than the session was told
// when it connected: a pooler gives a process id of its own making.
func Backend(ctx context.Context, conn *pgconn.PgConn) (pid uint32, behind bool, err error) {
	results, err := conn.Exec(ctx, "SELECT pg_catalog.pg_backend_pid()").ReadAll()
	if err != nil {
		return 0, false, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1 {
		return 0, false, errors.New("pg_backend_pid() gave no single value")
	}
	n, err := strconv.ParseUint(string(results[0].Rows[0][0]), 10, 32)
	return uint32(n), err == nil && uint32(n) != conn.PID(), err
}

// Shares opens a second session while the first one is open: where it gets the server process that serves the first one,
// sessions share.
func Shares(ctx context.Context, cfg *pgconn.Config, first uint32) (bool, error) {
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	second, _, err := Backend(ctx, conn)
	return err == nil && first == second, err
}

// console asks the special database pgbouncer. Whoever is neither admin nor stats user is turned away, and that is no
// error here.
func (p *Pooler) console(ctx context.Context, cfg *pgx.ConnConfig) {
	database := cfg.Database
	if database == "" {
		database = cfg.User
	}
	cfg = cfg.Copy()
	cfg.Database = "pgbouncer"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	version, errV := table(ctx, conn, "SHOW VERSION")
	config, errC := table(ctx, conn, "SHOW CONFIG")
	databases, errD := table(ctx, conn, "SHOW DATABASES")
	if errors.Join(errV, errC, errD) != nil || len(version) == 0 {
		return
	}
	p.Console = true
	p.Version = strings.TrimPrefix(version[0]["version"], "PgBouncer ")
	set := map[string]string{}
	for _, row := range config {
		set[row["key"]] = row["value"]
	}
	p.Mode, p.PoolSize, p.Reserve = set["pool_mode"], number(set["default_pool_size"]), number(set["reserve_pool_size"])
	p.MaxDBConnections, p.MaxClients, p.Prepared = number(set["max_db_connections"]), number(set["max_client_conn"]), number(set["max_prepared_statements"])
	for _, row := range databases {
		if row["name"] == database {
			p.database(row)
		}
	}
}

// database takes what a database has of its own.
func (p *Pooler) database(row map[string]string) {
	if mode := row["pool_mode"]; mode != "" {
		p.Mode = mode
	}
	if n := number(row["pool_size"]); n > 0 {
		p.PoolSize = n
	}
	if n, ok := row["reserve_pool"]; ok {
		p.Reserve = number(n)
	}
	if n := number(row["max_connections"]); n > 0 {
		p.MaxDBConnections = n
	}
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// table is the result of a SHOW by column names: which columns there are differs from version to version.
func table(ctx context.Context, conn *pgx.Conn, sql string) ([]map[string]string, error) {
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	var out []map[string]string
	for _, r := range results {
		for _, values := range r.Rows {
			row := map[string]string{}
			for i, v := range values {
				row[r.FieldDescriptions[i].Name] = string(v)
			}
			out = append(out, row)
		}
	}
	return out, nil
}
