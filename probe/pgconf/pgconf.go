// Package pgconf reads and edits postgresql.conf without losing a byte: whatever is parsed prints as it was, and an edit
// changes one value on one line, or adds lines in one marked block. It knows the server's own lexical rules
// (guc-file.l), which line is in force, and how includes are followed. It refuses to know what a setting means: units,
// ranges and good values belong elsewhere, and it neither opens nor writes a file by itself.
package pgconf

import (
	"strings"
)

// Kind tells what a line is to the server.
type Kind int

// The kinds of line.
const (
	Blank     Kind = iota // nothing but white space
	Comment               // words behind a #
	Commented             // a setting behind a #, such as the defaults of the stock file
	Entry                 // name and value; include directives are entries too
	Broken                // a syntax error: one such line and the server applies nothing
)

// Line is one line of a file. Name and Value are set for entries and commented entries; Value is what the server takes,
// without quotes and escapes.
type Line struct {
	Text  string // as it stands, with its line end if it has one
	Kind  Kind
	Name  string // as written
	Value string
	name  span // of the name
	value span // of the value with its quotes
}

// span is a part of Line.Text in bytes.
type span struct{ from, to int }

// File is one configuration file.
type File struct {
	Path  string
	lines []Line
}

// Parse takes any bytes at all. Lines that the server would refuse are kept and have Kind Broken.
func Parse(path string, data []byte) *File {
	f := &File{Path: path}
	for text := range strings.Lines(string(data)) {
		f.lines = append(f.lines, parseLine(text))
	}
	return f
}

// Bytes is the file as it is now; straight after Parse it is what Parse was given.
func (f *File) Bytes() []byte {
	var b strings.Builder
	for _, l := range f.lines {
		b.WriteString(l.Text)
	}
	return []byte(b.String())
}

// Lines are the lines of the file, line 1 first.
func (f *File) Lines() []Line { return append([]Line(nil), f.lines...) }

// Line is line n, counted from 1 as pg_settings.sourceline does; false when there is none.
func (f *File) Line(n int) (Line, bool) {
	if n < 1 || n > len(f.lines) {
		return Line{}, false
	}
	return f.lines[n-1], true
}

// Find is the number of the last line of this file that sets name, 0 when none does. The last line wins.
func (f *File) Find(name string) int {
	for i := len(f.lines) - 1; i >= 0; i-- {
		if f.lines[i].Kind == Entry && SameName(f.lines[i].Name, name) {
			return i + 1
		}
	}
	return 0
}

// Default is the number of the first line that has name commented out, 0 when none has.
func (f *File) Default(name string) int {
	for i, l := range f.lines {
		if l.Kind == Commented && SameName(l.Name, name) {
			return i + 1
		}
	}
	return 0
}

// SameName tells whether the server takes two names for the same setting: ASCII letters compare without case, and two
// old names are still understood (guc.c, map_old_guc_names).
func SameName(a, b string) bool { return canonical(a) == canonical(b) }

var oldNames = map[string]string{"sort_mem": "work_mem", "vacuum_mem": "maintenance_work_mem"}

func canonical(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	if now, ok := oldNames[string(b)]; ok {
		return now
	}
	return string(b)
}

// The directives. They look like settings and are none.
const (
	include         = "include"
	includeIfExists = "include_if_exists"
	includeDir      = "include_dir"
)

// Directive tells whether the line includes other files.
func (l Line) Directive() bool { return l.Kind == Entry && isDirective(l.Name) }

func isDirective(name string) bool {
	switch canonical(name) {
	case include, includeIfExists, includeDir:
		return true
	}
	return false
}
