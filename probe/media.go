package probe

import (
	"fmt"
	"slices"
	"strings"
)

// rank orders classes by how much they hold a set of disks back; what is not known holds back most.
var rank = map[Class]int{NVMe: 1, SSD: 2, Network: 3, HDD: 4, UnknownClass: 5}

// classify says what the disks of a directory are: the worst of them. Evidence counts in this order: who made the device,
// then the rotational flag, and that only on a real disk behind a real driver.
func (e Env) classify(s Storage) (Class, []string) {
	switch {
	case slices.Contains(s.Layers, "layers that may not be listed"):
		return UnknownClass, []string{"what lies below " + s.Device + " may not be listed"}
	case len(s.Leaves) == 0:
		return UnknownClass, []string{"no disk was found below it"}
	}
	class, evidence := Class(""), []string(nil)
	guest, _ := e.guest()
	for _, d := range s.Leaves {
		c, why := classOf(d, guest)
		if !slices.Contains(evidence, why) {
			evidence = append(evidence, why)
		}
		if class == "" || rank[c] > rank[class] {
			class = c
		}
	}
	if slices.Contains(s.Layers, "bcache") || slices.Contains(s.Layers, "device mapper") && len(s.Leaves) > 1 && mixed(s.Leaves) {
		return Hybrid, append(evidence, "a fast disk caches for a slow one: only a measurement tells")
	}
	return class, evidence
}

// mixed tells whether some disks rotate and some do not, as below dm-cache and dm-writecache.
func mixed(leaves []Disk) bool {
	rotating := 0
	for _, d := range leaves {
		rotating += d.Rotational.Value
	}
	return rotating > 0 && rotating < len(leaves)
}

// lostAtStop is said of disks that a machine in a cloud loses with itself.
const lostAtStop = "lost when it stops"

// identities are model strings that say what a device is (the providers' own documents; kernel drivers).
var identities = []struct {
	match string
	class Class
	what  string
}{
	{"Amazon Elastic Block Store", Network, "Amazon EBS; its volume type cannot be seen"},
	{"Amazon EC2 NVMe Instance Storage", NVMe, "local flash of the instance, " + lostAtStop},
	{"Alibaba Cloud Elastic Block Storage", Network, "Alibaba cloud disk; its type cannot be seen"},
	{"PersistentDisk", Network, "Google persistent disk"},
	{"nvme_card-pd", Network, "Google persistent disk"},
	{"EphemeralDisk", SSD, "local disk of the Google instance, " + lostAtStop},
	{"nvme_card", NVMe, "local flash of the Google instance, " + lostAtStop},
	{"MSFT NVMe Accelerator", Network, "Azure managed disk"},
	{"Microsoft NVMe Direct Disk", NVMe, "local flash of the Azure machine, " + lostAtStop},
	{"Msft Virtual Disk, temporary", UnknownClass, "temporary disk of the Azure machine, " + lostAtStop},
	{"Msft Virtual Disk", Network, "Azure or Hyper-V disk"},
}

// classOf says what one device is, and by what.
func classOf(d Disk, guest bool) (Class, string) {
	for _, known := range identities {
		if strings.Contains(spaced(d.Model), spaced(known.match)) {
			return known.class, d.Name + ": " + known.what
		}
	}
	virtual := virtual(d) || guest && !strings.HasPrefix(d.Name, "nvme")
	switch {
	case remote(d):
		return Network, d.Name + ": reached by " + remoteBy(d)
	case strings.HasPrefix(d.Name, "zram") || strings.HasPrefix(d.Name, "ram"):
		return RAM, d.Name + ": memory that acts as a disk"
	case strings.HasPrefix(d.Name, "zd"): // says that it does not rotate, whatever the pool's disks do
		return UnknownClass, d.Name + ": a volume of ZFS, whose disks the kernel does not name"
	case virtual && d.Rotational.OK():
		return UnknownClass, fmt.Sprintf("%s: a virtual disk; its rotational flag (%d) says nothing about the medium", d.Name, d.Rotational.Value)
	case virtual:
		return UnknownClass, d.Name + ": a virtual disk, which has no way to say what it is"
	case strings.HasPrefix(d.Name, "nvme"):
		return NVMe, nonBlank(d.Name+": an NVMe device", d.Model)
	case d.RPM.OK() && d.RPM.Value > 0:
		return HDD, nonBlank(fmt.Sprintf("%s: %d revolutions a minute", d.Name, d.RPM.Value), d.Model)
	case !d.Rotational.OK():
		return UnknownClass, d.Name + ": the kernel does not say"
	case d.Rotational.Value == 1:
		return HDD, nonBlank(d.Name+": rotational", d.Model)
	}
	return SSD, nonBlank(d.Name+": not rotational", d.Model)
}

// spaced writes a model as the device does: udev turns blanks into underscores.
func spaced(s string) string { return strings.ReplaceAll(s, "_", " ") }

func nonBlank(a, b string) string {
	if b == "" {
		return a
	}
	return a + ", " + b
}

func remote(d Disk) bool { return remoteBy(d) != "" }

func remoteBy(d Disk) string {
	switch {
	case contains("tcp,rdma,fc,iscsi", d.Transport):
		return d.Transport
	case strings.HasPrefix(d.Name, "rbd"), strings.HasPrefix(d.Name, "nbd"), strings.HasPrefix(d.Name, "drbd"):
		return strings.TrimRight(d.Name, "0123456789")
	}
	return ""
}

// virtual tells a disk that a hypervisor made up: what it says of itself is what an administrator set, or nobody.
func virtual(d Disk) bool {
	for _, prefix := range []string{"vd", "xvd", "loop"} {
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
