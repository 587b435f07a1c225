package prune

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgfit/advisor/budget"
	"pgfit/advisor/verdict"
	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/workload/rundoc"
)

// lab is a server whose throughput follows a known law: the sum of the settings' effects, ln, by scenario.
type lab struct {
	rng     *rand.Rand
	effects map[string]map[string]float64 // setting -> scenario -> ln effect
	noise   float64
	pairs   int

	checkpoints int64 // in every visit
	wal         int64 // the same, bytes; 0: next to nothing
}

// always is a budget without end.
func always(...rundoc.Comparison) bool { return true }

func (l *lab) measure(v *rundoc.Verification, c rundoc.Comparison) rundoc.Comparison {
	speed := func(set map[string]string, scenario string) float64 {
		sum := math.Log(1000)
		for _, name := range slices.Sorted(maps.Keys(set)) {
			sum += l.effects[name][scenario]
		}
		return math.Exp(sum + l.noise*l.rng.NormFloat64())
	}
	for pair := 1; pair <= l.pairs; pair++ {
		for _, sc := range v.Scenarios {
			for i, set := range []map[string]string{c.A, c.B} {
				side, tps := string("AB"[i]), speed(set, sc)
				c.Visits = append(c.Visits, rundoc.TrialVisit{Scenario: sc, Side: side, Pair: pair, Seconds: 1, Transactions: int64(tps), TPS: tps, P99: 1 / tps, CPUSeconds: 1, WALBytes: cmp.Or(l.wal, 100),
					Checkpoints: l.checkpoints})
			}
		}
	}
	return c
}

// run makes every comparison that Next asks for, at most steps of them, and then the last one.
func (l *lab) run(v *rundoc.Verification, steps int) []string {
	var asked []string
	for range steps + 1 {
		c, ok := Next(v, func(all ...rundoc.Comparison) bool { return len(asked)+len(all) <= steps+1 })
		if !ok {
			break
		}
		asked = append(asked, strings.TrimSpace(c.Step+" "+c.Name))
		v.Comparisons = append(v.Comparisons, l.measure(v, c))
	}
	return asked
}

func setting(name, group, apply string) rundoc.PatchSetting {
	return rundoc.PatchSetting{Name: name, Value: "x", Present: "y", Group: group, Apply: apply}
}

var patch = []rundoc.PatchSetting{
	setting("shared_buffers", "memory", "restart"), setting("work_mem", "memory", "reload"), setting("effective_cache_size", "memory", "reload"),
	setting("random_page_cost", "planner", "reload"), setting("max_wal_size", "WAL and checkpoint", "reload"), setting("log_lock_waits", "logging", "reload"),
}

func both(x float64) map[string]float64 { return map[string]float64{"reads": x, "writes": x} }

func TestPrune(t *testing.T) {
	for _, tc := range []struct {
		name             string
		effects          map[string]map[string]float64
		kept, dropped    []string
		harmful, mention []string
	}{
		{"one setting of a group carries it", map[string]map[string]float64{"shared_buffers": both(.2)},
			[]string{"shared_buffers", "log_lock_waits"}, []string{"work_mem", "effective_cache_size", "random_page_cost", "max_wal_size"}, nil, []string{"setting work_mem", "pruned"}},
		{"a culprit in a group of several", map[string]map[string]float64{"work_mem": both(-.3), "max_wal_size": {"writes": .15}},
			[]string{"max_wal_size", "log_lock_waits"}, []string{"shared_buffers", "work_mem", "effective_cache_size", "random_page_cost"}, []string{"work_mem"}, []string{"setting work_mem"}},
		{"a culprit alone in its group", map[string]map[string]float64{"random_page_cost": {"reads": -1.5}, "shared_buffers": both(.1)},
			[]string{"shared_buffers", "log_lock_waits"}, []string{"work_mem", "effective_cache_size", "random_page_cost", "max_wal_size"}, []string{"random_page_cost"}, nil},
		{"helps one and harms another", map[string]map[string]float64{"random_page_cost": {"reads": .3, "writes": -.3}},
			[]string{"random_page_cost", "log_lock_waits"}, []string{"shared_buffers", "work_mem", "effective_cache_size", "max_wal_size"}, nil, nil},
		{"nothing does anything", nil, []string{"log_lock_waits"}, []string{"shared_buffers", "work_mem", "effective_cache_size", "random_page_cost", "max_wal_size"}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := &rundoc.Verification{Mode: rundoc.ModeScratch, Patch: patch, Scenarios: []string{"reads", "writes"}, Pairs: 6}
			l := &lab{rng: rand.New(rand.NewPCG(3, 1)), effects: tc.effects, noise: .004, pairs: 6, checkpoints: 1}
			asked := l.run(v, 100)
			r := Judge(v)
			if !sameSet(r.Kept, tc.kept) || !sameSet(r.Dropped, tc.dropped) {
				t.Errorf("kept %v, dropped %v\nwant %v, %v\nasked %v", r.Kept, r.Dropped, tc.kept, tc.dropped, asked)
			}
			if !reflect.DeepEqual(r.Harmful(), tc.harmful) {
				t.Errorf("Harmful = %v, want %v", r.Harmful(), tc.harmful)
			}
			for _, m := range tc.mention {
				if !slices.Contains(asked, m) {
					t.Errorf("%q was not asked for: %v", m, asked)
				}
			}
			for _, n := range r.Dropped {
				if why, ok := r.Reason(n); !ok || !strings.Contains(why, "dropped") || !strings.Contains(why, "reads") {
					t.Errorf("Reason(%s) = %q, %v", n, why, ok)
				}
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
		})
	}
}

