package patch

import (
	"bytes"
	"context"
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

	"github.com/jackc/pgx/v5"

	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/workload/rundoc"
)

// cluster is a server for one test, on a socket in a directory of its own.
type cluster struct {
	t              *testing.T
	bin, root, dir string
	cmd            *exec.Cmd
	log            *bytes.Buffer
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.Sort(dirs)
	if len(dirs) == 0 {
		t.Skip("no PostgreSQL server binaries found")
	}
	root, err := os.MkdirTemp("/var/tmp", "pgfit-patch-")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, bin: dirs[len(dirs)-1], root: root, dir: filepath.Join(root, "data")}
	t.Cleanup(func() { c.stop(); os.RemoveAll(root) })
	c.own(root)
	c.run("initdb", "-D", c.dir, "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C.UTF-8")
	return c
}

func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.root
	if uid, gid, ok := c.user(); ok {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	}
	return cmd
}

func (c *cluster) run(name string, args ...string) string {
	c.t.Helper()
	out, err := c.command(name, args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func (c *cluster) user() (uid, gid uint32, ok bool) {
	if os.Geteuid() != 0 {
		return 0, 0, false
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		c.t.Skip("running as root, and there is no user postgres for the server")
	}
	a, _ := strconv.ParseUint(u.Uid, 10, 32)
	b, _ := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(a), uint32(b), true
}

func (c *cluster) own(path string) {
	if uid, gid, ok := c.user(); ok {
		_ = filepath.Walk(path, func(p string, _ os.FileInfo, _ error) error { return os.Chown(p, int(uid), int(gid)) })
	}
}

func (c *cluster) start(args ...string) {
	c.t.Helper()
	args = append([]string{"-D", c.dir, "-c", "listen_addresses=", "-c", "unix_socket_directories=" + c.root, "-c", "fsync=off"}, args...)
	c.cmd, c.log = c.command("postgres", args...), &bytes.Buffer{}
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(20 * time.Millisecond) {
		conn, err := pgx.Connect(context.Background(), "host="+c.root+" user=postgres dbname=postgres")
		if err == nil {
			conn.Close(context.Background())
			return
		}
		if time.Now().After(deadline) || c.cmd.Process.Signal(syscall.Signal(0)) != nil {
			c.t.Fatalf("the server did not start: %v\n%s", err, c.log)
		}
	}
}

func (c *cluster) stop() {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Signal(syscall.SIGINT)
	_ = c.cmd.Wait()
	c.cmd = nil
}

func (c *cluster) psql(args ...string) {
	c.t.Helper()
	c.run("psql", append([]string{"-X", "-q", "-h", c.root, "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1"}, args...)...)
}

// facts reads what a patch needs to know, as the probe would.
func (c *cluster) facts() probe.Server {
	c.t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "host="+c.root+" user=postgres dbname=postgres")
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close(ctx)
	s := probe.Server{Settings: guc.Settings{}, ConfigFile: probe.Is(filepath.Join(c.dir, "postgresql.conf"), "test"), DataDirectory: probe.Is(c.dir, "test")}
	rows, err := conn.Query(ctx, `SELECT name, setting, coalesce(unit, ''), context, vartype, source, coalesce(min_val, ''), coalesce(max_val, ''),
		coalesce(enumvals, '{}'), coalesce(boot_val, ''), coalesce(sourcefile, ''), coalesce(sourceline, 0), pending_restart FROM pg_settings`)
	if err != nil {
		c.t.Fatal(err)
	}
	for rows.Next() {
		var g guc.Setting
		if err := rows.Scan(&g.Name, &g.Value, &g.Unit, &g.Context, &g.VarType, &g.Source, &g.MinVal, &g.MaxVal, &g.EnumVals, &g.BootVal,
			&g.SourceFile, &g.SourceLine, &g.PendingRestart); err != nil {
			c.t.Fatal(err)
		}
		s.Settings[g.Name] = g
	}
	if rows.Err() != nil {
		c.t.Fatal(rows.Err())
	}
	rows, err = conn.Query(ctx, "SELECT sourcefile, sourceline, name, setting FROM pg_file_settings WHERE error IS NULL ORDER BY seqno")
	if err != nil {
		c.t.Fatal(err)
	}
	for rows.Next() {
		var f probe.FileSetting
		if err := rows.Scan(&f.File, &f.Line, &f.Name, &f.Value); err != nil {
			c.t.Fatal(err)
		}
		s.FileLines = append(s.FileLines, f)
	}
	rows, err = conn.Query(ctx, `SELECT coalesce(r.rolname, ''), coalesce(d.datname, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
		FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c LEFT JOIN pg_roles r ON r.oid = setrole LEFT JOIN pg_database d ON d.oid = setdatabase`)
	if err != nil {
		c.t.Fatal(err)
	}
	for rows.Next() {
		var r probe.RoleSetting
		if err := rows.Scan(&r.Role, &r.Database, &r.Name, &r.Value); err != nil {
			c.t.Fatal(err)
		}
		s.RoleSettings = append(s.RoleSettings, r)
	}
	return s
}

func (c *cluster) files(names ...string) []rundoc.File {
	var all []rundoc.File
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(c.dir, name))
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, rundoc.File{Path: filepath.Join(c.dir, name), Text: string(data)})
	}
	return all
}

