package pgconf

import (
	"path"
	"slices"
	"strings"
)

// Relocated is the file as it has to read below another root directory: absolute paths of include directives get root in
// front, and settings named in without are commented out. The file itself stays as it is.
func (f *File) Relocated(root string, without []string) []byte {
	var b strings.Builder
	for _, l := range f.lines {
		switch {
		case l.Directive() && path.IsAbs(l.Value):
			b.WriteString(l.Text[:l.value.from] + Quote(root+path.Clean(l.Value)) + l.Text[l.value.to:])
		case l.Kind == Entry && slices.ContainsFunc(without, func(name string) bool { return SameName(name, l.Name) }):
			b.WriteString("#" + l.Text)
		default:
			b.WriteString(l.Text)
		}
	}
	return []byte(b.String())
}

// IncludeDirs are the directories that the files of the tree include, whether anything lies in them or not.
func (t *Tree) IncludeDirs() []string {
	var dirs []string
	for _, f := range t.order {
		for _, l := range f.lines {
			if l.Directive() && canonical(l.Name) == includeDir {
				dirs = append(dirs, resolve(f, l.Value))
			}
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}