func sameSet(a, b []string) bool {
	x, y := slices.Clone(a), slices.Clone(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// TestPartsApart: what a reload brings is measured apart from what the restart adds.
func TestPartsApart(t *testing.T) {
	v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads", "writes"}, Pairs: 6}
	l := &lab{rng: rand.New(rand.NewPCG(3, 10)), effects: map[string]map[string]float64{"shared_buffers": both(.2), "max_wal_size": both(.1)}, noise: .004, pairs: 6, checkpoints: 1}
	l.run(v, 100)
	r := Judge(v)
	if len(r.Reload) != 2 || math.Abs(math.Log(r.Reload[0].Verified.Ratio)-.1) > .02 {
		t.Errorf("reload %+v, want about e^.1", r.Reload)
	}
	if len(r.Restart) != 2 || math.Abs(math.Log(r.Restart[0].Verified.Ratio)-.2) > .02 {
		t.Errorf("restart %+v, want about e^.2", r.Restart)
	}
	if e := r.Effect("shared_buffers"); e == nil || e.Pairs != 6 || e.Low > math.Exp(.2) || e.High < math.Exp(.2) {
		t.Errorf("Effect(shared_buffers) = %+v", e)
	}
}

// TestSmallPiecesTogether: five pieces that each make too little difference to be seen make one together, and come back.
func TestSmallPiecesTogether(t *testing.T) {
	v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads"}, Pairs: 6}
	effects := map[string]map[string]float64{}
	for _, p := range patch[:5] {
		effects[p.Name] = both(.02)
	}
	l := &lab{rng: rand.New(rand.NewPCG(4, 1)), effects: effects, noise: .03, pairs: 6}
	l.run(v, 100)
	r := Judge(v)
	if r.Patch[0].Kind != verdict.Better {
		t.Fatalf("the whole patch is %s with this seed: choose another", r.Patch[0].Verdict)
	}
	if !r.Restored || len(r.Dropped) != 0 {
		t.Errorf("restored %v, dropped %v, pruned %+v", r.Restored, r.Dropped, r.Pruned)
	}
}

// TestOutOfTime: what there was no time for is kept and said to be so; a group that harms is dropped whole when there was
// no time for its culprit; the pruned patch is measured in any case.
func TestOutOfTime(t *testing.T) {
	v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads", "writes"}, Pairs: 6}
	l := &lab{rng: rand.New(rand.NewPCG(3, 11)), effects: map[string]map[string]float64{"work_mem": both(-.3)}, noise: .004, pairs: 6, checkpoints: 1}
	asked := l.run(v, 3)
	if want := []string{"noise", "patch", "group memory", "pruned"}; !slices.Equal(asked, want) {
		t.Fatalf("asked %v, want %v", asked, want)
	}
	r := Judge(v)
	if want := []string{"random_page_cost", "max_wal_size", "log_lock_waits"}; !sameSet(r.Kept, want) {
		t.Errorf("kept %v, want %v", r.Kept, want)
	}
	if got := r.Harmful(); !slices.Equal(got, []string{"memory"}) {
		t.Errorf("Harmful = %v", got)
	}
	for _, it := range r.Items {
		if it.Name == "planner" && (it.Outcome != NotMeasured || it.Why != "no time was left") {
			t.Errorf("planner: %+v", it)
		}
	}
	v.Partial = "interrupted"
	if i := slices.IndexFunc(Judge(v).Items, func(it Item) bool { return it.Why == "the verification ended before it (interrupted)" }); i < 0 {
		t.Errorf("what an interrupted verification did not reach: %+v", Judge(v).Items)
	}
}

// TestMasked: what seemed to make no difference beside a very slow setting is measured again once that is gone.
func TestMasked(t *testing.T) {
	v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads"}, Pairs: 6}
	l := &lab{rng: rand.New(rand.NewPCG(3, 22)), noise: .004, pairs: 6, checkpoints: 1}
	l.effects = map[string]map[string]float64{"random_page_cost": both(-3)}
	for len(v.Comparisons) < 4 { // noise, patch, memory, planner: shared_buffers does not show beside it
		c, ok := Next(v, always)
		if !ok {
			t.Fatal("nothing more to measure")
		}
		v.Comparisons = append(v.Comparisons, l.measure(v, c))
	}
	l.effects["shared_buffers"] = both(.2)
	asked := l.run(v, 100)
	if len(asked) == 0 || asked[0] != "group memory" {
		t.Errorf("asked for %v, want memory once more", asked)
	}
	if r := Judge(v); !sameSet(r.Kept, []string{"shared_buffers", "log_lock_waits"}) || !slices.Equal(r.Harmful(), []string{"random_page_cost"}) {
		t.Errorf("kept %v, harmful %v", r.Kept, r.Harmful())
	}
}

// TestOneGroup: a patch of one group is judged by the comparison of the whole; nothing is measured twice.
func TestOneGroup(t *testing.T) {
	for _, tc := range []struct {
		name   string
		effect float64
		kept   []string
		asked  []string
	}{
		{"harms", -.5, []string{}, []string{"noise", "patch"}},
		{"helps", .3, []string{"random_page_cost"}, []string{"noise", "patch"}},
	} {
		v := &rundoc.Verification{Patch: patch[3:4], Scenarios: []string{"reads"}, Pairs: 6}
		l := &lab{rng: rand.New(rand.NewPCG(3, 30)), effects: map[string]map[string]float64{"random_page_cost": both(tc.effect)}, noise: .004, pairs: 6, checkpoints: 1}
		asked := l.run(v, 100)
		r := Judge(v)
		if !slices.Equal(asked, tc.asked) || !slices.Equal(r.Kept, tc.kept) {
			t.Errorf("%s: asked %v, kept %v; want %v, %v", tc.name, asked, r.Kept, tc.asked, tc.kept)
		}
		if len(r.Items) != 1 || len(r.Items[0].Scenarios) != 1 || math.Abs(math.Log(r.Items[0].Scenarios[0].Verified.Ratio)-tc.effect) > .05 {
			t.Errorf("%s: items %+v", tc.name, r.Items)
		}
	}
}

// TestBlind: settings that space checkpoints stay when no visit had one; what else is in their group goes. Those of
// autovacuum stay when it did not run.
func TestBlind(t *testing.T) {
	p := append(slices.Clone(patch), setting("wal_compression", "WAL and checkpoint", "reload"), setting("autovacuum_naptime", "autovacuum", "reload"))
	v := &rundoc.Verification{Patch: p, Scenarios: []string{"reads"}, Pairs: 6}
	l := &lab{rng: rand.New(rand.NewPCG(3, 31)), noise: .004, pairs: 6}
	l.run(v, 100)
	r := Judge(v)
	if want := []string{"max_wal_size", "autovacuum_naptime", "log_lock_waits"}; !sameSet(r.Kept, want) {
		t.Errorf("kept %v, want %v", r.Kept, want)
	}
	for _, it := range r.Items {
		if it.Name == "WAL and checkpoint" && (it.Outcome != NoDifference || !strings.HasPrefix(it.Why, "kept without evidence: max_wal_size: no visit was long enough")) ||
			it.Name == "autovacuum" && (it.Outcome != NotMeasured || !strings.Contains(it.Why, "hardly ran")) {
			t.Errorf("%+v", it)
		}
	}
}

// TestTooNoisy: where a change of a tenth could not have been seen, seeing none drops nothing.
func TestTooNoisy(t *testing.T) {
	v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads", "writes"}, Pairs: 6}
	l := &lab{rng: rand.New(rand.NewPCG(3, 51)), noise: .4, pairs: 6, checkpoints: 1}
	l.run(v, 100)
	r := Judge(v)
	if len(r.Dropped) > 0 {
		t.Errorf("dropped %v", r.Dropped)
	}
	for _, it := range r.Items {
		if it.Name != "logging" && (it.Outcome != Unclear || !it.Kept || !strings.Contains(it.Why, "visits differed too much to show a change of 10 %")) {
			t.Errorf("%+v", it)
		}
	}
}

// TestMayCarry: a group is seen to bring 8 %, and none of its settings is seen to bring anything by itself, in comparisons that
// would have missed 8 %: none is dropped. One that was measured to bring nothing near that goes.
func TestMayCarry(t *testing.T) {
	v := &rundoc.Verification{Patch: patch[:4], Scenarios: []string{"reads"}, Pairs: 6}
	l := &lab{rng: rand.New(rand.NewPCG(3, 61)), pairs: 6, checkpoints: 1}
	for _, step := range []struct {
		c     rundoc.Comparison
		loss  float64
		noise float64
	}{
		{rundoc.Comparison{Step: rundoc.StepNoise}, 0, .01},
		{rundoc.Comparison{Step: rundoc.StepPatch}, 0, .01},
		{rundoc.Comparison{Step: rundoc.StepGroup, Name: "memory", Removed: []string{"shared_buffers", "work_mem", "effective_cache_size"}}, -.08, .01},
		{rundoc.Comparison{Step: rundoc.StepSetting, Name: "shared_buffers", Removed: []string{"shared_buffers"}}, -.02, .06},
		{rundoc.Comparison{Step: rundoc.StepSetting, Name: "work_mem", Removed: []string{"work_mem"}}, 0, .005},
	} {
		l.noise, l.effects = step.noise, map[string]map[string]float64{"without": both(step.loss)}
		step.c.B = map[string]string{"without": "it"}
		v.Comparisons = append(v.Comparisons, l.measure(v, step.c))
	}
	r := Judge(v)
	if !slices.Equal(r.Dropped, []string{"work_mem"}) {
		t.Errorf("dropped %v, want work_mem alone", r.Dropped)
	}
	if it := r.item("shared_buffers"); it.Outcome != Unclear || !strings.Contains(it.Why, "may come from it") || r.Effect("shared_buffers") != nil {
		t.Errorf("shared_buffers: %+v", it)
	}
}

// TestAgainst: with other settings in the place of the present ones the patch is compared with each, and nothing is pruned. One
// that cannot be measured, or that there was no time for, is said to be so. Documents with a single rival are read as well.
func TestAgainst(t *testing.T) {
	v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads"}, Pairs: 6, Rivals: []rundoc.Rival{
		{Name: "fast", Values: map[string]string{"jit": "off"}}, {Name: "slow", Values: map[string]string{"geqo": "off"}},
		{Name: "broken"}, {Name: "late"},
	}}
	l := &lab{rng: rand.New(rand.NewPCG(3, 32)), effects: map[string]map[string]float64{"jit": both(.2), "geqo": both(-.2)}, noise: .004, pairs: 6}
	if n := Steps(v); n != 5 {
		t.Errorf("Steps = %d, want one with each and one more", n)
	}
	for range 4 {
		c, ok := Next(v, always)
		if !ok {
			t.Fatal("nothing more to measure")
		}
		if c.Name == "broken" {
			c.Failed = "FATAL: no"
		} else {
			c = l.measure(v, c)
		}
		v.Comparisons = append(v.Comparisons, c)
	}
	r := Judge(v)
	if len(r.Rivals) != 4 || r.Against != "fast, slow, broken, late" || len(r.Dropped) != 0 || r.Rejected || len(r.Items) != 0 || len(r.Kept) != len(patch) {
		t.Fatalf("%+v", r)
	}
	for i, want := range []struct {
		kind verdict.Kind
		why  string
	}{{verdict.Worse, ""}, {verdict.Better, ""}, {"", "FATAL: no"}, {"", "no time was left"}} {
		got := r.Rivals[i]
		if got.Why != want.why || (len(got.Gains) == 1) != (want.kind != "") || want.kind != "" && got.Gains[0].Kind != want.kind {
			t.Errorf("%s: %+v, want %s %s", got.Name, got, want.kind, want.why)
		}
	}
	v.Rivals = v.Rivals[:3]
	for _, want := range []string{"fast", "slow"} { // where the patch is worse comes first
		c, ok := Next(v, always)
		if !ok || c.Step != rundoc.StepAgain || c.Name != want || !slices.Equal(Scenarios(v, c), v.Scenarios) {
			t.Fatalf("%t, %s %s under %v; want %s again", ok, c.Step, c.Name, Scenarios(v, c), want)
		}
		v.Comparisons = append(v.Comparisons, l.measure(v, c))
	}
	if c, ok := Next(v, always); ok {
		t.Errorf("a third look: %+v", c)
	}
	if r := Judge(v); len(r.Rivals[0].Again) != 1 || r.Rivals[0].Again[0].Kind != verdict.Worse || len(r.Rivals[2].Again) != 0 {
		t.Errorf("%+v", r.Rivals)
	}
	old := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads"}, Pairs: 6, Against: map[string]string{"jit": "off"}, AgainstName: "theirs"}
	old.Comparisons = []rundoc.Comparison{{Step: rundoc.StepPatch, Visits: v.Comparisons[1].Visits}}
	if got := Judge(old).Rivals; len(got) != 1 || got[0].Name != "theirs" || len(got[0].Gains) != 1 || got[0].Gains[0].Kind != verdict.Worse {
		t.Errorf("a document with one rival: %+v", got)
	}
}

