package export

import (
	"strings"

	"pgfit/probe/guc"
	"pgfit/report/patch"
)

// item is a change with what the formats need of it.
type item struct {
	Change
	set     guc.Setting // zero for a module's setting
	base    string      // the value in pg_settings.unit: what managed services take
	old     string      // the present value, as a person writes it; "" with reset
	oldBase string
	reset   bool // the present value is the default, or not known: to take the change back is to take it out
	restart bool
}

func (j *job) item(a patch.Applied, c Change) item {
	it := item{Change: c, base: a.Setting, restart: a.Restart, reset: true}
	it.Name = a.Name
	set, ok := j.settings()[a.Name]
	if !ok {
		return it
	}
	it.set = set
	switch {
	case len(j.Server.Settings) == 0, set.Source == "default", set.Source == "", set.Source == "override":
	default:
		it.old, it.oldBase, it.reset = set.Show(set.Value), set.Value, false
	}
	return it
}

func (j *job) settings() guc.Settings {
	if len(j.Server.Settings) > 0 {
		return j.Server.Settings
	}
	all, err := guc.Catalogue(j.Server.Major())
	if err != nil {
		return nil
	}
	return all
}

// now is the present value for a reader, also where it is the default.
func (it item) now() string {
	if it.set.Name == "" {
		return ""
	}
	return it.set.Show(it.set.Value)
}

// apply says when the change takes effect.
func (it item) apply() string {
	if it.restart {
		return "restart"
	}
	return "reload"
}

// bit writes a bool as 1 or 0 and leaves everything else.
func bit(it item, value string) string {
	if it.set.VarType == "bool" {
		return map[string]string{"on": "1", "off": "0"}[value]
	}
	return value
}

// isNumber tells whether YAML and HCL would read it as an integer and write it the same.
func isNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && len(digits) < 16 && (digits == "0" || digits[0] != '0') && strings.Trim(digits, "0123456789") == ""
}
