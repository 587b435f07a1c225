package probe

import (
	"context"
	"errors"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"
)

// poolTime bounds the question to ZFS.
const poolTime = 2 * time.Second

// poolStatus asks ZFS on this machine for the members of a pool.
func poolStatus(pool string) (string, error) {
	program, err := exec.LookPath("zpool")
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} { // rarely on an ordinary user's path
		if err != nil {
			program, err = exec.LookPath(path.Join(dir, "zpool"))
		}
	}
	if err != nil {
		return "", errors.New("there is no zpool here to ask")
	}
	ctx, cancel := context.WithTimeout(context.Background(), poolTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "status", "-LP", "--", pool)
	cmd.Env, cmd.WaitDelay = []string{"LC_ALL=C"}, poolTime
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", errors.New("zpool status did not answer in " + poolTime.String())
	case errors.As(err, &exit):
		first, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
		return "", errors.New("zpool status: " + nonBlank(exit.Error(), first))
	}
	return string(out), err
}

// vdev is a row below a pool in the table of zpool status.
type vdev struct {
	name  string
	state string // ONLINE, DEGRADED, ...; "" where the row has none that is known
	class string // "" for the pool's data, else logs, cache, special, dedup or spares
	leaf  bool   // a device or a file; else a group such as mirror-0
}

// serves tells whether the device holds data now.
func (v vdev) serves() bool { return v.leaf && (v.state == "ONLINE" || v.state == "DEGRADED") }

// vdevStates are the words of the table's second column (zpoolconcepts(7)).
const vdevStates = "ONLINE,DEGRADED,FAULTED,OFFLINE,REMOVED,UNAVAIL,SPLIT,AVAIL,INUSE"

// parsePool reads the table of the first pool in the output of zpool status. Indentation says what belongs to what: the
// pool and the headings of its classes stand below NAME, groups and devices to the right of them.
func parsePool(text string) []vdev {
	var out []vdev
	margin, class, depth := -1, "", 0
	named := false // the pool's own row is behind us
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		indent := indentation(line)
		switch {
		case len(fields) == 0:
			continue
		case margin < 0:
			if len(fields) > 1 && fields[0] == "NAME" && fields[1] == "STATE" {
				margin = indent
			}
			continue
		case indent < margin || fields[0] == "errors:":
			return out
		case indent == margin:
			if class = fields[0]; !named {
				class, named = "", true
			}
			depth = indent
			continue
		}
		if n := len(out); n > 0 && depth > margin && indent > depth {
			out[n-1].leaf = false
		}
		v := vdev{name: fields[0], class: class, leaf: true}
		if len(fields) > 1 && contains(vdevStates, fields[1]) {
			v.state = fields[1]
		}
		out, depth = append(out, v), indent
	}
	return out
}

// indentation counts the columns before a line's text.
func indentation(line string) (n int) {
	for _, r := range line {
		switch r {
		case ' ':
			n++
		case '\t':
			n += 8 - n%8
		default:
			return n
		}
	}
	return n
}

// zfs finds the disks of a pool by asking ZFS, since the kernel does not say. A pool is as fast as the worst of its data
// devices, but for what log, cache and special devices take on themselves.
func (e Env) zfs(s *Storage, m mount, depth int) {
	const blind = "ZFS does not name its disks in /sys: "
	if e.Pool == nil {
		s.Evidence = []string{blind + "zpool status -LP on its machine shows them"}
		return
	}
	pool, _, _ := strings.Cut(m.source, "/")
	pool, _, _ = strings.Cut(pool, "@")
	text, err := e.Pool(pool)
	if err != nil {
		s.Evidence = []string{blind + err.Error()}
		return
	}
	aside := map[string]*Storage{} // by class
	var order []string
	missing := false
	for _, v := range parsePool(text) {
		switch {
		case v.class == "spares":
		case !v.leaf:
			if kind := groupKind(v.name); kind != "" && v.class == "" && !slices.Contains(s.Layers, kind) {
				s.Layers = append(s.Layers, kind)
			}
		case v.class == "":
			missing = missing || !e.member(s, v, depth)
		default:
			if aside[v.class] == nil {
				aside[v.class], order = &Storage{}, append(order, v.class)
			}
			e.member(aside[v.class], v, depth)
		}
	}
	s.Layers = append([]string{"zfs"}, s.Layers...)
	if s.Class, s.Evidence = e.classify(*s); missing {
		s.Class, s.Evidence = UnknownClass, append(s.Evidence, "a member of the pool is not to be found among the disks")
	}
	for _, name := range order {
		e.besides(s, name, *aside[name])
	}
}

// groupKind is mirror for mirror-0; "" for the groups of a repair that is going on.
func groupKind(name string) string {
	kind := name
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		kind = name[:i]
	}
	if contains("replacing,spare,indirect", kind) {
		return ""
	}
	return kind
}

// member follows one device or file of a pool to its disk. It is false for one that serves and cannot be found.
func (e Env) member(s *Storage, v vdev, depth int) bool {
	name, device := strings.CutPrefix(v.name, "/dev/")
	switch {
	case !v.serves() && v.state != "" || strings.HasPrefix(v.name, "draid"): // gone; a spare that is spread over the others
		return true
	case v.state == "" || !path.IsAbs(v.name):
		return false
	case device:
		name = strings.ReplaceAll(name, "/", "!")
		if e.exists(path.Join(block, name)) {
			e.descend(s, name, map[string]bool{}, depth)
			return true
		}
		return false
	}
	return e.onFile(s, v.name, map[string]bool{}, depth)
}

// besides adds what a pool's log, cache or special devices are. Where they are of another kind than the data, neither tells
// how fast the pool is.
func (e Env) besides(s *Storage, class string, aux Storage) {
	names := make([]string, 0, len(aux.Leaves))
	for _, d := range aux.Leaves {
		names = append(names, d.Name)
	}
	s.Layers = append(s.Layers, strings.TrimSpace("zfs "+class+" "+strings.Join(names, " ")))
	if kind, _ := e.classify(aux); s.Class != UnknownClass && kind != s.Class {
		s.Class, s.Evidence = Hybrid, append(s.Evidence, class+" of the pool lie on another kind of disk: only a measurement tells")
	}
}
