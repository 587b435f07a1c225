package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"pgfit/advisor/advise"
	"pgfit/advisor/formulas"
	"pgfit/advisor/prune"
	"pgfit/probe/guc"
	"pgfit/workload/rundoc"
)

// readAgainst reads what --against names: files, tools of --compare-formulas, or all of those.
func (o *verifyOptions) readAgainst(doc *rundoc.Document, v *rundoc.Verification) error {
	if len(o.against) == 0 {
		return nil
	}
	known := advise.Formulas(doc, o.advice.options())
	for _, name := range o.against {
		i := slices.IndexFunc(known, func(c formulas.Comparison) bool { return strings.EqualFold(c.Name, name) })
		switch {
		case name == "all":
			if len(known) == 0 {
				return usagef("--against all: the tools need the machine's memory and CPUs, and this run does not know them")
			}
			for _, c := range known {
				v.Rivals = append(v.Rivals, rivalTool(c, doc.Facts.Server.Settings))
			}
		case i >= 0:
			v.Rivals = append(v.Rivals, rivalTool(known[i], doc.Facts.Server.Settings))
		default:
			r, err := rivalFile(name, doc.Facts.Server.Settings, known)
			if err != nil {
				return err
			}
			v.Rivals = append(v.Rivals, r)
		}
	}
	seen := map[string]bool{}
	for _, r := range v.Rivals {
		if seen[r.Name] {
			return usagef("--against: %s is named twice", r.Name)
		}
		seen[r.Name] = true
	}
	return nil
}

func rivalTool(c formulas.Comparison, settings guc.Settings) rundoc.Rival {
	return rival(c.Name, c.Values, settings)
}

// rivalFile reads a file of settings; what the server does not know there is the user's to mend.
func rivalFile(file string, settings guc.Settings, known []formulas.Comparison) (rundoc.Rival, error) {
	values, err := readValues("--against", file)
	if err != nil {
		var names []string
		for _, c := range known {
			names = append(names, c.Name)
		}
		return rundoc.Rival{}, fmt.Errorf("%w (the tools are %s)", err, strings.Join(names, ", "))
	}
	if _, err := prune.FromValues(values, settings); err != nil {
		return rundoc.Rival{}, usagef("--against %s: %w", file, err)
	}
	return rival(filepath.Base(file), values, settings), nil
}

// rival leaves out what the server does not know, as on a server of its version nobody could use it, and what lowers the
// durability: servers of unequal durability are not compared.
func rival(name string, values map[string]string, settings guc.Settings) rundoc.Rival {
	r := rundoc.Rival{Name: name, Values: map[string]string{}}
	for _, n := range slices.Sorted(maps.Keys(values)) {
		one, err := prune.FromValues(map[string]string{n: values[n]}, settings)
		switch {
		case err != nil:
			r.LeftOut = append(r.LeftOut, err.Error())
		case len(prune.Unsafe(one, settings)) > 0:
			r.LeftOut = append(r.LeftOut, fmt.Sprintf("%s = %s lowers the safety of the data", n, values[n]))
		default:
			r.Values[n] = values[n]
		}
	}
	return r
}
