package export

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// room is a directory of the server's user, where its programs run.
type room struct {
	t   *testing.T
	dir string
}

func newRoom(t *testing.T) room {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-export-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := room{t, dir}
	r.own(dir)
	return r
}

func (r room) user() (cred *syscall.Credential) {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		r.t.Skip("running as root, and there is no user postgres for the server")
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (r room) own(path string) {
	if c := r.user(); c != nil {
		if err := os.Chown(path, int(c.Uid), int(c.Gid)); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r room) write(name, text string) string {
	r.t.Helper()
	file := filepath.Join(r.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.own(file)
	return file
}

func (r room) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = r.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: r.user()}
	return cmd
}

func (r room) run(stdin, name string, args ...string) string {
	r.t.Helper()
	cmd := r.command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s %q: %v\n%s", filepath.Base(name), args, err, out)
	}
	return string(out)
}

// TestPostgresTakesFiles gives the drop-in and the statements to PostgreSQL itself.
func TestPostgresTakesFiles(t *testing.T) {
	bins, _ := filepath.Glob("/usr/lib/postgresql/15/bin")
	if len(bins) == 0 {
		t.Skip("no PostgreSQL 15 found")
	}
	r := newRoom(t)
	data := filepath.Join(r.dir, "data")
	r.run("", filepath.Join(bins[0], "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions")
	out := render(t, "alter-system", changes(), options(t))
	postgres := filepath.Join(bins[0], "postgres")
	for _, f := range out.Files {
		if log := r.run(f.Data, postgres, "--single", "-D", data, "postgres"); strings.Contains(log, "ERROR") {
			t.Errorf("%s:\n%s", f.Name, log)
		}
		auto, err := os.ReadFile(filepath.Join(data, "postgresql.auto.conf"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(string(auto), " = ")
		if want := strings.Count("\n"+f.Data, "\nALTER SYSTEM SET"); lines != want {
			t.Errorf("after %s postgresql.auto.conf has %d settings, want %d:\n%s", f.Name, lines, want, auto)
		}
	}
	r.write("90-pgfit.conf", render(t, "conf", changes(), options(t)).Files[0].Data)
	r.write("data/postgresql.conf", "include_dir '..'\n")
	for name, want := range map[string]string{"shared_buffers": "262144", "random_page_cost": "1.1", "jit": "off",
		"log_line_prefix": `%t it's "${x}" %{y} \ $1 `, "shared_preload_libraries": "pg_stat_statements, auto_explain"} {
		if got := strings.TrimSuffix(r.run("", postgres, "-D", data, "-C", name), "\n"); got != want {
			t.Errorf("postgres -C %s = %q, want %q", name, got, want)
		}
	}
}

// TestPgBouncerStarts starts PgBouncer with our file and asks it for what is in force.
func TestPgBouncerStarts(t *testing.T) {
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			t.Skip("no pgbouncer found")
		}
	}
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("no psql found")
	}
	r := newRoom(t)
	r.write("users.txt", `"pgbouncer" ""`+"\n")
	own := fmt.Sprintf("[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = %s\nauth_type = trust\nauth_file = %s/users.txt\n"+
		"admin_users = pgbouncer\nlogfile = %s/log\npidfile = %s/pid\n", r.dir, r.dir, r.dir, r.dir)
	ini := r.write("pgbouncer.ini", strings.Replace(render(t, "pgbouncer", changes(), options(t)).Files[0].Data, "[pgbouncer]\n", own, 1))
	cmd := r.command(bin, ini)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill(); <-ended }()
	ask := func(sql string) (string, error) {
		out, err := r.command(psql, "-X", "-A", "-t", "-h", r.dir, "-p", "6432", "-U", "pgbouncer", "-d", "pgbouncer", "-c", sql).CombinedOutput()
		return string(out), err
	}
	var config string
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(20 * time.Millisecond) {
		if config, err = ask("SHOW CONFIG"); err == nil {
			break
		}
		select {
		case end := <-ended:
			ended <- end
			log, _ := os.ReadFile(filepath.Join(r.dir, "log"))
			t.Fatalf("pgbouncer ended: %v\n%s", end, log)
		default:
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(r.dir, "log"))
			t.Fatalf("pgbouncer does not answer: %s\n%s", config, log)
		}
	}
	for _, want := range []string{"default_pool_size|20|", "min_pool_size|5|", "reserve_pool_size|5|", "max_db_connections|25|", "max_client_conn|250|",
		"query_wait_timeout|10|", "server_lifetime|1800|", "pool_mode|transaction|"} {
		if !strings.Contains("\n"+config, "\n"+want) {
			t.Errorf("SHOW CONFIG lacks %s", want)
		}
	}
	if dbs, _ := ask("SHOW DATABASES"); !strings.Contains(dbs, "app|db.internal|5432|app|") {
		t.Errorf("SHOW DATABASES: %s", dbs)
	}
}

