package explain

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/probe"
	"pgfit/workload/cluster"
	"pgfit/workload/cluster/versions"
	"pgfit/workload/rundoc"
	"pgfit/workload/scenario"
	"pgfit/workload/script"
)

func transaction(t *testing.T, name, text string) scenario.Transaction {
	t.Helper()
	parsed, err := script.Parse(name, text, script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return scenario.Transaction{Name: name, Weight: 1, Script: text, Parsed: parsed}
}

func TestStatements(t *testing.T) {
	tx := transaction(t, "order", "\\set id random(5, 5)\nBEGIN;\nUPDATE t SET a = :id;\nINSERT INTO t VALUES (:n) RETURNING id AS got \\gset\nDELETE FROM t WHERE id = :got;\nEND;\n")
	got, err := statements(tx, map[string]string{"n": "7"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := []statement{{"order 1", "UPDATE t SET a = 5"}, {"order 2", "INSERT INTO t VALUES (7) RETURNING id AS got"}}
	if !slices.Equal(got, want) {
		t.Errorf("statements = %q, want %q", got, want)
	}
}

// find is the probe of a statement with one setting changed, or with none.
func find(t *testing.T, all []rundoc.PlanProbe, statement, name, value string) rundoc.PlanProbe {
	t.Helper()
	for _, p := range all {
		if p.Statement == statement && (name == "" && len(p.Set) == 0 || name != "" && p.Set[name] == value) {
			return p
		}
	}
	t.Errorf("no probe of %s with %s = %s", statement, name, value)
	return rundoc.PlanProbe{}
}

// TestEveryVersionExplains has a sort that spills, a range over rows in no order, a lookup by key and a statement that
// writes.
func TestEveryVersionExplains(t *testing.T) {
	versions.Each(t, func(t *testing.T, b cluster.Binaries) { explains(t, b) })
}

func explains(t *testing.T, b cluster.Binaries) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-explain-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := cluster.Start(ctx, cluster.Options{Binaries: b, Dir: dir, Settings: map[string]string{"fsync": "off", "autovacuum": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	conn, err := pgx.ConnectConfig(ctx, s.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range []string{"CREATE TABLE t AS SELECT g AS id, (g * 7919::bigint) % 60013 AS a, repeat(md5(g::text), 3) AS b FROM generate_series(1, 60000) g",
		"CREATE UNIQUE INDEX t_id ON t (id)", "CREATE INDEX t_a ON t (a)", "VACUUM ANALYZE t", "SET jit_above_cost = 1000"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	facts := probe.Facts{}
	if facts.Server, _, err = probe.ReadServer(ctx, conn); err != nil {
		t.Fatal(err)
	}
	facts.Host.CPU.Effective = probe.Is(4.0, "test")
	analytic := scenario.Scenario{Name: "a", Class: scenario.Analytic, Transactions: []scenario.Transaction{
		transaction(t, "sort", "SELECT max(b) FROM (SELECT b FROM t ORDER BY b, id OFFSET 0) s;"),
		transaction(t, "range", "\\set x random(1, 1)\nSELECT sum(id) FROM t WHERE a BETWEEN :x AND 500;"),
		transaction(t, "write", "DELETE FROM t WHERE id = 1;"), transaction(t, "broken", "SELECT no_such FROM t;"),
	}}
	oltp := scenario.Scenario{Name: "o", Class: scenario.Read, Transactions: []scenario.Transaction{transaction(t, "key", "SELECT b FROM t WHERE id = :n;")}}
	got, err := Run(ctx, conn, facts, []scenario.Scenario{analytic, oltp}, map[string]string{"n": "5"}, 1, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if sort := find(t, got, "sort", "", ""); sort.SpilledKB < 1000 || sort.SortKB < 1000 || sort.MemoryNodes != 1 || sort.SortNodes != 1 || sort.HashNodes != 0 || sort.Seconds <= 0 || !strings.Contains(sort.Shape, "Sort (Seq Scan t)") {
		t.Errorf("sort: %+v", sort)
	}
	more := 0
	for _, p := range got {
		if p.Set["work_mem"] != "" && p.Statement == "sort" {
			more++
			if !p.Acts || p.Seconds <= 0 || p.Fastest > p.Seconds || p.Slowest < p.Seconds {
				t.Errorf("sort with more work_mem: %+v", p)
			}
		}
		if p.Set["work_mem"] != "" && p.Statement == "key" && p.Seconds != 0 {
			t.Errorf("a key is looked up with more work_mem: %+v", p)
		}
	}
	if more == 0 {
		t.Errorf("more work_mem was not tried: %+v", got)
	}
	if p := find(t, got, "sort", "random_page_cost", "1.1"); p.Acts || p.Seconds != 0 {
		t.Errorf("sort with another random_page_cost: %+v", p)
	}
	base, cheap := find(t, got, "range", "", ""), find(t, got, "range", "random_page_cost", "1.1")
	if !strings.Contains(base.Shape, "Bitmap Heap Scan t") || cheap.Acts != (cheap.Shape != base.Shape) || cheap.Acts != (cheap.Seconds > 0) {
		t.Errorf("range: %+v, and %+v", base, cheap)
	}
	if b.Major < 18 { // where 16 is not the default
		if p := find(t, got, "range", "effective_io_concurrency", "16"); !p.Acts || p.Seconds <= 0 || p.Shape != base.Shape {
			t.Errorf("range with read-ahead: %+v", p)
		}
	}
	if ok, _ := facts.Server.JITAvailable.Get(); ok {
		if p := find(t, got, "sort", "jit", "off"); !p.Acts || p.Seconds <= 0 || find(t, got, "sort", "", "").JITSeconds <= 0 {
			t.Errorf("sort without jit: %+v", p)
		}
	}
	if key := find(t, got, "key", "", ""); key.Seconds != 0 || !strings.Contains(key.Shape, "Index Scan t t_id") {
		t.Errorf("key: %+v", key)
	}
	if w := find(t, got, "write", "", ""); w.Seconds != 0 || !strings.HasPrefix(w.Shape, "ModifyTable t") {
		t.Errorf("write: %+v", w)
	}
	if slices.ContainsFunc(got, func(p rundoc.PlanProbe) bool { return p.Statement == "broken" }) {
		t.Error("a statement that the server refuses has a plan")
	}
	var rows int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM t").Scan(&rows); err != nil || rows != 60000 {
		t.Errorf("%d rows left, %v", rows, err)
	}
}
