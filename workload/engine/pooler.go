package engine

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgfit/probe/pooler"
)

// probeStatement is prepared to see whether a pooler keeps track of prepared statements.
const probeStatement = "pgfit_probe"

// lookForPooler finds out whether a pooler in between hands out server connections by the transaction. Where it does and
// does not keep track of prepared statements, the protocol becomes extended, with unnamed statements, and that is said.
// Whether a statement prepared by one client is known to the server connection that it gets next is tried (PgBouncer knows
// since 1.21, with max_prepared_statements).
func (b *base) lookForPooler(ctx context.Context) error {
	one, err := pgconn.ConnectConfig(ctx, b.cfg.Connect)
	if err != nil {
		return err
	}
	defer closeNow(one)
	pid, behind, err := pooler.Backend(ctx, one)
	if err != nil || !behind {
		return nil // an error here shows again where it can be explained
	}
	shared, err := pooler.Shares(ctx, b.cfg.Connect, pid)
	if err != nil {
		return err
	}
	if !shared {
		b.notices = append(b.notices, "a pooler is in between, with a server connection for each client: its own limits are part of what is measured")
		return nil
	}
	text := "a pooler is in between and hands out server connections by the transaction"
	if b.cfg.Protocol == Prepared && !tracksStatements(ctx, b.cfg.Connect, one) {
		b.cfg.Protocol = Extended
		text += " without keeping track of prepared statements: protocol extended instead of prepared"
	}
	b.notices = append(b.notices, text)
	return nil
}

// tracksStatements prepares a statement on one client and runs it while the other one holds the server connection that it
// was prepared on. When there is no second server connection to be had in a moment, the answer is no.
func tracksStatements(ctx context.Context, cfg *pgconn.Config, one *pgconn.PgConn) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	two, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return false
	}
	defer closeNow(two)
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
