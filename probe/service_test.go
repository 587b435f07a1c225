package probe

import (
	"testing"

	"pgfit/probe/guc"
)

func settings(pairs ...string) guc.Settings {
	set := guc.Settings{}
	for i := 0; i < len(pairs); i += 2 {
		set[pairs[i]] = guc.Setting{Name: pairs[i], Value: pairs[i+1]}
	}
	return set
}

func TestService(t *testing.T) {
	commandLine := settings("max_connections", "100", "cluster_name", "main")
	for name, s := range commandLine {
		s.Source = "command line"
		commandLine[name] = s
	}
	for _, tc := range []struct {
		name   string
		set    guc.Settings
		roles  []string
		build  string
		aurora bool
		want   string
	}{
		{name: "plain", want: "self-managed"},
		{name: "rds by a setting", set: settings("rds.extensions", "x"), want: "rds"},
		{name: "rds by a role", roles: []string{"rds_superuser"}, want: "rds"},
		{name: "aurora", set: settings("rds.extensions", "x"), aurora: true, want: "aurora"},
		{name: "a function of that name alone", aurora: true, want: "self-managed"},
		{name: "cloud sql", roles: []string{"cloudsqlsuperuser"}, want: "cloudsql"},
		{name: "alloydb, which has cloud sql's role too", set: settings("alloydb.x", "1"), roles: []string{"cloudsqlsuperuser"}, want: "alloydb"},
		{name: "alloydb by its version", build: "PostgreSQL 15.5 on x86_64, AlloyDB", want: "alloydb"},
		{name: "azure", set: settings("azure.extensions", ""), want: "azure"},
		{name: "neon", set: settings("neon.tenant_id", "x"), want: "neon"},
		{name: "supabase", roles: []string{"supabase_admin"}, want: "supabase"},
		{name: "cloudnativepg", set: settings("unix_socket_directories", "/controller/run"), want: "cnpg"},
		{name: "patroni", set: commandLine, want: "patroni"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := serviceOf(tc.set, tc.roles, tc.build, func() bool { return tc.aurora }); got.Value != tc.want || got.Source == "" {
				t.Errorf("serviceOf = %+v, want %s", got, tc.want)
			}
		})
	}
}

// TestInferRAM: memory is inferred while two of the vendor's formulas agree, and never otherwise.
func TestInferRAM(t *testing.T) {
	for _, tc := range []struct {
		name, service, buffers, connections, cache string
		want                                       int64 // bytes, 0 for no guess
	}{
		{"rds of 16 GB", "rds", "512000", "1760", "", 512000 * 32768},
		{"rds, shared_buffers changed", "rds", "262144", "1760", "", 0},
		{"rds, the cap of connections", "rds", "4194304", "5000", "", 0},
		{"aurora of 16 GB", "aurora", "1343644", "1760", "1343644", 1393647 * 12038},
		{"aurora, the cap, the cache agrees", "aurora", "10000000", "5000", "10000000", 10050003 * 12038},
		{"azure of 8 GB", "azure", "262144", "859", "", 8 << 30},
		{"azure after scaling", "azure", "524288", "859", "", 0},
		{"cloud sql, one formula alone", "cloudsql", "524288", "500", "", 0},
		{"one's own server", "self-managed", "16384", "100", "524288", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := inferRAM(tc.service, settings("shared_buffers", tc.buffers, "max_connections", tc.connections, "effective_cache_size", tc.cache))
			if got.OK() != (tc.want > 0) || got.Value != tc.want || got.OK() && got.Note == "" {
				t.Errorf("inferRAM = %+v, want %d", got, tc.want)
			}
		})
	}
	if got := inferCPUs("rds", settings("max_parallel_workers", "8")); got.OK() {
		t.Errorf("8 workers are the least there is and say nothing: %+v", got)
	}
	if got := inferCPUs("rds", settings("max_parallel_workers", "16")); got.Value != 32 {
		t.Errorf("16 workers: %+v", got)
	}
	if got := inferCPUs("self-managed", settings("max_parallel_workers", "16")); got.OK() {
		t.Errorf("one's own server: %+v", got)
	}
}

// TestQueryText: only a query's text is kept, since the extension does not take constants out of other statements.
func TestQueryText(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT  $1\n + 2": "SELECT $1 + 2", "with x as (select $1) select * from x": "with x as (select $1) select * from x",
		"ALTER ROLE a PASSWORD 'canary'": "", "CREATE USER MAPPING": "", "": "", "/* c */ ALTER ROLE a PASSWORD 'canary'": "", "<insufficient privilege>": "",
	} {
		if got := queryText(text); got != want {
			t.Errorf("queryText(%q) = %q, want %q", text, got, want)
		}
	}
}
