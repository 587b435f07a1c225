package probe

import (
	"context"
	"encoding/binary"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// claim is what a server says of itself, by which its process is recognised.
type claim struct {
	dir      string // data_directory, "" when the role may not see it
	systemID string
	started  time.Time
	address  string // the server's end of the connection, "" for a unix socket
}

// seat is where a server was found on this machine.
type seat struct {
	pid  string // of the postmaster, as this machine numbers it; "" when it was not found
	root string // leads to the server's file system, "" when it is this one
	dir  string // its data directory, by the server's own name
}

// sameHost proves that the server runs on this machine. Of the postmasters here it is the one whose data directory has
// the server's system identifier and whose postmaster.pid has the server's start time: a copy or a standby has the same
// identifier, so both are needed. Looking at the processes rather than at the path works for containers too. Where
// neither may be read, a postmaster that began when the server did will do, if the connection itself is a local one.
func (e Env) sameHost(c claim) (Fact[bool], seat) {
	postmasters := e.postmasters()
	closed := false
	for _, pid := range postmasters {
		at, proof := e.inspect(pid, c)
		switch proof.State {
		case Known:
			if proof.Value {
				return proof, at
			}
		case Denied:
			closed = true
		}
	}
	if len(postmasters) == 0 {
		return e.byDirectory(c)
	}
	var found []string
	for _, pid := range postmasters {
		if began, ok := e.began(pid); closed && ok && began.Sub(c.started).Abs() < processSlack {
			found = append(found, pid)
		}
	}
	switch {
	case len(found) == 0:
		return Is(false, "no server process here has the server's start time and system identifier"), seat{}
	case len(found) > 1 || !e.local(c.address):
		return Fact[bool]{State: Denied, Source: "/proc", Note: "the data directory may not be read, so nothing proves which machine the server is on"}, seat{}
	}
	f := Is(true, procFile(found[0], "stat"))
	f.Note = "by the start time of process " + found[0] + ": the data directory may not be read"
	return f, seat{pid: found[0], root: e.rootOf(found[0]), dir: c.dir}
}

// inspect compares the server with one postmaster, by its working directory, which is its data directory.
func (e Env) inspect(pid string, c claim) (seat, Fact[bool]) {
	cwd := procFile(pid, "cwd")
	named, proof := e.matches(cwd, c)
	if proof.OK() && proof.Value && named != e.ownPID(pid) {
		proof = Fact[bool]{State: Implausible, Source: cwd}
	}
	if !proof.OK() || !proof.Value {
		return seat{}, proof
	}
	at := seat{pid: pid, root: e.rootOf(pid), dir: c.dir}
	if dir, err := e.Files.ReadLink(cwd); at.dir == "" && err == nil {
		at.dir = dir
	}
	return at, proof
}

// byDirectory is the proof where no server process can be seen, as from another container that shares the directory: the
// directory of that name is the server's. The number in its postmaster.pid may then be that of some other process here.
func (e Env) byDirectory(c claim) (Fact[bool], seat) {
	if c.dir == "" {
		return Fact[bool]{State: Denied, Source: "data_directory", Note: "the role may not see it, so nothing proves which machine the server is on"}, seat{}
	}
	_, proof := e.matches(c.dir, c)
	switch {
	case proof.State == Absent:
		return Is(false, "no server process and no "+c.dir+" on this host"), seat{}
	case !proof.OK() || !proof.Value:
		return proof, seat{}
	}
	proof.Note = notSeen
	return proof, seat{dir: c.dir}
}

// unseen stands for the number of a process that cannot be seen.
const unseen = "?"

// notSeen is the note of facts that are not known for that reason.
const notSeen = "the server's process cannot be seen from here"

// matches compares the server with a data directory, and gives the process that its postmaster.pid names.
func (e Env) matches(dir string, c claim) (pid string, proof Fact[bool]) {
	control, err := e.Files.ReadFile(dir + "/global/pg_control")
	if err != nil {
		return "", Fact[bool]{State: stateOf(err), Source: dir}
	}
	file, err := e.Files.ReadFile(dir + "/postmaster.pid")
	if err != nil {
		return "", Fact[bool]{State: stateOf(err), Source: dir}
	}
	lines := strings.Split(string(file), "\n")
	if len(lines) < 3 || len(control) < 8 {
		return "", Fact[bool]{State: Implausible, Source: dir}
	}
	began, err := strconv.ParseInt(strings.TrimSpace(lines[2]), 10, 64)
	switch {
	case err != nil:
		return "", Fact[bool]{State: Implausible, Source: dir}
	case c.systemID != "" && strconv.FormatUint(binary.LittleEndian.Uint64(control), 10) != c.systemID:
		return "", Is(false, dir+"/global/pg_control")
	case !sameStart(c.started, time.Unix(began, 0)):
		return "", Is(false, dir+"/postmaster.pid")
	}
	return strings.TrimSpace(lines[0]), Is(true, "postmaster.pid and pg_control")
}

// startupTime bounds how long a postmaster takes from its first instruction, which postmaster.pid records in whole seconds,
// to the moment that pg_postmaster_start_time() records: sockets are opened and shared memory is made in between.
const startupTime = time.Minute

// sameStart compares what the server says of its start with what its pid file says.
func sameStart(server, file time.Time) bool {
	gap := server.Sub(file)
	return gap >= 0 && gap < startupTime
}

// processSlack is how far the kernel's word on a process's start, counted from boot, may lie from the server's own.
const processSlack = 5 * time.Second

// postmasters are the processes named postgres whose parent is none.
func (e Env) postmasters() []string {
	names, _ := e.Files.ReadDir("/proc")
	server := map[string]bool{}
	for _, pid := range names {
		if pid[0] < '0' || pid[0] > '9' {
			continue
		}
		if comm, _ := e.text(procFile(pid, "comm")); comm == "postgres" || comm == "postmaster" {
			server[pid] = true
		}
	}
	var out []string
	for _, pid := range names {
		if !server[pid] {
			continue
		}
		if parent, _ := e.field(procFile(pid, "status"), "PPid"); !server[parent] {
			out = append(out, pid)
		}
	}
	return out
}

// ownPID is a process's number in its own namespace: the last of NSpid.
func (e Env) ownPID(pid string) string {
	ids, _ := e.field(procFile(pid, "status"), "NSpid")
	if fields := strings.Fields(ids); len(fields) > 0 {
		return fields[len(fields)-1]
	}
	return pid
}

// rootOf leads to a process's file system where it has mounts of its own: a container.
func (e Env) rootOf(pid string) string {
	own, err := e.Files.ReadLink(procFile(e.Self, "ns/mnt"))
	other, err2 := e.Files.ReadLink(procFile(pid, "ns/mnt"))
	if err != nil || err2 != nil || own == other {
		return ""
	}
	return path.Join("/proc", pid, "root")
}

// began is when a process started: field 22 of its stat, in hundredths of a second since boot.
func (e Env) began(pid string) (time.Time, bool) {
	stat, _ := e.text(procFile(pid, "stat"))
	boot, _ := e.text("/proc/stat")
	_, rest, ok := strings.Cut(boot, "btime ")
	btime, err := strconv.ParseInt(strings.SplitN(rest, "\n", 2)[0], 10, 64)
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if !ok || err != nil || len(fields) < 20 {
		return time.Time{}, false
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	return time.Unix(btime+ticks/100, ticks%100*int64(10*time.Millisecond)), err == nil
}

// local tells whether an address is one of this machine's own; a unix socket, "", is.
func (e Env) local(address string) bool {
	ip := net.ParseIP(address)
	if address == "" || ip.IsLoopback() {
		return true
	}
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}

// claimOf asks a server for what it is recognised by.
func claimOf(ctx context.Context, conn *pgx.Conn, s Server) (claim, error) {
	c := claim{systemID: s.SystemIdentifier, started: s.StartTime}
	c.dir, _ = s.DataDirectory.Get()
	err := conn.QueryRow(ctx, "SELECT coalesce(host(inet_server_addr()), '')").Scan(&c.address)
	return c, err
}
