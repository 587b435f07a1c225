package pool

import (
	"strings"
	"testing"

	"pgfit/advisor"
)

// Every pool opens the same number of connections at most, and none is told more than its vocabulary has.
func TestDrivers(t *testing.T) {
	p := advisor.PoolAdvice{PoolSize: 20, MaxOverflow: 10, PoolTimeout: 30, PoolRecycle: 3600}
	want := map[string][]string{
		"SQLAlchemy":    {"pool_size=20", "max_overflow=10", "pool_timeout=30", "pool_recycle=3600"},
		"HikariCP":      {"maximumPoolSize=30", "minimumIdle=20", "connectionTimeout=30000", "maxLifetime=3600000"},
		"pgxpool":       {"MaxConns=30", "MaxConnLifetime=3600s"},
		"asyncpg":       {"min_size=20", "max_size=30"},
		"node-postgres": {"max: 30", "connectionTimeoutMillis: 30000", "maxLifetimeSeconds: 3600"},
		"database/sql":  {"SetMaxOpenConns(30)", "SetMaxIdleConns(20)", "SetConnMaxLifetime(3600 * time.Second)"},
	}
	for _, d := range Drivers(p) {
		for _, w := range want[d.Name] {
			if !strings.Contains(d.Settings, w) {
				t.Errorf("%s: %q misses %q", d.Name, d.Settings, w)
			}
		}
		delete(want, d.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	if Drivers(advisor.PoolAdvice{}) != nil {
		t.Error("no pool, and yet drivers are told something")
	}
}
