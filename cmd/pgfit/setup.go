package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/pflag"

	"pgfit/probe/target"
	"pgfit/workload/load"
	"pgfit/workload/measure"
)

// setupFlags are for load on a server that pgfit did not start.
type setupFlags struct {
	adminURL string
	productionFlag
}

func (f *setupFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.adminURL, "admin-url", "", "a role that makes pgfit's schema where the application's may not, or the way past a pooler that shares connections")
	f.productionFlag.addFlags(fs)
}

// productionFlag agrees to load that an application's users feel.
type productionFlag struct{ known bool }

func (f *productionFlag) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&f.known, "i-know-this-is-production", false, "put load on a server although environment_mode is production")
}

// admin is the administrator's configuration; nil without --admin-url.
func (f *setupFlags) admin() (*pgx.ConnConfig, error) {
	if f.adminURL == "" {
		return nil, nil
	}
	t, err := target.Resolve(target.Input{Arg: f.adminURL})
	if err != nil {
		return nil, err
	}
	return t.Config, nil
}

// mayLoad refuses load on production unless it was said twice.
func (f *productionFlag) mayLoad(srv *server) error {
	if srv.target.Environment != "production" || srv.scratch != nil || f.known {
		return nil
	}
	return &usageError{
		err:  fmt.Errorf("environment_mode is production (%s): load slows down whoever uses the server", srv.target.Origins["environment_mode"]),
		hint: "measure on a copy, or pass --i-know-this-is-production; probe, config show and audit put no load on it",
	}
}

// setUp sees to it that the load's role has a schema, or says which single GRANT is missing. end removes what the
// administrator made and the run did not come to. Scripts on the user's own tables need no schema.
func (f *setupFlags) setUp(ctx context.Context, srv *server, job *measure.Job) (end func() error, err error) {
	nothing := func() error { return nil }
	if srv.scratch != nil || len(job.Datasets) == 0 {
		return nothing, nil
	}
	conn, err := srv.connect(ctx)
	if err != nil {
		return nothing, err
	}
	rights, err := load.ReadRights(ctx, conn)
	if err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))); err != nil {
		return nothing, err
	}
	admin, err := f.admin()
	if err == nil && admin != nil {
		admin.Database = rights.Database
		if srv.pooler != nil && srv.pooler.Shared {
			job.Direct, err = srv.past(ctx, admin, rights.Role, job.Doc.Facts.Server.SystemIdentifier)
		}
	}
	switch {
	case err != nil:
		return nothing, err
	case rights.Create:
		return nothing, nil
	case admin == nil && rights.Ready:
		return nothing, nil
	case admin == nil:
		return nothing, missingGrant(srv, rights)
	}
	if err := load.Prepare(ctx, admin, rights.Role); err != nil {
		return nothing, fmt.Errorf("setting up with --admin-url: %w", err)
	}
	return func() error { return load.Remove(context.WithoutCancel(ctx), admin) }, nil
}

func missingGrant(srv *server, r load.Rights) error {
	role, db := pgx.Identifier{r.Role}.Sanitize(), pgx.Identifier{r.Database}.Sanitize()
	return &unreachableError{cause: target.Cause{
		Code: "no-permission", Text: fmt.Sprintf("%s may not create pgfit's schema in the database %s (%s)", r.Role, r.Database, srv.target.Redacted),
		Hint: fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s;\nor let an administrator make the schema: --admin-url postgresql://postgres@...", db, role),
	}, err: errors.New("a privilege is missing")}
}
