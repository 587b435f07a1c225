package export

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"pgfit/probe"
	"pgfit/probe/guc"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// server is a PostgreSQL 15 with two settings that somebody has changed.
func server(t testing.TB) probe.Server {
	t.Helper()
	all, err := guc.Catalogue(15)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range all {
		s.Source = "default"
		all[name] = s
	}
	for name, value := range map[string]string{"work_mem": "8192", "max_connections": "100", "log_line_prefix": "%m "} {
		s := all[name]
		s.Value, s.Source = value, "configuration file"
		all[name] = s
	}
	return probe.Server{Version: "15.18", VersionNum: 150018, Settings: all}
}

func changes() []Change {
	return []Change{
		{Name: "max_connections", Value: "200", Method: "measured", Reason: "the knee is at 160 connections, and 40 are kept | in reserve", Source: "sweep"},
		{Name: "shared_buffers", Value: "2GB", Method: "rule", Reason: "a quarter of the memory"},
		{Name: "work_mem", Value: "16MB", Method: "measured", Reason: "sorts spilled"},
		{Name: "checkpoint_timeout", Value: "15min", Method: "rule"},
		{Name: "max_wal_size", Value: "4GB", Method: "measured", Reason: "24 MB of WAL\na second"},
		{Name: "random_page_cost", Value: "1.1", Method: "measured", Reason: "random reads cost as much as sequential ones"},
		{Name: "jit", Value: "off", Method: "measured", Reason: "no statement is long enough"},
		{Name: "wal_compression", Value: "pglz", Method: "rule"},
		{Name: "log_line_prefix", Value: `%t it's "${x}" %{y} \ $1 `, Method: "guide"},
		{Name: "shared_preload_libraries", Value: "pg_stat_statements, auto_explain", Method: "guide"},
		{Name: "pg_stat_statements.max", Value: "10000", Method: "guide"},
		{Name: "listen_addresses", Value: "*", Method: "guide"},
		{Name: "io_method", Value: "worker", Method: "rule"},
		{Name: "temp_buffers", Value: "8MB", Method: "rule"},
	}
}

func options(t testing.TB) Options {
	return Options{Server: server(t), Header: "pgfit 0.1.0, run 7f3a", Memory: 8 << 30,
		Pool: &Pool{Database: "app", Host: "db.internal", PoolSize: 20, MaxOverflow: 5, Timeout: 10, Recycle: 1800, Version: "1.18.0",
			App: AppPool{Processes: 4, PoolSize: 5, MaxOverflow: 2, MaxConnections: 36}}}
}

