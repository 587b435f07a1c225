package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pgfit/probe"
	"pgfit/probe/pooler"
	"pgfit/workload/measure"
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

// throughPooler refuses load in a schema of pgfit's own where no session would be its own, bounds load by the pooler's limit,
// and writes down what was measured.
func (s *server) throughPooler(job *measure.Job, admin bool) (int, error) {
	p, doc, free := s.pooler, job.Doc, free(job.Doc.Facts)
	if p == nil {
		return free, nil
	}
	if p.Shared && len(job.Datasets) > 0 {
		return s.throughShared(job, admin, free)
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

// throughShared measures a pooler that shares connections, its queue included, where an administrator's own connection to
// the server makes the schema. A pool beyond the pooler's is no mistake then: its callers wait for each other in there.
func (s *server) throughShared(job *measure.Job, admin bool, free int) (int, error) {
	p := s.pooler
	switch {
	case !admin:
		return 0, &usageError{
			err:  errors.New("a pooler that shares server connections is in between, and the schema's lock needs a session of its own"),
			hint: "to measure through it, its queue included: --admin-url with the server's own port, for the schema and the counters alone\nto measure the server itself: connect to its own port\nor measure scripts on your own tables: pgfit bench -f FILE\nthen pgfit advise --format pgbouncer sizes the pooler",
		}
	case job.SearchPath != "":
		return 0, &usageError{err: errors.New("pgbench's own scripts find their tables by search_path, which a pooler that shares server connections does not keep"),
			hint: "measure a scenario through it, or -b at the server's own port"}
	}
	text := "measured through a pooler that shares its server connections: its queue is in the figures; its limits are not known"
	if p.Console {
		text = fmt.Sprintf("measured through PgBouncer %s, %s mode: its queue is in the figures; its pool bounds what the server sees at %d connections", p.Version, p.Mode, p.Limit())
	}
	if p.MaxClients > 0 {
		free = max(1, p.MaxClients-ownConnections)
	}
	job.Doc.Warnings = append(job.Doc.Warnings, probe.Warning{Code: "pooler", Text: text, Hint: "connect to the server's own port to leave the pooler out of the figures"})
	return free, nil
}

// past is the administrator's connection as the load's role, past the pooler. It has to reach the same server, and by itself.
func (s *server) past(ctx context.Context, admin *pgx.ConnConfig, role, identifier string) (*pgx.ConnConfig, error) {
	p, err := pooler.Detect(ctx, admin)
	if err != nil {
		return nil, fmt.Errorf("connecting with --admin-url: %w", err)
	}
	if p != nil && p.Shared {
		return nil, &usageError{err: errors.New("--admin-url goes through a pooler that shares server connections too"), hint: "name the server's own port"}
	}
	cfg := admin.Copy()
	cfg.RuntimeParams["role"] = role
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("connecting with --admin-url as %s: %w", role, err), hint: "its role has to be a superuser or a member of " + role}
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var same bool
	if err := conn.QueryRow(ctx, "SELECT $1 IN ('', system_identifier::text) FROM pg_control_system()", identifier).Scan(&same); err != nil {
		return nil, err
	}
	if !same {
		return nil, usagef("--admin-url is another server than the one behind the pooler")
	}
	return cfg, nil
}

// ownConnections are pgfit's beside the load: the schema's owner, the observer, one to spare.
const ownConnections = 3
