package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/term"

	"pgfit/probe"
	"pgfit/probe/pooler"
	"pgfit/probe/target"
	"pgfit/report"
	"pgfit/workload/cluster"
	"pgfit/workload/measure"
	"pgfit/workload/rundoc"
)

// server is the target of a command, reachable: the user's own, or a scratch server that close stops and removes.
type server struct {
	target  target.Target
	config  *pgx.ConnConfig
	scratch *cluster.Server
	pooler  *pooler.Pooler   // in between; nil without one
	bin     cluster.Binaries // of the scratch server
	shape   cluster.Shape    // the same
}

// open resolves the target and, for a scratch one, starts it. Of a server of the user's it looks whether a pooler is in between.
func (a *app) open(ctx context.Context, f *targetFlags, args []string) (*server, error) {
	t, err := f.resolve(args)
	if err != nil {
		return nil, err
	}
	for _, n := range t.Notices {
		a.say("%s", n)
	}
	if !t.Scratch && !f.shape().Empty() {
		return nil, usagef("--scratch-memory and --scratch-cpus are for a scratch server; %s is not pgfit's to limit", t.Redacted)
	}
	if !t.Scratch {
		srv := &server{target: t, config: t.Config}
		return srv, a.notice(ctx, srv)
	}
	bin, err := cluster.Find(cluster.FindOptions{Dir: f.pgBin, Major: f.pgVersion})
	if err != nil {
		return nil, usagef("%w", err)
	}
	a.say("starting a scratch server, PostgreSQL %s from %s", bin.Version, bin.Dir)
	scratch, err := cluster.Start(ctx, cluster.Options{Binaries: bin, Dir: f.scratchDir, Shape: f.shape(), Log: a.logger()})
	if err != nil {
		if errors.Is(err, cluster.ErrUsage) {
			return nil, usagef("%w", err)
		}
		return nil, fmt.Errorf("starting the scratch server: %w", err)
	}
	t.Redacted = "scratch server, PostgreSQL " + bin.Version
	if why := scratch.Unshaped(); why != "" {
		a.say("%s", why)
	}
	return &server{target: t, config: scratch.Config(), scratch: scratch, bin: bin, shape: f.shape()}, nil
}

func (s *server) close(ctx context.Context) error {
	if s.scratch == nil {
		return nil
	}
	scratch := s.scratch
	s.scratch = nil // once is enough
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return scratch.Stop(ctx)
}

// connect opens one connection and explains a failure.
func (s *server) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return nil, s.explain(err)
	}
	return conn, nil
}

func (s *server) explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &unreachableError{cause: target.Explain(err, s.target), err: err}
}

// probe collects the facts about a server and its host.
func (a *app) probe(ctx context.Context, srv *server, host *hostFlags) (probe.Facts, error) {
	opts, err := host.options()
	if err != nil {
		return probe.Facts{}, err
	}
	conn, err := srv.connect(ctx)
	if err != nil {
		return probe.Facts{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	opts.Scratch = srv.scratch != nil
	facts, err := probe.Collect(ctx, conn, opts)
	if err == nil && srv.scratch != nil && srv.scratch.Unshaped() != "" {
		facts.Warnings = append(facts.Warnings, probe.Warning{Code: "no-shape", Text: srv.scratch.Unshaped(),
			Hint: "run pgfit as root, or where systemd runs user services"})
	}
	return facts, err
}

// confFiles copies the configuration files that the patch will be made against into the document.
func (a *app) confFiles(ctx context.Context, srv *server, doc *rundoc.Document) error {
	if srv.scratch != nil {
		path, _ := doc.Facts.Server.ConfigFile.Get()
		doc.Files, doc.Stock = []rundoc.File{{Path: path, Text: string(srv.scratch.StockConf())}}, true
		return nil
	}
	conn, err := srv.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	files, warnings := measure.ConfFiles(ctx, conn, doc.Facts)
	doc.Files, doc.Warnings = files, append(doc.Warnings, warnings...)
	return nil
}

// say writes one line of talk.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// plan is where a plan is shown: it is talk before a run, and the result of a dry one.
func (a *app) plan(dry bool) func(format string, args ...any) {
	if !dry {
		return a.say
	}
	return func(format string, args ...any) { fmt.Fprintf(a.stdout, format+"\n", args...) }
}

// warn says the doubts that the document has so far.
func (a *app) warn(doc *rundoc.Document) {
	for _, w := range doc.Warnings {
		a.say("note       %s; %s", w.Text, w.Hint)
	}
}

// consent shows what load will do to a server that pgfit did not start, and asks for it.
func (a *app) consent(srv *server, doc *rundoc.Document, yes bool) error {
	if srv.scratch != nil || yes {
		return nil
	}
	in, ok := a.terminal()
	if !ok {
		a.say("%s", report.LoadNotice(doc))
		return &usageError{err: errors.New("putting load on a server that pgfit did not start needs --yes where nobody can be asked"),
			hint: "look at the plan with --dry-run first"}
	}
	return a.ask(in, report.LoadNotice(doc))
}

// ask puts a question with what it is about, which no --quiet hides: nobody can agree to what they were not shown.
func (a *app) ask(in io.Reader, notice string) error {
	fmt.Fprintf(a.stderr, "%s\nPut this load on it? [y/N] ", notice)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return usagef("not confirmed; nothing was done")
	}
	return nil
}

// terminal is where a person can be asked, if anywhere.
func (a *app) terminal() (io.Reader, bool) {
	if f, ok := file(a.stderr); !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("CI") != "" {
		return nil, false
	}
	return os.Stdin, term.IsTerminal(int(os.Stdin.Fd()))
}

func joinAnd(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
