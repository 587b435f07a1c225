package sweep

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
)

// lawful is an engine that puts no load on anything: its throughput is a law of the pool size, and of the number of visits
// that there were before.
type lawful struct {
	throughput func(pool, before int) float64
	ramp       bool // throughput doubles in the course of a visit
	runs       int
	open       int
}

func (l *lawful) Grow(_ context.Context, n int) error { l.open = max(l.open, n); return nil }
func (l *lawful) Close()                              {}
func (l *lawful) Driver() string                      { return "lawful" }
func (l *lawful) Protocol() engine.Protocol           { return engine.Prepared }
func (l *lawful) Notices() []string                   { return nil }
func (l *lawful) Run(_ context.Context, load engine.Load) (*engine.Result, error) {
	x := l.throughput(load.Pool, l.runs)
	l.runs++
	res := &engine.Result{Elapsed: load.Duration, Transactions: int64(x * load.Duration.Seconds()), Bins: make([]uint32, load.Duration/bin)}
	for i := range res.Bins {
		res.Bins[i] = uint32(x * bin.Seconds())
		if l.ramp {
			res.Bins[i] += res.Bins[i] * uint32(i) / uint32(len(res.Bins))
		}
	}
	return res, nil
}

func sweepOf(l *lawful) *Sweep {
	return &Sweep{Engine: l, Weights: map[string][]int{"s": {1}}, Free: 90, Log: slog.New(slog.DiscardHandler)}
}

func planOf(levels []int, rounds int) rundoc.Plan {
	return rundoc.Plan{Scenarios: []string{"s"}, Levels: levels, Rounds: rounds, MeasureSeconds: 10, Seed: 1}
}

func rising(pool, _ int) float64 { return 1000 * float64(pool) }

func TestRunStopsWhenItIsEnough(t *testing.T) {
	s := sweepOf(&lawful{throughput: rising})
	asked := 0
	s.Enough = func(visits []rundoc.Visit) bool { asked++; return len(visits) >= 6*3 }
	p := planOf([]int{1, 2, 4}, 12)
	visits, err := s.Run(context.Background(), &p, time.Now(), time.Time{})
	if err != nil || p.Rounds != 6 || len(visits) != 18 || asked != 2 {
		t.Errorf("%d rounds, %d visits, asked %d times, %v; want to stop after the sixth, asked from the fifth on", p.Rounds, len(visits), asked, err)
	}
}

