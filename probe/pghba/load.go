package pghba

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// ReadFile reads a file of the server. It returns an error that wraps fs.ErrNotExist where there is none.
type ReadFile func(path string) ([]byte, error)

// ReadDir lists the names of the files in a directory of the server, in any order.
type ReadDir func(path string) ([]string, error)

// record is one line of fields, or what is wrong with it.
type record struct {
	file        string
	first, last int
	fields      []Field
	err         string
}

// loader reads files into records.
type loader struct {
	major int
	read  ReadFile
	list  ReadDir
	files []File
}

// Load reads the main file with its @files and includes as a server of that major version would. Only a main file that
// cannot be read is an error; everything else is in the rules' Error.
func Load(main string, major int, read ReadFile, list ReadDir) (*Rules, error) {
	data, err := read(main)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", main, err)
	}
	l := &loader{major: major, read: read, list: list}
	out := &Rules{Main: main, Major: major}
	for _, rec := range l.tokenize(main, data, 0) {
		out.Rules = append(out.Rules, rec.rule(major))
	}
	out.Files = l.files
	return out, nil
}

// Parse reads one file on its own: files that it names count as missing.
func Parse(name string, data []byte, major int) *Rules {
	missing := func(p string) ([]byte, error) { return nil, fmt.Errorf("%s: %w", p, fs.ErrNotExist) }
	rules, err := Load(name, major, func(p string) ([]byte, error) {
		if p == name {
			return data, nil
		}
		return missing(p)
	}, func(p string) ([]string, error) { _, err := missing(p); return nil, err })
	if err != nil { // the one read cannot fail
		panic(err)
	}
	return rules
}

// tokenize is tokenize_auth_file of hba.c.
func (l *loader) tokenize(name string, data []byte, depth int) []record {
	if !slices.ContainsFunc(l.files, func(f File) bool { return f.Path == name }) {
		l.files = append(l.files, File{name, data})
	}
	var out []record
	for _, line := range logicalLines(data, l.major) {
		rec := record{file: name, first: line.first, last: line.last}
		s := &scanner{logical: line}
		for s.pos < len(s.text) && rec.err == "" {
			if f, ok := l.field(s, &rec, depth); ok {
				rec.fields = append(rec.fields, f)
			}
		}
		if len(rec.fields) == 0 && rec.err == "" {
			continue
		}
		more, isInclude := l.include(&rec, depth)
		out = append(out, more...)
		if !isInclude || rec.err != "" {
			out = append(out, rec)
		}
	}
	return out
}

// field is next_field_expand of hba.c: tokens joined by commas, an @file replaced by what is in it.
func (l *loader) field(s *scanner, rec *record, depth int) (f Field, ok bool) {
	for comma := true; comma && rec.err == ""; {
		var t Token
		var more bool
		var from, to int
		t, more, comma, from, to = s.token()
		if !more {
			break
		}
		if !ok {
			f.From = from
		}
		f.To, ok = to, true
		if !t.Quoted && len(t.Text) > 1 && t.Text[0] == '@' {
			f.Tokens = append(f.Tokens, l.expand(rec, t.Text[1:], depth)...)
		} else {
			f.Tokens = append(f.Tokens, t)
		}
	}
	return f, ok && len(f.Tokens) > 0
}

// expand is what an @file holds: all its tokens, lines and fields run together.
func (l *loader) expand(rec *record, name string, depth int) []Token {
	var all []Token
	for _, inner := range l.follow(rec, name, depth, false) {
		if inner.err != "" {
			rec.err = inner.err
			return nil
		}
		for _, f := range inner.fields {
			all = append(all, f.Tokens...)
		}
	}
	return all
}

// follow reads another file. A relative name counts from the directory of the file that names it.
func (l *loader) follow(rec *record, name string, depth int, mayMiss bool) []record {
	asked := name
	if !path.IsAbs(name) {
		name = path.Join(path.Dir(rec.file), name)
	}
	if depth+1 > maxDepth {
		rec.err = fmt.Sprintf("could not open file %q: maximum nesting depth exceeded", name)
		return nil
	}
	data, err := l.read(name)
	switch {
	case mayMiss && errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil && l.major < withRegexp: // which has @files alone
		rec.err = fmt.Sprintf("could not open secondary authentication file %q as %q", "@"+asked, name)
		return nil
	case err != nil:
		rec.err = fmt.Sprintf("could not open file %q", name)
		return nil
	}
	return l.tokenize(name, data, depth+1)
}

// include follows the include directives of 16. A server before that takes them for a connection type and refuses them.
func (l *loader) include(rec *record, depth int) (more []record, isInclude bool) {
	if l.major < withRegexp || rec.err != "" || len(rec.fields) != 2 {
		return nil, false
	}
	name := rec.fields[1].Tokens[0].Text
	switch rec.fields[0].Tokens[0].Text {
	case "include":
		return l.follow(rec, name, depth, false), true
	case "include_if_exists":
		return l.follow(rec, name, depth, true), true
	case "include_dir":
		return l.includeDir(rec, name, depth), true
	}
	return nil, false
}

// includeDir reads every file of a directory; those that cannot be opened are one error together, behind the rules of the rest.
func (l *loader) includeDir(rec *record, dir string, depth int) []record {
	if strings.Trim(dir, " \t\r\n") == "" {
		rec.err = "empty configuration directory name"
		return nil
	}
	if !path.IsAbs(dir) {
		dir = path.Join(path.Dir(rec.file), dir)
	}
	names, err := l.list(dir)
	if err != nil {
		rec.err = fmt.Sprintf("could not open directory %q", dir)
		return nil
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return len(n) < 6 || n[0] == '.' || !strings.HasSuffix(n, ".conf")
	})
	slices.Sort(names)
	var all []record
	var errs []string
	for _, n := range names {
		all = append(all, l.follow(rec, path.Join(dir, n), depth, false)...)
		if rec.err != "" {
			errs, rec.err = append(errs, rec.err), ""
		}
	}
	rec.err = strings.Join(errs, "\n")
	return all
}
