package pgconf

import "strings"

// token is a class of guc-file.l.
type token int

const (
	tokEnd          token = iota // end of line, comment included
	tokID                        // {LETTER}{LETTER_OR_DIGIT}*
	tokQualified                 // {ID}.{ID}
	tokString                    // '...', with '' and \x inside
	tokUnquoted                  // {LETTER}({LETTER_OR_DIGIT}|[-._:/])*
	tokInteger                   // 12, -1, 0x1F, 128MB
	tokReal                      // 1.5, .5e3; a unit is not part of it
	tokEquals                    // =
	tokUnrecognised              // anything else
)

// parseLine follows ParseConfigFp (guc-file.l): name, an optional =, value, end of line.
func parseLine(text string) Line {
	l := Line{Text: text}
	s := scanner{text: strings.TrimSuffix(text, "\n")}
	tok, from := s.next()
	if tok == tokEnd {
		return commentLine(text, from)
	}
	if ok, _ := l.entry(&s, tok, from); !ok {
		return Line{Text: text, Kind: Broken}
	}
	l.Kind = Entry
	return l
}

// entry reads name, = and value; equals says whether there was a =.
func (l *Line) entry(s *scanner, tok token, from int) (ok, equals bool) {
	if tok != tokID && tok != tokQualified {
		return false, false
	}
	l.name = span{from, s.pos}
	if tok, from = s.next(); tok == tokEquals {
		equals = true
		tok, from = s.next()
	}
	l.value = span{from, s.pos}
	raw := s.text[from:s.pos]
	switch tok {
	case tokString:
		raw = unquote(raw)
	case tokID, tokInteger, tokReal, tokUnquoted: // a value of the form a.b is refused unless it is quoted
	default:
		return false, equals
	}
	l.Name, l.Value = s.text[l.name.from:l.name.to], raw
	tok, _ = s.next()
	return tok == tokEnd, equals
}

// commentLine tells "#work_mem = 4MB  # min 64kB" from prose. Without the = it would be anybody's guess.
func commentLine(text string, from int) Line {
	l := Line{Text: text, Kind: Comment}
	body := strings.TrimSuffix(text, "\n")
	if from >= len(body) {
		l.Kind = Blank
		return l
	}
	for from < len(body) && body[from] == '#' {
		from++
	}
	s := scanner{text: body, pos: from}
	tok, start := s.next()
	if ok, equals := l.entry(&s, tok, start); !ok || !equals || isDirective(l.Name) {
		return Line{Text: text, Kind: Comment}
	}
	l.Kind = Commented
	return l
}

// scanner walks over one line without its newline.
type scanner struct {
	text string
	pos  int
}

// next finds the longest token at the next place that is not white space, as flex does; on equal length the rule that
// stands first in guc-file.l wins. At the end from is where the comment or the line's end begins.
func (s *scanner) next() (tok token, from int) {
	for s.pos < len(s.text) && isSpace(s.text[s.pos]) {
		s.pos++
	}
	from = s.pos
	rest := s.text[from:]
	var n int
	switch {
	case rest == "" || rest[0] == '#':
		return tokEnd, from
	case rest[0] == '=':
		tok, n = tokEquals, 1
	case rest[0] == '\'':
		tok, n = tokString, quotedLen(rest)
	case isLetter(rest[0]):
		tok, n = word(rest)
	default:
		tok, n = number(rest)
	}
	if n == 0 {
		tok, n = tokUnrecognised, 1
	}
	s.pos += n
	return tok, from
}

func word(s string) (token, int) {
	id := idLen(s)
	qualified := 0
	if id < len(s) && s[id] == '.' {
		if second := idLen(s[id+1:]); second > 0 {
			qualified = id + 1 + second
		}
	}
	unquoted := span0(s, func(c byte) bool { return isLetter(c) || isDigit(c) || strings.IndexByte("-._:/", c) >= 0 })
	switch {
	case unquoted > id && unquoted > qualified:
		return tokUnquoted, unquoted
	case qualified > id:
		return tokQualified, qualified
	}
	return tokID, id
}

func number(s string) (token, int) {
	sign := 0
	if s[0] == '-' || s[0] == '+' {
		sign = 1
	}
	digits := span0(s[sign:], isDigit)
	integer := 0
	if digits > 0 {
		integer = sign + digits + span0(s[sign+digits:], isUnitLetter)
	}
	if strings.HasPrefix(s[sign:], "0x") {
		if hex := span0(s[sign+2:], isHex); hex > 0 {
			integer = max(integer, sign+2+hex+span0(s[sign+2+hex:], isUnitLetter))
		}
	}
	if at := sign + digits; at < len(s) && s[at] == '.' {
		fraction := at + 1 + span0(s[at+1:], isDigit)
		return tokReal, fraction + exponentLen(s[fraction:])
	}
	return tokInteger, integer
}

func exponentLen(s string) int {
	if s == "" || s[0] != 'e' && s[0] != 'E' {
		return 0
	}
	n := 1
	if n < len(s) && (s[n] == '-' || s[n] == '+') {
		n++
	}
	digits := span0(s[n:], isDigit)
	if digits == 0 {
		return 0
	}
	return n + digits
}

// quotedLen is the length of the quoted string that s begins with, quotes included, 0 when it does not end.
func quotedLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == '\'':
			return i + 1
		}
	}
	return 0
}

func idLen(s string) int {
	if s == "" || !isLetter(s[0]) {
		return 0
	}
	return span0(s, func(c byte) bool { return isLetter(c) || isDigit(c) })
}

// span0 counts the bytes at the front of s that are in the class.
func span0(s string, in func(byte) bool) int {
	n := 0
	for n < len(s) && in(s[n]) {
		n++
	}
	return n
}

func isSpace(c byte) bool      { return c == ' ' || c == '\t' || c == '\r' }
func isDigit(c byte) bool      { return c >= '0' && c <= '9' }
func isUnitLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isLetter(c byte) bool     { return isUnitLetter(c) || c == '_' || c >= 0x80 }
func isHex(c byte) bool        { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
