package script

import "strings"

// stop says what ended a stretch of SQL.
type stop uint8

const (
	stopEnd       stop = iota // of the script
	stopSemicolon             // which belongs to the statement
	stopBackslash             // of a backslash command
)

// splitter finds the end of SQL statements as psql's lexer does: at a semicolon outside quotes, comments, parentheses
// and the body of CREATE FUNCTION ... BEGIN ATOMIC. Depths live on over backslash commands.
type splitter struct {
	parens int
	begins int     // of BEGIN and CASE inside a function's body
	words  int     // identifiers of this statement so far
	first  [4]byte // initials of the first four, where they are CREATE, OR, REPLACE, FUNCTION or PROCEDURE
}

// sql collects the next stretch of SQL. Whitespace and -- comments before it are dropped, \; and \: lose their
// backslash, all else is as written. p.start is where it begins.
func (p *parser) sql() (text string, why stop) {
	var b strings.Builder
	for p.pos < len(p.src) {
		rest := p.src[p.pos:]
		n := 1
		switch c := rest[0]; {
		case isSpace(c), strings.HasPrefix(rest, "--"):
			if !isSpace(c) {
				n = untilNewline(rest)
			}
			if b.Len() == 0 {
				p.pos += n
				continue
			}
		case c == '\\' && len(rest) > 1 && (rest[1] == ';' || rest[1] == ':'):
			p.pos++
			if rest[1] == ';' {
				p.split.words = 0
			}
		case c == '\\':
			p.pos++
			return b.String(), stopBackslash
		case c == ';' && p.split.parens == 0 && p.split.begins == 0:
			p.split.words = 0
			if b.Len() == 0 {
				p.start = p.pos
			}
			b.WriteByte(c)
			p.pos++
			return b.String(), stopSemicolon
		default:
			n = p.split.token(rest)
		}
		if b.Len() == 0 {
			p.start = p.pos
		}
		b.WriteString(p.src[p.pos : p.pos+n])
		p.pos += n
	}
	return b.String(), stopEnd
}

// token is the length of what begins here, so far as it matters for finding the end of a statement.
func (s *splitter) token(rest string) int {
	switch c := rest[0]; {
	case c == '(':
		s.parens++
	case c == ')':
		s.parens = max(0, s.parens-1)
	case c == '\'' || c == '"':
		return quoted(rest, c)
	case (c == 'e' || c == 'E') && len(rest) > 1 && rest[1] == '\'':
		return 1 + escaped(rest[1:])
	case c == '$':
		return dollarQuoted(rest)
	case strings.HasPrefix(rest, "/*"):
		return comment(rest)
	case strings.HasPrefix(rest, "::"):
		return 2
	case c == ':':
		return 1 + countWord(rest[1:])
	case isDigit(c):
		return countIdentifier(rest)
	case isLetter(c):
		n := countIdentifier(rest)
		s.word(strings.ToLower(rest[:n]))
		return n
	}
	return 1
}

// word follows the beginning of CREATE [OR REPLACE] {FUNCTION | PROCEDURE}, and in it BEGIN, CASE and END.
func (s *splitter) word(w string) {
	if s.words == 0 {
		s.first = [4]byte{}
	}
	switch w {
	case "create", "function", "procedure", "or", "replace":
		if s.words < len(s.first) {
			s.first[s.words] = w[0]
		}
	}
	s.words++
	f := s.first
	routine := f[1]
	if f[1] == 'o' && f[2] == 'r' {
		routine = f[3]
	}
	if f[0] != 'c' || routine != 'f' && routine != 'p' || s.parens > 0 {
		return
	}
	switch {
	case w == "begin", w == "case" && s.begins > 0:
		s.begins++
	case w == "end":
		s.begins = max(0, s.begins-1)
	}
}

func untilNewline(s string) int {
	if n := strings.IndexAny(s, "\r\n"); n >= 0 {
		return n
	}
	return len(s)
}

// quoted is the length of 'text' or "name". A doubled quote ends one and begins another, which comes to the same.
func quoted(s string, quote byte) int {
	if n := strings.IndexByte(s[1:], quote); n >= 0 {
		return n + 2
	}
	return len(s)
}

// escaped is the length of the 'text' of an E'text', which goes on over a doubled quote and over a newline and another
// quote, and where a backslash takes away a quote's meaning.
func escaped(s string) int {
	for n := 1; n < len(s); n++ {
		switch s[n] {
		case '\\':
			n++
		case '\'':
			next := continued(s[n+1:])
			if next < 0 {
				return n + 1
			}
			n += 1 + next
		}
	}
	return len(s)
}

// continued is the place of the quote that takes a string up again, or -1.
func continued(s string) int {
	if strings.HasPrefix(s, "'") {
		return 0
	}
	newline := false
	for n := 0; n < len(s); n++ {
		switch {
		case s[n] == '\n' || s[n] == '\r':
			newline = true
		case isSpace(s[n]):
		case strings.HasPrefix(s[n:], "--"):
			n += untilNewline(s[n:]) - 1
		case s[n] == '\'' && newline:
			return n
		default:
			return -1
		}
	}
	return -1
}

// dollarQuoted is the length of $tag$text$tag$, or 1 where the dollar begins none.
func dollarQuoted(s string) int {
	tag := 1
	if len(s) > 1 && !isDigit(s[1]) {
		tag += countWord(s[1:])
	}
	if tag >= len(s) || s[tag] != '$' {
		return 1
	}
	tag++
	if n := strings.Index(s[tag:], s[:tag]); n >= 0 {
		return tag + n + tag
	}
	return len(s)
}

// comment is the length of a /* comment */, which may hold others.
func comment(s string) int {
	depth := 0
	for n := 0; n < len(s); n++ {
		switch {
		case strings.HasPrefix(s[n:], "/*"):
			depth++
			n++
		case strings.HasPrefix(s[n:], "*/"):
			n++
			if depth--; depth == 0 {
				return n + 1
			}
		}
	}
	return len(s)
}

// countIdentifier is the length of a name or number with what sticks to it; a dollar inside is no quote.
func countIdentifier(s string) int {
	n := countWord(s)
	for n < len(s) && s[n] == '$' {
		n++
		n += countWord(s[n:])
	}
	return n
}
