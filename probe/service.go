package probe

import (
	"strings"

	"pgfit/probe/guc"
)

// vendorSettings are prefixes of settings that one service alone has.
var vendorSettings = [][2]string{{"alloydb.", "alloydb"}, {"cloudsql.", "cloudsql"}, {"azure.", "azure"}, {"neon.", "neon"}, {"rds.", "rds"}}

// vendorRoles are roles that one service alone has.
var vendorRoles = [][2]string{{"rdsadmin", "rds"}, {"rds_superuser", "rds"}, {"alloydbsuperuser", "alloydb"}, {"cloudsqlsuperuser", "cloudsql"},
	{"azure_pg_admin", "azure"}, {"neon_superuser", "neon"}, {"supabase_admin", "supabase"}}

func (r *serverReader) service() Fact[string] {
	names := make([]string, 0, len(vendorRoles))
	for _, role := range vendorRoles {
		names = append(names, role[0])
	}
	roles := r.names("SELECT rolname FROM pg_roles WHERE rolname IN ('" + strings.Join(names, "', '") + "') ORDER BY 1")
	aurora := func() bool {
		return one[int](r, "SELECT count(*)::int FROM pg_proc WHERE proname = 'aurora_version'", "").Value > 0
	}
	return serviceOf(r.s.Settings, roles, r.s.Build, aurora)
}

// serviceOf tells who runs a server by what only they have. Aurora's own function is looked for and not called, since a
// failing call fills the server's log.
func serviceOf(set guc.Settings, roles []string, build string, aurora func() bool) Fact[string] {
	found := Fact[string]{}
	if strings.Contains(strings.ToLower(build), "alloydb") {
		return Is("alloydb", "version()")
	}
	for _, name := range set.Names() {
		for _, kind := range vendorSettings {
			if found.State == Unknown && strings.HasPrefix(name, kind[0]) {
				found = Is(kind[1], "setting "+name)
			}
		}
	}
	for _, role := range roles {
		for _, kind := range vendorRoles {
			if found.State == Unknown && role == kind[0] {
				found = Is(kind[1], "role "+role)
			}
		}
	}
	switch {
	case found.Value == "rds" && aurora():
		return Is("aurora", "function aurora_version")
	case found.State == Known:
		return found
	case strings.Contains(set.Text("unix_socket_directories")+set.Text("archive_command")+set.Text("ssl_cert_file"), "/controller/"):
		return Is("cnpg", "paths below /controller in the settings")
	case set["max_connections"].Source == "command line" && set["cluster_name"].Source == "command line":
		return Is("patroni", "max_connections and cluster_name on the command line")
	}
	return Is("self-managed", "no sign of a service")
}

// agree is how far two vendors' formulas may lie apart to be believed.
const agree = 0.15

// inferRAM guesses the memory of a managed server from two settings that the vendor derives from it, and only while both
// still say the same: a user can change either (the vendors' parameter documentation).
func inferRAM(service string, set guc.Settings) Fact[int64] {
	none := Fact[int64]{State: Absent, Source: "no two of the vendor's formulas agree"}
	pages, ok1 := set.Int("shared_buffers")
	connections, ok2 := set.Int("max_connections")
	if !ok1 || !ok2 {
		return none
	}
	cache, _ := set.Int("effective_cache_size")
	var a, b float64
	second := "max_connections"
	switch service {
	case "rds": // {DBInstanceClassMemory/32768} pages; LEAST({DBInstanceClassMemory/9531392}, 5000)
		a, b = float64(pages)*32768, float64(connections)*9531392
		if connections >= 5000 {
			return none
		}
	case "aurora": // SUM({DBInstanceClassMemory/12038}, -50003) pages
		a, b = float64(pages+50003)*12038, float64(connections)*9531392
		if connections >= 5000 {
			b, second = float64(cache+50003)*12038, "effective_cache_size"
		}
	case "azure": // a quarter; about memory/10^7 at creation
		a, b = float64(pages)*8192*4, float64(connections)*1e7
	default:
		return none
	}
	if a <= 0 || b <= 0 || max(a, b)/min(a, b) > 1+agree {
		return none
	}
	f := Is(int64(a), "shared_buffers and "+second)
	f.Note = "inferred: both still follow the vendor's formulas; the instance has somewhat more"
	return f
}

// inferCPUs is twice max_parallel_workers on Amazon's services, where it is GREATEST(vCPU/2, 8): above 8 it tells.
func inferCPUs(service string, set guc.Settings) Fact[float64] {
	workers, ok := set.Int("max_parallel_workers")
	if !ok || workers <= 8 || service != "rds" && service != "aurora" || set["max_parallel_workers"].Source == "user" {
		return Fact[float64]{State: Absent, Source: "max_parallel_workers"}
	}
	f := Is(float64(2*workers), "max_parallel_workers")
	f.Note = "inferred from the vendor's formula"
	return f
}

// pooler notices a transaction pooler: two transactions that meet different backends.
func (r *serverReader) pooler() Fact[string] {
	seen := map[int]bool{}
	for range 8 {
		var pid int
		if err := r.conn.QueryRow(r.ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
			return Fact[string]{State: Absent}
		}
		seen[pid] = true
	}
	if own := int(r.conn.PgConn().PID()); len(seen) > 1 || !seen[own] {
		return Is("pgbouncer", "pg_backend_pid() differs from the session's own")
	}
	return Fact[string]{State: Absent, Source: "pg_backend_pid()"}
}
