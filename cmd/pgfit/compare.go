package main

import (
	"bytes"
	"path/filepath"

	"github.com/spf13/cobra"

	"pgfit/advisor/compare"
	"pgfit/report"
	"pgfit/report/files"
)

// compareOptions are the flags of pgfit compare.
type compareOptions struct {
	failIf []string
	junit  string
	format string

	gates []compare.Gate
}

func (a *app) compareCommand() *cobra.Command {
	o := &compareOptions{}
	cmd := &cobra.Command{
		Use: "compare A B", Short: "two run documents, with statistics; a gate for CI", Args: exactly(2, "two directories or run documents, the earlier one first"),
		Long: `compare holds run B against run A (run.json, or the directories they are in): per scenario and pool size the ratio of
throughput and of the 99th percentile, with its 95 % interval and p-value, and what a change would have had to be to be
seen. Runs with the same seed, pool sizes and rounds are paired by round. It needs no server.

--fail-if makes it a gate: exit code 4, but only where the interval supports it, or, for tps<, where B finished nothing in most
visits to a pool size and A did. A run with too few rounds passes no judgement, so measure at least five.`,
		Example: `  pgfit compare before after
  pgfit compare before/run.json after/run.json --fail-if 'tps<-5%' --fail-if 'p99>+10%' --junit compare.xml`,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(a, args[0], args[1])
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringArrayVar(&o.failIf, "fail-if", nil, "a change that must not have happened, such as tps<-5% or p99>+10%; may be given more than once")
	cmd.Flags().StringVar(&o.junit, "junit", "", "also write the result there as JUnit XML, for a CI system")
	cmd.Flags().StringVar(&o.format, "format", "text", "text, markdown or json")
	return cmd
}

func (o *compareOptions) validate() error {
	for _, text := range o.failIf {
		g, err := compare.ParseGate(text)
		if err != nil {
			return usagef("--fail-if %s: %w", text, err)
		}
		o.gates = append(o.gates, g)
	}
	return oneOf("format", o.format, "text", "markdown", "json")
}

func (o *compareOptions) run(a *app, pathA, pathB string) error {
	docA, err := readRun(pathA)
	if err != nil {
		return err
	}
	docB, err := readRun(pathB)
	if err != nil {
		return err
	}
	c := compare.Runs(docA, docB)
	if len(c.Rows)+len(c.Lost) == 0 {
		return usagef("%s and %s have no scenario with a common pool size", pathA, pathB)
	}
	c.Apply(o.gates)
	if o.junit != "" {
		var b bytes.Buffer
		if err := report.JUnit(&b, c); err != nil {
			return err
		}
		if err := files.Write(filepath.Dir(o.junit), []files.File{{Name: filepath.Base(o.junit), Data: b.Bytes()}}); err != nil {
			return err
		}
	}
	if err := report.Comparison(a.stdout, c, o.format); err != nil {
		return err
	}
	if c.Failed() {
		return errGate
	}
	return nil
}
