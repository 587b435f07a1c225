package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// readStorage finds what lies under data_directory, pg_wal and the tablespaces of a server on this host.
func (e Env) readStorage(ctx context.Context, conn *pgx.Conn, pid, dataDir string) []Storage {
	if dataDir == "" {
		return nil
	}
	mounts := e.mounts(pid)
	out := []Storage{e.storage("data_directory", dataDir, mounts)}
	if real, err := filepath.EvalSymlinks(filepath.Join(dataDir, "pg_wal")); err == nil && filepath.Dir(real) != filepath.Clean(dataDir) {
		out = append(out, e.storage("pg_wal", real, mounts))
	}
	if conn == nil {
		return out
	}
	rows, err := conn.Query(ctx, "SELECT spcname, pg_tablespace_location(oid) FROM pg_tablespace WHERE pg_tablespace_location(oid) <> '' ORDER BY spcname")
	if err != nil {
		return out
	}
	var name, path string
	_, _ = pgx.ForEachRow(rows, []any{&name, &path}, func() error {
		out = append(out, e.storage("tablespace "+name, path, mounts))
		return nil
	})
	return out
}

// storage describes one directory: its mount, the layers below, the disks at the bottom, and a class with its evidence.
func (e Env) storage(role, dir string, mounts []mount) Storage {
	s := Storage{Role: role, Path: dir, Class: UnknownClass}
	s.Total, s.Free = usage(existing(dir))
	m, ok := mountOf(mounts, dir)
	if !ok {
		s.Evidence = []string{"no mount was found for it"}
		return s
	}
	s.MountPoint, s.FSType, s.Device = m.point, m.fsType, m.source
	s.Options = append(strings.Split(m.options, ","), strings.Split(m.super, ",")...)
	switch {
	case m.fsType == "tmpfs" || m.fsType == "ramfs":
		s.Class, s.Evidence = RAM, []string{m.fsType + " lives in memory"}
	case strings.HasPrefix(m.fsType, "nfs") || strings.HasPrefix(m.fsType, "fuse") || contains("cifs,9p,virtiofs,smb3,ceph,glusterfs", m.fsType):
		s.Class, s.Evidence = Network, []string{m.fsType + " is a network or host file system"}
	case m.fsType == "overlay":
		s.Evidence = []string{"the directory lies inside the container's own layer; put it on a volume"}
	case strings.HasPrefix(m.device, "0:"):
		e.anonymous(&s, m)
	default:
		e.descend(&s, e.sys("dev/block", m.device), map[string]bool{}, 0)
		s.Class, s.Evidence = classify(s.Leaves, s.Layers)
	}
	return s
}

