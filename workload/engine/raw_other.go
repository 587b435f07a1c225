//go:build !linux

package engine

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

func rawUnable(*pgconn.PgConn) string { return "the epoll driver works on Linux only" }

func newRaw(context.Context, *base, *pgconn.PgConn, [][]*pgconn.StatementDescription) (Engine, error) {
	return nil, errors.ErrUnsupported
}
