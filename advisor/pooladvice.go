package advisor

import "pgfit/advisor/usl"

// PoolAdvice is the application's pool. Sizes are connections; Total is over all processes.
type PoolAdvice struct {
	Total          int            `json:"total"`
	Processes      int            `json:"processes"`
	PerProcess     int            `json:"per_process"`
	PoolSize       int            `json:"pool_size"`
	MaxOverflow    int            `json:"max_overflow"`
	PoolTimeout    int            `json:"pool_timeout_seconds"`
	TimeoutFloor   int            `json:"pool_timeout_measured_floor_seconds,omitempty"` // the shortest that what was measured allows
	PoolRecycle    int            `json:"pool_recycle_seconds"`
	MaxConnections int            `json:"max_connections"` // what the server needs for it
	Method         Method         `json:"method"`
	Reasons        []string       `json:"reasons"`
	Ceiling        int            `json:"ceiling"` // the measured pool size beyond which nothing is gained
	KneeInterval   *usl.Interval  `json:"knee_interval,omitempty"`
	Scenarios      []ScenarioPool `json:"scenarios"`
	Comparators    []Comparator   `json:"comparators"`
	PgBouncer      *PgBouncer     `json:"pgbouncer,omitempty"`
	Drivers        []Driver       `json:"drivers,omitempty"`
	Warnings       []string       `json:"warnings,omitempty"`
}

// Reserve is how many connections a pooler in between may open beyond the total while its clients wait: a quarter of it, as far
// as the server gains from more.
func (p PoolAdvice) Reserve() int { return max(0, min(p.Total/4, p.Ceiling-p.Total)) }

// ScenarioPool is what one scenario says about the demand. Rates in 1/s, times in seconds.
type ScenarioPool struct {
	Scenario    string  `json:"scenario"`
	Ceiling     int     `json:"ceiling"`
	MaxRate     float64 `json:"max_rate_per_second"` // at the ceiling
	Demand      float64 `json:"demand_per_second,omitempty"`
	Need        int     `json:"need,omitempty"`        // the smallest pool in which 1 % or fewer have to wait; more than the ceiling where that does not do
	MeanBusy    float64 `json:"mean_busy,omitempty"`   // connections, at the demand
	WaitShare   float64 `json:"wait_share"`            // of the callers, with the recommended pool
	WaitMean    float64 `json:"wait_mean_seconds"`     // the same
	WaitP99     float64 `json:"wait_p99_seconds"`      // the same
	Utilisation float64 `json:"utilisation,omitempty"` // demand over the throughput of the recommended pool
}

// Comparator is another answer to the same question, never mixed with the measured one.
type Comparator struct {
	Name        string  `json:"name"`
	Connections float64 `json:"connections"`
	PoolSize    int     `json:"pool_size,omitempty"`
	MaxOverflow int     `json:"max_overflow,omitempty"`
	PoolTimeout int     `json:"pool_timeout_seconds,omitempty"`
	How         string  `json:"how"`
	// Loss is the measured throughput it gives away against the best pool size, 0 to 1, at the worst over the scenarios;
	// -1 when it lies outside the measured sizes.
	Loss float64 `json:"loss"`
}

// PgBouncer are settings of a pooler between the application and the server, in transaction mode.
type PgBouncer struct {
	DefaultPoolSize  int `json:"default_pool_size"`
	ReservePoolSize  int `json:"reserve_pool_size"`
	MaxDBConnections int `json:"max_db_connections"`
	MaxClientConn    int `json:"max_client_conn"`
	QueryWaitTimeout int `json:"query_wait_timeout_seconds"`
}

// Driver is the same pool in the words of another connection pool.
type Driver struct {
	Name     string `json:"name"`
	Settings string `json:"settings"` // as that pool's configuration writes them
	Note     string `json:"note,omitempty"`
}
