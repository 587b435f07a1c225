package probe

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

func (r *serverReader) sizes() {
	r.s.DatabaseBytes = one[int64](r, "SELECT pg_database_size(current_database())", "pg_database_size()")
	r.s.ClusterBytes = one[int64](r, "SELECT sum(pg_database_size(oid))::bigint FROM pg_database WHERE has_database_privilege(oid, 'CONNECT')", "pg_database_size()")
	rows, err := r.conn.Query(r.ctx, `SELECT n.nspname || '.' || c.relname, pg_total_relation_size(c.oid), greatest(c.reltuples, 0)::bigint, coalesce(s.n_dead_tup, 0)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
		WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 2 DESC, 1 LIMIT 20`)
	if err != nil {
		return
	}
	r.s.Tables, _ = pgx.CollectRows(rows, pgx.RowToStructByPos[Table])
}

func (r *serverReader) sessions() {
	rows, err := r.conn.Query(r.ctx, `SELECT coalesce(application_name, ''), coalesce(state, ''), count(*)::int FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2`)
	if err == nil {
		r.s.Connections, _ = pgx.CollectRows(rows, pgx.RowToStructByPos[ConnCount])
	}
	for _, c := range r.s.Connections {
		r.s.InUse += c.Count
	}
	r.s.PreparedXacts = one[int](r, "SELECT count(*)::int FROM pg_prepared_xacts", "pg_prepared_xacts")
	if r.s.Major() >= 14 {
		r.s.ActiveSessions = one[float64](r, `SELECT (active_time + idle_in_transaction_time) / 1000 / extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time()))
			FROM pg_stat_database WHERE datname = current_database()`, "pg_stat_database")
	}
	if t := one[time.Time](r, "SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()", "pg_stat_database"); t.OK() {
		r.s.StatsReset = t.Value.UTC()
	}
}

func (r *serverReader) replication() {
	r.s.Standbys = one[int](r, "SELECT count(*)::int FROM pg_stat_replication", "pg_stat_replication")
	rows, err := r.conn.Query(r.ctx, `SELECT coalesce(application_name, ''), coalesce(state, ''), coalesce(sync_state, ''), coalesce(extract(epoch FROM replay_lag), 0)::float8
		FROM pg_stat_replication ORDER BY 1, 2`)
	if err == nil {
		r.s.Replicas, _ = pgx.CollectRows(rows, pgx.RowToStructByPos[Replica])
	}
	r.s.Slots = one[int](r, "SELECT count(*)::int FROM pg_replication_slots", "pg_replication_slots")
}

// statementText bounds how much of a statement is kept.
const statementText = 200

// statements reads the twenty that took the most time, where the extension is created in this database. Texts are those of
// queries alone: the extension replaces their constants, but a utility statement may hold a password.
func (r *serverReader) statements() {
	schema := one[string](r, `SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pg_stat_statements'`, "pg_extension")
	if !schema.OK() {
		r.s.StatementCalls = Fact[int64]{State: Absent, Source: "pg_stat_statements"}
		return
	}
	view := schema.Value + ".pg_stat_statements"
	r.s.StatementCalls = one[int64](r, "SELECT coalesce(sum(calls), 0)::bigint FROM "+view, "pg_stat_statements")
	rows, err := r.conn.Query(r.ctx, `SELECT coalesce(queryid, 0)::text, coalesce(query, ''), calls, total_exec_time / 1000, mean_exec_time / 1000, rows, shared_blks_hit, shared_blks_read,
		temp_blks_written, wal_bytes::bigint FROM `+view+` WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY total_exec_time DESC, 1 LIMIT 20`)
	if err != nil {
		return
	}
	r.s.Statements, _ = pgx.CollectRows(rows, pgx.RowToStructByPos[Statement])
	for i := range r.s.Statements {
		r.s.Statements[i].Text = queryText(r.s.Statements[i].Text)
	}
}

// queryText keeps the text of a query, in one line, and nothing of any other statement.
func queryText(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	first, _, _ := strings.Cut(strings.ToLower(text), " ")
	if !contains("select,insert,update,delete,merge,with,values,table", first) {
		return ""
	}
	if runes := []rune(text); len(runes) > statementText {
		text = string(runes[:statementText]) + "..."
	}
	return text
}

// rights notes what the role may not see, each with the grant that would show it.
func (r *serverReader) rights() {
	role := pgx.Identifier{r.s.User}.Sanitize()
	may := func(sql string) bool { return one[bool](r, "SELECT "+sql, "").Value }
	if !may("pg_has_role(current_user, 'pg_read_all_settings', 'USAGE')") {
		r.s.Unseen = append(r.s.Unseen, Unseen{"data_directory, config_file and other settings", "GRANT pg_read_all_settings TO " + role})
	}
	if !may("pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')") {
		r.s.Unseen = append(r.s.Unseen, Unseen{"state and statements of other sessions, replication lag", "GRANT pg_read_all_stats TO " + role})
	}
	if !may("has_table_privilege('pg_file_settings', 'SELECT') AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')") {
		r.s.Unseen = append(r.s.Unseen, Unseen{"errors in the configuration files",
			"GRANT SELECT ON pg_file_settings TO " + role + "; GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO " + role})
	}
}
