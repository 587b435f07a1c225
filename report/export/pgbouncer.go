package export

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Pool is what a pooler needs to know. Sizes are connections to the server, times are seconds.
type Pool struct {
	Database    string // as clients call it, and on the server; "" for any
	Host        string
	Port        int // 0 for 5432
	PoolSize    int
	MaxOverflow int
	Timeout     float64 // how long a client waits for a connection
	Recycle     float64 // how old a connection to the server may get
	MaxClients  int     // connections from clients, 0 for ten times the pool
	Version     string  // of PgBouncer, such as 1.18.0; "" when not known
	App         AppPool // in each process of the application; zero for one process with all of it
}

// pgBouncer writes the keys of two sections. They have to be merged: a second [pgbouncer] section, in the file or through
// %include, puts all keys before it back to their defaults (tried on 1.18). An unknown key keeps PgBouncer from starting,
// so keys of newer versions stand there only for a version that has them.
func (j *job) pgBouncer() error {
	p := j.Pool
	if p == nil || p.PoolSize < 1 {
		return errors.New("needs a pool size: the settings of the server do not give one")
	}
	j.notForPools()
	total := p.PoolSize + p.MaxOverflow
	clients := p.MaxClients
	if clients == 0 {
		clients = 10 * total
	}
	var b strings.Builder
	b.WriteString(j.head(";"))
	name := or(p.Database, "*")
	fmt.Fprintf(&b, "[databases]\n%s =", iniKey(name))
	if p.Host != "" {
		fmt.Fprintf(&b, " host=%s", iniValue(p.Host))
	}
	fmt.Fprintf(&b, " port=%d", or0(p.Port, 5432))
	if p.Database != "" {
		fmt.Fprintf(&b, " dbname=%s pool_size=%d", iniValue(p.Database), p.PoolSize)
	}
	fmt.Fprintf(&b, "\n\n[pgbouncer]\npool_mode = transaction\ndefault_pool_size = %d\nmin_pool_size = %d\nreserve_pool_size = %d\n",
		p.PoolSize, p.PoolSize/4, p.MaxOverflow)
	if p.MaxOverflow > 0 {
		b.WriteString("reserve_pool_timeout = 3\n")
	}
	fmt.Fprintf(&b, "max_db_connections = %d\nmax_client_conn = %d\n", total, clients)
	if p.Timeout > 0 {
		fmt.Fprintf(&b, "query_wait_timeout = %.0f\n", max(1, p.Timeout))
	}
	if p.Recycle > 0 {
		fmt.Fprintf(&b, "server_lifetime = %.0f\n", max(1, p.Recycle))
	}
	b.WriteString("ignore_startup_parameters = extra_float_digits,options\n")
	if atLeast(p.Version, 1, 21) {
		b.WriteString("max_prepared_statements = 200\n")
	} else {
		j.skip("max_prepared_statements", "PgBouncer "+or(p.Version, "of unknown version")+" may not know it and would not start: it came with 1.21; without it clients must not use prepared statements")
	}
	b.WriteString(j.foot(";"))
	j.file("pgbouncer.ini", b.String())
	j.out.Apply = []string{"keep a copy of pgbouncer.ini, and put these keys into its sections of the same name; " +
		"not with %include: a second [pgbouncer] section would put the keys of the first back to their defaults",
		"psql -p 6432 pgbouncer -c RELOAD # does not shrink pools that are open"}
	j.out.Rollback = []string{"put the copy of pgbouncer.ini back", "psql -p 6432 pgbouncer -c RELOAD"}
	j.note("default_pool_size counts per pair of user and database, and per process: %d connections each, at most %d a database", p.PoolSize, total)
	return nil
}

func or0(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// iniKey and iniValue quote what PgBouncer's reader would split.
func iniKey(s string) string {
	if s == "*" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == "" {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

func iniValue(s string) string {
	if s != "" && !strings.ContainsAny(s, " '\t") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// atLeast compares versions such as 1.18.0; an unreadable one is old.
func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	return errA == nil && errB == nil && (a > major || a == major && b >= minor)
}
