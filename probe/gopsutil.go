package probe

import (
	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/host"
	"github.com/shirou/gopsutil/v3/mem"
)

// portableHost reads totals where there is no /proc. gopsutil reads the machine, not a container's limits; this file is
// the only one that knows it.
func portableHost(h Host) Host {
	const from = "gopsutil"
	if v, err := mem.VirtualMemory(); err == nil {
		h.Memory.Total, h.Memory.Available = Is(int64(v.Total), from), Is(int64(v.Available), from)
		h.Memory.Budget = h.Memory.Total
	}
	if n, err := cpu.Counts(true); err == nil {
		h.CPU.Online, h.CPU.Effective = Is(n, from), Is(float64(n), from)
	}
	if n, err := cpu.Counts(false); err == nil {
		h.CPU.Cores = Is(n, from)
	}
	if k, err := host.KernelVersion(); err == nil {
		h.Kernel = k
	}
	return h
}

// Usage is the size and the free space, for an ordinary user, of the file system of a path.
func Usage(path string) (total, free Fact[int64]) {
	u, err := disk.Usage(path)
	if err != nil {
		return Fact[int64]{State: Denied, Source: "statfs " + path}, Fact[int64]{State: Denied, Source: "statfs " + path}
	}
	return Is(int64(u.Total), "statfs"), Is(int64(u.Free), "statfs")
}
