// Package report says it: terminal tables, Markdown, JSON, files. It turns figures into words and units and knows nothing
// about how they came about; every number it prints stands in a document.
package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// Table is a table to be printed. Columns whose header ends in a blank are text and stand left; all others are numbers
// and stand right.
type Table struct {
	Header []string
	Rows   [][]string
}

// Add appends a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Render writes the table for a terminal, or as a Markdown table.
func (t *Table) Render(w io.Writer, markdown bool) error {
	if markdown {
		return t.markdown(w)
	}
	var buf bytes.Buffer
	table := tablewriter.NewTable(&buf,
		tablewriter.WithHeaderAutoFormat(tw.Off), // it would print SHARED BUFFERS
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithAlignment(t.alignment()),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithPadding(tw.Padding{Left: "", Right: "  ", Overwrite: true}),
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone,
			Symbols: tw.NewSymbols(tw.StyleLight),
			Settings: tw.Settings{
				Lines:      tw.Lines{ShowHeaderLine: tw.On, ShowTop: tw.Off, ShowBottom: tw.Off, ShowFooterLine: tw.Off},
				Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off, ShowHeader: tw.On, ShowFooter: tw.Off},
			},
		})),
	)
	head := make([]string, len(t.Header))
	for i, h := range t.Header {
		head[i] = strings.TrimRight(h, " ")
	}
	table.Header(head)
	for _, row := range t.Rows {
		if err := table.Append(row); err != nil {
			return err
		}
	}
	if err := table.Render(); err != nil {
		return err
	}
	return writeTrimmed(w, buf.String())
}

// writeTrimmed writes lines without the blanks at their ends.
func writeTrimmed(w io.Writer, text string) error {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \n"))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) alignment() tw.Alignment {
	var a tw.Alignment
	for _, h := range t.Header {
		if strings.HasSuffix(h, " ") {
			a = append(a, tw.AlignLeft)
		} else {
			a = append(a, tw.AlignRight)
		}
	}
	return a
}

func (t *Table) markdown(w io.Writer) error {
	var b strings.Builder
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for i, row := range append([][]string{t.Header}, t.Rows...) {
		for _, c := range row {
			fmt.Fprintf(&b, "| %s ", cell.Replace(strings.TrimRight(c, " ")))
		}
		b.WriteString("|\n")
		if i == 0 {
			for _, h := range t.Header {
				if strings.HasSuffix(h, " ") {
					b.WriteString("|---")
				} else {
					b.WriteString("|---:")
				}
			}
			b.WriteString("|\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
