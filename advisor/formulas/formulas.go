// Package formulas knows what well-known tuning tools compute from memory, CPUs and connections, so that a reader can hold
// pgfit's values against them. They are comparators and nothing else: no rule takes a value from here. It leaves out what a
// tool decides by a loop or a score that its published formula does not give (ichirutake/pgtuner altogether, and the
// parts of pg_configurator that go by its score).
package formulas

import (
	"math"
	"strconv"

	"pgfit/probe"
	"pgfit/probe/guc"
)

// Input is what the tools ask for. Workload is web, oltp, dw or mixed; Data, Disk and WALDisk may be unknown (0, "").
type Input struct {
	RAM         int64 // bytes
	CPUs        int
	Connections int
	Workload    string
	Disk        probe.Class
	Data        int64 // bytes
	WALDisk     int64 // total bytes of the WAL volume
	Major       int
}

// From takes from the facts what the tools ask for. Connections is max_connections, since that is what their users enter.
func From(f probe.Facts, workload string) Input {
	in := Input{Workload: workload, Disk: f.DataStorage().Class, Major: f.Server.Major()}
	in.RAM, _ = f.Host.Memory.Budget.Get()
	if cpus, ok := f.Host.CPU.Effective.Get(); ok {
		in.CPUs = int(math.Ceil(cpus))
	}
	n, _ := f.Server.Settings.Int("max_connections")
	in.Connections = int(n)
	if !f.Server.Scratch {
		in.Data, _ = f.Server.ClusterBytes.Get()
	}
	in.WALDisk, _ = f.WALStorage().Total.Get()
	return in
}

// Comparison is the answer of one tool: settings as a person writes them. Warning is what is known to go wrong with it.
type Comparison struct {
	Name    string            `json:"name"`
	Values  map[string]string `json:"values"`
	Warning string            `json:"warning,omitempty"`
}

const (
	kB = int64(1) << 10
	mB = int64(1) << 20
	gB = int64(1) << 30
)

// Compare asks every formula, in a fixed order. Without memory, CPUs or connections there is nothing to compute: nil.
func Compare(in Input) []Comparison {
	if in.RAM <= 0 || in.CPUs <= 0 || in.Connections <= 0 {
		return nil
	}
	if in.Workload == "" || in.Workload == "auto" {
		in.Workload = "mixed"
	}
	return []Comparison{lp(in), ts(in), pc(in), pgc(in), gs(in), ap(in), so(in), pigsty(in)}
}

// lp is le0pard/pgtune.
func lp(in Input) Comparison {
	workers := int64(8)
	if in.CPUs >= 4 {
		workers = int64(in.CPUs)
	}
	buffers := in.RAM / 4
	work := float64(in.RAM-buffers) / float64(3*(int64(in.Connections)+workers))
	if in.Workload == "dw" || in.Workload == "mixed" {
		work /= 2
	}
	switch {
	case in.Data > 0 && in.Data < in.RAM:
		work *= 1.3
	case in.Data > in.RAM:
		work *= 0.9
	}
	v := older(in, 8*gB)
	v["work_mem"] = size(max(int64(work), 4*mB))
	v["max_wal_size"] = size(map[string]int64{"web": 4, "oltp": 8, "dw": 16, "mixed": 4}[in.Workload] * gB)
	v["min_wal_size"] = size(map[string]int64{"web": 1, "oltp": 2, "dw": 4, "mixed": 1}[in.Workload] * gB)
	v["checkpoint_completion_target"] = "0.9"
	v["random_page_cost"] = "1.1"
	if in.Disk == probe.HDD || in.Workload == "dw" && (in.Data == 0 || in.Data > in.RAM) {
		v["random_page_cost"] = "4"
	}
	v["effective_io_concurrency"] = byDisk(in.Disk, "2", "200", "1000", "300")
	if in.CPUs >= 4 {
		gather := (in.CPUs + 1) / 2
		if in.Workload != "dw" {
			gather = min(gather, 4)
		}
		v["max_worker_processes"] = strconv.Itoa(in.CPUs)
		v["max_parallel_workers_per_gather"] = strconv.Itoa(gather)
	}
	if in.Workload != "dw" {
		v["jit"] = "off"
	}
	if v["wal_compression"] = "on"; in.Major >= 15 {
		v["wal_compression"] = "lz4"
	}
	return Comparison{Name: "le0pard/pgtune", Values: v}
}

