package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pgfit/advisor"
	"pgfit/advisor/advise"
	"pgfit/advisor/pool"
	"pgfit/report"
	"pgfit/report/files"
	"pgfit/workload/rundoc"
)

// adviceFlags shape the advice.
type adviceFlags struct {
	workload  string
	rules     string
	recovery  spanFlag
	dedicated bool
	compare   bool
}

func (f *adviceFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.workload, "workload", "auto", "what the server is for: web, oltp, dw, mixed, or auto (from the scenarios)")
	fs.StringVar(&f.rules, "rules", "pgfit", "pgfit, or guide: the house guide's numbers as they stand")
	f.recovery = spanFlag(5 * time.Minute)
	fs.Var(&f.recovery, "recovery-time", "what a crash recovery may take, such as 5min or 90s; bounds max_wal_size and checkpoint_timeout")
	fs.BoolVar(&f.dedicated, "dedicated", true, "the machine is the server's alone; with =false it gets what other programs leave: memory available now and what it holds")
	fs.BoolVar(&f.compare, "compare-formulas", false, "print what the well-known formulas would say, beside pgfit's values")
}

func (f *adviceFlags) validate() error {
	if err := oneOf("workload", f.workload, "auto", "web", "oltp", "dw", "mixed"); err != nil {
		return err
	}
	if d := time.Duration(f.recovery); d < 10*time.Second || d > 24*time.Hour {
		return usagef("--recovery-time %s: want ten seconds to a day", d)
	}
	return oneOf("rules", f.rules, "pgfit", "guide")
}

func (f *adviceFlags) options() advise.Options {
	o := advise.Options{Workload: f.workload, RecoveryTime: time.Duration(f.recovery), Dedicated: f.dedicated, CompareFormulas: f.compare}
	if f.rules == "guide" {
		o.RuleSet = "guide"
	}
	return o
}

// adviseOptions are the flags of pgfit advise.
type adviseOptions struct {
	advice adviceFlags
	start  startFlags
	conf   confFlags
	export exportFlags
	app    targetFlags // config.yaml and .env alone
	format string
	only   string
}

func (a *app) adviseCommand() *cobra.Command {
	o := &adviseOptions{}
	cmd := &cobra.Command{
		Use: "advise [RUN]", Short: "recommend from a run document, offline", Args: cobra.MaximumNArgs(1),
		Long: `advise recommends from a run document (run.json, or the directory it is in) without any server. The same document gives
the same bytes. With --conf it recommends from a configuration file and the facts of a machine, by rules alone.`,
		Example: `  pgfit advise pgfit-out > tuned.patch               the patch
  pgfit advise pgfit-out --format alter-system       as SQL
  pgfit advise pgfit-out --format patroni            for another system: docker-compose, ansible, rds-cli, ...
  pgfit advise pgfit-out --format rds-cli --name prod --out rds
                                                     its files, with those that take it back, into a directory
  pgfit advise pgfit-out --only reload               what needs no restart
  pgfit advise pgfit-out --rules guide               the house guide's own numbers
  pgfit advise pgfit-out --config config.yaml        the application's pool as a patch of its config.yaml
  pgfit advise --conf postgresql.conf --pg-version 16 --ram 32GB --cpus 8 --disk ssd --workload oltp
                                                     without a run: rules only`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.app.configFile != "" && !cmd.Flags().Changed("format") {
				o.format = "config"
			}
			formats := append(files.Formats(), configFormats...)
			if err := errors.Join(oneOfOrNone("only", o.only, "reload", "restart"), oneOf("format", o.format, formats...), o.advice.validate(), o.export.validate(o.format), o.start.validate(), o.conf.validate(cmd, args)); err != nil {
				return err
			}
			return o.run(cmd.Context(), a, args)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&o.format, "format", "diff", strings.Join(append(files.Formats(), configFormats...), ", "))
	cmd.Flags().StringVar(&o.app.configFile, "config", "", "the application's config.yaml: its pool as a patch")
	cmd.Flags().StringVar(&o.app.envFile, "env-file", "", "its .env, where values come from there")
	cmd.Flags().StringVar(&o.only, "only", "", "reload or restart: leave out what needs the other")
	o.export.addFlags(cmd.Flags())
	o.advice.addFlags(cmd.Flags())
	o.start.addFlags(cmd.Flags())
	o.conf.addFlags(cmd.Flags())
	return cmd
}

