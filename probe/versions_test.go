package probe_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/probe/internal/pgtest"
	"pgfit/workload/cluster"
	"pgfit/workload/cluster/versions"
)

// TestEveryVersionProbed: a server of each version, with something of everything to be seen, as a superuser sees it and as a
// plain role does.
func TestEveryVersionProbed(t *testing.T) {
	versions.Each(t, func(t *testing.T, b cluster.Binaries) {
		s := pgtest.Start(t, pgtest.Options{Bin: b.Dir, HBA: "local all all trust\n", Conf: []string{
			"max_prepared_transactions = 2", "shared_preload_libraries = 'pg_stat_statements'", "work_mem = '5MB'   # two"}})
		s.Exec(t, "postgres", "CREATE ROLE plain LOGIN", "CREATE EXTENSION pg_stat_statements", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g",
			"ALTER ROLE plain SET statement_timeout = '7s'", "ALTER ROLE plain PASSWORD 'canary-secret'", "SELECT count(*) FROM t WHERE id > 5")
		holder := s.Connect(t, "postgres")
		for _, sql := range []string{"BEGIN", "DELETE FROM t WHERE id = 2", "PREPARE TRANSACTION 'left'"} {
			if _, err := holder.Exec(context.Background(), sql); err != nil {
				t.Fatal(err)
			}
		}
		s.Append(t, "postgresql.conf", "max_connections = 77\n")
		s.Reload(t)
		conn := s.Connect(t, "postgres")
		begun := time.Now()
		f, err := probe.Collect(context.Background(), conn, probe.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("probing took %v", time.Since(begun).Round(time.Millisecond))
		asSuperuser(t, f, b, s.Dir)
		throughSQL(t, s, f)
		asPlain(t, s, f)
		brokenFile(t, s)
	})
}

func asSuperuser(t *testing.T, f probe.Facts, b cluster.Binaries, dir string) {
	t.Helper()
	v := f.Server
	if v.Version != b.Version || v.Major() != b.Major || v.Service.Value != "self-managed" || !v.Superuser || v.InRecovery || v.SystemIdentifier == "" {
		t.Errorf("version %s (%d), service %v, superuser %v, identifier %q", v.Version, v.Major(), v.Service, v.Superuser, v.SystemIdentifier)
	}
	if same, ok := f.SameHost.Get(); !ok || !same {
		t.Errorf("same host: %+v", f.SameHost)
	}
	if got := v.DataDirectory.Value; got != dir {
		t.Errorf("data_directory = %q, want %q", got, dir)
	}
	if len(f.Storage) == 0 || f.Storage[0].MountPoint == "" || !f.Storage[0].Free.OK() || !f.Host.Memory.Budget.OK() || !f.Host.CPU.Effective.OK() {
		t.Errorf("host or storage missing: %+v", f.Storage)
	}
	wm := v.Settings["work_mem"]
	if wm.Value != "5120" || !strings.HasSuffix(wm.SourceFile, "/postgresql.conf") || wm.SourceLine == 0 {
		t.Errorf("work_mem = %+v", wm)
	}
	if !v.Settings["max_connections"].PendingRestart || !warned(f, "pending-restart") {
		t.Errorf("max_connections was changed and no restart is pending: %+v", v.Settings["max_connections"])
	}
	catalogue, err := guc.Catalogue(b.Major)
	if err != nil {
		t.Fatal(err)
	}
	for name := range catalogue {
		if !v.Settings.Has(name) && name != "file_extend_method" { // minor releases added that one
			t.Errorf("the server has no %s, the catalogue has", name)
		}
	}
	if v.PreparedXacts.Value != 1 || !warned(f, "prepared-transactions") || v.Standbys.State != probe.Known || v.Slots.State != probe.Known {
		t.Errorf("prepared %+v, standbys %+v, slots %+v", v.PreparedXacts, v.Standbys, v.Slots)
	}
	if !slices.ContainsFunc(v.Tables, func(x probe.Table) bool { return x.Name == "public.t" && x.Bytes > 0 }) || !v.DatabaseBytes.OK() || !v.ClusterBytes.OK() {
		t.Errorf("tables %+v, database %+v", v.Tables, v.DatabaseBytes)
	}
	if !slices.Contains(v.Extensions, "pg_stat_statements") || !slices.Contains(v.Available, "plpgsql") || len(v.Unseen) > 0 {
		t.Errorf("extensions %v, available %d, unseen %v", v.Extensions, len(v.Available), v.Unseen)
	}
	if !slices.ContainsFunc(v.Statements, func(x probe.Statement) bool {
		return strings.HasPrefix(x.Text, "SELECT count(*) FROM t") && x.Calls == 1
	}) {
		t.Errorf("statements %+v", v.Statements)
	}
	if all := fmt.Sprintf("%+v", f); strings.Contains(all, "canary-secret") {
		t.Error("a password of a utility statement is in the facts")
	}
	if len(v.FileErrors) != 0 && v.FileErrors[0].Error != "setting could not be applied" || len(v.FileLines) == 0 {
		t.Errorf("file errors %+v, lines %d", v.FileErrors, len(v.FileLines))
	}
	if !slices.ContainsFunc(v.RoleSettings, func(x probe.RoleSetting) bool {
		return x.Role == "plain" && x.Name == "statement_timeout" && x.Value == "7s"
	}) {
		t.Errorf("role settings %+v", v.RoleSettings)
	}
	if n, ok := v.HugePagesNeeded.Get(); !ok || n < 8 || n > 4000 {
		t.Errorf("huge pages needed: %+v", v.HugePagesNeeded)
	}
}

// asPlain: what a plain role may not see is named with the grant, and granting that shows it.
func asPlain(t *testing.T, s *pgtest.Server, all probe.Facts) {
	t.Helper()
	conn := as(t, s, "plain")
	f, err := probe.Collect(context.Background(), conn, probe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// The server's process tells the directory that the role may not ask for.
	if same, ok := f.SameHost.Get(); !ok || !same || f.Server.DataDirectory.Value != s.Dir {
		t.Errorf("data_directory %+v, same host %+v", f.Server.DataDirectory, f.SameHost)
	}
	if f.Server.Superuser || f.Server.ConfigFile.State != probe.Denied || len(f.Server.Settings) >= len(all.Server.Settings) || len(f.Server.FileLines) > 0 {
		t.Errorf("a plain role sees config_file %v, %d settings, %d lines of files", f.Server.ConfigFile.State, len(f.Server.Settings), len(f.Server.FileLines))
	}
	if len(f.Server.Unseen) != 3 {
		t.Fatalf("unseen: %+v", f.Server.Unseen)
	}
	for _, u := range f.Server.Unseen {
		s.Exec(t, "postgres", strings.Split(u.Grant, "; ")...)
	}
	after, err := probe.Collect(context.Background(), conn, probe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if v := after.Server; len(v.Unseen) > 0 || !v.ConfigFile.OK() || len(v.Settings) != len(all.Server.Settings) || len(v.FileLines) == 0 {
		t.Errorf("after the grants: unseen %v, config_file %v, %d of %d settings, %d lines", v.Unseen, v.ConfigFile.State, len(v.Settings), len(all.Server.Settings), len(v.FileLines))
	}
}

// throughSQL: the server's host read through the server says what the host itself says, as a superuser and by COPY alone.
func throughSQL(t *testing.T, s *pgtest.Server, here probe.Facts) {
	t.Helper()
	elsewhere := probe.Options{ServerFiles: true, Env: probe.Env{Files: probe.Dir(t.TempDir()), Self: "self"}}
	s.Exec(t, "postgres", "CREATE ROLE reader LOGIN", "GRANT pg_read_server_files TO reader", "CREATE ROLE nobody LOGIN")
	for _, role := range []string{"postgres", "reader"} {
		f, err := probe.Collect(context.Background(), as(t, s, role), elsewhere)
		if err != nil {
			t.Fatal(err)
		}
		if same, ok := f.SameHost.Get(); ok && same {
			t.Errorf("%s: an empty machine has the server", role)
		}
		if f.Host.Memory.Total != here.Host.Memory.Total || f.Host.CPU.Effective.Value != here.Host.CPU.Effective.Value || f.Host.OS != "linux" {
			t.Errorf("%s: memory %+v, CPUs %+v; here %+v, %+v", role, f.Host.Memory.Total, f.Host.CPU.Effective, here.Host.Memory.Total, here.Host.CPU.Effective)
		}
		if role == "postgres" && (len(f.Storage) == 0 || f.Storage[0].Class != here.Storage[0].Class || f.Storage[0].FSType != here.Storage[0].FSType || len(f.Storage[0].Leaves) != len(here.Storage[0].Leaves)) {
			t.Errorf("storage %+v; here %+v", f.Storage, here.Storage)
		}
	}
	f, err := probe.Collect(context.Background(), as(t, s, "nobody"), elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	if f.Host.Memory.Total.State != probe.Denied || f.Host.Memory.Budget.OK() || !warned(f, "server-files") {
		t.Errorf("a plain role reads files: %+v, warnings %+v", f.Host.Memory.Total, f.Warnings)
	}
}

// brokenFile: an error in the configuration files is found with its line.
func brokenFile(t *testing.T, s *pgtest.Server) {
	t.Helper()
	s.Append(t, "postgresql.conf", "no_such_setting = 1\n")
	f, err := probe.Collect(context.Background(), s.Connect(t, "postgres"), probe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(f.Server.FileErrors, func(x probe.FileSetting) bool { return x.Name == "no_such_setting" && x.Line > 0 && x.Error != "" }) || !warned(f, "file-error") {
		t.Errorf("file errors: %+v", f.Server.FileErrors)
	}
}

func as(t *testing.T, s *pgtest.Server, role string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), fmt.Sprintf("host='%s' port=%d user=%s dbname=postgres", s.Socket, s.Port, role))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func warned(f probe.Facts, code string) bool {
	return slices.ContainsFunc(f.Warnings, func(w probe.Warning) bool { return w.Code == code })
}
