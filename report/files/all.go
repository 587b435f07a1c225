package files

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"

	"pgfit/advisor"
	"pgfit/advisor/advise"
	"pgfit/probe"
	"pgfit/report"
	"pgfit/report/export"
	"pgfit/report/patch"
	"pgfit/workload/rundoc"
)

// adviceFile is advice.json: the advice, and what of it would not take effect in the files.
type adviceFile struct {
	*advise.Advice
	Shadowed []shadow `json:"shadowed"`
	Skipped  []skip   `json:"skipped"`
	Notes    []string `json:"patch_notes,omitempty"`
	Apply    string   `json:"patch_directory,omitempty"` // where patch -p1 is to be run; "" when it is not known, and for a scratch server
	Instead  string   `json:"use_instead,omitempty"`
}

type shadow struct {
	Name   string `json:"name"`
	By     string `json:"by"`
	Advice string `json:"advice"`
}

type skip struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Make is the patch of an advice.
func Make(doc *rundoc.Document, a *advise.Advice, only string) (patch.Patch, error) {
	in := patch.Input{Server: doc.Facts.Server, Files: doc.Files, Only: only}
	for _, p := range a.Settings.Proposals {
		in.Changes = append(in.Changes, patch.Change{Name: p.Name, Value: p.Proposed, Reason: p.Reason})
	}
	return patch.Make(in)
}

// All makes every file of a run.
func All(doc *rundoc.Document, a *advise.Advice) ([]File, error) {
	made, err := Make(doc, a, a.Only)
	if err != nil {
		return nil, fmt.Errorf("making the patch: %w", err)
	}
	var out []File
	run, err := RunJSON(doc)
	if err != nil {
		return nil, err
	}
	advice, err := adviceJSON(doc, a, made)
	if err != nil {
		return nil, err
	}
	var md bytes.Buffer
	if err := write(&md, doc, a, made, true); err != nil {
		return nil, err
	}
	out = append(out, run, File{Name: "advice.json", Data: advice}, File{Name: "report.md", Data: md.Bytes()},
		File{Name: "postgresql.conf.patch", Data: made.Diff}, File{Name: "postgresql.conf.rollback.patch", Data: made.Rollback},
		File{Name: "alter-system.sql", Data: []byte(made.AlterSystem)}, File{Name: "rollback.sql", Data: []byte(made.RollbackSQL)})
	if doc.Stock && len(doc.Files) > 0 {
		out = append(out, File{Name: "base/postgresql.conf", Data: []byte(doc.Files[0].Text)})
	}
	return out, nil
}

// Report writes the report of a run with what to know before its patch is applied.
func Report(w io.Writer, doc *rundoc.Document, a *advise.Advice, markdown bool) error {
	made, err := Make(doc, a, a.Only)
	if err != nil {
		return fmt.Errorf("making the patch: %w", err)
	}
	return write(w, doc, a, made, markdown)
}

func write(w io.Writer, doc *rundoc.Document, a *advise.Advice, made patch.Patch, markdown bool) error {
	if err := report.Run(w, doc, a, markdown); err != nil {
		return err
	}
	return report.Applying(w, remarks(made), markdown)
}

// RunJSON is run.json.
func RunJSON(doc *rundoc.Document) (File, error) {
	var b bytes.Buffer
	err := rundoc.Write(&b, doc)
	return File{Name: "run.json", Data: b.Bytes()}, err
}

func adviceJSON(doc *rundoc.Document, a *advise.Advice, made patch.Patch) ([]byte, error) {
	f := adviceFile{Advice: a, Shadowed: []shadow{}, Skipped: []skip{}, Notes: made.Notes, Instead: made.Instead}
	if !doc.Scratch && path.IsAbs(made.Dir) && !made.Empty() {
		f.Apply = made.Dir
	}
	for _, s := range made.Shadowed {
		f.Shadowed = append(f.Shadowed, shadow{s.Name, s.By, s.Advice})
	}
	for _, s := range made.Skipped {
		f.Skipped = append(f.Skipped, skip{s.Name, s.Reason})
	}
	data, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encoding the advice: %w", err)
	}
	return append(data, '\n'), nil
}

// own are the formats that are no export to another system.
var own = []string{"diff", "rollback", "rollback-sql", "advice", "report"}

// Formats are the formats of Format.
func Formats() []string { return append(slices.Clone(own), export.Formats()...) }

// Own tells whether a format is a patch or a report of pgfit's own and no export to another system.
func Own(format string) bool { return slices.Contains(own, format) || format == "alter-system" }

// Target is what is known about the system that an export is for.
type Target struct {
	Name      string           // of its parameter group, instance, cluster or service
	Catalogue export.Catalogue // what it lets one change; nil when nobody said
}

