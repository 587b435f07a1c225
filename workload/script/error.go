package script

import (
	"fmt"
	"strings"
)

// Error is a mistake in a script, found while parsing it or while running it. Line and Column count from 1 and say
// where it was noticed: at the end of the token that does not fit, as pgbench does, so that both point at one place.
type Error struct {
	Script  string // name or file
	Line    int
	Column  int    // in bytes
	Msg     string // with the offending text in parentheses, where there is any
	Command string // such as set, without its backslash; empty for SQL
	Text    string // the line of source
	cause   error
}

// Unwrap is what lies behind Msg, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Error gives file, line, column, message and command, and below it the source with a caret under the column.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", e.Script, e.Line, e.Column, e.Msg)
	if e.Command != "" {
		fmt.Fprintf(&b, " in command %q", e.Command)
	}
	fmt.Fprintf(&b, "\n%s\n%s^ error found here", e.Text, e.indent())
	return b.String()
}

// indent is as wide as the source before the column; tabs stay tabs.
func (e *Error) indent() string {
	var b strings.Builder
	for i := 0; i < e.Column-1; i++ {
		if i < len(e.Text) && e.Text[i] == '\t' {
			b.WriteByte('\t')
		} else if i >= len(e.Text) || e.Text[i]&0xC0 != 0x80 { // one column for all bytes of a character
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// errorAt places a message at a byte of the source. more is the offending text, or empty.
func errorAt(name, src string, at int, command, msg, more string) *Error {
	at = min(max(at, 0), len(src))
	start := strings.LastIndexByte(src[:at], '\n') + 1
	text := src[start:]
	if end := strings.IndexByte(text, '\n'); end >= 0 {
		text = text[:end]
	}
	if more != "" {
		msg += " (" + more + ")"
	}
	return &Error{
		Script:  name,
		Line:    1 + strings.Count(src[:at], "\n"),
		Column:  1 + at - start,
		Msg:     msg,
		Command: command,
		Text:    strings.TrimSuffix(text, "\r"),
	}
}
