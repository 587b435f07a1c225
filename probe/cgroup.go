package probe

import (
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// cgroup is where one controller's files of a process lie: the directories from its own group up to the mount point.
type cgroup struct {
	dirs    []string // leaf first
	v2      bool
	unknown bool // the group lies outside what is mounted here: a limit may exist and cannot be seen
}

// controller finds the group of a process for one controller. Each controller is looked for by itself: a host can have
// memory in version 1 and something else in version 2.
func (e Env) controller(pid, name string) (cgroup, bool) {
	groups, state := text(e.proc(pid, "cgroup"))
	if state != Known {
		return cgroup{}, false
	}
	v1, v2 := "", ""
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // a path may hold colons
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[0] == "0" && parts[1] == "":
			v2 = parts[2]
		case contains(parts[1], name):
			v1 = parts[2]
		}
	}
	for _, m := range e.mounts(pid) {
		switch {
		case v1 != "" && m.fsType == "cgroup" && contains(m.super, name):
			return below(e, m, v1, false), true
		case v1 == "" && v2 != "" && m.fsType == "cgroup2":
			g := below(e, m, v2, true)
			if have, _ := text(filepath.Join(g.dirs[len(g.dirs)-1], "cgroup.controllers")); have == "" || strings.Contains(" "+have+" ", " "+name+" ") {
				return g, true
			}
		}
	}
	return cgroup{}, false
}

func contains(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// below lists the directories of a group, leaf first, down to the mount point.
func below(e Env, m mount, group string, v2 bool) cgroup {
	g := cgroup{v2: v2}
	rel := strings.TrimPrefix(group, strings.TrimSuffix(m.root, "/"))
	if strings.HasPrefix(group, "/..") || m.root != "/" && rel == group {
		g.unknown, rel = true, "/"
	}
	root := e.host(m.point)
	for p := path.Clean("/" + rel); ; p = path.Dir(p) {
		g.dirs = append(g.dirs, filepath.Join(root, filepath.FromSlash(p)))
		if p == "/" {
			return g
		}
	}
}

// host maps a path of the host below /sys into the tree.
func (e Env) host(p string) string {
	if rest, ok := strings.CutPrefix(p, "/sys"); ok {
		return e.sys(rest)
	}
	return p
}

// smallest is the smallest number in a file over all the group's directories; false when none has a limit there.
func (g cgroup) smallest(file string) (v int64, from string, ok bool) {
	for _, dir := range g.dirs {
		p := filepath.Join(dir, file)
		s, state := text(p)
		n, err := strconv.ParseInt(s, 10, 64)
		if state != Known || err != nil || n <= 0 { // "max", a missing file, or no number
			continue
		}
		if !ok || n < v {
			v, from, ok = n, p, true
		}
	}
	return v, from, ok
}

// limit is a memory limit as a fact. What is at or above the machine's own memory is none: version 1 writes "no limit" as
// 2^63 rounded down to a page.
func (g cgroup) limit(file string, total int64) Fact[int64] {
	v, from, ok := g.smallest(file)
	switch {
	case ok && v < total:
		return Is(v, from)
	case g.unknown:
		return Fact[int64]{State: Denied, Source: "cgroup", Note: "the group lies outside what is mounted here"}
	}
	return Fact[int64]{State: Unlimited, Source: "cgroup"}
}

// hierarchical is version 1's own smallest limit up the tree, from memory.stat of the leaf.
func (g cgroup) hierarchical(total int64) (int64, string, bool) {
	p := filepath.Join(g.dirs[0], "memory.stat")
	s, _ := text(p)
	for line := range strings.Lines(s) {
		if rest, ok := strings.CutPrefix(line, "hierarchical_memory_limit "); ok {
			v, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
			return v, p, err == nil && v > 0 && v < total
		}
	}
	return 0, "", false
}

// quota is the smallest CPU quota up the tree, in CPUs.
func (g cgroup) quota() Fact[float64] {
	best := Fact[float64]{State: Unlimited, Source: "cgroup"}
	for _, dir := range g.dirs {
		q, from, ok := quotaOf(dir, g.v2)
		if ok && (best.State != Known || q < best.Value) {
			best = Is(q, from)
		}
	}
	if best.State != Known && g.unknown {
		best.State = Denied
	}
	return best
}

func quotaOf(dir string, v2 bool) (float64, string, bool) {
	if v2 {
		p := filepath.Join(dir, "cpu.max")
		s, _ := text(p)
		fields := strings.Fields(s)
		if len(fields) != 2 {
			return 0, "", false
		}
		return ratio(fields[0], fields[1], p)
	}
	p := filepath.Join(dir, "cpu.cfs_quota_us")
	quota, _ := text(p)
	period, _ := text(filepath.Join(dir, "cpu.cfs_period_us"))
	return ratio(quota, period, p)
}

func ratio(quota, period, from string) (float64, string, bool) {
	q, err := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err != nil || err2 != nil || q <= 0 || p <= 0 {
		return 0, "", false
	}
	return q / p, from, true
}
