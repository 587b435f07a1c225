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
	var first uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&first); err != nil {
		return nil, err
	}
	if first == conn.PgConn().PID() {
		return nil, nil
	}
	p := &Pooler{}
	p.console(ctx, cfg)
	if p.Console {
		p.Shared = p.Mode != "session"
		return p, nil
	}
	return p, p.shares(ctx, cfg, first)
}

// shares opens a second session: where it gets the server connection that the first one still believes to have, sessions
// share.
func (p *Pooler) shares(ctx context.Context, cfg *pgx.ConnConfig, first uint32) error {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var second uint32
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&second)
	p.Shared = first == second
	return err
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
