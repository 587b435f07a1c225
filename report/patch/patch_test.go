package patch

import (
	"path"
	"slices"
	"strings"
	"testing"

	"pgfit/probe"
	"pgfit/workload/rundoc"
)

func make1(t *testing.T, in Input) Patch {
	t.Helper()
	p, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// with changes one setting of a server.
func with(s probe.Server, name, value, source string) probe.Server {
	set := s.Settings[name]
	set.Value, set.Source = value, source
	s.Settings[name] = set
	return s
}

const mainPath = "/etc/pg/postgresql.conf"

func mainFile(text string) []rundoc.File { return []rundoc.File{{Path: mainPath, Text: text}} }

func TestChoose(t *testing.T) {
	changes := []Change{
		{Name: "work_mem", Value: "8MB"}, {Name: "max_connections", Value: "200"}, {Name: "io_method", Value: "worker"},
		{Name: "shared_buffers", Value: "1 PB"}, {Name: "jit", Value: "maybe"}, {Name: "random_page_cost", Value: "-1"},
		{Name: "server_version", Value: "16"}, {Name: "maintenance_work_mem", Value: "65536kB"}, {Name: "pg_stat_statements.max", Value: "10000"},
		{Name: "auto_explain.log_analyze", Value: "on"}, {Name: "work_mem", Value: "16MB"},
	}
	skipped := "io_method shared_buffers jit random_page_cost server_version maintenance_work_mem"
	tests := []struct{ only, applied, skipped string }{
		{All, "max_connections pg_stat_statements.max auto_explain.log_analyze work_mem", skipped},
		{Reload, "auto_explain.log_analyze work_mem", "max_connections " + skipped + " pg_stat_statements.max"},
		{Restart, "max_connections pg_stat_statements.max", skipped + " auto_explain.log_analyze work_mem"},
	}
	for _, tt := range tests {
		t.Run("only "+tt.only, func(t *testing.T) {
			p := make1(t, Input{Server: server15(t, mainPath), Files: mainFile(""), Changes: changes, Only: tt.only})
			var applied, left []string
			for _, a := range p.Applied {
				applied = append(applied, a.Name)
			}
			for _, s := range p.Skipped {
				left = append(left, s.Name)
			}
			if strings.Join(applied, " ") != tt.applied || strings.Join(left, " ") != tt.skipped {
				t.Errorf("applied %v, skipped %+v; want %s and %s", applied, p.Skipped, tt.applied, tt.skipped)
			}
			if tt.only != Restart && p.Applied[len(p.Applied)-1].Setting != "16384" {
				t.Errorf("work_mem will show as %s, want 16384", p.Applied[len(p.Applied)-1].Setting)
			}
		})
	}
	if _, err := Make(Input{Only: "later"}); err == nil {
		t.Error("Make with another part succeeded")
	}
	if _, err := Make(Input{Files: mainFile(""), Changes: []Change{{Name: "a b", Value: "1"}}}); err == nil {
		t.Error("Make with a name that no file can hold succeeded")
	}
}

func TestNothingToChange(t *testing.T) {
	for _, files := range [][]rundoc.File{nil, mainFile("x = 1\n")} {
		p := make1(t, Input{Server: server15(t, mainPath), Files: files, Changes: []Change{{Name: "work_mem", Value: "4MB"}}})
		if !p.Empty() || len(p.Diff)+len(p.Rollback)+len(p.AlterSystem)+len(p.RollbackSQL)+len(p.Files)+len(p.Notes) != 0 || p.DropIn != "" {
			t.Errorf("the patch is not empty: %+v", p)
		}
	}
}

// TestPresent has a value that pg_settings shows for this session alone, and one that waits for a restart.
func TestPresent(t *testing.T) {
	s := with(server15(t, mainPath), "work_mem", "8192", "user")
	set := s.Settings["max_connections"]
	set.PendingRestart = true
	s.Settings["max_connections"] = set
	p := make1(t, Input{Server: s, Files: mainFile("max_connections = 200\n"),
		Changes: []Change{{Name: "work_mem", Value: "8MB"}, {Name: "max_connections", Value: "200"}}})
	if len(p.Applied) != 1 || p.Applied[0].Name != "work_mem" || len(p.Skipped) != 1 {
		t.Errorf("applied %+v, skipped %+v; want work_mem, since only this role has 8MB, and not max_connections, since the file has it",
			p.Applied, p.Skipped)
	}
}

func TestOffline(t *testing.T) {
	p := make1(t, Input{Server: probe.Server{VersionNum: 160000}, Files: mainFile("shared_buffers = 1GB\n#work_mem = 4MB\n"), Changes: []Change{
		{Name: "shared_buffers", Value: "1GB"}, {Name: "work_mem", Value: "8MB"}, {Name: "force_parallel_mode", Value: "on"}}})
	if len(p.Applied) != 1 || p.Applied[0].Line != 2 || len(p.Skipped) != 2 {
		t.Errorf("applied %+v, skipped %+v", p.Applied, p.Skipped)
	}
}

func TestShadows(t *testing.T) {
	auto := rundoc.File{Path: "/data/postgresql.auto.conf", Text: "# no\nwork_mem = '7MB'\n"}
	change := []Change{{Name: "work_mem", Value: "16MB"}}
	lines := []probe.FileSetting{{File: mainPath, Line: 1, Name: "work_mem", Value: "1MB"}, {File: "/secret/x.conf", Line: 9, Name: "work_mem", Value: "2MB"}}
	tests := []struct {
		name  string
		edit  func(*Input)
		by    string
		diff  bool
		undo  string
		extra string // in a note
	}{
		{"nothing", func(*Input) {}, "", true, "ALTER SYSTEM RESET work_mem;", ""},
		{"auto.conf read", func(in *Input) { in.Files = append(in.Files, auto) }, "postgresql.auto.conf:2", true, "ALTER SYSTEM SET work_mem = '7MB';", ""},
		{"auto.conf seen by the server", func(in *Input) {
			in.Server.FileLines = []probe.FileSetting{{File: auto.Path, Line: 2, Name: "work_mem", Value: "7MB"}}
		}, "postgresql.auto.conf:2", true, "ALTER SYSTEM SET work_mem = '7MB';", ""},
		{"command line", func(in *Input) { in.Server = with(in.Server, "work_mem", "4096", "command line") }, "the command line", true, "ALTER SYSTEM RESET work_mem;", ""},
		{"command line of a scratch server", func(in *Input) {
			in.Server = with(in.Server, "work_mem", "4096", "command line")
			in.Server.Scratch = true
		}, "", true, "ALTER SYSTEM RESET work_mem;", ""},
		{"role", func(in *Input) {
			in.Server.RoleSettings = []probe.RoleSetting{{Role: "app", Database: "shop", Name: "work_mem", Value: "64MB"}}
		}, "ALTER ROLE app IN DATABASE shop SET work_mem = 64MB", true, "ALTER SYSTEM RESET work_mem;", ""},
		{"later include that was not read", func(in *Input) { in.Server.FileLines = lines }, "/secret/x.conf:9", false, "ALTER SYSTEM RESET work_mem;", ""},
		{"earlier include that was not read", func(in *Input) {
			in.Server.FileLines = []probe.FileSetting{lines[1], lines[0]}
		}, "", true, "ALTER SYSTEM RESET work_mem;", ""},
		{"line behind a drop-in", func(in *Input) {
			in.Files = nil
			in.Server.FileLines = []probe.FileSetting{{File: "/etc/pg/conf.d/a.conf", Line: 1, Name: "jit", Value: "on"}, lines[0]}
		}, mainPath + ":1", true, "ALTER SYSTEM RESET work_mem;", "user has to be able to read conf.d/90-pgfit.conf"},
		{"line before a drop-in", func(in *Input) {
			in.Files = nil
			in.Server.FileLines = []probe.FileSetting{lines[0], {File: "/etc/pg/conf.d/10.conf", Line: 1, Name: "work_mem", Value: "3MB"}}
		}, "", true, "ALTER SYSTEM RESET work_mem;", ""},
		{"file behind a drop-in", func(in *Input) {
			in.Files = nil
			in.Server.FileLines = []probe.FileSetting{{File: "/etc/pg/conf.d/x.conf", Line: 1, Name: "work_mem", Value: "3MB"},
				{File: "/etc/pg/conf.d/y.conf", Line: 1, Name: "jit", Value: "on"}}
		}, "/etc/pg/conf.d/x.conf:1", true, "ALTER SYSTEM RESET work_mem;", ""},
		{"Patroni", func(in *Input) { in.Server.Service = probe.Is("patroni", "cluster_name") }, "", true, "ALTER SYSTEM RESET work_mem;", "use --format patroni"},
		{"ALTER SYSTEM forbidden", func(in *Input) {
			in.Server = with(in.Server, "allow_alter_system", "off", "default")
		},
			"", true, "ALTER SYSTEM RESET work_mem;", "allow_alter_system is off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := Input{Server: server15(t, mainPath), Files: mainFile("work_mem = 1MB\n"), Changes: change}
			tt.edit(&in)
			p := make1(t, in)
			by := ""
			if len(p.Shadowed) > 0 {
				by = p.Shadowed[0].By
			}
			if by != tt.by || len(p.Shadowed) > 1 || (len(p.Diff) > 0) != tt.diff {
				t.Errorf("shadowed %+v with a diff of %d bytes, want %q", p.Shadowed, len(p.Diff), tt.by)
			}
			if !strings.Contains(p.RollbackSQL, tt.undo) {
				t.Errorf("rollback.sql is %q, want %s in it", p.RollbackSQL, tt.undo)
			}
			if !strings.Contains(strings.Join(p.Notes, "\n"), tt.extra) {
				t.Errorf("notes %q, want %q among them", p.Notes, tt.extra)
			}
		})
	}
}

