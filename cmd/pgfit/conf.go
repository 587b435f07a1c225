package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/probe/offline"
	"pgfit/probe/pgconf"
	"pgfit/workload/rundoc"
)

// confFlags name a server by its configuration file alone.
type confFlags struct {
	conf  string
	major int
	host  hostFlags
}

func (f *confFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.conf, "conf", "", "instead of RUN: a postgresql.conf; rules only, no server and no measurement")
	fs.IntVar(&f.major, "pg-version", 0, "with --conf: major version of the server, 13 to 18")
	f.host.addFlags(fs)
}

// needConf are the options that describe a server in place of a run.
var needConf = []string{"pg-version", "ram", "cpus", "disk", "data-directory", "host-facts", "server-files"}

// validate wants a run or a file, and the options of the one that there is.
func (f *confFlags) validate(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 && f.conf == "":
		return usagef("name a run (RUN), or a configuration file with --conf")
	case len(args) > 0 && f.conf != "":
		return usagef("a run and --conf at once: name one of them")
	case f.conf != "" && f.major == 0:
		return usagef("--conf needs --pg-version: the file does not say which server it is for")
	case f.conf != "" && (f.major < guc.OldestMajor || f.major > guc.NewestMajor):
		return usagef("--pg-version %d: want %d to %d", f.major, guc.OldestMajor, guc.NewestMajor)
	case f.conf != "" && f.host.files:
		return usagef("--server-files reads through a server, and --conf has none")
	case f.conf != "":
		return nil
	}
	for _, name := range needConf {
		if cmd.Flags().Changed(name) {
			return usagef("--%s goes with --conf: a run has its own facts", name)
		}
	}
	return nil
}

// document is the server that the file describes, without a run.
func (f *confFlags) document(ctx context.Context, a *app) (*rundoc.Document, error) {
	tree, err := f.tree()
	if err != nil {
		return nil, usagef("%w", err)
	}
	facts, err := f.facts(ctx)
	if err != nil {
		return nil, err
	}
	server, warnings, err := offline.Server(tree, f.major)
	if err != nil {
		return nil, usagef("%w", err)
	}
	facts.Server = server
	for _, w := range slices.Concat(warnings, facts.Warnings) {
		a.say("%s (%s)", w.Text, w.Hint)
	}
	doc := &rundoc.Document{SchemaVersion: rundoc.SchemaVersion, Kind: rundoc.Kind, Version: versionString(), Target: f.conf, Facts: facts}
	for _, file := range tree.Files() {
		doc.Files = append(doc.Files, rundoc.File{Path: file.Path, Text: string(file.Bytes())})
	}
	return doc, nil
}

func (f *confFlags) tree() (*pgconf.Tree, error) {
	read, list := pgconf.Disk()
	tree, err := pgconf.Load(f.conf, f.host.dataDir, read, list)
	if err != nil {
		return nil, fmt.Errorf("--conf: %w", err)
	}
	return tree, nil
}

// facts are those of the machine, from its facts file and the options, and from nothing of this one.
func (f *confFlags) facts(ctx context.Context) (probe.Facts, error) {
	opts, err := f.host.options()
	if err != nil {
		return probe.Facts{}, err
	}
	if opts.HostFacts == nil {
		opts.HostFacts = &probe.HostFile{Host: probe.Host{OS: "linux"}}
	}
	opts.DataDir = ""
	facts, err := probe.Collect(ctx, nil, opts)
	facts.SameHost = probe.Fact[bool]{}
	if missing := facts.Missing(); err == nil && len(missing) > 0 {
		return facts, &usageError{err: fmt.Errorf("--conf says nothing about the server's machine: its memory and CPUs are not known"),
			hint: fmt.Sprintf("give %s, or run pgfit probe --host-only --out host.json there and pass --host-facts host.json", joinAnd(missing))}
	}
	return facts, err
}