func render(t testing.TB, format string, c []Change, o Options) Output {
	t.Helper()
	out, err := Render(format, c, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// text is everything of an output, for the golden file.
func text(out Output) string {
	var b strings.Builder
	for _, f := range out.Files {
		b.WriteString("-- " + f.Name + " --\n" + f.Data)
	}
	for _, part := range []struct {
		name  string
		lines []string
	}{{"apply", out.Apply}, {"rollback", out.Rollback}, {"notes", out.Notes}} {
		b.WriteString("== " + part.name + " ==\n")
		for _, l := range part.lines {
			b.WriteString(l + "\n")
		}
	}
	b.WriteString("== skipped ==\n")
	for _, s := range out.Skipped {
		b.WriteString(s.Name + ": " + s.Reason + "\n")
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, format := range Formats() {
		t.Run(format, func(t *testing.T) {
			got := text(render(t, format, changes(), options(t)))
			if again := text(render(t, format, changes(), options(t))); again != got {
				t.Error("the same input gave other bytes")
			}
			file := filepath.Join("testdata", format+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs (rewrite with -update and read the diff); got\n%s", file, got)
			}
		})
	}
}

// TestEdges renders every format with nothing to change, with no server known, and with everything named.
func TestEdges(t *testing.T) {
	for _, format := range Formats() {
		t.Run(format, func(t *testing.T) {
			o := options(t)
			empty := render(t, format, nil, o)
			if len(empty.Files) == 0 || strings.Contains(text(empty), "work_mem") && format != "supabase" {
				t.Errorf("with nothing to change:\n%s", text(empty))
			}
			bare := render(t, format, changes(), Options{Pool: o.Pool})
			if strings.Contains(text(bare), "%!") {
				t.Errorf("a verb is wrong:\n%s", text(bare))
			}
			for _, f := range append(empty.Files, bare.Files...) {
				checkSyntax(t, f)
			}
			o.Name = "it's"
			for _, f := range render(t, format, changes(), o).Files {
				checkSyntax(t, f)
			}
		})
	}
	if _, err := Render("diff", nil, Options{}); err == nil {
		t.Error("Render(diff) succeeded")
	}
	if _, err := Render("pgbouncer", nil, Options{}); err == nil {
		t.Error("Render(pgbouncer) without a pool succeeded")
	}
}

func checkSyntax(t *testing.T, f File) {
	t.Helper()
	switch filepath.Ext(f.Name) {
	case ".yaml", ".yml":
		var v any
		if err := yaml.Unmarshal([]byte(f.Data), &v); err != nil {
			t.Errorf("%s: %v\n%s", f.Name, err, f.Data)
		}
	case ".sh":
		cmd := exec.Command("sh", "-n")
		cmd.Stdin = strings.NewReader(f.Data)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\n%s", f.Name, err, out, f.Data)
		}
	}
}

// TestYAMLValues reads the files as their consumers do and compares types and values.
func TestYAMLValues(t *testing.T) {
	prefix := `%t it's "${x}" %{y} \ $1 `
	tests := []struct {
		format string
		path   []string
		want   map[string]any
	}{
		{"patroni", []string{"postgresql", "parameters"}, map[string]any{"max_connections": 200, "shared_buffers": "2GB", "random_page_cost": "1.1",
			"jit": "off", "log_line_prefix": prefix, "pg_stat_statements.max": 10000}},
		{"cloudnativepg", []string{"spec", "postgresql", "parameters"}, map[string]any{"max_connections": "200", "jit": "off", "log_line_prefix": prefix}},
		{"cloudnativepg", []string{"spec", "postgresql"}, map[string]any{"shared_preload_libraries": []any{"pg_stat_statements", "auto_explain"}}},
		{"zalando", []string{"spec", "postgresql", "parameters"}, map[string]any{"max_connections": "200", "random_page_cost": "1.1"}},
		{"crunchy", []string{"spec", "config", "parameters"}, map[string]any{"max_connections": 200, "shared_buffers": "2GB", "jit": "off"}},
	}
	for _, tt := range tests {
		t.Run(tt.format, func(t *testing.T) {
			out := render(t, tt.format, changes(), options(t))
			got := dig(t, out.Files[0].Data, tt.path)
			for name, want := range tt.want {
				if list, ok := want.([]any); ok {
					if have, _ := got[name].([]any); !slices.Equal(have, list) {
						t.Errorf("%s = %v, want %v", name, got[name], want)
					}
				} else if got[name] != want {
					t.Errorf("%s = %#v, want %#v", name, got[name], want)
				}
			}
			back := dig(t, out.Files[1].Data, tt.path)
			if v, ok := back["random_page_cost"]; tt.want["max_connections"] != nil && (!ok || v != nil) {
				t.Errorf("the rollback has random_page_cost = %v, want null", v)
			}
		})
	}
	compose := render(t, "docker-compose", changes(), options(t)).Files[0].Data
	service := dig(t, compose, []string{"services", "postgres"})
	want := "log_line_prefix=" + strings.ReplaceAll(prefix, "$", "$$")
	if command, _ := service["command"].([]any); command[0] != "postgres" || !slices.Contains(command, any(want)) || service["mem_limit"] != "8gb" {
		t.Errorf("compose: command %q, mem_limit %v", service["command"], service["mem_limit"])
	}
}

// A limit that nobody set is not made up; what it would have to be at least is said.
func TestNoLimitOfOurs(t *testing.T) {
	o := options(t)
	o.Memory, o.Needs = 0, 3<<30+1
	compose := render(t, "docker-compose", changes(), o).Files[0].Data
	if strings.Contains(compose, "\n    mem_limit:") || !strings.Contains(compose, "# no mem_limit: the server has none; one has to be at least 3073m") {
		t.Errorf("compose:\n%s", compose)
	}
	dig(t, compose, []string{"services", "postgres"})
	for _, format := range []string{"cloudnativepg", "zalando", "crunchy"} {
		notes := strings.Join(render(t, format, changes(), o).Notes, "\n")
		if !strings.Contains(notes, "should be the same, and at least 3073Mi") {
			t.Errorf("%s: %s", format, notes)
		}
	}
}

func dig(t *testing.T, text string, path []string) map[string]any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	m, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("no %v in\n%s", path, text)
	}
	return m
}

