// Package measure is one measurement from end to end on a server that can be reached: take the schema, load the data,
// calibrate, sweep, clean up. It fills a run document. Whether load may be put on that server has been settled before.
package measure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sort"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/probe"
	"pgfit/workload/engine"
	"pgfit/workload/explain"
	"pgfit/workload/load"
	"pgfit/workload/observe"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
	"pgfit/workload/sweep"
)

// AppName is the application_name of every connection of a run, by which its own sessions are told from foreign ones.
const AppName = "pgfit"

// Job is what to measure. Doc comes with facts, demand and plan, and leaves with visits.
type Job struct {
	Config     *pgx.ConnConfig
	Direct     *pgx.ConnConfig // past a pooler that shares connections, for what needs a session of its own: the schema, counters; nil is Config
	Doc        *rundoc.Document
	Scenarios  []scenario.Scenario
	Datasets   map[string]scenario.Dataset
	Protocol   engine.Protocol
	Driver     string
	MaxTries   int
	Free       int               // connections that the load may have
	Vars       map[string]string // -D name=value
	SearchPath string            // of the load's sessions; "" leaves the server's
	Scale      int64             // of every data set; 0 follows Doc.Plan.DataBytes
	Shape      engine.Load       // rate, think time, callers
	Grow       bool              // add pool sizes while the best one is near the largest
	Deadline   time.Time
	Plans      time.Duration // what asking the planner about the statements may take, after the sweep; 0: it is not asked
	Log        *slog.Logger

	Loading func(done, total int64)               // rows; may be nil
	Visited func(v rundoc.Visit, done, total int) // may be nil
	Live    func(p engine.Progress)               // may be nil
	// Enough tells after a round whether the precision is reached. May be nil.
	Enough func(plan rundoc.Plan, visits []rundoc.Visit) bool
	// Demanded says, once the sweep is done, which pools are to be checked at which rate. May be nil.
	Demanded func(doc *rundoc.Document) Demanded
	// After runs when the sweep is done and the data are still there, with the same engine. May be nil.
	After func(ctx context.Context, s *sweep.Sweep, data *load.Data) error
}

// Run measures. The schema is dropped whatever happens. An interrupted run returns the context's error with the finished
// visits in the document and Partial set.
func (j *Job) Run(ctx context.Context) (err error) {
	start := time.Now()
	j.Config = named(j.Config)
	if j.Direct == nil {
		j.Direct = j.Config
	}
	j.Direct = named(j.Direct)
	var data *load.Data
	if len(j.Datasets) > 0 {
		if data, err = load.Own(ctx, j.Direct); err != nil {
			return err
		}
	}
	defer func() {
		if data != nil {
			err = errors.Join(err, data.Release(ctx))
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, sweep.ErrStorm) || errors.Is(err, sweep.ErrStuck) {
			j.Doc.Partial = partial(err)
		}
	}()
	if data != nil {
		if err := j.fill(ctx, data); err != nil {
			return err
		}
	}
	if j.Doc.Calibration, err = calibrate(ctx, j.Config); err != nil {
		return fmt.Errorf("calibrating: %w", err)
	}
	s, closeAll, err := j.sweep(ctx, data)
	if err != nil {
		return err
	}
	defer closeAll()
	j.Doc.Visits, err = s.Run(ctx, &j.Doc.Plan, start, j.Deadline)
	if err != nil {
		return err
	}
	if j.Demanded != nil {
		if err := j.check(ctx, s, j.Demanded(j.Doc), start); err != nil {
			return err
		}
	}
	if err := j.explain(ctx, data); err != nil {
		return err
	}
	if j.After != nil {
		return j.After(ctx, s, data)
	}
	return nil
}

// named is a copy whose sessions bear pgfit's name.
func named(cfg *pgx.ConnConfig) *pgx.ConnConfig {
	cfg = cfg.Copy()
	cfg.RuntimeParams["application_name"] = AppName
	return cfg
}