// TestAgainstSees: what observes every statement is not held against a rival that does not, but against one that does.
func TestAgainstSees(t *testing.T) {
	v := &rundoc.Verification{Patch: append(slices.Clone(patch), setting("track_io_timing", "logging", "reload")), Scenarios: []string{"reads"}, Pairs: 6,
		Comparisons: []rundoc.Comparison{{Step: rundoc.StepNoise}}}
	for _, tc := range []struct {
		rival map[string]string
		sees  bool
	}{{map[string]string{"jit": "off"}, false}, {map[string]string{"track_io_timing": "on"}, true}} {
		v.Rivals = []rundoc.Rival{{Name: "theirs", Values: tc.rival}}
		c, _ := Next(v, always)
		_, sees := c.B["track_io_timing"]
		_, lock := c.B["log_lock_waits"]
		if sees != tc.sees || !lock {
			t.Errorf("against %v the patch is %v", tc.rival, c.B)
		}
		if got := Judge(v).Rivals[0].NotCompared; slices.Contains(got, "track_io_timing") == tc.sees {
			t.Errorf("against %v not compared: %v", tc.rival, got)
		}
	}
}

// TestGroupsFirst: every group is measured before the settings of one that helps are told apart, but the culprit of one that
// harms is looked for at once. The last comparison that there is time for is not left out for want of something dropped.
func TestGroupsFirst(t *testing.T) {
	for _, tc := range []struct {
		name   string
		effect float64
		steps  int
		want   string
	}{
		{"helps", .3, 5, "noise, patch, group memory, group planner, group WAL and checkpoint, pruned"},
		{"harms", -.3, 4, "noise, patch, group memory, setting shared_buffers, pruned"},
		{"the last one", .3, 3, "noise, patch, group memory, group planner"},
	} {
		v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads", "writes"}, Pairs: 6}
		l := &lab{rng: rand.New(rand.NewPCG(3, 11)), effects: map[string]map[string]float64{"work_mem": both(tc.effect)}, noise: .004, pairs: 6, checkpoints: 1}
		if got := strings.Join(l.run(v, tc.steps), ", "); got != tc.want {
			t.Errorf("%s: asked %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestDepends: a difference that the checkpoint after each visit makes, or hides, is none that anything is dropped for; one
// that is there with it and without it is.
func TestDepends(t *testing.T) {
	for _, tc := range []struct {
		name       string
		speed, end float64 // with it over without it; seconds of the checkpoint with it, .05 without it
		outcome    Outcome
		kept       bool
		why        string
	}{
		{"hidden by the checkpoint", 1.05, .1025, Depends, true, "reads: no difference seen (would have seen 0.3 %) with the checkpoint after each visit, better by 5.0 % (4.8 to 5.2 %) without it: in service the share of a checkpoint lies between"},
		{"made by the checkpoint", 1, .1, Depends, true, "reads: worse by 4.5 % (4.4 to 4.7 %) with the checkpoint after each visit, no difference seen"},
		{"helps", 1.1, .08, Helps, true, ""},
		{"harms", .9, .08, Harms, false, ""},
		{"neither", 1, .05, NoDifference, false, ""},
	} {
		v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads"}, Pairs: 6, Comparisons: []rundoc.Comparison{{Step: rundoc.StepPatch},
			{Step: rundoc.StepGroup, Name: "planner", Removed: []string{"random_page_cost"}}}}
		for pair := 1; pair <= 6; pair++ {
			speed := tc.speed * (1 + float64(pair%3-1)/500)
			a := rundoc.TrialVisit{Scenario: "reads", Side: "A", Pair: pair, Seconds: 1, CheckpointSeconds: tc.end, TPS: 100 * speed / (1 + tc.end)}
			b := rundoc.TrialVisit{Scenario: "reads", Side: "B", Pair: pair, Seconds: 1, CheckpointSeconds: .05, TPS: 100 / 1.05}
			v.Comparisons[1].Visits = append(v.Comparisons[1].Visits, a, b)
		}
		r := Judge(v)
		it := r.item("random_page_cost")
		if it == nil || it.Outcome != tc.outcome || it.Kept != tc.kept || !strings.HasPrefix(it.Depends, tc.why) || tc.why == "" && it.Depends != "" {
			t.Errorf("%s: %+v", tc.name, it)
		}
		if got := slices.Contains(r.Dropped, "random_page_cost"); got == tc.kept {
			t.Errorf("%s: dropped %v", tc.name, r.Dropped)
		}
	}
}

// TestRejectedByBoth: a patch is thrown away where it is worse with and without the checkpoint after each visit under some
// scenario, and better in neither way under any; one of a single group is judged the same.
func TestRejectedByBoth(t *testing.T) {
	for _, tc := range []struct {
		name          string
		reads, writes [2]float64 // speed with the patch over without it; seconds of the checkpoint with it, .05 without it
		outcome       Outcome    // of a single group
		kept          bool
	}{
		{"a loss, and a gain that the checkpoint hides", [2]float64{1.05, .1025}, [2]float64{.9, .05}, Mixed, true},
		{"a loss that the checkpoint makes", [2]float64{1, .05}, [2]float64{1, .1}, Depends, true},
		{"a loss", [2]float64{1, .05}, [2]float64{.9, .05}, Harms, false},
	} {
		c := rundoc.Comparison{Step: rundoc.StepPatch}
		for pair := 1; pair <= 6; pair++ {
			for sc, with := range map[string][2]float64{"reads": tc.reads, "writes": tc.writes} {
				speed := with[0] * (1 + float64(pair%3-1)/500)
				c.Visits = append(c.Visits, rundoc.TrialVisit{Scenario: sc, Side: "A", Pair: pair, Seconds: 1, CheckpointSeconds: .05, TPS: 100 / 1.05},
					rundoc.TrialVisit{Scenario: sc, Side: "B", Pair: pair, Seconds: 1, CheckpointSeconds: with[1], TPS: 100 * speed / (1 + with[1])})
			}
		}
		one := Judge(&rundoc.Verification{Patch: patch[3:4], Scenarios: []string{"reads", "writes"}, Pairs: 6, Comparisons: []rundoc.Comparison{c}})
		if len(one.Items) != 1 || one.Items[0].Outcome != tc.outcome || one.Rejected || (len(one.Kept) > 0) != tc.kept {
			t.Errorf("%s: rejected %v, kept %v, items %+v", tc.name, one.Rejected, one.Kept, one.Items)
		}
		two := Judge(&rundoc.Verification{Patch: patch[3:5], Scenarios: []string{"reads", "writes"}, Pairs: 6, Comparisons: []rundoc.Comparison{c}})
		if two.Rejected == tc.kept || (len(two.Kept) > 0) != tc.kept {
			t.Errorf("%s, two groups: rejected %v, kept %v", tc.name, two.Rejected, two.Kept)
		}
	}
}

// TestRoom: comparisons under long statements take 10 minutes, the others 3. What has no room beside the last one gives way to
// what has, and settings about writing or observing are not compared under statements that do neither.
func TestRoom(t *testing.T) {
	p := append(slices.Clone(patch), setting("track_io_timing", logging, "reload"))
	for _, tc := range []struct {
		left int // minutes, after the whole patch
		want string
	}{
		{100, "memory 10, planner 10, WAL and checkpoint 3, logging 3, pruned 10"},
		{29, "memory 10, WAL and checkpoint 3, logging 3, pruned 10"},
		{22, "memory 10, pruned 10"},
		{19, "WAL and checkpoint 3, logging 3, pruned 10"},
		{12, "memory 10"},
		{6, "WAL and checkpoint 3"},
		{2, ""},
	} {
		v := &rundoc.Verification{Patch: p, Scenarios: []string{"reads", "writes", "reports"}, Analytic: []string{"reports"}, Pairs: 6}
		l := &lab{rng: rand.New(rand.NewPCG(3, 12)), noise: .004, pairs: 6, checkpoints: 1, wal: 1 << 20}
		cost := func(c rundoc.Comparison) int {
			if names := Scenarios(v, c); names == nil || slices.Contains(names, "reports") {
				return 10
			}
			return 3
		}
		left, asked := 1000, []string{}
		for len(asked) < 20 {
			c, ok := Next(v, func(all ...rundoc.Comparison) bool {
				need := 0
				for _, c := range all {
					need += cost(c)
				}
				return need <= left
			})
			if !ok {
				break
			}
			switch c.Step {
			case rundoc.StepNoise:
			case rundoc.StepPatch:
				left = tc.left
			default:
				left -= cost(c)
				asked = append(asked, fmt.Sprintf("%s %d", cmp.Or(c.Name, c.Step), cost(c)))
			}
			v.Comparisons = append(v.Comparisons, l.measure(v, c))
		}
		if Unfinished(v) != (tc.left < 100) {
			t.Errorf("%d minutes: Unfinished = %v", tc.left, Unfinished(v))
		}
		if got := strings.Join(asked, ", "); got != tc.want {
			t.Errorf("%d minutes: %s, want %s", tc.left, got, tc.want)
		}
	}
}

// TestOrder: what may explain a slower patch, or a longer p99 where it is not slower, is taken back first.
func TestOrder(t *testing.T) {
	for _, tc := range []struct {
		tps, p99 float64 // with the patch over without it
		want     string
	}{
		{1, 1, "memory"}, {1.2, 1, "memory"}, {.8, 1.3, logging}, {.8, 1, logging}, {1, 1.3, logging + ", " + writing + ", autovacuum"}, {1.2, 1.3, logging + ", " + writing + ", autovacuum"},
	} {
		v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads"}, Pairs: 6, Comparisons: []rundoc.Comparison{{Step: rundoc.StepPatch}}}
		for pair := 1; pair <= 6; pair++ {
			jitter := 1 + float64(pair%3-1)/500
			v.Comparisons[0].Visits = append(v.Comparisons[0].Visits, rundoc.TrialVisit{Scenario: "reads", Side: "A", Pair: pair, Seconds: 1, TPS: 9, P99: 1},
				rundoc.TrialVisit{Scenario: "reads", Side: "B", Pair: pair, Seconds: 1, TPS: 9 * tc.tps * jitter, P99: tc.p99 * jitter})
		}
		if got := follow(&rundoc.Verification{Patch: patch, Scenarios: v.Scenarios, Analytic: v.Scenarios, Comparisons: v.Comparisons}).order(); got[0] != "memory" {
			t.Errorf("under reports alone: %v", got)
		}
		got := follow(v).order()
		if all := strings.Join(got, ", "); !strings.HasPrefix(all, tc.want) || len(got) != len(groups) || !sameSet(got, groups) {
			t.Errorf("throughput %v, p99 %v: %s, want %s first", tc.tps, tc.p99, all, tc.want)
		}
	}
}

// TestRejected: what is worse as a whole is not recommended, though there was no time to find the culprit.
func TestRejected(t *testing.T) {
	v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads"}, Pairs: 6}
	l := &lab{rng: rand.New(rand.NewPCG(3, 21)), effects: map[string]map[string]float64{"random_page_cost": both(-2)}, noise: .004, pairs: 6, checkpoints: 1}
	l.run(v, 3)
	r := Judge(v)
	if !r.Rejected || !slices.Equal(r.Kept, []string{"log_lock_waits"}) {
		t.Errorf("rejected %v, kept %v", r.Rejected, r.Kept)
	}
	if why, _ := r.Reason("random_page_cost"); !strings.Contains(why, "worse than the present settings, and the time did not suffice") {
		t.Errorf("Reason = %q", why)
	}
}

// TestRejectedAfterAll: every group was measured, and none is seen to be the culprit by itself.
func TestRejectedAfterAll(t *testing.T) {
	v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads"}, Pairs: 6}
	effects := map[string]map[string]float64{"work_mem": both(-.08), "random_page_cost": both(-.08), "max_wal_size": both(-.08)}
	l := &lab{rng: rand.New(rand.NewPCG(3, 23)), effects: effects, noise: .06, pairs: 6, checkpoints: 1}
	l.run(v, 100)
	r := Judge(v)
	why, dropped := r.Reason("random_page_cost")
	if !r.Rejected || !dropped || strings.Contains(why, "time") || !strings.Contains(why, "no group of its settings") {
		t.Errorf("rejected %v, Reason = %q", r.Rejected, why)
	}
}

// TestOverstated: what visits of a few seconds show larger than service does is said with the verdict, and of nothing else.
func TestOverstated(t *testing.T) {
	v := &rundoc.Verification{Patch: append(slices.Clone(patch), setting("wal_compression", "WAL and checkpoint", "reload")), Scenarios: []string{"reads", "writes"}, Pairs: 6}
	l := &lab{rng: rand.New(rand.NewPCG(3, 24)), effects: map[string]map[string]float64{"wal_compression": {"writes": -.1}}, noise: .004, pairs: 6, checkpoints: 1}
	l.run(v, 100)
	r := Judge(v)
	const words = "just after checkpoints"
	for _, it := range r.Items {
		if strings.Contains(it.Why, words) != slices.Contains(it.Settings, "wal_compression") {
			t.Errorf("%s: %q", it.Name, it.Why)
		}
	}
	for _, n := range r.Dropped {
		if why, _ := r.Reason(n); strings.Contains(why, words) != (n == "wal_compression") {
			t.Errorf("Reason(%s) = %q", n, why)
		}
	}
	if !slices.Contains(r.Harmful(), "wal_compression") {
		t.Errorf("harmful %v", r.Harmful())
	}
}

// TestLonger: a rise of p99 is said whatever throughput did, whether what is left of the patch still has it, and of which
// group it comes.
func TestLonger(t *testing.T) {
	for _, tc := range []struct {
		whole, left, group float64 // p99 of B over that of A; of the group, without over with
		want               string
	}{
		{1.2, 1.1, 1, "p99 rose with the whole patch, by 20 % (20 to 20 %); p99 rose with what is left of the patch, by 10 % (9.8 to 10 %)"},
		{1.2, 1.1, .8, "p99 rose with the whole patch, by 20 % (20 to 20 %); p99 rose with what is left of the patch, by 10 % (9.8 to 10 %); memory by itself makes it longer by 25 % (25 to 25 %)"},
		{1.2, .9, 1.1, "p99 rose with the whole patch, by 20 % (20 to 20 %); with what is left of it no rise is certain"},
		{1, 1.1, 1, "p99 rose with what is left of the patch, by 10 % (9.8 to 10 %)"},
		{.8, .9, .8, ""},
	} {
		visits := func(times float64) (out []rundoc.TrialVisit) {
			for pair := 1; pair <= 6; pair++ {
				jitter := 1 + float64(pair%3-1)/500
				out = append(out, rundoc.TrialVisit{Scenario: "reads", Side: "A", Pair: pair, Seconds: 1, Transactions: 9, TPS: 9, P99: 1},
					rundoc.TrialVisit{Scenario: "reads", Side: "B", Pair: pair, Seconds: 1, Transactions: 9, TPS: 9, P99: times * jitter})
			}
			return out
		}
		v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads"}, Pairs: 6, Comparisons: []rundoc.Comparison{
			{Step: rundoc.StepPatch, Visits: visits(tc.whole)}, {Step: rundoc.StepPruned, Visits: visits(tc.left)},
			{Step: rundoc.StepGroup, Name: "memory", Removed: []string{"work_mem", "shared_buffers"}, Visits: visits(tc.group)}}}
		if got := Judge(v).Longer()["reads"]; got != tc.want {
			t.Errorf("%v, %v, %v: %q, want %q", tc.whole, tc.left, tc.group, got, tc.want)
		}
	}
}

