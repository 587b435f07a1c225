package probe

import (
	"path"
	"strings"
)

// dmi is where the firmware's identity lies. Small guests and many containers have none.
const dmi = "/sys/class/dmi/id"

// hypervisor is a label for people, never an input to a formula.
func (e Env) hypervisor() Fact[string] {
	if f := e.textFact("/sys/hypervisor/type"); f.OK() {
		return f
	}
	vendor, _ := e.text(dmi + "/sys_vendor")
	for _, known := range [][2]string{{"QEMU", "kvm"}, {"VMware", "vmware"}, {"Microsoft", "hyper-v"}, {"innotek", "virtualbox"}, {"Google", "kvm"}, {"Xen", "xen"}} {
		if strings.Contains(vendor, known[0]) {
			return Is(known[1], dmi+"/sys_vendor")
		}
	}
	guest, state := e.guest()
	switch {
	case guest:
		return Is("some hypervisor", "/proc/cpuinfo")
	case state == Denied:
		return Fact[string]{State: Denied, Source: "/proc/cpuinfo"}
	}
	return Fact[string]{State: Absent, Source: "/proc/cpuinfo"}
}

// container tells by the names of the server's groups, and where those are hidden by the root file system being an overlay.
func (e Env) container(pid string) Fact[string] {
	if pid == unseen {
		return Fact[string]{State: Denied, Source: "/proc", Note: notSeen}
	}
	from := procFile(pid, "cgroup")
	groups, state := e.text(from)
	if state != Known {
		return Fact[string]{State: state, Source: from}
	}
	for _, c := range [][2]string{{"kubepods", "kubernetes"}, {"docker", "docker"}, {"libpod", "podman"}, {"lxc", "lxc"}, {"containerd", "containerd"}} {
		if strings.Contains(groups, "/"+c[0]) || strings.Contains(groups, "-"+c[0]) {
			return Is(c[1], from)
		}
	}
	if m, ok := (Env{Files: e.Files}).mountOf(e.mounts(pid), "/", "/"); ok && m.fsType == "overlay" {
		return Is("some container", procFile(pid, "mountinfo"))
	}
	return Fact[string]{State: Absent, Source: from}
}

// azureTag is the chassis asset tag of every Azure machine (Microsoft, Azure Instance Metadata Service).
const azureTag = "7783-7084-3265-9085-8269-3286-77"

func (e Env) cloud() Fact[string] {
	if !e.exists(dmi) {
		return Fact[string]{State: Absent, Source: dmi}
	}
	read := func(name string) string { s, _ := e.text(path.Join(dmi, name)); return s }
	switch {
	case strings.Contains(read("sys_vendor"), "Amazon"):
		return Is("aws", dmi+"/sys_vendor")
	case strings.Contains(read("bios_vendor"), "Google"), strings.Contains(read("product_name"), "Google"):
		return Is("gcp", dmi+"/product_name")
	case read("chassis_asset_tag") == azureTag:
		return Is("azure", dmi+"/chassis_asset_tag")
	}
	return Fact[string]{State: Absent, Source: dmi}
}

// instanceType is Amazon's name of the machine's size, which its firmware shows as the product.
func (e Env) instanceType() Fact[string] {
	if cloud, _ := e.cloud().Get(); cloud == "aws" {
		return e.textFact(dmi + "/product_name")
	}
	return Fact[string]{State: Absent, Source: dmi}
}
