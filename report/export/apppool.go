package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// AppPool is the pool in each of the application's processes, as SQLAlchemy counts it.
type AppPool struct {
	Processes      int // instances x workers, 0 for 1
	PoolSize       int
	MaxOverflow    int
	Timeout        int // seconds that a caller waits for a connection, 0 for the pooler's
	MaxConnections int // what the server needs for all of them, 0 when not computed
}

// OfPool tells whether a format is that of a pool or a pooler, which has none of the server's settings.
func OfPool(format string) bool {
	_, app := stacks[format]
	return app || slices.Contains([]string{"pgbouncer", "odyssey", "pgcat"}, format)
}

// stack is how a pool is written for one driver or framework.
type stack struct {
	file, mark string
	write      func(p poolOf) string
	note       string // the trap
}

// poolOf is what a stack needs. Stacks without an overflow get the sum as their maximum.
type poolOf struct {
	size, overflow, max int
	timeout, recycle    int // seconds
}

// stacks say what advisor/pool.Drivers says of the same pools, as configuration (TestStacksAgree).
var stacks = map[string]stack{
	"sqlalchemy": {"engine.py", "#", func(p poolOf) string {
		return fmt.Sprintf("engine = create_async_engine(\n    url,\n    pool_size=%d,\n    max_overflow=%d,\n    pool_timeout=%d,\n    pool_recycle=%d,\n    pool_pre_ping=True,\n)\n",
			p.size, p.overflow, p.timeout, p.recycle)
	}, "pool_size and the like in the URL's query are the application's own convention: SQLAlchemy hands them to the driver; asyncpg wants ssl= and not sslmode="},
	"asyncpg": {"pool.py", "#", func(p poolOf) string {
		return fmt.Sprintf("pool = await asyncpg.create_pool(\n    dsn,\n    min_size=%d,\n    max_size=%d,\n    max_inactive_connection_lifetime=%d,\n)\n"+
			"async with pool.acquire(timeout=%d) as connection:\n    ...\n", p.size, p.max, 300, p.timeout)
	}, "acquire's timeout includes connecting; the lifetime is that of an idle connection, there is no limit on age; behind PgBouncer before 1.21: statement_cache_size=0"},
	"hikari": {"application.properties", "#", func(p poolOf) string {
		return fmt.Sprintf("spring.datasource.hikari.maximum-pool-size=%d\nspring.datasource.hikari.minimum-idle=%d\nspring.datasource.hikari.connection-timeout=%d\nspring.datasource.hikari.max-lifetime=%d\n",
			p.max, p.size, 1000*p.timeout, 1000*p.recycle)
	}, "without minimum-idle the pool has a fixed size, which HikariCP itself prefers; max-lifetime has to be below the limit of any proxy on the way"},
	"pgxpool": {"pgxpool.txt", "#", func(p poolOf) string {
		return fmt.Sprintf("pool_max_conns=%d pool_max_conn_lifetime=%ds pool_max_conn_lifetime_jitter=%ds\n",
			p.max, p.recycle, p.recycle/10)
	}, "append to the keyword string, or to the URL's query with & between; the wait for a connection is the context's deadline alone: %d s"},
	"node-pg": {"pool.js", "//", func(p poolOf) string {
		return fmt.Sprintf("const pool = new Pool({\n  max: %d,\n  connectionTimeoutMillis: %d,\n  maxLifetimeSeconds: %d,\n});\n",
			p.max, 1000*p.timeout, p.recycle)
	}, "without connectionTimeoutMillis a request waits for ever"},
	"prisma": {"prisma.ts", "//", func(p poolOf) string {
		return fmt.Sprintf("const adapter = new PrismaPg({\n  connectionString: process.env.DATABASE_URL,\n  max: %d,\n  connectionTimeoutMillis: %d,\n  maxLifetimeSeconds: %d,\n});\n"+
			"// up to Prisma 6 in the URL: ?connection_limit=%d&pool_timeout=%d\n", p.max, 1000*p.timeout, p.recycle, p.max, p.timeout)
	}, "Prisma 7 no longer reads connection_limit and pool_timeout from the URL"},
	"django": {"settings.py", "#", func(p poolOf) string {
		return fmt.Sprintf("DATABASES[\"default\"][\"CONN_MAX_AGE\"] = 0\nDATABASES[\"default\"].setdefault(\"OPTIONS\", {})[\"pool\"] = {\n    \"min_size\": %d,\n    \"max_size\": %d,\n"+
			"    \"timeout\": %d,\n    \"max_lifetime\": %d,\n}\n", min(p.size, 2), p.max, p.timeout, p.recycle)
	}, "Django 5.1 and later with psycopg 3; before that there is one connection a thread and no pool"},
	"rails": {"database.yml", "#", func(p poolOf) string {
		return fmt.Sprintf("production:\n  pool: %d\n  checkout_timeout: %d\n  idle_timeout: 300\n", p.max, p.timeout)
	}, "at least as many as Puma's threads; Rails 8.1 calls it max_connections and keeps pool as an alias"},
	"npgsql": {"appsettings.txt", "#", func(p poolOf) string {
		return fmt.Sprintf("Maximum Pool Size=%d;Minimum Pool Size=0;Timeout=%d;Connection Idle Lifetime=300;Connection Lifetime=%d\n", p.max, p.timeout, p.recycle)
	}, "append to the connection string: each distinct connection string has a pool of its own; the default is 100"},
}

