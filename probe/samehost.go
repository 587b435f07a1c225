package probe

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// sameHost proves that the server runs on this machine: its data directory is here, its control file has the server's
// system identifier, and postmaster.pid names a living process with the server's start time (a copy or a standby has the
// same identifier, so both are needed). pid is the postmaster's.
func (e Env) sameHost(ctx context.Context, conn *pgx.Conn, s Server) (fact Fact[bool], pid string) {
	const from = "postmaster.pid and pg_control"
	dir, ok := s.DataDirectory.Get()
	if !ok {
		return Fact[bool]{State: Denied, Source: "data_directory", Note: "the role may not see data_directory"}, ""
	}
	var remote *string
	if err := conn.QueryRow(ctx, "SELECT host(inet_server_addr())").Scan(&remote); err != nil {
		return Fact[bool]{State: Denied, Source: "inet_server_addr()"}, ""
	}
	text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		if remote == nil && os.IsPermission(err) {
			return Is(true, "a unix socket; the data directory may not be read"), e.postmaster(s.StartTime)
		}
		return Is(false, "there is no "+filepath.Join(dir, "postmaster.pid")+" here"), ""
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 3 {
		return Fact[bool]{State: Implausible, Source: from}, ""
	}
	began, err := strconv.ParseInt(strings.TrimSpace(lines[2]), 10, 64)
	if err != nil || !sameStart(s.StartTime, time.Unix(began, 0)) {
		return Is(false, "the server started at another time than the one in "+dir), ""
	}
	pid = strings.TrimSpace(lines[0])
	if control, err := os.ReadFile(filepath.Join(dir, "global", "pg_control")); err == nil && len(control) >= 8 && s.SystemIdentifier != "" {
		if strconv.FormatUint(binary.LittleEndian.Uint64(control), 10) != s.SystemIdentifier {
			return Is(false, "the control file in "+dir+" is another server's"), ""
		}
	}
	if _, err := os.Stat(e.proc(pid)); err != nil {
		return Is(false, "no process "+pid+" here"), ""
	}
	return Is(true, from), pid
}

// startupTime bounds how long a postmaster takes from its first instruction, which postmaster.pid records in whole seconds,
// to the moment that pg_postmaster_start_time() records: sockets are opened and shared memory is made in between.
const startupTime = time.Minute

// sameStart compares what the server says of its start with what its pid file says.
func sameStart(server, file time.Time) bool {
	gap := server.Sub(file)
	return gap >= 0 && gap < startupTime
}

// postmaster finds the one process named postgres whose parent is no postgres, where the pid file is closed to us.
func (e Env) postmaster(time.Time) string {
	stats, _ := filepath.Glob(e.proc("[0-9]*", "stat"))
	var found []string
	for _, p := range stats {
		s, _ := text(p)
		if i := strings.LastIndexByte(s, ')'); strings.Contains(s, "(postgres)") && i > 0 {
			fields := strings.Fields(s[i+1:])
			if len(fields) > 1 {
				if parent, _ := text(e.proc(fields[1], "comm")); parent != "postgres" {
					found = append(found, filepath.Base(filepath.Dir(p)))
				}
			}
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return "self"
}
