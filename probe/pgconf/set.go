package pgconf

import (
	"errors"
	"fmt"
	"strings"
)

// Way is how an edit was made.
type Way string

// The ways of an edit.
const (
	Unchanged   Way = "unchanged"   // the line says so already
	Changed     Way = "changed"     // the value on the line in force
	Uncommented Way = "uncommented" // a commented default, where it stands
	Added       Way = "added"       // a new line in pgfit's block
)

// Edit is what Set did. Line counts from 1 in the file as it is after the edit; Old is the value that was there.
type Edit struct {
	Line int
	Way  Way
	Old  string
}

// The lines around what pgfit adds. A later run finds the block by them and adds to it.
const (
	BlockBegin = "# pgfit: begin"
	BlockEnd   = "# pgfit: end"
)

var (
	// ErrValue is returned for a name or value that no line of postgresql.conf can hold.
	ErrValue = errors.New("cannot stand in postgresql.conf")
	// ErrMoved is returned when a line is not what pg_settings said: the file has changed since.
	ErrMoved = errors.New("does not set it: the file has changed since the server read it")
)

// Set gives name the value, with the least change to this file: the last line that sets it keeps its spacing and
// comment and gets another value; else the first commented default is uncommented where it stands; else a line is added
// to the block at the end. It looks at this file alone; Tree.Set also at the files it includes.
func (f *File) Set(name, value string) (Edit, error) {
	if err := check(name, value); err != nil {
		return Edit{}, err
	}
	if n := f.Find(name); n > 0 {
		return f.change(n, value), nil
	}
	if n := f.Default(name); n > 0 {
		return f.uncomment(n, value), nil
	}
	return f.add(name, value), nil
}

// SetLine changes the value on line n, as pg_settings.sourceline names it, and refuses with ErrMoved when that line does
// not set name.
func (f *File) SetLine(n int, name, value string) (Edit, error) {
	if err := check(name, value); err != nil {
		return Edit{}, err
	}
	if l, ok := f.Line(n); !ok || l.Kind != Entry || !SameName(l.Name, name) {
		return Edit{}, fmt.Errorf("%s line %d: %s: %w", f.Path, n, name, ErrMoved)
	}
	return f.change(n, value), nil
}

// check refuses names that would read back as something else, and the zero byte.
func check(name, value string) error {
	s := scanner{text: name}
	tok, from := s.next()
	if from != 0 || s.pos != len(name) || tok != tokID && tok != tokQualified || isDirective(name) {
		return fmt.Errorf("setting %q: the name %w", name, ErrValue)
	}
	if strings.IndexByte(value, 0) >= 0 {
		return fmt.Errorf("%s = %q: a zero byte %w", name, value, ErrValue)
	}
	return nil
}

func (f *File) change(n int, value string) Edit {
	l := &f.lines[n-1]
	e := Edit{Line: n, Way: Changed, Old: l.Value}
	if l.Value == value {
		e.Way = Unchanged
		return e
	}
	*l = parseLine(l.Text[:l.value.from] + l.rewrite(value) + l.Text[l.value.to:])
	return e
}

// rewrite is the new value in the manner of the old one: quotes stay, and where the line has nothing between name and
// value, as in work_mem'4MB' or port+5432, a bare value gets its equals sign, since it would run into the name.
func (l Line) rewrite(value string) string {
	switch text := Quote(value); {
	case l.Text[l.value.from] == '\'':
		return quoted(value)
	case l.value.from == l.name.to && text[0] != '\'':
		return " = " + text
	default:
		return text
	}
}

// uncomment keeps what stands in front of the # and behind the value.
func (f *File) uncomment(n int, value string) Edit {
	l := &f.lines[n-1]
	e := Edit{Line: n, Way: Uncommented, Old: l.Value}
	indent := l.Text[:strings.IndexByte(l.Text, '#')]
	*l = parseLine(indent + l.Text[l.name.from:l.value.from] + l.rewrite(value) + l.Text[l.value.to:])
	return e
}

// add puts a line before the end of pgfit's block, which is made at the end of the file where there is none.
func (f *File) add(name, value string) Edit {
	eol := f.eol()
	line := parseLine(name + " = " + Quote(value) + eol)
	if at := f.block(); at > 0 {
		f.lines = append(f.lines[:at:at], append([]Line{line}, f.lines[at:]...)...)
		return Edit{Line: at + 1, Way: Added}
	}
	if n := len(f.lines); n > 0 {
		last := f.lines[n-1]
		if !strings.HasSuffix(last.Text, "\n") {
			f.lines[n-1] = parseLine(last.Text + eol)
		}
		if last.Kind != Blank {
			f.lines = append(f.lines, parseLine(eol))
		}
	}
	f.lines = append(f.lines, parseLine(BlockBegin+eol), line, parseLine(BlockEnd+eol))
	return Edit{Line: len(f.lines) - 1, Way: Added}
}

// block is how many lines stand before the end of pgfit's block, 0 when the file has no whole block.
func (f *File) block() int {
	end := 0
	for i := len(f.lines) - 1; i >= 0; i-- {
		switch strings.TrimRight(f.lines[i].Text, " \t\r\n") {
		case BlockEnd:
			end = i
		case BlockBegin:
			if end > i {
				return end
			}
		}
	}
	return 0
}

// eol is the line end of the file's first line.
func (f *File) eol() string {
	if len(f.lines) > 0 && strings.HasSuffix(f.lines[0].Text, "\r\n") {
		return "\r\n"
	}
	return "\n"
}
