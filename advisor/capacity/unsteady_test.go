package capacity

import (
	"math"
	"testing"

	"pgfit/workload/rundoc"
)

// halting is a visit of a second at x transactions/s in which nothing ends for 30 ms.
func halting(x float64) rundoc.Visit {
	v := rundoc.Visit{PoolSize: 8, Seconds: 1, TPS: x, Fine: make([]uint32, 100), Bins: make([]uint32, 10)}
	for i := range v.Fine {
		if i < 40 || i >= 43 {
			v.Fine[i] = uint32(math.Round(x / 97))
		}
		v.Bins[i/10] += v.Fine[i]
	}
	return v
}

func traced(visits ...rundoc.Visit) Capacity {
	c := Capacity{Levels: []Level{{Pool: 8, TPS: visits[0].TPS}}, Chosen: 8}
	c.trace(map[int][]rundoc.Visit{8: visits})
	return c
}

// TestStandstill: at half the capacity those who come in a standstill of 30 ms and while it is made up for wait 0.87 ms in the
// mean of all (the area under the backlog over the arrivals: .03 s x .058 s / 2 in a second), which stretches of 100 ms do not
// show. With few transactions the stretches are longer, and so they are when a document has no fine ones.
func TestStandstill(t *testing.T) {
	fine := traced(halting(20000), halting(20000))
	if w := fine.Unsteady(10000, 8, 0).Mean; fine.replay.Step != .01 || math.Abs(w-.00087) > .0001 {
		t.Errorf("%.3g ms by steps of %g s, want 0.87", 1e3*w, fine.replay.Step)
	}
	old := halting(20000)
	old.Fine = nil
	for name, c := range map[string]Capacity{"no fine stretches": traced(halting(20000), old), "few transactions": traced(halting(970))} {
		if w := c.Unsteady(.5*c.Levels[0].TPS, 8, 0).Mean; c.replay.Step != .1 || w != 0 {
			t.Errorf("%s: %.3g ms by steps of %g s", name, 1e3*w, c.replay.Step)
		}
	}
	if c := traced(halting(4850)); c.replay.Step != .03 {
		t.Errorf("4850/s: steps of %g s, want 30 ms, which hold 145", c.replay.Step)
	}
}

// TestSince: a closed loop after the sweep that is a fifth slower makes the whole curve so, and what it shows is gone
// through, with the sweep where that lasted longer.
func TestSince(t *testing.T) {
	steady := halting(20000)
	for i := range steady.Fine {
		steady.Fine[i] = 200
	}
	c := traced(steady)
	c.tabulate()
	if same, by := c.Since(nil); by != 1 || math.Abs(same.Throughput(8)-20000) > 1e-6 || c.Unsteady(10000, 8, 0).Mean != 0 {
		t.Errorf("nothing came after, and it is %g times as fast", by)
	}
	now, by := c.Since([]rundoc.Visit{halting(16000)})
	if math.Abs(by-.8) > 1e-9 || math.Abs(now.Throughput(8)-16000) > 1e-6 || len(c.replay.Traces) != 1 || len(now.replay.Traces) != 1 || now.Unsteady(8000, 8, 0).Mean < .0003 {
		t.Errorf("%g times as fast, %g/s, %d traces, %v", by, now.Throughput(8), len(now.replay.Traces), now.Unsteady(8000, 8, 0))
	}
	c = traced(steady, steady)
	c.tabulate()
	if now, _ := c.Since([]rundoc.Visit{halting(20000)}); len(now.replay.Traces) != 3 {
		t.Errorf("%d traces of a sweep of two seconds and one after it", len(now.replay.Traces))
	}
}
