package report

import (
	"strings"
	"testing"
	"time"

	"pgfit/advisor"
	"pgfit/advisor/prune"
	"pgfit/advisor/verdict"
	"pgfit/workload/rundoc"
)

func gain(scenario string, ratio float64, kind verdict.Kind) prune.Gain {
	return prune.Gain{Scenario: scenario, Kind: kind, Verdict: string(kind), P: .03, BeforeTPS: 1000, AfterTPS: 1000 * ratio,
		Verified: advisor.Effect{Ratio: ratio, Low: ratio - .02, High: ratio + .02, Pairs: 6}}
}

// TestAgainst: each rival has its ratio and interval under every scenario, and one sentence says where the patch is worse.
func TestAgainst(t *testing.T) {
	fine := prune.Rivalry{Name: "one", Gains: []prune.Gain{gain("reads", 1.1, verdict.Better), gain("writes", 1.01, verdict.Same)}, LeftOut: []string{"wal_level = minimal lowers the safety of the data"}}
	better := prune.Rivalry{Name: "two", Gains: []prune.Gain{gain("reads", 1, verdict.Same), gain("writes", .9, verdict.Worse)}}
	for _, tc := range []struct {
		name   string
		rivals []prune.Rivalry
		want   []string
	}{
		{"nowhere worse", []prune.Rivalry{fine}, []string{"1.100 (1.080 to 1.120)", "The patch is not seen to be worse in any scenario;", "left out of one: wal_level = minimal"}},
		{"worse than one", []prune.Rivalry{fine, better}, []string{"The patch is worse than two under writes (0.900 (0.880 to 0.920)), measured once.", "by chance; here are 4."}},
		{"worse twice", []prune.Rivalry{{Name: "two", Gains: better.Gains, Again: []prune.Gain{gain("writes", .93, verdict.Worse)}}},
			[]string{"once more", "The patch is worse than two under writes (0.930 (0.910 to 0.950)), measured twice."}},
		{"worse once", []prune.Rivalry{{Name: "two", Gains: better.Gains, Again: []prune.Gain{gain("writes", 1.01, verdict.Same)}}},
			[]string{"The patch is not seen to be worse in any scenario;", "Worse than two under writes at first, and not with twice the pairs."}},
		{"not measured", []prune.Rivalry{{Name: "three", Why: "no time was left"}}, []string{"not measured: no time was left", "No verdict on three."}},
		{"too few pairs", []prune.Rivalry{{Name: "four", Gains: []prune.Gain{gain("reads", 1, verdict.TooFew)}}}, []string{"No verdict on four under reads."}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b strings.Builder
			if err := Verified(&b, "x", &prune.Result{Rivals: tc.rivals, Mode: rundoc.ModeScratch}, false); err != nil {
				t.Fatal(err)
			}
			text := strings.Join(strings.Fields(b.String()), " ")
			for _, want := range tc.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not said:\n%s", want, &b)
				}
			}
		})
	}
}

// TestTooShort: what is missing is the difference.
func TestTooShort(t *testing.T) {
	got := TooShort(6, 25*time.Minute, 14*time.Minute)
	if want := "6 pairs take about 25 min here and 14 min are left, which may be too few for a verdict: a --budget that is longer by 11 min holds them"; got != want {
		t.Errorf("TooShort = %q", got)
	}
	if got := TooShort(6, time.Minute, -time.Second); !strings.Contains(got, "and 0 are left") || !strings.Contains(got, "longer by 61 s") {
		t.Errorf("TooShort without time = %q", got)
	}
}

// TestPieces: what observing costs is said apart from what harms, and a reason stands below the table.
func TestPieces(t *testing.T) {
	slower := gain("reads", 1, verdict.Same)
	slower.P99, slower.P99Kind = advisor.Effect{Ratio: 1.2, Low: 1.1, High: 1.3, Pairs: 6}, verdict.Worse
	r := &prune.Result{Mode: rundoc.ModeScratch, Kept: []string{"shared_preload_libraries"}, Dropped: []string{"work_mem"}, Patch: []prune.Gain{slower}, Items: []prune.Item{
		{Name: "memory", Settings: []string{"work_mem"}, Outcome: prune.NoDifference, Scenarios: []prune.ItemEffect{{Scenario: "reads", Verdict: "no difference seen (would have seen 4 %)"}}},
		{Name: "I/O", Settings: []string{"io_method"}, Kept: true, Outcome: prune.NotMeasured, Why: "no time was left"},
		{Name: "logging", Settings: []string{"shared_preload_libraries"}, Kept: true, Outcome: prune.Costs, Why: "stays: it is there to be able to see, not for speed",
			Scenarios: []prune.ItemEffect{{Scenario: "reads", Verdict: "worse by 3 % (2 to 4 %)"}}},
	}}
	var b strings.Builder
	if err := Verified(&b, "x", r, false); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{"memory: work_mem no difference seen no", "- I/O: io_method: no time was left", "logging: shared_preload_libraries costs yes",
		"- To be able to see, not for speed: shared_preload_libraries. With it against without it: reads worse by 3 % (2 to 4 %). It stays", "- reads: p99 rose with the whole patch, by 20 % (10 to 30 %)",
		"- Dropped from the patch: work_mem"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not said:\n%s", want, &b)
		}
	}
	if strings.Contains(text, "Harmful") {
		t.Errorf("what observes is called harmful:\n%s", &b)
	}
}
