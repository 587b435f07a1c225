package trial

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"pgfit/probe/pgconf"
)

// ErrPatch is wrapped by every refusal of ReadPatch.
var ErrPatch = errors.New("no patch that can be measured")

// ReadPatch reads the settings of a patch: a unified diff of configuration files (its added lines), ALTER SYSTEM
// statements, or lines as in postgresql.conf. Values come back as the server takes them, without quotes. Includes are
// refused: what they hold is not in the patch.
func ReadPatch(name, text string) (map[string]string, error) {
	var lines []string
	switch {
	case isDiff(text):
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "+") && !strings.HasPrefix(line, "+++ ") {
				lines = append(lines, line[1:])
			}
		}
	default:
		for line := range strings.Lines(text) {
			lines = append(lines, fromSQL(line))
		}
	}
	set := map[string]string{}
	for i, l := range pgconf.Parse(name, []byte(strings.Join(lines, ""))).Lines() {
		switch {
		case l.Kind == pgconf.Broken:
			return nil, fmt.Errorf("%s: %w: %q is no setting", name, ErrPatch, strings.TrimSpace(lines[i]))
		case l.Directive():
			return nil, fmt.Errorf("%s: %w: it includes other files", name, ErrPatch)
		case l.Kind == pgconf.Entry:
			set[strings.ToLower(l.Name)] = l.Value
		}
	}
	if len(set) == 0 {
		return nil, fmt.Errorf("%s: %w: it sets nothing", name, ErrPatch)
	}
	return set, nil
}

func isDiff(text string) bool {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "@@ ") {
			return true
		}
	}
	return false
}

// fromSQL turns an ALTER SYSTEM SET statement into a line of postgresql.conf, comments and reloads into nothing, and
// leaves all else alone.
func fromSQL(line string) string {
	t := strings.TrimSpace(line)
	switch {
	case strings.HasPrefix(t, "--"), strings.EqualFold(t, "SELECT pg_reload_conf();"):
		return "\n"
	case len(t) > 17 && strings.EqualFold(t[:17], "ALTER SYSTEM SET "):
		return strings.ReplaceAll(strings.TrimSuffix(t[17:], ";"), "', '", ", ") + "\n" // a list is one string in the file
	}
	return line
}

// Names are the settings of a patch in alphabetical order.
func Names(set map[string]string) []string {
	names := make([]string, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
