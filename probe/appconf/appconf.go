// Package appconf reads the application's config.yaml and .env with the place of every value, and changes single values
// in place: comments, order, blank lines and quoting stay as they are, byte for byte. It knows YAML's scalars, Compose's
// ${VAR:-default} and the .env syntax of Compose; it does not know what the values mean. Its errors name files, lines and
// variables and never quote a value, since a value can be a password.
package appconf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Errors that callers tell apart.
var (
	ErrSyntax  = errors.New("cannot be read")
	ErrMissing = errors.New("is not in the file")
	ErrFixed   = errors.New("cannot be changed in place")
)

// Scalar is one value of a YAML file.
type Scalar struct {
	Path  string // keys from the top joined with dots: database.pool_size
	Text  string // as YAML decodes it, before any substitution
	Line  int    // from 1
	Start int    // of the value as written, quotes included: data[Start:End]
	End   int
	style yaml.Style
	fixed string // why it cannot be edited in place, "" when it can
}

// Document is a YAML file with the places of its scalars.
type Document struct {
	data    []byte
	lines   []int // byte offset of the start of each line
	scalars []Scalar
	blocks  map[string]block // mappings in block style by path
}

// block is where a new key of a mapping would go.
type block struct {
	after  int // byte offset behind the last single-line scalar, its comment and its line end
	indent string
}

// Parse reads a YAML file of one document in UTF-8. Values inside lists are not looked at. A key that stands twice in the
// same mapping is an error, since readers differ in which one they take.
func Parse(data []byte) (*Document, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: it is not UTF-8 text", ErrSyntax)
	}
	var root yaml.Node
	if err := decode(data, &root); err != nil {
		return nil, err
	}
	d := &Document{data: data, lines: lineStarts(data), blocks: map[string]block{}}
	if len(root.Content) == 0 {
		return d, nil
	}
	if err := d.walk("", root.Content[0], 0); err != nil {
		return nil, err
	}
	return d, nil
}

// decode reads one document. yaml's message quotes no more than an anchor or a tag, but a value can be mistaken for
// either, so only its line is passed on.
func decode(data []byte, root *yaml.Node) (err error) {
	defer func() {
		if recover() != nil { // yaml panics on a few broken inputs
			err = fmt.Errorf("%w as YAML", ErrSyntax)
		}
	}()
	err = yaml.NewDecoder(bytes.NewReader(data)).Decode(root)
	var line int
	switch {
	case err == nil, errors.Is(err, io.EOF): // a file of comments alone has no document
		return nil
	case scanLine(err, &line):
		return fmt.Errorf("line %d: %w as YAML", line, ErrSyntax)
	}
	return fmt.Errorf("%w as YAML", ErrSyntax)
}

func scanLine(err error, line *int) bool {
	_, scan := fmt.Sscanf(err.Error(), "yaml: line %d:", line)
	return scan == nil
}

// Scalar returns the value at a path.
func (d *Document) Scalar(path string) (Scalar, bool) {
	for _, s := range d.scalars {
		if s.Path == path {
			return s, true
		}
	}
	return Scalar{}, false
}

// Scalars returns all values in the order of the file.
func (d *Document) Scalars() []Scalar { return d.scalars }

// maxDepth bounds mappings within mappings.
const maxDepth = 100

// walk collects the scalars of a mapping. Aliases are read as what they stand for, but cannot be edited: the place is
// shared with others.
func (d *Document) walk(path string, n *yaml.Node, depth int) error {
	if n.Kind != yaml.MappingNode || depth > maxDepth {
		return nil
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := join(path, key.Value)
		if key.Kind != yaml.ScalarNode {
			continue
		}
		if first, twice := seen[key.Value]; twice && key.Value != "<<" {
			return fmt.Errorf("line %d: %w: %s stands in line %d already", key.Line, ErrSyntax, name, first)
		}
		seen[key.Value] = key.Line
		if err := d.value(name, key, value, depth); err != nil {
			return err
		}
	}
	d.block(path, n)
	return nil
}

func (d *Document) value(name string, key, value *yaml.Node, depth int) error {
	switch value.Kind {
	case yaml.MappingNode:
		return d.walk(name, value, depth+1)
	case yaml.AliasNode:
		if value.Alias.Kind == yaml.ScalarNode {
			d.scalars = append(d.scalars, Scalar{Path: name, Text: value.Alias.Value, Line: value.Line, fixed: "it is an alias"})
		}
	case yaml.ScalarNode:
		d.scalars = append(d.scalars, d.scalar(name, key, value))
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// scalar finds the bytes of a value. What it cannot place beyond doubt is marked as fixed.
func (d *Document) scalar(path string, key, n *yaml.Node) Scalar {
	s := Scalar{Path: path, Text: n.Value, Line: n.Line, style: n.Style &^ yaml.TaggedStyle}
	start, ok := d.offset(n.Line, n.Column)
	if !ok {
		s.fixed = "its place is unclear"
		return s
	}
	s.Start, s.End = start, start
	rest := string(d.data[start:])
	switch {
	case n.Anchor != "" || n.Style&yaml.TaggedStyle != 0:
		s.fixed = "it has an anchor or a tag"
	case s.style == yaml.LiteralStyle || s.style == yaml.FoldedStyle:
		s.fixed = "it is a block of lines"
	case s.style == yaml.DoubleQuotedStyle, s.style == yaml.SingleQuotedStyle:
		end := quotedEnd(rest)
		if end < 0 || strings.ContainsAny(rest[:end], "\n\r\u0085\u2028\u2029") {
			s.fixed = "it spans several lines"
			return s
		}
		s.End = start + end
	case n.Value == "" || !strings.HasPrefix(rest, n.Value):
		s.fixed = "it is empty or spans several lines"
	default:
		s.End = start + len(n.Value)
	}
	return s
}

// quotedEnd is the length of the quoted scalar that text begins with, -1 when it does not end.
func quotedEnd(text string) int {
	if text == "" {
		return -1
	}
	quote := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case quote == '"' && text[i] == '\\':
			i++
		case quote == '\'' && strings.HasPrefix(text[i:], "''"):
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return -1
}

// Null tells a value that YAML reads as nothing: empty, ~ or null without quotes.
func (s Scalar) Null() bool {
	quoted := s.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
	return !quoted && (s.Text == "" || s.Text == "~" || strings.EqualFold(s.Text, "null"))
}