var wanted = []Change{
	{Name: "max_connections", Value: "57"}, {Name: "shared_buffers", Value: "24MB"}, {Name: "work_mem", Value: "5500kB"},
	{Name: "maintenance_work_mem", Value: "96MB"}, {Name: "random_page_cost", Value: "1.1"}, {Name: "effective_io_concurrency", Value: "200"},
	{Name: "max_wal_size", Value: "2GB"}, {Name: "checkpoint_timeout", Value: "15min"}, {Name: "wal_compression", Value: "on"},
	{Name: "jit", Value: "off"}, {Name: "log_line_prefix", Value: `%t [%p-%l] it's \ %q%u@%d `}, {Name: "shared_preload_libraries", Value: "auto_explain, pg_stat_statements"},
	{Name: "autovacuum_vacuum_scale_factor", Value: "0.05"}, {Name: "hash_mem_multiplier", Value: "2.5"}, {Name: "wal_buffers", Value: "16MB"},
	{Name: "default_statistics_target", Value: "200"}, {Name: "auto_explain.log_min_duration", Value: "1s"},
}

// TestServerTakesPatch goes the whole way on a real server: a commented postgresql.conf, a conf.d include, a line that a
// later one overrides and values of ALTER SYSTEM; diff, restart, every value in force or announced; statements, restart, all
// values in force; both taken back.
func TestServerTakesPatch(t *testing.T) {
	c := newCluster(t)
	if err := os.Mkdir(filepath.Join(c.dir, "conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, c.dir, "conf.d/10-mem.conf", []byte("# ours\r\nwork_mem = 2MB # two\r\nmaintenance_work_mem = 70MB"))
	stock, _ := os.ReadFile(filepath.Join(c.dir, "postgresql.conf"))
	write(t, c.dir, "postgresql.conf", []byte(string(stock)+"work_mem = 1MB\nrandom_page_cost = 3\ninclude_dir = 'conf.d'\n"))
	c.own(c.dir)
	c.start("-c", "checkpoint_timeout=6min")
	c.psql("-c", "ALTER SYSTEM SET max_wal_size = '3GB'", "-c", "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain'",
		"-c", "ALTER ROLE postgres SET hash_mem_multiplier = 3", "-c", "SELECT pg_reload_conf()")
	names := []string{"postgresql.conf", "conf.d/10-mem.conf", "postgresql.auto.conf"}
	before := c.files(names...)
	p := make1(t, Input{Server: c.facts(), Files: before, Changes: wanted})
	if len(p.Skipped) != 0 || len(p.Files) != 2 || p.Dir != c.dir {
		t.Fatalf("skipped %+v, %d files in %s", p.Skipped, len(p.Files), p.Dir)
	}
	roundTrip(t, p)

	apply(t, []string{"patch", "-p1", "-i"}, c.dir, p.Diff)
	c.own(c.dir)
	c.stop()
	c.start("-c", "checkpoint_timeout=6min")
	c.checkInForce(p, []string{"checkpoint_timeout", "hash_mem_multiplier", "max_wal_size", "shared_preload_libraries"})

	apply(t, []string{"patch", "-p1", "-i"}, c.dir, p.Rollback)
	if after := c.files(names...); !slices.Equal(after, before) {
		t.Errorf("after the rollback the files are not what they were")
	}
	c.own(c.dir)

	write(t, c.root, "alter-system.sql", []byte(p.AlterSystem))
	write(t, c.root, "rollback.sql", []byte(p.RollbackSQL))
	c.own(c.root)
	c.psql("-f", filepath.Join(c.root, "alter-system.sql"))
	c.stop()
	c.start()
	c.checkInForce(p, []string{"hash_mem_multiplier"})
	c.psql("-f", filepath.Join(c.root, "rollback.sql"))
	if got, want := entries(c.files(names[2])[0].Text), entries(before[2].Text); !slices.Equal(got, want) {
		t.Errorf("after rollback.sql postgresql.auto.conf sets %q, want %q", got, want)
	}
	c.stop()
	c.start()
	if out := strings.ReplaceAll(c.log.String(), "FATAL:  the database system is starting up", ""); strings.Contains(out, "ERROR") || strings.Contains(out, "FATAL") {
		t.Errorf("the log is not clean:\n%s", out)
	}
}

func entries(conf string) []string {
	all := slices.DeleteFunc(strings.Split(conf, "\n"), func(l string) bool { return l == "" || strings.HasPrefix(l, "#") })
	slices.Sort(all)
	return all
}

// checkInForce wants every value in force but the shadowed ones, which have to be announced.
func (c *cluster) checkInForce(p Patch, shadowed []string) {
	c.t.Helper()
	now := c.facts().Settings
	var not []string
	for _, e := range p.Expected() {
		if s := now[e.Name]; !e.Met(s.Value) && !sameList(s.Value, e.Setting) {
			not = append(not, e.Name)
			if !slices.ContainsFunc(p.Shadowed, func(s Shadow) bool { return s.Name == e.Name }) {
				c.t.Errorf("%s is %s (from %s), want %s", e.Name, s.Value, s.Source, e.Setting)
			}
		}
	}
	slices.Sort(not)
	if !slices.Equal(not, shadowed) {
		c.t.Errorf("not in force: %q, want %q", not, shadowed)
	}
	if got := len(p.Expected()); got != len(wanted)-1 {
		c.t.Errorf("%d values expected, want %d", got, len(wanted)-1) // all but auto_explain's
	}
}

// sameList compares lists, which ALTER SYSTEM writes in its own way.
func sameList(a, b string) bool {
	return strings.Contains(b, ",") && slices.Equal(elements(a), elements(b))
}

// TestDropInOnServer adds the file and the include line that a patch without files asks for.
func TestDropInOnServer(t *testing.T) {
	c := newCluster(t)
	c.start()
	p := make1(t, Input{Server: c.facts(), Changes: wanted})
	if p.DropIn != "conf.d/90-pgfit.conf" || p.Include == "" {
		t.Fatalf("drop-in %q, include %q", p.DropIn, p.Include)
	}
	apply(t, []string{"git", "apply"}, c.dir, p.Diff)
	write(t, c.dir, "postgresql.conf", []byte(c.files("postgresql.conf")[0].Text+p.Include+"\n"))
	c.own(c.dir)
	c.stop()
	c.start()
	c.checkInForce(p, nil)
}