func TestRunExtends(t *testing.T) {
	peak := func(pool, _ int) float64 { return 1000 * float64(pool) / (1 + float64(pool*pool)/50/50) }
	s := sweepOf(&lawful{throughput: peak})
	s.Grow = true
	p := planOf([]int{1, 2, 4, 8, 16, 32, 64}, 5)
	if _, err := s.Run(context.Background(), &p, time.Now(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := p.Levels[len(p.Levels)-1]; got != 90 {
		t.Errorf("pool sizes %v, want one beyond 64 and not above the 90 that are free", p.Levels)
	}
}

// A pool size is not added at the price of rounds: none of three where nothing lies beyond the best one, none of five where
// one does.
func TestRoomForAPoolSize(t *testing.T) {
	for _, tc := range []struct {
		name         string
		left         time.Duration // of the time, after the first of five rounds at 7 pool sizes that took 7 s
		none, second bool          // what is added where no pool size lies beyond the best, and where one does
	}{{"two rounds of 8 s left", 17 * time.Second, true, false}, {"four rounds left", 33 * time.Second, true, true}, {"no time", 15 * time.Second, false, false}} {
		for beyond, want := range []bool{tc.none, tc.second} {
			if got := room(tc.left, 7*time.Second, 7, keep(beyond)-1); got != want {
				t.Errorf("%s, %d beyond the best: %v, want %v", tc.name, beyond, got, want)
			}
		}
	}
	if !room(8*time.Second, 7*time.Second, 7, -3) || room(7*time.Second, 7*time.Second, 7, -3) {
		t.Error("after the fifth round, a pool size needs the time of one round more")
	}
}

// A slow first round is made again and set aside where there is time; where there is none it is set aside if five are left,
// and else kept and told.
func TestRunMakesAColdRoundAgain(t *testing.T) {
	slow := func(pool, before int) float64 {
		if before <= 4 { // the first warm-up and the first round
			return 500 * float64(pool)
		}
		return 1000 * float64(pool)
	}
	for _, tc := range []struct {
		name     string
		planned  int
		deadline time.Time
		rounds   int
		aside    bool
	}{{"time", 5, time.Now().Add(time.Hour), 6, true}, {"the rounds are the user's", 5, time.Time{}, 5, false}, {"more of the user's", 6, time.Time{}, 6, true}} {
		t.Run(tc.name, func(t *testing.T) {
			s := sweepOf(&lawful{throughput: slow})
			p := planOf([]int{1, 2, 4, 8}, tc.planned)
			visits, err := s.Run(context.Background(), &p, time.Now(), tc.deadline)
			if err != nil || p.Rounds != tc.rounds || len(visits) != 4*tc.rounds {
				t.Fatalf("%d rounds, %d visits, %v, want %d rounds", p.Rounds, len(visits), err, tc.rounds)
			}
			if p.FirstRoundDiffers == tc.aside {
				t.Errorf("told that the first round differs and stays: %v", p.FirstRoundDiffers)
			}
			for _, v := range visits {
				aside := len(v.Marks) == 1 && v.Marks[0].Code == rundoc.FirstRound
				if aside != (v.Round == 1 && tc.aside) {
					t.Errorf("round %d, pool %d: marks %v", v.Round, v.PoolSize, v.Marks)
				}
			}
		})
	}
}

func TestRunEndsAtItsDeadline(t *testing.T) {
	s := sweepOf(&lawful{throughput: rising})
	p := planOf([]int{1, 2}, 15)
	if _, err := s.Run(context.Background(), &p, time.Now(), time.Now().Add(-time.Second)); err != nil || p.Rounds != 1 {
		t.Errorf("%d rounds, %v: want to end after the first", p.Rounds, err)
	}
}

// A visit says that its callers thought, so that nobody takes their pauses for the generator's.
func TestOneSaysThatCallersThink(t *testing.T) {
	for _, think := range []time.Duration{0, 50 * time.Millisecond} {
		v, err := sweepOf(&lawful{throughput: rising}).One(context.Background(), engine.Load{Pool: 4, Duration: time.Second, Think: think}, time.Now())
		if err != nil || v.Extra[rundoc.ThinkSeconds] != think.Seconds() {
			t.Errorf("think time %s: %v, %v", think, v.Extra, err)
		}
	}
}

// The first warm-up ends as planned when throughput is steady, goes on when it is not and there is time beside five rounds,
// and says what came of it.
func TestRunWarmsUp(t *testing.T) {
	for _, tc := range []struct {
		name     string
		ramp     bool
		rounds   int
		deadline time.Time
		want     int // visits of the warm-up
	}{
		{"steady", false, 5, time.Now().Add(time.Hour), 1},
		{"a ramp, time enough", true, 5, time.Now().Add(time.Hour), 4}, // 3 s, then three steps of 1 s
		{"a ramp, rounds beyond the fifth", true, 9, time.Now().Add(2 * time.Minute), 4},
		{"a ramp, five rounds left", true, 5, time.Now().Add(90 * time.Second), 1},
		{"a ramp, the rounds are the user's", true, 5, time.Time{}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := &lawful{throughput: rising, ramp: tc.ramp}
			if tc.ramp {
				l.throughput = func(pool, before int) float64 { return 1000 * float64(pool+before) }
			}
			p := planOf([]int{1, 2}, tc.rounds)
			p.FirstWarmup = 3
			visits, err := sweepOf(l).Run(context.Background(), &p, time.Now(), tc.deadline)
			if err != nil || len(p.FirstWarmups) != 1 || l.runs-len(visits) != tc.want {
				t.Fatalf("%v, %d visits beside those of the rounds, want %d; %+v", err, l.runs-len(visits), tc.want, p.FirstWarmups)
			}
			if w := p.FirstWarmups[0]; w.Settled == tc.ramp || w.Scenario != "s" || w.PoolSize != 2 || w.StepSeconds != 1 || (w.Spread > 0) != tc.ramp {
				t.Errorf("recorded %+v", w)
			}
		})
	}
}

// Lists of long statements come at the end of a round, and before it the other scenarios warm up for as long as that makes
// them faster by a tenth.
func TestRunKeepsLongStatementsApart(t *testing.T) {
	l := &lawful{throughput: func(_, before int) float64 { return 1000 * float64(1+min(before, 5)) }} // 1000 to 6000
	p := planOf([]int{1, 2, 4, 8}, 5)
	p.Scenarios = []string{"s", "long", "listless"}
	p.Scopes = []rundoc.Scope{{Scenario: "long", MostPool: 2, Transactions: 6}, {Scenario: "listless", MostPool: 4}}
	r := run{Sweep: sweepOf(l), plan: &p, levels: p.Levels}
	for round := 1; round < 20; round++ {
		order := r.order(round)
		if len(order) != 4+2+3 || order[7].scenario != 1 || order[8].scenario != 1 {
			t.Fatalf("round %d: %+v", round, order)
		}
	}
	if err := r.rewarm(context.Background()); err != nil || l.runs != 2*5 { // 1000, 2000; 3000, 4000; 5000, 6000; 6000, 6000; 6000, 6000
		t.Errorf("%d stretches of warming up, %v", l.runs, err)
	}
	p.Scopes = p.Scopes[1:]
	if err := r.rewarm(context.Background()); err != nil || l.runs != 2*5 {
		t.Errorf("warming up where there are no lists: %d stretches, %v", l.runs, err)
	}
}

func TestLongLevels(t *testing.T) {
	for _, tc := range []struct {
		budget time.Duration
		most   int // number of pool sizes
	}{{3 * time.Minute, 7}, {10 * time.Minute, 7}, {time.Hour, 12}} {
		p, err := MakePlan(Request{Scenarios: []string{"a", "b"}, Free: 90, Budget: tc.budget, Seed: 1})
		if err != nil || len(p.Levels) != tc.most {
			t.Errorf("budget %s: pool sizes %v, %v, want %d of them", tc.budget, p.Levels, err, tc.most)
		}
	}
}
