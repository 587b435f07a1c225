// Package engine drives connections and records what happens. It is the only hot code in the house: the loop allocates
// nothing and keeps nothing per sample. It knows scripts (as steps), connections and clocks; it does not know which pool
// size comes next, nor what a latency means for a setting.
package engine

import (
	"context"
	"log/slog"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/jackc/pgx/v5/pgconn"

	"pgfit/workload/script"
)

// Weighted is a script and its share of the transactions.
type Weighted struct {
	Script *script.Script
	Weight int
}

// Protocol says how statements are sent.
type Protocol string

// The protocols, named as pgbench -M names them.
const (
	Prepared Protocol = "prepared"
	Extended Protocol = "extended"
	Simple   Protocol = "simple"
)

// The drivers.
const (
	DriverAuto     = "auto"
	DriverEpoll    = "epoll"    // Linux, no TLS: raw sockets, many connections a thread
	DriverPortable = "portable" // goroutine per connection on pgconn
)

// Config says whom to load and with what.
type Config struct {
	Connect  *pgconn.Config // search_path, application_name and the like are set in its RuntimeParams by the caller
	Scripts  []Weighted
	Vars     map[string]string // -D name=value, :scale and so on, for every client
	Seed     uint64
	Protocol Protocol // "" is Prepared
	Driver   string   // "" is DriverAuto
	MaxTries int      // of a transaction after a serialization failure or a deadlock; 0 is 1, as in pgbench
	Threads  int      // workers of the epoll driver; 0 chooses
	CPUs     float64  // that this process may use, by a control group's quota for example; 0 takes the runtime's word
	Log      *slog.Logger
}

// Load is one visit.
type Load struct {
	Weights  []int         // share of each of Config.Scripts in this visit, 0 leaves it out; nil takes Config's weights
	Pool     int           // connections, at most the number that Grow has opened
	Callers  int           // clients that want one; 0 is Pool. More than Pool: they wait, first come first served
	Rate     float64       // arrivals per second of an open loop; 0 is a closed loop
	Uniform  bool          // open loop with even spacing instead of Poisson arrivals
	Think    time.Duration // mean think time of a closed-loop caller (exponential), holding no connection
	Warmup   time.Duration // dropped, by the clock
	Duration time.Duration // measured after it
	Txns     int64         // stop after so many transactions per caller (pgbench -t); 0 is by time
	Lists    [][]int       // closed loop: what each caller runs, in order, as indexes of Config.Scripts, instead of drawing until the time is over
	Seed     uint64        // of every draw, so that another visit with it draws the same; 0 draws others in each visit
	Progress func(Progress)
	Every    time.Duration // how often Progress is called; 0 is 1 s
}

// Progress is the state of a running visit, for a live line.
type Progress struct {
	Elapsed  time.Duration // since the start of the warm-up
	Warm     bool          // still warming up
	TPS      float64       // since the last call
	P50, P99 time.Duration // since the last call
	Errors   int64
}

// Engine holds open connections between visits, so that set-up never falls into a measured window.
//
//	Open   reads the target's needs, chooses the driver, opens no more than one connection
//	Grow   opens and prepares connections up to n
//	Run    one visit; a cancelled ctx ends it early and returns what was measured, with Interrupted set
//	Close  ends every connection; no goroutine is left
type Engine interface {
	Grow(ctx context.Context, n int) error
	Run(ctx context.Context, load Load) (*Result, error)
	Close()
	Driver() string
	Protocol() Protocol // what is really used: behind a transaction pooler it may differ from what was asked
	Notices() []string  // such as "statement cache off: a transaction pooler is in between"
}

// Histogram range: 1 µs to 60 s with 3 significant digits, the same everywhere so that any two can be merged.
const (
	HistMin    = 1
	HistMax    = 60_000_000
	HistDigits = 3
)

// Result is what one visit saw in its measured window.
type Result struct {
	Driver        string
	Protocol      Protocol
	Elapsed       time.Duration // of the measured window
	Transactions  int64         // completed and successful
	Failed        int64         // given up
	Retried       int64         // took more than one try, counted once
	Tries         int64         // extra tries
	Reconnects    int64
	Late          int64 // open loop: arrivals that had to wait for a connection
	Unserved      int64 // open loop: due inside the window, not started when it ended
	Ops           []OpResult
	Errors        []ErrorCount // by SQLSTATE, most frequent first; "connection" for a lost connection
	BytesSent     int64
	BytesReceived int64
	MeanBusy      float64       // time average of connections checked out, from the engine's own clock
	Bins          []uint32      // completions per 100 ms
	Fine          []uint32      // completions per 10 ms; nil of visits of more than ten minutes
	CPU           time.Duration // of this process during the window, user and system
	CPUShare      float64       // CPU / (Elapsed x processors it may use)
	LagP99        time.Duration // how late the engine's own timers fired
	Interrupted   bool
	Storm         string // first message, when the visit was stopped because over 10 % failed for 5 s
}

// OpResult is one script's share of a visit. Times are in microseconds in the histograms.
type OpResult struct {
	Name        string
	Count       int64
	SumService  float64                 // seconds, exact
	SumService2 float64                 // sum of squares, seconds²
	SumWait     float64                 // seconds waited for a connection
	Service     *hdrhistogram.Histogram // checkout to return
	Wait        *hdrhistogram.Histogram // for a connection of the pool
	Latency     *hdrhistogram.Histogram // open loop only: end minus intended start
	Uncorrected *hdrhistogram.Histogram // open loop only: end minus real start
	Lag         *hdrhistogram.Histogram // open loop only: real start minus intended start
	Clamped     int64                   // values above HistMax, recorded as HistMax
}

// ErrorCount counts one SQLSTATE.
type ErrorCount struct {
	SQLState string
	Count    int64
	Message  string // the first one
}
