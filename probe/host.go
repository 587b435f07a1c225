package probe

import (
	"path"
	"runtime"
	"sort"
	"strconv"
	"strings"
)

// readHost reads the machine as process pid is allowed to use it. Where there is no /proc, gopsutil's totals have to do.
func (e Env) readHost(pid string) Host {
	info, state := e.meminfo()
	if state == Absent {
		return portableHost(Host{OS: runtime.GOOS, Arch: runtime.GOARCH})
	}
	h := Host{OS: "linux", Arch: runtime.GOARCH}
	h.Kernel, _ = e.text("/proc/sys/kernel/osrelease")
	h.Memory = e.memory(pid, info)
	if pid != e.Self { // of pgfit's own process nothing is asked
		h.Memory.Server = e.held(pid)
	}
	h.CPU = e.cpu(pid)
	h.Hypervisor, h.Container, h.Cloud, h.InstanceType = e.hypervisor(), e.container(pid), e.cloud(), e.instanceType()
	e.numa(&h)
	e.hugePages(&h, pid, info)
	e.kernel(&h, pid, info)
	return h
}

// readings are the lines of /proc/meminfo in bytes; counts, which have no unit, as they are. They are nil where the file may
// not be read.
type readings map[string]int64

func (e Env) meminfo() (readings, State) {
	s, state := e.text("/proc/meminfo")
	if state != Known {
		return nil, state
	}
	return parseMeminfo(s), state
}

func parseMeminfo(s string) readings {
	out := readings{}
	for line := range strings.Lines(s) {
		name, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if !ok || len(fields) == 0 {
			continue
		}
		v, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil || v < 0 || v > 1<<53 {
			continue
		}
		if len(fields) > 1 && fields[1] == "kB" {
			v <<= 10
		}
		out[strings.TrimSpace(name)] = v
	}
	return out
}

func (r readings) fact(name string) Fact[int64] {
	if v, ok := r[name]; ok {
		return Is(v, "/proc/meminfo")
	}
	if r == nil {
		return Fact[int64]{State: Denied, Source: "/proc/meminfo"}
	}
	return Fact[int64]{State: Absent, Source: "/proc/meminfo"}
}

// kernel reads the settings of the kernel that matter to a database (PostgreSQL manual, Managing Kernel Resources).
func (e Env) kernel(h *Host, pid string, info readings) {
	h.THP = e.bracketed("/sys/kernel/mm/transparent_hugepage/enabled")
	h.THPShmem = e.bracketed("/sys/kernel/mm/transparent_hugepage/shmem_enabled")
	h.Overcommit = number[int](e, "/proc/sys/vm/overcommit_memory")
	h.OvercommitRatio = number[int](e, "/proc/sys/vm/overcommit_ratio")
	h.Swappiness = number[int](e, "/proc/sys/vm/swappiness")
	h.DirtyBytes = e.dirty("dirty", info.fact("MemAvailable"))
	h.DirtyBgBytes = e.dirty("dirty_background", info.fact("MemAvailable"))
	h.SHMMax = e.shmmax()
	h.Semaphores = e.textFact("/proc/sys/kernel/sem")
	h.AIOMax = number[int64](e, "/proc/sys/fs/aio-max-nr")
	h.IOUringDisabled = number[int](e, "/proc/sys/kernel/io_uring_disabled")
	if s, state := e.field(procFile(pid, "status"), "Seccomp"); state == Known && s != "0" {
		h.Seccomp = Is(true, procFile(pid, "status"))
	} else {
		h.Seccomp = Fact[bool]{State: state, Source: procFile(pid, "status")}
	}
	h.OpenFiles = e.ulimit(pid, "Max open files")
	h.LockedMemory = e.ulimit(pid, "Max locked memory")
}

// shmmax is the largest System V segment. The kernel's default, ULONG_MAX less 16 MB, is no limit.
func (e Env) shmmax() Fact[int64] {
	const name = "/proc/sys/kernel/shmmax"
	s, state := e.text(name)
	if v, err := strconv.ParseUint(s, 10, 64); state == Known && err == nil && v > 1<<62 {
		return Fact[int64]{State: Unlimited, Source: name}
	}
	return number[int64](e, name)
}

