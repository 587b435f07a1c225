package files

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"pgfit/advisor/advise"
	"pgfit/report"
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

// Formats are the formats of Format.
var Formats = []string{"diff", "rollback", "alter-system", "rollback-sql", "json", "text", "markdown"}

// Format writes an advice in one format.
func Format(format string, doc *rundoc.Document, a *advise.Advice) ([]byte, error) {
	made, err := Make(doc, a, a.Only)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	switch format {
	case "diff":
		return made.Diff, nil
	case "rollback":
		return made.Rollback, nil
	case "alter-system":
		return []byte(made.AlterSystem), nil
	case "rollback-sql":
		return []byte(made.RollbackSQL), nil
	case "json":
		return adviceJSON(a, made)
	case "text", "markdown":
		err := report.Run(&b, doc, a, format == "markdown")
		return b.Bytes(), err
	}
	return nil, fmt.Errorf("format %q: want one of %s", format, strings.Join(Formats, ", "))
}
