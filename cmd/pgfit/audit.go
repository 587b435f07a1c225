package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pgfit/advisor/audit"
	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/probe/pghba"
	"pgfit/probe/roles"
	"pgfit/probe/stack"
	"pgfit/probe/target"
	"pgfit/profiles"
	"pgfit/report"
	"pgfit/report/auditfix"
	"pgfit/report/files"
)

// auditOptions are the flags of pgfit audit.
type auditOptions struct {
	profile   string
	files     stack.Files
	major     int
	names     audit.Names
	processes int
	host      hostFlags
	format    string
	failOn    string
	fix       string
}

func (a *app) auditCommand() *cobra.Command {
	o := &auditOptions{}
	cmd := &cobra.Command{
		Use: "audit [TARGET] [DIR | FILE]", Short: "hold configuration and roles against an environment", Args: cobra.MaximumNArgs(2),
		Long: `audit looks at postgresql.conf, pg_hba.conf, config.yaml, .env and a compose file, and at the settings and roles of a live
server when TARGET names one, and says what does not suit development, testing or production: where, why, by whose word,
and the fix. It needs no file and no server in particular; what is not given is named as not looked at. Nothing is changed:
--fix writes patches to read and apply. Without arguments the files in this directory are looked at.`,
		Example: `  pgfit audit infra/                                   the files found in a directory
  pgfit audit --profile production --conf postgresql.conf --hba pg_hba.conf
  pgfit audit postgresql://postgres@localhost/app --config config.yaml --env-file .env
                                                       the server's settings, pg_hba.conf and roles too
  pgfit audit . --fail-on error --format sarif > audit.sarif
                                                       for CI: exit 4 when there is an error
  pgfit audit . --fix fixes                            patches and statements in ./fixes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(cmd.Context(), a, args)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *auditOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&o.profile, "profile", "", "development, testing or production (default what environment_mode says, else production)")
	fs.StringVar(&o.files.Conf, "conf", "", "postgresql.conf; what it includes is read too")
	fs.StringVar(&o.files.HBA, "hba", "", "pg_hba.conf")
	fs.StringVar(&o.files.Config, "config", "", "the application's config.yaml")
	fs.StringVar(&o.files.Env, "env-file", "", "its .env")
	fs.IntVar(&o.major, "pg-version", 0, "major version that the files are for (default the server's, the compose file's, or 16)")
	fs.StringVar(&o.names.Owner, "owner", "", "role that owns the database (default owner_user of config.yaml)")
	fs.StringVar(&o.names.User, "app-user", "", "role of the application (default user of config.yaml)")
	fs.StringVar(&o.names.ReadOnly, "ro-user", "", "read-only role (default ro_user of config.yaml)")
	fs.IntVar(&o.processes, "processes", 1, "processes of the application, each with a pool of its own")
	fs.StringVar(&o.format, "format", "text", strings.Join(report.AuditFormats, ", "))
	fs.StringVar(&o.failOn, "fail-on", "", "error or warning: exit 4 when there is one")
	fs.StringVar(&o.fix, "fix", "", "write patches, their rollbacks and statements into this directory; nothing is applied")
	o.host.addFlags(fs)
}

func (o *auditOptions) validate() error {
	switch {
	case o.processes < 1:
		return usagef("--processes %d: want at least 1", o.processes)
	case o.major != 0 && (o.major < guc.OldestMajor || o.major > guc.NewestMajor):
		return usagef("--pg-version %d: want %d to %d", o.major, guc.OldestMajor, guc.NewestMajor)
	}
	if _, err := o.host.options(); err != nil {
		return err
	}
	if o.profile != "" {
		if err := oneOf("profile", o.profile, profiles.AuditEnvironments...); err != nil {
			return err
		}
	}
	if o.failOn != "" {
		if err := oneOf("fail-on", o.failOn, "error", "warning"); err != nil {
			return err
		}
	}
	return oneOf("format", o.format, report.AuditFormats...)
}

func (o *auditOptions) run(ctx context.Context, a *app, args []string) error {
	url, err := o.arguments(a, args)
	if err != nil {
		return err
	}
	in := audit.Input{Names: o.names, Processes: o.processes, Memory: int64(o.host.ram), CPUs: o.host.cpus, Disk: probe.Class(o.host.disk)}
	if url != "" {
		if err := o.live(ctx, a, url, &in); err != nil {
			return err
		}
	} else if err := o.offline(); err != nil {
		return err
	}
	if o.files.Empty() && url == "" {
		return &usageError{err: errors.New("there is nothing to audit: no configuration file here and no server named"),
			hint: "name files with --conf, --hba, --config, --env-file, or a directory, or a server"}
	}
	if o.major == 0 {
		o.major = in.Major
	}
	s, major, err := stack.Read(o.files, o.major, os.LookupEnv)
	if err != nil {
		return usagef("%w", err)
	}
	in.Major, in.Conf, in.App, in.Compose, in.Certificate = major, s.Conf, s.App, s.Compose, s.Certificate
	if s.HBA != nil {
		in.HBA = s.HBA
	}
	in.Environment = o.environment(s)
	result, err := audit.Run(in)
	if err != nil {
		return err
	}
	if err := report.Audit(a.stdout, result, o.format, versionString()); err != nil {
		return err
	}
	if o.fix != "" {
		if err := o.writeFixes(a, result, s, major); err != nil {
			return err
		}
	}
	if o.failOn != "" && result.Fails(o.failOn) {
		return fmt.Errorf("%w: the audit found %d errors and %d warnings", errGate, result.Count("error"), result.Count("warning"))
	}
	return nil
}

// offline refuses options that only the look at a server takes.
func (o *auditOptions) offline() error {
	h := o.host
	for _, f := range []struct {
		name  string
		given bool
	}{{"data-directory", h.dataDir != ""}, {"host-facts", h.hostFacts != ""}, {"server-files", h.files}} {
		if f.given {
			return usagef("--%s goes with a server: for files alone --ram, --cpus and --disk say what the machine is", f.name)
		}
	}
	return nil
}

// arguments tells a directory and the files of a stack from a server.
func (o *auditOptions) arguments(a *app, args []string) (url string, err error) {
	dir := ""
	for _, arg := range args {
		info, statErr := os.Stat(arg)
		switch {
		case statErr == nil && info.IsDir() && dir != "":
			return "", usagef("two directories: name one, and single files with --conf, --hba, --config and --env-file")
		case statErr == nil && info.IsDir():
			dir = arg
		case statErr == nil && o.files.Add(arg):
		case statErr == nil && info.Mode().IsRegular():
			return "", usagef("%s: say what it is with --conf, --hba, --config or --env-file; a compose file is called compose.yaml or docker-compose.yml", arg)
		case errors.Is(statErr, fs.ErrNotExist) && !strings.ContainsAny(arg, ":="):
			return "", usagef("%s: no such directory or file, and no server either: that would be a URL or host=... dbname=...", arg)
		case url != "":
			return "", usagef("two servers: name one, and a directory or compose file that exists")
		default:
			url = arg
		}
	}
	if url == "" && dir == "" && o.files.Empty() {
		dir = "."
	}
	if dir == "" {
		return url, nil
	}
	found, passed, err := stack.Find(dir, cmp.Or(o.profile, "production"))
	if err != nil {
		return "", usagef("%w", err)
	}
	for _, p := range passed {
		a.say("not looked at: %s; there is one that suits the profile better, or name it with a flag", p)
	}
	fill(&o.files.Conf, found.Conf)
	fill(&o.files.HBA, found.HBA)
	fill(&o.files.Config, found.Config)
	fill(&o.files.Env, found.Env)
	if o.files.Compose == nil {
		o.files.Compose = found.Compose
	}
	return url, nil
}

func fill(to *string, with string) {
	if *to == "" {
		*to = with
	}
}

// environment is the flag's, else the application's own, else production.
func (o *auditOptions) environment(s *stack.Stack) string {
	if o.profile != "" {
		return o.profile
	}
	if s.App != nil {
		for _, e := range profiles.AuditEnvironments {
			if s.App.Environment.Text == e {
				return e
			}
		}
	}
	return "production"
}

// live reads settings, roles and pg_hba.conf of a server.
func (o *auditOptions) live(ctx context.Context, a *app, url string, in *audit.Input) error {
	t, err := target.Resolve(target.Input{Arg: url})
	if err != nil {
		return err
	}
	if t.Scratch {
		return usagef("%s names no server", url)
	}
	for _, n := range t.Notices {
		a.say("%s", n)
	}
	srv := &server{target: t, config: t.Config}
	if err := a.notice(ctx, srv); err != nil {
		return err
	}
	facts, err := a.probe(ctx, srv, &o.host)
	if err != nil {
		return err
	}
	in.Server, in.Major = facts.Server.Settings, facts.Server.Major()
	if in.Memory == 0 {
		in.Memory, _ = facts.Host.Memory.Budget.Get()
	}
	if in.CPUs == 0 {
		in.CPUs, _ = facts.Host.CPU.Effective.Get()
	}
	if s := facts.Storage; in.Disk == "" && len(s) > 0 {
		in.Disk = s[0].Class
	}
	conn, err := srv.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if o.files.HBA == "" {
		in.HBA, _ = pghba.Live(ctx, conn, in.Major) // a role that may not read it leaves it not looked at
	}
	if err := o.learnNames(in, t.Config.Database); err != nil {
		return err
	}
	connect := func(ctx context.Context, database string) (*pgx.Conn, error) {
		cfg := srv.config.Copy()
		cfg.Database = database
		return pgx.ConnectConfig(ctx, cfg)
	}
	n := in.Names
	got, err := roles.Read(ctx, conn, connect, append([]string{n.Database}, n.Temporal...), []string{n.User, n.ReadOnly, n.TemporalUser})
	if err != nil {
		return err
	}
	in.Roles = &got
	return nil
}

// learnNames takes the roles from config.yaml and .env where no flag names them.
func (o *auditOptions) learnNames(in *audit.Input, database string) error {
	n := &in.Names
	if o.files.Config != "" || o.files.Env != "" {
		s, _, err := stack.Read(stack.Files{Config: o.files.Config, Env: o.files.Env}, 0, os.LookupEnv)
		if err != nil {
			return usagef("%w", err)
		}
		fill(&n.Database, s.App.Names["app_db"].Text)
		fill(&n.Owner, s.App.Names["owner_user"].Text)
		fill(&n.User, s.App.Names["user"].Text)
		fill(&n.ReadOnly, s.App.Names["ro_user"].Text)
		n.Temporal, n.TemporalUser = s.App.Temporal, s.App.TemporalUser
	}
	fill(&n.Database, database)
	return nil
}

func (o *auditOptions) writeFixes(a *app, result audit.Result, s *stack.Stack, major int) error {
	var texts [2][]byte
	for i, name := range []string{o.files.Config, o.files.Env} {
		if name == "" {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return usagef("%w", err)
		}
		texts[i] = data
	}
	fixes, err := auditfix.Make(auditfix.Input{Result: result, Stack: s, Major: major, Config: texts[0], Env: texts[1], Disk: probe.Class(o.host.disk)})
	if err != nil {
		return err
	}
	if err := files.Write(o.fix, fixes.Files); err != nil {
		return usagef("--fix: %w", err)
	}
	if len(fixes.Files) == 0 {
		a.say("no fixes: none of the findings has one that a patch can hold")
	} else {
		a.say("fixes in %s: %s; read them, then patch -p1 in the directory of each file", o.fix, files.Names(fixes.Files))
	}
	for _, line := range fixes.Before {
		a.say("before you apply %s", line)
	}
	var names []string
	for _, f := range fixes.Left {
		if f.Why != "" {
			a.say("%s is left to people: %s", f.Check, f.Why)
		} else if !slices.Contains(names, f.Check) {
			names = append(names, f.Check)
		}
	}
	if len(names) > 0 {
		a.say("left to people: %s", strings.Join(names, ", "))
	}
	return nil
}
