package probe

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgfit/probe/guc"
)

// ReadServer reads what the connected role may see of a server of 13 to 18. What it may not see is a denied fact and a
// warning that names the grant; only a server that cannot be asked at all is an error.
func ReadServer(ctx context.Context, conn *pgx.Conn) (Server, []Warning, error) {
	r := &serverReader{ctx: ctx, conn: conn, s: Server{Settings: guc.Settings{}}}
	if err := r.settings(); err != nil {
		return r.s, nil, fmt.Errorf("reading pg_settings: %w", err)
	}
	if err := r.identity(); err != nil {
		return r.s, nil, fmt.Errorf("reading the server's identity: %w", err)
	}
	r.places()
	r.rights()
	r.sizes()
	r.sessions()
	r.replication()
	r.statements()
	r.rest()
	r.files()
	r.doubts()
	return r.s, r.warnings, nil
}

type serverReader struct {
	ctx      context.Context
	conn     *pgx.Conn
	s        Server
	warnings []Warning
}

func (r *serverReader) settings() error {
	rows, err := r.conn.Query(r.ctx, `SELECT name, setting, coalesce(unit, ''), context, vartype, source, coalesce(min_val, ''), coalesce(max_val, ''),
		coalesce(enumvals, '{}'), coalesce(boot_val, ''), coalesce(reset_val, ''), coalesce(sourcefile, ''), coalesce(sourceline, 0), pending_restart FROM pg_settings`)
	if err != nil {
		return err
	}
	var g guc.Setting
	_, err = pgx.ForEachRow(rows, []any{&g.Name, &g.Value, &g.Unit, &g.Context, &g.VarType, &g.Source, &g.MinVal, &g.MaxVal, &g.EnumVals, &g.BootVal,
		&g.ResetVal, &g.SourceFile, &g.SourceLine, &g.PendingRestart}, func() error {
		row := g
		row.EnumVals = append([]string(nil), g.EnumVals...)
		if hidden(row.Name) {
			row.Value, row.ResetVal = "", ""
		}
		r.s.Settings[row.Name] = row
		return nil
	})
	return err
}

// hidden are settings that can hold a password: their text never enters the facts.
func hidden(name string) bool {
	return name == "primary_conninfo" || name == "ssl_passphrase_command" || strings.Contains(name, "password") && name != "password_encryption"
}

func (r *serverReader) identity() error {
	set := r.s.Settings
	r.s.VersionNum, _ = strconv.Atoi(set.Text("server_version_num"))
	r.s.Version, _, _ = strings.Cut(set.Text("server_version"), " ")
	err := r.conn.QueryRow(r.ctx, `SELECT version(), current_database(), current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
		pg_is_in_recovery(), pg_postmaster_start_time(), (SELECT system_identifier::text FROM pg_control_system())`).
		Scan(&r.s.Build, &r.s.Database, &r.s.User, &r.s.Superuser, &r.s.InRecovery, &r.s.StartTime, &r.s.SystemIdentifier)
	if err != nil {
		return err
	}
	r.s.StartTime = r.s.StartTime.UTC()
	if major := r.s.Major(); major < guc.OldestMajor || major > guc.NewestMajor {
		r.warn("version", fmt.Sprintf("PostgreSQL %s is outside %d to %d, which pgfit knows", r.s.Version, guc.OldestMajor, guc.NewestMajor), "read the advice with care")
	}
	return nil
}

func (r *serverReader) warn(code, text, hint string) {
	r.warnings = append(r.warnings, Warning{Code: code, Text: text, Hint: hint})
}

// places are data_directory and config_file, which a plain role does not see.
func (r *serverReader) places() {
	get := func(name string) Fact[string] {
		if set, ok := r.s.Settings[name]; ok {
			return Is(set.Value, "pg_settings")
		}
		return Fact[string]{State: Denied, Source: "pg_settings"}
	}
	r.s.DataDirectory, r.s.ConfigFile = get("data_directory"), get("config_file")
	if r.s.DataDirectory.State == Denied {
		r.warn("no-read-all-settings", fmt.Sprintf("the role %s may not see data_directory, config_file and other settings", r.s.User),
			fmt.Sprintf("GRANT pg_read_all_settings TO %s, or pass --data-directory", pgx.Identifier{r.s.User}.Sanitize()))
	}
}

