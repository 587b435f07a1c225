package engine

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// ErrCopyIn says that a script cannot be run, since a statement of it waits for data.
var ErrCopyIn = errors.New("COPY FROM STDIN wants data that a script cannot give")

var copyIn = regexp.MustCompile(`(?is)^\s*COPY\b[^;]*\bFROM\s+STDIN\b`)

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
		for _, st := range w.Script.Stmts {
			if copyIn.MatchString(st.SQL) {
				return nil, fmt.Errorf("%s: %w: %.80s", w.Script.Name, ErrCopyIn, st.SQL)
			}
		}
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
