package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"pgfit/report"
	"pgfit/workload/engine"
	"pgfit/workload/measure"
	"pgfit/workload/rundoc"
)

// isTerminal tells whether w redraws: a terminal that is not dumb.
func isTerminal(w io.Writer) bool {
	f, ok := file(w)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// measure runs the job with a progress bar on a terminal, or a line for each round elsewhere.
func (a *app) measure(ctx context.Context, job *measure.Job) error {
	if a.quiet {
		return job.Run(ctx)
	}
	if !isTerminal(a.stderr) {
		return a.measurePlain(ctx, job)
	}
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetWidth(24), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetDescription("loading"), progressbar.OptionClearOnFinish(), progressbar.OptionUseANSICodes(true))
	job.Loading = func(done, total int64) {
		bar.ChangeMax64(total)
		_ = bar.Set64(done)
	}
	job.Visited = func(v rundoc.Visit, done, total int) {
		bar.ChangeMax64(int64(total))
		_ = bar.Set64(int64(done))
		bar.Describe(fmt.Sprintf("round %d, %s, pool %d: %s TPS", v.Round, v.Scenario, v.PoolSize, report.Rate(v.TPS)))
	}
	job.Live = func(p engine.Progress) {
		if !p.Warm {
			bar.Describe(fmt.Sprintf("%s TPS, p99 %s, %d errors", report.Rate(p.TPS), report.Seconds(p.P99.Seconds()), p.Errors))
		}
	}
	err := job.Run(ctx)
	_ = bar.Finish()
	return err
}

func (a *app) measurePlain(ctx context.Context, job *measure.Job) error {
	begun, round := time.Now(), 0
	a.say("loading %s of data", report.Size(job.Doc.Plan.DataBytes))
	job.Visited = func(v rundoc.Visit, done, total int) {
		if v.Round > round {
			round = v.Round
			a.say("round %d of %d, %s since the start", round, job.Doc.Plan.Rounds, time.Since(begun).Truncate(time.Second))
		}
	}
	return job.Run(ctx)
}