// one reads a single value as a fact; a failure is a state, not an error.
func one[T any](r *serverReader, sql, from string) Fact[T] {
	var v *T
	err := r.conn.QueryRow(r.ctx, sql).Scan(&v)
	var pg *pgconn.PgError
	switch {
	case err == nil && v != nil:
		return Is(*v, from)
	case err == nil || errors.Is(err, pgx.ErrNoRows):
		return Fact[T]{State: Absent, Source: from}
	case errors.As(err, &pg) && pg.Code == "42501":
		return Fact[T]{State: Denied, Source: from}
	}
	return Fact[T]{State: Implausible, Source: from, Note: err.Error()}
}

func (r *serverReader) rest() {
	r.s.Extensions = r.names("SELECT extname FROM pg_extension ORDER BY 1")
	r.s.Available = r.names("SELECT name FROM pg_available_extensions ORDER BY 1")
	r.s.JITAvailable = one[bool](r, "SELECT pg_jit_available()", "pg_jit_available()")
	r.s.Service = r.service()
	r.s.Pooler = r.pooler()
	rows, err := r.conn.Query(r.ctx, `SELECT coalesce(r.rolname, ''), coalesce(d.datname, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1) FROM pg_db_role_setting s
		LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c ORDER BY 1, 2, 3`)
	if err == nil {
		r.s.RoleSettings, _ = pgx.CollectRows(rows, pgx.RowToStructByPos[RoleSetting])
	}
	var trips []float64
	for range 21 {
		begun := time.Now()
		if _, err := r.conn.Exec(r.ctx, "SELECT 1"); err != nil {
			return
		}
		trips = append(trips, time.Since(begun).Seconds())
	}
	sort.Float64s(trips)
	r.s.RTTSeconds = trips[len(trips)/2]
}

func (r *serverReader) names(sql string) []string {
	rows, err := r.conn.Query(r.ctx, sql)
	if err != nil {
		return nil
	}
	names, _ := pgx.CollectRows(rows, pgx.RowTo[string])
	return names
}

// files reads the server's own view of its configuration files.
func (r *serverReader) files() {
	rows, err := r.conn.Query(r.ctx, `SELECT sourcefile, sourceline, coalesce(name, ''), coalesce(setting, ''), applied, coalesce(error, '')
		FROM pg_file_settings ORDER BY seqno`)
	if err != nil {
		return
	}
	lines, err := pgx.CollectRows(rows, pgx.RowToStructByPos[FileSetting])
	if err != nil {
		return
	}
	for _, l := range lines {
		if hidden(l.Name) {
			l.Value = ""
		}
		r.s.FileLines = append(r.s.FileLines, l)
		if l.Error != "" {
			r.s.FileErrors = append(r.s.FileErrors, l)
		}
	}
	if n := len(r.s.FileErrors); n > 0 && r.s.FileErrors[0].Error != "setting could not be applied" {
		e := r.s.FileErrors[0]
		r.warn("file-error", fmt.Sprintf("the configuration files have %d errors, the first at %s:%d: %s", n, e.File, e.Line, e.Error), "mend it: nothing of the files is applied until then")
	}
}

// doubts are warnings about the server that follow from what was read.
func (r *serverReader) doubts() {
	var waiting []string
	for _, name := range r.s.Settings.Names() {
		if r.s.Settings[name].PendingRestart {
			waiting = append(waiting, name)
		}
	}
	if len(waiting) > 0 {
		r.warn("pending-restart", "changed in the files and waiting for a restart: "+strings.Join(waiting, ", "), "restart the server, or take the change back: what is measured is the present value")
	}
	if n := r.s.PreparedXacts.Value; n > 0 {
		r.warn("prepared-transactions", fmt.Sprintf("%d transactions are prepared and not ended: they hold locks and keep vacuum from cleaning up", n), "look at pg_prepared_xacts")
	}
	if pooler, ok := r.s.Pooler.Get(); ok {
		r.warn("pooler", "a transaction pooler ("+pooler+") stands between pgfit and the server", "measure the server itself: connect to it directly")
	}
}
