// Package auditfix turns the findings of an audit into patches of the files they are in, with the reverse of each, and
// the statements for roles. It changes what has one right answer, keeps every other byte, and lists what it leaves to
// people. It applies nothing.
package auditfix

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pgfit/advisor/audit"
	"pgfit/probe"
	"pgfit/probe/appconf"
	"pgfit/probe/pghba"
	"pgfit/probe/stack"
	"pgfit/probe/target"
	"pgfit/report/files"
	"pgfit/report/patch"
	"pgfit/report/unified"
	"pgfit/workload/rundoc"
)

// Fixes are the files to write, and the findings that no patch mends.
type Fixes struct {
	Files []files.File
	Left  []audit.Finding
}

// Make makes the patches. The stack is the one that was audited; config and env are the texts of its config.yaml and
// .env, nil where there is none. All names in the patches are relative to the directory of the file that they change.
func Make(r audit.Result, s *stack.Stack, major int, config, env []byte) (Fixes, error) {
	var out Fixes
	done := map[int]bool{}
	if err := out.conf(r, s, major, done); err != nil {
		return out, err
	}
	out.hba(r, s, done)
	if s.App != nil {
		if err := out.pool(r, s.App, config, env, done); err != nil {
			return out, err
		}
	}
	out.statements(r, done)
	for i, f := range r.Findings {
		if !done[i] {
			out.Left = append(out.Left, f)
		}
	}
	return out, nil
}

// conf is the patch of postgresql.conf and what it includes.
func (x *Fixes) conf(r audit.Result, s *stack.Stack, major int, done map[int]bool) error {
	if s.Conf == nil {
		return nil
	}
	in := patch.Input{Server: probe.Server{VersionNum: major * 10000}}
	for _, f := range s.Conf.Files() {
		in.Files = append(in.Files, rundoc.File{Path: f.Path, Text: string(f.Bytes())})
	}
	at := map[string]int{}
	for i, f := range r.Findings {
		value := f.Value
		if f.Setting == "shared_preload_libraries" { // the value is one more of a list
			if now, ok := s.Conf.InForce(f.Setting); ok && strings.TrimSpace(now.Value) != "" {
				value = now.Value + ", " + value
			}
		}
		if f.Setting != "" && value != "" {
			in.Changes = append(in.Changes, patch.Change{Name: f.Setting, Value: value, Reason: f.Text})
			at[f.Setting] = i
		}
	}
	p, err := patch.Make(in)
	if err != nil {
		return fmt.Errorf("making the patch of postgresql.conf: %w", err)
	}
	for _, a := range p.Applied {
		done[at[a.Name]] = true
	}
	x.add("postgresql.conf", p.Diff, p.Rollback)
	return nil
}

// hba puts scram-sha-256 in the place of weaker methods, and the missing rejects at the end of the main file.
func (x *Fixes) hba(r audit.Result, s *stack.Stack, done map[int]bool) {
	if s.HBA == nil {
		return
	}
	edits := map[string][]edit{}
	var appended []string
	for i, f := range r.Findings {
		if method := f.Strong(); method != "" {
			for _, rule := range s.HBA.Rules {
				if m, ok := rule.MethodField(); ok && rule.File == f.File && rule.Line == f.Line {
					edits[f.File] = append(edits[f.File], edit{m.From, m.To, method})
					done[i] = true
				}
			}
		}
		for _, line := range f.Appends() {
			appended = append(appended, line)
			done[i] = true
		}
	}
	for _, file := range s.HBA.Files {
		after := splice(file.Data, edits[file.Path])
		if file.Path == s.HBA.Main && len(appended) > 0 {
			after = appendLines(after, s.HBA.Main, s.HBA.Major, appended)
		}
		if string(after) != string(file.Data) {
			forth, back := Diff(filepath.Base(file.Path), file.Data, after)
			x.add(filepath.Base(file.Path), forth, back)
		}
	}
}

