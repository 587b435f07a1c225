package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/pflag"

	"pgfit/probe"
	"pgfit/probe/diskbench"
)

// diskFlags shape the measurement of the disk.
type diskFlags struct {
	dir  string
	long bool // of pgfit probe alone
}

func (f *diskFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.dir, "probe-dir", "", "where the disk is measured (default beside the data directory, on the same mount)")
}

// Share of a run's budget that measuring the disk may take, and the most it takes.
const (
	diskShare = 8
	diskTime  = 24 * time.Second
	longTime  = 5 * time.Minute // of reading on with --long
)

// diskBudget is how long a run may measure the disk: 0 where there is no time for it, or it is not this machine's.
func diskBudget(f probe.Facts, budget time.Duration) time.Duration {
	t := min(budget/diskShare, diskTime)
	if same, ok := f.SameHost.Get(); !ok || !same || len(f.Storage) == 0 || t < diskbench.MinTime {
		return 0
	}
	return t
}

// disk measures the data directory's storage. A refusal is no failure: it becomes a warning of the facts.
func (a *app) disk(ctx context.Context, f *probe.Facts, flags diskFlags, t time.Duration) error {
	if same, ok := f.SameHost.Get(); !ok || !same || len(f.Storage) == 0 {
		return a.noDisk(f, errors.New("the disk is not measured: it is not known to be on this machine"))
	}
	data, wal := f.DataStorage(), f.WALStorage()
	apart := wal.Role != data.Role && wal.MountPoint != data.MountPoint && t*3/4 >= diskbench.MinTime
	if apart {
		t = t * 3 / 4
	}
	o := diskbench.Options{Dir: flags.dir, Time: t, Say: func(s string) { a.say("%s", s) }}
	if flags.long {
		o.Long = longTime
	}
	if err := a.measureDisk(ctx, f, data, o); err != nil || !apart {
		return err
	}
	return a.measureDisk(ctx, f, wal, diskbench.Options{Time: max(t/2, diskbench.MinTime), FileBytes: 256 << 20, Say: o.Say, Writes: true})
}

func (a *app) measureDisk(ctx context.Context, f *probe.Facts, s probe.Storage, o diskbench.Options) error {
	a.say("measuring the disk of %s with a file that is gone afterwards", s.Role)
	b, err := diskbench.Run(ctx, s, o)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case err != nil:
		return a.noDisk(f, err)
	}
	f.Measured(s.Role, b)
	return nil
}

func (a *app) noDisk(f *probe.Facts, err error) error {
	a.say("%s", err)
	f.Warnings = append(f.Warnings, probe.Warning{Code: "disk-not-measured", Text: err.Error(), Hint: "pass a --probe-dir on the same mount that pgfit may write to, or run pgfit probe --disk-bench --out host.json on the database host"})
	return nil
}
