package unified

import (
	"regexp"
	"slices"
)

// Sparing is Diff without a line that holds a secret; false when there is no such diff. The context shrinks where a secret
// stands near: patch and git take a hunk with less of it.
func Sparing(from, to, before, after string) (string, bool) {
	for context := 3; context >= 1; context-- {
		all, ok := hunks(before, after, context), true
		for i := range all {
			ok = ok && all[i].trim()
		}
		if ok {
			return header(from, to, all), true
		}
	}
	return "", false
}

// trim takes context lines off both ends until no secret is left; false when one is left inside, or when no context would
// follow, which git takes for the end of the file.
func (h *hunk) trim() bool {
	context := func(line string) bool { return line[0] == ' ' }
	changed := func(line string) bool { return !context(line) }
	first := slices.IndexFunc(h.lines, changed)
	last := len(h.lines)
	for last > 0 && context(h.lines[last-1]) {
		last--
	}
	from, to := 0, len(h.lines)
	for i, line := range h.lines {
		switch {
		case line[0] == '\\' || !Secret(line[1:]):
		case i < first:
			from = i + 1
		case i > last:
			to = min(to, i)
		default:
			return false
		}
	}
	h.at += from
	h.lines = h.lines[from:to]
	return true
}

// secretKey is a name whose value is a secret; secretURL a URL with a password.
var (
	secretKey = regexp.MustCompile(`(?i)(password|passwd|passphrase|_pw|secret|token|api_?key|private_?key|credential)[A-Za-z0-9_]*["']?\s*[:=]\s*["']?[^"'\s#]`)
	noSecret  = regexp.MustCompile(`(?i)password_encryption|ssl_passphrase_command_supports_reload`) // settings: a method, and on or off
	secretURL = regexp.MustCompile(`://[^/\s@:]*:[^\s@]+@`)
)

// Secret tells whether a line of config.yaml, .env, pg_hba.conf or postgresql.conf may hold a secret. It errs on the safe
// side.
func Secret(line string) bool {
	line = noSecret.ReplaceAllString(line, "")
	return secretKey.MatchString(line) || secretURL.MatchString(line)
}
