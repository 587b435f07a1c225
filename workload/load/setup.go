package load

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Rights are what a role may do for pgfit in its database.
type Rights struct {
	Role, Database string
	Create         bool // make the schema
	Ready          bool // the schema is there, marked, and the role's own: an administrator has made it
}

// ReadRights asks what the connected role may do. The error of a foreign schema is ErrForeign.
func ReadRights(ctx context.Context, conn *pgx.Conn) (Rights, error) {
	var r Rights
	err := conn.QueryRow(ctx, `SELECT current_user, current_database(), has_database_privilege(current_database(), 'CREATE'),
		EXISTS (SELECT FROM pg_namespace WHERE nspname = $1 AND pg_has_role(nspowner, 'USAGE'))`, Schema).Scan(&r.Role, &r.Database, &r.Create, &r.Ready)
	if err != nil {
		return r, fmt.Errorf("asking for privileges: %w", err)
	}
	exists, err := Check(ctx, conn)
	r.Ready = r.Ready && exists
	return r, err
}

// Prepare makes the schema for a role that may not: as an administrator, empty, marked, and owned by the role, which then
// fills and drops it as its own.
func Prepare(ctx context.Context, admin *pgx.ConnConfig, role string) error {
	return asAdmin(ctx, admin, func(conn *pgx.Conn, exists bool) error {
		if exists {
			if _, err := conn.Exec(ctx, "DROP SCHEMA "+Schema+" CASCADE"); err != nil {
				return fmt.Errorf("dropping what an earlier run left: %w", err)
			}
		}
		owner := pgx.Identifier{role}.Sanitize()
		if _, err := conn.Exec(ctx, "BEGIN; CREATE SCHEMA "+Schema+" AUTHORIZATION "+owner+"; COMMENT ON SCHEMA "+Schema+" IS '"+mark+"'; COMMIT"); err != nil {
			return fmt.Errorf("creating schema %s for %s: %w", Schema, role, err)
		}
		return nil
	})
}

// Remove drops the schema as an administrator where a run did not come to it.
func Remove(ctx context.Context, admin *pgx.ConnConfig) error {
	return asAdmin(ctx, admin, func(conn *pgx.Conn, exists bool) error {
		if !exists {
			return nil
		}
		if _, err := conn.Exec(ctx, "DROP SCHEMA "+Schema+" CASCADE"); err != nil {
			return fmt.Errorf("dropping schema %s: %w", Schema, err)
		}
		return nil
	})
}

// asAdmin holds the lock of a run while it works on a schema that is ours or not there.
func asAdmin(ctx context.Context, admin *pgx.ConnConfig, do func(conn *pgx.Conn, exists bool) error) (err error) {
	conn, err := pgx.ConnectConfig(ctx, admin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	var got bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", lockKey).Scan(&got); err != nil {
		return fmt.Errorf("locking schema %s: %w", Schema, err)
	}
	if !got {
		return ErrBusy
	}
	defer func() { err = errors.Join(err, unlock(ctx, conn)) }()
	exists, err := Check(ctx, conn)
	if err != nil {
		return err
	}
	return do(conn, exists)
}

// empty drops the tables that a killed run left in a schema that the role could not make again.
func empty(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = $1 AND relkind IN ('r', 'p')", Schema)
	if err != nil {
		return fmt.Errorf("looking into schema %s: %w", Schema, err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("looking into schema %s: %w", Schema, err)
	}
	for _, t := range tables {
		if _, err := conn.Exec(ctx, "DROP TABLE IF EXISTS "+t+" CASCADE"); err != nil {
			return fmt.Errorf("emptying schema %s: %w", Schema, err)
		}
	}
	return nil
}

// unlock gives the lock back: after a mere close the backend would hold it for a moment more.
func unlock(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", lockKey)
	return err
}
