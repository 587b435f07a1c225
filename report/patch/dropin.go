package patch

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"pgfit/probe/pgconf"
)

const dropInDir = "conf.d"

// debianConf is where Debian and Ubuntu keep the main file, which there includes conf.d.
var debianConf = regexp.MustCompile(`^/etc/postgresql/[^/]+/[^/]+/postgresql\.conf$`)

// dropIn makes a new file for include_dir, since nobody can edit a file that was not read.
func (m *maker) dropIn() error {
	text, err := DropIn(m.out.Applied)
	if err != nil {
		return err
	}
	main, _ := m.in.Server.ConfigFile.Get()
	if main != "" {
		m.out.Dir = path.Dir(main)
	}
	name, included := m.freeName(main)
	if !included && !debianConf.MatchString(main) {
		m.out.Include = "include_dir = '" + dropInDir + "'"
	}
	m.out.DropIn = name
	m.out.Files = []FileEdit{{Path: path.Join(m.out.Dir, name), Name: name, After: []byte(text)}}
	m.diff()
	for i := range m.out.Applied {
		a := &m.out.Applied[i]
		a.File, a.Way = m.out.Files[0].Path, pgconf.Added
		a.Line = lineOf(text, a.Name)
	}
	return nil
}

// DropIn is the text of a file for include_dir: a setting a line, its reason above it.
func DropIn(changes []Applied) (string, error) {
	var b strings.Builder
	b.WriteString("# Written by pgfit.\n")
	for _, a := range changes {
		if _, err := pgconf.Parse("", nil).Set(a.Name, a.Value); err != nil {
			return "", err
		}
		if a.Reason != "" {
			fmt.Fprintf(&b, "\n# %s\n", strings.Join(strings.Fields(a.Reason), " "))
		}
		fmt.Fprintf(&b, "%s = %s\n", a.Name, pgconf.Quote(a.Value))
	}
	return b.String(), nil
}

func lineOf(text, name string) int { return pgconf.Parse("", []byte(text)).Find(name) }

// freeName is the first of 90-pgfit.conf to 99-pgfit.conf that the server does not read already, so that the diff makes
// a new file and the newer values are read later. It also tells whether the server reads that directory at all.
func (m *maker) freeName(main string) (name string, included bool) {
	dir := path.Join(path.Dir(main), dropInDir)
	taken := map[string]bool{}
	for _, l := range m.in.Server.FileLines {
		if path.Dir(l.File) == dir {
			included = true
			taken[path.Base(l.File)] = true
		}
	}
	n := 90
	for n < 99 && taken[fmt.Sprintf("%d-pgfit.conf", n)] {
		n++
	}
	return fmt.Sprintf("%s/%d-pgfit.conf", dropInDir, n), included
}