func TestStandbyOrder(t *testing.T) {
	s := server15(t, mainPath)
	s.Standbys = probe.Is(2, "pg_stat_replication")
	p := make1(t, Input{Server: s, Files: mainFile(""), Changes: []Change{
		{Name: "max_connections", Value: "200"}, {Name: "max_worker_processes", Value: "4"}, {Name: "shared_buffers", Value: "1GB"}}})
	want := []string{"max_connections goes up: restart the standbys with it first, then the primary",
		"max_worker_processes goes down: restart the primary with it first, then the standbys"}
	if !slices.Equal(p.Notes, want) {
		t.Errorf("notes %q, want %q", p.Notes, want)
	}
}

// TestModuleSettings have to wait for their module: ALTER SYSTEM would fail and psql would stop.
func TestModuleSettings(t *testing.T) {
	p := make1(t, Input{Server: server15(t, mainPath), Files: mainFile(""), Changes: []Change{
		{Name: "work_mem", Value: "16MB"}, {Name: "pg_stat_statements.max", Value: "10000"}}})
	want := "ALTER SYSTEM SET work_mem = '16MB';\nSELECT pg_reload_conf();\n-- Once its module is loaded: ALTER SYSTEM SET pg_stat_statements.max = '10000';\n"
	if p.AlterSystem != want || p.RollbackSQL != "ALTER SYSTEM RESET work_mem;\nSELECT pg_reload_conf();\n" {
		t.Errorf("alter-system.sql %q, want %q; rollback.sql %q", p.AlterSystem, want, p.RollbackSQL)
	}
}

