package appconf

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var bom = []byte("\uFEFF")

// lineStarts are the byte offsets of the lines as yaml counts them: it also breaks lines at a lone carriage return, at
// U+0085, U+2028 and U+2029, and does not count a byte order mark.
func lineStarts(data []byte) []int {
	start := 0
	if bytes.HasPrefix(data, bom) {
		start = len(bom)
	}
	starts := []int{start}
	for i := start; i < len(data); {
		n := breakLen(data[i:])
		if n == 0 {
			i++
			continue
		}
		i += n
		starts = append(starts, i)
	}
	return starts
}

// breakLen is the length of the line break that data begins with, 0 for none.
func breakLen(data []byte) int {
	switch {
	case bytes.HasPrefix(data, []byte("\r\n")):
		return 2
	case data[0] == '\n', data[0] == '\r':
		return 1
	case bytes.HasPrefix(data, []byte("\u0085")):
		return 2
	case bytes.HasPrefix(data, []byte("\u2028")), bytes.HasPrefix(data, []byte("\u2029")):
		return 3
	}
	return 0
}

// offset turns yaml's line and column, both from 1 and in characters, into a byte offset.
func (d *Document) offset(line, column int) (int, bool) {
	if line < 1 || line > len(d.lines) || column < 1 {
		return 0, false
	}
	at := d.lines[line-1]
	for ; column > 1; column-- {
		if at >= len(d.data) {
			return 0, false
		}
		_, size := utf8.DecodeRune(d.data[at:])
		at += size
	}
	return at, at <= len(d.data)
}

// block notes where a new key of a mapping in block style would go: behind its last value that fits on one line.
func (d *Document) block(path string, n *yaml.Node) {
	if n.Style&yaml.FlowStyle != 0 || len(n.Content) < 2 {
		return
	}
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		key, value := n.Content[i], n.Content[i+1]
		s, ok := d.Scalar(join(path, key.Value))
		if !ok || s.fixed != "" || value.Line != key.Line || s.Line != key.Line {
			continue
		}
		at, ok := d.offset(key.Line, key.Column)
		indent := string(d.data[d.lines[key.Line-1]:at])
		if !ok || strings.Trim(indent, " ") != "" {
			continue
		}
		end := len(d.data)
		if key.Line < len(d.lines) {
			end = d.lines[key.Line]
		}
		d.blocks[path] = block{after: end, indent: indent}
		return
	}
}
