package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pgfit/probe"
	"pgfit/probe/pooler"
	"pgfit/workload/rundoc"
)

// notice looks for a pooler between pgfit and a server of the user's, and says what it found. Where sessions share server
// connections, no statement is prepared by name.
func (a *app) notice(ctx context.Context, srv *server) error {
	p, err := pooler.Detect(ctx, srv.config)
	if err != nil {
		return srv.explain(err)
	}
	if p == nil {
		return nil
	}
	a.say("%s", p)
	srv.pooler = p
	if p.Shared {
		srv.config = srv.config.Copy()
		srv.config.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return nil
}

// throughPooler refuses load in a schema of pgfit's own where its sessions would not be its own, bounds load by the pooler's
// limit, and writes down what was measured.
func (s *server) throughPooler(doc *rundoc.Document, free int, schema bool) (int, error) {
	p := s.pooler
	if p == nil {
		return free, nil
	}
	if p.Shared && schema {
		return 0, &usageError{
			err:  errors.New("load through a pooler that shares server connections would measure its queue, and the schema's lock needs a session of its own"),
			hint: "measure the server itself: connect to its own port\nor give the database pool_mode = session for the time of the run\nor measure scripts on your own tables: pgfit bench -f FILE\nthen pgfit advise --format pgbouncer sizes the pooler",
		}
	}
	text, bound := "measured through it: "+p.String(), free
	if limit := p.Limit(); limit > 0 {
		if bound = min(free, limit-ownConnections); bound < 1 {
			return 0, &usageError{err: fmt.Errorf("%s: pgfit needs %d for itself", p, ownConnections), hint: "raise pool_size in PgBouncer, or connect to the server's own port"}
		}
		text += fmt.Sprintf("; pool sizes beyond %d cannot be measured", bound)
	}
	doc.Warnings = append(doc.Warnings, probe.Warning{Code: "pooler", Text: text, Hint: "connect to the server's own port to leave the pooler out of the figures"})
	return bound, nil
}

// ownConnections are pgfit's beside the load: the schema's owner, the observer, one to spare.
const ownConnections = 3
