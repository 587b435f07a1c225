package cluster

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// kernel is where /proc and the mounted control groups are found: at its root, "" but in tests.
type kernel struct{ root string }

func (k kernel) path(elem ...string) string { return k.root + filepath.Join(elem...) }

// hierarchy is a mounted tree of control groups.
type hierarchy struct {
	point, root string // mount point, and the group that is its root
	v2          bool
	controllers string // version 1: the mount's options
}

// makeGroups makes a control group with the limits of a shape for every controller it needs, below pgfit's own group in
// version 1, below the root in version 2, where a group with processes of its own cannot have limited children. Each
// controller is looked for by itself: a host can have memory in version 1 and something else in version 2.
func (k kernel) makeGroups(name string, sh Shape) (dirs []string, err error) {
	limits := map[string]bool{"memory": sh.Memory > 0, "cpu": sh.CPUs > 0}
	for _, controller := range []string{"memory", "cpu"} {
		if !limits[controller] {
			continue
		}
		dir, v2, err := k.makeGroup(name, controller)
		if err == nil {
			dirs = append(dirs, dir)
			err = limit(dir, controller, v2, sh)
		}
		if err != nil {
			return nil, errors.Join(err, removeGroups(unique(dirs)))
		}
	}
	return unique(dirs), nil
}

func unique(dirs []string) []string {
	if len(dirs) == 2 && dirs[0] == dirs[1] { // version 2: one group for all
		return dirs[:1]
	}
	return dirs
}

func (k kernel) makeGroup(name, controller string) (dir string, v2 bool, err error) {
	h, own, err := k.find(controller)
	if err != nil {
		return "", false, err
	}
	parent := k.path(h.point)
	if h.v2 {
		_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+controller), 0o644) // mostly on already
	} else if rel, ok := strings.CutPrefix(own, strings.TrimSuffix(h.root, "/")); ok {
		parent = filepath.Join(parent, rel)
	}
	dir = filepath.Join(parent, name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", h.v2, err
	}
	if h.v2 && !listed(filepath.Join(dir, "cgroup.controllers"), controller) {
		return "", true, errors.Join(fmt.Errorf("%s does not hand the controller %s down, as in a container whose group has processes of its own", h.point, controller),
			removeGroups([]string{dir}))
	}
	return dir, h.v2, nil
}

// limit writes the limit of one controller.
func limit(dir, controller string, v2 bool, sh Shape) error {
	files := [][2]string{}
	switch {
	case controller == "memory" && v2:
		files = append(files, [2]string{"memory.max", strconv.FormatInt(sh.Memory, 10)})
		_ = os.WriteFile(filepath.Join(dir, "memory.swap.max"), []byte("0"), 0o644) // not there without swap accounting
	case controller == "memory":
		files = append(files, [2]string{"memory.limit_in_bytes", strconv.FormatInt(sh.Memory, 10)})
		defer func() { // with swap as without: none; not there without swap accounting, and not to be lower than the limit
			_ = os.WriteFile(filepath.Join(dir, "memory.memsw.limit_in_bytes"), []byte(strconv.FormatInt(sh.Memory, 10)), 0o644)
		}()
	case v2:
		files = append(files, [2]string{"cpu.max", fmt.Sprintf("%.0f %d", sh.CPUs*cpuPeriod, cpuPeriod)})
	default:
		files = append(files, [2]string{"cpu.cfs_period_us", strconv.Itoa(cpuPeriod)}, [2]string{"cpu.cfs_quota_us", fmt.Sprintf("%.0f", sh.CPUs*cpuPeriod)})
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f[0]), []byte(f[1]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// find looks for the hierarchy of a controller and pgfit's own group in it.
func (k kernel) find(controller string) (h hierarchy, own string, err error) {
	groups, err := os.ReadFile(k.path("/proc/self/cgroup"))
	if err != nil {
		return h, "", errors.New("this system has no control groups")
	}
	all, err := k.hierarchies()
	if err != nil {
		return h, "", err
	}
	for _, v1 := range []bool{true, false} {
		for line := range strings.Lines(string(groups)) {
			parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
			if len(parts) != 3 || v1 != word(parts[1], controller) || !v1 && parts[1] != "" {
				continue
			}
			for _, h := range all {
				if v1 && !h.v2 && word(h.controllers, controller) || !v1 && h.v2 && listed(k.path(h.point, "cgroup.controllers"), controller) {
					return h, parts[2], nil
				}
			}
		}
	}
	return h, "", fmt.Errorf("no control group hierarchy with the controller %s is mounted", controller)
}

// listed tells whether a file of version 2 that lists controllers has one.
func listed(file, controller string) bool {
	have, _ := os.ReadFile(file)
	return word(strings.ReplaceAll(strings.TrimSpace(string(have)), " ", ","), controller)
}

// inForce tells what of a shape a process is not kept within, by the groups of version 2 that it is in. A service manager
// that was not given a controller takes its limits without a word and does nothing.
func (k kernel) inForce(pid int, sh Shape) error {
	groups, err := os.ReadFile(k.path("/proc", strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return err
	}
	all, err := k.hierarchies()
	if err != nil {
		return err
	}
	memory, cpus := false, false
	for line := range strings.Lines(string(groups)) {
		group, v2 := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for _, h := range all {
			if !v2 || !h.v2 {
				continue
			}
			rel, ok := strings.CutPrefix(group, strings.TrimSuffix(h.root, "/"))
			for dir := filepath.Clean("/" + rel); ok; dir = filepath.Dir(dir) {
				memory = memory || first(k.path(h.point, dir, "memory.max"), 1) <= float64(sh.Memory)
				cpus = cpus || first(k.path(h.point, dir, "cpu.max"), cpuPeriod) <= sh.CPUs*1.001
				ok = dir != "/"
			}
		}
	}
	var missing []string
	if sh.Memory > 0 && !memory {
		missing = append(missing, "memory")
	}
	if sh.CPUs > 0 && !cpus {
		missing = append(missing, "cpu")
	}
	if len(missing) > 0 {
		return fmt.Errorf("the limit is not in force: the user's service manager has no controller %s (systemd hands it on with Delegate= of user@.service, in version 2 only)",
			strings.Join(missing, ", "))
	}
	return nil
}

// first is the first number of a limit's file over the second one, or over one where there is none; +Inf without a limit.
func first(file string, one float64) float64 {
	text, _ := os.ReadFile(file)
	f := strings.Fields(string(text))
	if len(f) == 0 {
		return math.Inf(1)
	}
	v, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		return math.Inf(1)
	}
	if len(f) > 1 {
		if period, err := strconv.ParseFloat(f[1], 64); err == nil && period > 0 {
			one = period
		}
	}
	return v / one
}

// hierarchies reads /proc/self/mountinfo (proc(5)).
func (k kernel) hierarchies() ([]hierarchy, error) {
	text, err := os.ReadFile(k.path("/proc/self/mountinfo"))
	if err != nil {
		return nil, err
	}
	var out []hierarchy
	for line := range strings.Lines(string(text)) {
		head, tail, ok := strings.Cut(line, " - ")
		a, b := strings.Fields(head), strings.Fields(tail)
		if !ok || len(a) < 5 || len(b) < 3 || b[0] != "cgroup" && b[0] != "cgroup2" {
			continue
		}
		out = append(out, hierarchy{root: a[3], point: a[4], v2: b[0] == "cgroup2", controllers: b[2]})
	}
	return out, nil
}

func word(list, want string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == want {
			return true
		}
	}
	return false
}
