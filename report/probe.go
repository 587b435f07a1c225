package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"pgfit/probe"
)

// Probe writes the page of facts: what, value, where from; and the warnings with what to do.
func Probe(w io.Writer, f probe.Facts, markdown bool) error {
	host := Table{Header: []string{"host ", "value ", "from "}}
	h := f.Host
	host.Add("system", strings.Join(nonEmpty(h.OS+"/"+h.Arch, h.Kernel), ", "), "")
	addFact(&host, "hypervisor", h.Hypervisor, str)
	addFact(&host, "container", h.Container, str)
	addFact(&host, "cloud", h.Cloud, str)
	addFact(&host, "server on this host", f.SameHost, yesNo)
	addFact(&host, "memory the server may use", h.Memory.Budget, Size)
	addFact(&host, "memory of the machine", h.Memory.Total, Size)
	addFact(&host, "memory available now", h.Memory.Available, Size)
	addFact(&host, "cgroup memory limit", h.Memory.CgroupMax, Size)
	addFact(&host, "cgroup memory.high", h.Memory.CgroupHigh, Size)
	addFact(&host, "swap", h.Memory.SwapTotal, Size)
	addFact(&host, "CPUs the server may use", h.CPU.Effective, figures)
	addFact(&host, "CPUs online", h.CPU.Online, strconv.Itoa)
	addFact(&host, "CPUs allowed", h.CPU.Allowed, strconv.Itoa)
	addFact(&host, "CPU quota", h.CPU.Quota, figures)
	addFact(&host, "NUMA nodes", h.NUMANodes, strconv.Itoa)
	addFact(&host, "huge pages reserved", h.HugePagesTotal, decimal)
	addFact(&host, "transparent huge pages", h.THP, str)
	addFact(&host, "overcommit_memory", h.Overcommit, strconv.Itoa)
	if err := host.Render(w, markdown); err != nil {
		return err
	}
	if err := storageTable(w, f, markdown); err != nil {
		return err
	}
	if err := serverTable(w, f.Server, markdown); err != nil {
		return err
	}
	return warnings(w, f.Warnings)
}

func storageTable(w io.Writer, f probe.Facts, markdown bool) error {
	for _, s := range f.Storage {
		fmt.Fprintln(w)
		t := Table{Header: []string{s.Role + " ", "value ", "from "}}
		t.Add("path", s.Path, "")
		t.Add("file system", strings.Join(nonEmpty(s.FSType, s.MountPoint), " on "), "mountinfo")
		t.Add("device", strings.Join(append([]string{s.Device}, s.Layers...), " > "), "mountinfo, /sys")
		for _, d := range s.Leaves {
			t.Add("disk", strings.Join(nonEmpty(d.Name, d.Model, d.Scheduler), ", "), "/sys/block")
		}
		t.Add("class", string(s.Class), strings.Join(s.Evidence, "; "))
		addFact(&t, "size", s.Total, Size)
		addFact(&t, "free", s.Free, Size)
		if err := t.Render(w, markdown); err != nil {
			return err
		}
		if s.Bench != nil {
			if err := benchTable(w, *s.Bench, markdown); err != nil {
				return err
			}
		}
	}
	return nil
}

func benchTable(w io.Writer, b probe.DiskBench, markdown bool) error {
	fmt.Fprintln(w)
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
	fmt.Fprintf(w, "sequential read %s/s, through the cache %s; sequential write %s/s\nfdatasync of 8 kB mean %s, p50 %s, p99 %s\n",
		Size(int64(b.SeqReadRate)), buffered, Size(int64(b.SeqWriteRate)), Seconds(b.FdatasyncMean), Seconds(b.FdatasyncP50), Seconds(b.FdatasyncP99))
	how := "direct I/O"
	if !b.Direct {
		how = "buffered I/O: no direct I/O on this file system"
	}
	noise := ""
	if b.Noisy {
		noise = "; the machine was busy: take these as a lower bound"
	}
	_, err := fmt.Fprintf(w, "measured with a file of %s in %s, %s, %s; rounds differ by up to %s%s\n", Size(b.FileBytes), Seconds(b.ElapsedSeconds), b.Method, how, Percent(b.Spread), noise)
	return err
}

func serverTable(w io.Writer, s probe.Server, markdown bool) error {
	if s.Version == "" {
		return nil
	}
	fmt.Fprintln(w)
	t := Table{Header: []string{"server ", "value ", "from "}}
	t.Add("version", "PostgreSQL "+s.Version, "server_version")
	addFact(&t, "service", s.Service, str)
	addFact(&t, "pooler in between", s.Pooler, str)
	t.Add("database", s.Database, "current_database()")
	addFact(&t, "database size", s.DatabaseBytes, Size)
	addFact(&t, "data directory", s.DataDirectory, str)
	addFact(&t, "configuration file", s.ConfigFile, str)
	t.Add("role", s.User+map[bool]string{true: ", superuser", false: ""}[s.Superuser], "current_user")
	t.Add("in recovery", yesNo(s.InRecovery), "pg_is_in_recovery()")
	t.Add("connections in use", strconv.Itoa(s.InUse), "pg_stat_activity")
	t.Add("settings", strconv.Itoa(len(s.Settings)), "pg_settings")
	for _, name := range []string{"max_connections", "shared_buffers", "work_mem", "effective_cache_size", "max_wal_size"} {
		if set, ok := s.Settings[name]; ok {
			from := set.Source
			if set.SourceFile != "" {
				from = fmt.Sprintf("%s:%d", set.SourceFile, set.SourceLine)
			}
			t.Add(name, set.Show(set.Value), from)
		}
	}
	if s.RTTSeconds > 0 {
		t.Add("round trip", Seconds(s.RTTSeconds), "median of SELECT 1")
	}
	return t.Render(w, markdown)
}

func warnings(w io.Writer, all []probe.Warning) error {
	if len(all) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteByte('\n')
	for _, x := range all {
		fmt.Fprintf(&b, "note: %s\n", x.Text)
		if x.Hint != "" {
			fmt.Fprintf(&b, "      %s\n", x.Hint)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// addFact adds a row, with the state in words where there is no value. Facts that nobody looked for are left out.
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
		value = "implausible"
	default:
		return
	}
	if f.Note != "" {
		value += " (" + f.Note + ")"
	}
	t.Add(name, value, f.Source)
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
