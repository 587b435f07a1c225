package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestRefusals provokes what the data cannot carry on a real server: sessions of others that are busy all the time (R6), and
// a script of which one in twenty fails (R7). The run ends with its figures, the refusals and exit code 5.
func TestRefusals(t *testing.T) {
	h := startHandmade(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { // somebody else's long query
		defer close(ended)
		if conn, err := pgx.Connect(ctx, h.url()); err == nil {
			_, _ = conn.Exec(ctx, "SELECT pg_sleep(120)")
			conn.Close(context.Background())
		}
	}()
	defer func() { cancel(); <-ended }()

	dir := t.TempDir()
	script := filepath.Join(dir, "failing.sql")
	if err := os.WriteFile(script, []byte("\\set x random(1, 20)\nSELECT 1 / (:x - 1);\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	code, stdout, stderr := pgfit("bench", h.url(), "--yes", "-f", script, "--pool-sizes", "1,2,4", "--rounds", "2", "--measure", "500ms", "--budget", "30s", "--seed", "3", "--out", out)
	if code != exitDone || !strings.Contains(stdout, "22012") { // division_by_zero, listed by its SQLSTATE
		t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	code, _, stderr = pgfit("advise", out)
	_, stdout, _ = pgfit("report", out)
	if code != exitUnfit {
		t.Errorf("advise: exit %d, want %d\n%s", code, exitUnfit, stderr)
	}
	for _, want := range []string{"R6, scripts: other sessions kept the server busy in 6 of 6 visits", "R7, scripts: more than 0.1 % of the operations failed in 6 of 6 visits"} {
		if !strings.Contains(strings.ReplaceAll(stdout, "\n  ", " "), want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}
