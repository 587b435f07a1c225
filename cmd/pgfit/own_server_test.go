package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"pgfit/advisor"
	"pgfit/workload/rundoc"
)

// pgfit runs a command in this process and returns its exit code and streams.
func pgfit(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func smallRun(h *handmade, out string) []string {
	return []string{"run", h.url(), "--yes", "--out", out, "--no-disk-bench", "--budget", "40s", "--rounds", "3", "--measure", "600ms",
		"--pool-sizes", "1,2,4,8", "--data-size", "16MB", "--seed", "11"}
}

// TestOwnServer is the whole way on a server of the user's: measure, patch, restart, every value in force or announced as
// shadowed, the rollback byte for byte, and a table of the user's as it was.
func TestOwnServer(t *testing.T) {
	h := startHandmade(t)
	before, files := h.checksum(), h.confFiles()
	out := t.TempDir()
	code, stdout, stderr := pgfit(smallRun(h, out)...)
	if code != exitDone && code != exitUnfit {
		t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	if got := h.leftovers(); got != "0 schemas, 0 sessions" {
		t.Errorf("left behind: %s", got)
	}
	if got := h.checksum(); got != before {
		t.Errorf("the user's table changed: %s, was %s", got, before)
	}
	if got := fmt.Sprint(h.confFiles()); got != fmt.Sprint(files) {
		t.Error("a configuration file changed before anybody applied the patch")
	}
	checkSchema(t, filepath.Join(out, "run.json"))
	if !strings.Contains(stdout, "\nStart-checked on ") {
		t.Errorf("the server's own files and the patch were not started:\n%s", stdout)
	}
	proposals, shadowed := readAdvice(t, out)
	if len(proposals) == 0 {
		t.Fatalf("no proposals on a server that was made to need some\n%s", stdout)
	}
	applyPatch(t, h.dir, filepath.Join(out, "postgresql.conf.patch"))
	h.stop()
	h.start()
	for _, p := range proposals {
		want := h.text("SELECT current_setting($1)", p.Name)
		if !sameValue(want, p.Proposed) && !shadowed[p.Name] {
			t.Errorf("%s = %s after the restart, proposed %s, not announced as shadowed", p.Name, want, p.Proposed)
		}
	}
	if !strings.Contains(fmt.Sprint(h.confFiles()), "agreed with Jo, 2023") {
		t.Error("a comment was lost")
	}
	applyPatch(t, h.dir, filepath.Join(out, "postgresql.conf.rollback.patch"))
	for name, text := range h.confFiles() {
		if text != files[name] {
			t.Errorf("%s differs after the rollback", name)
		}
	}
	h.stop()
	h.start()
	if got := h.checksum(); got != before {
		t.Errorf("the user's table changed: %s, was %s", got, before)
	}
}

// checkSchema holds a run document against the published schema.
func checkSchema(t *testing.T, path string) {
	t.Helper()
	var schema jsonschema.Schema
	var doc any
	data, err := os.ReadFile(path)
	if err := errors.Join(err, json.Unmarshal([]byte(rundoc.Schema), &schema), json.Unmarshal(data, &doc)); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := resolved.Validate(doc); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

func readAdvice(t *testing.T, out string) ([]advisor.Proposal, map[string]bool) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(out, "advice.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Settings struct {
			Proposals []advisor.Proposal `json:"proposals"`
		} `json:"settings"`
		Shadowed []struct {
			Name string `json:"name"`
		} `json:"shadowed"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	shadowed := map[string]bool{}
	for _, s := range doc.Shadowed {
		shadowed[s.Name] = true
	}
	return doc.Settings.Proposals, shadowed
}

func applyPatch(t *testing.T, dir, patch string) {
	t.Helper()
	cmd := exec.Command("patch", "-p1", "-i", patch)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "fuzz") {
		t.Fatalf("patch: %v\n%s", err, out)
	}
}

// sameValue compares current_setting's text with ours, which may pick another unit: 1GB and 1024MB.
func sameValue(a, b string) bool { return normal(a) == normal(b) }

func normal(s string) string {
	var n float64
	var unit string
	if k, _ := fmt.Sscanf(s, "%g%s", &n, &unit); k == 2 {
		scale := map[string]float64{"kB": 1, "MB": 1 << 10, "GB": 1 << 20, "TB": 1 << 30, "ms": 1, "s": 1000, "min": 60000, "h": 3600000}[unit]
		if scale > 0 {
			return fmt.Sprint(n * scale)
		}
	}
	return strings.TrimSpace(s)
}

// TestForeignSchema: a schema of our name without our mark is never touched.
func TestForeignSchema(t *testing.T) {
	h := startHandmade(t)
	h.exec("CREATE SCHEMA pgfit; CREATE TABLE pgfit.orders (id int); INSERT INTO pgfit.orders VALUES (42)")
	out := filepath.Join(t.TempDir(), "out")
	code, _, stderr := pgfit(smallRun(h, out)...)
	if code != exitUsage || !strings.Contains(stderr, "not pgfit's own") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if got := h.text("SELECT id::text FROM pgfit.orders"); got != "42" {
		t.Errorf("the foreign schema was touched: %s", got)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a refused run left a results directory")
	}
}

// TestNeedsConsent: no load on a server of the user's without --yes where nobody can be asked.
func TestNeedsConsent(t *testing.T) {
	h := startHandmade(t)
	args := smallRun(h, t.TempDir())
	code, _, stderr := pgfit(append(args[:2:2], args[3:]...)...)
	if code != exitUsage || !strings.Contains(stderr, "--yes") || !strings.Contains(stderr, "postgres") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if got := h.leftovers(); got != "0 schemas, 0 sessions" {
		t.Errorf("left behind: %s", got)
	}
}

// TestUnreachable: a target that cannot be reached or refuses us is exit 3, with the cause and a hint, and leaves nothing.
func TestUnreachable(t *testing.T) {
	h := startHandmade(t)
	for _, tc := range []struct{ name, target, want string }{
		{"refused", "postgresql://me@127.0.0.1:1/app", "nothing listens"},
		{"no such database", "host=" + h.sock + " user=postgres dbname=nowhere", "nowhere"},
		{"no such role", "host=" + h.sock + " user=stranger dbname=postgres", "stranger"},
		{"no socket", "host=/nowhere user=postgres dbname=postgres", "/nowhere"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			code, _, stderr := pgfit("run", tc.target, "--yes", "--out", out)
			if code != exitUnreachable || !strings.Contains(stderr, tc.want) || !strings.Contains(stderr, "hint: ") {
				t.Errorf("exit %d, want 3 with %q and a hint\n%s", code, tc.want, stderr)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a results directory was left")
			}
		})
	}
}

// TestPasswordStaysSecret: a password appears in no output and no file, also when it is wrong.
func TestPasswordStaysSecret(t *testing.T) {
	h := startHandmade(t)
	const canary = "s3cr3t-canary"
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{
		{"run", "postgresql://postgres:" + canary + "@127.0.0.1:1/app", "--yes", "--out", out},
		{"probe", "host=" + h.sock + " user=postgres dbname=postgres password=" + canary, "--format", "json"},
		{"run", "host=" + h.sock + " user=postgres dbname=postgres password=" + canary, "--yes", "--dry-run", "--verbose", "--out", out},
	} {
		_, stdout, stderr := pgfit(args...)
		if strings.Contains(stdout+stderr, canary) {
			t.Errorf("pgfit %s tells the password:\n%s%s", args[0], stdout, stderr)
		}
	}
}
