package capacity

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgfit/advisor"
	"pgfit/advisor/usl"
	"pgfit/probe"
	"pgfit/workload/rundoc"
)

// doc makes a run of one scenario from throughputs by round and level.
func doc(levels []int, rounds [][]float64) *rundoc.Document {
	d := &rundoc.Document{Plan: rundoc.Plan{Scenarios: []string{"s"}, Levels: levels, Rounds: len(rounds), Seed: 3}}
	for r, xs := range rounds {
		for i, x := range xs {
			d.Visits = append(d.Visits, rundoc.Visit{
				Phase: "B", Scenario: "s", PoolSize: levels[i], Callers: levels[i], Round: r + 1, Seconds: 2, TPS: x, Transactions: int64(2 * x),
				Ops: []rundoc.Op{{Name: "a", Count: int64(2 * x), MeanService: float64(levels[i]) / x, M2Service: 1e-9}},
			})
		}
	}
	return d
}

func codes(f []advisor.Finding) string {
	var out []string
	for _, x := range f {
		out = append(out, x.Code)
	}
	return strings.Join(out, " ")
}

var realLevels = []int{1, 2, 4, 8, 16, 32, 64, 128, 250}

// The curves of a PostgreSQL 15.18 on two shared virtual processors, pgbench -M prepared: a cold level 1, a wide noisy
// plateau, a fall by half. The advice has to be a pool on the plateau, with the losses beyond it named.
func TestRealCurves(t *testing.T) {
	for _, tc := range []struct {
		name   string
		rounds [][]float64
		cold   bool
		lo, hi int     // of the chosen size
		loss64 float64 // at least so much at 64
	}{
		{"select-only", [][]float64{{10611, 66787, 70928, 62186, 73534, 53320, 47414, 43248, 36528}, {10370, 86244, 74125, 76194, 66202, 55272, 46520, 42472, 34852}}, true, 2, 16, 0.25},
		{"tpcb-like", [][]float64{{2048, 2542, 5474, 5728, 6597, 6438, 5506, 5015, 3594}, {1964, 2695, 5516, 6207, 6054, 6559, 5859, 5200, 3616}}, false, 8, 32, 0.08},
	} {
		t.Run(tc.name, func(t *testing.T) {
			curves, findings := Analyse(doc(realLevels, tc.rounds))
			c := curves[0]
			if c.Chosen < tc.lo || c.Chosen > tc.hi {
				t.Errorf("chosen %d, want a size on the plateau, %d to %d", c.Chosen, tc.lo, tc.hi)
			}
			if loss := 1 - c.At(64).Ratio; loss < tc.loss64 {
				t.Errorf("loss at 64 is %.2f, want at least %.2f", loss, tc.loss64)
			}
			if loss := 1 - c.At(128).Ratio; loss < tc.loss64 {
				t.Errorf("loss at 128 is %.2f, want at least %.2f", loss, tc.loss64)
			}
			if loss := 1 - c.At(250).Ratio; loss < 0.4 {
				t.Errorf("loss at 250 is %.2f, want about half", loss)
			}
			if c.Fit == nil || c.Fit.WithoutOne != tc.cold {
				t.Errorf("level 1 set aside: %+v, want %v", c.Fit, tc.cold)
			}
			if tc.cold != strings.Contains(codes(findings), "level-1") {
				t.Errorf("findings %s", codes(findings))
			}
		})
	}
}

