package trial

import (
	"testing"
	"time"
)

// TestNarrow: a visit holds five transactions of each connection and fifty in all, with fewer connections where it has to.
func TestNarrow(t *testing.T) {
	for _, tc := range []struct {
		name    string
		pool    int
		done    int64
		elapsed time.Duration
		fewer   int
		longer  time.Duration
		narrow  bool
	}{
		{"fast", 16, 9000, time.Second, 16, time.Second, false},
		{"ten a second", 16, 10, time.Second, 2, 5 * time.Second, true},
		{"one in two seconds", 16, 5, 10 * time.Second, 2, 10 * time.Second, true},
		{"fifty a second", 16, 50, time.Second, 10, time.Second, true},
		{"long, one by one", 1, 20, time.Second, 1, 2500 * time.Millisecond, true},
		{"none", 4, 0, 3 * time.Second, 2, 10 * time.Second, true},
	} {
		if fewer, longer, ok := narrow(tc.pool, time.Second, tc.done, tc.elapsed); fewer != tc.fewer || longer != tc.longer || ok != tc.narrow {
			t.Errorf("%s: %d connections for %s, %v; want %d for %s, %v", tc.name, fewer, longer, ok, tc.fewer, tc.longer, tc.narrow)
		}
	}
}
