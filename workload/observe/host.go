package observe

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"pgfit/workload/rundoc"
)

// hostReader reads a host's counters below a root directory, "/" in real life.
type hostReader struct {
	proc   string
	device string // name in /proc/diskstats, "" when unknown
}

// hostCounters are /proc/stat's first line in ticks, /proc/diskstats' row of the device, and MemAvailable.
type hostCounters struct {
	cpu    [8]float64 // user nice system idle iowait irq softirq steal
	disk   [14]float64
	disks  bool
	memory int64
}

// read returns false where there is no such /proc.
func (h hostReader) read() (c hostCounters, ok bool) {
	text, err := os.ReadFile(filepath.Join(h.proc, "stat"))
	if err != nil {
		return c, false
	}
	first, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(first)
	if len(fields) < 9 || fields[0] != "cpu" {
		return c, false
	}
	for i := range c.cpu {
		c.cpu[i], _ = strconv.ParseFloat(fields[i+1], 64)
	}
	h.readDisk(&c)
	h.readMemory(&c)
	return c, true
}

func (h hostReader) readDisk(c *hostCounters) {
	text, err := os.ReadFile(filepath.Join(h.proc, "diskstats"))
	if err != nil || h.device == "" {
		return
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 14 || f[2] != h.device {
			continue
		}
		for i := 3; i < min(len(f), 17); i++ {
			c.disk[i-3], _ = strconv.ParseFloat(f[i], 64)
		}
		c.disks = true
	}
}

func (h hostReader) readMemory(c *hostCounters) {
	text, _ := os.ReadFile(filepath.Join(h.proc, "meminfo"))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			c.memory = kb << 10
		}
	}
}

// use is what the host did between two readings that lie seconds apart. Fields of /proc/diskstats as in the kernel's
// Documentation/admin-guide/iostats.rst: 0 reads, 2 sectors read, 4 writes, 6 sectors written, 10 weighted time in queue (ms).
func use(a, b hostCounters, seconds float64) *rundoc.HostUse {
	var d [8]float64
	total := 0.0
	for i := range d {
		d[i] = max(0, b.cpu[i]-a.cpu[i])
		total += d[i]
	}
	if total == 0 || seconds <= 0 {
		return nil
	}
	u := &rundoc.HostUse{
		User: (d[0] + d[1]) / total, System: (d[2] + d[5] + d[6]) / total, IOWait: d[4] / total, Steal: d[7] / total, Foreign: -1,
		MemAvailable: b.memory,
	}
	if a.disks && b.disks {
		u.DiskReads, u.DiskReadBytes = b.disk[0]-a.disk[0], (b.disk[2]-a.disk[2])*512
		u.DiskWrites, u.DiskWriteByte = b.disk[4]-a.disk[4], (b.disk[6]-a.disk[6])*512
		u.QueueDepth = (b.disk[10] - a.disk[10]) / 1000 / seconds
	}
	return u
}