func TestFindings(t *testing.T) {
	m := usl.Model{Lambda: 1000, Sigma: .05, Kappa: .001}
	levels := []int{1, 2, 4, 8, 16, 32, 64}
	make5 := func(levels []int, noise, rounds float64) *rundoc.Document {
		rng := rand.New(rand.NewPCG(1, 2))
		var all [][]float64
		for range 5 {
			shift := rounds * rng.NormFloat64()
			var xs []float64
			for _, n := range levels {
				xs = append(xs, m.Throughput(float64(n))*math.Exp(shift+noise*rng.NormFloat64()))
			}
			all = append(all, xs)
		}
		return doc(levels, all)
	}
	for _, tc := range []struct {
		name    string
		doc     *rundoc.Document
		change  func(*rundoc.Visit)
		want    string
		without string
		blocks  bool
	}{
		{"clean", make5(levels, .01, .02), nil, "", "R", false},
		{"too few levels", make5(levels[:4], .01, .02), nil, "R1", "", false},
		{"best is the last", make5(levels[:5], .01, .02), nil, "R2", "", false},
		{"saturated client", make5(levels, .01, .02), func(v *rundoc.Visit) { v.Client.CPUShare = 0.9 }, "R5", "", true},
		{"client at its limit and Little's law in a third of the visits", make5(levels, .01, .02), func(v *rundoc.Visit) {
			if v.PoolSize <= 2 {
				v.Client.CPUShare, v.Marks = 0.9, []rundoc.Mark{{Code: "little"}}
			}
		}, "", "R", false},
		{"saturated client where it is fastest", make5(levels, .01, .02), func(v *rundoc.Visit) {
			if v.PoolSize == 32 {
				v.Client.CPUShare = 0.9
			}
		}, "R5", "", true},
		{"foreign load at the chosen size", make5(levels, .01, .02), func(v *rundoc.Visit) {
			if v.PoolSize == 32 {
				v.Marks = []rundoc.Mark{{Code: "foreign"}}
			}
		}, "R6", "", true},
		{"foreign load elsewhere", make5(levels, .01, .02), func(v *rundoc.Visit) {
			if v.PoolSize == 1 {
				v.Marks = []rundoc.Mark{{Code: "foreign"}}
			}
		}, "R6", "", false},
		{"foreign load", make5(levels, .01, .02), func(v *rundoc.Visit) { v.Marks = []rundoc.Mark{{Code: "foreign"}} }, "R6", "", true},
		{"failures", make5(levels, .01, .02), func(v *rundoc.Visit) { v.Failed = v.Transactions / 50 }, "R7", "", true},
		{"not settled", make5(levels, .01, .02), func(v *rundoc.Visit) { v.Marks = []rundoc.Mark{{Code: rundoc.Unsteady}} }, "R10", "", true},
		{"not settled at the chosen size alone", make5(levels, .01, .02), func(v *rundoc.Visit) {
			if v.PoolSize == 32 {
				v.Marks = []rundoc.Mark{{Code: rundoc.Unsteady}}
			}
		}, "R10", "", true},
		{"not settled elsewhere", make5(levels, .01, .02), func(v *rundoc.Visit) {
			if v.PoolSize == 2 {
				v.Marks = []rundoc.Mark{{Code: rundoc.Unsteady}}
			}
		}, "R10", "", false},
		{"no fall is seen", make5([]int{1, 2, 3, 4, 6, 8}, .03, .02), nil, "R3", "", false},
		{"some noise", make5(levels, .1, .02), nil, "R8", "R11", false},
		{"a first round set aside", make5(levels, .01, .02), func(v *rundoc.Visit) {
			if v.Round == 1 {
				v.TPS, v.Marks = v.TPS/9, []rundoc.Mark{{Code: rundoc.FirstRound}}
			}
		}, "", "R", false},
		{"noise inside rounds", make5(levels, .4, .02), nil, "R11", "", true},
		{"rounds that differ", make5(levels, .01, .5), nil, "R11", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.change != nil {
				for i := range tc.doc.Visits {
					tc.change(&tc.doc.Visits[i])
				}
			}
			_, findings := Analyse(tc.doc)
			got := codes(findings)
			if !strings.Contains(got, tc.want) || tc.without != "" && strings.Contains(got, tc.without) {
				t.Errorf("findings %q, want %q", got, tc.want)
			}
			blocks := false
			for _, f := range findings {
				blocks = blocks || f.Blocks
			}
			if blocks != tc.blocks {
				t.Errorf("blocks %v, want %v: %+v", blocks, tc.blocks, findings)
			}
		})
	}
}

// An interrupted round leaves the others their effects, whether it made two visits or four.
func TestEffectsOfAnInterruptedRun(t *testing.T) {
	levels := realLevels[:7]
	var rounds [][]float64
	for _, shift := range []float64{1, .8, 1.2, 1.1} {
		var row []float64
		for i := range levels {
			row = append(row, 1000*float64(i+1)*shift)
		}
		rounds = append(rounds, row)
	}
	for _, made := range []int{0, 2, 4, 7} {
		d := doc(levels, rounds)
		d.Visits = d.Visits[:21+made]
		effects := roundEffects(d.Visits)
		if got, want := effects[2]-effects[1], math.Log(.8); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d visits in the last round: the second is %.3f from the first, want %.3f", made, got, want)
		}
	}
}