// TestBaseUnits has the numbers that managed services take.
func TestBaseUnits(t *testing.T) {
	want := map[string][2]string{"shared_buffers": {"262144", ""}, "work_mem": {"16384", "8192"}, "checkpoint_timeout": {"900", ""},
		"max_wal_size": {"4096", ""}, "random_page_cost": {"1.1", ""}, "jit": {"off", ""}, "max_connections": {"200", "100"}}
	j := &job{Options: options(t)}
	if err := j.judge(changes(), nil); err != nil {
		t.Fatal(err)
	}
	for _, it := range j.items {
		if w, ok := want[it.Name]; ok && (it.base != w[0] || it.oldBase != w[1] || it.reset != (w[1] == "")) {
			t.Errorf("%s: base %q, before %q (reset %v), want %q", it.Name, it.base, it.oldBase, it.reset, w)
		}
	}
}

func TestRDSRequestsAreChunked(t *testing.T) {
	all := server(t).Settings
	var many []Change
	for _, name := range all.Names() {
		if s := all[name]; s.VarType == "bool" && s.Context == "user" && s.Value == "on" {
			many = append(many, Change{Name: name, Value: "off"})
		}
	}
	out := render(t, "rds-cli", many, options(t))
	requests := strings.Split(out.Files[0].Data, "aws rds modify-db-parameter-group")[1:]
	total := 0
	for _, r := range requests {
		n := strings.Count(r, "ParameterName=")
		total += n
		if n > 20 {
			t.Errorf("%d parameters in one request", n)
		}
	}
	if len(many) < 21 || total != len(many) || !strings.Contains(requests[0], "ParameterValue=0") {
		t.Errorf("%d parameters in %d requests, want %d", total, len(requests), len(many))
	}
}

func TestCatalogue(t *testing.T) {
	tests := []struct{ name, json, skipped string }{
		{"aws", `{"Parameters": [
			{"ParameterName": "work_mem", "ApplyType": "dynamic", "AllowedValues": "64-2147483647", "IsModifiable": true},
			{"ParameterName": "jit", "ApplyType": "static", "AllowedValues": "0,1", "IsModifiable": true},
			{"ParameterName": "max_connections", "ApplyType": "static", "AllowedValues": "6-150", "IsModifiable": true},
			{"ParameterName": "shared_buffers", "ApplyType": "static", "IsModifiable": false}]}`,
			"max_connections: the service allows 6-150, and this is 200; shared_buffers: the service does not let it be changed; random_page_cost: not in the service's catalogue"},
		{"gcloud", `[{"name": "work_mem", "type": "INTEGER", "minValue": "64", "maxValue": "2147483647"},
			{"name": "jit", "type": "BOOLEAN", "requiresRestart": true}, {"name": "max_connections", "type": "INTEGER", "minValue": "14", "maxValue": "150"},
			{"name": "random_page_cost", "type": "FLOAT", "minValue": "0", "maxValue": "2147483647"}]`,
			"max_connections: the service allows 14-150, and this is 200; shared_buffers: not in the service's catalogue"},
		{"az", `[{"name": "work_mem", "allowedValues": "4096-2097151", "isDynamicConfig": true, "isReadOnly": false},
			{"name": "jit", "allowedValues": "on,off", "isDynamicConfig": false, "isReadOnly": false},
			{"name": "random_page_cost", "allowedValues": "0-1.79769e+308", "isDynamicConfig": true, "isReadOnly": false},
			{"name": "max_connections", "allowedValues": "25-5000", "isReadOnly": false, "isDynamicConfig": false},
			{"name": "shared_buffers", "allowedValues": "16-1073741823", "isReadOnly": true, "isDynamicConfig": false}]`,
			"shared_buffers: the service does not let it be changed"},
	}
	some := slices.DeleteFunc(changes(), func(c Change) bool {
		return !slices.Contains([]string{"work_mem", "jit", "max_connections", "shared_buffers", "random_page_cost"}, c.Name)
	})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t)
			var err error
			if o.Catalogue, err = ParseCatalogue([]byte(tt.json)); err != nil {
				t.Fatal(err)
			}
			out := render(t, "azure-cli", some, o)
			var got []string
			for _, s := range out.Skipped {
				got = append(got, s.Name+": "+s.Reason)
			}
			if strings.Join(got, "; ") != tt.skipped {
				t.Errorf("skipped %q, want %q", got, tt.skipped)
			}
			if !strings.Contains(strings.Join(out.Apply, "\n"), "jit") {
				t.Errorf("the catalogue says that jit needs a restart, the steps are %q", out.Apply)
			}
		})
	}
	for _, bad := range []string{"", "{}", "[]", `{"Parameters": "x"}`, "[1]"} {
		if _, err := ParseCatalogue([]byte(bad)); err == nil {
			t.Errorf("ParseCatalogue(%q) succeeded", bad)
		}
	}
}
