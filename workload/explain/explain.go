// Package explain asks the planner about the statements of scenarios: under the present settings, and with one setting
// changed at a time, so that a rule can tell a setting that acts on the measured statements from one that does not. It runs
// statements of analytic scenarios, in read-only transactions; all others it only plans. It does not know which value of a
// setting would be a good one.
package explain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
)

const (
	rounds  = 5 // of timed runs: 1 in 252 that all of one kind come before all of another by chance
	longest = time.Minute
)

// Time is what Run may take of a budget for these scenarios: a tenth, a minute at most, where there are statements to run.
func Time(scenarios []scenario.Scenario, budget time.Duration) time.Duration {
	for _, sc := range scenarios {
		if sc.Class == scenario.Analytic {
			return min(budget/10, longest)
		}
	}
	return 2 * time.Second
}

// trial is one setting changed. acts says whether it does something to a plan other than change its shape.
type trial struct {
	name, value string
	acts        func(plan) bool
}

// trials are the changes that the server's settings leave open.
func trials(f probe.Facts) []trial {
	never := func(plan) bool { return false }
	var out []trial
	set := f.Server.Settings
	add := func(name, value string, acts func(plan) bool) {
		if set.Has(name) && set.Text(name) != value {
			out = append(out, trial{name, value, acts})
		}
	}
	if ok, known := f.Server.JITAvailable.Get(); set.On("jit") && (ok || !known) {
		add("jit", "off", func(p plan) bool { return p.JIT != nil })
	}
	if cost, ok := set.Float("random_page_cost"); ok && cost > 1.1 {
		add("random_page_cost", "1.1", never)
		if cost > 2 {
			add("random_page_cost", "2", never)
		}
	}
	add("max_parallel_workers_per_gather", "0", never)
	if cpus, ok := f.Host.CPU.Effective.Get(); ok && cpus >= 2 {
		add("max_parallel_workers_per_gather", strconv.Itoa(int(cpus)), never)
	}
	if n, ok := set.Int("effective_io_concurrency"); ok && n < 16 && set["effective_io_concurrency"].MaxVal != "0" {
		add("effective_io_concurrency", "16", func(p plan) bool { return p.has("Bitmap Heap Scan") })
	}
	return out
}

// prober is a Run under way.
type prober struct {
	conn     *pgx.Conn
	settings guc.Settings // in force
	trials   []trial
	end      time.Time
}

// asked is one statement with its probes, the one under the present settings first, and the times of their runs in seconds.
type asked struct {
	statement
	run    bool // of an analytic scenario
	probes []rundoc.PlanProbe
	times  [][]float64
}

// Run explains each statement of each scenario. vars are the variables of the scripts. It ends, with what it has, when the
// time is up; the error is the context's or about the connection. A statement that cannot be explained is left out.
func Run(ctx context.Context, conn *pgx.Conn, f probe.Facts, scenarios []scenario.Scenario, vars map[string]string, seed uint64, limit time.Duration) ([]rundoc.PlanProbe, error) {
	p := &prober{conn: conn, settings: f.Server.Settings, trials: trials(f), end: time.Now().Add(limit)}
	all, err := list(scenarios, vars, seed)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context, []*asked) error{p.plan, p.use, p.memory, p.time} {
		if err = step(ctx, all); err != nil {
			break
		}
	}
	var out []rundoc.PlanProbe
	for _, a := range all {
		for i := range a.times {
			if t := a.times[i]; len(t) > 0 {
				sort.Float64s(t)
				a.probes[i].Fastest, a.probes[i].Seconds, a.probes[i].Slowest = t[0], t[len(t)/2], t[len(t)-1]
			}
		}
		out = append(out, a.probes...)
	}
	return out, err
}

// list has each statement once, also where several scenarios share it.
func list(scenarios []scenario.Scenario, vars map[string]string, seed uint64) ([]*asked, error) {
	var out []*asked
	for _, sc := range scenarios {
		for _, tx := range sc.Transactions {
			all, err := statements(tx, vars, seed)
			if err != nil {
				return nil, err
			}
			for _, st := range all {
				if !slices.ContainsFunc(out, func(a *asked) bool { return a.name == st.name }) {
					out = append(out, &asked{statement: st, run: sc.Class == scenario.Analytic})
				}
			}
		}
	}
	return out, nil
}

// plan plans every statement in every way.
func (p *prober) plan(ctx context.Context, all []*asked) error {
	for _, a := range all {
		base, err := p.explain(ctx, a.sql, nil, "")
		if err != nil {
			if err := fatal(ctx, err); err != nil {
				return err
			}
			continue
		}
		a.probes = []rundoc.PlanProbe{base.probe(a.name)}
		for _, t := range p.trials {
			if err := p.try(ctx, a, t.name, t.value, t.acts(base)); err != nil {
				return err
			}
		}
	}
	return nil
}