// On a plateau, a pool size that was added late and had one or two fast visits is not chosen for them; what it showed is told.
func TestLateLevel(t *testing.T) {
	xs := []float64{1000, 1900, 3000, 3050, 3040, 3060, 3020}
	var rounds [][]float64
	for r := range 5 {
		var row []float64
		for i, x := range xs {
			row = append(row, x*(1+.003*float64((r+i)%3-1)))
		}
		rounds = append(rounds, row)
	}
	for _, late := range []int{1, 2, 3} {
		d := doc([]int{1, 2, 4, 8, 16, 32, 64}, rounds)
		for r := 6 - late; r <= 5; r++ {
			v := d.Visits[len(d.Visits)-1]
			v.PoolSize, v.Callers, v.Round, v.TPS = 96, 96, r, 3180
			d.Visits = append(d.Visits, v)
		}
		curves, findings := Analyse(d)
		c := curves[0]
		if late < leastPairs && (c.Best == 96 || c.Chosen != 4) || late >= leastPairs && c.Best != 96 {
			t.Errorf("%d visits at 96: best %d, chosen %d", late, c.Best, c.Chosen)
		}
		if !strings.Contains(codes(findings), "R2") {
			t.Errorf("%d visits at 96: findings %s, want R2", late, codes(findings))
		}
	}
}

// A first warm-up that did not settle is told and blocks nothing; of one that did, or of a document that does not say, nothing is told.
func TestColdStarts(t *testing.T) {
	for _, tc := range []struct {
		name string
		all  []rundoc.Warmup
		want int
	}{
		{"an older document", nil, 0},
		{"settled", []rundoc.Warmup{{Scenario: "s", Seconds: 15, Settled: true}}, 0},
		{"not settled", []rundoc.Warmup{{Scenario: "s", Seconds: 24, StepSeconds: 4, Spread: .12}}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := doc(realLevels[:7], [][]float64{{10, 20, 30, 40, 50, 45, 40}, {11, 19, 31, 41, 49, 46, 41}, {10, 21, 29, 39, 51, 44, 39}})
			d.Plan.FirstWarmups = tc.all
			_, findings := Analyse(d)
			for _, some := range [][]advisor.Finding{findings, Doubts(d)} {
				some = slices.DeleteFunc(slices.Clone(some), func(f advisor.Finding) bool { return f.Code != "R10" })
				if len(some) != tc.want {
					t.Fatalf("findings %+v, want %d", some, tc.want)
				}
				if tc.want > 0 && (some[0].Blocks || some[0].Scenario != "s" || !strings.Contains(some[0].Text, "24 s: the last three means of 4 s still differed by 12 %")) {
					t.Errorf("finding %+v", some[0])
				}
			}
		})
	}
}

func TestFirstRoundThatHadToStay(t *testing.T) {
	d := doc(realLevels[:7], [][]float64{{10, 20, 30, 40, 50, 45, 40}, {11, 19, 31, 41, 49, 46, 41}, {10, 21, 29, 39, 51, 44, 39}})
	for _, differs := range []bool{false, true} {
		d.Plan.FirstRoundDiffers = differs
		_, findings := Analyse(d)
		if strings.Contains(codes(findings), "first-round") != differs || strings.Contains(codes(Doubts(d)), "first-round") != differs {
			t.Errorf("differs %v: findings %s, %s", differs, codes(findings), codes(Doubts(d)))
		}
	}
}

func TestAnalyseIsDeterministic(t *testing.T) {
	d := doc(realLevels, [][]float64{{10, 20, 30, 40, 50, 45, 40, 35, 30}, {11, 19, 31, 41, 49, 46, 41, 34, 31}, {10, 21, 29, 39, 51, 44, 39, 36, 29}})
	a, fa := Analyse(d)
	b, fb := Analyse(d)
	if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(fa, fb) {
		t.Error("the same document gives another analysis")
	}
}

func TestReadCSV(t *testing.T) {
	for _, tc := range []struct {
		name, text, want string
		n                int
	}{
		{"plain", "N,X\n1,10\n2,19\n", "", 2},
		{"other columns, blanks, case", "round, n, x, R\n1, 1, 10, 0.1\n1, 2, 19, 0.1\n", "", 2},
		{"byte order mark", "\ufeffN,X\n1,10\n", "", 1},
		{"text", "N,X\n1,10\n2,fast\n", "line 3", 0},
		{"missing", "N,X\n1\n", "line 2", 0},
		{"zero clients", "N,X\n0,10\n", "line 2", 0},
		{"not a number", "N,X\n1,NaN\n", "line 2", 0},
		{"no columns", "a,b\n1,2\n", "N and X", 0},
		{"empty", "", "N and X", 0},
		{"no rows", "N,X\n", "no rows", 0},
		{"a time that is none", "N,X,R\n1,10,fast\n", "line 2: R", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _, err := ReadCSV(strings.NewReader(tc.text))
			if len(p) != tc.n || (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("ReadCSV = %d points, %v, want %d and %q", len(p), err, tc.n, tc.want)
			}
		})
	}
}

