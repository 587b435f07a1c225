package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pgfit/probe/poolwatch"
	"pgfit/probe/target"
	"pgfit/report"
)

func (a *app) poolCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "pool", Short: "an application's pool as the server sees it", Args: cobra.NoArgs}
	cmd.AddCommand(a.poolWatchCommand())
	return cmd
}

// poolWatchOptions are the flags of pgfit pool watch.
type poolWatchOptions struct {
	target    targetFlags
	filter    poolwatch.Filter
	processes int
	interval  time.Duration
	length    time.Duration
	count     int
	format    string
}

func (a *app) poolWatchCommand() *cobra.Command {
	o := &poolWatchOptions{}
	cmd := &cobra.Command{
		Use: "watch [TARGET]", Short: "live figures of a pool", Args: cobra.MaximumNArgs(1),
		Long: `watch prints, every so often, the connections of an application: size, checked in and out, overflow and invalid as the
application's own pool would say, states, lock waits, ages, connections opened and closed, the share of max_connections,
and how many connections the database kept busy (rate x mean time, the guide's formula, over all sessions of the
database; PostgreSQL 14 and later). With --config the pool is held against pool_size and max_overflow. It opens one
connection and puts no load on the server.`,
		Example: `  pgfit pool watch $DATABASE_URL --app myapp --for 5m
  pgfit pool watch --config config.yaml --env-file .env --processes 4
  pgfit pool watch $DATABASE_URL --app pgfit           pgfit's own pool during a run
  pgfit pool watch $DATABASE_URL --format json --count 10`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			if o.count > 0 && !cmd.Flags().Changed("for") {
				o.length = 365 * 24 * time.Hour // the count ends it
			}
			return o.run(cmd.Context(), a, args)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *poolWatchOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&o.filter.Application, "app", "", "application_name of the connections to count (default all of the database)")
	fs.StringVar(&o.filter.User, "user", "", "their role")
	fs.IntVar(&o.processes, "processes", 1, "processes of the application, each with a pool of its own")
	fs.DurationVar(&o.interval, "interval", 2*time.Second, "time between two looks")
	fs.DurationVar(&o.length, "for", time.Minute, "how long to watch")
	fs.IntVar(&o.count, "count", 0, "how many looks (default as many as --for allows)")
	fs.StringVar(&o.format, "format", "text", "text, or json: one object a line")
	fs.StringVar(&o.target.configFile, "config", "", "the application's config.yaml, whose database section names the target and the pool")
	fs.StringVar(&o.target.envFile, "env-file", "", "a .env file for the variables in config.yaml")
}

func (o *poolWatchOptions) validate() error {
	switch {
	case o.interval < 100*time.Millisecond || o.interval > time.Hour:
		return usagef("--interval %s: want 100ms to an hour", o.interval)
	case o.length < o.interval:
		return usagef("--for %s: want at least the interval, %s", o.length, o.interval)
	case o.count < 0:
		return usagef("--count %d: want at least 1", o.count)
	case o.processes < 1:
		return usagef("--processes %d: want at least 1", o.processes)
	}
	return oneOf("format", o.format, "text", "json")
}

func (o *poolWatchOptions) run(ctx context.Context, a *app, args []string) error {
	t, err := o.target.resolve(args)
	if err != nil {
		return err
	}
	if t.Scratch {
		return &usageError{err: fmt.Errorf("nothing names a server to watch"), hint: "give a URL, DATABASE_URL, PG* variables or --config"}
	}
	for _, n := range t.Notices {
		a.say("%s", n)
	}
	srv := &server{target: t, config: t.Config.Copy()}
	srv.config.RuntimeParams["application_name"] = "pgfit pool watch"
	if err := a.notice(ctx, srv); err != nil {
		return err
	}
	conn, err := srv.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	w := poolwatch.New(conn, o.filter, o.pool(t))
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for n, end := 1, time.Now().Add(o.length); ; n++ {
		s, err := w.Look(ctx)
		if err != nil {
			return srv.lost(ctx, err)
		}
		if err := o.print(a, s, n); err != nil {
			return err
		}
		if n == o.count || !time.Now().Add(o.interval).Before(end) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// lost explains a look that failed; an interrupt is none.
func (s *server) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &unreachableError{cause: target.Explain(err, s.target), err: err}
}

// pool is what all processes may hold.
func (o *poolWatchOptions) pool(t target.Target) poolwatch.Pool {
	if t.Pool == nil {
		return poolwatch.Pool{}
	}
	return poolwatch.Pool{Size: o.processes * t.Pool.Size, MaxOverflow: o.processes * t.Pool.MaxOverflow}
}

func (o *poolWatchOptions) print(a *app, s poolwatch.Sample, n int) error {
	if o.format == "json" {
		return json.NewEncoder(a.stdout).Encode(s)
	}
	if n%20 == 1 {
		fmt.Fprintln(a.stdout, report.PoolHeader)
	}
	if n == 1 && s.Hidden > 0 {
		a.say("the state of %d connections is hidden: GRANT pg_read_all_stats to the role that watches", s.Hidden)
	}
	return report.PoolLine(a.stdout, s)
}
