package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/advisor"
)

// TestRefusals provokes what the data cannot carry, on a real server. The runs end with their figures, the refusals and
// exit code 5.
func TestRefusals(t *testing.T) {
	h := startHandmade(t)
	for _, sql := range []string{"CREATE TABLE pair AS SELECT g AS id, 0 AS n FROM generate_series(1, 2) g", "ALTER SYSTEM SET deadlock_timeout = '5ms'", "SELECT pg_reload_conf()"} {
		h.exec(sql)
	}
	t.Run("R5", h.starvedGenerator)
	t.Run("R6 and R7", h.longQueryAndErrors)
	t.Run("R7", h.deadlocks)
	t.Run("R11", h.noisyNeighbour)
}

// bench measures a script at pool sizes in short visits.
func (h *handmade) bench(t *testing.T, out, script, sizes, rounds, measure string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "work.sql")
	if err := os.WriteFile(path, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{"bench", h.url(), "--yes", "-f", path, "--pool-sizes", sizes, "--rounds", rounds, "--measure", measure, "--budget", "60s", "--seed", "3", "--out", out}
}

// starvedGenerator is pgfit with a fifth of a processor: R5.
func (h *handmade) starvedGenerator(t *testing.T) {
	procs := quota(t, 0.2)
	out := t.TempDir()
	cmd := exec.Command("sh", append([]string{"-c", `echo $$ >"$0" && exec "$@"`, procs, build(t)}, h.bench(t, out, "SELECT 1;\n", "2,4", "2", "1s")...)...)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	refused(t, out, "R5", "the load generator, not the server, was the limit in most visits", true)
}

// longQueryAndErrors is a session of somebody else's that is busy all the time (R6), and a script of which one in twenty
// fails (R7).
func (h *handmade) longQueryAndErrors(t *testing.T) {
	defer h.others(t, 1, "SELECT pg_sleep(120)")()
	out := t.TempDir()
	code, stdout, stderr := pgfit(h.bench(t, out, "\\set x random(1, 20)\nSELECT 1 / (:x - 1);\n", "1,2,4", "2", "500ms")...)
	if code != exitDone || !strings.Contains(stdout, "22012") { // division_by_zero, listed by its SQLSTATE
		t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	refused(t, out, "R6", "other sessions kept the server busy in 6 of 6 visits", true)
	refused(t, out, "R7", "more than 0.1 % of the operations failed in 6 of 6 visits", true)
}

// deadlocks are two rows that everybody updates in either order: R7, with the SQLSTATE of a deadlock. Two connections would
// meet too rarely for every visit to see it.
func (h *handmade) deadlocks(t *testing.T) {
	out := t.TempDir()
	const script = `\set a random(1, 2)
BEGIN;
UPDATE pair SET n = n + 1 WHERE id = :a;
SELECT pg_sleep(0.002);
UPDATE pair SET n = n + 1 WHERE id = 3 - :a;
COMMIT;
`
	code, stdout, stderr := pgfit(h.bench(t, out, script, "4,8", "2", "1s")...)
	if code != exitDone || !strings.Contains(stdout, "40P01") {
		t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	refused(t, out, "R7", "more than 0.1 % of the operations failed in 4 of 4 visits", true)
}

// noisyNeighbour is somebody who keeps twelve processes busy in bursts that are longer than a visit, with breaks in between
// that are as long: R11, and R6 for the load itself.
func (h *handmade) noisyNeighbour(t *testing.T) {
	defer h.others(t, 12, fmt.Sprintf(`SELECT setseed(0.42); DO $$
DECLARE at timestamptz := '%s'; BEGIN
	FOR i IN 1..60 LOOP
		at := at + (1.5 + 1.5 * random()) * interval '1s'; PERFORM pg_sleep_until(at);
		at := at + (1.5 + 1.5 * random()) * interval '1s'; WHILE clock_timestamp() < at LOOP END LOOP;
	END LOOP;
END $$`, time.Now().Format(time.RFC3339Nano)))()
	out := t.TempDir()
	if code, stdout, stderr := pgfit(h.bench(t, out, "SELECT count(*) FROM generate_series(1, 20000);\n", "1,2,4,8", "3", "500ms")...); code != exitDone {
		t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	refused(t, out, "R11", "visits of the same pool size differ by", true)
	refused(t, out, "R6", "other sessions kept the server busy in", true)
}

// others are sessions that do something until the function that comes back is called.
func (h *handmade) others(t *testing.T, sessions int, sql string) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range sessions {
		conn, err := pgx.Connect(ctx, h.url())
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			_, _ = conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol) // ends with the context
			conn.Close(context.Background())
		})
	}
	return func() { cancel(); all.Wait() }
}

// refused wants a finding in the advice on a run and on the page, and exit code 5 when it blocks.
func refused(t *testing.T, out, code, text string, blocks bool) {
	t.Helper()
	exit, stdout, stderr := pgfit("advise", out, "--format", "advice")
	var advice struct{ Findings []advisor.Finding }
	if err := json.Unmarshal([]byte(stdout), &advice); err != nil {
		t.Fatalf("%v\n%s\n%s", err, stdout, stderr)
	}
	found := false
	for _, f := range advice.Findings {
		found = found || f.Code == code && f.Scenario == "scripts" && strings.Contains(f.Text, text) && f.Lift != "" && f.Blocks == blocks
	}
	if !found || blocks && exit != exitUnfit {
		t.Errorf("exit %d, no %s with %q among %+v", exit, code, text, advice.Findings)
	}
	_, page, _ := pgfit("report", out)
	if want := code + ", scripts: " + text; !strings.Contains(strings.ReplaceAll(page, "\n  ", " "), want) {
		t.Errorf("no %q in\n%s", want, page)
	}
}

// quota makes a control group that may use so many processors and gives the file that takes its processes, or skips the test.
func quota(t *testing.T, processors float64) (procs string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make control groups")
	}
	const period = 50_000 // µs
	share := strconv.Itoa(int(processors * period))
	name := "pgfit-starved-" + strconv.Itoa(os.Getpid())
	var why error
	for _, v := range []struct {
		dir   string
		files [][2]string
	}{
		{"/sys/fs/cgroup/cpu/" + name, [][2]string{{"cpu.cfs_period_us", strconv.Itoa(period)}, {"cpu.cfs_quota_us", share}}},
		{"/sys/fs/cgroup/" + name, [][2]string{{"cpu.max", share + " " + strconv.Itoa(period)}}},
	} {
		err := os.Mkdir(v.dir, 0o755)
		if err == nil {
			t.Cleanup(func() { removeGroup(t, v.dir) })
			for _, f := range v.files {
				err = errors.Join(err, os.WriteFile(filepath.Join(v.dir, f[0]), []byte(f[1]), 0o644))
			}
		}
		if err == nil {
			return filepath.Join(v.dir, "cgroup.procs")
		}
		why = errors.Join(why, err)
	}
	t.Skipf("control groups cannot be made here: %v", why)
	return ""
}

// removeGroup takes a control group away once the last process in it is gone.
func removeGroup(t *testing.T, dir string) {
	deadline := time.After(10 * time.Second)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := os.Remove(dir)
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Errorf("removing the group: %v", err)
			return
		case <-again.C:
		}
	}
}
