package probe

import (
	"path"
	"strconv"
	"strings"
)

// cgroup is where one controller's files of a process lie: the directories from its own group up to the mount point.
type cgroup struct {
	env  Env
	dirs []string // leaf first; none when outside
	v2   bool
	// outside: the group lies beyond what is mounted here, so a limit may exist and cannot be seen.
	outside bool
	// inner: the topmost directory is a container's own group, not the root of the machine; limits above it cannot be seen.
	inner bool
}

// controller finds the group of a process for one controller. Each controller is looked for by itself: a host can have
// memory in version 1 and something else in version 2. The kernel names the group as pgfit's own namespace sees it, so
// it is looked up in pgfit's own mounts.
func (e Env) controller(pid, name string) (cgroup, bool) {
	if _, state := e.text(procFile(pid, "cgroup")); state != Known && pid != e.Self {
		if _, own := e.text(procFile(e.Self, "cgroup")); own == Known { // there are groups, of whichever version, and not this process's for us
			return cgroup{env: e, outside: true, v2: true}, true
		}
	}
	v1, v2 := e.groupsOf(pid, name)
	best, found := cgroup{}, false
	for _, m := range e.mounts(e.Self) {
		var g cgroup
		switch {
		case v1 != "" && m.fsType == "cgroup" && contains(m.super, name):
			g = e.below(m, v1, false)
		case v1 == "" && v2 != "" && m.fsType == "cgroup2" && e.offers(m.point, name):
			g = e.below(m, v2, true)
		default:
			continue
		}
		if !found || best.outside {
			best, found = g, true
		}
	}
	if !found && v1 != "" { // the process has a group and its files are not mounted here
		return cgroup{env: e, outside: true}, true
	}
	return best, found
}

// groupsOf reads the paths of a process's groups from lines ID:controllers:path; a path may hold colons.
func (e Env) groupsOf(pid, name string) (v1, v2 string) {
	s, _ := e.text(procFile(pid, "cgroup"))
	for line := range strings.Lines(s) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) != 3:
		case parts[0] == "0" && parts[1] == "":
			v2 = parts[2]
		case contains(parts[1], name):
			v1 = parts[2]
		}
	}
	return v1, v2
}

// offers tells whether a version 2 tree has the controller; a tree that does not list any is given the benefit of the doubt.
func (e Env) offers(point, name string) bool {
	have, state := e.text(path.Join(point, "cgroup.controllers"))
	return state != Known || contains(strings.Join(strings.Fields(have), ","), name)
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
func (e Env) below(m mount, group string, v2 bool) cgroup {
	g := cgroup{env: e, v2: v2}
	rel, inside := group, !strings.HasPrefix(group+"/", "/../")
	if m.root != "/" && inside {
		rel, inside = strings.CutPrefix(group+"/", strings.TrimSuffix(m.root, "/")+"/")
	}
	if !inside {
		g.outside = true
		return g
	}
	for p := path.Clean("/" + rel); ; p = path.Dir(p) {
		g.dirs = append(g.dirs, path.Join(m.point, p))
		if p == "/" {
			break
		}
	}
	if v2 { // the root of the machine is the one group without a type
		_, state := e.text(path.Join(m.point, "cgroup.type"))
		g.inner = state == Known
	} else {
		g.inner = m.root != "/"
	}
	return g
}

// limits folds the values of a file over a group's directories. Zero is a limit only where zero makes sense.
type limits struct {
	min     int64
	from    string
	found   bool
	present bool // the file was there at some level
	broken  string
	denied  string
}

func (l *limits) add(s string, state State, from string, zero bool) {
	switch {
	case state == Denied:
		l.denied = from
		return
	case state != Known:
		return
	}
	l.present = true
	if s == "max" || s == "-1" {
		return
	}
	v, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil || v < 0 || v == 0 && !zero:
		l.broken = from
	case !l.found || v < l.min:
		l.min, l.from, l.found = v, from, true
	}
}

