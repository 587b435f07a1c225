package files

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"pgfit/advisor"
	"pgfit/advisor/advise"
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
	Apply    string   `json:"patch_directory,omitempty"` // where patch -p1 is to be run
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
	advice, err := adviceJSON(a, made)
	if err != nil {
		return nil, err
	}
	var md bytes.Buffer
	if err := report.Run(&md, doc, a, true); err != nil {
		return nil, err
	}
	out = append(out, run, File{"advice.json", advice}, File{"report.md", md.Bytes()},
		File{"postgresql.conf.patch", made.Diff}, File{"postgresql.conf.rollback.patch", made.Rollback},
		File{"alter-system.sql", []byte(made.AlterSystem)}, File{"rollback.sql", []byte(made.RollbackSQL)})
	if doc.Stock && len(doc.Files) > 0 {
		out = append(out, File{"base/postgresql.conf", []byte(doc.Files[0].Text)})
	}
	return out, nil
}

// RunJSON is run.json.
func RunJSON(doc *rundoc.Document) (File, error) {
	var b bytes.Buffer
	err := rundoc.Write(&b, doc)
	return File{"run.json", b.Bytes()}, err
}

func adviceJSON(a *advise.Advice, made patch.Patch) ([]byte, error) {
	f := adviceFile{Advice: a, Shadowed: []shadow{}, Skipped: []skip{}, Notes: made.Notes, Instead: made.Instead}
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

// Format writes an advice in one format. Besides the document itself it returns what to do with it: how to apply it, how to
// take it back, and what was left out.
func Format(format string, doc *rundoc.Document, a *advise.Advice) (data []byte, talk []string, err error) {
	made, err := Make(doc, a, a.Only)
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	switch format {
	case "diff":
		return made.Diff, shadows(made), nil
	case "rollback":
		return made.Rollback, nil, nil
	case "alter-system":
		return []byte(made.AlterSystem), shadows(made), nil
	case "rollback-sql":
		return []byte(made.RollbackSQL), nil, nil
	case "advice":
		data, err := adviceJSON(a, made)
		return data, nil, err
	case "report":
		err := report.Run(&b, doc, a, false)
		return b.Bytes(), nil, err
	}
	return exported(format, doc, a, made)
}

func shadows(made patch.Patch) []string {
	var talk []string
	for _, s := range made.Shadowed {
		talk = append(talk, fmt.Sprintf("%s: %s overrides it; %s", s.Name, s.By, s.Advice))
	}
	for _, s := range made.Skipped {
		talk = append(talk, fmt.Sprintf("%s left out: %s", s.Name, s.Reason))
	}
	return append(talk, made.Notes...)
}

// exported renders an advice for another system; further files than the first follow it under a comment with their name.
func exported(format string, doc *rundoc.Document, a *advise.Advice, made patch.Patch) ([]byte, []string, error) {
	settings := a.Settings
	settings.Proposals = slices.DeleteFunc(slices.Clone(settings.Proposals), func(p advisor.Proposal) bool {
		return a.Only != "" && p.Apply != a.Only
	})
	memory, _ := doc.Facts.Host.Memory.Budget.Get()
	out, err := export.Render(format, export.Changes(settings), export.Options{
		Server: doc.Facts.Server, Header: "pgfit " + a.Version + ", run of " + a.RunStarted, Memory: memory,
		Pool: &export.Pool{Database: doc.Facts.Server.Database, PoolSize: a.Pool.Total - a.Pool.Total/4, MaxOverflow: a.Pool.Total / 4,
			Timeout: float64(a.Pool.PoolTimeout), Recycle: float64(a.Pool.PoolRecycle), App: export.AppPool{Processes: a.Pool.Processes,
				PoolSize: a.Pool.PoolSize, MaxOverflow: a.Pool.MaxOverflow, MaxConnections: a.Pool.MaxConnections}},
	})
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	for i, f := range out.Files {
		if i > 0 {
			fmt.Fprintf(&b, "\n# %s\n", f.Name)
		}
		b.WriteString(f.Data)
	}
	talk := append(prefixed("apply: ", out.Apply), prefixed("take back: ", out.Rollback)...)
	for _, s := range out.Skipped {
		talk = append(talk, fmt.Sprintf("%s left out: %s", s.Name, s.Reason))
	}
	return b.Bytes(), append(talk, out.Notes...), nil
}

func prefixed(with string, lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = with + l
	}
	return out
}
