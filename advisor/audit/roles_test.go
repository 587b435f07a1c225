package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgfit/probe/roles"
	"pgfit/workload/cluster"
)

// guideRoles are the house guide's init scripts, with a table that a migration made as the owner.
var guideRoles = []string{
	"CREATE ROLE appowner NOLOGIN", "CREATE ROLE appuser LOGIN PASSWORD 'a'", "CREATE ROLE backupuser LOGIN PASSWORD 'b'", "CREATE DATABASE appdb OWNER appowner",
	"\\c appdb", "CREATE SCHEMA app AUTHORIZATION appowner", "SET ROLE appowner", "CREATE TABLE app.t (id serial PRIMARY KEY, v int)", "RESET ROLE", "GRANT USAGE ON SCHEMA app TO appuser",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO appuser", "GRANT SELECT ON ALL TABLES IN SCHEMA app TO backupuser",
	"\\c postgres", "CREATE ROLE temporaluser_owner NOLOGIN", "CREATE ROLE temporaluser LOGIN PASSWORD 'c'", "CREATE DATABASE temporal OWNER temporaluser_owner",
	"CREATE DATABASE temporal_visibility OWNER temporaluser_owner", "\\c temporal", "CREATE TABLE history (id int)", "GRANT USAGE, CREATE ON SCHEMA public TO temporaluser",
	"GRANT ALL ON ALL TABLES IN SCHEMA public TO temporaluser",
}

// mended is what the guide's scripts leave open.
var mended = []string{
	"\\c appdb", "GRANT USAGE ON SCHEMA app TO backupuser", "GRANT USAGE ON ALL SEQUENCES IN SCHEMA app TO appuser",
	"ALTER DEFAULT PRIVILEGES FOR ROLE appowner IN SCHEMA app GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO appuser",
	"ALTER DEFAULT PRIVILEGES FOR ROLE appowner IN SCHEMA app GRANT SELECT ON TABLES TO backupuser", "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
	"REVOKE CONNECT, TEMPORARY ON DATABASE appdb, temporal, temporal_visibility FROM PUBLIC",
	"\\c temporal", "REVOKE CREATE ON SCHEMA public FROM PUBLIC", "\\c temporal_visibility", "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
	"GRANT USAGE, CREATE ON SCHEMA public TO temporaluser",
}

// bench is a scratch server and what is known about it.
type bench struct {
	t   *testing.T
	srv *cluster.Server
}

func startBench(t *testing.T) *bench {
	bin, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Skip("no server binaries: ", err)
	}
	srv, err := cluster.Start(context.Background(), cluster.Options{Binaries: bin})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &bench{t, srv}
}

func (b *bench) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	cfg := b.srv.Config()
	cfg.Database = database
	return pgx.ConnectConfig(ctx, cfg)
}

// exec runs statements; \c changes the database.
func (b *bench) exec(statements ...string) {
	b.t.Helper()
	conn, err := b.connect(context.Background(), "postgres")
	for _, sql := range statements {
		if err != nil {
			b.t.Fatal(err)
		}
		if db, ok := strings.CutPrefix(sql, "\\c "); ok {
			conn.Close(context.Background())
			conn, err = b.connect(context.Background(), db)
		} else if _, err := conn.Exec(context.Background(), sql); err != nil {
			b.t.Fatalf("%s: %v", sql, err)
		}
	}
	conn.Close(context.Background())
}

var threeRoles = Names{Database: "appdb", Owner: "appowner", User: "appuser", ReadOnly: "backupuser", Temporal: []string{"temporal", "temporal_visibility"}, TemporalUser: "temporaluser"}

// all are the databases of the guide, and one that does not exist.
var all = []string{"appdb", "temporal", "temporal_visibility", "no_such"}

