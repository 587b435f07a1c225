package probe

import (
	"path"
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
	s, _ := text(e.proc(pid, "mountinfo"))
	var out []mount
	for line := range strings.Lines(s) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ") // behind any number of optional fields
		f, g := strings.Fields(before), strings.SplitN(after, " ", 3)
		if !ok || len(f) < 6 || len(g) < 3 {
			continue
		}
		out = append(out, mount{id: f[0], device: f[2], root: unescape.Replace(f[3]), point: unescape.Replace(f[4]), options: f[5],
			fsType: g[0], source: unescape.Replace(g[1]), super: g[2]})
	}
	return out
}

// mountOf is the mount that a path lies on: the longest mount point on the way to it, of equals the last.
func mountOf(mounts []mount, p string) (mount, bool) {
	var best mount
	found := false
	p = path.Clean(p)
	for _, m := range mounts {
		inside := m.point == "/" || p == m.point || strings.HasPrefix(p, m.point+"/")
		if inside && (!found || len(m.point) >= len(best.point)) {
			best, found = m, true
		}
	}
	return best, found
}
