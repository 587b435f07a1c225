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
		want    Narrowed
		narrow  bool
	}{
		{"fast", 16, 9000, time.Second, Narrowed{}, false},
		{"ten a second", 16, 10, time.Second, Narrowed{2, 5 * time.Second}, true},
		{"one in two seconds", 16, 5, 10 * time.Second, Narrowed{2, 10 * time.Second}, true},
		{"fifty a second", 16, 50, time.Second, Narrowed{10, time.Second}, true},
		{"long, one by one", 1, 20, time.Second, Narrowed{1, 2500 * time.Millisecond}, true},
		{"none", 4, 0, 3 * time.Second, Narrowed{2, 10 * time.Second}, true},
	} {
		if got, ok := narrow(tc.pool, time.Second, tc.done, tc.elapsed); got != tc.want || ok != tc.narrow {
			t.Errorf("%s: %+v, %v; want %+v, %v", tc.name, got, ok, tc.want, tc.narrow)
		}
	}
}
