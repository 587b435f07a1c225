package trial

import (
	"testing"
	"time"
)

func TestRedoTime(t *testing.T) {
	const head = "2026-03-01 10:00:00.000 UTC [7] LOG:  database system was not properly shut down; automatic recovery in progress\n"
	for _, tc := range []struct {
		name, log string
		want      time.Duration
		ok        bool
	}{
		{"14 and later", head + "2026-03-01 10:00:00.010 UTC [7] LOG:  redo starts at 0/3000028\n2026-03-01 10:00:01.260 UTC [7] LOG:  redo done at 0/5000000 system usage: CPU: user: 0.02 s\n", 1250 * time.Millisecond, true},
		{"the last of two", "2026-03-01 09:00:00.010 UTC [3] LOG:  redo starts at 0/1\n2026-03-01 09:00:09.010 UTC [3] LOG:  redo done at 0/2\n" + head +
			"2026-03-01 10:00:00.010 UTC [7] LOG:  redo starts at 0/3\n2026-03-01 10:00:00.020 UTC [7] LOG:  redo done at 0/5\n", 10 * time.Millisecond, true},
		{"nothing to replay", head + "2026-03-01 10:00:00.010 UTC [7] LOG:  redo is not required\n", 0, false},
		{"another prefix", "[7] LOG:  redo starts at 0/3\n[7] LOG:  redo done at 0/5\n", 0, false},
		{"not done", "2026-03-01 10:00:00.010 UTC [7] LOG:  redo starts at 0/3\n", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok := redoTime(tc.log); got != tc.want && tc.ok || ok != tc.ok {
				t.Errorf("redoTime = %s, %v, want %s, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}
