package plan

import (
	"math"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/advisor/capacity"
	"pgfit/workload/rundoc"
)

// hist is a histogram of n exponential times with a mean in seconds, plus a constant.
func hist(t *testing.T, mean, constant float64) string {
	t.Helper()
	h := hdrhistogram.New(1, 60_000_000, 3)
	for i := range 5000 {
		_ = h.RecordValue(max(1, int64(1e6*(constant-mean*math.Log(1-(float64(i)+.5)/5000)))))
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The prediction stands beside what was observed, with its error; what grows without end has none.
func TestChecks(t *testing.T) {
	doc := run(t, linear, 0, 1, 2, 4, 8, 16, 32, 64)
	for round, wait := range []float64{.0024, .0026, .0025} {
		doc.Visits = append(doc.Visits,
			rundoc.Visit{Phase: "C", Scenario: "s", PoolSize: 30, Rate: 500, Round: round + 1, Seconds: 10, Transactions: 5000, TPS: 500,
				Ops: []rundoc.Op{{Name: "a", Count: 4000, MeanWait: wait, Latency: hist(t, .05, 0)}, {Name: "b", Count: 1000, MeanWait: wait, Latency: hist(t, .05, 0)}}},
			rundoc.Visit{Phase: "C", Scenario: "s", PoolSize: 20, Rate: 500, Round: round + 1, Seconds: 10, Transactions: 4000, TPS: 400, Dropped: 7,
				Ops: []rundoc.Op{{Name: "a", Count: 4000, MeanWait: 1, Latency: hist(t, .05, 1)}}})
	}
	curves, _ := capacity.Analyse(doc)
	checks := Checks(doc, curves)
	if len(checks) != 2 || checks[0].PoolSize != 20 || checks[1].PoolSize != 30 || checks[1].Visits != 3 || checks[0].Unserved != 21 {
		t.Fatalf("checks %+v", checks)
	}
	short, enough := checks[0], checks[1]
	if short.Wait.Predicted != nil || short.Wait.Error != nil || short.Wait.Holds() || short.Used < 1 {
		t.Errorf("20 connections for 25 Erlangs: %+v", short.Wait)
	}
	if p := enough.Wait.Predicted; p == nil || math.Abs(*p/.002498932-1) > .02 {
		t.Errorf("predicted wait %v, want Erlang's 2.5 ms", p)
	}
	if c := enough.Wait; !c.Holds() || math.Abs(c.Observed-.0025) > 1e-9 || !(c.Low < c.Observed && c.Observed < c.High) || math.Abs(*c.Error) > .02 {
		t.Errorf("wait %+v", c)
	}
	if c := enough.P50; c.Predicted == nil || math.Abs(*c.Error) > .08 {
		t.Errorf("p50 %+v", c)
	}
}

// A server that is slower between the open-loop visits than it was in the sweep is predicted to be.
func TestChecksAtPresentSpeed(t *testing.T) {
	doc := run(t, linear, 0, 1, 2, 4, 8, 16, 32, 64)
	open := rundoc.Visit{Phase: "C", Scenario: "s", PoolSize: 30, Rate: 500, Round: 1, Seconds: 10, Transactions: 5000, TPS: 500,
		Ops: []rundoc.Op{{Name: "a", Count: 5000, MeanWait: .001, Latency: hist(t, .05, 0)}}}
	closed := rundoc.Visit{Phase: "C", Scenario: "s", PoolSize: 30, Round: 1, Seconds: 10, Transactions: 6000, TPS: 540}
	doc.Visits = append(doc.Visits, open, closed)
	curves, _ := capacity.Analyse(doc)
	got := Checks(doc, curves)
	if len(got) != 1 || math.Abs(got[0].Speed-.9) > .01 || math.Abs(got[0].Used-500/540.) > .01 || !(*got[0].Wait.Predicted > .004) {
		t.Errorf("%+v, want one at 0.9 of the speed with a longer wait than Erlang's 2.5 ms", got)
	}
}

// A p99 is not told from visits with too few requests for one; what was predicted still is.
func TestChecksTooFew(t *testing.T) {
	doc := run(t, linear, 0, 1, 2, 4, 8, 16, 32, 64)
	h := hdrhistogram.New(1, 60_000_000, 3)
	for range 60 {
		_ = h.RecordValue(50_000)
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		doc.Visits = append(doc.Visits, rundoc.Visit{Phase: "C", Scenario: "s", PoolSize: 30, Rate: 50, Round: round, Seconds: 1.2, Transactions: 60, TPS: 50,
			Ops: []rundoc.Op{{Name: "a", Count: 60, Latency: string(text)}}})
	}
	curves, _ := capacity.Analyse(doc)
	if c := Checks(doc, curves)[0]; c.P99.Observed != 0 || c.P99.Error != nil || c.P99.Predicted == nil || c.P50.Observed == 0 {
		t.Errorf("p99 %+v, p50 %+v", c.P99, c.P50)
	}
}

// TestUnsteadyServer: a server stands still for 0.2 s in every 2 s. Of callers at 100/s, 20 come then; seven find one of twelve
// connections idle, and the others wait for the rest of it and for those before them: 6.8 ms in the mean of all (the area of
// the backlog above seven over the arrivals), or less by the mid-points of stretches of a tenth of a second. Answers are late
// for all 20. No pool size mends that, so the recommended one stays.
func TestUnsteadyServer(t *testing.T) {
	steady := run(t, linear, 0, 1, 2, 4, 8, 16, 32, 64)
	unsteady := run(t, linear, 0, 1, 2, 4, 8, 16, 32, 64)
	for i := range unsteady.Visits {
		v := &unsteady.Visits[i]
		v.Seconds, v.Bins = 2, make([]uint32, 20)
		for j := 2; j < 20; j++ {
			v.Bins[j] = uint32(math.Round(v.TPS / 9))
		}
	}
	plan := func(doc *rundoc.Document) Plan {
		curves, _ := capacity.Analyse(doc)
		return Make(Input{Curves: curves, Rate: 100, Processes: 1})[0]
	}
	before, after := plan(steady), plan(unsteady)
	if before.Now.Unsteady.Value != 0 || after.Now.PerProcess != before.Now.PerProcess {
		t.Errorf("a pool of %d, then %d; unsteady by %v", before.Now.PerProcess, after.Now.PerProcess, before.Now.Unsteady)
	}
	extra := after.Now.WaitMean.Value - before.Now.WaitMean.Value
	if math.Abs(extra-after.Now.Unsteady.Value) > 1e-9 || extra < .004 || extra > .008 {
		t.Errorf("the mean wait grows by %v, of which %v comes of it", extra, after.Now.Unsteady.Value)
	}
	if w := after.Now.WaitP99.Value; w < .05 || w > .15 {
		t.Errorf("p99 of the wait is %v, want about the standstill less what the idle connections take", w)
	}
	if later := after.Now.P99.Value - before.Now.P99.Value; later < .04 {
		t.Errorf("p99 of the latency grows by %v", later)
	}
}

// A wait beyond the prediction is a finding with its figures; one that holds, or is shorter, or too short to tell, is none.
func TestDoubts(t *testing.T) {
	at := func(scenario string, predicted, observed float64, unserved int64) Check {
		return Check{Scenario: scenario, PoolSize: 24, Rate: 2000, Visits: 3, Unserved: unserved, Wait: Compared{Predicted: &predicted, Observed: observed, Low: .9 * observed, High: 1.1 * observed}}
	}
	endless := Check{Scenario: "c", Visits: 3, Wait: Compared{Observed: 9}}
	got := Doubts([]Check{at("a", 0, .0001, 0), at("a", .01, .012, 0), at("a", .01, .001, 0), at("b", 0, .02, 0), at("b", 0, .0414, 177), endless})
	if len(got) != 1 || got[0].Scenario != "b" || got[0].Blocks {
		t.Fatalf("Doubts = %+v, want one about b", got)
	}
	if strings.Contains(got[0].Text, "chance") {
		t.Errorf("%q: the interval lies above the prediction", got[0].Text)
	}
	wide := at("a", 0, .0414, 0)
	wide.Wait.Low = 0
	if got := Doubts([]Check{wide}); len(got) != 1 || !strings.Contains(got[0].Text, "may be chance") {
		t.Errorf("Doubts = %+v of an interval down to 0", got)
	}
	mostly := at("a", .001, 1.5, 0)
	mostly.Typical = Compared{Predicted: new(float64), Observed: .0001}
	if got := Doubts([]Check{mostly}); len(got) != 1 || !strings.Contains(got[0].Text, "waited 1500 ms") || !strings.Contains(got[0].Text, "In the typical visit they waited 0.1 ms") {
		t.Errorf("Doubts = %+v of a few visits with standstills", got)
	}
	for _, want := range []string{"2000 requests a second 24 connections", "wait 0.000 ms", "41.4 ms (95 % interval 37.3 to 45.5 ms over 3 visits)", "177 requests were not served"} {
		if !strings.Contains(got[0].Text, want) {
			t.Errorf("%q misses %q", got[0].Text, want)
		}
	}
}
