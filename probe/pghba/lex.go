package pghba

import "bytes"

// logical is one line after continuation lines were joined. at[i] is the place of text[i] in the file; at has one more
// element, the end.
type logical struct {
	text        []byte
	at          []int
	first, last int // line numbers from 1
}

// logicalLines joins lines that end in a backslash, from 14 on. Two backslashes before two line ends join once: the
// server looks for the second one behind the place of the first.
func logicalLines(data []byte, major int) []logical {
	var all []logical
	var cur logical
	slash, line, open := 0, 0, false
	for at := 0; at < len(data); {
		end := at + lineLen(data[at:])
		line++
		if !open {
			cur = logical{first: line}
			slash = 0
		}
		body, _, _ := bytes.Cut(data[at:end], []byte{0}) // to the server a NUL ends the string
		for i, c := range body {
			cur.text, cur.at = append(cur.text, c), append(cur.at, at+i)
		}
		n := len(bytes.TrimRight(cur.text, "\r\n"))
		stop := at + len(body)
		if n < len(cur.text) {
			stop = cur.at[n]
		}
		cur.text, cur.at = cur.text[:n], cur.at[:n]
		at, cur.last, open = end, line, false
		if major >= withJoin && n > slash && cur.text[n-1] == '\\' {
			cur.text, cur.at, slash, open = cur.text[:n-1], cur.at[:n-1], n-1, true
			if at < len(data) {
				continue
			}
		}
		cur.at = append(cur.at, stop)
		all = append(all, cur)
	}
	return all
}

func lineLen(data []byte) int {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1
	}
	return len(data)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// scanner walks over one logical line.
type scanner struct {
	logical
	pos int
}

func (s *scanner) peek() (byte, bool) {
	if s.pos >= len(s.text) {
		return 0, false
	}
	return s.text[s.pos], true
}

// token is next_token of hba.c: comma says that another token of the same field follows; from and to are its place in the
// file with its quotes.
func (s *scanner) token() (t Token, ok, comma bool, from, to int) {
	for c, more := s.peek(); more && (isBlank(c) || c == ','); c, more = s.peek() {
		s.pos++
	}
	from = s.at[s.pos]
	var text []byte
	var inQuote, wasQuote, sawQuote bool
	for c, more := s.peek(); more && (!isBlank(c) || inQuote); c, more = s.peek() {
		if c == '#' && !inQuote {
			to = s.end(from)
			s.pos = len(s.text)
			return Token{string(text), t.Quoted}, sawQuote || len(text) > 0, false, from, to
		}
		if c == ',' && !inQuote {
			comma = true
			break
		}
		if c != '"' || wasQuote {
			text = append(text, c)
		}
		wasQuote = inQuote && c == '"' && !wasQuote
		if c == '"' {
			inQuote, sawQuote = !inQuote, true
			if len(text) == 0 {
				t.Quoted = true
			}
		}
		s.pos++
	}
	to = s.end(from)
	if comma {
		s.pos++
	}
	t.Text = string(text)
	return t, sawQuote || len(text) > 0, comma, from, to
}

// end is the place behind the byte that was read last: a continuation that follows it is no part of a token.
func (s *scanner) end(from int) int {
	if s.pos == 0 {
		return from
	}
	return max(from, s.at[s.pos-1]+1)
}
