package probe

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// readHost reads the machine as process pid is allowed to use it; pid is "self" where no server is known.
func (e Env) readHost(pid string) Host {
	h := Host{OS: runtime.GOOS, Arch: runtime.GOARCH}
	if runtime.GOOS != "linux" {
		return portableHost(h)
	}
	h.Kernel, _ = text(e.proc("sys/kernel/osrelease"))
	info := e.meminfo()
	h.Memory = e.memory(pid, info)
	h.CPU = e.cpu(pid)
	h.Hypervisor, h.Container, h.Cloud = e.hypervisor(), e.container(pid), e.cloud()
	h.NUMANodes = e.numa()
	if v, ok := info["Hugepagesize"]; ok {
		h.HugePageBytes = Is(v, e.proc("meminfo"))
		h.HugePagesTotal, h.HugePagesFree = Is(info["HugePages_Total"], e.proc("meminfo")), Is(info["HugePages_Free"], e.proc("meminfo"))
		h.HugeTLBLimit = e.hugeTLB(pid, v, info["MemTotal"])
	}
	h.THP = e.thp()
	h.Overcommit = intFact[int](e.proc("sys/vm/overcommit_memory"))
	h.OvercommitRatio = intFact[int](e.proc("sys/vm/overcommit_ratio"))
	h.Swappiness = intFact[int](e.proc("sys/vm/swappiness"))
	h.DirtyBytes = e.dirty("dirty", info["MemAvailable"])
	h.DirtyBgBytes = e.dirty("dirty_background", info["MemAvailable"])
	h.IOUringDisabled = intFact[int](e.proc("sys/kernel/io_uring_disabled"))
	return h
}

// memory reads totals and limits. The budget is the smallest of all of them.
func (e Env) memory(pid string, info map[string]int64) Memory {
	from := e.proc("meminfo")
	get := func(name string) Fact[int64] {
		v, ok := info[name]
		switch {
		case !ok:
			return Fact[int64]{State: Absent, Source: from}
		case v <= 0 && name == "MemTotal":
			return Fact[int64]{State: Implausible, Source: from}
		}
		return Is(v, from)
	}
	m := Memory{Total: get("MemTotal"), Available: get("MemAvailable"), SwapTotal: get("SwapTotal"), CommitMax: get("CommitLimit")}
	total := int64(math.MaxInt64)
	if v, ok := m.Total.Get(); ok {
		total = v
	}
	m.CgroupMax, m.CgroupHigh = Fact[int64]{State: Absent, Source: "no memory cgroup"}, Fact[int64]{State: Absent, Source: "no memory cgroup"}
	if g, ok := e.controller(pid, "memory"); ok {
		if g.v2 {
			m.CgroupMax, m.CgroupHigh, m.SwapMax = g.limit("memory.max", total), g.limit("memory.high", total), g.limit("memory.swap.max", math.MaxInt64)
		} else {
			m.CgroupMax = g.limit("memory.limit_in_bytes", total)
			if v, from, ok := g.hierarchical(total); ok && (!m.CgroupMax.OK() || v < m.CgroupMax.Value) {
				m.CgroupMax = Is(v, from)
			}
		}
	}
	m.Budget = m.Total
	for _, limit := range []Fact[int64]{m.CgroupMax, m.CgroupHigh} {
		if v, ok := limit.Get(); ok && (!m.Budget.OK() || v < m.Budget.Value) {
			m.Budget = limit
		}
	}
	if m.CgroupMax.State == Denied && m.Budget.OK() {
		m.Budget.Note = "a container limit may exist that cannot be seen from here"
	}
	return m
}

// cpu reads what the process may use: affinity and cpuset, and the quota as a fraction.
func (e Env) cpu(pid string) CPU {
	var c CPU
	if s, state := text(e.sys("devices/system/cpu/online")); state == Known {
		if set, ok := cpuList(s); ok {
			c.Online = Is(len(set), e.sys("devices/system/cpu/online"))
		} else {
			c.Online = Fact[int]{State: Implausible, Source: e.sys("devices/system/cpu/online")}
		}
	} else {
		c.Online = Fact[int]{State: state}
	}
	status, state := text(e.proc(pid, "status"))
	c.Allowed = Fact[int]{State: state, Source: e.proc(pid, "status")}
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			if set, ok := cpuList(strings.TrimSpace(rest)); ok {
				c.Allowed = Is(len(set), e.proc(pid, "status"))
				c.Cores = e.cores(set)
			}
		}
	}
	c.Model = e.cpuModel()
	c.Quota = Fact[float64]{State: Absent, Source: "no cpu cgroup"}
	if g, ok := e.controller(pid, "cpu"); ok {
		c.Quota = g.quota()
	}
	n, ok := c.Allowed.Get()
	if !ok {
		n, ok = c.Online.Get()
	}
	if !ok || n < 1 {
		c.Effective = Fact[float64]{State: Absent}
		return c
	}
	c.Effective = Is(float64(n), "allowed CPUs")
	if q, ok := c.Quota.Get(); ok && q < c.Effective.Value {
		c.Effective = c.Quota
	}
	return c
}