// appPool writes the pool for a driver or framework.
func (j *job) appPool(name string) error {
	p := j.Pool
	if p == nil || p.PoolSize < 1 {
		return errors.New("needs a pool size: the settings of the server do not give one")
	}
	j.notForPools()
	app := p.App
	if app.PoolSize < 1 {
		app = AppPool{Processes: 1, PoolSize: p.PoolSize, MaxOverflow: p.MaxOverflow}
	}
	app.Processes = max(1, app.Processes)
	s := stacks[name]
	of := poolOf{app.PoolSize, app.MaxOverflow, app.PoolSize + app.MaxOverflow, int(max(1, p.Timeout)), int(max(60, p.Recycle))}
	if app.Timeout > 0 {
		of.timeout = app.Timeout
	}
	j.file(s.file, j.head(s.mark)+s.mark+" "+j.product(app)+"\n"+s.write(of))
	if strings.Contains(s.note, "%d") {
		j.note(s.note, of.timeout)
	} else {
		j.note("%s", s.note)
	}
	j.note("%s", j.product(app))
	j.out.Apply = []string{"put it where the application makes its pool, and restart the application"}
	j.out.Rollback = []string{"put the former lines back, and restart the application"}
	return nil
}

// product is the number that matters: what all processes together may open, against what the server takes.
func (j *job) product(app AppPool) string {
	word := "processes"
	if app.Processes == 1 {
		word = "process"
	}
	text := fmt.Sprintf("%d %s x (%d + %d) = %d connections", app.Processes, word, app.PoolSize, app.MaxOverflow, app.Processes*(app.PoolSize+app.MaxOverflow))
	if app.MaxConnections > 0 {
		text += fmt.Sprintf("; max_connections has to be %d at least", app.MaxConnections)
	}
	if now, ok := j.settings()["max_connections"]; ok && len(j.Server.Settings) > 0 {
		text += " and is " + now.Value
	}
	return text
}

// notForPools leaves the settings of the server out, without a word: a pool has none of them.
func (j *job) notForPools() { j.out.Skipped, j.items = nil, nil }

// odyssey writes a route of Odyssey; pool_size 0 would mean no limit.
func (j *job) odyssey() error {
	p := j.Pool
	if p == nil || p.PoolSize < 1 {
		return errors.New("needs a pool size: the settings of the server do not give one")
	}
	j.notForPools()
	total := p.PoolSize + p.MaxOverflow
	var b strings.Builder
	b.WriteString(j.head("#"))
	fmt.Fprintf(&b, "storage \"postgres_server\" {\n    type \"remote\"\n    host %s\n    port %d\n}\n", quoteOdyssey(or(p.Host, "127.0.0.1")), or0(p.Port, 5432))
	fmt.Fprintf(&b, "database %s {\n    user default {\n        authentication \"scram-sha-256\"\n        storage \"postgres_server\"\n        pool \"transaction\"\n", odysseyName(p.Database))
	fmt.Fprintf(&b, "        pool_size %d\n        min_pool_size %d\n        pool_timeout %.0f\n        pool_ttl 60\n        client_max %d\n", total, p.PoolSize/4, 1000*p.Timeout, or0(p.MaxClients, 10*total))
	fmt.Fprintf(&b, "        server_lifetime %.0f\n        pool_reserve_prepared_statement yes\n    }\n}\n", max(60, p.Recycle))
	j.file("odyssey.conf", b.String())
	j.note("pool_size counts per route, a pair of database and user: %d connections each", total)
	j.out.Apply = []string{"keep a copy of odyssey.conf, merge these blocks into it, and reload Odyssey"}
	j.out.Rollback = []string{"put the copy of odyssey.conf back, and reload Odyssey"}
	return nil
}

func odysseyName(name string) string {
	if name == "" {
		return "default"
	}
	return quoteOdyssey(name)
}

func quoteOdyssey(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// pgCat writes TOML; its times are milliseconds.
func (j *job) pgCat() error {
	p := j.Pool
	if p == nil || p.PoolSize < 1 {
		return errors.New("needs a pool size: the settings of the server do not give one")
	}
	j.notForPools()
	total := p.PoolSize + p.MaxOverflow
	name := jsonString(or(p.Database, "app"))
	var b strings.Builder
	b.WriteString(j.head("#"))
	fmt.Fprintf(&b, "[general]\nconnect_timeout = %.0f\nserver_lifetime = %.0f\n\n", 1000*max(1, p.Timeout), 1000*max(60, p.Recycle))
	fmt.Fprintf(&b, "[pools.%s]\npool_mode = \"transaction\"\n\n[pools.%s.users.0]\nusername = \"app\" # your role\npool_size = %d\nmin_pool_size = %d\n\n", name, name, total, p.PoolSize/4)
	fmt.Fprintf(&b, "[pools.%s.shards.0]\nservers = [[%s, %d, \"primary\"]]\ndatabase = %s\n", name, jsonString(or(p.Host, "127.0.0.1")), or0(p.Port, 5432), name)
	j.file("pgcat.toml", b.String())
	j.note("pool_size counts per user: %d connections each; the times are milliseconds", total)
	j.out.Apply = []string{"keep a copy of pgcat.toml, merge these tables into it, and send pgcat SIGHUP"}
	j.out.Rollback = []string{"put the copy of pgcat.toml back, and send pgcat SIGHUP"}
	return nil
}
