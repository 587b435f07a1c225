package advise

import (
	"strings"
	"testing"

	"pgfit/advisor"
	"pgfit/workload/rundoc"
)

// The guide's own pools, from its traffic table and its examples for kinds of work.
func TestGuidePool(t *testing.T) {
	for _, tc := range []struct {
		name     string
		demand   rundoc.Demand
		workload string
		want     [4]int // pool_size, max_overflow, pool_timeout, pool_recycle
	}{
		{"low traffic", rundoc.Demand{RPS: 9}, "web", [4]int{5, 5, 30, 1800}},
		{"medium traffic", rundoc.Demand{RPS: 10}, "oltp", [4]int{10, 10, 30, 1800}},
		{"high traffic", rundoc.Demand{RPS: 50}, "", [4]int{20, 10, 30, 1800}},
		{"high traffic, its upper end", rundoc.Demand{MaxConcurrent: 40, RequestDuration: 0.2}, "", [4]int{20, 10, 30, 1800}},
		{"very high traffic", rundoc.Demand{RPS: 201}, "", [4]int{30, 20, 60, 1800}},
		{"reading", rundoc.Demand{}, "web", [4]int{30, 5, 30, 3600}},
		{"writing", rundoc.Demand{}, "oltp", [4]int{15, 15, 60, 1800}},
		{"anything", rundoc.Demand{}, "auto", [4]int{20, 10, 30, 1800}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			measured := advisor.PoolAdvice{Total: 16, Processes: 1, PoolSize: 16, MaxConnections: 24, PgBouncer: &advisor.PgBouncer{}}
			p, err := guidePool(measured, tc.demand, tc.workload)
			if err != nil {
				t.Fatal(err)
			}
			if got := [4]int{p.PoolSize, p.MaxOverflow, p.PoolTimeout, p.PoolRecycle}; got != tc.want {
				t.Errorf("guidePool = %v, want %v", got, tc.want)
			}
			if p.Total != p.PoolSize+p.MaxOverflow || p.MaxConnections != p.Total+8 || p.PgBouncer != nil || p.Method != advisor.Guide || !strings.Contains(strings.Join(p.Reasons, " "), "measured: pool_size 16") {
				t.Errorf("guidePool = %+v", p)
			}
		})
	}
}
