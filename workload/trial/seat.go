package trial

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/workload/cluster"
	"pgfit/workload/engine"
	"pgfit/workload/load"
	"pgfit/workload/observe"
)

// seat is a side with its connections open: those of the load, and one for counters and checkpoints.
type seat struct {
	name   string // A or B
	place  int    // which of two copies of the data, 1 or 2; 0 on a server of the user's
	eng    engine.Engine
	conn   *pgx.Conn
	major  int
	server *cluster.Server

	heap    heap // of a scratch server
	scripts int  // of the scenarios; the toucher comes after them
}

// sit opens every side, for the nth time: with keys of their own. Where one fails, all are closed again.
func (r *Runner) sit(ctx context.Context, nth int, places ...place) (seats []*seat, err error) {
	defer func() {
		if err != nil {
			closeAll(seats)
		}
	}()
	for i, p := range places {
		s, err := r.open(ctx, p.Side, nth)
		if s != nil {
			if s.name = p.name; p.Server != nil {
				s.place = i + 1
			}
			seats = append(seats, s)
		}
		if err != nil {
			return seats, err
		}
	}
	return seats, nil
}

func (r *Runner) open(ctx context.Context, side Side, nth int) (*seat, error) {
	cfg := side.Config.Copy()
	cfg.RuntimeParams["application_name"] = appName + " observer"
	if side.Server != nil {
		cfg.RuntimeParams["jit"] = "off" // of fill's queries
	}
	s := &seat{server: side.Server}
	var err error
	if s.conn, err = pgx.ConnectConfig(ctx, cfg); err != nil {
		return nil, err
	}
	var version int
	if err := s.conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return s, err
	}
	s.major = version / 10000
	if err := s.analyze(ctx, side.stale); err != nil {
		return s, err
	}
	connect := side.Config.Config.Copy()
	connect.RuntimeParams["application_name"] = appName
	for name, value := range side.Set {
		connect.RuntimeParams[name] = value
	}
	ec := engine.Config{Connect: connect, Vars: r.Vars, Seed: r.Seed + uint64(nth)<<40, Protocol: r.Protocol, Driver: r.Driver, MaxTries: r.MaxTries, Log: r.Log}
	for _, sc := range r.Scenarios {
		for _, tx := range sc.Transactions {
			ec.Scripts = append(ec.Scripts, engine.Weighted{Script: tx.Parsed, Weight: tx.Weight})
		}
	}
	if s.scripts = len(ec.Scripts); side.Server != nil {
		if s.heap, err = s.readHeap(ctx); err != nil {
			return s, err
		}
		touch, err := s.heap.toucher()
		if err != nil {
			return s, err
		}
		ec.Scripts = append(ec.Scripts, engine.Weighted{Script: touch})
	}
	if s.eng, err = engine.Open(ctx, ec); err != nil {
		return s, fmt.Errorf("opening the load engine: %w", err)
	}
	if err := s.eng.Grow(ctx, r.Pool); err != nil {
		return s, fmt.Errorf("opening %d connections: %w", r.Pool, err)
	}
	return s, nil
}

const statisticsTarget = "default_statistics_target"

// analyze makes the statistics anew on a scratch server whose default_statistics_target is not that of the snapshot, or,
// stale, of the server that had these data before: until then the setting has no effect.
func (s *seat) analyze(ctx context.Context, stale bool) error {
	var stock bool
	if err := s.conn.QueryRow(ctx, "SELECT setting = boot_val FROM pg_settings WHERE name = $1", statisticsTarget).Scan(&stock); err != nil {
		return err
	}
	if s.server == nil || stock && !stale {
		return nil
	}
	rows, err := s.conn.Query(ctx, "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = $1 ORDER BY 1", load.Schema)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := s.conn.Exec(ctx, "ANALYZE "+t); err != nil {
			return fmt.Errorf("analyzing %s: %w", t, err)
		}
	}
	return nil
}

// settle brings a scratch server to the state that every visit begins from: everything written, nothing pending. It
// tells how long that took. A server of the user's is left alone.
func (s *seat) settle(ctx context.Context) (time.Duration, error) {
	if s.server == nil {
		return 0, nil
	}
	begun := time.Now()
	if _, err := s.conn.Exec(ctx, "CHECKPOINT"); err != nil {
		return 0, fmt.Errorf("checkpoint after a visit: %w", err)
	}
	return time.Since(begun), nil
}

// counters are read at both ends of a visit.
func (s *seat) counters(ctx context.Context) (observe.Counters, time.Duration, error) {
	c, err := observe.Read(ctx, s.conn, s.major)
	if err != nil {
		return nil, 0, err
	}
	cpu := time.Duration(-1)
	if s.server != nil {
		if used, ok := s.server.CPU(); ok {
			cpu = used
		}
	}
	return c, cpu, nil
}

// close ends the connections; a frozen server is thawed first, or it would not answer.
func (s *seat) close() {
	if s.server != nil {
		s.server.Thaw()
	}
	if s.eng != nil {
		s.eng.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.conn.Close(ctx)
}

func closeAll(seats []*seat) {
	for _, s := range seats {
		s.close()
	}
}

// focus freezes the other servers and lets one run.
func focus(seats []*seat, on int) {
	for i, s := range seats {
		if i != on && s.server != nil && s.server != seats[on].server {
			s.server.Freeze()
		}
	}
	if s := seats[on].server; s != nil {
		s.Thaw()
	}
}
