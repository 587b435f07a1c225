package observe

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// samplesPerSecond is how often the active sessions are looked at.
const samplesPerSecond = 10

// sampleSQL lists busy client sessions of every database but the observer's own: the wait, and whether pgfit runs them.
const sampleSQL = `SELECT coalesce(wait_event_type || ':' || wait_event, 'CPU'), application_name = $1, count(*)
	FROM pg_stat_activity WHERE backend_type = 'client backend' AND state IN ('active', 'idle in transaction', 'fastpath function call')
	AND pid <> pg_backend_pid() GROUP BY 1, 2`

// samples is what a sampler saw in one visit.
type samples struct {
	waits   map[string]int64 // of pgfit's own sessions
	rounds  int64
	foreign int64
	err     error
}

// foreignMean is the mean number of busy sessions that are not pgfit's.
func (s samples) foreignMean() float64 {
	if s.rounds == 0 {
		return 0
	}
	return float64(s.foreign) / float64(s.rounds)
}

// sampler looks at the sessions on a connection of its own until it is stopped.
type sampler struct {
	conn *pgx.Conn
	app  string
	stop context.CancelFunc
	out  chan samples
}

// start begins looking; end gives what was seen.
func (s *sampler) start(ctx context.Context) {
	ctx, s.stop = context.WithCancel(ctx)
	s.out = make(chan samples, 1)
	go func() { s.out <- s.loop(ctx) }()
}

func (s *sampler) end() samples {
	s.stop()
	return <-s.out
}

func (s *sampler) loop(ctx context.Context) samples {
	seen := samples{waits: map[string]int64{}}
	tick := time.NewTicker(time.Second / samplesPerSecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return seen
		case <-tick.C:
		}
		// A look that is cut off half way would cost the connection, so it runs to its end.
		if err := s.look(context.WithoutCancel(ctx), &seen); err != nil {
			seen.err = err
			return seen
		}
	}
}

func (s *sampler) look(ctx context.Context, seen *samples) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	rows, err := s.conn.Query(ctx, sampleSQL, s.app)
	if err != nil {
		return err
	}
	var wait string
	var ours bool
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&wait, &ours, &n}, func() error {
		if ours {
			seen.waits[wait] += n
		} else {
			seen.foreign += n
		}
		return nil
	})
	seen.rounds++
	return errors.Join(err)
}
