package script

import (
	"strconv"
	"strings"
)

// token is a kind of token in an expression: an operator's own text, or one of these.
type token string

const (
	tokEnd      token = ""
	tokInt      token = "integer"
	tokMinInt   token = "9223372036854775808" // only good after a minus
	tokDouble   token = "double"
	tokVariable token = "variable"
	tokFunction token = "function"
)

// keywords are tokens of their own, in any case.
var keywords = map[string]token{
	"and": "and", "or": "or", "not": "not", "is": "is", "isnull": "isnull", "notnull": "notnull", "case": "case",
	"when": "when", "then": "then", "else": "else", "end": "end", "null": "null", "true": "true", "false": "false",
}

// operators, those of two characters first.
var operators = []token{"<>", "!=", "<=", ">=", "<<", ">>", "+", "-", "*", "/", "%", "=", "<", ">", "|", "&", "#", "~",
	"(", ")", ","}

// lexer reads the expression of one backslash command; it ends with the line, unless a backslash continues that.
// It looks at a token only when asked, so that of two mistakes the one that pgbench meets first is told.
type lexer struct {
	p      *parser
	peeked bool
	tok    token
	text   string
	i      int64
	f      float64
	start  int // of the token
	end    int // one behind it
}

// peek is the next token.
func (l *lexer) peek() (token, error) {
	if l.peeked {
		return l.tok, nil
	}
	err := l.scan()
	l.peeked = err == nil
	return l.tok, err
}

// take is peek, and steps over the token.
func (l *lexer) take() (token, error) {
	t, err := l.peek()
	l.peeked = false
	return t, err
}

func (l *lexer) scan() error {
	p := l.p
	p.skipSpace()
	l.start = p.pos
	rest := p.src[p.pos:]
	switch {
	case rest == "" || rest[0] == '\n':
		l.set(tokEnd, min(1, len(rest)))
		return nil
	case rest[0] == ':':
		if n := 1 + countWord(rest[1:]); n > 1 {
			l.set(tokVariable, n)
			return nil
		}
	case isDigit(rest[0]), rest[0] == '.' && len(rest) > 1 && isDigit(rest[1]):
		return l.number(rest)
	case isLetter(rest[0]):
		l.set(tokFunction, countWord(rest))
		if k, ok := keywords[strings.ToLower(l.text)]; ok {
			l.tok = k
		}
		return nil
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, string(op)) {
			l.set(op, len(op))
			return nil
		}
	}
	l.set("", 1)
	return l.fail("unexpected character", l.text)
}

func (l *lexer) set(t token, n int) {
	l.tok, l.text = t, l.p.src[l.start:l.start+n]
	l.p.pos += n
	l.end = l.p.pos
}

func (l *lexer) number(s string) error {
	n := countDigits(s)
	whole := n
	if n < len(s) && s[n] == '.' {
		n++
		n += countDigits(s[n:])
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		e := n + 1
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if d := countDigits(s[e:]); d > 0 {
			n = e + d
		}
	}
	l.set(tokInt, n)
	if l.text == string(tokMinInt) {
		l.tok = tokMinInt
		return nil
	}
	var err error
	if n == whole {
		if l.i, err = strconv.ParseInt(l.text, 10, 64); err != nil {
			return l.fail("bigint constant overflow", l.text)
		}
		return nil
	}
	l.tok = tokDouble
	if l.f, err = strconv.ParseFloat(l.text, 64); err != nil {
		return l.fail("double constant overflow", l.text)
	}
	return nil
}

// fail is an error at the last character of the token in hand.
func (l *lexer) fail(msg, more string) error {
	return errorAt(l.p.Name, l.p.src, l.end-1, l.p.command, msg, more)
}

func (l *lexer) syntax() error { return l.fail("syntax error", "") }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func countDigits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// countWord counts letters, digits, underscores and all that is not ASCII: the characters of a variable's name.
func countWord(s string) int {
	n := 0
	for n < len(s) && (isLetter(s[n]) || isDigit(s[n])) {
		n++
	}
	return n
}

// validName tells whether a variable may have this name: a word that does not begin with a digit.
func validName(s string) bool {
	return s != "" && isLetter(s[0]) && countWord(s) == len(s)
}
