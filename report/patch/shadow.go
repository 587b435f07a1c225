package patch

import (
	"fmt"
	"path"
	"slices"

	"pgfit/probe"
	"pgfit/probe/pgconf"
)

// shadows finds what overrides the changes. The command line of a server that pgfit started does not count: it goes away
// with that server.
func (m *maker) shadows() {
	for _, a := range m.out.Applied {
		s := m.settings[a.Name]
		if !m.in.Server.Scratch && (s.Source == "command line" || s.Source == "environment variable") {
			m.shadow(a.Name, "the "+s.Source, "change the option where the server is started (for a container: the format docker-compose); "+
				"no file and no ALTER SYSTEM beats it")
		}
		if at, _, ok := m.auto(a.Name); ok {
			m.shadow(a.Name, at, "apply alter-system.sql instead, or run ALTER SYSTEM RESET "+a.Name+" beside the diff")
		}
		if at, ok := m.hidden(a.Name); ok {
			m.shadow(a.Name, at, "edit that line, which could not be read here, or apply alter-system.sql; the diff leaves this setting out")
		}
		if at, ok := m.behindDropIn(a.Name); ok {
			m.shadow(a.Name, at, "that line is read after the drop-in: edit it, or apply alter-system.sql")
		}
		for _, r := range m.in.Server.RoleSettings {
			if pgconf.SameName(r.Name, a.Name) {
				m.shadow(a.Name, roleStatement(r)+" = "+r.Value, "the new value does not reach those sessions: change it with "+roleStatement(r))
			}
		}
	}
}

func (m *maker) shadow(name, by, advice string) {
	m.out.Shadowed = append(m.out.Shadowed, Shadow{Name: name, By: by, Advice: advice})
}

func roleStatement(r probe.RoleSetting) string {
	switch {
	case r.Role == "" && r.Database == "":
		return "ALTER ROLE ALL SET " + r.Name
	case r.Role == "":
		return "ALTER DATABASE " + r.Database + " SET " + r.Name
	case r.Database == "":
		return "ALTER ROLE " + r.Role + " SET " + r.Name
	}
	return "ALTER ROLE " + r.Role + " IN DATABASE " + r.Database + " SET " + r.Name
}

// auto is the line of postgresql.auto.conf that sets name, and its value.
func (m *maker) auto(name string) (at, value string, ok bool) {
	if m.tree != nil && m.tree.Auto != nil {
		if n := m.tree.Auto.Find(name); n > 0 {
			l, _ := m.tree.Auto.Line(n)
			return fmt.Sprintf("%s:%d", pgconf.AutoConf, n), l.Value, true
		}
		return "", "", false
	}
	for _, l := range slices.Backward(m.in.Server.FileLines) {
		if path.Base(l.File) == pgconf.AutoConf && pgconf.SameName(l.Name, name) {
			return fmt.Sprintf("%s:%d", pgconf.AutoConf, l.Line), l.Value, true
		}
	}
	return "", "", false
}

// hidden is the line in force where the server says it stands in a file that the patch does not have.
func (m *maker) hidden(name string) (at string, ok bool) {
	if m.tree == nil || m.in.Server.Scratch {
		return "", false
	}
	for _, l := range slices.Backward(m.in.Server.FileLines) {
		if pgconf.SameName(l.Name, name) && path.Base(l.File) != pgconf.AutoConf {
			return fmt.Sprintf("%s:%d", l.File, l.Line), m.tree.File(l.File) == nil
		}
	}
	s := m.settings[name]
	if s.Source == "configuration file" && s.SourceFile != "" && path.Base(s.SourceFile) != pgconf.AutoConf && m.tree.File(s.SourceFile) == nil {
		return fmt.Sprintf("%s:%d", s.SourceFile, s.SourceLine), true
	}
	return "", false
}

// behindDropIn is a line that is read after the directory of the drop-in. It is known only where the server reads a file
// of that directory already.
func (m *maker) behindDropIn(name string) (at string, ok bool) {
	if m.out.DropIn == "" {
		return "", false
	}
	dir := path.Dir(m.out.Files[0].Path)
	inDir := false
	for _, l := range m.in.Server.FileLines {
		switch {
		case path.Dir(l.File) == dir:
			inDir = true
			if path.Base(l.File) > path.Base(m.out.DropIn) && pgconf.SameName(l.Name, name) {
				at = fmt.Sprintf("%s:%d", l.File, l.Line)
			}
		case inDir && path.Base(l.File) != pgconf.AutoConf && pgconf.SameName(l.Name, name):
			at = fmt.Sprintf("%s:%d", l.File, l.Line)
		}
	}
	return at, at != ""
}
