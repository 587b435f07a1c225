package probe

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Bounds of latency in seconds between kinds of storage (our own measurements and the makers' figures for 8 kB random reads
// at depth 1 with direct I/O).
const (
	cacheRead    = 20e-6  // below: no medium answers so fast, there is a cache in the path
	localRead    = 150e-6 // up to: local flash
	networkRead  = 3e-3   // up to: network or SATA flash, or a loaded disk; above: a rotating one
	volatileSync = 40e-6  // below: what is called safe lies in memory
	bareDiskSync = 2e-3   // a rotating disk alone cannot be faster: it waits for the platter
	writeback    = 5.0    // seconds of writing that may wait in the kernel's cache
)

// Measured puts what was measured of one of the directories into the facts. It says what the latencies are like and lets
// the class as it is: the figures themselves are what settings are derived from.
func (f *Facts) Measured(role string, b *DiskBench) {
	for i := range f.Storage {
		s := &f.Storage[i]
		if s.Role != role || b == nil {
			continue
		}
		s.Bench = b
		if len(b.Random) > 0 {
			s.Evidence = append(s.Evidence, b.alike())
		}
		f.Warnings = slices.DeleteFunc(f.Warnings, func(w Warning) bool { return w.Code == "unknown-medium" && strings.Contains(w.Text, " "+role+" ") })
		w := warnList(f.Warnings)
		w.measured(*f, *s)
		f.Warnings = w
	}
}

// measured doubts figures that no disk alone can have, or that a short measurement cannot tell.
func (w *warnList) measured(f Facts, s Storage) {
	b := s.Bench
	if b == nil {
		return
	}
	if b.FdatasyncP50 > 0 && b.FdatasyncP50 < volatileSync {
		w.add("volatile-cache", fmt.Sprintf("fdatasync takes %s: what the disk of %s calls safe lies in a cache or in memory", micros(b.FdatasyncP50), s.Role),
			"make sure that the cache survives a power failure, or commits can be lost")
	}
	for _, d := range s.Leaves {
		if s.Class == HDD && d.Rotational.Value == 1 && b.FdatasyncP50 > 0 && b.FdatasyncP50 < bareDiskSync {
			w.add("not-a-bare-disk", fmt.Sprintf("%s says that it rotates and makes 8 kB safe in %s: there is a cache in between", d.Name, micros(b.FdatasyncP50)), "make sure that it survives a power failure")
		}
	}
	if b.CachedBelow {
		w.add("cached-below", fmt.Sprintf("the same blocks came in %s the second time and %s the first: something below the kernel caches them", micros(b.SecondP50), micros(b.FirstP50)),
			"the disk itself is slower than these figures say")
	}
	if b.Noisy {
		w.add("noisy-disk", "the machine was busy while the disk was measured", "take the figures as a lower bound, or measure again when it is quiet")
	}
	if !b.Direct {
		w.add("no-direct-io", "the file system of "+s.Role+" has no direct I/O: the figures include the kernel's cache", "")
	}
	if s.FSType == "zfs" && b.Direct && len(b.Random) > 0 {
		w.add("zfs-arc", "ZFS before 2.3 answers direct reads from its own cache (ARC), and later versions do where the property direct is disabled: the reads of "+s.Role+" may have come from memory",
			"take them as an upper bound; zfs version and zfs get direct tell which it is, zpool iostat whether the disks were read")
	}
	if limit, ok := f.Host.DirtyBgBytes.Get(); ok && b.SeqWriteRate > 0 && float64(limit) > writeback*b.SeqWriteRate {
		w.add("dirty-limit", fmt.Sprintf("the kernel collects up to %d MB of written data before it begins to write them, more than the disk of %s takes in %.0f s", limit>>20, s.Role, writeback),
			fmt.Sprintf("vm.dirty_background_bytes = %d, so that a checkpoint's fsync does not wait for all of it", int64(b.SeqWriteRate)/2>>20<<20))
	}
	w.lasting(s)
}

// changed is by how much the first and the last part of a lasting load may differ.
const changed = 0.20

// lasting says whether the disk kept its rates under a load of minutes; of a network disk that had none, that it may not.
func (w *warnList) lasting(s Storage) {
	l := s.Bench.Lasting
	if l == nil {
		if s.Class == Network {
			w.add("credits", "network disks often have a burst that a short measurement sees, and their lasting rate is lower", "measure with --disk-bench --long, and look up the volume's lasting rate")
		}
		return
	}
	steady := true
	for _, kind := range []struct {
		what  string
		parts []float64
		show  func(float64) string
	}{{"random 8 kB reads", l.IOPS, func(v float64) string { return fmt.Sprintf("%.0f a second", v) }},
		{"sequential reads", l.SeqReadRate, func(v float64) string { return fmt.Sprintf("%.0f MB/s", v/1e6) }}} {
		first, last := Ends(kind.parts)
		if first <= 0 || math.Abs(last/first-1) <= changed {
			continue
		}
		steady = false
		text := fmt.Sprintf("%s of %s went from %s to %s within %.0f s of load", kind.what, s.Role, kind.show(first), kind.show(last), l.Seconds)
		if last < first {
			w.add("not-lasting", text+": a burst ended, or others began to use the disk", "plan with the last figures; the rates above are those of the burst")
		} else {
			w.add("not-lasting", text+": a volume made from a snapshot is slow when it is first read, a cache below filled, or others let go of the disk", "measure again")
		}
	}
	if steady && s.Class == Network {
		w.add("credits", fmt.Sprintf("the disk of %s kept its rates for %.0f s; the credits of a network disk can last for half an hour and more", s.Role, l.Seconds), "look up the volume's lasting rate")
	}
}

// Ends are the medians of the first and of the last three of a lasting load's parts.
func Ends(parts []float64) (first, last float64) {
	n := min(3, len(parts))
	if n == 0 {
		return 0, 0
	}
	middle := func(some []float64) float64 { return slices.Sorted(slices.Values(some))[len(some)/2] }
	return middle(parts[:n]), middle(parts[len(parts)-n:])
}

// alike says what a depth-1 read is like, in words.
func (b DiskBench) alike() string {
	one := slices.MinFunc(b.Random, func(x, y DepthRate) int { return x.Depth - y.Depth })
	kind := "slow like a rotating disk"
	switch {
	case one.P50 < cacheRead:
		kind = "faster than any medium: a cache answers"
	case one.P50 < localRead:
		kind = "fast like local flash"
	case one.P50 < networkRead:
		kind = "like network or SATA flash, or a loaded disk"
	}
	return fmt.Sprintf("measured: an 8 kB read takes %s, %s", micros(one.P50), kind)
}

func micros(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Microsecond).String()
}
