package load

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/profiles"
	"pgfit/workload/cluster"
	"pgfit/workload/scenario"
)

func server(t *testing.T) *pgx.ConnConfig {
	t.Helper()
	bin, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Skip("no server binaries: ", err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-load-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := cluster.Start(context.Background(), cluster.Options{Binaries: bin, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s.Config()
}

func scan[T any](t *testing.T, conn *pgx.Conn, sql string) (v T) {
	t.Helper()
	if err := conn.QueryRow(context.Background(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// TestFill: every data set loads with the rows it says, keys in range, and a size near what its unit promises; Release
// leaves nothing.
func TestFill(t *testing.T) {
	ctx := context.Background()
	cfg := server(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	data, err := Own(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := int64(0)
	for name, scale := range map[string]int64{"shop": 40, "pgbench": 2} {
		_, ds, err := scenario.Load(profiles.FS, map[string]string{"shop": "mixed", "pgbench": "tpcb"}[name], os.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		if err := data.Fill(ctx, cfg, ds, scale, 7, nil); err != nil {
			t.Fatal(err)
		}
		want += scale * ds.UnitBytes
		for table, rows := range ds.Rows(scale) {
			if got := scan[int64](t, data.Conn(), "SELECT count(*) FROM pgfit."+table); got != rows {
				t.Errorf("%s has %d rows, want %d", table, got, rows)
			}
		}
	}
	if ratio := float64(data.Bytes) / float64(want); ratio < 0.8 || ratio > 1.2 {
		t.Errorf("%d bytes on disk, the units promise %d", data.Bytes, want)
	}
	for sql, want := range map[string]int64{
		"SELECT count(*) FROM pgfit.orders o LEFT JOIN pgfit.customers c ON c.id = o.customer_id WHERE c.id IS NULL":   0,
		"SELECT count(*) FROM pgfit.order_lines l LEFT JOIN pgfit.orders o ON o.id = l.order_id WHERE o.id IS NULL":    0,
		"SELECT count(*) FROM pgfit.orders WHERE created NOT BETWEEN '2024-01-01' AND '2026-01-01'":                    0,
		"SELECT count(*) FROM pgfit.pgbench_accounts WHERE bid <> 1 + (aid - 1) / 100000 OR length(filler::text) > 84": 0,
		"SELECT count(DISTINCT line) FROM pgfit.order_lines":                                                           3,
		"SELECT count(*) FROM pgfit.pgbench_branches WHERE filler IS NOT NULL":                                         0,
	} {
		if got := scan[int64](t, data.Conn(), sql); got != want {
			t.Errorf("%s = %d, want %d", sql, got, want)
		}
	}
	if next := scan[int64](t, data.Conn(), "INSERT INTO pgfit.orders (customer_id, total, created, status) VALUES (1, 1, now(), 0) RETURNING id"); next != 40*2000+1 {
		t.Errorf("the next order is number %d, want the one after those loaded", next)
	}
	if err := data.Release(ctx); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if exists, err := Check(ctx, conn); exists || err != nil {
		t.Errorf("the schema is left: %v, %v", exists, err)
	}
}

// TestOwn: a schema without the mark is never touched, two runs do not share one, and what a killed run left is cleared.
func TestOwn(t *testing.T) {
	ctx := context.Background()
	cfg := server(t)
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	exec := func(sql string) {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE SCHEMA pgfit; CREATE TABLE pgfit.precious (id int)")
	if _, err := Own(ctx, cfg); !errors.Is(err, ErrForeign) {
		t.Errorf("Own of a foreign schema: %v", err)
	}
	if !scan[bool](t, conn, "SELECT to_regclass('pgfit.precious') IS NOT NULL") {
		t.Error("the foreign table is gone")
	}
	exec("DROP SCHEMA pgfit CASCADE")
	first, err := Own(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Own(ctx, cfg); !errors.Is(err, ErrBusy) {
		t.Errorf("Own of a schema in use: %v", err)
	}
	exec("CREATE TABLE pgfit.leftover (id int)")
	first.conn.Close(ctx) // as if it had been killed
	second, err := Own(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if scan[bool](t, conn, "SELECT to_regclass('pgfit.leftover') IS NOT NULL") {
		t.Error("what a killed run left is still there")
	}
	exec("SELECT pg_terminate_backend(" + "pid) FROM pg_locks WHERE locktype = 'advisory'")
	if err := second.Release(ctx); err != nil {
		t.Errorf("Release after the connection was lost: %v", err)
	}
	if scan[bool](t, conn, "SELECT to_regnamespace('pgfit') IS NOT NULL") {
		t.Error("the schema is left")
	}
}

func TestChooseSize(t *testing.T) {
	facts := func(sb string, ram, free int64) probe.Facts {
		return probe.Facts{
			Host:    probe.Host{Memory: probe.Memory{Budget: probe.Is(ram, "test")}},
			Storage: []probe.Storage{{Role: "data_directory", Path: "/data", Free: probe.Is(free, "test")}},
			Server:  probe.Server{Settings: guc.Settings{"shared_buffers": {Value: sb, Unit: "8kB"}, "max_wal_size": {Value: "1024", Unit: "MB"}}},
		}
	}
	for _, tc := range []struct {
		name   string
		wish   int64
		f      probe.Facts
		budget time.Duration
		want   int64
		err    error
	}{
		{"four times shared_buffers", 0, facts("16384", 16<<30, 100<<30), time.Hour, 512 << 20, nil},
		{"a quarter of the memory", 0, facts("1048576", 8<<30, 100<<30), time.Hour, 2 << 30, nil},
		{"a ceiling", 0, facts("8388608", 1<<40, 1<<40), 24 * time.Hour, 10 << 30, nil},
		{"a tenth of the time", 0, facts("16384", 16<<30, 100<<30), time.Minute, 6 * 20 << 20, nil},
		{"the user's wish", 3 << 30, facts("16384", 16<<30, 100<<30), time.Minute, 3 << 30, nil},
		{"disk too small", 3 << 30, facts("16384", 16<<30, 4<<30), time.Minute, 0, ErrDisk},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ChooseSize(tc.wish, tc.f, tc.budget)
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("ChooseSize = %d, %v, want %d, %v", got, err, tc.want, tc.err)
			}
		})
	}
}

// A role that may not create a schema gets one from an administrator, fills it and drops it as its own.
func TestPrepare(t *testing.T) {
	admin := server(t)
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `CREATE ROLE "an app" LOGIN`); err != nil {
		t.Fatal(err)
	}
	app := admin.Copy()
	app.User = "an app"
	var pg *pgconn.PgError
	if _, err := Own(ctx, app); !errors.As(err, &pg) || pg.Code != "42501" {
		t.Errorf("Own without the right = %v, want 42501", err)
	}
	if err := Prepare(ctx, admin, "an app"); err != nil {
		t.Fatal(err)
	}
	if err := Prepare(ctx, admin, "an app"); err != nil { // what a killed run left
		t.Fatal(err)
	}
	data, err := Own(ctx, app)
	if err != nil {
		t.Fatal(err)
	}
	if err := Remove(ctx, admin); !errors.Is(err, ErrBusy) {
		t.Errorf("Remove during a run = %v, want ErrBusy", err)
	}
	if _, err := data.Conn().Exec(ctx, "CREATE TABLE pgfit.t (id int)"); err != nil {
		t.Error(err)
	}
	data.conn.Close(ctx) // killed
	for deadline := time.Now().Add(10 * time.Second); scan[int](t, conn, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the lock of a closed connection is still held")
		}
	}
	if data, err = Own(ctx, app); err != nil {
		t.Fatal(err)
	}
	if _, err := data.Conn().Exec(ctx, "CREATE TABLE pgfit.t (id int)"); err != nil {
		t.Errorf("after a killed run: %v", err)
	}
	if err := data.Release(ctx); err != nil {
		t.Error(err)
	}
	if exists, err := Check(ctx, conn); exists || err != nil {
		t.Errorf("the schema is still there: %v, %v", exists, err)
	}
	if err := Prepare(ctx, admin, "an app"); err != nil {
		t.Fatal(err)
	}
	if err := Remove(ctx, admin); err != nil {
		t.Error(err)
	}
	if err := Remove(ctx, admin); err != nil {
		t.Errorf("Remove of nothing = %v", err)
	}
	if _, err := conn.Exec(ctx, "CREATE SCHEMA pgfit"); err != nil {
		t.Fatal(err)
	}
	if err := Prepare(ctx, admin, "an app"); !errors.Is(err, ErrForeign) {
		t.Errorf("Prepare beside a foreign schema = %v, want ErrForeign", err)
	}
}