// TestObserving: what observes every statement is taken back in a comparison of its own so that its cost is known, at first
// where the patch is slower and at last where it is not; it stays, is not called harmful, and does not make the rest of the patch suspect.
func TestObserving(t *testing.T) {
	p := append(slices.Clone(patch), setting("shared_preload_libraries", "logging", "restart"), setting("track_io_timing", "logging", "reload"))
	for _, tc := range []struct {
		name    string
		effects map[string]map[string]float64
		outcome Outcome
		slower  bool
	}{
		{"costs", map[string]map[string]float64{"shared_preload_libraries": both(-.1)}, Costs, true},
		{"costs less than is gained", map[string]map[string]float64{"shared_preload_libraries": both(-.1), "work_mem": both(.3)}, Costs, false},
		{"costs nothing", nil, NoDifference, false},
	} {
		v := &rundoc.Verification{Patch: p, Scenarios: []string{"reads", "writes"}, Pairs: 6}
		l := &lab{rng: rand.New(rand.NewPCG(3, 41)), effects: tc.effects, noise: .004, pairs: 6, checkpoints: 1}
		asked := l.run(v, 100)
		r := Judge(v)
		first, groups := slices.Index(asked, "group logging"), strings.Count(strings.Join(asked, " "), "group ")
		if tc.slower != (first == 2) || !tc.slower && strings.Count(strings.Join(asked[:first], " "), "group ") != groups-1 {
			t.Errorf("%s: asked %v, want logging right after noise and patch where that was slower, else as the last group", tc.name, asked)
		}
		c := r.Price()
		if c == nil || c.Outcome != tc.outcome || !c.Kept || !slices.Equal(c.Settings, []string{"shared_preload_libraries", "track_io_timing"}) || len(c.Scenarios) != 2 {
			t.Errorf("%s: %+v", tc.name, c)
		}
		for _, n := range []string{"shared_preload_libraries", "track_io_timing", "log_lock_waits"} {
			if !slices.Contains(r.Kept, n) {
				t.Errorf("%s: %s is dropped", tc.name, n)
			}
		}
		if r.Rejected || len(r.Harmful()) > 0 {
			t.Errorf("%s: rejected %v, harmful %v", tc.name, r.Rejected, r.Harmful())
		}
	}
}