// dirty is a writeback threshold in bytes: the _bytes file rules when it is not 0, else the ratio of available memory.
func (e Env) dirty(name string, available Fact[int64]) Fact[int64] {
	b := number[int64](e, "/proc/sys/vm/"+name+"_bytes")
	if b.OK() && b.Value > 0 {
		return b
	}
	r := number[int64](e, "/proc/sys/vm/"+name+"_ratio")
	switch {
	case !r.OK():
		return r
	case !available.OK():
		return Fact[int64]{State: available.State, Source: available.Source}
	case r.Value < 0 || r.Value > 100:
		return Fact[int64]{State: Implausible, Source: r.Source}
	}
	r.Note = strconv.FormatInt(r.Value, 10) + " % of available memory"
	r.Value = available.Value / 100 * r.Value
	return r
}

// ulimit is a soft limit of the process from /proc/PID/limits.
func (e Env) ulimit(pid, name string) Fact[int64] {
	from := procFile(pid, "limits")
	s, state := e.text(from)
	f := Fact[int64]{State: state, Source: from}
	if state != Known {
		return f
	}
	f.State = Absent
	for line := range strings.Lines(s) {
		rest, ok := strings.CutPrefix(line, name+" ")
		fields := strings.Fields(rest)
		if !ok || len(fields) < 2 {
			continue
		}
		if fields[0] == "unlimited" {
			f.State = Unlimited
			return f
		}
		v, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			f.State = Implausible
			return f
		}
		f.Value, f.State = v, Known
	}
	return f
}

// numa reads the nodes and their memory, and what the kernel does across them.
func (e Env) numa(h *Host) {
	const dir = "/sys/devices/system/node"
	nodes := e.listFact(dir + "/online")
	h.NUMANodes = Fact[int]{Value: len(nodes.Value), State: nodes.State, Source: nodes.Source}
	if !nodes.OK() || len(nodes.Value) < 2 {
		return
	}
	h.ZoneReclaim = number[int](e, "/proc/sys/vm/zone_reclaim_mode")
	h.NUMABalancing = number[int](e, "/proc/sys/kernel/numa_balancing")
	for _, n := range sortedInts(nodes.Value) {
		s, _ := e.text(path.Join(dir, "node"+strconv.Itoa(n), "meminfo"))
		for line := range strings.Lines(s) { // Node 0 MemTotal:  16384 kB
			fields := strings.Fields(line)
			if len(fields) == 5 && fields[2] == "MemTotal:" {
				v, _ := strconv.ParseInt(fields[3], 10, 64)
				h.NUMANodeBytes = append(h.NUMANodeBytes, v<<10)
			}
		}
	}
}

// hugePages reads what is reserved and the group's own limit: huge pages do not count as memory there.
func (e Env) hugePages(h *Host, pid string, info readings) {
	h.HugePageBytes, h.HugePagesTotal = info.fact("Hugepagesize"), info.fact("HugePages_Total")
	h.HugePagesFree, h.HugePagesRsvd = info.fact("HugePages_Free"), info.fact("HugePages_Rsvd")
	g, ok := e.controller(pid, "hugetlb")
	page, known := h.HugePageBytes.Get()
	if !ok || !known || page < 1<<10 {
		h.HugeTLBLimit = Fact[int64]{State: Absent, Source: "no hugetlb cgroup"}
		return
	}
	size := strconv.FormatInt(page>>10, 10) + "KB"
	switch {
	case page >= 1<<30:
		size = strconv.FormatInt(page>>30, 10) + "GB"
	case page >= 1<<20:
		size = strconv.FormatInt(page>>20, 10) + "MB"
	}
	file := "hugetlb." + size + ".limit_in_bytes"
	if g.v2 {
		file = "hugetlb." + size + ".max"
	}
	h.HugeTLBLimit = g.limit(file, 1<<53, true)
}

func sortedInts(set map[int]bool) []int {
	out := make([]int, 0, len(set))
	for n := range set {
		out = append(out, n)
	}
	sort.Ints(out)
	return out
}
