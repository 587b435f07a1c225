package probe

import (
	"path"
	"strconv"
	"strings"
)

// deepest bounds the way down through layers.
const deepest = 16

// block is where the kernel lists all block devices, partitions too, by name.
const block = "/sys/class/block"

// deviceName is the name of a block device by its numbers, "" when the kernel does not know it.
func (e Env) deviceName(majorMinor string) string {
	link := "/sys/dev/block/" + majorMinor
	if name, ok := e.variables(link + "/uevent")["DEVNAME"]; ok {
		return strings.ReplaceAll(name, "/", "!") // as sysfs writes cciss/c0d0
	}
	if target, err := e.Files.ReadLink(link); err == nil {
		return path.Base(target)
	}
	return ""
}

// descend follows a block device down to the disks, noting the layers on the way.
func (e Env) descend(s *Storage, name string, seen map[string]bool, depth int) {
	if name == "" || seen[name] || depth > deepest {
		return
	}
	seen[name] = true
	if disk := e.wholeDisk(name); disk != name {
		s.Layers = append(s.Layers, "partition "+name)
		name = disk
		if seen[name] { // two partitions of one disk
			return
		}
		seen[name] = true
	}
	dir := path.Join(block, name)
	if layer := e.layer(name); layer != "" {
		s.Layers = append(s.Layers, layer)
	}
	if file, state := e.text(dir + "/loop/backing_file"); state == Known && file != "" {
		if e.onFile(s, file, seen, depth) {
			return
		}
	}
	slaves, err := e.Files.ReadDir(dir + "/slaves")
	if err != nil && stateOf(err) == Denied {
		s.Layers = append(s.Layers, "layers that may not be listed")
	}
	for _, slave := range slaves {
		e.descend(s, slave, seen, depth+1)
	}
	if len(slaves) == 0 {
		s.Leaves = append(s.Leaves, e.disk(name))
	}
}

// onFile follows a file that serves as a disk to the disk that it lies on; false where that is not a single one.
func (e Env) onFile(s *Storage, file string, seen map[string]bool, depth int) bool {
	s.Layers = append(s.Layers, "file "+file)
	m, ok := e.mountOf(e.mounts(e.Self), file, path.Dir(file))
	if !ok || strings.HasPrefix(m.device, "0:") {
		return false
	}
	e.descend(s, e.deviceName(m.device), seen, depth+1)
	return true
}

// wholeDisk is the disk that a partition is cut from; a name that is no partition stays as it is.
func (e Env) wholeDisk(name string) string {
	if _, state := e.text(path.Join(block, name, "partition")); state != Known {
		return name
	}
	disk := strings.TrimRight(name, "0123456789")
	for _, parent := range []string{disk, strings.TrimSuffix(disk, "p")} { // sda1; nvme0n1p2, mmcblk0p1
		if _, state := e.text(path.Join(block, parent, name, "partition")); state == Known {
			return parent
		}
	}
	return name
}

// layer names a stacking device: LVM, LUKS, multipath, md, bcache, loop; "" for a disk.
func (e Env) layer(name string) string {
	dir := path.Join(block, name)
	if uuid, state := e.text(dir + "/dm/uuid"); state == Known {
		for _, kind := range [][2]string{{"LVM-", "lvm"}, {"CRYPT-", "luks"}, {"mpath-", "multipath"}} {
			if strings.HasPrefix(uuid, kind[0]) {
				return kind[1]
			}
		}
		return "device mapper"
	}
	if level, state := e.text(dir + "/md/level"); state == Known {
		return "md " + level
	}
	switch {
	case strings.HasPrefix(name, "bcache"):
		return "bcache"
	case strings.HasPrefix(name, "loop"):
		return "loop"
	}
	return ""
}

// disk reads one device at the bottom. A file that is not there leaves its fact absent.
func (e Env) disk(name string) Disk {
	dir := path.Join(block, name)
	queue := func(file string) Fact[int] { return number[int](e, dir+"/queue/"+file) }
	d := Disk{Name: name, Rotational: queue("rotational"), ReadAheadKB: queue("read_ahead_kb"), NrRequests: queue("nr_requests"),
		FUA: queue("fua"), DAX: queue("dax"), LogicalBlock: queue("logical_block_size"), PhysicalBlock: queue("physical_block_size")}
	d.Scheduler = e.bracketed(dir + "/queue/scheduler").Value
	d.WriteCache, _ = e.text(dir + "/queue/write_cache")
	d.Driver = e.variables(dir + "/device/uevent")["DRIVER"]
	d.QueueTags = e.queueTags(dir)
	if sectors := number[int64](e, dir+"/size"); sectors.OK() {
		d.SizeBytes = sectors.Value * 512 // always in 512-byte sectors
	}
	e.identity(&d, dir)
	return d
}

// queueTags is the depth that the hardware takes: the tags of all its queues.
func (e Env) queueTags(dir string) Fact[int] {
	queues, err := e.Files.ReadDir(dir + "/mq")
	if err != nil || len(queues) == 0 {
		return Fact[int]{State: Absent, Source: dir + "/mq"}
	}
	first := number[int](e, path.Join(dir, "mq", queues[0], "nr_tags"))
	if n := len(queues); first.OK() && n > 1 {
		first.Note = "in each of " + strconv.Itoa(n) + " queues"
	}
	return first
}

// azureTemporary tells the disk that Azure gives a machine beside its volumes by its controller: the second one of generation
// 1, the second unit of the first one of generation 2 (as the rules of Azure's Linux agent do).
func azureTemporary(link string) bool {
	return strings.Contains(link, "/00000000-0001-") || strings.Contains(link, "/f8b3781a-") && strings.Contains(link, ":1/block/")
}

// identity reads who made the device: from the device itself, else from what udev has stored of it.
func (e Env) identity(d *Disk, dir string) {
	vendor, _ := e.text(dir + "/device/vendor")
	model, _ := e.text(dir + "/device/model")
	d.Model = strings.TrimSpace(strings.TrimSpace(vendor) + " " + model)
	d.Transport, _ = e.text(dir + "/device/transport") // nvme: pcie, tcp, rdma, fc
	if link, err := e.Files.ReadLink(dir); err == nil {
		switch {
		case strings.Contains(link, "/session"):
			d.Transport = "iscsi"
		case strings.Contains(link, "/rport-"):
			d.Transport = "fc"
		case strings.Contains(link, "/vmbus") || strings.Contains(link, "/VMBUS"):
			d.Transport = "vmbus"
		}
		if cloud, _ := e.cloud().Get(); cloud == "azure" && azureTemporary(link) {
			d.Model += ", temporary"
		}
	}
	numbers, state := e.text(dir + "/dev")
	if state != Known {
		return
	}
	udev := e.variables("/run/udev/data/b" + numbers)
	if d.Model == "" {
		d.Model = strings.ReplaceAll(udev["E:ID_MODEL"], "_", " ")
	}
	if rpm, err := strconv.Atoi(udev["E:ID_ATA_ROTATION_RATE_RPM"]); err == nil {
		d.RPM = Is(rpm, "/run/udev/data/b"+numbers)
	}
}