// explain asks the planner about the statements of the scenarios. Without an answer the run is as good, but for the advice
// on settings that act through plans.
func (j *Job) explain(ctx context.Context, data *load.Data) error {
	if j.Plans <= 0 {
		return nil
	}
	cfg := j.Direct.Copy()
	if j.SearchPath != "" {
		cfg.RuntimeParams["search_path"] = j.SearchPath
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err == nil {
		defer conn.Close(context.WithoutCancel(ctx))
		j.Doc.Analytic, err = explain.Run(ctx, conn, j.Doc.Facts, j.Scenarios, j.vars(data), j.Doc.Plan.Seed, j.Plans)
	}
	if err != nil && ctx.Err() == nil {
		j.Doc.Warnings = append(j.Doc.Warnings, probe.Warning{Code: "plans", Text: "the planner could not be asked about the statements: " + err.Error()})
		return nil
	}
	return ctx.Err()
}

func partial(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return err.Error()
}

func (j *Job) fill(ctx context.Context, data *load.Data) error {
	names := make([]string, 0, len(j.Datasets))
	for name := range j.Datasets {
		names = append(names, name)
	}
	sort.Strings(names)
	share := j.Doc.Plan.DataBytes / int64(max(1, len(names)))
	for _, name := range names {
		ds := j.Datasets[name]
		scale := j.Scale
		if scale == 0 {
			scale = ds.Scale(share)
		}
		if err := data.Fill(ctx, j.Direct, ds, scale, j.Doc.Plan.Seed, j.Loading); err != nil {
			return fmt.Errorf("loading %s: %w", name, err)
		}
	}
	j.Doc.Plan.Schema, j.Doc.Plan.DataBytes = load.Schema, data.Bytes
	if !data.Settle(ctx) {
		j.Doc.Warnings = append(j.Doc.Warnings, probe.Warning{Code: "no-checkpoint", Text: "no CHECKPOINT after loading: the role may not",
			Hint: "grant pg_checkpoint to the role (PostgreSQL 15 and later), so that loading does not disturb the first visits"})
	}
	return nil
}

// sweep opens the engine and the watcher; closeAll ends both.
func (j *Job) sweep(ctx context.Context, data *load.Data) (*sweep.Sweep, func(), error) {
	connect := j.Config.Config.Copy()
	if j.SearchPath != "" {
		connect.RuntimeParams["search_path"] = j.SearchPath
	}
	cfg := engine.Config{
		Connect: connect, Vars: j.vars(data), Seed: j.Doc.Plan.Seed, Protocol: j.Protocol, Driver: j.Driver, MaxTries: j.MaxTries, Log: j.Log,
		CPUs: probe.OwnCPUs(),
	}
	weights := map[string][]int{}
	n := 0
	for _, sc := range j.Scenarios {
		n += len(sc.Transactions)
	}
	for _, sc := range j.Scenarios {
		w := make([]int, n)
		for _, tx := range sc.Transactions {
			w[len(cfg.Scripts)] = tx.Weight
			cfg.Scripts = append(cfg.Scripts, engine.Weighted{Script: tx.Parsed, Weight: tx.Weight})
		}
		weights[sc.Name] = w
	}
	eng, err := engine.Open(ctx, cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the load engine: %w", err)
	}
	j.Doc.Plan.Driver, j.Doc.Plan.Protocol = eng.Driver(), string(eng.Protocol())
	for _, n := range eng.Notices() {
		j.Doc.Warnings = append(j.Doc.Warnings, probe.Warning{Code: "engine", Text: n})
	}
	watch, err := observe.Watch(ctx, j.Direct, j.Doc.Facts)
	if err != nil {
		eng.Close()
		return nil, nil, fmt.Errorf("opening the observer's connection: %w", err)
	}
	s := &sweep.Sweep{Engine: eng, Weights: weights, Watch: watch, Free: j.Free, Grow: j.Grow, Shape: j.Shape, Log: j.Log, Visited: j.Visited, Live: j.Live}
	if j.Enough != nil {
		s.Enough = func(visits []rundoc.Visit) bool { return j.Enough(j.Doc.Plan, visits) }
	}
	return s, func() { eng.Close(); watch.Close() }, nil
}

// vars are the variables that every script may use: the rows of each table by its name, scale, the number of units of the
// pgbench data set, and the user's own.
func (j *Job) vars(data *load.Data) map[string]string {
	v := map[string]string{}
	if data == nil {
		data = &load.Data{}
	}
	for table, rows := range data.Rows {
		v[table] = fmt.Sprint(max(1, rows))
	}
	if s, ok := data.Scale["pgbench"]; ok {
		v["scale"] = fmt.Sprint(s)
	}
	maps.Copy(v, j.Vars)
	return v
}

// calibrate is phase A: the median time to connect and to go there and back. Far away it makes do with fewer of either.
func calibrate(ctx context.Context, cfg *pgx.ConnConfig) (c rundoc.Calibration, err error) {
	const connects, trips, least, patience = 50, 200, 10, time.Second
	var conn *pgx.Conn
	times := make([]float64, 0, trips)
	more := func(start time.Time, n int) bool {
		return len(times) < least || len(times) < n && time.Since(start) < patience
	}
	for start := time.Now(); more(start, connects); {
		if conn != nil {
			conn.Close(ctx)
		}
		begun := time.Now()
		if conn, err = pgx.ConnectConfig(ctx, cfg); err != nil {
			return c, err
		}
		times = append(times, time.Since(begun).Seconds())
	}
	defer conn.Close(context.WithoutCancel(ctx))
	c.ConnectSeconds, c.Samples = median(times), len(times)
	times = times[:0]
	for start := time.Now(); more(start, trips); {
		begun := time.Now()
		if _, err := conn.Exec(ctx, "SELECT 1"); err != nil {
			return c, err
		}
		times = append(times, time.Since(begun).Seconds())
	}
	c.RTTSeconds = median(times)
	c.ClockSeconds, err = clock(ctx, conn)
	return c, err
}

// clock is what one reading of the server's clock takes: the difference between a statement that reads it many times and
// one that does not. Of some pairs the upper quartile counts, and the call of the function is in it, so that what else runs
// makes the clock look dearer rather than cheaper.
func clock(ctx context.Context, conn *pgx.Conn) (float64, error) {
	const readings, pairs = 200_000, 9
	spent := func(what string) (float64, error) {
		begun := time.Now()
		_, err := conn.Exec(ctx, fmt.Sprintf("SELECT count(%s) FROM generate_series(1, %d) g", what, readings))
		return time.Since(begun).Seconds(), err
	}
	each := make([]float64, 0, pairs)
	for range pairs {
		without, err := spent("g")
		if err != nil {
			return 0, err
		}
		with, err := spent("clock_timestamp()")
		if err != nil {
			return 0, err
		}
		each = append(each, (with-without)/readings)
	}
	sort.Float64s(each)
	return max(0, each[3*pairs/4]), nil
}

func median(v []float64) float64 {
	sort.Float64s(v)
	return v[len(v)/2]
}