func (e Env) cpuModel() string {
	s, _ := text(e.proc("cpuinfo"))
	for line := range strings.Lines(s) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// cores counts distinct (package, core) pairs among the allowed CPUs. In a guest it is a hint only.
func (e Env) cores(allowed map[int]bool) Fact[int] {
	seen := map[string]bool{}
	for n := range allowed {
		dir := e.sys("devices/system/cpu", fmt.Sprintf("cpu%d", n), "topology")
		pkg, s1 := text(filepath.Join(dir, "physical_package_id"))
		core, s2 := text(filepath.Join(dir, "core_id"))
		if s1 == Known && s2 == Known {
			seen[pkg+":"+core] = true
		}
	}
	if len(seen) == 0 {
		return Fact[int]{State: Absent}
	}
	return Is(len(seen), e.sys("devices/system/cpu"))
}

func (e Env) hypervisor() Fact[string] {
	if s, state := text(e.sys("hypervisor/type")); state == Known && s != "" {
		return Is(s, e.sys("hypervisor/type"))
	}
	vendor, _ := text(e.sys("class/dmi/id/sys_vendor"))
	for match, name := range map[string]string{"QEMU": "kvm", "VMware": "vmware", "Microsoft": "hyper-v", "innotek": "virtualbox", "Amazon EC2": "kvm", "Google": "kvm", "Xen": "xen"} {
		if strings.Contains(vendor, match) {
			return Is(name, e.sys("class/dmi/id/sys_vendor"))
		}
	}
	info, state := text(e.proc("cpuinfo"))
	if state != Known {
		return Fact[string]{State: state}
	}
	for line := range strings.Lines(info) {
		if name, flags, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "flags" {
			if strings.Contains(flags+" ", " hypervisor ") {
				return Is("some hypervisor", e.proc("cpuinfo"))
			}
			break
		}
	}
	return Fact[string]{State: Absent, Source: e.proc("cpuinfo")}
}

func (e Env) container(pid string) Fact[string] {
	groups, state := text(e.proc(pid, "cgroup"))
	if state != Known {
		return Fact[string]{State: state}
	}
	for _, c := range [][2]string{{"kubepods", "kubernetes"}, {"/docker", "docker"}, {"libpod", "podman"}, {"/lxc", "lxc"}, {"containerd", "containerd"}} {
		if strings.Contains(groups, c[0]) {
			return Is(c[1], e.proc(pid, "cgroup"))
		}
	}
	return Fact[string]{State: Absent, Source: e.proc(pid, "cgroup")}
}

func (e Env) cloud() Fact[string] {
	dir := e.sys("class/dmi/id")
	if _, err := os.Stat(dir); err != nil {
		return Fact[string]{State: Absent, Source: dir}
	}
	vendor, _ := text(filepath.Join(dir, "sys_vendor"))
	bios, _ := text(filepath.Join(dir, "bios_vendor"))
	tag, _ := text(filepath.Join(dir, "chassis_asset_tag"))
	switch {
	case strings.Contains(vendor, "Amazon"):
		return Is("aws", dir)
	case strings.Contains(bios, "Google") || strings.Contains(vendor, "Google"):
		return Is("gcp", dir)
	case tag == "7783-7084-3265-9085-8269-3286-77":
		return Is("azure", dir)
	}
	return Fact[string]{State: Absent, Source: dir}
}

func (e Env) numa() Fact[int] {
	p := e.sys("devices/system/node/online")
	s, state := text(p)
	if state != Known {
		return Fact[int]{State: state, Source: p}
	}
	set, ok := cpuList(s)
	if !ok {
		return Fact[int]{State: Implausible, Source: p}
	}
	return Is(len(set), p)
}

// thp is the value in brackets: always [madvise] never.
func (e Env) thp() Fact[string] {
	f := textFact(e.sys("kernel/mm/transparent_hugepage/enabled"))
	if f.State != Known {
		return f
	}
	_, rest, ok := strings.Cut(f.Value, "[")
	value, _, closed := strings.Cut(rest, "]")
	if !ok || !closed {
		f.State = Implausible
		return f
	}
	f.Value = value
	return f
}

// hugeTLB is the cgroup's own limit for huge pages of the default size: they do not count as memory.
func (e Env) hugeTLB(pid string, page, total int64) Fact[int64] {
	g, ok := e.controller(pid, "hugetlb")
	if !ok {
		return Fact[int64]{State: Absent, Source: "no hugetlb cgroup"}
	}
	size := strconv.FormatInt(page>>20, 10) + "MB"
	if page >= 1<<30 {
		size = strconv.FormatInt(page>>30, 10) + "GB"
	}
	file := "hugetlb." + size + ".limit_in_bytes"
	if g.v2 {
		file = "hugetlb." + size + ".max"
	}
	for _, dir := range g.dirs { // 0 is a limit here: smallest() would pass it over
		if s, state := text(filepath.Join(dir, file)); state == Known && s == "0" {
			return Is(int64(0), filepath.Join(dir, file))
		}
	}
	return g.limit(file, total)
}

// dirty is a writeback threshold in bytes: the _bytes file rules when it is not 0, else the ratio of available memory.
func (e Env) dirty(name string, available int64) Fact[int64] {
	b := intFact[int64](e.proc("sys/vm", name+"_bytes"))
	if b.OK() && b.Value > 0 {
		return b
	}
	r := intFact[int64](e.proc("sys/vm", name+"_ratio"))
	if !r.OK() || available <= 0 {
		return Fact[int64]{State: r.State, Source: r.Source}
	}
	return Is(available/100*r.Value, r.Source)
}
