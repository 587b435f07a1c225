package pgconf

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgfit/probe/internal/pgtest"
	"pgfit/workload/cluster"
	"pgfit/workload/cluster/versions"
)

// row is what pg_file_settings and a Tree both tell of a line.
type row struct {
	File  string
	Line  int
	Name  string
	Value string
}

func (r row) String() string {
	return fmt.Sprintf("%s:%d %s = %q", filepath.Base(r.File), r.Line, r.Name, r.Value)
}

// serverView is pg_file_settings: the lines that set something, and the files with a syntax error.
func serverView(t *testing.T, conn *pgx.Conn) (good []row, bad []string) {
	t.Helper()
	rows, err := conn.Query(context.Background(), `SELECT coalesce(sourcefile, ''), coalesce(sourceline, 0), name, setting, coalesce(error, '')
		FROM pg_file_settings ORDER BY seqno`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		var name, value *string
		var problem string
		if err := rows.Scan(&r.File, &r.Line, &name, &value, &problem); err != nil {
			t.Fatal(err)
		}
		if name == nil {
			bad = append(bad, r.File) // the line is one off where the file ends without a newline
			continue
		}
		r.Name, r.Value, r.File = *name, *value, filepath.Clean(r.File) // up to 14 the view leaves .. where it stands
		good = append(good, r)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return good, bad
}

func treeView(tree *Tree) (good []row, bad []string) {
	for _, p := range tree.Places() {
		good = append(good, row{p.File.Path, p.Line, p.Name, p.Value})
	}
	for _, p := range tree.Problems {
		if p.Text == "syntax error" {
			bad = append(bad, p.File)
		}
	}
	return good, bad
}

// compare reads the files both ways.
func compare(t *testing.T, s *pgtest.Server, conn *pgx.Conn) *Tree {
	t.Helper()
	read, list := Disk()
	tree, err := Load(filepath.Join(s.Dir, "postgresql.conf"), s.Dir, read, list)
	if err != nil {
		t.Fatal(err)
	}
	wantGood, wantBad := serverView(t, conn)
	good, bad := treeView(tree)
	for i := range max(len(good), len(wantGood)) {
		if i >= len(good) || i >= len(wantGood) || good[i] != wantGood[i] {
			t.Fatalf("entry %d: ours %v, the server's %v", i, good[min(i, len(good)):min(i+2, len(good))], wantGood[min(i, len(wantGood)):min(i+2, len(wantGood))])
		}
	}
	for _, name := range bad {
		if !slices.Contains(wantBad, name) {
			t.Fatalf("a syntax error in %s, which the server takes", name)
		}
	}
	if len(bad) != len(wantBad) {
		t.Fatalf("%d files with a syntax error, the server's %d", len(bad), len(wantBad))
	}
	return tree
}

func mkdir(t *testing.T, s *pgtest.Server, name string) {
	t.Helper()
	dir := filepath.Join(s.Dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestEveryVersionReadsFiles holds the reader against PostgreSQL's own: pg_file_settings for order, lines, values and errors,
// and `postgres -C NAME` for the value in force.
func TestEveryVersionReadsFiles(t *testing.T) {
	versions.Each(t, func(t *testing.T, b cluster.Binaries) { against(t, b.Dir) })
}

func against(t *testing.T, bin string) {
	s := pgtest.Start(t, pgtest.Options{Bin: bin})
	s.Exec(t, "postgres", "ALTER SYSTEM SET work_mem = '7MB'", `ALTER SYSTEM SET cluster_name = 'it''s \ here'`)
	conn := s.Connect(t, "postgres")
	stock, err := os.ReadFile(filepath.Join(s.Dir, "postgresql.conf"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("stock", func(t *testing.T) { compare(t, s, conn) })
	t.Run("includes", func(t *testing.T) {
		mkdir(t, s, "conf.d")
		mkdir(t, s, "conf.d/dir.conf")
		mkdir(t, s, "sub")
		s.Write(t, "conf.d/b.conf", "maintenance_work_mem = 11MB\r\nwork_mem = 9MB\r\ninclude 'c.txt'")
		s.Write(t, "conf.d/c.txt", "random_page_cost = '1.25' # fast\n\tINCLUDE_IF_EXISTS 'none'\nseq_page_cost .5")
		s.Write(t, "conf.d/B.conf", "maintenance_work_mem = 10MB\ntemp_buffers = '12MB'\n")
		s.Write(t, "conf.d/.x.conf", "maintenance_work_mem = 1GB\n")
		s.Write(t, "conf.d/x.conf~", "maintenance_work_mem = 1GB\n")
		s.Write(t, "sub/one.conf", "temp_buffers = 13MB\ninclude '../conf.d/c.txt'\n")
		s.Write(t, "postgresql.conf", string(stock)+"include_dir = 'conf.d'\ninclude = 'sub/one.conf'\nsort_mem = 5MB\nvacuum_mem 6MB\n")
		tree := compare(t, s, conn)
		checkInForce(t, s, bin, tree)
		checkSet(t, s, bin, conn, tree)
	})
	t.Run("random lines", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		s.Write(t, AutoConf, "") // it is not read behind files with errors
		mkdir(t, s, "random")
		main := string(stock)
		for i := range 2000 { // a line a file, since the server leaves a file, and a directory, at its first error
			name := fmt.Sprintf("random/%04d", i)
			s.Write(t, name, randomLine(rng)+[]string{"\n", "\r\n", ""}[rng.IntN(3)])
			main += "include '" + name + "'\n"
		}
		s.Write(t, "postgresql.conf", main)
		compare(t, s, conn)
		good, bad := serverView(t, conn)
		t.Logf("%d entries and %d files with a syntax error, all as the server has them", len(good), len(bad))
		if len(good) < 300 || len(bad) < 300 {
			t.Errorf("the lines are of one kind: %d entries and %d syntax errors", len(good), len(bad))
		}
	})
}

// randomLine puts pieces together that mean something to the scanner.
func randomLine(rng *rand.Rand) string {
	pieces := []string{" ", "\t", "\r", "=", "#", "'", "''", `\`, "'a b'", `'\n\''`, "'x''y'", "a", "work_mem", "a.b", "é", "_", "1", "0x1f", "0xG",
		"1.5", ".5", "-", "+", "e5", "1e5", "1.e-3", "8MB", "GB", "on", "/", ":", ",", "a/b-c", ".", "\x01", `'\101'`, `'\8\b'`, "\""}
	var b strings.Builder
	if rng.IntN(3) > 0 { // most lines begin like a setting
		b.WriteString([]string{"work_mem", "a.b", "Fsync", "port"}[rng.IntN(4)] + []string{" = ", "=", " ", ""}[rng.IntN(4)])
	}
	for range 1 + rng.IntN(4) {
		b.WriteString(pieces[rng.IntN(len(pieces))])
	}
	return b.String()
}

// checkInForce asks `postgres -C` for every setting that the files name.
func checkInForce(t *testing.T, s *pgtest.Server, bin string, tree *Tree) {
	t.Helper()
	want := map[string]string{"work_mem": "7168", "maintenance_work_mem": "6144", "temp_buffers": "1664", "random_page_cost": "1.25",
		"seq_page_cost": "0.5", "cluster_name": `it's \ here`}
	for name, value := range want {
		if got := dashC(t, s, bin, name); got != value {
			t.Errorf("postgres -C %s = %s, want %s", name, got, value)
		}
	}
	forms := map[string]string{"work_mem": "7MB", "maintenance_work_mem": "6MB", "temp_buffers": "13MB", "random_page_cost": "1.25",
		"seq_page_cost": ".5", "cluster_name": `it's \ here`}
	for name, value := range forms {
		if p, ok := tree.InForce(name); !ok || p.Value != value {
			t.Errorf("InForce(%s) = %s %q, want %q", name, p, p.Value, value)
		}
	}
}

// checkSet edits through the tree, writes the files and asks the server again.
func checkSet(t *testing.T, s *pgtest.Server, bin string, conn *pgx.Conn, tree *Tree) {
	t.Helper()
	want := map[string]string{"maintenance_work_mem": "33MB", "random_page_cost": "2.5", "temp_buffers": "2000", "jit": "off",
		"log_line_prefix": `%m 'x' \ `, "pgfit.note": "a\nb", "effective_cache_size": "1GB"}
	for _, name := range slices.Sorted(keys(want)) {
		if _, _, err := tree.Set(name, want[name]); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range tree.Files() {
		if rel, err := filepath.Rel(s.Dir, f.Path); err == nil && f != tree.Auto {
			s.Write(t, rel, string(f.Bytes()))
		}
	}
	again := compare(t, s, conn)
	for name, value := range want {
		if p, _ := again.InForce(name); p.Value != value {
			t.Errorf("after Set InForce(%s) = %s %q, want %q", name, p, p.Value, value)
		}
	}
	for name, value := range map[string]string{"maintenance_work_mem": "33792", "random_page_cost": "2.5", "temp_buffers": "2000", "jit": "off",
		"log_line_prefix": `%m 'x' \ `, "effective_cache_size": "131072", "work_mem": "7168"} {
		if got := dashC(t, s, bin, name); got != value {
			t.Errorf("after Set postgres -C %s = %q, want %q", name, got, value)
		}
	}
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// dashC is `postgres -D DIR -C name`, which reads the files as they are now.
func dashC(t *testing.T, s *pgtest.Server, bin, name string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", s.Dir, "-C", name)
	cmd.Dir = s.Dir
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("running as root, and there is no user postgres")
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("postgres -C %s: %v\n%s", name, err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}