// audit returns the findings about roles as "check object" with their number.
func (b *bench) audit(databases ...string) map[string]int {
	b.t.Helper()
	conn, err := b.connect(context.Background(), "postgres")
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	facts, err := roles.Read(context.Background(), conn, b.connect, databases,
		[]string{"appuser", "backupuser", "temporaluser"})
	if err != nil {
		b.t.Fatal(err)
	}
	if len(facts.Denied) > 0 {
		b.t.Fatalf("denied: %v", facts.Denied)
	}
	got, err := Run(Input{Environment: "production", Roles: &facts, Names: threeRoles})
	if err != nil {
		b.t.Fatal(err)
	}
	n := map[string]int{}
	for _, f := range got.Findings {
		if strings.HasPrefix(f.Check, "roles.") {
			n[f.Check+" "+f.Object]++
		}
	}
	return n
}

func keys(n map[string]int) []string {
	var out []string
	for k := range n {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// TestRoles: the guide's scripts have the gaps that are really in them, mending them leaves none, and each fault is found.
func TestRoles(t *testing.T) {
	b := startBench(t)
	b.exec("SET password_encryption = 'scram-sha-256'")
	b.exec(guideRoles...)
	want := []string{
		"roles.default-privileges role appuser", "roles.default-privileges role backupuser", "roles.no-expiry role appuser", "roles.no-expiry role backupuser",
		"roles.no-expiry role temporaluser", "roles.public-connect database appdb", "roles.public-connect database temporal",
		"roles.public-connect database temporal_visibility", "roles.ro-blind role backupuser", "roles.sequences role appuser",
	}
	for _, db := range []string{"appdb", "temporal", "temporal_visibility"} { // the default before 15
		if b.publicMayCreate() {
			want = append(want, "roles.public-create schema "+db+".public")
		}
	}
	slices.Sort(want)
	if got := keys(b.audit(all...)); !slices.Equal(got, want) {
		t.Errorf("the guide's roles:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	b.exec(mended...)
	for _, role := range []string{"appuser", "backupuser", "temporaluser"} {
		b.exec(fmt.Sprintf("DO $$ BEGIN EXECUTE format('ALTER ROLE %s VALID UNTIL %%L', now() + '60 days'); END $$", role))
	}
	if got := keys(b.audit(all...)); len(got) > 0 {
		t.Errorf("after mending: %s", strings.Join(got, "\n"))
	}
	b.faults()
}

func (b *bench) publicMayCreate() bool {
	conn, err := b.connect(context.Background(), "appdb")
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var may bool
	if err := conn.QueryRow(context.Background(), "SELECT has_schema_privilege('backupuser', 'public', 'CREATE')").Scan(&may); err != nil {
		b.t.Fatal(err)
	}
	return may
}

// faults breaks one thing at a time and takes it back.
func (b *bench) faults() {
	for _, tc := range []struct {
		do, undo []string
		want     string
	}{
		{[]string{"ALTER ROLE appowner LOGIN"}, []string{"ALTER ROLE appowner NOLOGIN"}, "roles.owner-login role appowner"},
		{[]string{"ALTER DATABASE appdb OWNER TO postgres"}, []string{"ALTER DATABASE appdb OWNER TO appowner"}, "roles.owner-superuser database appdb"},
		{[]string{"ALTER DATABASE appdb OWNER TO appuser"}, []string{"ALTER DATABASE appdb OWNER TO appowner"}, "roles.owns role appuser"},
		{[]string{"ALTER DATABASE appdb OWNER TO temporaluser_owner"}, []string{"ALTER DATABASE appdb OWNER TO appowner"}, "roles.owner-other database appdb"},
		{[]string{"ALTER ROLE appuser CREATEROLE"}, []string{"ALTER ROLE appuser NOCREATEROLE"}, "roles.powers role appuser"},
		{[]string{"ALTER ROLE appuser SUPERUSER"}, []string{"ALTER ROLE appuser NOSUPERUSER"}, "roles.powers role appuser"},
		{[]string{"GRANT appowner TO appuser"}, []string{"REVOKE appowner FROM appuser"}, "roles.member role appuser"},
		{[]string{"CREATE ROLE between", "GRANT appowner TO between", "GRANT between TO backupuser"}, []string{"DROP ROLE between"}, "roles.member role backupuser"},
		{[]string{"GRANT pg_execute_server_program TO appuser"}, []string{"REVOKE pg_execute_server_program FROM appuser"}, "roles.member role appuser"},
		{[]string{"\\c appdb", "ALTER TABLE app.t OWNER TO appuser"}, []string{"\\c appdb", "ALTER TABLE app.t OWNER TO appowner",
			"GRANT SELECT, INSERT, UPDATE, DELETE ON app.t TO appuser", "GRANT USAGE ON ALL SEQUENCES IN SCHEMA app TO appuser"}, "roles.owns role appuser"},
		{[]string{"\\c appdb", "GRANT CREATE ON SCHEMA app TO appuser"}, []string{"\\c appdb", "REVOKE CREATE ON SCHEMA app FROM appuser"}, "roles.app-ddl role appuser"},
		{[]string{"\\c appdb", "GRANT TRUNCATE ON app.t TO appuser"}, []string{"\\c appdb", "REVOKE TRUNCATE ON app.t FROM appuser"}, "roles.app-ddl role appuser"},
		{[]string{"\\c appdb", "REVOKE UPDATE ON app.t FROM appuser"}, []string{"\\c appdb", "GRANT UPDATE ON app.t TO appuser"}, "roles.app-lacks role appuser"},
		{[]string{"\\c appdb", "REVOKE USAGE ON SCHEMA app FROM appuser"}, []string{"\\c appdb", "GRANT USAGE ON SCHEMA app TO appuser"}, "roles.app-lacks role appuser"},
		{[]string{"\\c appdb", "GRANT INSERT ON app.t TO backupuser"}, []string{"\\c appdb", "REVOKE INSERT ON app.t FROM backupuser"}, "roles.ro-writes role backupuser"},
		{[]string{"\\c appdb", "GRANT CREATE ON SCHEMA public TO PUBLIC"}, []string{"\\c appdb", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"}, "roles.public-create schema appdb.public"},
		{[]string{"\\c appdb", "GRANT SELECT ON app.t TO PUBLIC"}, []string{"\\c appdb", "REVOKE SELECT ON app.t FROM PUBLIC"}, "roles.public-rights schema appdb.app"},
		{[]string{"SET password_encryption = 'md5'", "ALTER ROLE backupuser PASSWORD 'b'"}, []string{"ALTER ROLE backupuser PASSWORD 'b'"}, "roles.hash role backupuser"},
		{[]string{"ALTER ROLE backupuser VALID UNTIL '2001-01-01'"}, []string{"DO $$ BEGIN EXECUTE format('ALTER ROLE backupuser VALID UNTIL %L', now() + '60 days'); END $$"},
			"roles.expired role backupuser"},
		{[]string{"CREATE ROLE boss SUPERUSER LOGIN"}, []string{"DROP ROLE boss"}, "roles.superusers role boss"},
		{[]string{"ALTER ROLE temporaluser_owner LOGIN"}, []string{"ALTER ROLE temporaluser_owner NOLOGIN"}, "roles.owner-login role temporaluser_owner"},
		{[]string{"\\c temporal", "REVOKE DELETE ON history FROM temporaluser"}, []string{"\\c temporal", "GRANT DELETE ON history TO temporaluser"}, "roles.app-lacks role temporaluser"},
		{[]string{"ALTER ROLE backupuser RENAME TO other"}, []string{"ALTER ROLE other RENAME TO backupuser", "ALTER ROLE backupuser PASSWORD 'b'"}, "roles.missing role backupuser"},
	} {
		b.exec(tc.do...)
		databases := []string{"appdb"}
		if strings.Contains(tc.want, "temporal") {
			databases = []string{"temporal"}
		}
		if got := b.audit(databases...); got[tc.want] == 0 {
			b.t.Errorf("%v: want %s, found %v", tc.do, tc.want, keys(got))
		}
		b.exec(tc.undo...)
	}
	if got := keys(b.audit(all...)); len(got) > 0 {
		b.t.Errorf("left over: %v", got)
	}
}
