// Package apppatch turns the advice for the pool into patches of the application's config.yaml and .env: only the values
// that change, where they really come from, everything else byte for byte. No line with a secret in it gets into a patch,
// not even as context. It writes and applies nothing.
package apppatch

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"pgfit/advisor"
	"pgfit/probe/appconf"
	"pgfit/probe/target"
	"pgfit/report/files"
	"pgfit/report/unified"
)

// Input is what a patch is made from.
type Input struct {
	Files   appconf.Files
	Present target.AppPool
	Advice  advisor.PoolAdvice
	Demand  bool              // the demand is known, so that a longest wait could be computed
	Lookup  appconf.Lookup    // the environment of the process
	Origins map[string]string // of the pool's parameters, as target.Resolve gives them
}

// Make makes config.yaml.patch and .env's patch with their rollbacks, and says what it leaves as it is and why. Without an
// advice there is nothing to patch.
func Make(in Input) (made []files.File, notes []string, err error) {
	if in.Advice.Total < 1 {
		return nil, []string{"the pool of " + in.Files.ConfigName + " stays as it is: the data cannot carry a recommendation"}, nil
	}
	changes, notes := choose(in)
	before := in.Files
	after, notes, err := apply(in, changes, notes)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range []struct {
		name, as      string
		before, after []byte
	}{{before.ConfigName, "config.yaml", before.Config, after.Config}, {before.EnvName, "env", before.Env, after.Env}} {
		if string(f.before) == string(f.after) {
			continue
		}
		a, b := unified.Label("a/", filepath.Base(f.name)), unified.Label("b/", filepath.Base(f.name))
		forth, ok := unified.Sparing(a, b, string(f.before), string(f.after))
		back, ok2 := unified.Sparing(a, b, string(f.after), string(f.before))
		if !ok || !ok2 {
			notes = append(notes, f.name+": the value stands in or between lines with a secret, which no patch may hold: "+inWords(changes))
			continue
		}
		made = append(made, files.File{Name: f.as + ".patch", Data: []byte(forth), Private: true}, files.File{Name: f.as + ".rollback.patch", Data: []byte(back), Private: true})
	}
	return made, notes, nil
}

// choose takes what was measured. How long to wait and how old a connection may get is policy: it is changed only where
// the advice has a bound of its own.
func choose(in Input) (changes []appconf.Change, notes []string) {
	p, now := in.Advice, in.Present
	add := func(name string, from, to int) {
		if from != to {
			changes = append(changes, appconf.Change{Path: "database." + name, Value: strconv.Itoa(to)})
		}
	}
	add("pool_size", now.Size, p.PoolSize)
	add("max_overflow", now.MaxOverflow, p.MaxOverflow)
	if len(changes) == 0 {
		notes = append(notes, fmt.Sprintf("the pool is as recommended already: %d + %d", now.Size, now.MaxOverflow))
	}
	if in.Demand && p.PoolTimeout > now.TimeoutSeconds {
		add("pool_timeout", now.TimeoutSeconds, p.PoolTimeout)
	} else {
		notes = append(notes, fmt.Sprintf("pool_timeout stays at %d s: policy, not measured", now.TimeoutSeconds))
	}
	if p.PoolRecycle < 1800 && p.PoolRecycle < now.RecycleSeconds { // a limit on the way is shorter
		add("pool_recycle", now.RecycleSeconds, p.PoolRecycle)
	} else {
		notes = append(notes, fmt.Sprintf("pool_recycle stays at %d s: policy, no throughput can tell", now.RecycleSeconds))
	}
	return changes, notes
}

// apply makes the changes: in the URL's query where the URL gives the value, else where the YAML scalar gets it from.
func apply(in Input, changes []appconf.Change, notes []string) (appconf.Files, []string, error) {
	f := in.Files
	var rest []appconf.Change
	for _, c := range changes {
		name := strings.TrimPrefix(c.Path, "database.")
		out, ok, inURL := f.EditURL(name, c.Value, in.Lookup)
		switch {
		case !inURL:
			rest = append(rest, c)
		case ok:
			f = out
		default:
			notes = append(notes, fmt.Sprintf("%s comes from the URL (%s): write %s=%s there", name, in.Origins[name], name, c.Value))
		}
	}
	after, skipped, err := appconf.Apply(f, rest, in.Lookup)
	for _, s := range skipped {
		notes = append(notes, strings.TrimPrefix(s.Path, "database.")+": "+s.Reason)
	}
	return after, notes, err
}

func inWords(changes []appconf.Change) string {
	var words []string
	for _, c := range changes {
		words = append(words, strings.TrimPrefix(c.Path, "database.")+" = "+c.Value)
	}
	return strings.Join(words, ", ")
}
