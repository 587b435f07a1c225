package pgconf

import (
	"path"
	"slices"
)

// Files are the files of the tree in the order in which they were first read, postgresql.auto.conf last.
func (t *Tree) Files() []*File {
	all := slices.Clone(t.order)
	if t.Auto != nil {
		all = append(all, t.Auto)
	}
	return all
}

// File is the file with that path, nil when the tree has none. Paths may be written as servers up to 14 show them, with ..
// in their middle.
func (t *Tree) File(name string) *File {
	for _, f := range t.Files() {
		if path.Clean(f.Path) == path.Clean(name) {
			return f
		}
	}
	return nil
}

// Places are all lines that set something, in the order in which the server reads them: pg_file_settings without its
// errors. A file that is included twice is there twice.
func (t *Tree) Places() []Place {
	t.reads = 0
	all := t.walk(nil, t.Main, []string{t.Main.Path})
	if t.Auto != nil {
		for i, l := range t.Auto.lines {
			if l.Kind == Entry && !l.Directive() {
				all = append(all, Place{File: t.Auto, Line: i + 1, Name: l.Name, Value: l.Value, Auto: true})
			}
		}
	}
	return all
}

func (t *Tree) walk(all []Place, f *File, stack []string) []Place {
	if t.reads++; t.reads > maxReads {
		return all
	}
	for i, l := range f.lines {
		switch {
		case l.Directive():
			for _, name := range t.targets(f, l) {
				if next := t.files[name]; next != nil && !slices.Contains(stack, name) && len(stack) <= maxDepth {
					all = t.walk(all, next, append(slices.Clone(stack), name))
				}
			}
		case l.Kind == Entry:
			all = append(all, Place{File: f, Line: i + 1, Name: l.Name, Value: l.Value})
		}
	}
	return all
}

// InForce is the line that decides the value of name, postgresql.auto.conf included; false when no file sets it. The
// command line and ALTER ROLE or DATABASE can still override it.
func (t *Tree) InForce(name string) (Place, bool) { return t.last(name, true) }

// Editable is the line that decides among the files a person edits, postgresql.auto.conf left out.
func (t *Tree) Editable(name string) (Place, bool) { return t.last(name, false) }

func (t *Tree) last(name string, auto bool) (Place, bool) {
	for _, p := range slices.Backward(t.Places()) {
		if (auto || !p.Auto) && SameName(p.Name, name) {
			return p, true
		}
	}
	return Place{}, false
}

// Set gives name the value in the file a person would edit: the line in force, in whichever file it stands; else a
// commented default, the main file's first; else the block at the end of the main file. postgresql.auto.conf is left
// alone, so InForce tells afterwards whether the edit has an effect.
func (t *Tree) Set(name, value string) (Place, Edit, error) {
	file := t.Main
	edit, err := Edit{}, error(nil)
	if p, ok := t.Editable(name); ok {
		file = p.File
		edit, err = file.SetLine(p.Line, name, value)
	} else {
		for _, f := range t.order {
			if f.Default(name) > 0 {
				file = f
				break
			}
		}
		edit, err = file.Set(name, value)
	}
	if err != nil {
		return Place{}, Edit{}, err
	}
	return Place{File: file, Line: edit.Line, Name: name, Value: value}, edit, nil
}