// N, X and R of one measurement agree, and those that do not are counted.
func TestCSVAuditsLittle(t *testing.T) {
	for text, want := range map[string]string{
		"N,X\n1,10\n": "", "N,X,R\n1,10,0.1\n2,19,0.105\n": "",
		"N,X,R\n1,10,100\n2,19,105\n": "2 of 2 rows", "N,X,R\n1,10,0.1\n4,19,0.105\n": "1 of 2 rows", "N,X,R\n1,10,0\n": "1 of 1 rows",
	} {
		_, doubts, err := ReadCSV(strings.NewReader(text))
		if err != nil || (want == "") != (doubts == nil) || want != "" && !strings.HasPrefix(doubts[0].Text, want) {
			t.Errorf("%q: %v, %v, want %q", text, doubts, err, want)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add("N,X\n1,10\n2,19\n")
	f.Add("x,n,round\n1e300,3,7\n\"1\n2\",4,1\n")
	f.Fuzz(func(t *testing.T, text string) {
		points, _, err := ReadCSV(strings.NewReader(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of more than one line: %q", err)
			}
			return
		}
		fit, err := FitPoints("f", points, false, 1)
		if err == nil && (math.IsNaN(fit.Fit.Model.Lambda) || math.IsNaN(fit.Fit.Knee)) {
			t.Errorf("NaN from %q", text)
		}
		if err != nil && !errors.Is(err, usl.ErrData) {
			t.Errorf("FitPoints: %v", err)
		}
	})
}

// Drift from the first half of the rounds to the second is found, and alternating rounds are not called so.
func TestDrift(t *testing.T) {
	rounds := func(factor func(r int) float64) [][]float64 {
		var out [][]float64
		for r := range 8 {
			var xs []float64
			for _, n := range []float64{1, 2, 4, 8, 16, 32, 64} {
				xs = append(xs, 1000*n/(1+.05*(n-1)+.001*n*(n-1))*factor(r))
			}
			out = append(out, xs)
		}
		return out
	}
	_, findings := Analyse(doc([]int{1, 2, 4, 8, 16, 32, 64}, rounds(func(r int) float64 { return 1 - .04*float64(r) })))
	if codes(findings) != "R11" || !strings.Contains(findings[0].Text, "drifts") {
		t.Errorf("findings %+v, want drift", findings)
	}
	_, findings = Analyse(doc([]int{1, 2, 4, 8, 16, 32, 64}, rounds(func(r int) float64 { return 1 - .1*float64(r%2) })))
	if codes(findings) != "" {
		t.Errorf("findings %+v of rounds that alternate", findings)
	}
}

// A quiet sweep has reached its aim after five rounds and not after four; a noisy one has not.
func TestEnough(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	law := usl.Model{Lambda: 1000, Sigma: .05, Kappa: .001}
	levels := []int{1, 2, 4, 8, 16, 32, 64}
	for _, tc := range []struct {
		name   string
		rounds int
		noise  float64
		want   bool
	}{{"quiet", 5, .01, true}, {"too few rounds", 4, .01, false}, {"noisy", 5, .2, false}} {
		t.Run(tc.name, func(t *testing.T) {
			var all [][]float64
			for range tc.rounds {
				var xs []float64
				for _, n := range levels {
					xs = append(xs, law.Throughput(float64(n))*math.Exp(tc.noise*rng.NormFloat64()))
				}
				all = append(all, xs)
			}
			d := doc(levels, all)
			if got := Enough(d.Plan, d.Visits); got != tc.want {
				curves, _ := Analyse(d)
				t.Errorf("Enough = %v, want %v: %+v", got, tc.want, curves[0].Precision)
			}
		})
	}
}

// A pool size with a visit that finished nothing is neither chosen nor fitted, and it is said why.
func TestUnfinished(t *testing.T) {
	d := doc([]int{1, 2, 4}, [][]float64{{.5, .9, 1.7}, {.5, .9, 1.7}, {.5, .9, 0}})
	curves, findings := Analyse(d)
	c := curves[0]
	if c.Best != 2 || len(c.Levels) != 2 || len(c.Unfinished) != 1 || c.Unfinished[0].Pool != 4 || c.Unfinished[0].Visits != 3 {
		t.Errorf("best %d of %+v, apart %+v", c.Best, c.Levels, c.Unfinished)
	}
	f := findings[0]
	if f.Code != "R10" || f.Blocks || !strings.Contains(f.Text, "4 (1 of 3 visits)") || !strings.Contains(f.Lift, "--measure") {
		t.Errorf("finding %+v", f)
	}
	if got := Doubts(d); got[0] != f {
		t.Errorf("Doubts = %+v, want %+v first", got, f)
	}
	d = doc([]int{1}, [][]float64{{0}, {0}})
	for i := range d.Visits {
		d.Visits[i].Failed = 3
	}
	curves, findings = Analyse(d)
	if len(curves) != 0 || len(findings) != 1 || findings[0].Code != "R7" || !findings[0].Blocks {
		t.Errorf("nothing but failures: %+v, %+v", curves, findings)
	}
}

// Little's law is missed by a client that is the limit, and by statements about as long as a visit: the two are told apart.
func TestLittle(t *testing.T) {
	for _, tc := range []struct {
		name       string
		x          float64 // throughput of one connection; the visit takes 2 s
		code, text string
	}{{"long statements", 1, "R10", "too short for the statements, which take 1.1 s"}, {"a busy client", 1000, "R5", "load generator"}} {
		t.Run(tc.name, func(t *testing.T) {
			d := doc([]int{1, 2}, [][]float64{{tc.x, 1.9 * tc.x}, {tc.x, 1.9 * tc.x}, {tc.x, 1.9 * tc.x}})
			for i := range d.Visits {
				d.Visits[i].Marks = []rundoc.Mark{{Code: "little"}}
			}
			got := Doubts(d)
			i := slices.IndexFunc(got, func(f advisor.Finding) bool { return f.Code == tc.code })
			if i < 0 || !got[i].Blocks || !strings.Contains(got[i].Text, tc.text) || strings.Contains(codes(got), "R5") != (tc.code == "R5") {
				t.Errorf("Doubts = %+v, want %s", got, tc.code)
			}
		})
	}
}

// What one visit, or visits with nothing in common, cannot tell is said not to be known: no interval of no width, none that
// spans decades.
func TestNoInterval(t *testing.T) {
	for _, tc := range []struct {
		name   string
		rounds [][]float64
		text   string
	}{
		{"one visit", [][]float64{{5940, 5000}}, "one round leaves no interval"},
		{"two that differ", [][]float64{{10, 3}, {2000, 1}}, "is not known: its 2 visits differ too much"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			curves, findings := Analyse(doc([]int{1, 2}, tc.rounds))
			l := curves[0].At(curves[0].Chosen)
			if l.TPSInterval != (usl.Interval{}) || l.Absolute != (usl.Interval{}) || curves[0].Precision.Throughput != 0 {
				t.Errorf("%+v, %+v", l, curves[0].Precision)
			}
			i := slices.IndexFunc(findings, func(f advisor.Finding) bool { return f.Code == "R8" })
			if i < 0 || !strings.Contains(findings[i].Text, tc.text) {
				t.Errorf("findings %+v, want R8: %s", findings, tc.text)
			}
			text, err := json.Marshal(curves)
			if err != nil || strings.Contains(string(text), "tps_interval") || strings.Contains(string(text), "tps_half_width") {
				t.Errorf("%s, %v", text, err)
			}
		})
	}
}

// R12 is said of every run whose load generator shared the server's host, by whatever reads the run.
func TestSameHost(t *testing.T) {
	d := doc([]int{1, 2, 4}, [][]float64{{1, 2, 3}, {1, 2, 3}})
	for _, tc := range []struct {
		same probe.Fact[bool]
		want bool
	}{{probe.Fact[bool]{}, false}, {probe.Fact[bool]{Value: false, State: probe.Known}, false}, {probe.Fact[bool]{Value: true, State: probe.Known}, true}} {
		d.Facts.SameHost = tc.same
		if _, findings := Analyse(d); strings.Contains(codes(findings), "R12") != tc.want {
			t.Errorf("%+v: findings %s", tc.same, codes(findings))
		}
	}
}
