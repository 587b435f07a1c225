package probe

import (
	"fmt"
	"path"
	"strings"
)

// cpu reads what the process may use: what is online, allowed by affinity and by cpuset, and the quota as a fraction.
func (e Env) cpu(pid string) CPU {
	c := CPU{Model: e.cpuModel()}
	online := e.listFact("/sys/devices/system/cpu/online")
	allowed := e.affinity(pid)
	cpuset := Fact[map[int]bool]{State: Absent, Source: "no cpuset cgroup"}
	if g, ok := e.controller(pid, "cpuset"); ok {
		cpuset = g.cpuset()
	}
	c.Online, c.Affinity, c.CPUSet = count(online), count(allowed), count(cpuset)
	c.Allowed = Fact[int]{State: allowed.State, Source: allowed.Source}
	if set, from := intersect(online, allowed, cpuset); len(set) > 0 {
		c.Allowed, c.Cores = Is(len(set), from), e.cores(set)
	} else if from != "" {
		c.Allowed = Fact[int]{State: Implausible, Source: from, Note: "no CPU is left"}
	}
	c.Quota = Fact[float64]{State: Absent, Source: "no cpu cgroup"}
	if g, ok := e.controller(pid, "cpu"); ok {
		c.Quota = g.quota()
	}
	c.Effective = Fact[float64]{Value: float64(c.Allowed.Value), State: c.Allowed.State, Source: c.Allowed.Source}
	if q, ok := c.Quota.Get(); ok && (!c.Effective.OK() || q < c.Effective.Value) {
		c.Effective = c.Quota
	}
	if c.Quota.State == Denied && c.Effective.OK() {
		c.Effective.Note = "a quota may exist that cannot be seen from here"
	}
	c.Governor = e.textFact("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	return c
}

// OwnCPUs is how many processors this process may use, a quota of its control group included; 0 when it cannot be told.
func OwnCPUs() float64 {
	n, _ := RealEnv().cpu("self").Effective.Get()
	return n
}

func count(f Fact[map[int]bool]) Fact[int] {
	return Fact[int]{Value: len(f.Value), State: f.State, Source: f.Source, Note: f.Note}
}

// affinity is Cpus_allowed_list of the process.
func (e Env) affinity(pid string) Fact[map[int]bool] {
	from := procFile(pid, "status")
	s, state := e.field(from, "Cpus_allowed_list")
	f := Fact[map[int]bool]{State: state, Source: from}
	if state == Known {
		var ok bool
		if f.Value, ok = cpuList(s); !ok {
			f.State = Implausible
		}
	}
	return f
}

// intersect joins the sets that are known; from names the last one that took something away, "" when none is known.
func intersect(sets ...Fact[map[int]bool]) (out map[int]bool, from string) {
	for _, f := range sets {
		if !f.OK() {
			continue
		}
		if out == nil {
			out, from = f.Value, f.Source
			continue
		}
		both := map[int]bool{}
		for n := range out {
			if f.Value[n] {
				both[n] = true
			}
		}
		if len(both) < len(out) {
			from = f.Source
		}
		out = both
	}
	return out, from
}

func (e Env) cpuModel() string {
	for _, key := range []string{"model name", "Model"} { // Model: some arm64 kernels
		if s, state := e.field("/proc/cpuinfo", key); state == Known {
			return s
		}
	}
	return ""
}

// cores counts distinct (package, core) pairs among the allowed CPUs. In a guest it is a hint only.
func (e Env) cores(allowed map[int]bool) Fact[int] {
	const dir = "/sys/devices/system/cpu"
	seen := map[string]bool{}
	for n := range allowed {
		topology := path.Join(dir, fmt.Sprintf("cpu%d", n), "topology")
		pkg, s1 := e.text(topology + "/physical_package_id")
		core, s2 := e.text(topology + "/core_id")
		if s1 == Known && s2 == Known {
			seen[pkg+":"+core] = true
		}
	}
	if len(seen) == 0 {
		return Fact[int]{State: Absent, Source: dir}
	}
	return Is(len(seen), dir)
}

// guest tells whether a hypervisor is visible in the CPU's flags.
func (e Env) guest() (bool, State) {
	flags, state := e.field("/proc/cpuinfo", "flags")
	return strings.Contains(" "+flags+" ", " hypervisor "), state
}
