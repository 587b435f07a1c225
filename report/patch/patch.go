// Package patch turns values for settings into what an operator applies and takes back: a unified diff of the real
// configuration files with its reverse, and ALTER SYSTEM statements with theirs. It knows how a change reaches a server
// and what stands in its way. It refuses to know whether a value is good; it leaves out what the server would refuse.
// Everything in it is a pure function: nothing is read, written, run or looked up.
package patch

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/probe/pgconf"
	"pgfit/workload/rundoc"
)

// Change is one setting and the value it should get, written as in postgresql.conf but without quotes: 128MB, 1.1, on.
type Change struct {
	Name   string
	Value  string
	Reason string // one line, for comments; may be empty
}

// What of a patch is wanted: all of it, or what a reload or what a restart brings into force.
const (
	All     = ""
	Reload  = "reload"
	Restart = "restart"
)

// Input is what a patch is made from.
type Input struct {
	// Server says what settings there are, where their values come from and what overrides them. Without settings the
	// catalogue of Server.VersionNum's major serves; without that nothing is checked.
	Server probe.Server
	// Files are the configuration files as they are: the main file, what it includes, postgresql.auto.conf. The main file
	// is the one at Server.ConfigFile, else the first. Without a main file the patch is a drop-in.
	Files   []rundoc.File
	Changes []Change
	Only    string // All, Reload or Restart
}

// Patch is a set of changes in every form. With nothing to change it is empty but for Skipped.
type Patch struct {
	Dir         string     // where `patch -p1` and `git apply` are to be run
	Diff        []byte     // unified diff, all files together; empty when nothing changes
	Rollback    []byte     // the reverse of Diff
	AlterSystem string     // one statement a line, for psql -v ON_ERROR_STOP=1 -f
	RollbackSQL string     // puts postgresql.auto.conf back to what it says now
	Main        string     // the path of the main file, "" when it was not at hand and Diff makes a drop-in
	DropIn      string     // the name of the new file that Diff makes, "" when Diff edits files
	Include     string     // the line that postgresql.conf needs for the drop-in, "" when it has it
	Files       []FileEdit // the files that Diff touches
	Applied     []Applied  // the changes, in the order they were given
	Shadowed    []Shadow   // what keeps a change from taking effect
	Skipped     []Skip     // changes left out
	Notes       []string   // what else to know before applying
	Instead     string     // the export format to use in place of Diff where somebody else writes the files, such as "patroni"
}

// Applied is a change that is in the patch.
type Applied struct {
	Change
	Known   bool   // the server knows the setting and takes the value; a module's settings show only while it is loaded
	Setting string // as pg_settings.setting will show it
	Restart bool   // takes effect at a restart, else at a reload
	File    string // where the diff makes it; "" when only the statements do
	Line    int
	Way     pgconf.Way
}

// FileEdit is one file before and after.
type FileEdit struct {
	Path          string // on the server
	Name          string // relative to Patch.Dir
	Before, After []byte // Before is nil for a new file
	Withheld      bool   // not in the diffs: they would show a secret
}

// Shadow is something that overrides a change where it is made.
type Shadow struct {
	Name   string // the setting
	By     string // postgresql.auto.conf:3, the command line, ALTER ROLE app, ...
	Advice string // what does take effect
}

// Skip is a change that is left out, and why.
type Skip struct {
	Name, Reason string
}

// Empty tells whether there is nothing to apply.
func (p Patch) Empty() bool { return len(p.Applied) == 0 }

// After are the files that a server has once Diff is applied: files, those of the input, as edited, or the new drop-in alone
// where there is no main file.
func (p Patch) After(files []rundoc.File) []rundoc.File {
	if p.Main == "" {
		files = nil
	}
	all := slices.Clone(files)
	for _, e := range p.Files {
		after := rundoc.File{Path: e.Path, Text: string(e.After)}
		if at := slices.IndexFunc(all, func(f rundoc.File) bool { return path.Clean(f.Path) == path.Clean(e.Path) }); at >= 0 {
			all[at] = after
		} else {
			all = append(all, after)
		}
	}
	return all
}

// Make makes the patch. It returns an error for a wrong Only and for a name or value that no file can hold.
func Make(in Input) (Patch, error) {
	if !slices.Contains([]string{All, Reload, Restart}, in.Only) {
		return Patch{}, fmt.Errorf("part of a patch %q: want %s or %s", in.Only, Reload, Restart)
	}
	m := maker{in: in, settings: settingsOf(in.Server)}
	if err := m.load(); err != nil {
		return Patch{}, err
	}
	m.choose()
	if err := m.edit(); err != nil {
		return Patch{}, err
	}
	m.shadows()
	m.statements()
	m.notes()
	return m.out, nil
}