// TestRejectedBesideObserving: what observing costs under one scenario does not excuse what is worse under another.
func TestRejectedBesideObserving(t *testing.T) {
	for _, tc := range []struct {
		culprit  map[string]float64
		rejected bool
	}{{map[string]float64{"writes": -.1}, true}, {nil, false}} {
		v := &rundoc.Verification{Patch: append(slices.Clone(patch), setting("track_io_timing", "logging", "reload")), Scenarios: []string{"reads", "writes"}, Pairs: 6}
		effects := map[string]map[string]float64{"track_io_timing": {"reads": -.1}, "random_page_cost": tc.culprit}
		l := &lab{rng: rand.New(rand.NewPCG(3, 43)), effects: effects, noise: .004, pairs: 6, checkpoints: 1}
		l.run(v, 2) // noise, patch, logging
		r := Judge(v)
		if r.Price() == nil || r.Price().Outcome != Costs || r.Rejected != tc.rejected || slices.Contains(r.Kept, "random_page_cost") == tc.rejected || !slices.Contains(r.Kept, "track_io_timing") {
			t.Errorf("culprit %v: rejected %v, kept %v, price %+v", tc.culprit, r.Rejected, r.Kept, r.Price())
		}
	}
}

// TestPriceUnknown: without time for that comparison the cost is said to be inside the others.
func TestPriceUnknown(t *testing.T) {
	v := &rundoc.Verification{Patch: append(slices.Clone(patch), setting("track_io_timing", "logging", "reload")), Scenarios: []string{"reads"}, Pairs: 6}
	l := &lab{rng: rand.New(rand.NewPCG(3, 42)), noise: .004, pairs: 6, checkpoints: 1}
	l.run(v, 2)
	r := Judge(v)
	i := slices.IndexFunc(r.Items, func(it Item) bool { return it.Name == "logging" })
	if r.Price() != nil || i < 0 || !strings.Contains(r.Items[i].Why, "what it costs is inside the figures of the whole patch, and was not measured apart: no time was left") {
		t.Errorf("price %+v, items %+v", r.Price(), r.Items)
	}
}

