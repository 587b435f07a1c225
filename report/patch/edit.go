package patch

import (
	"path"
	"strings"

	"pgfit/probe/pgconf"
	"pgfit/report/unified"
)

// edit makes the changes in the files and writes the two diffs.
func (m *maker) edit() error {
	if len(m.out.Applied) == 0 {
		return nil
	}
	if m.tree == nil {
		return m.dropIn()
	}
	before := map[*pgconf.File][]byte{}
	for _, f := range m.tree.Files() {
		before[f] = f.Bytes()
	}
	for i := range m.out.Applied {
		if err := m.editOne(&m.out.Applied[i]); err != nil {
			return err
		}
	}
	for _, f := range m.tree.Files() {
		if after := f.Bytes(); string(after) != string(before[f]) {
			m.out.Files = append(m.out.Files, FileEdit{Path: f.Path, Before: before[f], After: after})
		}
	}
	m.relate()
	m.diff()
	return nil
}

// editOne leaves a change to the statements when the line in force is in a file that could not be read: an edit of
// another file would have no effect.
func (m *maker) editOne(a *Applied) error {
	if _, hidden := m.hidden(a.Name); hidden {
		_, err := pgconf.Parse("", nil).Set(a.Name, a.Value) // can a file hold it at all?
		return err
	}
	p, e, err := m.tree.Set(a.Name, a.Value)
	if err != nil {
		return err
	}
	a.File, a.Line, a.Way = p.File.Path, p.Line, e.Way
	return nil
}

// relate names the files relative to the directory of the main file, or, when one of them lies elsewhere, to the nearest
// directory above them all: neither patch nor git takes a name that begins with "..".
func (m *maker) relate() {
	m.out.Dir = path.Dir(m.tree.Main.Path)
	for _, f := range m.out.Files {
		for !under(m.out.Dir, f.Path) {
			m.out.Dir = path.Dir(m.out.Dir)
		}
	}
	for i := range m.out.Files {
		f := &m.out.Files[i]
		f.Name = f.Path
		if m.out.Dir != "." {
			f.Name = strings.TrimPrefix(strings.TrimPrefix(f.Path, m.out.Dir), "/")
		}
	}
}

func under(dir, file string) bool {
	return dir == "." || dir == "/" || strings.HasPrefix(file, dir+"/")
}

// diff writes both directions. Git names the files a/ and b/, and so do we.
func (m *maker) diff() {
	for i, f := range m.out.Files {
		from, to := unified.Label("a/", f.Name), unified.Label("b/", f.Name)
		back, forth := from, to
		if f.Before == nil {
			from, forth = "/dev/null", "/dev/null"
		}
		diff, ok := unified.Sparing(from, to, string(f.Before), string(f.After))
		rollback, ok2 := unified.Sparing(back, forth, string(f.After), string(f.Before))
		if !ok || !ok2 {
			m.out.Files[i].Withheld = true
			m.note(f.Path + ": a change stands in or beside a line with a secret, which no patch may hold; the statements have it")
			continue
		}
		m.out.Diff, m.out.Rollback = append(m.out.Diff, diff...), append(m.out.Rollback, rollback...)
	}
}
