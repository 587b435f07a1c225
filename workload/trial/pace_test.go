package trial

import (
	"testing"
	"time"

	"pgfit/workload/rundoc"
)

// TestPace: a comparison takes as long as the longest before it, without the visits to scenarios that it goes without; shorter
// ones, and such as failed early, change nothing.
func TestPace(t *testing.T) {
	var p Pace
	if p.Known() || p.Expect(nil) != 0 {
		t.Errorf("nothing was measured: %+v", p)
	}
	p.Add(100*time.Second, []rundoc.TrialVisit{{Scenario: "reads", Seconds: 9, CheckpointSeconds: 1}, {Scenario: "reports", Seconds: 25}, {Scenario: "reports", Seconds: 35}})
	p.Add(30*time.Second, []rundoc.TrialVisit{{Scenario: "reads", Seconds: 9}})
	for _, tc := range []struct {
		scenarios []string
		want      time.Duration
	}{
		{nil, 100 * time.Second}, {[]string{"reads", "reports"}, 100 * time.Second}, {[]string{"reads"}, 40 * time.Second}, {[]string{"reports"}, 90 * time.Second},
	} {
		if got := p.Expect(tc.scenarios); got != tc.want || !p.Known() {
			t.Errorf("Expect(%v) = %s, want %s", tc.scenarios, got, tc.want)
		}
	}
}
