package observe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/probe"
	"pgfit/workload/rundoc"
)

// Watcher records what happens around one visit at a time.
type Watcher struct {
	conn    *pgx.Conn
	sampler sampler
	major   int
	host    *hostReader // nil when the server is on another machine

	before     Counters
	hostBefore hostCounters
	begun      time.Time
	looking    bool
}

// Watch opens two connections: one for counters, one for looking at sessions. The load's sessions are those with cfg's
// application_name.
func Watch(ctx context.Context, cfg *pgx.ConnConfig, f probe.Facts) (*Watcher, error) {
	app := cfg.RuntimeParams["application_name"]
	cfg = cfg.Copy()
	cfg.RuntimeParams["application_name"] = app + " observer"
	w := &Watcher{major: f.Server.Major()}
	if same, ok := f.SameHost.Get(); ok && same && f.Host.OS == "linux" {
		w.host = &hostReader{proc: "/proc"}
		if leaves := f.DataStorage().Leaves; len(leaves) == 1 {
			w.host.device = leaves[0].Name
		}
	}
	var err error
	if w.conn, err = pgx.ConnectConfig(ctx, cfg); err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, w.conn.Close(context.WithoutCancel(ctx)))
	}
	w.sampler = sampler{conn: conn, app: app}
	return w, nil
}

// Start takes the counters and begins to look at the sessions.
func (w *Watcher) Start(ctx context.Context) (err error) {
	if w.before, err = Read(ctx, w.conn, w.major); err != nil {
		return err
	}
	if w.host != nil {
		w.hostBefore, _ = w.host.read()
	}
	w.begun, w.looking = time.Now(), true
	w.sampler.start(ctx)
	return nil
}

// Stop ends the look and puts everything into the visit, with its validity marks.
func (w *Watcher) Stop(ctx context.Context, v *rundoc.Visit) error {
	w.looking = false
	seen := w.sampler.end()
	if seen.err != nil {
		return fmt.Errorf("looking at sessions: %w", seen.err)
	}
	after, err := Read(ctx, w.conn, w.major)
	if err != nil {
		return err
	}
	v.Server = Delta(w.before, after)
	v.Server.Foreign = seen.foreignMean()
	v.Waits, v.WaitRounds = seen.waits, seen.rounds
	if w.host != nil {
		if now, ok := w.host.read(); ok {
			v.Host = use(w.hostBefore, now, time.Since(w.begun).Seconds())
		}
	}
	v.Marks = Marks(*v)
	return nil
}

// Close closes both connections.
func (w *Watcher) Close() {
	if w.looking { // a visit that no Stop followed
		w.sampler.end()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	w.sampler.conn.Close(ctx)
	w.conn.Close(ctx)
}

// Thresholds of the marks: from the refusal rules R5, R6 and R7 of the concurrency notes, and the client's 70 % of the design.
const (
	clientShare  = 0.70
	foreignShare = 0.10
	errorShare   = 0.001
	stealShare   = 0.05
	littleShare  = 0.05
)

// Marks are the doubts about one visit that its own figures raise.
func Marks(v rundoc.Visit) []rundoc.Mark {
	var out []rundoc.Mark
	mark := func(code, format string, args ...any) {
		out = append(out, rundoc.Mark{Code: code, Text: fmt.Sprintf(format, args...)})
	}
	if n := max(0, v.Server.CheckpointsTimed) + max(0, v.Server.CheckpointsReq); n > 0 {
		mark("checkpoint", "%d checkpoints began", n)
	}
	if v.Server.Autovacuums > 0 {
		mark("autovacuum", "autovacuum or autoanalyze finished %d tables", v.Server.Autovacuums)
	}
	if v.Server.Foreign > foreignShare*float64(v.PoolSize) {
		mark("foreign", "%.1f busy sessions of others", v.Server.Foreign)
	}
	if v.Host != nil && v.Host.Steal > stealShare {
		mark("steal", "the hypervisor took %.0f %% of the processors", 100*v.Host.Steal)
	}
	if gap := littleGap(v); gap > littleShare {
		mark("little", "the connections were in use for %.0f %% of the time only", 100*(1-gap))
	}
	if v.Client.CPUShare > clientShare {
		mark("client", "the load generator used %.0f %% of its processors", 100*v.Client.CPUShare)
	}
	if all := v.Transactions + v.Failed; all > 0 && float64(v.Failed) > errorShare*float64(all) {
		mark("errors", "%d of %d transactions failed", v.Failed, all)
	}
	return out
}

// littleGap is (N - X R) / N of a closed loop without think time: the share of the connections' time that was not spent on
// the database (Little's law as an audit). X R is the engine's own time average of the connections in use: the service times
// of what ended inside a short window miss by what hangs over its edges, 25 % where a stall fell on one. 0 for an open loop.
func littleGap(v rundoc.Visit) float64 {
	n := float64(min(v.Callers, v.PoolSize))
	if v.Rate > 0 || n == 0 || v.Transactions == 0 || v.Failed > 0 || v.Extra[rundoc.ThinkSeconds] > 0 {
		return 0
	}
	return max(0, n-v.MeanBusy) / n
}
