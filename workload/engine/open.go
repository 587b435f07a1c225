package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// Open connects once, to see what is there, and chooses protocol and driver.
func Open(ctx context.Context, cfg Config) (Engine, error) {
	b := &base{cfg: cfg}
	if b.cfg.Protocol == "" {
		b.cfg.Protocol = Prepared
	}
	b.cfg.MaxTries = max(1, cfg.MaxTries)
	b.cfg.Connect = cfg.Connect.Copy()
	// A cancelled context sends a cancel request, so that a long statement ends in the server too.
	b.cfg.Connect.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pg, DeadlineDelay: 2 * time.Second}
	}
	for _, w := range cfg.Scripts {
		b.scripts = append(b.scripts, w.Script)
	}
	b.nameStatements()
	if err := b.lookForPooler(ctx); err != nil {
		return nil, err
	}
	pg, described, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	b.want = 1
	why := rawUnable(pg)
	switch {
	case cfg.Driver == DriverEpoll && why != "":
		closeNow(pg)
		return nil, fmt.Errorf("the epoll driver cannot be used: %s", why)
	case cfg.Driver == DriverPortable || why != "":
		if cfg.Driver != DriverPortable {
			b.notices = append(b.notices, "driver portable: "+why+"; it takes more processor time for each transaction, so its figures are not to be mixed with those of the epoll driver")
		}
		return &portable{base: b, conns: []*conn{{pg: pg}}}, nil
	}
	return newRaw(ctx, b, pg, described)
}
