package export

import (
	"encoding/json"
	"fmt"
	"strings"

	"pgfit/probe/pgconf"
)

// confText is a file for include_dir: a setting a line, its reason above it.
func (j *job) confText() string {
	var b strings.Builder
	b.WriteString(j.head("#"))
	for _, it := range j.items {
		if it.Reason != "" {
			fmt.Fprintf(&b, "\n# %s\n", oneLine(it.Reason))
		}
		fmt.Fprintf(&b, "%s = %s\n", it.Name, pgconf.Quote(it.Value))
	}
	return b.String()
}

const confName = "90-pgfit.conf"

func (j *job) conf() error {
	text := j.confText()
	if foot := j.foot("#"); foot != "" {
		text += "\n" + foot
	}
	j.file(confName, text)
	j.out.Apply = []string{
		"put " + confName + " into the directory that postgresql.conf includes (Debian: conf.d), readable by the server's user; without one add the line include_dir = 'conf.d'",
		"psql -c \"SELECT sourcefile, sourceline, name, error FROM pg_file_settings WHERE error IS NOT NULL\" # has to be empty",
	}
	j.out.Apply = append(j.out.Apply, j.activate()...)
	j.out.Rollback = append([]string{"remove " + confName}, j.activate()...)
	return nil
}

// activate brings files into force on a server of one's own.
func (j *job) activate() []string {
	steps := []string{"psql -c 'SELECT pg_reload_conf()'"}
	if names := j.restarts(); len(names) > 0 {
		steps = append(steps, "restart the server: "+strings.Join(names, ", ")+" take effect only then")
	}
	return steps
}

func (j *job) alterSystem() error {
	var set strings.Builder
	set.WriteString(j.head("--") + j.patch.AlterSystem + j.foot("--"))
	j.file("alter-system.sql", set.String())
	j.file("rollback.sql", j.head("--")+j.patch.RollbackSQL)
	j.out.Apply = []string{"psql -v ON_ERROR_STOP=1 -f alter-system.sql # not with -1: ALTER SYSTEM runs in no transaction"}
	j.out.Rollback = []string{"psql -v ON_ERROR_STOP=1 -f rollback.sql"}
	if names := j.restarts(); len(names) > 0 {
		step := "restart the server: " + strings.Join(names, ", ") + " take effect only then"
		j.out.Apply = append(j.out.Apply, step)
		j.out.Rollback = append(j.out.Rollback, step)
	}
	if j.settings()["allow_alter_system"].Value == "off" {
		j.note("allow_alter_system is off: this server refuses the statements")
	}
	return nil
}

// document is the format json: names are an interface. A value stands twice, as a person writes it and as
// pg_settings.setting shows it, in the setting's own unit.
type document struct {
	SchemaVersion int          `json:"schema_version"`
	Kind          string       `json:"kind"`
	Header        string       `json:"header,omitempty"`
	Version       string       `json:"server_version,omitempty"`
	Changes       []jsonChange `json:"changes"`
	Skipped       []Skip       `json:"skipped"`
}

type jsonChange struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Setting  string `json:"setting"`
	Unit     string `json:"unit,omitempty"`
	Present  string `json:"present_value"`
	Before   string `json:"present_setting"`
	Context  string `json:"context,omitempty"`
	Apply    string `json:"apply"`
	Method   string `json:"method,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Evidence string `json:"source,omitempty"`
}

func (j *job) json() error {
	d := document{SchemaVersion: 1, Kind: "pgfit-changes", Header: j.Header, Version: j.Server.Version, Changes: []jsonChange{}, Skipped: []Skip{}}
	for _, it := range j.items {
		d.Changes = append(d.Changes, jsonChange{it.Name, it.Value, it.base, it.set.Unit, it.now(), it.set.Value, it.set.Context, it.apply(), it.Method, it.Reason, it.Source})
	}
	d.Skipped = append(d.Skipped, j.out.Skipped...)
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return err
	}
	j.file("changes.json", b.String())
	return nil
}

func (j *job) markdown() error {
	var b strings.Builder
	b.WriteString("# Settings for PostgreSQL " + or(j.Server.Version, "") + "\n\n")
	if j.Header != "" {
		b.WriteString(cell(j.Header) + "\n\n")
	}
	if len(j.items) == 0 {
		b.WriteString("Nothing to change.\n")
	} else {
		b.WriteString("| setting | now | proposed | takes effect | how | why |\n|---|---|---|---|---|---|\n")
		for _, it := range j.items {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", it.Name, cell(it.now()), cell(it.Value), it.apply(), cell(it.Method), cell(it.Reason))
		}
	}
	if len(j.out.Skipped) > 0 {
		b.WriteString("\nLeft out:\n\n")
		for _, s := range j.out.Skipped {
			fmt.Fprintf(&b, "- `%s`: %s\n", s.Name, cell(s.Reason))
		}
	}
	j.file("changes.md", strings.Replace(b.String(), "PostgreSQL \n", "PostgreSQL\n", 1))
	return nil
}

func cell(s string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`, "`", "\\`").Replace(oneLine(s))
}