// appendLines puts rules behind everything; those without TLS come first. A line that would never match is left out.
func appendLines(data []byte, name string, major int, lines []string) []byte {
	slices.SortStableFunc(lines, func(a, b string) int { return strings.Index(b, "nossl") - strings.Index(a, "nossl") })
	end := "\n"
	if strings.Contains(string(data), "\r\n") {
		end = "\r\n"
	}
	text := string(data)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += end
	}
	for _, line := range lines {
		longer := text + line + end
		rules := pghba.Parse(name, []byte(longer), major)
		if !slices.ContainsFunc(rules.Shadowed(), func(s pghba.Shadow) bool { return s.Rule == len(rules.Rules)-1 }) {
			text = longer
		}
	}
	return []byte(text)
}

// edit replaces data[from:to].
type edit struct {
	from, to int
	text     string
}

func splice(data []byte, edits []edit) []byte {
	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out []byte
	at := 0
	for _, e := range edits {
		if e.from < at {
			continue // the same method was found twice
		}
		out = append(append(out, data[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, data[at:]...)
}

// pool brings pool parameters into the range that the application accepts.
func (x *Fixes) pool(r audit.Result, app *stack.App, config, env []byte, done map[int]bool) error {
	var changes []appconf.Change
	for i, f := range r.Findings {
		for _, name := range target.PoolKeys {
			v, ok := app.Pool[name]
			if !ok || f.Check != "app.range" || v.File != f.File || v.Line != f.Line || v.From == "DATABASE_URL" {
				continue
			}
			low, high, _ := target.PoolRange(name)
			if n, err := strconv.Atoi(v.Text); err == nil {
				changes = append(changes, appconf.Change{Path: "database." + name, Value: strconv.Itoa(min(max(n, low), high))})
				done[i] = true
			}
		}
	}
	if len(changes) == 0 {
		return nil
	}
	before := appconf.Files{Config: config, Env: env, ConfigName: app.ConfigFile, EnvName: app.EnvFile}
	after, _, err := appconf.Apply(before, changes, func(string) (string, bool) { return "", false })
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name          string
		before, after []byte
	}{{app.ConfigFile, before.Config, after.Config}, {app.EnvFile, before.Env, after.Env}} {
		if string(f.before) != string(f.after) {
			forth, back := Diff(filepath.Base(f.name), f.before, f.after)
			x.add(strings.TrimPrefix(filepath.Base(f.name), "."), forth, back)
		}
	}
	return nil
}

// statements are the fixes of roles that are statements as they stand.
func (x *Fixes) statements(r audit.Result, done map[int]bool) {
	var b strings.Builder
	for i, f := range r.Findings {
		if !strings.HasPrefix(f.Check, "roles.") || !strings.HasSuffix(f.Fix, ";") || strings.Contains(f.Fix, "'...'") || strings.Contains(f.Fix, "named here") ||
			strings.Contains(f.Fix, "a date") || strings.Contains(f.Fix, " the roles ") || strings.Contains(f.Fix, "an owner with") || strings.Contains(f.Fix, "a role with") {
			continue
		}
		fmt.Fprintf(&b, "-- %s: %s\n%s\n", f.Object, f.Text, f.Fix)
		done[i] = true
	}
	if b.Len() > 0 {
		x.Files = append(x.Files, files.File{Name: "roles.sql", Data: []byte("-- Read each line before you run it, in the database that it is about.\n" + b.String())})
	}
}

func (x *Fixes) add(name string, forth, back []byte) {
	if len(forth) > 0 {
		x.Files = append(x.Files, files.File{Name: name + ".patch", Data: forth}, files.File{Name: name + ".rollback.patch", Data: back})
	}
}

// Diff is the unified diff of one file and its reverse, for patch -p1 and git apply in the file's own directory.
func Diff(name string, before, after []byte) (forth, back []byte) {
	return []byte(unified.Diff("a/"+name, "b/"+name, string(before), string(after))), []byte(unified.Diff("a/"+name, "b/"+name, string(after), string(before)))
}