// maker holds what the steps of Make hand on.
type maker struct {
	in       Input
	settings guc.Settings
	tree     *pgconf.Tree // nil when there is no main file
	out      Patch
}

func settingsOf(s probe.Server) guc.Settings {
	if len(s.Settings) > 0 {
		return s.Settings
	}
	all, err := guc.Catalogue(s.Major())
	if err != nil {
		return nil
	}
	return all
}

func (m *maker) load() error {
	if len(m.in.Files) == 0 {
		return nil
	}
	files := map[string][]byte{}
	for _, f := range m.in.Files {
		files[f.Path] = []byte(f.Text)
	}
	main := m.in.Files[0].Path
	if at, ok := m.in.Server.ConfigFile.Get(); ok {
		if _, have := files[at]; have {
			main = at
		}
	}
	if path.Base(main) == pgconf.AutoConf {
		return nil
	}
	read, list := pgconf.Memory(files)
	dataDir, ok := m.in.Server.DataDirectory.Get()
	if !ok {
		dataDir = autoDir(m.in.Files)
	}
	tree, err := pgconf.Load(main, dataDir, read, list)
	m.tree = tree
	m.out.Main = main
	return err
}

// autoDir is where postgresql.auto.conf is among the files, "" when it is not.
func autoDir(files []rundoc.File) string {
	for _, f := range files {
		if path.Base(f.Path) == pgconf.AutoConf {
			return path.Dir(f.Path)
		}
	}
	return ""
}

// choose decides which changes are made.
func (m *maker) choose() {
	last := map[string]int{}
	for i, c := range m.in.Changes {
		last[c.Name] = i
	}
	for i, c := range m.in.Changes {
		if last[c.Name] != i {
			continue // given again further on
		}
		a, reason := m.judge(c)
		switch {
		case reason != "":
			m.out.Skipped = append(m.out.Skipped, Skip{c.Name, reason})
		case m.in.Only == Reload && a.Restart:
			m.out.Skipped = append(m.out.Skipped, Skip{c.Name, "needs a restart, and only what a reload brings into force was asked for"})
		case m.in.Only == Restart && !a.Restart:
			m.out.Skipped = append(m.out.Skipped, Skip{c.Name, "needs only a reload, and only what a restart brings into force was asked for"})
		default:
			m.out.Applied = append(m.out.Applied, a)
		}
	}
}

// judge checks a change against what the server knows about the setting.
func (m *maker) judge(c Change) (a Applied, reason string) {
	a = Applied{Change: c, Setting: c.Value}
	s, known := m.settings[c.Name]
	switch {
	case !known && (len(m.settings) == 0 || strings.Contains(c.Name, ".")):
		a.Restart = moduleRestart[c.Name]
		return a, ""
	case !known:
		return a, "this server has no such setting, and would not start with it"
	case s.Context == "internal":
		return a, "cannot be changed"
	}
	value, err := s.Parse(c.Value)
	if err != nil {
		return a, err.Error()
	}
	a.Known, a.Restart = true, s.NeedsRestart()
	if s.VarType != "string" { // a string is shown as it stands, blanks at its ends included
		a.Setting = value
	}
	if now, ok := m.present(s); ok && now == a.Setting {
		return a, "has this value already"
	}
	return a, ""
}

// moduleRestart are settings of PostgreSQL's own modules that a server takes only at its start. pg_settings says so of a
// loaded module; these may come together with the line that loads it.
var moduleRestart = map[string]bool{
	"pg_stat_statements.max": true, "pg_prewarm.autoprewarm": true,
}

// present is the value that the files bring into force, or would at the next restart. A role's own value does not count,
// nor do the options that pgfit itself starts a scratch server with.
func (m *maker) present(s guc.Setting) (string, bool) {
	if len(m.in.Server.Settings) > 0 && !m.in.Server.Scratch && !s.PendingRestart && !ofSession(s.Source) {
		return s.Value, true
	}
	if m.tree == nil {
		return "", false
	}
	p, ok := m.tree.InForce(s.Name)
	if !ok {
		return s.BootVal, true
	}
	if s.VarType == "string" {
		return p.Value, true
	}
	value, err := s.Parse(p.Value)
	return value, err == nil
}

// ofSession tells whether the value in pg_settings is that of one role, database or session.
func ofSession(source string) bool {
	return slices.Contains([]string{"", "database", "user", "database user", "client", "session", "interactive", "test"}, source)
}