// Format makes the files of an advice in one format, the one to print first; with it comes what to do with them: how to
// apply them, how to take them back, what was left out and why.
func Format(format string, doc *rundoc.Document, a *advise.Advice, t Target) (made []File, talk []string, err error) {
	p, err := Make(doc, a, a.Only)
	if err != nil {
		return nil, nil, err
	}
	one := func(name string, data []byte) []File { return []File{{Name: name, Data: data}} }
	switch format {
	case "diff":
		return append(one("postgresql.conf.patch", p.Diff), File{Name: "postgresql.conf.rollback.patch", Data: p.Rollback}), append(remarks(p), a.StartCheck.Text), nil
	case "rollback":
		return one("postgresql.conf.rollback.patch", p.Rollback), nil, nil
	case "alter-system":
		return append(one("alter-system.sql", []byte(p.AlterSystem)), File{Name: "rollback.sql", Data: []byte(p.RollbackSQL)}), append(remarks(p), a.StartCheck.Text), nil
	case "rollback-sql":
		return one("rollback.sql", []byte(p.RollbackSQL)), nil, nil
	case "advice":
		data, err := adviceJSON(doc, a, p)
		return one("advice.json", data), nil, err
	case "report":
		var b bytes.Buffer
		err := write(&b, doc, a, p, false)
		return one("report.txt", b.Bytes()), nil, err
	}
	return exported(format, doc, a, t)
}

// remarks are what an operator has to know of a patch: what overrides it, what it leaves out, what it needs.
func remarks(made patch.Patch) []string {
	var talk []string
	for _, s := range made.Shadowed {
		talk = append(talk, fmt.Sprintf("%s: %s overrides it; %s", s.Name, s.By, s.Advice))
	}
	for _, s := range made.Skipped {
		talk = append(talk, fmt.Sprintf("%s left out: %s", s.Name, s.Reason))
	}
	return append(talk, made.Notes...)
}

// exported renders an advice for another system.
func exported(format string, doc *rundoc.Document, a *advise.Advice, t Target) (made []File, talk []string, err error) {
	settings := a.Settings
	settings.Proposals = slices.DeleteFunc(slices.Clone(settings.Proposals), func(p advisor.Proposal) bool {
		return a.Only != "" && p.Apply != a.Only
	})
	out, err := export.Render(format, export.Changes(settings), export.Options{
		Server: doc.Facts.Server, Header: header(a), Memory: limit(doc.Facts.Host.Memory), Needs: a.Settings.Budget.Total, Name: t.Name, Catalogue: t.Catalogue,
		Pool: pooler(doc, a.Pool),
	})
	if err != nil {
		return nil, nil, err
	}
	for _, f := range out.Files {
		made = append(made, File{Name: f.Name, Data: []byte(f.Data)})
	}
	talk = append(prefixed("apply: ", out.Apply), prefixed("take back: ", out.Rollback)...)
	for _, s := range out.Skipped {
		talk = append(talk, fmt.Sprintf("%s left out: %s", s.Name, s.Reason))
	}
	if talk = append(talk, out.Notes...); !export.OfPool(format) {
		talk = append(talk, a.StartCheck.Text)
	}
	return made, talk, nil
}

// limit is the memory that somebody has set for the server: --ram, or the limit of its control group. All the memory of the
// machine that it happens to run on is no limit of anybody's: 0.
func limit(m probe.Memory) int64 {
	if group, ok := m.CgroupMax.Get(); m.Budget.State == probe.Given || ok && m.Budget.Value == group {
		return m.Budget.Value
	}
	return 0
}

// pooler is the pool of the advice for a pooler in between: what the advice says of one, else all of the pool and the reserve.
func pooler(doc *rundoc.Document, a advisor.PoolAdvice) *export.Pool {
	p := &export.Pool{Database: doc.Facts.Server.Database, PoolSize: a.Total, MaxOverflow: a.Reserve(),
		Timeout: float64(a.PoolTimeout), Recycle: float64(a.PoolRecycle), App: export.AppPool{Processes: a.Processes,
			PoolSize: a.PoolSize, MaxOverflow: a.MaxOverflow, Timeout: a.PoolTimeout, MaxConnections: a.MaxConnections}}
	if b := a.PgBouncer; b != nil {
		p.PoolSize, p.MaxOverflow, p.MaxClients, p.Timeout = b.DefaultPoolSize, b.ReservePoolSize, b.MaxClientConn, float64(b.QueryWaitTimeout)
	}
	return p
}

// header says where the values come from.
func header(a *advise.Advice) string {
	if a.RulesOnly {
		return "pgfit " + a.Version + ", rules only: nothing was measured"
	}
	return "pgfit " + a.Version + ", run of " + a.RunStarted
}

func prefixed(with string, lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = with + l
	}
	return out
}
