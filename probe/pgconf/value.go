package pgconf

import "strings"

// Quote writes a value the way people write it in postgresql.conf: words, numbers and whole numbers with a unit as they
// are, everything else in quotes, since without them 1.5GB, a path or a list is a syntax error that keeps the server from
// starting (guc-file.l, ID, INTEGER and REAL).
func Quote(value string) string {
	whole, fraction, real := strings.Cut(value, ".")
	if isWord(value) || isInteger(strings.TrimRight(value, letters)) || real && isInteger(whole) && isInteger("-"+fraction) {
		return value
	}
	return quoted(value)
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// isWord tells on, logical, pg_stat_statements and the like: letters of ASCII, digits and underscores.
func isWord(s string) bool {
	return s != "" && !isDigit(s[0]) && span0(s, func(c byte) bool { return c < 0x80 && (isLetter(c) || isDigit(c)) }) == len(s)
}

// quoted doubles quotes and backslashes, and escapes line ends, which may not stand inside a value.
func quoted(value string) string {
	r := strings.NewReplacer(`'`, `''`, `\`, `\\`, "\n", `\n`, "\r", `\r`)
	return "'" + r.Replace(value) + "'"
}

func isInteger(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && span0(digits, isDigit) == len(digits)
}

// unquote takes a token with its quotes and does what DeescapeQuotedString (guc-file.l) does. A zero byte, escaped or
// not, ends the value, as it ends a string in C.
func unquote(tok string) string {
	s := tok[1 : len(tok)-1]
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			c, n := unescape(s[i+1:])
			b.WriteByte(c)
			i += n
		case s[i] == '\'':
			b.WriteByte('\'')
			i++
		default:
			b.WriteByte(s[i])
		}
	}
	value, _, _ := strings.Cut(b.String(), "\x00")
	return value
}

// unescape reads what follows a backslash and says how many bytes it took. Up to three octal digits make a byte.
func unescape(s string) (byte, int) {
	if at := strings.IndexByte("bfnrt", s[0]); at >= 0 {
		return "\b\f\n\r\t"[at], 1
	}
	n, v := 0, 0
	for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '7' {
		v = v<<3 + int(s[n]-'0')
		n++
	}
	if n > 0 {
		return byte(v), n
	}
	return s[0], 1
}