func TestAlterSystem(t *testing.T) {
	tests := []struct {
		name, value, want string
		ok                bool
	}{
		{"work_mem", "16MB", "ALTER SYSTEM SET work_mem = '16MB';\n", true},
		{"cluster_name", `it's \`, `ALTER SYSTEM SET cluster_name = E'it''s \\';` + "\n", true},
		{"shared_preload_libraries", `pg_stat_statements, "a,""b" , c`, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements', 'a,\"b', 'c';\n", true},
		{"shared_preload_libraries", " ", "", false},
		{"pg_stat_statements.max", "10000", "ALTER SYSTEM SET pg_stat_statements.max = '10000';\n", true},
		{"TimeZone", "UTC", "ALTER SYSTEM SET \"TimeZone\" = 'UTC';\n", true},
	}
	for _, tt := range tests {
		if got, ok := AlterSystem(tt.name, tt.value); got != tt.want || ok != tt.ok {
			t.Errorf("AlterSystem(%s, %q) = %q %v, want %q %v", tt.name, tt.value, got, ok, tt.want, tt.ok)
		}
	}
}

// TestNotInForce: what a started server lacks, apart from what the patch announces as shadowed.
func TestNotInForce(t *testing.T) {
	s := server15(t, mainPath)
	auto := rundoc.File{Path: path.Join(path.Dir(mainPath), "postgresql.auto.conf"), Text: "jit = 'on'\n"}
	files := append(mainFile("#work_mem = 4MB\n"), auto)
	p := make1(t, Input{Server: s, Files: files, Changes: []Change{
		{Name: "work_mem", Value: "16MB"}, {Name: "max_connections", Value: "200"}, {Name: "jit", Value: "off"}}})
	got := p.NotInForce(map[string]string{"work_mem": "16384", "jit": "on"})
	if len(got) != 1 || got[0] != (Expect{"max_connections", "200"}) {
		t.Errorf("NotInForce = %v, want max_connections alone", got)
	}
	after := p.After(files)
	if p.Main != mainPath || len(after) != 2 || !strings.Contains(after[0].Text, "work_mem = 16MB") || after[1] != auto || strings.Contains(files[0].Text, "16MB") {
		t.Errorf("After(%s) = %+v", p.Main, after)
	}
	drop := make1(t, Input{Server: s, Changes: []Change{{Name: "work_mem", Value: "16MB"}}})
	if after := drop.After(files); drop.Main != "" || len(after) != 1 || !strings.HasSuffix(after[0].Path, "90-pgfit.conf") {
		t.Errorf("After of a drop-in = %+v", after)
	}
}

// TestPathsOfOldServers edits a file that the server names with .. in the middle.
func TestPathsOfOldServers(t *testing.T) {
	s := server15(t, mainPath)
	odd := path.Dir(mainPath) + "/conf.d/../b.conf"
	set := s.Settings["work_mem"]
	set.Value, set.Source, set.SourceFile, set.SourceLine = "1024", "configuration file", odd, 1
	s.Settings["work_mem"] = set
	s.FileLines = []probe.FileSetting{{File: odd, Line: 1, Name: "work_mem", Value: "1MB", Applied: true}}
	files := append(mainFile("include 'conf.d/../b.conf'\n"), rundoc.File{Path: odd, Text: "work_mem = 1MB\n"})
	p := make1(t, Input{Server: s, Files: files, Changes: []Change{{Name: "work_mem", Value: "16MB"}}})
	if len(p.Files) != 1 || p.Files[0].Name != "b.conf" || len(p.Shadowed) > 0 {
		t.Fatalf("edited %+v, shadowed %v", p.Files, p.Shadowed)
	}
	if after := p.After(files); len(after) != 2 || after[1].Text != "work_mem = 16MB\n" {
		t.Errorf("After = %+v", after)
	}
}
