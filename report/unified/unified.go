// Package unified writes unified diffs that patch, git apply and a reader take: hunk headers that say the lines the hunk
// is really at, and, where a file may hold secrets, no line with one. It does not know what the files are.
package unified

import (
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// Diff is the diff from before to after, with the labels that go behind --- and +++; empty when they are equal.
func Diff(from, to, before, after string) string {
	return header(from, to, hunks(before, after, udiff.DefaultContextLines))
}

// hunk is one hunk: the line of the old file that its first line is, or stands before, counted from 1, and its lines.
type hunk struct {
	at    int
	lines []string
}

// hunks cuts go-udiff's text at its headers. Of these only the first number is used: go-udiff forgets the lines between
// two joined edits when it counts the lines of the new file.
func hunks(before, after string, context int) []hunk {
	text, err := udiff.ToUnified("a", "b", before, udiff.Lines(before, after), context)
	if err != nil {
		panic(err) // the edits are those that go-udiff has just made
	}
	var out []hunk
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "@@"):
			h := hunk{}
			fmt.Sscanf(line, "@@ -%d", &h.at)
			h.at = max(h.at, 1) // -0,0 is how an addition to an empty file is written
			out = append(out, h)
		case len(out) > 0:
			h := &out[len(out)-1]
			h.lines = append(h.lines, line)
		}
	}
	return out
}

// header puts hunks together, each with what its lines count.
func header(from, to string, hunks []hunk) string {
	if len(hunks) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", from, to)
	shift := 0 // lines that the hunks so far have added
	for _, h := range hunks {
		olds, news := h.count()
		fmt.Fprintf(&b, "@@ -%s +%s @@\n%s", span(h.at, olds), span(h.at+shift, news), strings.Join(h.lines, ""))
		shift += news - olds
	}
	return b.String()
}

// count is how many lines of the old and of the new file a hunk holds.
func (h hunk) count() (olds, news int) {
	for _, line := range h.lines {
		switch line[0] {
		case '-':
			olds++
		case '+':
			news++
		case ' ':
			olds, news = olds+1, news+1
		}
	}
	return olds, news
}

// span is a range as GNU diff writes it: no count for one line, and the line before for none.
func span(at, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", at-1)
	case 1:
		return fmt.Sprint(at)
	}
	return fmt.Sprintf("%d,%d", at, n)
}

// Label is a file name, behind a/ or b/, as patch and git read it in a diff: a tab ends a name that has blanks, and a name
// with quotes, backslashes or control characters stands in quotes.
func Label(side, name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r == 0x7f }) {
		var b strings.Builder
		for i := range len(name) {
			switch c := name[i]; {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < ' ' || c == 0x7f:
				fmt.Fprintf(&b, "\\%03o", c)
			default:
				b.WriteByte(c)
			}
		}
		return `"` + side + b.String() + `"`
	}
	if strings.Contains(name, " ") {
		return side + name + "\t"
	}
	return side + name
}
