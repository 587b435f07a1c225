package report

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"pgfit/advisor/advise"
	"pgfit/advisor/capacity"
	"pgfit/advisor/compare"
	"pgfit/advisor/plan"
	"pgfit/workload/rundoc"
)

// made is a run from bytes: each row of a round visits the pool sizes in levels, with a throughput from values.
func made(levels []byte, values []float64, rounds int) *rundoc.Document {
	d := &rundoc.Document{SchemaVersion: 1, Kind: rundoc.Kind, Plan: rundoc.Plan{Scenarios: []string{"s"}, Rounds: rounds, Seed: 1}, Demand: rundoc.Demand{RPS: 100, Processes: 3}}
	for r := 1; r <= rounds; r++ {
		for i, n := range levels {
			x := values[(i+r*len(levels))%len(values)]
			if n == 0 || math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
				continue
			}
			d.Plan.Levels = append(d.Plan.Levels, int(n))
			d.Visits = append(d.Visits, rundoc.Visit{Phase: "B", Scenario: "s", PoolSize: int(n), Callers: int(n), Round: r, Seconds: 1, TPS: x, Transactions: int64(min(x, 1e15)),
				Ops: []rundoc.Op{{Name: "a", Count: int64(min(x, 1e15)), MeanService: float64(n) / max(x, 1e-300)}}})
		}
	}
	if len(d.Visits) > 0 {
		v := d.Visits[0]
		v.Phase, v.Rate = "C", 100
		d.Visits = append(d.Visits, v)
	}
	return d
}

// FuzzEverything: whatever a document's figures are (ties, one round, constant, falling, huge), nothing panics and no NaN or
// infinity is printed or written as JSON.
func FuzzEverything(f *testing.F) {
	f.Add([]byte{1, 2, 4, 8, 16, 32, 64}, 1000.0, 1900.0, 3500.0, 5000.0, 5200.0, 4000.0, byte(3))
	f.Add([]byte{1, 2, 4, 8, 16, 32, 64}, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, byte(1))
	f.Add([]byte{1, 2, 4, 8, 16, 32, 64}, 1e300, 1e-300, 0.0, 1e9, 1.0, 2.0, byte(5))
	f.Add([]byte{200, 1, 1, 1, 7}, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0, byte(2))
	f.Add([]byte{3}, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0, byte(0))
	f.Fuzz(func(t *testing.T, levels []byte, a, b, c, d, e, g float64, rounds byte) {
		if len(levels) == 0 || len(levels) > 12 {
			return
		}
		doc := made(levels, []float64{a, b, c, d, e, g}, int(rounds%6)+1)
		other := made(levels, []float64{g, e, d, c, b, a}, int(rounds%6)+1)
		var out bytes.Buffer
		advice, err := advise.From(doc, advise.Options{Workload: "auto"})
		if err != nil {
			t.Fatal(err)
		}
		curves, _ := capacity.Analyse(doc)
		plans := plan.Make(plan.Input{Curves: curves, Rate: 100, Processes: 3, Growth: .05, Promises: []plan.Promise{{Share: .99, Limit: .1}}})
		held := compare.Runs(doc, other)
		held.Apply([]compare.Gate{{Text: "tps<-5%", Metric: compare.TPS, Below: true, Percent: -5}})
		for _, err := range []error{Run(&out, doc, advice, false), Bench(&out, doc, true), Plans(&out, plans, "text"), Plans(&out, plans, "csv"), Plans(&out, plans, "json"),
			Comparison(&out, held, "text"), Comparison(&out, held, "json"), JUnit(&out, held)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		text, err := json.Marshal(advice)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
		if fit, err := capacity.FitPoints("f", capacity.Points(doc, "s"), false, 1); err == nil {
			if err := Fits(&out, []capacity.Foreign{fit}, "json"); err != nil {
				t.Fatal(err)
			}
			if err := Fits(&out, []capacity.Foreign{fit}, "text"); err != nil {
				t.Fatal(err)
			}
		}
		for _, bad := range []string{"NaN", "Inf"} {
			if i := strings.Index(out.String(), bad); i >= 0 {
				t.Errorf("%s in: %s", bad, out.String()[max(0, i-200):min(out.Len(), i+100)])
			}
		}
	})
}
