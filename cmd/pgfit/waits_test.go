package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"pgfit/advisor/capacity"
	"pgfit/advisor/plan"
	"pgfit/workload/engine"
	"pgfit/workload/load"
	"pgfit/workload/rundoc"
	"pgfit/workload/sweep"
)

// How TestPredictedWaits measures.
const (
	waitRounds  = 6 // at least
	waitVisit   = 8 * time.Second
	waitAnchors = 3 // closed-loop visits that the rates follow from
)

// waitNarrow tells whether what was observed is known well enough to tell a quarter or 0.2 ms from nothing: to half of that.
// It looks at the width alone, so that when a place is left says nothing about its verdict.
func waitNarrow(w plan.Compared) bool {
	return (w.High-w.Low)/2 <= math.Max(.0001, w.Observed/8)
}

var waitShares = []float64{.50, .70, .85}

// TestPredictedWaits holds the predicted wait for a connection against what an open loop shows at 50, 70 and 85 % of the
// capacity, for the pool that each scenario's sweep chooses; closed-loop visits between them tell the capacity, and how steady
// the server is. A place is visited until what is observed there is narrow (waitNarrow), as far as PGFIT_BENCH_TIME allows: a
// mean wait near the capacity hangs on rare slow phases. It fails for no figure: a busy machine changes its speed between the
// two. PGFIT_BENCH=1 runs it (make bench-waits); PGFIT_BENCH_BUDGET is the time for the sweep, PGFIT_BENCH_OUT a
// file for the visits, to be read by pgfit bench's report or by others.
func TestPredictedWaits(t *testing.T) {
	if os.Getenv("PGFIT_BENCH") == "" {
		t.Skip("a benchmark: PGFIT_BENCH is not set")
	}
	budget := os.Getenv("PGFIT_BENCH_BUDGET")
	if budget == "" {
		budget = "4m"
	}
	limit := 25 * time.Minute
	if v := os.Getenv("PGFIT_BENCH_TIME"); v != "" {
		var err error
		if limit, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	ctx, start := context.Background(), time.Now()
	a := &app{stdout: io.Discard, stderr: os.Stderr}
	o := &runOptions{}
	fs := pflag.NewFlagSet("waits", pflag.ContinueOnError)
	o.addFlags(fs)
	if err := fs.Parse([]string{"--scratch", "--no-disk-bench", "--no-verify", "--budget", budget}); err != nil {
		t.Fatal(err)
	}
	job, err := o.prepare(a)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := a.open(ctx, &o.target, nil)
	if err != nil {
		t.Skip("no scratch server: ", err)
	}
	defer func() { _ = srv.close(ctx) }()
	if job.Doc.Facts, err = a.probe(ctx, srv, &o.host); err != nil {
		t.Fatal(err)
	}
	if err := planJob(job, srv, &o.load, start, 0); err != nil {
		t.Fatal(err)
	}
	job.Plans = 0
	job.After = func(ctx context.Context, s *sweep.Sweep, _ *load.Data) error {
		curves, _ := capacity.Analyse(job.Doc)
		visit := func(c capacity.Capacity, rate float64, round int) (rundoc.Visit, error) {
			v, err := s.One(ctx, engine.Load{Weights: s.Weights[c.Scenario], Pool: c.Chosen, Rate: rate, Warmup: 500 * time.Millisecond, Duration: waitVisit}, start)
			v.Phase, v.Scenario, v.Round = "C", c.Scenario, round
			job.Doc.Visits = append(job.Doc.Visits, v)
			return v, err
		}
		type place struct {
			curve capacity.Capacity
			rate  float64
		}
		var places []place
		for _, c := range curves {
			capacity := 0. // as it is now
			for range waitAnchors {
				v, err := visit(c, 0, 0)
				if err != nil {
					return err
				}
				capacity += v.TPS / waitAnchors
			}
			places = append(places, place{c, 0})
			for _, share := range waitShares {
				places = append(places, place{c, share * capacity})
			}
		}
		rng := rand.New(rand.NewPCG(job.Doc.Plan.Seed, 0xc0))
		for round := 1; len(places) > 0 && (round <= waitRounds || time.Since(start) < limit); round++ {
			for _, i := range rng.Perm(len(places)) {
				if _, err := visit(places[i].curve, places[i].rate, round); err != nil {
					return err
				}
			}
			if round < waitRounds {
				continue
			}
			open := map[string][]float64{} // by scenario, the rates that need more; a closed loop goes with them
			for _, c := range plan.Checks(job.Doc, curves) {
				if !waitNarrow(c.Wait) {
					open[c.Scenario] = append(open[c.Scenario], 0, c.Rate)
				}
			}
			places = slices.DeleteFunc(places, func(p place) bool { return !slices.Contains(open[p.curve.Scenario], p.rate) })
		}
		return nil
	}
	if err := a.measure(ctx, job); err != nil {
		t.Fatal(err)
	}
	if file := os.Getenv("PGFIT_BENCH_OUT"); file != "" {
		text, err := json.Marshal(job.Doc)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Error(err)
		}
	}
	curves, _ := capacity.Analyse(job.Doc)
	for _, c := range plan.Checks(job.Doc, curves) {
		t.Logf("%s at %.3g of the sweep's speed, pool %d, %.0f/s (%.0f %%), %d visits, unserved %d: mean wait %s (%.3f ms of it predicted since the server is not steady); in the typical visit %s", c.Scenario, c.Speed, c.PoolSize, c.Rate,
			100*c.Used, c.Visits, c.Unserved, words(c.Wait), 1e3*c.Unsteady, words(c.Typical))
	}
}

// words says whether a predicted wait is within a quarter or 0.2 ms of the observed one.
func words(c plan.Compared) string {
	predicted, verdict := -1., "outside"
	if p := c.Predicted; p != nil {
		predicted = 1e3 * *p
		switch {
		case c.Holds():
			verdict = "within"
		case c.Low <= *p && *p <= c.High:
			verdict = "outside, by less than chance explains, of"
		}
	}
	return fmt.Sprintf("predicted %.3f ms, observed %.3f ms (%.3f to %.3f): %s a quarter or 0.2 ms", predicted, 1e3*c.Observed, 1e3*c.Low, 1e3*c.High, verdict)
}