func (o *adviseOptions) run(ctx context.Context, a *app, args []string) error {
	doc, advice, err := o.recommend(ctx, a, args)
	if err != nil {
		return err
	}
	if o.start.check {
		doc.StartCheck = a.startCheck(ctx, o.start, doc, advice)
		advice.Started(doc)
	}
	target, err := o.export.target()
	if err != nil {
		return err
	}
	if slices.Contains(configFormats, o.format) {
		if err := o.printConfig(a, advice, pool.Rate(doc.Demand) > 0); err != nil {
			return err
		}
		return verdict(advice)
	}
	made, talk, err := files.Format(o.format, doc, advice, target)
	if err != nil {
		return usagef("%w", err)
	}
	if err := o.export.write(a, made, talk); err != nil {
		return err
	}
	if o.format != "report" && o.format != "advice" && !a.quiet { // which have it among their own
		if err := report.Formulas(a.stderr, advice); err != nil {
			return err
		}
	}
	return verdict(advice)
}

// recommend makes the advice of a run, or of a configuration file alone.
func (o *adviseOptions) recommend(ctx context.Context, a *app, args []string) (*rundoc.Document, *advise.Advice, error) {
	opts := o.advice.options()
	opts.Only = o.only
	if o.conf.conf != "" {
		doc, err := o.conf.document(ctx, a)
		if err != nil {
			return nil, nil, err
		}
		a.say("rules only: nothing was measured")
		advice, err := advise.FromFacts(doc, opts)
		return doc, advice, err
	}
	doc, err := readRun(args[0])
	if err != nil {
		return nil, nil, err
	}
	advice, err := advise.From(doc, opts)
	return doc, advice, err
}

// verdict is how a command ends whose work is done: the gates of the advice.
func verdict(advice *advise.Advice) error {
	switch {
	case advice.StartCheck.Result == advisor.StartFailed:
		return fmt.Errorf("%w: %s", errGate, advice.StartCheck.Text)
	case advice.Unfit():
		return errUnfit
	}
	return nil
}

// readRun reads a run document from a file or from the results directory it is in.
func readRun(path string) (*rundoc.Document, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "run.json")
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &usageError{err: fmt.Errorf("%s: no such run document", path), hint: "pgfit run leaves one in pgfit-out, or where --out says"}
	}
	if err != nil {
		return nil, usagef("%w", err)
	}
	defer f.Close()
	doc, err := rundoc.Read(f)
	if err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	return doc, nil
}

// reportOptions are the flags of pgfit report.
type reportOptions struct {
	advice adviceFlags
	format string
}

func (a *app) reportCommand() *cobra.Command {
	o := &reportOptions{}
	cmd := &cobra.Command{
		Use: "report RUN", Short: "print a run document again, offline", Args: exactly(1, "the directory or run.json that pgfit run left"),
		Example: `  pgfit report pgfit-out                      the tables of the run
  pgfit report run.json --format markdown     for a ticket or a wiki`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(oneOf("format", o.format, "text", "markdown", "json"), o.advice.validate()); err != nil {
				return err
			}
			doc, err := readRun(args[0])
			if err != nil {
				return err
			}
			advice, err := advise.From(doc, o.advice.options())
			if err != nil {
				return err
			}
			return a.print(o.format, doc, advice)
		},
	}
	cmd.Flags().StringVar(&o.format, "format", "text", "text, markdown or json (the advice)")
	o.advice.addFlags(cmd.Flags())
	return cmd
}

// print writes the report of a run.
func (a *app) print(format string, doc *rundoc.Document, advice *advise.Advice) error {
	if format == "json" {
		made, _, err := files.Format("advice", doc, advice, files.Target{})
		if err != nil {
			return err
		}
		_, err = a.stdout.Write(made[0].Data)
		return err
	}
	return files.Report(a.stdout, doc, advice, format == "markdown")
}
