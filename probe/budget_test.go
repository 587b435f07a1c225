package probe

import (
	"fmt"
	"math/rand/v2"
	"path"
	"strconv"
	"testing"
)

// TestBudgetNeverExceedsALimit: whatever a tree of groups looks like, the memory budget is at most the machine's memory and
// every limit on the way up, and the CPUs are at most those online and every quota.
func TestBudgetNeverExceedsALimit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		v2 := i%2 == 0
		files, smallest, quota := randomTree(r, v2)
		h := (Env{Files: files, Self: "7"}).readHost("7")
		budget, ok := h.Memory.Budget.Get()
		if !ok || budget > smallest || budget <= 0 {
			t.Errorf("tree %d: budget %d (%v), the smallest limit is %d\n%v", i, budget, h.Memory.Budget.State, smallest, files)
		}
		if cpus, ok := h.CPU.Effective.Get(); !ok || cpus > quota+1e-9 || cpus <= 0 {
			t.Errorf("tree %d: %g CPUs (%v), the smallest quota is %g\n%v", i, cpus, h.CPU.Effective.State, quota, files)
		}
	}
}

// randomTree makes a machine whose process 7 lies some groups deep, with limits, none, sentinels and rubbish at random.
func randomTree(r *rand.Rand, v2 bool) (files mapFiles, smallest int64, quota float64) {
	total := int64(1+r.IntN(256)) << 30
	cpus := 1 + r.IntN(64)
	smallest, quota = total, float64(cpus)
	group := ""
	for range r.IntN(6) {
		group += "/" + []string{"a", "b:c", "d.slice"}[r.IntN(3)]
	}
	files = mapFiles{"/proc/meminfo": fmt.Sprintf("MemTotal: %d kB\n", total>>10), "/sys/devices/system/cpu/online": fmt.Sprintf("0-%d", cpus-1)}
	limit := func(name, none string) {
		switch r.IntN(5) {
		case 0:
			files[name] = none
		case 1:
			files[name] = []string{"", "x", "-7", "0"}[r.IntN(4)]
		case 2, 3:
			v := 1 + r.Int64N(2*total)
			files[name] = strconv.FormatInt(v, 10)
			smallest = min(smallest, v)
		}
	}
	for dir := path.Clean("/" + group); ; dir = path.Dir(dir) {
		q, share := 1000*(1+r.IntN(100*cpus)), r.IntN(2) == 0
		if v2 {
			limit(path.Join("/cg", dir, "memory.max"), "max")
			limit(path.Join("/cg", dir, "memory.high"), "max")
			if share {
				files[path.Join("/cg", dir, "cpu.max")] = fmt.Sprintf("%d 100000", q)
			}
		} else {
			limit(path.Join("/mem", dir, "memory.limit_in_bytes"), "9223372036854771712")
			if share {
				files[path.Join("/cpu", dir, "cpu.cfs_quota_us")], files[path.Join("/cpu", dir, "cpu.cfs_period_us")] = strconv.Itoa(q), "100000"
			}
		}
		if share {
			quota = min(quota, float64(q)/100000)
		}
		if dir == "/" {
			break
		}
	}
	files["/proc/7/cgroup"] = "0::" + path.Clean("/"+group)
	files["/proc/7/mountinfo"] = "1 0 0:9 / /cg rw - cgroup2 cgroup rw\n"
	if !v2 {
		files["/proc/7/cgroup"] = fmt.Sprintf("3:memory:%[1]s\n2:cpu:%[1]s\n0::/\n", path.Clean("/"+group))
		files["/proc/7/mountinfo"] = "1 0 0:9 / /mem rw - cgroup cgroup rw,memory\n2 0 0:8 / /cpu rw - cgroup cgroup rw,cpu\n"
	}
	return files, smallest, quota
}
