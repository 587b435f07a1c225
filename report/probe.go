package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgfit/probe"
)

// Probe writes the page of facts: what, value, state, where from; then what the role may not see, and the warnings with
// what to do.
func Probe(w io.Writer, f probe.Facts, markdown bool) error {
	if err := tables(w, markdown, hostTable(f), kernelTable(f.Host)); err != nil {
		return err
	}
	if err := storageTables(w, f, markdown); err != nil {
		return err
	}
	s := f.Server
	if err := tables(w, markdown, serverTable(s), sessionTable(s), largestTable(s), statementTable(s), unseenTable(s)); err != nil {
		return err
	}
	return warnings(w, f.Warnings)
}

// tables writes those that have rows, a blank line after each.
func tables(w io.Writer, markdown bool, all ...*Table) error {
	for _, t := range all {
		if len(t.Rows) == 0 {
			continue
		}
		if err := t.Render(w, markdown); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return nil
}

// factTable is a table of facts about one thing.
func factTable(what string) *Table {
	return &Table{Header: []string{what + " ", "value ", "state ", "from "}}
}

// plain adds a row for what is no fact of its own but is known.
func (t *Table) plain(name, value, from string) {
	if value != "" {
		t.Add(name, value, string(probe.Known), from)
	}
}

func hostTable(f probe.Facts) *Table {
	h := f.Host
	t := factTable("host")
	t.plain("system", strings.Join(nonEmpty(strings.Trim(h.OS+"/"+h.Arch, "/"), h.Kernel), ", "), "")
	addFact(t, "server on this host", f.SameHost, yesNo)
	addFact(t, "hypervisor", h.Hypervisor, str)
	addFact(t, "container", h.Container, str)
	addFact(t, "cloud", h.Cloud, str)
	addFact(t, "instance type", h.InstanceType, str)
	addFact(t, "disks, as the cloud names them", h.DiskTypes, str)
	addFact(t, "memory the server may use", h.Memory.Budget, Size)
	addFact(t, "memory of the machine", h.Memory.Total, Size)
	addFact(t, "memory available now", h.Memory.Available, Size)
	addFact(t, "memory the server holds now", h.Memory.Server, Size)
	addFact(t, "cgroup memory limit", h.Memory.CgroupMax, Size)
	addFact(t, "cgroup memory.high", h.Memory.CgroupHigh, Size)
	addFact(t, "cgroup swap limit", h.Memory.SwapMax, Size)
	addFact(t, "swap", h.Memory.SwapTotal, Size)
	t.plain("CPU", h.CPU.Model, "/proc/cpuinfo")
	addFact(t, "CPUs the server may use", h.CPU.Effective, figures)
	addFact(t, "CPUs online", h.CPU.Online, strconv.Itoa)
	addFact(t, "CPU affinity", h.CPU.Affinity, strconv.Itoa)
	addFact(t, "cpuset", h.CPU.CPUSet, strconv.Itoa)
	addFact(t, "CPU quota", h.CPU.Quota, figures)
	addFact(t, "cores among them", h.CPU.Cores, strconv.Itoa)
	addFact(t, "CPU governor", h.CPU.Governor, str)
	addFact(t, "NUMA nodes", h.NUMANodes, strconv.Itoa)
	for i, b := range h.NUMANodeBytes {
		t.plain(fmt.Sprintf("memory of node %d", i), Size(b), "/sys/devices/system/node")
	}
	addFact(t, "zone_reclaim_mode", h.ZoneReclaim, strconv.Itoa)
	addFact(t, "numa_balancing", h.NUMABalancing, strconv.Itoa)
	return t
}

func kernelTable(h probe.Host) *Table {
	t := factTable("kernel")
	addFact(t, "huge page size", h.HugePageBytes, Size)
	addFact(t, "huge pages in the pool", h.HugePagesTotal, decimal)
	addFact(t, "huge pages free", h.HugePagesFree, decimal)
	addFact(t, "huge pages promised", h.HugePagesRsvd, decimal)
	addFact(t, "cgroup huge page limit", h.HugeTLBLimit, Size)
	addFact(t, "transparent huge pages", h.THP, str)
	addFact(t, "the same for shared memory", h.THPShmem, str)
	addFact(t, "overcommit_memory", h.Overcommit, strconv.Itoa)
	addFact(t, "overcommit_ratio", h.OvercommitRatio, strconv.Itoa)
	addFact(t, "commit limit", h.Memory.CommitMax, Size)
	addFact(t, "swappiness", h.Swappiness, strconv.Itoa)
	addFact(t, "dirty limit", h.DirtyBytes, Size)
	addFact(t, "dirty background limit", h.DirtyBgBytes, Size)
	addFact(t, "io_uring_disabled", h.IOUringDisabled, strconv.Itoa)
	addFact(t, "seccomp filter", h.Seccomp, yesNo)
	addFact(t, "open files of a process", h.OpenFiles, decimal)
	addFact(t, "locked memory of a process", h.LockedMemory, Size)
	addFact(t, "shmmax", h.SHMMax, Size)
	addFact(t, "semaphores", h.Semaphores, fields)
	addFact(t, "aio_max_nr", h.AIOMax, decimal)
	return t
}

func storageTables(w io.Writer, f probe.Facts, markdown bool) error {
	for _, s := range f.Storage {
		if err := storageTable(s).Render(w, markdown); err != nil {
			return err
		}
		for _, why := range s.Evidence {
			fmt.Fprintf(w, "%s\n", why)
		}
		if s.Bench != nil {
			if err := benchTable(w, *s.Bench, markdown); err != nil {
				return err
			}
		}
		fmt.Fprintln(w)
	}
	return nil
}

func storageTable(s probe.Storage) *Table {
	t := factTable(s.Role)
	t.plain("path", s.Path, "")
	t.plain("file system", strings.Join(nonEmpty(s.FSType, s.MountPoint), " on "), "mountinfo")
	t.plain("mounted", strings.Join(once(s.Options), ","), "mountinfo")
	t.plain("device", strings.Join(append(nonEmpty(s.Device), s.Layers...), " > "), "mountinfo, /sys")
	for _, d := range s.Leaves {
		t.plain("disk "+d.Name, strings.Join(nonEmpty(d.Model, d.Driver, d.Transport, d.Scheduler, d.WriteCache), ", "), "/sys/class/block")
		addFact(t, "  read ahead, kB", d.ReadAheadKB, strconv.Itoa)
		addFact(t, "  requests it takes at once", d.QueueTags, strconv.Itoa)
		addFact(t, "  says that it rotates", d.Rotational, func(n int) string { return yesNo(n != 0) })
	}
	state := probe.Known
	if s.Class == probe.UnknownClass {
		state = probe.Absent
	}
	t.Add("medium", string(s.Class), string(state), "see below")
	addFact(t, "size", s.Total, Size)
	addFact(t, "free", s.Free, Size)
	return t
}

func benchTable(w io.Writer, b probe.DiskBench, markdown bool) error {
	fmt.Fprintln(w)
	if len(b.Random) == 0 {
		return benchNotes(w, b, fmt.Sprintf("sequential write %s/s", Size(int64(b.SeqWriteRate))))
	}
	t := Table{Header: []string{"8 kB random reads, depth", "IOPS", "from", "to", "mean ms", "p50 ms", "p99 ms"}}
	for _, d := range b.Random {
		t.Add(strconv.Itoa(d.Depth), Rate(d.IOPS), Rate(d.Min), Rate(d.Max), Millis(d.Mean), Millis(d.P50), Millis(d.P99))
	}
	if err := t.Render(w, markdown); err != nil {
		return err
	}
	buffered := Size(int64(b.SeqRead8kRate)) + "/s in 8 kB"
	if b.SeqRead128kRate > 0 {
		buffered += ", " + Size(int64(b.SeqRead128kRate)) + "/s in 128 kB"
	}
	return benchNotes(w, b, fmt.Sprintf("sequential read %s/s, through the cache %s; sequential write %s/s", Size(int64(b.SeqReadRate)), buffered, Size(int64(b.SeqWriteRate))))
}

// benchNotes says the rates and how they were measured.
func benchNotes(w io.Writer, b probe.DiskBench, rates string) error {
	fmt.Fprintf(w, "%s\nfdatasync of 8 kB mean %s, p50 %s, p99 %s\n", rates, Seconds(b.FdatasyncMean), Seconds(b.FdatasyncP50), Seconds(b.FdatasyncP99))
	how := "direct I/O"
	if !b.Direct {
		how = "buffered I/O: no direct I/O on this file system"
	}
	noise := ""
	if b.Noisy {
		noise = "; the machine was busy: take these as a lower bound"
	}
	if l := b.Lasting; l != nil {
		from, to := probe.Ends(l.IOPS)
		seqFrom, seqTo := probe.Ends(l.SeqReadRate)
		fmt.Fprintf(w, "under %s of load: random reads at depth %d from %.0f to %.0f IOPS, sequential read from %s/s to %s/s\n", Seconds(l.Seconds), l.Depth, from, to, Size(int64(seqFrom)), Size(int64(seqTo)))
	}
	_, err := fmt.Fprintf(w, "measured with a file of %s in %s, %s, %s; rounds differ by up to %s%s\n", Size(b.FileBytes), Seconds(b.ElapsedSeconds), b.Method, how, Percent(b.Spread), noise)
	return err
}

func serverTable(s probe.Server) *Table {
	t := factTable("server")
	if s.Version == "" {
		return t
	}
	t.plain("version", "PostgreSQL "+s.Version, "server_version")
	addFact(t, "service", s.Service, str)
	addFact(t, "pooler in between", s.Pooler, str)
	t.plain("database", s.Database, "current_database()")
	addFact(t, "database size", s.DatabaseBytes, Size)
	addFact(t, "size of all databases", s.ClusterBytes, Size)
	addFact(t, "data directory", s.DataDirectory, str)
	addFact(t, "configuration file", s.ConfigFile, str)
	t.plain("role", s.User+map[bool]string{true: ", superuser", false: ""}[s.Superuser], "current_user")
	t.plain("up since", moment(s.StartTime), "pg_postmaster_start_time()")
	t.plain("statistics since", moment(s.StatsReset), "pg_stat_database")
	t.plain("in recovery", yesNo(s.InRecovery), "pg_is_in_recovery()")
	addFact(t, "standbys", s.Standbys, strconv.Itoa)
	for _, r := range s.Replicas {
		t.plain("  "+r.Application, fmt.Sprintf("%s, %s, replay lag %s", r.State, r.SyncState, Seconds(r.LagSeconds)), "pg_stat_replication")
	}
	addFact(t, "replication slots", s.Slots, strconv.Itoa)
	addFact(t, "prepared transactions", s.PreparedXacts, strconv.Itoa)
	t.plain("connections in use", strconv.Itoa(s.InUse), "pg_stat_activity")
	addFact(t, "sessions at work, mean", s.ActiveSessions, figures)
	addFact(t, "statements counted", s.StatementCalls, decimal)
	t.plain("extensions", strings.Join(s.Extensions, ", "), "pg_extension")
	t.plain("extensions available", strconv.Itoa(len(s.Available)), "pg_available_extensions")
	addFact(t, "JIT", s.JITAvailable, yesNo)
	t.plain("settings", strconv.Itoa(len(s.Settings)), "pg_settings")
	for _, name := range append([]string{"max_connections", "shared_buffers", "work_mem", "effective_cache_size", "max_wal_size"}, pending(s)...) {
		if set, ok := s.Settings[name]; ok {
			t.plain(name, set.Show(set.Value), settingFrom(set.Source, set.SourceFile, set.SourceLine, set.PendingRestart))
		}
	}
	for _, e := range s.FileErrors {
		t.Add("file error", nonEmpty(e.Name, "a line")[0]+": "+e.Error, string(probe.Implausible), fmt.Sprintf("%s:%d", e.File, e.Line))
	}
	addFact(t, "huge pages it would take", s.HugePagesNeeded, decimal)
	if s.RTTSeconds > 0 {
		t.plain("round trip", Seconds(s.RTTSeconds), "median of SELECT 1")
	}
	return t
}

// moment writes a time, "" when there is none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02 15:04:05 MST")
}

