package plan

import (
	"fmt"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
	"pgfit/advisor/queue"
)

const (
	almostFull = 0.90 // R9: of the capacity
	fewWait    = 0.01 // the share of callers that may have to wait
)

// FewWait tells whether pools of per connections in each of a number of processes make 1 % of the callers wait at most, at a rate
// in 1/s, as long as the server is steady: no pool size mends what comes of standstills.
func FewWait(c capacity.Capacity, rate float64, processes, per int) bool {
	w, err := queue.Split(processes, per, rate, c.Throughput, c.CV2)
	return err == nil && w.P <= fewWait
}

// Overload is R9 where a rate in 1/s is more than nine tenths of what the server surely carries.
func Overload(c capacity.Capacity, rate float64) []advisor.Finding {
	low := c.Carries()
	if rate <= almostFull*low {
		return nil
	}
	return []advisor.Finding{{
		Code: "R9", Scenario: c.Scenario, Lift: "a faster server, cheaper queries, or less load",
		Text: fmt.Sprintf("the demand of %.0f/s is more than 90 %% of what the server carries (%.0f/s at least): no pool size mends this", rate, low),
	}}
}

// Beyond says where so many connections in all lie beyond what was measured of a scenario.
func Beyond(c capacity.Capacity, connections int) []advisor.Finding {
	top := c.Levels[len(c.Levels)-1].Pool
	if connections <= top {
		return nil
	}
	return []advisor.Finding{{
		Code: "range", Scenario: c.Scenario, Lift: "measure pool sizes up to that number (--pool-sizes, or a longer --budget)",
		Text: fmt.Sprintf("%d connections in all lie beyond the largest measured pool size, %d: throughput is taken to stay what it is there, and may well fall", connections, top),
	}}
}

// TooFew is R13 where processes cannot have a connection each.
func TooFew(connections, processes int) []advisor.Finding {
	if connections >= processes {
		return nil
	}
	return []advisor.Finding{{
		Code: "R13", Text: fmt.Sprintf("%d connections for %d processes are fewer than one each", connections, processes),
		Lift: "put PgBouncer in between, or run fewer processes",
	}}
}
