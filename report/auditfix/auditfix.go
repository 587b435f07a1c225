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

// Fixes are the files to write, the findings that no patch mends, and what has to be so before a patch is applied, which its
// head says too.
type Fixes struct {
	Files  []files.File
	Left   []Left
	Before []string // each with the name of its patch
}

// Left is a finding that is left to people. Why is said where a patch could have been thought of.
type Left struct {
	audit.Finding
	Why string
}

// Input is what patches are made from.
type Input struct {
	Result      audit.Result
	Stack       *stack.Stack // the one that was audited
	Major       int
	Config, Env []byte      // the texts of its config.yaml and .env, nil where there is none
	Disk        probe.Class // of the server, "" when not known
}

// Make makes the patches. All names in them are relative to the directory of the file that they change.
func Make(in Input) (Fixes, error) {
	var out Fixes
	r, s := in.Result, in.Stack
	done, why := map[int]bool{}, map[int]string{}
	if err := out.conf(in, done, why); err != nil {
		return out, err
	}
	out.hba(r, s, done, why)
	if s.App != nil {
		if err := out.pool(r, s.App, in.Config, in.Env, done, why); err != nil {
			return out, err
		}
	}
	out.statements(r, done)
	for i, f := range r.Findings {
		if !done[i] {
			out.Left = append(out.Left, Left{f, why[i]})
		}
	}
	return out, nil
}

// secretNear is why a file gets no patch.
const secretNear = "it stands in or beside a line with a secret, which no patch may hold"

// conf is the patch of postgresql.conf and what it includes.
func (x *Fixes) conf(in Input, done map[int]bool, why map[int]string) error {
	s := in.Stack
	if s.Conf == nil {
		return nil
	}
	wanted := patch.Input{Server: probe.Server{VersionNum: in.Major * 10000}}
	for _, f := range s.Conf.Files() {
		wanted.Files = append(wanted.Files, rundoc.File{Path: f.Path, Text: string(f.Bytes())})
	}
	at, before := map[string]int{}, map[string]string{}
	for i, f := range in.Result.Findings {
		if f.Setting == "" || f.Value == "" {
			continue
		}
		text, first, no := value(f, s, in.Disk)
		if why[i] = no; no == "" {
			wanted.Changes = append(wanted.Changes, patch.Change{Name: f.Setting, Value: text, Reason: f.Text})
			at[f.Setting], before[f.Setting] = i, first
		}
	}
	p, err := patch.Make(wanted)
	if err != nil {
		return fmt.Errorf("making the patch of postgresql.conf: %w", err)
	}
	withheld := map[string]bool{}
	for _, f := range p.Files {
		withheld[f.Path] = f.Withheld
	}
	var conditions []string
	for _, a := range p.Applied {
		switch first := before[a.Name]; {
		case withheld[a.File]:
			why[at[a.Name]] = secretNear
			continue
		case first != "":
			conditions = append(conditions, first)
		}
		done[at[a.Name]] = true
	}
	x.add("postgresql.conf", p.Diff, p.Rollback, conditions)
	return nil
}

// hba puts scram-sha-256 in the place of weaker methods, and the missing rejects at the end of the main file.
func (x *Fixes) hba(r audit.Result, s *stack.Stack, done map[int]bool, why map[int]string) {
	if s.HBA == nil {
		return
	}
	edits := map[string][]edit{}
	of, before := map[string][]int{}, map[string][]string{} // by file: findings, conditions
	var appended []string
	for i, f := range r.Findings {
		if method := f.Strong(); method != "" {
			for _, rule := range s.HBA.Rules {
				if m, ok := rule.MethodField(); ok && rule.File == f.File && rule.Line == f.Line {
					edits[f.File] = append(edits[f.File], edit{m.From, m.To, method})
					of[f.File], before[f.File] = append(of[f.File], i), append(before[f.File], login(f))
				}
			}
		}
		appended = append(appended, f.Appends()...)
	}
	var added []string
	for _, file := range s.HBA.Files {
		after := splice(file.Data, edits[file.Path])
		if file.Path == s.HBA.Main && len(appended) > 0 {
			after, added = appendLines(after, s.HBA.Main, s.HBA.Major, appended)
			for i, f := range r.Findings {
				switch lines := f.Appends(); {
				case slices.ContainsFunc(lines, func(line string) bool { return slices.Contains(added, line) }):
					of[file.Path] = append(of[file.Path], i)
				case lines != nil:
					why[i] = "at the end of the file such a line would never be reached: it has to stand before the rules that take every address"
				}
			}
		}
		ok := x.diff(file.Path, filepath.Base(file.Path), file.Data, after, before[file.Path])
		for _, i := range of[file.Path] {
			if done[i] = ok; !ok {
				why[i] = secretNear
			}
		}
	}
}

// appendLines puts rules behind everything; those without TLS come first. A line that would never match is left out; added
// are the others.
func appendLines(data []byte, name string, major int, lines []string) (out []byte, added []string) {
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
			text, added = longer, append(added, line)
		}
	}
	return []byte(text), added
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
func (x *Fixes) pool(r audit.Result, app *stack.App, config, env []byte, done map[int]bool, why map[int]string) error {
	var which []int
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
				which = append(which, i)
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
	ok := x.diff(app.ConfigFile, filepath.Base(app.ConfigFile), before.Config, after.Config, nil)
	ok = x.diff(app.EnvFile, strings.TrimPrefix(filepath.Base(app.EnvFile), "."), before.Env, after.Env, nil) && ok
	for _, i := range which {
		if done[i] = ok; !ok {
			why[i] = secretNear
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

// diff adds the patch of one file and its reverse, for patch -p1 and git apply in the file's own directory. False when there
// is none that shows no secret.
func (x *Fixes) diff(path, as string, before, after []byte, conditions []string) bool {
	a, b := unified.Label("a/", filepath.Base(path)), unified.Label("b/", filepath.Base(path))
	forth, ok := unified.Sparing(a, b, string(before), string(after))
	back, ok2 := unified.Sparing(b, a, string(after), string(before))
	if ok && ok2 {
		x.add(as, []byte(forth), []byte(back), conditions)
	}
	return ok && ok2
}

func (x *Fixes) add(name string, forth, back []byte, before []string) {
	if len(forth) == 0 {
		return
	}
	x.Files = append(x.Files, files.File{Name: name + ".patch", Data: headed(forth, before), Private: true},
		files.File{Name: name + ".rollback.patch", Data: back, Private: true})
	for _, line := range before {
		x.Before = append(x.Before, name+".patch, "+line)
	}
}
