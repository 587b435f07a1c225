package sweep

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// Three means of the length that the budget allows tell a load that is still getting faster from a steady one with 5 %
// noise between bins of 100 ms.
func TestSpread(t *testing.T) {
	rng := rand.New(rand.NewPCG(35, 36))
	for _, tc := range []struct {
		name    string
		planned time.Duration
		tau     float64 // seconds
		settled [2]int  // of 200, from and to
	}{
		{"steady, 30 s", 30 * time.Second, 0, [2]int{195, 200}},
		{"steady, 3 s", 3 * time.Second, 0, [2]int{195, 200}},
		{"steady, 1.5 s", 1500 * time.Millisecond, 0, [2]int{195, 200}},
		{"soon warm, 30 s", 30 * time.Second, 2, [2]int{195, 200}},
		{"slowly warm, 30 s", 30 * time.Second, 15, [2]int{0, 5}},
		{"warming, 15 s", 15 * time.Second, 8, [2]int{0, 0}},
		{"warming, 3 s", 3 * time.Second, 2, [2]int{0, 5}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n, step := 0, stepFor(tc.planned)
			for range 200 {
				all := bins(rng, int(math.Ceil(tc.planned.Seconds())), tc.tau)
				if _, steady := spread(all[:tc.planned/bin], step); steady {
					n++
				}
			}
			if n < tc.settled[0] || n > tc.settled[1] {
				t.Errorf("settled in %d of 200, want %d to %d, with means of %s", n, tc.settled[0], tc.settled[1], step)
			}
		})
	}
}

func TestSpreadOfFewOperations(t *testing.T) {
	steady := make([]uint32, 150) // two a second, as an analytic scenario has them
	for i := 0; i < len(steady); i += 5 {
		steady[i] = 1
	}
	slowing := append([]uint32{}, steady...)
	clear(slowing[100:])
	for _, tc := range []struct {
		name string
		bins []uint32
		step time.Duration
		want bool
	}{
		{"steady", steady, 5 * time.Second, true},
		{"it stopped", slowing, 5 * time.Second, false},
		{"too short", steady[:149], 5 * time.Second, false},
		{"no bins", nil, time.Second, false},
		{"no step", steady, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if share, got := spread(tc.bins, tc.step); got != tc.want || math.IsNaN(share) || math.IsInf(share, 0) {
				t.Errorf("spread = %g, %v, want %v", share, got, tc.want)
			}
		})
	}
}
