package advisor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgfit/workload/rundoc"
)

// StartCheck says whether a server was seen to start with the proposed values.
type StartCheck struct {
	Result  string `json:"result"`                   // passed, failed, or not done
	Version string `json:"server_version,omitempty"` // of the server that was started
	// NotChecked are settings of the files that tie a server to its machine: it was started without them.
	NotChecked []string `json:"not_checked,omitempty"`
	Text       string   `json:"text"` // for people: begins with start-checked or not start-checked
}

// The results of a start check.
const (
	StartPassed  = "passed"
	StartFailed  = "failed"
	StartNotDone = "not done"
)

// otherwise is what the values rest on where no server was started.
const otherwise = "names, ranges, units and enum values were checked against the settings of the version"

// JudgeStart reads a start check that was made with done's values for an advice that proposes values, on a server of the
// given version.
func JudgeStart(done *rundoc.StartCheck, values map[string]string, target string) StartCheck {
	no := func(why string) StartCheck {
		return StartCheck{Result: StartNotDone, Text: "not start-checked: " + why + "; " + otherwise}
	}
	switch {
	case len(values) == 0:
		return StartCheck{Result: StartNotDone, Text: "not start-checked: there is nothing to change"}
	case done == nil:
		return no("no server was started with these values (pgfit advise --start-check does)")
	case !maps.Equal(done.Values, values):
		return no("the server of the run was started with other values (pgfit advise --start-check takes these)")
	case done.NotDone != "":
		return no(done.NotDone)
	case done.Failure != "":
		return StartCheck{Result: StartFailed, Version: done.Version, Text: fmt.Sprintf("start check failed on %s: %s", done.Version, done.Failure)}
	}
	c := StartCheck{Result: StartPassed, Version: done.Version, Text: "start-checked on " + done.Version}
	if strings.Contains(target, ".") && target != done.Version { // a major alone says nothing of another build
		c.Text += " (the target runs " + target + ")"
	}
	every := "every value is in force"
	if slices.ContainsFunc(done.NotChecked, func(name string) bool { return values[name] != "" }) {
		every = "every other value is in force"
	}
	c.Text += ": it starts with these files, its log is clean, " + every
	if c.NotChecked = done.NotChecked; len(c.NotChecked) > 0 {
		c.Text += "; not checked: " + strings.Join(c.NotChecked, ", ")
	}
	if done.Reduced {
		c.Text += "; with smaller shared_buffers, since those of the files are too much for this machine"
	}
	return c
}