// older is what the family of the first pgtune has in common: a quarter, three quarters, a sixteenth, 3 % of buffers.
func older(in Input, mostMaintenance int64) map[string]string {
	maintenance, target := in.RAM/16, "100"
	if in.Workload == "dw" {
		maintenance, target = in.RAM/8, "500"
	}
	return map[string]string{
		"shared_buffers": size(in.RAM / 4), "effective_cache_size": size(in.RAM / 4 * 3), "maintenance_work_mem": size(min(maintenance, mostMaintenance)),
		"wal_buffers": size(min(in.RAM/4/100*3, 16*mB)), "default_statistics_target": target,
	}
}

// ts is timescaledb-tune.
func ts(in Input) Comparison {
	half := max(1, int(math.Round(float64(in.CPUs)/2)))
	work := float64(in.RAM) / float64(gB) * 400 * float64(mB) / float64(in.Connections) / float64(half)
	return Comparison{Name: "timescaledb-tune", Values: map[string]string{
		"shared_buffers": size(in.RAM / 4), "effective_cache_size": size(in.RAM / 4 * 3), "work_mem": size(max(int64(work), 64*kB)),
		"maintenance_work_mem": size(min(in.RAM/8, 2047*mB)), "autovacuum_max_workers": "10", "wal_buffers": "16MB", "max_wal_size": "1GB", "min_wal_size": "512MB",
		"checkpoint_completion_target": "0.9", "random_page_cost": "1.1", "effective_io_concurrency": "256", "default_statistics_target": "100",
		"max_worker_processes": strconv.Itoa(in.CPUs + 19), "max_parallel_workers_per_gather": strconv.Itoa(half), "jit": "off",
	}, Warning: "ten autovacuum workers may take maintenance_work_mem each: more than all memory on paper"}
}

// pc is pgconfig.
func pc(in Input) Comparison {
	share := map[string]float64{"web": 0.25, "oltp": 0.35, "dw": 0.5, "mixed": 0.1}[in.Workload]
	buffers := in.RAM / 4
	if in.Workload == "mixed" {
		buffers = in.RAM / 8
	}
	maintenance := in.RAM / 20
	if maintenance >= gB {
		maintenance = (maintenance + gB/2) / gB * gB // it rounds to whole units
	}
	v := map[string]string{
		"shared_buffers": size(buffers), "work_mem": size(int64(float64(in.RAM) * share / float64(in.Connections))),
		"maintenance_work_mem": size(maintenance), "wal_buffers": "-1", "max_wal_size": "3GB", "min_wal_size": "2GB", "checkpoint_completion_target": "0.9",
		"random_page_cost": byDisk(in.Disk, "4", "1.1", "1.1", "1.1"), "effective_io_concurrency": byDisk(in.Disk, "2", "200", "200", "300"),
		"max_worker_processes": "8", "max_parallel_workers_per_gather": "2",
	}
	if in.Workload != "mixed" {
		v["effective_cache_size"] = size(in.RAM / 4 * 3)
	}
	return Comparison{Name: "pgconfig", Values: v, Warning: "max_wal_size and the parallel settings are the same for every machine"}
}

// pgc is pg_configurator, as far as it does not go by its score.
func pgc(in Input) Comparison {
	t := float64(in.RAM)*0.9 - float64(256*mB)
	buffers := 0.7 * t
	v := map[string]string{
		"shared_buffers": size(int64(buffers)), "work_mem": size(max(int64(0.9*0.2*t/float64(in.Connections)), 10*mB)), "default_statistics_target": "1000",
	}
	if cache := int64(t-buffers) - 256*mB; cache > 0 { // on small machines the formula turns negative
		v["effective_cache_size"] = size(cache)
	}
	if in.CPUs <= 4 {
		v["maintenance_work_mem"] = size(int64(0.05 * t / 4))
	}
	if in.Disk == probe.SSD || in.Disk == probe.NVMe {
		v["random_page_cost"] = "1"
	}
	return Comparison{Name: "pg_configurator", Values: v, Warning: "effective_cache_size comes out below shared_buffers; without replicas it can switch full_page_writes off"}
}

// gs is gregs1104/pgtune, the first of them.
func gs(in Input) Comparison {
	work := in.RAM / int64(in.Connections)
	if in.Workload == "dw" || in.Workload == "mixed" {
		work /= 2
	}
	v := older(in, 2*gB)
	v["work_mem"] = size(fiveBits(work))
	v["checkpoint_completion_target"] = "0.9"
	if in.Workload == "web" {
		v["checkpoint_completion_target"] = "0.7"
	}
	return Comparison{Name: "gregs1104/pgtune", Values: v, Warning: "it also writes checkpoint_segments, and servers from 9.5 on refuse to start with it"}
}

