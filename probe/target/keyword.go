package target

import "strings"

const blanks = " \t\n\r\v\f"

// parseKeywords reads a libpq keyword string: host=db port=5432 password='it”s' with backslash escapes.
func parseKeywords(text string) (params, *UsageError) {
	p := params{}
	if strings.IndexByte(text, 0) >= 0 {
		return nil, usagef("the connection string has a NUL byte in it")
	}
	for text = strings.TrimLeft(text, blanks); text != ""; text = strings.TrimLeft(text, blanks) {
		key, rest, ok := strings.Cut(text, "=")
		key = strings.TrimRight(key, blanks)
		if !ok || key == "" || strings.ContainsAny(key, blanks) {
			return nil, usagef("the connection string is not of the form keyword=value").
				hint("a value with blanks in it needs single quotes: password='two words'")
		}
		value, rest, ok := keywordValue(strings.TrimLeft(rest, blanks))
		if !ok {
			return nil, usagef("a quoted value in the connection string does not end").
				hint("inside single quotes write \\' for a quote and \\\\ for a backslash")
		}
		if _, secret := p["password"]; secret && !isKnown(key) {
			// What follows an unquoted password with a blank in it is part of the password, so it is not quoted back.
			return nil, usagef("the connection string has an unknown keyword after the password").
				hint("a password with blanks in it needs single quotes")
		}
		if value != "" {
			p[canonical(key)] = value
		}
		text = rest
	}
	return p, nil
}

// keywordValue takes one value off the front of text; false when a quote does not end.
func keywordValue(text string) (value, rest string, ok bool) {
	quoted := strings.HasPrefix(text, "'")
	i := 0
	if quoted {
		i = 1
	}
	var b strings.Builder
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			if i++; i < len(text) {
				b.WriteByte(text[i])
			}
		case quoted && c == '\'':
			return b.String(), text[i+1:], true
		case !quoted && strings.IndexByte(blanks, c) >= 0:
			return b.String(), text[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}

// keywords writes the parameters as a keyword string that pgx reads back, in the order of names.
func (p params) keywords(names []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name + "='" + escape.Replace(p[name]) + "' ")
	}
	return b.String()
}
