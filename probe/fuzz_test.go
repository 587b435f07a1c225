package probe

import "testing"

// FuzzMachine: no text in /proc and /sys makes the probe panic, loop, or find a budget of nothing or beyond the machine's.
func FuzzMachine(f *testing.F) {
	f.Add("MemTotal: 8 kB\n", "0::/a\n", "1 0 0:9 / /cg rw - cgroup2 c rw\n", "max", "0-3,8")
	f.Add("MemTotal: 8388608 kB\n", "4:memory:/a:b\n", "1 0 0:9 /a /cg rw shared:1 - cgroup c rw,memory\n2 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "9223372036854771712", "0")
	f.Add("", "0::/../x\n", "1 0 0:9 / / rw - overlay o rw,upperdir=/up\n", "-1", "0-")
	f.Fuzz(func(t *testing.T, meminfo, cgroup, mountinfo, limit, cpus string) {
		files := mapFiles{"/proc/meminfo": meminfo, "/proc/7/cgroup": cgroup, "/proc/7/mountinfo": mountinfo, "/proc/7/status": "Cpus_allowed_list:\t" + cpus,
			"/sys/devices/system/cpu/online": cpus, "/sys/devices/system/node/online": cpus, "/cg/memory.max": limit, "/cg/a/memory.max": limit, "/cg/memory.limit_in_bytes": limit,
			"/cg/memory.stat": "hierarchical_memory_limit " + limit, "/cg/cpu.max": limit, "/sys/dev/block/8:1/uevent": "DEVNAME=sda1\n",
			"/sys/class/block/sda1/slaves/sda1": "", "/sys/kernel/mm/transparent_hugepage/enabled": limit}
		e := Env{Files: files, Self: "7"}
		h := e.readHost("7")
		if budget, ok := h.Memory.Budget.Get(); ok && (budget <= 0 || h.Memory.Total.OK() && budget > h.Memory.Total.Value) {
			t.Errorf("budget %d of %+v", budget, h.Memory.Total)
		}
		if n, ok := h.CPU.Effective.Get(); ok && n <= 0 {
			t.Errorf("%g CPUs", n)
		}
		for _, s := range e.readStorage([]place{{"data_directory", "/data"}}, "7", "") {
			if s.Class == "" || s.Class == UnknownClass && len(s.Evidence) == 0 {
				t.Errorf("storage without a word of why: %+v", s)
			}
		}
	})
}

// FuzzCPUList: a list that is read names at least one CPU, and what is not a list is none.
func FuzzCPUList(f *testing.F) {
	for _, s := range []string{"0-3,8", "0", "", "3-1", "0-99999999", "a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		set, ok := cpuList(s)
		if ok != (len(set) > 0) {
			t.Errorf("cpuList(%q) = %v, %v", s, set, ok)
		}
	})
}
