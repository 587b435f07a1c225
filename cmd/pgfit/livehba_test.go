package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/workload/cluster"
	"pgfit/workload/cluster/versions"
)

// TestEveryVersionLiveHBA: read through SQL, a file that may miss is no error and a directory is no file, as the server has it.
func TestEveryVersionLiveHBA(t *testing.T) {
	versions.Each(t, func(t *testing.T, b cluster.Binaries) {
		if b.Major < 16 {
			t.Skip("include directives came with 16")
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s, err := cluster.Start(ctx, cluster.Options{Binaries: b})
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
		var main string
		if err := conn.QueryRow(ctx, "SHOW hba_file").Scan(&main); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(main)
		if err := os.MkdirAll(filepath.Join(dir, "hba.d", "dir.conf"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{main: "local all all trust\ninclude_if_exists gone.conf\ninclude_if_exists empty.conf\ninclude_dir hba.d\n",
			filepath.Join(dir, "empty.conf"): "", filepath.Join(dir, "hba.d", "1.conf"): "host all all ::1/128 md5\n"} {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		rules := liveHBA(ctx, conn, b.Major)
		var want int
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_hba_file_rules WHERE error IS NULL").Scan(&want); err != nil {
			t.Fatal(err)
		}
		if rules == nil || len(rules.Errors()) > 0 || len(rules.Rules) != want || want != 2 {
			t.Errorf("%+v; the server has %d rules", rules, want)
		}
	})
}
