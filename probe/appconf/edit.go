package appconf

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Change is one value to set: the path of a YAML scalar or the name of a variable, and what it is to be.
type Change struct{ Path, Value string }

// Edit returns the YAML file with the values changed in place and every other byte as it was. Quoting is kept; of
// ${POOL:-20} the default is changed. A key that is missing from a mapping in block style is added behind the mapping's
// last value. The result is parsed again and compared before it is returned: either exactly the asked-for values differ,
// or an error says why not.
func Edit(data []byte, changes []Change) ([]byte, error) {
	d, err := Parse(data)
	if err != nil {
		return nil, err
	}
	var cuts []cut
	want := map[string]string{}
	for _, c := range changes {
		if _, twice := want[c.Path]; twice {
			return nil, fmt.Errorf("%s is to be changed twice", c.Path)
		}
		made, text, err := d.change(c)
		if err != nil {
			return nil, fmt.Errorf("%s %w", c.Path, err)
		}
		cuts, want[c.Path] = append(cuts, made), text
	}
	out := splice(data, cuts)
	return out, d.check(out, want)
}

// cut replaces data[start:end].
type cut struct {
	start, end int
	text       string
}

func splice(data []byte, cuts []cut) []byte {
	slices.SortStableFunc(cuts, func(a, b cut) int { return a.start - b.start })
	var out bytes.Buffer
	at := 0
	for _, c := range cuts {
		out.Write(data[at:c.start])
		out.WriteString(c.text)
		at = c.end
	}
	out.Write(data[at:])
	return out.Bytes()
}

// change makes the cut for one value, and the text that the scalar will then have.
func (d *Document) change(c Change) (cut, string, error) {
	s, ok := d.Scalar(c.Path)
	if !ok {
		made, err := d.add(c)
		return made, c.Value, err
	}
	if s.fixed != "" {
		return cut{}, "", fmt.Errorf("%w (line %d): %s", ErrFixed, s.Line, s.fixed)
	}
	text, err := withDefault(s.Text, c.Value)
	if err != nil {
		return cut{}, "", fmt.Errorf("(line %d) %w", s.Line, err)
	}
	written := ""
	switch d.data[s.Start] {
	case '"':
		written = doubleQuote(text)
	case '\'':
		if written = singleQuote(text); strings.ContainsFunc(text, unicode.IsControl) {
			written = doubleQuote(text)
		}
	default:
		if written = text; !plainSafe(text) {
			written = doubleQuote(text)
		}
	}
	return cut{s.Start, s.End, written}, text, nil
}

// add makes the line for a key that is not there.
func (d *Document) add(c Change) (cut, error) {
	parent, key := "", c.Path
	if i := strings.LastIndexByte(c.Path, '.'); i >= 0 {
		parent, key = c.Path[:i], c.Path[i+1:]
	}
	b, ok := d.blocks[parent]
	if !ok || !plainSafe(key) {
		return cut{}, fmt.Errorf("%w, and there is no place for it", ErrMissing)
	}
	value := c.Value
	if !plainSafe(value) {
		value = doubleQuote(value)
	}
	line := b.indent + key + ": " + value
	end := "\n"
	if bytes.Contains(d.data, []byte("\r\n")) {
		end = "\r\n"
	}
	if b.after > 0 && d.data[b.after-1] != '\n' { // the last line has no end: it gets one, the new last line has none
		return cut{b.after, b.after, end + line}, nil
	}
	return cut{b.after, b.after, line + end}, nil
}

// check compares the result with the original: the wanted values, all others as they were, in the same order.
func (d *Document) check(out []byte, want map[string]string) error {
	n, err := Parse(out)
	if err != nil {
		return fmt.Errorf("%w: the changed file would not be readable", ErrFixed)
	}
	left := len(want)
	old := map[string]string{}
	for _, s := range d.scalars {
		old[s.Path] = s.Text
	}
	for _, s := range n.scalars {
		text, changed := want[s.Path]
		before, there := old[s.Path]
		switch {
		case changed && s.Text == text:
			left--
		case changed, !there, s.Text != before:
			return fmt.Errorf("%s %w: the change would reach further", s.Path, ErrFixed)
		}
		delete(old, s.Path)
	}
	if len(old) > 0 || left != 0 {
		return fmt.Errorf("%w: the change would reach further", ErrFixed)
	}
	return nil
}

// safeWord is what YAML takes without quotes wherever a scalar can stand; safeTemplate a ${NAME:-word} in block style.
var (
	safeWord     = regexp.MustCompile(`^-?[A-Za-z0-9_/][A-Za-z0-9_./+@%-]*$`)
	safeTemplate = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*:?-[A-Za-z0-9_./+@%-]*\}$`)
)

func plainSafe(text string) bool { return safeWord.MatchString(text) || safeTemplate.MatchString(text) }

func singleQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// doubleQuote writes a double-quoted scalar; everything beyond printable ASCII is escaped.
func doubleQuote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x20 || r > 0x7e && r <= 0xffff:
			fmt.Fprintf(&b, `\u%04X`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
