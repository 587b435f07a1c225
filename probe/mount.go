package probe

import (
	"os"
	"path"
	"strconv"
	"strings"
)

// mount is one row of mountinfo (proc(5)).
type mount struct {
	id, device     string // device is major:minor
	root, point    string
	options, super string
	fsType, source string
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// mounts reads a process's mountinfo. Rows that cannot be read are passed over.
func (e Env) mounts(pid string) []mount {
	s, _ := e.text(procFile(pid, "mountinfo"))
	var out []mount
	for line := range strings.Lines(s) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ") // behind any number of optional fields
		f, g := strings.Fields(before), strings.SplitN(after, " ", 3)    // super options may hold blanks
		if !ok || len(f) < 6 || len(g) < 3 {
			continue
		}
		out = append(out, mount{id: f[0], device: f[2], root: unescape.Replace(f[3]), point: unescape.Replace(f[4]), options: f[5],
			fsType: g[0], source: unescape.Replace(g[1]), super: g[2]})
	}
	return out
}

// mountOf is the mount that a directory lies on: the one that the kernel numbers for it, else the longest mount point on
// the way to it, of equals the last, which hides the others. dir is the server's name for it, seen ours.
func (e Env) mountOf(mounts []mount, dir, seen string) (mount, bool) {
	if e.MountID != nil {
		if id, ok := e.MountID(seen); ok {
			for _, m := range mounts {
				if m.id == id {
					return m, true
				}
			}
		}
	}
	var best mount
	found := false
	dir = path.Clean(dir)
	for _, m := range mounts {
		inside := m.point == "/" || dir == m.point || strings.HasPrefix(dir, m.point+"/")
		if inside && (!found || len(m.point) >= len(best.point)) {
			best, found = m, true
		}
	}
	return best, found
}

// mountID asks the kernel on which mount a directory of this machine lies: the line mnt_id of an open file (proc(5)).
func mountID(dir string) (string, bool) {
	f, err := os.Open(dir)
	if err != nil {
		return "", false
	}
	defer f.Close()
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			return strings.TrimSpace(id), true
		}
	}
	return "", false
}

// SameMount tells whether two directories of this machine lie on one mount; known is false where the kernel does not say.
func SameMount(a, b string) (same, known bool) {
	x, ok := mountID(a)
	y, ok2 := mountID(b)
	return x == y, ok && ok2
}