// TestNeededStays: what a budget needs is not taken back.
func TestNeededStays(t *testing.T) {
	needed := slices.Clone(patch)
	needed[1].Needed = "keeps the worst case within the memory"
	v := &rundoc.Verification{Patch: needed, Scenarios: []string{"reads"}, Pairs: 6}
	l := &lab{rng: rand.New(rand.NewPCG(3, 12)), noise: .004, pairs: 6, checkpoints: 1}
	l.run(v, 100)
	if r := Judge(v); !slices.Contains(r.Kept, "work_mem") || slices.Contains(r.Kept, "shared_buffers") {
		t.Errorf("kept %v", r.Kept)
	}
}

// TestNoStart: a patch that the server does not start with ends the matter.
func TestNoStart(t *testing.T) {
	v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads"}, Pairs: 6, Comparisons: []rundoc.Comparison{
		{Step: rundoc.StepNoise}, {Step: rundoc.StepPatch, Failed: "FATAL: could not map anonymous shared memory"},
	}}
	if c, ok := Next(v, always); ok {
		t.Errorf("Next = %+v", c)
	}
	if r := Judge(v); !strings.Contains(r.Failed, "shared memory") || len(r.Dropped) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestHarmIsSeldomClaimed: with a patch that does nothing, at most 6 % of the groups are found to do something, over
