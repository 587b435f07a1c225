// Package stack reads the files of an application's stack as they lie there: postgresql.conf, pg_hba.conf, config.yaml,
// .env and compose files, each value with its file and line. It says what is in them and never whether that is good, it
// connects to nothing, and no password leaves it: of a secret it tells only that there is one and of which kind.
package stack

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pgfit/probe/pgconf"
	"pgfit/probe/pghba"
)

// Place is a line of a file; Line 0 is the file as a whole.
type Place struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// String is file:line.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Problem is something in a file that its reader would refuse.
type Problem struct {
	Place
	Text string
}

// Files name the files of a stack; an empty one is not looked at.
type Files struct {
	Conf, HBA, Config, Env string
	Compose                []string
}

// Empty tells whether no file is named.
func (f Files) Empty() bool {
	return f.Conf == "" && f.HBA == "" && f.Config == "" && f.Env == "" && len(f.Compose) == 0
}

// Add takes a file by its name, if the name says what it is and nothing of that kind is named yet.
func (f *Files) Add(path string) bool {
	to := f.kind(kindOf(filepath.Base(path)))
	switch {
	case IsCompose(filepath.Base(path)):
		f.Compose = append(f.Compose, path)
	case to == nil || *to != "":
		return false
	default:
		*to = path
	}
	return true
}

// kind is where the file of a kind is named, nil for another kind and for compose files, of which there may be several.
func (f *Files) kind(name string) *string {
	return map[string]*string{"conf": &f.Conf, "hba": &f.HBA, "config": &f.Config, "env": &f.Env}[name]
}

// Stack is what the files say. What was not named is nil.
type Stack struct {
	Conf        *pgconf.Tree
	HBA         *pghba.Rules
	App         *App
	Compose     []Compose
	Certificate *Certificate // nil also where its file does not lie on this machine
}

// Read reads the files. major is the server's, 0 for that of the compose file's image or else 16; it returns the one used.
// A file that cannot be opened is an error; what is wrong inside one is part of the result.
func Read(f Files, major int, lookup func(string) (string, bool)) (*Stack, int, error) {
	s := &Stack{}
	for _, name := range f.Compose {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, 0, fmt.Errorf("reading the compose file: %w", err)
		}
		c := ParseCompose(name, data)
		for i := range c.Services {
			c.Services[i].readEnvFiles()
		}
		s.Compose = append(s.Compose, c)
	}
	if major == 0 {
		major = s.imageMajor()
	}
	read, list := pgconf.Disk()
	var err error
	if f.Conf != "" {
		if s.Conf, err = pgconf.Load(f.Conf, "", read, list); err != nil {
			return nil, 0, err
		}
		s.Certificate = readCertificate(s.Conf, time.Now())
	}
	if f.HBA != "" {
		if s.HBA, err = pghba.Load(f.HBA, major, pghba.ReadFile(read), pghba.ReadDir(list)); err != nil {
			return nil, 0, err
		}
	}
	if f.Config != "" || f.Env != "" {
		if s.App, err = readApp(f.Config, f.Env, lookup); err != nil {
			return nil, 0, err
		}
	}
	return s, major, nil
}

// beside is a path that counts from the directory of a file.
func beside(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// defaultMajor is that of the house guide's images.
const defaultMajor = 16

func (s *Stack) imageMajor() int {
	for _, c := range s.Compose {
		for _, svc := range c.Services {
			if m := svc.Major(); m > 0 {
				return m
			}
		}
	}
	return defaultMajor
}

// Find looks for the files of a stack in a directory and a few levels below it. Of several of one kind it takes the one
// whose path speaks of the environment (prod, dev, test), then the one nearest to the top; others are returned in passed.
func Find(dir, environment string) (f Files, passed []string, err error) {
	kinds := map[string][]string{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if d != nil && d.IsDir() && path != dir {
				return fs.SkipDir
			}
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			if name := d.Name(); rel != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || strings.Count(rel, string(filepath.Separator)) >= 5) {
				return fs.SkipDir
			}
			return nil
		}
		if kind := kindOf(d.Name()); kind != "" {
			kinds[kind] = append(kinds[kind], path)
		}
		return nil
	})
	if err != nil {
		return f, nil, fmt.Errorf("looking for configuration files: %w", err)
	}
	for _, kind := range []string{"conf", "hba", "config", "env"} {
		var rest []string
		*f.kind(kind), rest = choose(kinds[kind], environment)
		passed = append(passed, rest...)
	}
	if one, rest := choose(kinds["compose"], environment); one != "" {
		f.Compose, passed = []string{one}, append(passed, rest...)
	}
	slices.Sort(passed)
	return f, passed, nil
}

func kindOf(name string) string {
	switch {
	case name == "postgresql.conf":
		return "conf"
	case name == "pg_hba.conf":
		return "hba"
	case name == "config.yaml" || name == "config.yml":
		return "config"
	case name == ".env":
		return "env"
	case IsCompose(name):
		return "compose"
	}
	return ""
}

// IsCompose tells a compose file by its name.
func IsCompose(name string) bool {
	ext := filepath.Ext(name)
	base := strings.TrimSuffix(name, ext)
	return (ext == ".yml" || ext == ".yaml") && (base == "compose" || base == "docker-compose" ||
		strings.HasPrefix(base, "compose.") || strings.HasPrefix(base, "docker-compose."))
}

// choose takes the best of several files.
func choose(paths []string, environment string) (best string, rest []string) {
	if len(paths) == 0 {
		return "", nil
	}
	word := map[string]string{"development": "dev", "testing": "test", "production": "prod"}[environment]
	rank := func(p string) int {
		n := strings.Count(p, string(filepath.Separator))
		if word != "" && strings.Contains(p, word) {
			n -= 100
		}
		return n
	}
	slices.SortStableFunc(paths, func(a, b string) int { return rank(a) - rank(b) })
	return paths[0], paths[1:]
}
