package versions_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/workload/cluster"
	"pgfit/workload/cluster/versions"
)

// TestEveryVersionStarts: a scratch server of each version starts, says that it is that version, and is gone at the end.
func TestEveryVersionStarts(t *testing.T) {
	versions.Each(t, func(t *testing.T, b cluster.Binaries) {
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
		var num string
		if err := conn.QueryRow(ctx, "SHOW server_version_num").Scan(&num); err != nil {
			t.Fatal(err)
		}
		if n, _ := strconv.Atoi(num); n/10000 != b.Major {
			t.Errorf("server_version_num = %s from binaries of %d", num, b.Major)
		}
	})
}
