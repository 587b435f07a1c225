package pghba

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
)

// Live reads the file of a running server of that major version, and what it includes, through SQL. That takes a superuser,
// or pg_read_server_files and EXECUTE on pg_read_binary_file, pg_ls_dir and pg_stat_file.
func Live(ctx context.Context, conn *pgx.Conn, major int) (*Rules, error) {
	read := func(name string) (data []byte, err error) {
		err = conn.QueryRow(ctx, "SELECT pg_read_binary_file($1, 0, size, true) FROM pg_stat_file($1, true)", name).Scan(&data)
		if err == nil && data == nil {
			err = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		return data, err
	}
	list := func(dir string) ([]string, error) {
		rows, err := conn.Query(ctx, "SELECT name FROM pg_ls_dir($1) name WHERE NOT (pg_stat_file($1 || '/' || name)).isdir", dir)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[string])
	}
	var main string
	if err := conn.QueryRow(ctx, "SHOW hba_file").Scan(&main); err != nil {
		return nil, err
	}
	return Load(main, major, read, list)
}
