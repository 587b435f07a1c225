package pgconf

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

// ReadDir lists the names of the files (not the directories) in a directory of the server, in any order.
type ReadDir func(path string) ([]string, error)

// AutoConf is the file that ALTER SYSTEM writes, in data_directory. It is read last.
const AutoConf = "postgresql.auto.conf"

// The server's limit (conffiles.h, CONF_FILE_MAX_DEPTH) and one of ours, against files that include each other over and
// over without being recursive.
const (
	maxDepth = 10
	maxReads = 10000
)

// Place is a line that sets something, in the file and at the line that pg_settings would name.
type Place struct {
	File        *File
	Line        int // from 1
	Name, Value string
	Auto        bool // in postgresql.auto.conf
}

// String is file:line.
func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File.Path, p.Line) }

// Problem is a line that keeps the server from starting and from reloading.
type Problem struct {
	File string
	Line int // 0: the file itself
	Text string
}

// Tree is a main file with everything it includes, and postgresql.auto.conf behind it.
type Tree struct {
	Main     *File
	Auto     *File // nil where there is none
	Problems []Problem
	files    map[string]*File
	order    []*File // as first read
	dirs     map[string][]string
	reads    int // files walked over in the present walk
}

// Load reads the main file and what it includes. Paths are the server's, with slashes. dataDir says where
// postgresql.auto.conf is; empty means the data_directory that the files name, else the directory of the main file.
// Only a main file that cannot be read is an error; all else that the server would refuse is in Problems.
func Load(main, dataDir string, read ReadFile, list ReadDir) (*Tree, error) {
	t := &Tree{files: map[string]*File{}, dirs: map[string][]string{}}
	data, err := read(main)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", main, err)
	}
	t.Main = t.put(main, data)
	t.load(t.Main, []string{t.Main.Path}, read, list)
	if dataDir == "" {
		dataDir = t.dataDirectory()
	}
	auto := path.Join(dataDir, AutoConf)
	data, err = read(auto)
	switch {
	case err == nil:
		t.Auto = Parse(auto, data)
		t.syntax(t.Auto)
	case !errors.Is(err, fs.ErrNotExist):
		t.problem(auto, 0, "cannot be read: "+err.Error())
	}
	return t, nil
}

func (t *Tree) put(name string, data []byte) *File {
	f := Parse(name, data)
	t.files[name] = f
	t.order = append(t.order, f)
	return f
}

// dataDirectory is what the files say, else where the main file is.
func (t *Tree) dataDirectory() string {
	if p, ok := t.InForce("data_directory"); ok && p.Value != "" {
		return p.Value
	}
	return path.Dir(t.Main.Path)
}

// load reads what f includes. stack are the files that are being read, f last.
func (t *Tree) load(f *File, stack []string, read ReadFile, list ReadDir) {
	t.syntax(f)
	for i, l := range f.lines {
		if !l.Directive() {
			continue
		}
		if canonical(l.Name) == includeDir {
			t.list(f, i+1, list)
		}
		for _, name := range t.targets(f, l) {
			t.follow(f, i+1, name, stack, read, list)
		}
	}
}

// follow reads one included file, once, however often it is included.
func (t *Tree) follow(f *File, line int, name string, stack []string, read ReadFile, list ReadDir) {
	switch {
	case slices.Contains(stack, name):
		t.problem(f.Path, line, "includes "+name+", which is being read already")
		return
	case len(stack) > maxDepth:
		t.problem(f.Path, line, "includes "+name+": files include each other more than 10 deep")
		return
	case t.files[name] != nil:
		return
	}
	data, err := read(name)
	if err != nil {
		if canonical(f.lines[line-1].Name) != includeIfExists || !errors.Is(err, fs.ErrNotExist) {
			t.problem(f.Path, line, "includes "+name+", which cannot be read: "+err.Error())
		}
		return
	}
	t.load(t.put(name, data), append(slices.Clone(stack), name), read, list)
}

func (t *Tree) list(f *File, line int, list ReadDir) {
	dir := resolve(f, f.lines[line-1].Value)
	if _, ok := t.dirs[dir]; ok {
		return
	}
	names, err := list(dir)
	if err != nil {
		t.problem(f.Path, line, "includes directory "+dir+", which cannot be read: "+err.Error())
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !Included(n) })
	slices.Sort(names) // by bytes, as the server does whatever its locale
	t.dirs[dir] = names
}

// Included tells whether include_dir takes a file of this name: *.conf, and no dot files.
func Included(name string) bool {
	return len(name) > len(".conf") && strings.HasSuffix(name, ".conf") && !strings.HasPrefix(name, ".")
}

// targets are the paths that a directive names, in the server's order.
func (t *Tree) targets(f *File, l Line) []string {
	at := resolve(f, l.Value)
	if canonical(l.Name) != includeDir {
		return []string{at}
	}
	var all []string
	for _, name := range t.dirs[at] {
		all = append(all, path.Join(at, name))
	}
	return all
}

// resolve takes a relative path from the directory of the file that includes it. An absolute one is not cleaned, since
// pg_settings.sourcefile shows it as written.
func resolve(f *File, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(path.Dir(f.Path), name)
}

func (t *Tree) syntax(f *File) {
	for i, l := range f.lines {
		if l.Kind == Broken {
			t.problem(f.Path, i+1, "syntax error")
		}
	}
}

func (t *Tree) problem(file string, line int, text string) {
	t.Problems = append(t.Problems, Problem{File: file, Line: line, Text: text})
}