// three scenarios together.
func TestHarmIsSeldomClaimed(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 13))
	claims, all := 0, 0
	for range 300 {
		v := &rundoc.Verification{Patch: patch, Scenarios: []string{"reads", "writes", "reports"}, Pairs: 6}
		(&lab{rng: rng, noise: .05, pairs: 6}).run(v, 100)
		for _, c := range v.Comparisons {
			if c.Step == rundoc.StepGroup {
				all++
				if outcome(v.Scenarios, c) != NoDifference {
					claims++
				}
			}
		}
	}
	if share := float64(claims) / float64(all); share > .06 {
		t.Errorf("%.1f %% of %d groups seem to do something", 100*share, all)
	}
}

func TestGroupByName(t *testing.T) {
	for name, want := range map[string]string{
		"shared_buffers": "memory", "autovacuum_work_mem": "autovacuum", "max_wal_size": "WAL and checkpoint", "wal_compression": "WAL and checkpoint",
		"checkpoint_timeout": "WAL and checkpoint", "random_page_cost": "planner", "jit": "planner", "max_parallel_workers_per_gather": "parallel",
		"max_worker_processes": "parallel", "effective_io_concurrency": "I/O", "io_method": "I/O", "log_lock_waits": "logging", "track_io_timing": "logging",
		"max_connections": "connections", "autovacuum_vacuum_cost_limit": "autovacuum", "maintenance_work_mem": "memory", "bytea_output": "other",
	} {
		if got := GroupByName(name); got != want {
			t.Errorf("GroupByName(%s) = %q, want %q", name, got, want)
		}
	}
}