// fact turns the fold into a fact. What is at or above the machine's own total is no limit: version 1 writes "none" as 2^63
// rounded down to a page.
func (l limits) fact(g cgroup, file string, total int64) Fact[int64] {
	doubt := ""
	switch {
	case l.broken != "":
		doubt = l.broken + " makes no sense"
	case l.denied != "":
		doubt = l.denied + " may not be read"
	case g.inner:
		doubt = "limits above this container's group cannot be seen"
	}
	switch {
	case l.found && l.min < total:
		f := Is(l.min, l.from)
		if l.broken != "" || l.denied != "" {
			f.Note = doubt
		}
		return f
	case g.outside:
		return Fact[int64]{State: Denied, Source: "cgroup", Note: "the server's group cannot be seen from here"}
	case l.broken != "":
		return Fact[int64]{State: Implausible, Source: l.broken}
	case l.denied != "":
		return Fact[int64]{State: Denied, Source: l.denied}
	}
	return Fact[int64]{State: Unlimited, Source: path.Join(g.dirs[0], file), Note: doubt}
}

// limit is the smallest value of a file up the tree.
func (g cgroup) limit(file string, total int64, zero bool) Fact[int64] {
	var l limits
	for _, dir := range g.dirs {
		name := path.Join(dir, file)
		s, state := g.env.text(name)
		l.add(s, state, name, zero)
	}
	return l.fact(g, file, total)
}

// limitV1 is version 1's memory limit: the kernel's own smallest one of memory.stat, else the walk up as long as the groups
// are hierarchical.
func (g cgroup) limitV1(file, stat string, total int64) Fact[int64] {
	var l limits
	for i, dir := range g.dirs {
		name := path.Join(dir, file)
		s, state := g.env.text(name)
		l.add(s, state, name, false)
		if i == 0 {
			text, state := g.env.text(path.Join(dir, "memory.stat"))
			for line := range strings.Lines(text) {
				if v, ok := strings.CutPrefix(line, stat+" "); ok {
					l.add(strings.TrimSpace(v), state, path.Join(dir, "memory.stat"), false)
				}
			}
		}
		if s, state := g.env.text(path.Join(dir, "memory.use_hierarchy")); state == Known && s == "0" {
			break
		}
	}
	return l.fact(g, file, total)
}

// quota is the smallest CPU quota up the tree, in CPUs.
func (g cgroup) quota() Fact[float64] {
	best := Fact[float64]{State: Unlimited, Source: "cgroup"}
	if g.outside {
		return Fact[float64]{State: Denied, Source: "cgroup", Note: "the server's group cannot be seen from here"}
	}
	if g.inner {
		best.Note = "quotas above this container's group cannot be seen"
	}
	for _, dir := range g.dirs {
		q := g.quotaOf(dir)
		if q.OK() && (!best.OK() || q.Value < best.Value) {
			best = q
		}
		if !q.OK() && !best.OK() && (q.State == Denied || q.State == Implausible) {
			best = q
		}
	}
	return best
}

func (g cgroup) quotaOf(dir string) Fact[float64] {
	name := path.Join(dir, "cpu.max")
	if !g.v2 {
		name = path.Join(dir, "cpu.cfs_quota_us")
	}
	s, state := g.env.text(name)
	fields := strings.Fields(s)
	if state == Known && !g.v2 {
		period, _ := g.env.text(path.Join(dir, "cpu.cfs_period_us"))
		fields = append(fields, period)
	}
	f := Fact[float64]{State: state, Source: name}
	switch {
	case state != Known:
		return f
	case len(fields) > 0 && (fields[0] == "max" || fields[0] == "-1"):
		f.State = Unlimited
		return f
	case len(fields) != 2:
		f.State = Implausible
		return f
	}
	q, err := strconv.ParseFloat(fields[0], 64)
	p, err2 := strconv.ParseFloat(fields[1], 64)
	if err != nil || err2 != nil || !(q > 0) || !(p > 0) {
		f.State = Implausible
		return f
	}
	f.Value = q / p
	return f
}

// cpuset is the CPUs that the nearest group with a cpuset gives.
func (g cgroup) cpuset() Fact[map[int]bool] {
	files := []string{"cpuset.cpus.effective"}
	if !g.v2 {
		files = []string{"cpuset.effective_cpus", "cpuset.cpus"}
	}
	for _, dir := range g.dirs {
		for _, file := range files {
			if f := g.env.listFact(path.Join(dir, file)); f.State != Absent {
				return f
			}
		}
	}
	if g.outside {
		return Fact[map[int]bool]{State: Denied, Source: "cgroup"}
	}
	return Fact[map[int]bool]{State: Absent, Source: "cgroup"}
}
