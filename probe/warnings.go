package probe

import (
	"fmt"
	"slices"
	"strings"
)

// doubts are warnings that follow from the facts, each with what to do.
func doubts(f Facts) []Warning {
	var w warnList
	w.host(f)
	w.memory(f)
	for _, s := range f.Storage {
		w.storage(s)
		w.measured(f, s)
	}
	return w
}

type warnList []Warning

func (w *warnList) add(code, text, hint string) {
	if !slices.ContainsFunc(*w, func(x Warning) bool { return x.Code == code && x.Text == text }) {
		*w = append(*w, Warning{Code: code, Text: text, Hint: hint})
	}
}

func (w *warnList) host(f Facts) {
	h := f.Host
	if f.SameHost.State == Denied {
		w.add("which-machine", "it cannot be proved that the server runs on this machine: "+f.SameHost.Note, "run pgfit as the server's user or as root on its machine, or pass --ram and --cpus")
	}
	if h.THP.Value == "always" && h.THP.OK() {
		w.add("thp-always", "transparent huge pages are on for everything", "memory use of backends may grow; madvise is the usual choice for databases (shared memory goes by shmem_enabled)")
	}
	if v, ok := h.IOUringDisabled.Get(); ok && v != 0 && f.Server.Settings.Text("io_method") == "io_uring" {
		w.add("io-uring", fmt.Sprintf("io_method is io_uring and kernel.io_uring_disabled is %d", v), "io_method = worker, or kernel.io_uring_disabled = 0")
	}
	if v, ok := h.ZoneReclaim.Get(); ok && v != 0 {
		w.add("zone-reclaim", fmt.Sprintf("vm.zone_reclaim_mode is %d: the kernel drops cache of one NUMA node while another has free memory", v), "vm.zone_reclaim_mode = 0")
	}
	buffers, _ := f.Server.Settings.Bytes("shared_buffers")
	for _, node := range h.NUMANodeBytes {
		if buffers > node {
			w.add("numa", "shared_buffers is larger than the memory of one NUMA node", "start the server with numactl --interleave=all")
		}
	}
	if v, ok := h.OpenFiles.Get(); ok && f.Server.Version != "" {
		if per, ok := f.Server.Settings.Int("max_files_per_process"); ok && v < per {
			w.add("open-files", fmt.Sprintf("the server may open %d files and max_files_per_process is %d", v, per), "raise the limit (LimitNOFILE of its systemd unit)")
		}
	}
}

// swappy is the largest vm.swappiness that is common on database hosts.
const swappy = 10

func (w *warnList) memory(f Facts) {
	h, set := f.Host, f.Server.Settings
	overcommit, known := h.Overcommit.Get()
	if known && overcommit == 0 && !f.Server.Scratch {
		w.add("overcommit", "vm.overcommit_memory is 0: the kernel may kill the server when memory runs out",
			"the manual advises vm.overcommit_memory = 2 on a dedicated machine (Linux Memory Overcommit)")
	}
	buffers, _ := set.Bytes("shared_buffers")
	if limit, ok := h.Memory.CommitMax.Get(); ok && known && overcommit == 2 && buffers > limit/2 {
		w.add("commit-limit", "with vm.overcommit_memory = 2 shared_buffers takes more than half of CommitLimit", "raise vm.overcommit_ratio, or lower shared_buffers")
	}
	if budget, ok := h.Memory.Budget.Get(); ok && buffers > budget {
		w.add("buffers-over-budget", "shared_buffers is larger than the memory that the server may use", "lower shared_buffers, or raise the limit at "+h.Memory.Budget.Source)
	}
	if v, ok := h.Swappiness.Get(); ok && v > swappy && h.Memory.SwapTotal.Value > 0 && !f.Server.Scratch {
		w.add("swappiness", fmt.Sprintf("vm.swappiness is %d and there is swap: idle backends may be swapped out", v), fmt.Sprintf("vm.swappiness = %d or less", swappy))
	}
	if h.HugeTLBLimit.OK() && h.HugeTLBLimit.Value == 0 && h.HugePagesTotal.Value > 0 && set.Text("huge_pages") != "off" {
		w.add("hugetlb-zero", "the machine has huge pages and the server's group may use none: with huge_pages = try the server can die at the first touch",
			"huge_pages = off, or give the container huge pages")
	}
	if need, ok := f.Server.HugePagesNeeded.Get(); ok && buffers >= 8<<30 && h.HugePagesTotal.OK() && h.HugePagesTotal.Value < need && set.Text("huge_pages") != "off" {
		w.add("huge-pages", fmt.Sprintf("shared memory would take %d huge pages, %d are reserved", need, h.HugePagesTotal.Value), fmt.Sprintf("vm.nr_hugepages = %d before the next start", need))
	}
	if strings.Contains(h.Memory.Budget.Note, "cannot be seen") {
		w.add("hidden-limit", "a memory limit of the container may exist that cannot be seen from here", "run pgfit on the machine itself, or pass --ram")
	}
}

func (w *warnList) storage(s Storage) {
	switch {
	case slices.Contains(s.Layers, "overlay"):
		w.add("overlay", s.Role+" lies inside a container's own layer", "put it on a volume: it is slow and is lost with the container")
	case s.Class == RAM:
		w.add("memory-disk", s.Role+" lies in memory", "nothing on it survives a restart")
	case s.Class == UnknownClass && s.Bench == nil && s.Path != "":
		w.add("unknown-medium", "what "+s.Role+" lies on is not known, and no setting is derived from a guess", "measure it with --disk-bench, or say what it is with --disk")
	}
	lost := slices.ContainsFunc(s.Evidence, func(why string) bool { return strings.HasSuffix(why, lostAtStop) })
	if lost && s.Role != "temp" {
		w.add("ephemeral-disk", s.Role+" lies on a disk that is lost when the machine stops", "put it on a volume that lasts, unless a replica elsewhere has everything")
	}
	for _, opt := range s.Options {
		switch opt {
		case "nobarrier", "barrier=0":
			w.add("nobarrier", s.MountPoint+" is mounted with "+opt, "a power failure can lose or tear committed data unless the disk's cache is protected")
		case "sync":
			w.add("mounted-sync", s.MountPoint+" is mounted with sync: every write waits for the disk", "take the option away; PostgreSQL syncs what has to be")
		case "data=journal":
			w.add("data-journal", s.MountPoint+" is mounted with data=journal: data are written twice and direct I/O does not work", "data=ordered, ext4's default")
		}
	}
}
