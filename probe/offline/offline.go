// Package offline describes a server that nobody is connected to: what its configuration files make of the settings that
// its major version has. It does not know the server's machine, its data or its roles.
package offline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/probe/pgconf"
)

// Server is the server that the files would start. What keeps it from starting, and what was left out for that, is in the
// warnings; the error is about the version alone.
func Server(tree *pgconf.Tree, major int) (probe.Server, []probe.Warning, error) {
	all, err := guc.Catalogue(major)
	if err != nil {
		return probe.Server{}, nil, err
	}
	s := probe.Server{Version: strconv.Itoa(major), VersionNum: major * 10000, Settings: builtIn(all), ConfigFile: probe.Is(tree.Main.Path, "--conf")}
	var warnings []probe.Warning
	for _, p := range tree.Problems {
		warnings = append(warnings, refused(p.File, p.Line, p.Text))
	}
	for _, p := range tree.Places() {
		line := probe.FileSetting{File: p.File.Path, Line: p.Line, Name: p.Name, Value: p.Value, Applied: true}
		if last, ok := tree.InForce(p.Name); ok && (last.File != p.File || last.Line != p.Line) {
			line.Applied = false
		}
		if err := apply(s.Settings, p, line.Applied); err != nil {
			line.Applied, line.Error = false, err.Error()
			warnings = append(warnings, refused(p.File.Path, p.Line, err.Error()))
			s.FileErrors = append(s.FileErrors, line)
		}
		s.FileLines = append(s.FileLines, line)
	}
	return s, warnings, nil
}

// byInitdb are settings for which the catalogue, read from a fresh cluster, has what initdb wrote into its file.
var byInitdb = []string{"shared_buffers", "max_connections", "max_wal_size", "min_wal_size", "autovacuum_worker_slots"}

// ofCluster are facts about one cluster or one start that no configuration file has.
var ofCluster = []string{"data_checksums", "shared_memory_size", "shared_memory_size_in_huge_pages", "huge_pages_status"}

// builtIn turns the catalogue into the settings of a server with an empty file.
func builtIn(all guc.Settings) guc.Settings {
	for name, set := range all {
		if slices.Contains(byInitdb, name) {
			set.Value, set.ResetVal = set.BootVal, set.BootVal
		}
		set.Source = "default"
		all[name] = set
	}
	for _, name := range ofCluster {
		delete(all, name)
	}
	return all
}

// apply gives a setting the value of a line, which has to be one that the server takes even where another line wins.
func apply(all guc.Settings, p pgconf.Place, inForce bool) error {
	name := settingName(all, p.Name)
	set, known := all[name]
	switch {
	case !known && strings.Contains(p.Name, "."): // a module's
		return nil
	case !known:
		return fmt.Errorf("there is no setting %s in this version", p.Name)
	case set.Context == "internal":
		return fmt.Errorf("%s cannot be changed", p.Name)
	}
	value, err := set.Parse(p.Value)
	if err != nil {
		return err
	}
	if set.VarType == "string" {
		value = p.Value
	}
	if inForce {
		set.Value, set.ResetVal, set.Source, set.SourceFile, set.SourceLine = value, value, "configuration file", p.File.Path, p.Line
		all[name] = set
	}
	return nil
}

// settingName is the server's own spelling of a name.
func settingName(all guc.Settings, name string) string {
	if all.Has(name) {
		return name
	}
	for known := range all {
		if pgconf.SameName(known, name) {
			return known
		}
	}
	return name
}

func refused(file string, line int, text string) probe.Warning {
	at := file
	if line > 0 {
		at = fmt.Sprintf("%s:%d", file, line)
	}
	return probe.Warning{Code: "conf-error", Text: at + ": " + text, Hint: "a server does not start with it, and applies nothing on a reload, before it is mended"}
}
