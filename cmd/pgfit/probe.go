package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"pgfit/probe"
	"pgfit/report"
	"pgfit/report/files"
)

// probeOptions are the flags of pgfit probe.
type probeOptions struct {
	target   targetFlags
	host     hostFlags
	disk     diskFlags
	hostOnly bool
	bench    bool
	out      string
	format   string
}

func (a *app) probeCommand() *cobra.Command {
	o := &probeOptions{}
	cmd := &cobra.Command{
		Use: "probe [TARGET]", Short: "host and server facts", Args: cobra.MaximumNArgs(1),
		Example: `  pgfit probe                                 this host, and a scratch server on it
  pgfit probe postgresql://app@localhost/app  your server and its host
  pgfit probe --disk-bench                    the same, with the disk measured: half a minute
  pgfit probe --disk-bench --long             and read on for 5 minutes: do the rates last, or are they a burst?
  pgfit probe --out host.json                 on the database host; elsewhere: --host-facts host.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("format", o.format, "text", "markdown", "json"); err != nil {
				return err
			}
			if o.disk.long && !o.bench {
				return usagef("--long goes with --disk-bench")
			}
			return o.run(cmd.Context(), a, args)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&o.format, "format", "text", "text, markdown or json")
	fs.StringVar(&o.out, "out", "", "write the host's facts to a file for --host-facts elsewhere")
	fs.BoolVar(&o.bench, "disk-bench", false, "measure the disk under the data directory, for half a minute with a file of 1 GB")
	fs.BoolVar(&o.disk.long, "long", false, "with --disk-bench: read on for 5 minutes, to see whether the rates last or are a burst")
	o.disk.addFlags(fs)
	fs.BoolVar(&o.hostOnly, "host-only", false, "look at this host alone, at no server")
	o.target.addFlags(fs)
	o.host.addFlags(fs)
	fs.BoolVar(&o.host.metadata, "cloud-metadata", false, "ask the cloud that this machine is in (EC2, Google, Azure) for its type and disks: one call to 169.254.169.254, 2 s at most")
	return cmd
}

func (o *probeOptions) run(ctx context.Context, a *app, args []string) (err error) {
	var facts probe.Facts
	if o.hostOnly {
		opts, err := o.host.options()
		if err != nil {
			return err
		}
		if facts, err = probe.Collect(ctx, nil, opts); err != nil {
			return err
		}
	} else {
		srv, err := a.open(ctx, &o.target, args)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, srv.close(ctx)) }()
		if facts, err = a.probe(ctx, srv, &o.host); err != nil {
			return err
		}
	}
	if o.bench {
		if err := a.disk(ctx, &facts, o.disk, diskTime); err != nil {
			return err
		}
	}
	if o.out != "" {
		data, err := json.MarshalIndent(facts.HostFile(), "", " ")
		if err != nil {
			return err
		}
		if err := files.WriteFile(o.out, append(data, '\n')); err != nil {
			return usagef("--out: %w", err)
		}
		a.say("facts of this host in %s", o.out)
	}
	if o.format == "json" {
		enc := json.NewEncoder(a.stdout)
		enc.SetIndent("", " ")
		return enc.Encode(facts.Document())
	}
	return report.Probe(a.stdout, facts, o.format == "markdown")
}
