package sweep

import (
	"testing"
	"time"
)

// TestScope: a scenario whose visits would not hold five statements of every connection keeps its part of a round, and spends
// it on smaller pools in longer visits.
func TestScope(t *testing.T) {
	levels := []int{1, 2, 4, 8, 16, 32, 64}
	for _, tc := range []struct {
		name   string
		x      float64
		most   int
		atMost time.Duration
	}{
		{"fast", 5000, 0, time.Second}, {"nine a second", 9, 4, 3 * time.Second}, {"a hundred a second", 100, 16, 3 * time.Second}, {"one in ten seconds", .1, 2, 5 * time.Second}, {"none", 0, 2, 5 * time.Second},
	} {
		most, length := scopeOf(levels, time.Second, 300*time.Millisecond, tc.x)
		if most != tc.most || length < time.Second || length > tc.atMost {
			t.Errorf("%s: up to %d in visits of %s, want up to %d and at most %s", tc.name, most, length, tc.most, tc.atMost)
		}
	}
}