func TestUnsafe(t *testing.T) {
	settings := guc.Settings{
		"fsync":              {Name: "fsync", VarType: "bool", Value: "on"},
		"synchronous_commit": {Name: "synchronous_commit", VarType: "enum", Value: "off", EnumVals: []string{"on", "off"}},
		"work_mem":           {Name: "work_mem", VarType: "integer", Unit: "kB", Value: "4096"},
		"max_wal_senders":    {Name: "max_wal_senders", VarType: "integer", Value: "10"},
		"wal_level":          {Name: "wal_level", VarType: "enum", Value: "replica", EnumVals: []string{"minimal", "replica", "logical"}},
		"archive_mode":       {Name: "archive_mode", VarType: "enum", Value: "off", EnumVals: []string{"always", "on", "off"}},
	}
	got := Unsafe([]rundoc.PatchSetting{{Name: "fsync", Value: "false"}, {Name: "synchronous_commit", Value: "off"}, {Name: "work_mem", Value: "8MB"},
		{Name: "max_wal_senders", Value: "0"}, {Name: "wal_level", Value: "minimal"}, {Name: "archive_mode", Value: "off"}}, settings)
	if want := []string{"fsync = false", "max_wal_senders = 0", "wal_level = minimal"}; !slices.Equal(got, want) {
		t.Errorf("Unsafe = %v, want %v: what is off already is not lowered", got, want)
	}
}

// TestCrowded: two servers whose caches do not fit the machine side by side are said not to; those that do fit, and those on
// another machine, are not.
func TestCrowded(t *testing.T) {
	facts := func(same bool) probe.Facts {
		f := probe.Facts{Server: probe.Server{Settings: guc.Settings{"shared_buffers": {Name: "shared_buffers", VarType: "integer", Unit: "8kB", Value: "16384"}}}}
		f.SameHost, f.Host.Memory.Budget = probe.Is(same, "test"), probe.Is(int64(8<<30), "test")
		return f
	}
	limited := facts(true)
	limited.Host.Memory.Budget, limited.Host.Memory.Total = probe.Is(int64(1<<30), "/sys/fs/cgroup/memory/pgfit-scratch-7/memory.limit_in_bytes"), probe.Is(int64(8<<30), "test")
	p := []rundoc.PatchSetting{{Name: "shared_buffers", Value: "2GB"}}
	for _, tc := range []struct {
		name         string
		f            probe.Facts
		bytes, limit int64
		want         bool
	}{
		{"fits", facts(true), 2 << 30, 0, false},
		{"too much data", facts(true), 3 << 30, 0, true},
		{"on another machine", facts(false), 3 << 30, 0, false},
		{"each within its limit", facts(true), 9 << 30, 3 << 30, false},
		{"limits too large", facts(true), 9 << 30, 5 << 30, true},
		{"the run's own limit is not the machine's", limited, 2 << 30, 0, false},
	} {
		v := &rundoc.Verification{Mode: rundoc.ModeScratch, Patch: p}
		if got := Crowded(v, tc.f, tc.bytes, tc.limit); (got != "") != tc.want {
			t.Errorf("%s: %q", tc.name, got)
		}
	}
}

// TestScenarios: settings about writing are measured where something is written.
func TestScenarios(t *testing.T) {
	visit := func(sc, side string, wal int64) rundoc.TrialVisit {
		return rundoc.TrialVisit{Scenario: sc, Side: side, Pair: 1, Seconds: 1, Transactions: 10, TPS: 10, WALBytes: wal}
	}
	patched := rundoc.Comparison{Step: rundoc.StepPatch, Visits: []rundoc.TrialVisit{visit("reads", "A", 100), visit("reads", "B", 200), visit("writes", "A", 5<<20),
		visit("writes", "B", 5<<20), visit("reports", "A", 5<<20), visit("reports", "B", 5<<20)}}
	wal, seen := rundoc.Comparison{Step: rundoc.StepGroup, Name: writing}, rundoc.Comparison{Step: rundoc.StepGroup, Name: logging}
	two, three := []string{"reads", "writes"}, []string{"reads", "writes", "reports"}
	for _, tc := range []struct {
		scenarios []string
		c         rundoc.Comparison
		want      []string
	}{
		{two, wal, []string{"writes"}},
		{two, rundoc.Comparison{Step: rundoc.StepSetting, Name: "max_wal_size"}, []string{"writes"}},
		{two, rundoc.Comparison{Step: rundoc.StepGroup, Name: "memory"}, nil},
		{two, rundoc.Comparison{Step: rundoc.StepPruned}, nil},
		{three, wal, []string{"writes"}},
		{three, seen, two},
		{[]string{"reads", "reports"}, wal, []string{"reads"}},
		{[]string{"reports"}, wal, nil},
		{[]string{"reports"}, seen, nil},
	} {
		v := &rundoc.Verification{Patch: patch, Scenarios: tc.scenarios, Analytic: []string{"reports"}, Comparisons: []rundoc.Comparison{patched}}
		if got := Scenarios(v, tc.c); !slices.Equal(got, tc.want) {
			t.Errorf("%v: Scenarios(%s %s) = %v, want %v", tc.scenarios, tc.c.Step, tc.c.Name, got, tc.want)
		}
	}
}

// TestNeeded: work_mem that was lowered to fit the memory stays.
func TestNeeded(t *testing.T) {
	f := probe.Facts{Server: probe.Server{Settings: guc.Settings{
		"shared_buffers":  {Name: "shared_buffers", VarType: "integer", Unit: "8kB", Value: "16384"},
		"work_mem":        {Name: "work_mem", VarType: "integer", Unit: "kB", Value: "1048576"},
		"max_connections": {Name: "max_connections", VarType: "integer", Value: "100"},
	}}}
	f.Host.Memory.Budget = probe.Is(int64(4<<30), "test")
	p := []rundoc.PatchSetting{{Name: "work_mem", Value: "16MB"}, {Name: "shared_buffers", Value: "256MB"}}
	MarkNeeded(p, f, budget.Load{Active: 20})
	if p[0].Needed != "keeps the worst case within the memory" || p[1].Needed != "" {
		t.Errorf("MarkNeeded = %+v", p)
	}
}
