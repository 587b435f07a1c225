package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// sqlFiles reads the files of the server's machine through the server: pg_read_file and pg_ls_dir for a superuser, COPY into
// a temporary table for a member of pg_read_server_files, who may list no directory. Nothing is left behind.
type sqlFiles struct {
	ctx  context.Context
	conn *pgx.Conn
	copy bool // pg_read_file was refused
}

// sqlEnv is the server's machine as the server's own process sees it. Symbolic links and free space cannot be asked for.
func sqlEnv(ctx context.Context, conn *pgx.Conn) Env {
	return Env{Files: &sqlFiles{ctx: ctx, conn: conn}, Self: "self"}
}

// ReadFile reads a whole file, also one of /proc that says its size is 0.
func (s *sqlFiles) ReadFile(name string) ([]byte, error) {
	if s.copy {
		return s.byCopy(name)
	}
	var data []byte
	err := s.conn.QueryRow(s.ctx, "SELECT pg_read_binary_file($1)", name).Scan(&data)
	if refused(err) && strings.Contains(err.Error(), "pg_read_binary_file") {
		s.copy = true
		return s.byCopy(name)
	}
	return data, fileError(name, err)
}

// byCopy reads a text file as rows of one column: neither delimiter nor quote occurs in /proc and /sys.
func (s *sqlFiles) byCopy(name string) ([]byte, error) {
	tx, err := s.conn.Begin(s.ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(s.ctx)) }()
	if _, err := tx.Exec(s.ctx, "CREATE TEMPORARY TABLE pgfit_lines (n serial, line text) ON COMMIT DROP"); err != nil {
		return nil, fileError(name, err)
	}
	quoted := "'" + strings.ReplaceAll(name, "'", "''") + "'"
	if _, err := tx.Exec(s.ctx, "COPY pg_temp.pgfit_lines (line) FROM "+quoted+` WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')`); err != nil {
		return nil, fileError(name, err)
	}
	var text string
	err = tx.QueryRow(s.ctx, "SELECT coalesce(string_agg(line, E'\\n' ORDER BY n), '') FROM pg_temp.pgfit_lines").Scan(&text)
	return []byte(text), err
}

// ReadDir lists the names in a directory.
func (s *sqlFiles) ReadDir(name string) ([]string, error) {
	rows, err := s.conn.Query(s.ctx, "SELECT pg_ls_dir($1)", name)
	if err != nil {
		return nil, fileError(name, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	sort.Strings(names)
	return names, fileError(name, err)
}

// ReadLink cannot be done through SQL.
func (s *sqlFiles) ReadLink(name string) (string, error) {
	return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrPermission}
}

func refused(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}

// fileError says of a failure what the operating system would have said.
func fileError(name string, err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &pg):
		return err
	case pg.Code == "58P01": // undefined_file
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case pg.Code == "42501" || pg.Code == "25006": // insufficient_privilege, read_only_sql_transaction
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	}
	return fmt.Errorf("reading %s: %w", name, err)
}
