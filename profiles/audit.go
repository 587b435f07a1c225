package profiles

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed audit/*.yaml
var auditFS embed.FS

//go:embed audit-left.yaml
var auditLeft []byte

// AuditEnvironments are the profiles of an audit.
var AuditEnvironments = []string{"development", "testing", "production"}

// Severities, the worst first.
var Severities = []string{"error", "warning", "note"}

// AuditCheck is one thing to look at. With Setting and one of Is, In, Not, Has, Min and Max the check is judged from the
// data alone; the others are known to advisor/audit by their ID.
type AuditCheck struct {
	ID       string            `yaml:"id"`
	Severity map[string]string `yaml:"severity"` // by environment
	Setting  string            `yaml:"setting"`
	Is       string            `yaml:"is"`
	In       []string          `yaml:"in"`
	Not      []string          `yaml:"not"`
	Has      string            `yaml:"has"` // an element of a list
	Min      string            `yaml:"min"`
	Max      string            `yaml:"max"`
	Or       []string          `yaml:"or"`    // values that are right beside the range
	Value    string            `yaml:"value"` // what a patch would write; Is where empty
	Days     int               `yaml:"days"`
	Reason   string            `yaml:"reason"`
	Source   string            `yaml:"source"`
	Fix      string            `yaml:"fix"` // a line or a statement
}

// Data tells whether the check is judged from the data alone.
func (c AuditCheck) Data() bool {
	return c.Setting != "" && (c.Is != "" || c.In != nil || c.Not != nil || c.Has != "" || c.Min != "" || c.Max != "")
}

// Audit are the checks of an environment, in the order of the files. An unknown environment has none and is an error.
func Audit(environment string) ([]AuditCheck, error) {
	if !slices.Contains(AuditEnvironments, environment) {
		return nil, fmt.Errorf("no audit profile %q: want %s", environment, strings.Join(AuditEnvironments, ", "))
	}
	all, err := auditChecks()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c AuditCheck) bool { return c.Severity[environment] == "" }), nil
}

// AuditLeft are the settings that are read and not judged, with the reason.
func AuditLeft() (map[string]string, error) {
	var file struct {
		Left []struct {
			Name   string `yaml:"name"`
			Reason string `yaml:"reason"`
		} `yaml:"left"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(auditLeft))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("reading audit-left.yaml: %w", err)
	}
	left := map[string]string{}
	for _, l := range file.Left {
		left[l.Name] = l.Reason
	}
	return left, nil
}

func auditChecks() ([]AuditCheck, error) {
	names, err := fs.Glob(auditFS, "audit/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []AuditCheck
	for _, name := range names {
		data, err := auditFS.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var file struct {
			Checks []AuditCheck `yaml:"checks"`
		}
		dec := yaml.NewDecoder(bytes.NewReader(data))
		dec.KnownFields(true)
		if err := dec.Decode(&file); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		all = append(all, file.Checks...)
	}
	return all, nil
}
