// Command pgfit measures a PostgreSQL server under load and recommends pool, memory, planner and WAL settings as a patch.
// This package holds flags, signals, wiring and exit codes, and no knowledge.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(hideArgs()[1:], os.Stdout, os.Stderr)) }

// run is the whole program; tests call it.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, raise, caught, end := catchSignals()
	defer end()
	gone := func() { raise(syscall.SIGPIPE) }
	stdout, stderr = outlet{stdout, gone}, outlet{stderr, gone}
	app := &app{stdout: stdout, stderr: stderr}
	root := app.rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !app.started {
		err = usagef("%w", err) // cobra's own word on commands and arguments
	}
	sig := caught()
	switch {
	case sig == syscall.SIGPIPE: // nobody reads
	case err != nil && !errors.Is(err, context.Canceled):
		app.complain(err)
	}
	if ctx.Err() != nil && sig != syscall.SIGPIPE {
		fmt.Fprintln(stderr, "pgfit: interrupted")
	}
	return exitCode(err, sig)
}

// app is what every command shares.
type app struct {
	stdout, stderr io.Writer
	quiet, verbose bool
	started        bool // the arguments were understood and a command began
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "pgfit",
		Short: "benchmark and tuning advisor for PostgreSQL",
		Long: `pgfit looks at the host and the server, puts measured load on the server at several pool sizes, fits a concurrency
model to the latencies, and recommends pool, memory, planner and WAL settings as a patch that can be read, applied
and taken back.`,
		Example: `  pgfit run                                      everything, on a throw-away server of pgfit's own
  pgfit run postgresql://app@db.example/app      the same against your server: asks first
  pgfit run --dry-run --budget 10m               show the plan and stop
  pgfit probe --format json                      host and server facts
  pgfit advise pgfit-out > tuned.patch           the advice of a run as a patch, offline
  pgfit verify pgfit-out                         that patch measured against the present settings, and pruned
  pgfit plan pgfit-out --rps 500 --slo p99=50ms  pools, waits and headroom for a load, offline
  pgfit compare before after --fail-if 'tps<-5%' two runs, with statistics; a gate for CI
  pgfit fit measurements.csv                     the models on your own N,X measurements
  pgfit audit infra/                             configuration against the production profile`,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentPreRun = func(*cobra.Command, []string) { a.started = true }
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "say nothing on stderr but errors")
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "say more on stderr")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%w", err) })
	root.AddCommand(a.runCommand(), a.probeCommand(), a.benchCommand(), a.adviseCommand(), a.verifyCommand(), a.reportCommand(), a.fitCommand(),
		a.planCommand(), a.compareCommand(), a.auditCommand(), a.configCommand(), a.poolCommand(), a.versionCommand())
	helpExits(root)
	root.Version = versionString()
	root.SetVersionTemplate(versionLine())
	return root
}

// complain prints an error and its hint the way PostgreSQL does.
func (a *app) complain(err error) {
	text := strings.TrimSpace(err.Error())
	fmt.Fprintf(a.stderr, "pgfit: %s\n", text)
	var h hinter
	if errors.As(err, &h) && h.Hint() != "" {
		for line := range strings.Lines(h.Hint()) {
			fmt.Fprintf(a.stderr, "pgfit: hint: %s\n", strings.TrimSpace(line))
		}
	}
}

// hinter is an error that knows a way out.
type hinter interface{ Hint() string }
