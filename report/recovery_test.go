package report

import (
	"strings"
	"testing"

	"pgfit/advisor"
	"pgfit/advisor/prune"
	"pgfit/workload/rundoc"
)

// The recovery time says which of its figures is assumed and which was measured.
func TestRecoveryIsTold(t *testing.T) {
	b := advisor.Budget{Total: 1, Recovery: 246, RecoveryLimit: 300, Replay: 50 << 20}
	for _, tc := range []struct {
		name string
		r    *prune.Result
		want string
	}{
		{"assumed", nil, "- recovery after a crash: about 4.1 min of 5 min asked for\n  assumed: replay at 50MB/s\n"},
		{"measured too", &prune.Result{Recovery: &rundoc.RecoveryCheck{Estimate: 55.7}}, "assumed: replay at 50MB/s; the verification measured 55.7 s at worst"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			p := &page{w: &out}
			if p.budget(b, tc.r); p.err != nil || !strings.Contains(out.String(), tc.want) {
				t.Errorf("%s, %v; want %q", out.String(), p.err, tc.want)
			}
		})
	}
}
