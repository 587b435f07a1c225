package probe

import (
	"testing"
	"time"
)

// TestSameStart: the pid file has whole seconds of an earlier moment, so a start just before a full second differs in them.
func TestSameStart(t *testing.T) {
	file := time.Unix(1_700_000_000, 0)
	for _, tc := range []struct {
		after time.Duration
		want  bool
	}{
		{0, true}, {999 * time.Millisecond, true}, {1001 * time.Millisecond, true}, {20 * time.Second, true},
		{-time.Second, false}, {time.Hour, false},
	} {
		if got := sameStart(file.Add(tc.after), file); got != tc.want {
			t.Errorf("sameStart(%v later) = %v, want %v", tc.after, got, tc.want)
		}
	}
}