// TestScripts runs the scripts with programs that only write down what they were given.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"aws", "gcloud", "az", "supabase"} {
		script := "#!/bin/sh\nfor a in \"$@\"; do printf '[%s]' \"$a\"; done\necho\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	prefix := `%t it's "${x}" %{y} \ $1 `
	tests := []struct {
		format string
		env    []string
		want   []string
	}{
		{"rds-cli", []string{"PARAMETER_GROUP=my group"}, []string{"[--db-parameter-group-name][my group]",
			"[ParameterName=work_mem,ParameterValue=16384,ApplyMethod=immediate]", "[ParameterName=work_mem,ParameterValue=8192,ApplyMethod=immediate]",
			`ParameterValue="%t it's \"${x}\" %{y} \\ $1 ",`}},
		{"cloudsql-gcloud", []string{"INSTANCE=i", "PRESENT_FLAGS=cloudsql.iam_authentication=on;x=a,b"}, []string{
			"work_mem=16384;", "log_line_prefix=" + prefix + ";", ";cloudsql.iam_authentication=on;x=a,b]", "[--database-flags=^;^cloudsql.iam_authentication=on;x=a,b]"}},
		{"cloudsql-gcloud", []string{"INSTANCE=i", "PRESENT_FLAGS="}, []string{"[--clear-database-flags]"}},
		{"azure-cli", []string{"RESOURCE_GROUP=g", "SERVER=s"}, []string{"[-g][g][-s][s][-n][work_mem][-v][16384]", "[-v][" + prefix + "]",
			"[-n][work_mem][-v][8192]", "[-n][jit][--source][system-default]"}},
		{"supabase", []string{"PROJECT_REF=abc"}, []string{"[postgres-config][update][--project-ref][abc]", "[--config][work_mem=16MB]", "[--config][work_mem=8MB]",
			"[postgres-config][delete][--project-ref][abc]"}},
	}
	for _, tt := range tests {
		t.Run(tt.format, func(t *testing.T) {
			run := func(env []string) (string, error) {
				var all strings.Builder
				for _, f := range render(t, tt.format, changes(), options(t)).Files {
					cmd := exec.Command("sh")
					cmd.Stdin = strings.NewReader(f.Data)
					cmd.Env = slices.Concat(os.Environ(), []string{"PATH=" + dir + ":" + os.Getenv("PATH")}, env)
					out, err := cmd.CombinedOutput()
					all.Write(out)
					if err != nil {
						return all.String(), err
					}
				}
				return all.String(), nil
			}
			out, err := run(tt.env)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("the commands lack %s:\n%s", want, out)
				}
			}
			if out, err := run(nil); err == nil {
				t.Errorf("without the names the scripts ran: %s", out)
			}
		})
	}
}

// TestPresentFlags has the instance's flags known, one of them about to change.
func TestPresentFlags(t *testing.T) {
	o := options(t)
	o.Name, o.PresentFlags = "prod", []string{"work_mem=8192", "cloudsql.iam_authentication=on"}
	files := render(t, "cloudsql-gcloud", []Change{{Name: "work_mem", Value: "16MB"}}, o).Files
	for i, want := range []string{`gcloud sql instances patch prod --database-flags="^;^work_mem=16384;cloudsql.iam_authentication=on"`,
		`gcloud sql instances patch prod --database-flags="^;^work_mem=8192;cloudsql.iam_authentication=on"`} {
		if !strings.Contains(files[i].Data, want) {
			t.Errorf("%s lacks %s:\n%s", files[i].Name, want, files[i].Data)
		}
	}
}