// pending are the settings that wait for a restart.
func pending(s probe.Server) []string {
	var out []string
	for _, name := range s.Settings.Names() {
		if s.Settings[name].PendingRestart && !slices.Contains([]string{"max_connections", "shared_buffers", "work_mem", "effective_cache_size", "max_wal_size"}, name) {
			out = append(out, name)
		}
	}
	return out
}

func settingFrom(source, file string, line int, restart bool) string {
	if file != "" {
		source = fmt.Sprintf("%s:%d", file, line)
	}
	if restart {
		source += ", another value waits for a restart"
	}
	return source
}

func sessionTable(s probe.Server) *Table {
	t := &Table{Header: []string{"sessions of ", "state ", "count"}}
	for _, c := range s.Connections {
		t.Add(nonEmpty(c.Application, "(no name)")[0], nonEmpty(c.State, "not visible")[0], strconv.Itoa(c.Count))
	}
	return t
}

// few is how many of the largest and the slowest the page shows; JSON has more.
const few = 5

func largestTable(s probe.Server) *Table {
	t := &Table{Header: []string{"largest tables ", "size", "rows", "dead"}}
	for _, x := range s.Tables[:min(few, len(s.Tables))] {
		t.Add(x.Name, Size(x.Bytes), decimal(x.Rows), decimal(x.Dead))
	}
	return t
}

