package pool

import (
	"fmt"
	"strings"

	"pgfit/advisor"
)

// Drivers says the pool of one process in the words of other connection pools. What a pool cannot say is noted. Sources: the
// manuals of HikariCP (configuration), pgx v5 (pgxpool.Config), asyncpg (create_pool), node-postgres (pg.Pool), Go's
// database/sql (DB) and SQLAlchemy (QueuePool).
func Drivers(p advisor.PoolAdvice) []advisor.Driver {
	most := p.PoolSize + p.MaxOverflow
	if most == 0 {
		return nil
	}
	return []advisor.Driver{
		{Name: "SQLAlchemy", Settings: list("pool_size=%d", p.PoolSize, "max_overflow=%d", p.MaxOverflow, "pool_timeout=%d", p.PoolTimeout, "pool_recycle=%d", p.PoolRecycle),
			Note: "with pool_pre_ping=True a connection that a firewall dropped is found before it is used"},
		{Name: "HikariCP", Settings: list("maximumPoolSize=%d", most, "minimumIdle=%d", p.PoolSize, "connectionTimeout=%d", 1000*max(p.PoolTimeout, 1), "maxLifetime=%d", 1000*p.PoolRecycle),
			Note: "milliseconds; connectionTimeout has to be at least 250"},
		{Name: "pgxpool", Settings: list("MaxConns=%d", most, "MaxConnLifetime=%ds", p.PoolRecycle, "MaxConnLifetimeJitter=%ds", p.PoolRecycle/10),
			Note: fmt.Sprintf("it keeps idle connections for MaxConnIdleTime, not up to a number; the wait is bounded by the caller's context: context.WithTimeout(ctx, %d*time.Second)", p.PoolTimeout)},
		{Name: "asyncpg", Settings: list("min_size=%d", p.PoolSize, "max_size=%d", most, "max_inactive_connection_lifetime=%d", 300),
			Note: fmt.Sprintf("pool.acquire(timeout=%d) bounds the wait, connecting included; there is no limit on age", p.PoolTimeout)},
		{Name: "node-postgres", Settings: list("max: %d", most, "connectionTimeoutMillis: %d", 1000*p.PoolTimeout, "maxLifetimeSeconds: %d", p.PoolRecycle),
			Note: "connectionTimeoutMillis counts the time to connect too"},
		{Name: "database/sql", Settings: list("SetMaxOpenConns(%d)", most, "SetMaxIdleConns(%d)", p.PoolSize, "SetConnMaxLifetime(%d * time.Second)", p.PoolRecycle),
			Note: fmt.Sprintf("the default keeps 2 idle connections and closes the others; the wait is bounded by the caller's context, %d s", p.PoolTimeout)},
	}
}

// list joins formats and their numbers.
func list(pairs ...any) string {
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, fmt.Sprintf(pairs[i].(string), pairs[i+1]))
	}
	return strings.Join(out, ", ")
}
