package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"pgfit/advisor/advise"
	"pgfit/report/files"
	"pgfit/report/patch"
	"pgfit/workload/cluster"
	"pgfit/workload/rundoc"
	"pgfit/workload/startcheck"
)

// startFlags say where to start a server with the proposed values.
type startFlags struct {
	check      bool
	pgBin      string
	scratchDir string
}

func (f *startFlags) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&f.check, "start-check", false, "start a throw-away server of the same major version with the proposed files")
	fs.StringVar(&f.pgBin, "pg-bin", "", "directory with postgres and initdb for it (default: where they are usually installed)")
	fs.StringVar(&f.scratchDir, "scratch-dir", "", "where its data lie (default the user cache directory)")
}

func (f *startFlags) validate() error {
	if !f.check && (f.pgBin != "" || f.scratchDir != "") {
		return usagef("--pg-bin and --scratch-dir go with --start-check")
	}
	return nil
}

// startCheck starts a scratch server with the files as the advice would have them. What keeps it from doing so is in the
// result, never an error.
func (a *app) startCheck(ctx context.Context, f startFlags, doc *rundoc.Document, advice *advise.Advice) *rundoc.StartCheck {
	out := &rundoc.StartCheck{Values: advice.Values()}
	if len(out.Values) == 0 {
		return nil
	}
	bin, err := cluster.Find(cluster.FindOptions{Dir: f.pgBin, Major: doc.Facts.Server.Major(), Wish: doc.Facts.Server.Version})
	if err != nil {
		out.NotDone = strings.TrimPrefix(err.Error(), cluster.ErrUsage.Error()+": ")
		return out
	}
	made, err := files.Make(doc, advice, advice.Only)
	if err != nil {
		out.NotDone = err.Error()
		return out
	}
	out.Version = bin.Version
	in := startcheck.Input{Binaries: bin, Dir: f.scratchDir, Log: a.logger()}
	for _, e := range made.Expected() {
		in.Names = append(in.Names, e.Name)
	}
	a.say("start check: PostgreSQL %s with the proposed values", bin.Version)
	in.Main, in.Files = made.Main, made.After(doc.Files)
	result, err := startcheck.Run(ctx, in)
	switch {
	case err == nil:
		out.Reduced, out.NotChecked = result.Reduced, result.NotChecked
		out.Failure = problem(result, made.NotInForce(result.Settings))
	case errors.Is(err, startcheck.ErrIncomplete), errors.Is(err, cluster.ErrUsage), ctx.Err() != nil:
		out.NotDone = err.Error()
	default:
		in.Files = doc.Files // is it the patch, or something that this machine lacks?
		if _, before := startcheck.Run(ctx, in); in.Main != "" && before != nil {
			out.NotDone = fmt.Sprintf("with the present files no server starts here either (%v)", before)
		} else {
			out.Failure = err.Error()
		}
	}
	return out
}

// problem puts into words what a started server did not like; "" when all is well.
func problem(r startcheck.Result, missing []patch.Expect) string {
	var all []string
	for _, e := range missing {
		all = append(all, fmt.Sprintf("%s is %q and not %q", e.Name, r.Settings[e.Name], e.Setting))
	}
	return strings.Join(append(all, r.Complaints...), "; ")
}