func statementTable(s probe.Server) *Table {
	t := &Table{Header: []string{"statements by time ", "calls", "total s", "mean ms"}}
	for _, x := range s.Statements[:min(few, len(s.Statements))] {
		text := []rune(nonEmpty(x.Text, "queryid "+x.ID)[0])
		if len(text) > 60 {
			text = append(text[:57], []rune("...")...)
		}
		t.Add(string(text), decimal(x.Calls), figures(x.TotalSeconds), Millis(x.MeanSeconds))
	}
	return t
}

func unseenTable(s probe.Server) *Table {
	t := &Table{Header: []string{"not visible to this role ", "what would show it "}}
	for _, u := range s.Unseen {
		t.Add(u.What, u.Grant)
	}
	return t
}

func warnings(w io.Writer, all []probe.Warning) error {
	if len(all) == 0 {
		return nil
	}
	var b strings.Builder
	for _, x := range all {
		fmt.Fprintf(&b, "note: %s\n", x.Text)
		if x.Hint != "" {
			fmt.Fprintf(&b, "      %s\n", x.Hint)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// addFact adds a row, with words where there is no value. Facts that nobody looked for are left out.
func addFact[T any](t *Table, name string, f probe.Fact[T], show func(T) string) {
	value := ""
	switch f.State {
	case probe.Known, probe.Given:
		value = show(f.Value)
	case probe.Unlimited:
		value = "no limit"
	case probe.Absent:
		value = "none"
	case probe.Denied:
		value = "may not be read"
	case probe.Implausible:
		value = "makes no sense"
	default:
		return
	}
	if f.Note != "" {
		value += " (" + f.Note + ")"
	}
	t.Add(name, value, string(f.State), f.Source)
}

func fields(s string) string { return strings.Join(strings.Fields(s), " ") }

// once leaves out words that came before: the mount and the file system both say rw.
func once(words []string) []string {
	var out []string
	for _, w := range words {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

func str(s string) string    { return s }
func decimal(v int64) string { return strconv.FormatInt(v, 10) }
func yesNo(b bool) string    { return map[bool]string{true: "yes", false: "no"}[b] }
func nonEmpty(words ...string) []string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}