// fiveBits keeps the five leading bits of the number of kilobytes, as that tool rounds.
func fiveBits(b int64) int64 {
	k := b / kB
	unit := int64(1)
	for k/unit >= 32 {
		unit *= 2
	}
	return k / unit * unit * kB
}

// ap is autopg: le0pard's older formula, where more CPUs mean less work_mem.
func ap(in Input) Comparison {
	gather := 1
	if in.CPUs >= 4 {
		gather = min((in.CPUs+1)/2, 4)
	}
	v := older(in, 8*gB)
	work := (in.RAM - in.RAM/4) / int64(3*in.Connections) / int64(gather)
	if in.Workload == "dw" || in.Workload == "mixed" {
		work /= 2
	}
	v["work_mem"] = size(work)
	v["max_wal_size"] = size(map[string]int64{"web": 4, "oltp": 8, "dw": 16, "mixed": 4}[in.Workload] * gB)
	v["random_page_cost"] = byDisk(in.Disk, "4", "1.1", "1.1", "1.1")
	return Comparison{Name: "autopg", Values: v}
}

// so is the tuner of pg-spot-operator.
func so(in Input) Comparison {
	share := map[string]float64{"web": 0.15, "oltp": 0.30, "dw": 0.25, "mixed": 0.20}[in.Workload]
	work := in.RAM / 10 * 8 / int64(in.Connections) / 2
	v := map[string]string{
		"shared_buffers": size(int64(share * float64(in.RAM))), "effective_cache_size": size(in.RAM / 10 * 8), "maintenance_work_mem": size(in.RAM / 20),
		"max_wal_size": byDisk(in.Disk, "", "4GB", "8GB", ""), "checkpoint_completion_target": "0.9", "checkpoint_timeout": "15min",
		"random_page_cost": byDisk(in.Disk, "2.5", "1.25", "1.0", "1.5"),
	}
	switch in.Workload {
	case "oltp":
		v["checkpoint_timeout"] = "10min"
	case "dw":
		v["checkpoint_timeout"], v["max_wal_size"] = "30min", "16GB"
		work = max(work, 64*mB)
	}
	v["work_mem"] = size(work)
	if in.CPUs > 8 {
		v["max_worker_processes"] = strconv.Itoa(in.CPUs)
		v["max_parallel_workers_per_gather"] = strconv.Itoa(min(in.CPUs/4, 4))
	}
	return Comparison{Name: "pg-spot-operator", Values: drop(v)}
}

// pigsty is its oltp template.
func pigsty(in Input) Comparison {
	buffers := in.RAM / 4
	v := map[string]string{
		"shared_buffers": size(buffers), "effective_cache_size": size(in.RAM / 4 * 3), "maintenance_work_mem": size(buffers / 4),
		"work_mem": size(min(max(buffers/int64(in.Connections), 64*mB), gB)), "hash_mem_multiplier": "8", "random_page_cost": "1.1",
		"max_parallel_workers_per_gather": strconv.Itoa(min(max(in.CPUs/5, 2), 8)),
	}
	if in.WALDisk > 0 {
		v["min_wal_size"], v["max_wal_size"] = size(in.WALDisk/20), size(in.WALDisk/5)
	}
	return Comparison{Name: "pigsty (oltp)", Values: v, Warning: "hash tables may take eight times work_mem: more than all memory on paper"}
}

// byDisk picks by class; san stands for storage over a network. An unknown class counts as SSD, as these tools do.
func byDisk(c probe.Class, hdd, ssd, nvme, san string) string {
	switch c {
	case probe.HDD:
		return hdd
	case probe.NVMe:
		return nvme
	case probe.Network:
		return san
	}
	return ssd
}

func drop(v map[string]string) map[string]string {
	for name, value := range v {
		if value == "" {
			delete(v, name)
		}
	}
	return v
}

// size writes bytes to the whole MB from 10 MB on and to the kB below, so that answers can be compared at a glance.
func size(b int64) string {
	if b >= 10*mB {
		return guc.FormatBytes((b + mB/2) / mB * mB)
	}
	return guc.FormatBytes(max(b/kB, 1) * kB)
}
