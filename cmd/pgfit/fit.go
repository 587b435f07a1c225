package main

import (
	"bufio"
	"bytes"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
	"pgfit/report"
	"pgfit/workload/rundoc"
)

// fitOptions are the flags of pgfit fit.
type fitOptions struct {
	plain  bool
	seed   uint64
	format string
}

func (a *app) fitCommand() *cobra.Command {
	o := &fitOptions{}
	cmd := &cobra.Command{
		Use: "fit FILE", Short: "the models on anybody's measurements", Args: exactly(1, "a CSV file with the columns N and X, or a run document"),
		Long: `fit reads a CSV with the columns N (clients or connections busy at once) and X (throughput a second), and where known R
(mean response time, seconds; held against N by Little's law) and round, or a run document; it prints the law's coefficients with intervals, its
knees, the measured N that is chosen and what the others lose, and what the data cannot carry. A file named - is standard input.`,
		Example: `  pgfit fit measurements.csv
  pgfit fit pgfit-out
  pgfit fit --plain-least-squares specsdm91.csv      as the R package usl fits it`,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := oneOf("format", o.format, "text", "markdown", "json"); err != nil {
				return err
			}
			return o.run(a, args[0])
		},
	}
	cmd.Flags().BoolVar(&o.plain, "plain-least-squares", false, "least squares on X without weights, for comparison with published figures")
	cmd.Flags().Uint64Var(&o.seed, "seed", 1, "seed of the bootstrap")
	cmd.Flags().StringVar(&o.format, "format", "text", "text, markdown or json")
	return cmd
}

func (o *fitOptions) run(a *app, path string) error {
	series, err := o.read(path)
	if err != nil {
		return err
	}
	var fits []capacity.Foreign
	for _, s := range series {
		f, err := capacity.FitPoints(s.name, s.points, o.plain, o.seed)
		if err != nil {
			return usagef("%s: %w", path, err)
		}
		f.Findings = append(f.Findings, s.doubts...)
		fits = append(fits, f)
	}
	return report.Fits(a.stdout, fits, o.format)
}

// series is one curve of a file.
type series struct {
	name   string
	points []capacity.Point
	doubts []advisor.Finding
}

func (o *fitOptions) read(path string) ([]series, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return o.fromRun(path)
	}
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, usagef("%w", err)
		}
		defer f.Close()
		in = f
	}
	r := bufio.NewReader(in)
	if head, _ := r.Peek(512); bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")) {
		doc, err := rundoc.Read(r)
		if err != nil {
			return nil, usagef("%s: %w", path, err)
		}
		return fromDoc(doc), nil
	}
	points, doubts, err := capacity.ReadCSV(r)
	if err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	return []series{{strings.TrimSuffix(path, ".csv"), points, doubts}}, nil
}

func (o *fitOptions) fromRun(dir string) ([]series, error) {
	doc, err := readRun(dir)
	if err != nil {
		return nil, err
	}
	return fromDoc(doc), nil
}

func fromDoc(doc *rundoc.Document) []series {
	var out []series
	for _, name := range doc.Plan.Scenarios {
		if points := capacity.Points(doc, name); len(points) > 0 {
			out = append(out, series{name, points, nil})
		}
	}
	return out
}
