// Package export writes the same changes for the systems that do not take a diff: container files, automation tools,
// Kubernetes operators, managed services and poolers. It knows each one's form, the units it wants and the settings it
// keeps for itself. It refuses to know whether a value is good, it talks to no service, and whatever it leaves out it
// lists with the reason. The same input gives the same bytes.
package export

import (
	"fmt"
	"slices"
	"strings"

	"pgfit/advisor"
	"pgfit/probe"
	"pgfit/report/patch"
)

// Change is a setting and the value it should get, as a person writes it (128MB, on), with what is known about why.
type Change struct {
	Name   string
	Value  string
	Method string // measured, rule, guide
	Reason string // one sentence
	Source string // of the rule or the number
}

// Changes are the proposals of an advice.
func Changes(s advisor.Settings) []Change {
	var all []Change
	for _, p := range s.Proposals {
		all = append(all, Change{Name: p.Name, Value: p.Proposed, Method: string(p.Method), Reason: p.Reason, Source: p.Source})
	}
	return all
}

// Options are what a format needs beside the changes. The zero value works but for Pool, which pgbouncer needs.
type Options struct {
	// Server says what settings there are, their units and present values. Without settings the catalogue of its major is
	// used, and there are no present values to go back to.
	Server probe.Server
	Header string // a line for the head of each file: version, run, input; no time of day
	Name   string // of the parameter group, instance, cluster or compose service; empty leaves a place to fill in
	Memory int64  // bytes that the container or pod gets: a limit that the server has already, or a person's word; else 0
	Needs  int64  // bytes that the server takes at worst with the changes, 0 when not known
	Pool   *Pool
	// Catalogue is the provider's own list of what can be set (ParseCatalogue); nil leaves its checks out.
	Catalogue Catalogue
	// PresentFlags are the flags a Cloud SQL instance has now, as NAME=VALUE. Cloud SQL replaces all of them at once; nil
	// means not known, and the command asks for them.
	PresentFlags []string
}

// File is a file to write.
type File struct {
	Name string
	Data string
}

// Skip is a change that is left out, and why.
type Skip struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Output is what a format gives. The first file is the one to print.
type Output struct {
	Files    []File
	Apply    []string // commands or steps, in order
	Rollback []string
	Notes    []string
	Skipped  []Skip
}

// format is one target: how it is written, and what it keeps for itself.
type format struct {
	name   string
	render func(*job) error
	refuse func(item) string // a reason, or "" to take it
}

var formats = []format{
	{"conf", (*job).conf, nil},
	{"alter-system", (*job).alterSystem, nil},
	{"json", (*job).json, nil},
	{"markdown", (*job).markdown, nil},
	{"docker-compose", (*job).compose, nil},
	{"ansible", (*job).ansible, nil},
	{"patroni", (*job).patroni, refusePatroni},
	{"cloudnativepg", (*job).cloudNativePG, refuseCloudNativePG},
	{"zalando", (*job).zalando, refuseZalando},
	{"crunchy", (*job).crunchy, refuseCrunchy},
	{"rds-terraform", (*job).rdsTerraform, refuseManaged},
	{"rds-cli", (*job).rdsCLI, refuseManaged},
	{"aurora-terraform", (*job).auroraTerraform, refuseAurora},
	{"cloudsql-gcloud", (*job).cloudSQLCLI, refuseCloudSQL},
	{"cloudsql-terraform", (*job).cloudSQLTerraform, refuseCloudSQL},
	{"azure-cli", (*job).azureCLI, refuseManaged},
	{"azure-terraform", (*job).azureTerraform, refuseManaged},
	{"supabase", (*job).supabase, refuseSupabase},
	{"pgbouncer", (*job).pgBouncer, nil},
	{"odyssey", (*job).odyssey, nil},
	{"pgcat", (*job).pgCat, nil},
	pool("sqlalchemy"), pool("asyncpg"), pool("hikari"), pool("pgxpool"), pool("node-pg"), pool("prisma"), pool("django"), pool("rails"), pool("npgsql"),
}

// pool is the format of an application's own pool.
func pool(name string) format {
	return format{name, func(j *job) error { return j.appPool(name) }, nil}
}

// Formats are the names that Render takes. "diff" is not among them: see report/patch.
func Formats() []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// Render writes the changes in the named format. Changes that the server would refuse, or has already, or that the
// target keeps for itself, are in Skipped. No change left is no error: the files then say so.
func Render(name string, changes []Change, o Options) (Output, error) {
	at := slices.IndexFunc(formats, func(f format) bool { return f.name == name })
	if at < 0 {
		return Output{}, fmt.Errorf("format %q: want one of %s", name, strings.Join(Formats(), ", "))
	}
	j := &job{Options: o}
	if err := j.judge(changes, formats[at].refuse); err != nil {
		return Output{}, err
	}
	if err := formats[at].render(j); err != nil {
		return Output{}, fmt.Errorf("format %s: %w", name, err)
	}
	return j.out, nil
}

// job is one Render under way.
type job struct {
	Options
	items []item
	patch patch.Patch // the same changes as statements and drop-in
	out   Output
}

// judge keeps what can be changed, first for the server, then for the target and its catalogue.
func (j *job) judge(changes []Change, refuse func(item) string) error {
	reasons := map[string]Change{}
	in := patch.Input{Server: j.Server}
	for _, c := range changes {
		reasons[c.Name] = c
		in.Changes = append(in.Changes, patch.Change{Name: c.Name, Value: c.Value, Reason: c.Reason})
	}
	p, err := patch.Make(in)
	if err != nil {
		return err
	}
	for _, s := range p.Skipped {
		j.skip(s.Name, s.Reason)
	}
	j.patch = p
	for _, a := range p.Applied {
		it := j.item(a, reasons[a.Name])
		reason := ""
		if refuse != nil {
			reason = refuse(it)
		}
		if reason == "" {
			reason = j.Catalogue.refuse(&it)
		}
		if reason != "" {
			j.skip(a.Name, reason)
			continue
		}
		j.items = append(j.items, it)
	}
	return nil
}

func (j *job) skip(name, reason string) { j.out.Skipped = append(j.out.Skipped, Skip{name, reason}) }

func (j *job) note(format string, args ...any) {
	j.out.Notes = append(j.out.Notes, fmt.Sprintf(format, args...))
}

func (j *job) file(name, data string) { j.out.Files = append(j.out.Files, File{name, data}) }

// head is the comment at the top of a file, and foot the comment with what was left out.
func (j *job) head(mark string) string {
	text := mark + " Written by pgfit.\n"
	if j.Header != "" {
		text += mark + " " + oneLine(j.Header) + "\n"
	}
	return text
}

func (j *job) foot(mark string) string {
	if len(j.out.Skipped) == 0 {
		return ""
	}
	text := mark + " Left out:\n"
	for _, s := range j.out.Skipped {
		text += mark + "   " + oneLine(s.Name+": "+s.Reason) + "\n"
	}
	return text
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// restarts are the names of the changes that wait for a restart.
func (j *job) restarts() []string {
	var names []string
	for _, it := range j.items {
		if it.restart {
			names = append(names, it.Name)
		}
	}
	return names
}