// existing is the path or its nearest parent that can be looked at.
func existing(dir string) string {
	for dir != "/" && dir != "." {
		if _, err := os.Stat(dir); err == nil || !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// anonymous handles file systems without a device number of their own: btrfs names its members in /sys, ZFS does not.
func (e Env) anonymous(s *Storage, m mount) {
	if m.fsType != "btrfs" {
		s.Evidence = []string{m.fsType + " does not name its disks"}
		return
	}
	found, _ := filepath.Glob(e.sys("fs/btrfs/*/devices/*"))
	source := filepath.Base(m.source)
	for _, dev := range found {
		if filepath.Base(dev) != source {
			continue
		}
		members, _ := filepath.Glob(filepath.Join(filepath.Dir(dev), "*"))
		for _, member := range members {
			e.descend(s, member, map[string]bool{}, 0)
		}
		s.Class, s.Evidence = classify(s.Leaves, s.Layers)
		return
	}
	s.Evidence = []string{"the members of the btrfs file system were not found"}
}

// deepest bounds the way down through layers.
const deepest = 16

// descend follows a block device down to the disks.
func (e Env) descend(s *Storage, link string, seen map[string]bool, depth int) {
	dir, err := filepath.EvalSymlinks(link)
	if err != nil || seen[dir] || depth > deepest {
		return
	}
	seen[dir] = true
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil {
		s.Layers = append(s.Layers, "partition "+filepath.Base(dir))
		dir = filepath.Dir(dir)
	}
	if layer := layerName(dir); layer != "" {
		s.Layers = append(s.Layers, layer)
	}
	if file, state := text(filepath.Join(dir, "loop", "backing_file")); state == Known {
		s.Layers = append(s.Layers, "file "+file)
	}
	slaves, _ := os.ReadDir(filepath.Join(dir, "slaves"))
	for _, slave := range slaves {
		e.descend(s, filepath.Join(dir, "slaves", slave.Name()), seen, depth+1)
	}
	if len(slaves) == 0 {
		s.Leaves = append(s.Leaves, leaf(dir))
	}
}

// layerName names a stacking device: LVM, LUKS, multipath, md, bcache, loop.
func layerName(dir string) string {
	if uuid, state := text(filepath.Join(dir, "dm", "uuid")); state == Known {
		for prefix, name := range map[string]string{"LVM-": "lvm", "CRYPT-": "luks", "mpath-": "multipath"} {
			if strings.HasPrefix(uuid, prefix) {
				return name
			}
		}
		return "device mapper"
	}
	if level, state := text(filepath.Join(dir, "md", "level")); state == Known {
		return "md " + level
	}
	if _, err := os.Stat(filepath.Join(dir, "bcache")); err == nil {
		return "bcache"
	}
	if strings.HasPrefix(filepath.Base(dir), "loop") {
		return "loop"
	}
	return ""
}

func leaf(dir string) Disk {
	d := Disk{Name: filepath.Base(dir), Rotational: intFact[int](filepath.Join(dir, "queue", "rotational")), ReadAheadKB: intFact[int](filepath.Join(dir, "queue", "read_ahead_kb"))}
	vendor, _ := text(filepath.Join(dir, "device", "vendor"))
	model, _ := text(filepath.Join(dir, "device", "model"))
	d.Model = strings.TrimSpace(vendor + " " + model)
	d.Scheduler = bracketed(filepath.Join(dir, "queue", "scheduler"))
	d.WriteCache, _ = text(filepath.Join(dir, "queue", "write_cache"))
	d.QueueTags = Fact[int]{State: Absent}
	if tags, _ := filepath.Glob(filepath.Join(dir, "mq", "*", "nr_tags")); len(tags) > 0 {
		d.QueueTags = intFact[int](tags[0])
	}
	if sectors := intFact[int64](filepath.Join(dir, "size")); sectors.OK() {
		d.SizeBytes = sectors.Value * 512 // always in 512-byte sectors
	}
	return d
}

func bracketed(path string) string {
	s, _ := text(path)
	_, rest, _ := strings.Cut(s, "[")
	value, _, _ := strings.Cut(rest, "]")
	return value
}

// classify decides by identity first and the rotational flag last: a guest's flag says what an administrator or nobody
// set, so on virtual disks it decides nothing.
func classify(leaves []Disk, layers []string) (Class, []string) {
	if len(leaves) == 0 {
		return UnknownClass, []string{"no disk was found below it"}
	}
	for _, l := range layers {
		if l == "bcache" {
			return Hybrid, []string{"bcache joins a fast and a slow disk: only a measurement tells"}
		}
	}
	class, evidence := Class(""), []string(nil)
	for _, d := range leaves {
		c, why := classOf(d)
		evidence = append(evidence, why)
		if class == "" || rank[c] > rank[class] {
			class = c
		}
	}
	return class, evidence
}

// rank orders classes by how much they hold a set of disks back.
var rank = map[Class]int{NVMe: 1, SSD: 2, Network: 3, HDD: 4, UnknownClass: 5}

func classOf(d Disk) (Class, string) {
	rotational, known := d.Rotational.Get()
	model := strings.ReplaceAll(d.Model, "_", " ")
	switch {
	case strings.Contains(model, "Amazon Elastic Block Store"):
		return Network, d.Name + ": Amazon EBS"
	case strings.Contains(model, "Instance Storage"):
		return NVMe, d.Name + ": local NVMe of the instance, lost when it stops"
	case strings.Contains(model, "PersistentDisk") || strings.Contains(model, "nvme_card-pd"):
		return Network, d.Name + ": Google persistent disk"
	case strings.Contains(model, "EphemeralDisk") || strings.HasPrefix(model, "nvme card"):
		return NVMe, d.Name + ": local disk of the instance"
	case strings.Contains(model, "MSFT NVMe Accelerator") || strings.Contains(model, "Msft Virtual Disk"):
		return Network, d.Name + ": Azure or Hyper-V disk"
	case strings.Contains(model, "Microsoft NVMe Direct Disk"):
		return NVMe, d.Name + ": local disk of the instance"
	case strings.HasPrefix(d.Name, "nvme"):
		return NVMe, d.Name + ": an NVMe device, " + d.Model
	case virtual(d):
		return UnknownClass, fmt.Sprintf("%s: a virtual disk; its rotational flag (%d) says nothing", d.Name, rotational)
	case !known:
		return UnknownClass, d.Name + ": the kernel does not say"
	case rotational == 1:
		return HDD, d.Name + ": rotational, " + d.Model
	}
	return SSD, d.Name + ": not rotational, " + d.Model
}

func virtual(d Disk) bool {
	for _, prefix := range []string{"vd", "xvd", "loop", "zram", "ram", "rbd", "nbd"} {
		if strings.HasPrefix(d.Name, prefix) {
			return true
		}
	}
	for _, word := range []string{"QEMU", "VMware", "VBOX", "Virtual", "0x1af4"} {
		if strings.Contains(d.Model, word) {
			return true
		}
	}
	return false
}