// try plans a statement with one setting changed. acts says that the change does something to it, whatever its plan.
func (p *prober) try(ctx context.Context, a *asked, name, value string, acts bool) error {
	set := map[string]string{name: value}
	got, err := p.explain(ctx, a.sql, set, "")
	if err != nil {
		return fatal(ctx, err)
	}
	probe := got.probe(a.name)
	probe.Set, probe.Acts = set, got.shape() != a.probes[0].Shape || acts
	a.probes = append(a.probes, probe)
	return nil
}

// probe is what a plan says of a statement that was not run.
func (p plan) probe(statement string) rundoc.PlanProbe {
	sorts, hashes := p.memoryNodes()
	return rundoc.PlanProbe{Statement: statement, Shape: p.shape(), MemoryNodes: sorts + hashes, SortNodes: sorts, HashNodes: hashes}
}

// use runs each analytic statement once, to see what memory, disk and compilation it takes.
func (p *prober) use(ctx context.Context, all []*asked) error {
	for _, a := range all {
		if !a.run || len(a.probes) == 0 || time.Now().After(p.end) {
			continue
		}
		got, err := p.explain(ctx, a.sql, nil, "ANALYZE, BUFFERS, ")
		if err != nil {
			a.run = false
			if err := fatal(ctx, err); err != nil {
				return err
			}
			continue
		}
		base := &a.probes[0]
		base.Seconds, base.SpilledKB, base.SortKB, base.Workers = got.ExecutionTime/1000, got.Plan.TempWritten*8, got.largest(), got.workers()
		if got.JIT != nil {
			base.JITSeconds = got.JIT.Timing.Total / 1000
		}
	}
	return nil
}

// memory adds what more work_mem does, where a statement that was run spilled: enough for every one of them, and the geometric
// mean of that and what is in force, both to the next power of two. Whether memory is faster than files in the page cache is
// for the times to say.
func (p *prober) memory(ctx context.Context, all []*asked) error {
	present, _ := p.settings.Bytes("work_mem")
	multiplier, _ := p.settings.Float("hash_mem_multiplier")
	need := int64(0)
	for _, a := range all {
		if len(a.probes) > 0 {
			need = max(need, a.probes[0].WorkMem(multiplier))
		}
	}
	if present <= 0 || need <= present {
		return nil
	}
	var values []string
	for _, bytes := range []float64{math.Sqrt(float64(need) * float64(present)), float64(need)} {
		if power := int64(math.Exp2(math.Ceil(math.Log2(bytes)))); power > present && power <= rundoc.MostWorkMem {
			values = append(values, guc.FormatBytes(power))
		}
	}
	for _, value := range slices.Compact(values) {
		for _, a := range all {
			if len(a.probes) == 0 {
				continue
			}
			if err := p.try(ctx, a, "work_mem", value, a.probes[0].SpilledKB > 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// time runs the analytic statements on which a change acts, with and without it in turn, so that drift hits both alike.
func (p *prober) time(ctx context.Context, all []*asked) error {
	for _, a := range all {
		a.times = make([][]float64, len(a.probes))
	}
	for round := range rounds {
		for _, a := range all {
			acts := slices.ContainsFunc(a.probes, func(q rundoc.PlanProbe) bool { return q.Acts })
			if !a.run || !acts || time.Now().After(p.end) {
				continue
			}
			if err := p.timeOnce(ctx, a, round); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *prober) timeOnce(ctx context.Context, a *asked, round int) error {
	for i := range a.probes {
		at := (i + round) % len(a.probes) // nobody always follows the same neighbour
		if at > 0 && !a.probes[at].Acts {
			continue
		}
		got, err := p.explain(ctx, a.sql, a.probes[at].Set, "ANALYZE, TIMING OFF, ")
		if err != nil {
			return fatal(ctx, err)
		}
		a.times[at] = append(a.times[at], got.ExecutionTime/1000)
	}
	return nil
}

// explain asks once, in a read-only transaction of its own, with what is left of the time as the limit of a run.
func (p *prober) explain(ctx context.Context, sql string, set map[string]string, options string) (plan, error) {
	tx, err := p.conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return plan{}, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	left := max(time.Until(p.end), time.Second) // a set of runs that has begun is finished
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", left.Milliseconds())); err != nil {
		return plan{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if _, err := tx.Exec(ctx, "SELECT set_config($1, $2, true)", name, set[name]); err != nil {
			return plan{}, err
		}
	}
	var text string
	if err := tx.QueryRow(ctx, "EXPLAIN ("+options+"FORMAT JSON) "+sql, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		return plan{}, err
	}
	return parse([]byte(text))
}

// fatal lets pass what a server says of one statement: that it may not, cannot or took too long.
func fatal(ctx context.Context, err error) error {
	var said *pgconn.PgError
	if ctx.Err() == nil && errors.As(err, &said) && !strings.HasPrefix(said.Code, "08") && !strings.HasPrefix(said.Code, "57P") {
		return nil
	}
	return err
}
