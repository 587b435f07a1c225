package pghba

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

func (r *Rule) isRegexp(t Token) bool { return r.major >= withRegexp && strings.HasPrefix(t.Text, "/") }

// regexps checks the regular expressions among names as regcomp_auth_token of hba.c does, in the server's words. Go and the
// server differ in what lies beyond the basics (lookahead, back references, embedded options): what Go does not take for
// such a reason is let through.
func (r *Rule) regexps(tokens []Token) {
	for _, t := range tokens {
		if r.Error == "" && r.isRegexp(t) {
			if why := wrongInBoth(t.Text[1:]); why != "" {
				r.Error = `invalid regular expression "` + t.Text[1:] + `": ` + why
			}
		}
	}
}

// wrongInBoth is what neither Go nor the server takes, in the words of regerrs.h; "" where one of them may.
func wrongInBoth(expr string) string {
	_, err := syntax.Parse(expr, syntax.Perl)
	var bad *syntax.Error
	switch {
	case strings.HasPrefix(expr, "***"): // a director, which says what follows is
		return ""
	case err == nil:
		return badBound(expr)
	case !errors.As(err, &bad):
		return ""
	}
	switch bad.Code {
	case syntax.ErrMissingParen, syntax.ErrUnexpectedParen:
		return "parentheses () not balanced"
	case syntax.ErrMissingBracket:
		return "brackets [] not balanced"
	case syntax.ErrInvalidCharRange:
		if strings.HasPrefix(bad.Expr, "[:") {
			return "invalid character class"
		}
		return "invalid character range"
	case syntax.ErrMissingRepeatArgument, syntax.ErrInvalidRepeatOp:
		return "quantifier operand invalid"
	case syntax.ErrInvalidRepeatSize:
		return "invalid repetition count(s)"
	case syntax.ErrTrailingBackslash:
		return `invalid escape \ sequence`
	}
	return ""
}

// pieces are what a bound such as {2,5} may hide in, and bounds.
var pieces = regexp.MustCompile(`\\.|\[\^?\]?(?:\[[:.=].*?[:.=]\]|\\.|[^\]])*\]|\{([0-9]+)(?:,([0-9]*))?(.?)`)

// maxBound is DUPMAX of regguts.h.
const maxBound = 255

// badBound finds what Go takes for literal braces, or for a count that the server finds too large.
func badBound(expr string) string {
	for _, m := range pieces.FindAllStringSubmatch(expr, -1) {
		if m[0][0] != '{' {
			continue
		}
		low, _ := strconv.Atoi(m[1])
		high, _ := strconv.Atoi(m[2])
		switch {
		case m[3] == "":
			return "braces {} not balanced"
		case m[3] != "}", low > maxBound, high > maxBound:
			return "invalid repetition count(s)"
		}
	}
	return ""
}
