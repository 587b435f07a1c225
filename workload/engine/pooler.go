package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// probeStatement is prepared to see whether a pooler keeps track of prepared statements.
const probeStatement = "pgfit_probe"

// lookForPooler finds out whether a pooler in between hands out server connections by the transaction. Where it does and
// does not keep track of prepared statements, the protocol becomes extended, with unnamed statements, and that is said.
//
// A pooler gives a client a process id of its own making; the server's is another one. Two clients that are served by the
// same server process one after the other share it by the transaction. Whether a statement prepared by one client is known
// to the server connection that it gets next is tried (PgBouncer knows since 1.21, with max_prepared_statements).
func (b *base) lookForPooler(ctx context.Context) error {
	one, err := pgconn.ConnectConfig(ctx, b.cfg.Connect)
	if err != nil {
		return err
	}
	defer closeNow(one)
	pid, err := backend(ctx, one)
	if err != nil || pid == fmt.Sprint(one.PID()) {
		return nil // an error here shows again where it can be explained
	}
	two, err := pgconn.ConnectConfig(ctx, b.cfg.Connect)
	if err != nil {
		return err
	}
	defer closeNow(two)
	shared, err := backend(ctx, two)
	if err != nil || shared != pid {
		b.notices = append(b.notices, "a pooler is in between, with a server connection for each client: its own limits are part of what is measured")
		return nil
	}
	text := "a pooler is in between and hands out server connections by the transaction"
	if b.cfg.Protocol == Prepared && !tracksStatements(ctx, one, two) {
		b.cfg.Protocol = Extended
		text += " without keeping track of prepared statements: protocol extended instead of prepared"
	}
	b.notices = append(b.notices, text)
	return nil
}

// backend is the process id of the server process that serves this transaction.
func backend(ctx context.Context, pg *pgconn.PgConn) (string, error) {
	results, err := pg.Exec(ctx, "SELECT pg_catalog.pg_backend_pid()").ReadAll()
	if err != nil {
		return "", err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1 {
		return "", errors.New("pg_backend_pid() gave no single value")
	}
	return string(results[0].Rows[0][0]), nil
}

// tracksStatements prepares a statement on one client and runs it while the other one holds the server connection that it
// was prepared on. When there is no second server connection to be had in a moment, the answer is no.
func tracksStatements(ctx context.Context, one, two *pgconn.PgConn) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := one.Prepare(ctx, probeStatement, "SELECT 1", nil); err != nil {
		return false
	}
	if _, err := two.Exec(ctx, "BEGIN").ReadAll(); err != nil {
		return false
	}
	tracked := one.ExecPrepared(ctx, probeStatement, nil, nil, nil).Read().Err == nil
	_, _ = two.Exec(ctx, "DEALLOCATE "+probeStatement).ReadAll() // where nobody tracks it, it lies on two's server connection
	return tracked
}
