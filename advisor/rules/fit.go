package rules

import (
	"fmt"

	"pgfit/advisor"
	"pgfit/advisor/budget"
	"pgfit/probe/guc"
)

// shrink is one thing that can be taken back when a set of settings is over its memory budget: a setting and the
// size in bytes below which it does not go. A floor of 0 stands for the value that the pass began with: only what the pass
// proposed gives way.
type shrink struct {
	name  string
	floor int64
}

// shrinks are tried in this order: first maintenance memory beyond what any rule gives, since it starves the rest; then
// what is proposed on top of the present, maintenance before work before buffers; then, where the present itself is
// over, what is in force. 64 and 4 MB of maintenance and work memory and 128 MB of buffers are the defaults;
// 16 MB still hold 2.8 million dead rows, and 1 MB is where a sort can still be called one.
var shrinks = []shrink{
	{"autovacuum_work_mem", 256 * mB}, {"maintenance_work_mem", maxMaintenance},
	{"maintenance_work_mem", 0}, {"work_mem", 0}, {"shared_buffers", 0},
	{"autovacuum_work_mem", minVacuum}, {"maintenance_work_mem", minVacuum}, {"work_mem", 4 * mB},
	{"autovacuum_work_mem", 16 * mB}, {"maintenance_work_mem", 32 * mB}, {"shared_buffers", 128 * mB}, {"work_mem", mB},
}

// memorySettings are those that add to the worst case; they stand or fall together.
var memorySettings = []string{"shared_buffers", "work_mem", "hash_mem_multiplier", "maintenance_work_mem", "autovacuum_work_mem",
	"max_connections", "max_parallel_workers_per_gather", "max_parallel_workers", "max_worker_processes", "wal_buffers"}

// fit makes the settings keep the memory budget, by taking proposals back and then by lowering what is in force. Where
// even the least does not fit, no memory setting is proposed and a finding says what would help.
func (s *situation) fit(a *advice) []advisor.Finding {
	before := s.worst(s.next)
	if !before.Over {
		return nil
	}
	if present := s.worst(a.present); present.Over {
		before = present // what the rules would have added is not what a user has to hear of
	}
	for _, step := range shrinks {
		if s.shrink(step, before, a); !s.worst(s.next).Over {
			return nil
		}
	}
	least := s.worst(s.next)
	for _, name := range memorySettings {
		if set, ok := a.present[name]; ok {
			s.next[name] = set
			if _, changed := a.proposals[name]; changed {
				delete(a.proposals, name)
				a.kept[name] = advisor.Kept{Name: name, Value: show(set, set.Value), Reason: "no set of memory settings fits the machine; see the finding memory-budget"}
			}
		}
	}
	return []advisor.Finding{{Code: "memory-budget",
		Text: fmt.Sprintf("even the smallest settings can take %s at worst, and %s may be used: no memory setting is proposed", roughly(least.Total), roughly(least.Limit)),
		Lift: "fewer connections (a smaller pool, PgBouncer, a lower max_connections), fewer parallel workers, or more memory"}}
}

// shrink lowers one setting to the largest human size, not below the floor, with which the budget is kept; to the floor
// when none keeps it.
func (s *situation) shrink(step shrink, before advisor.Budget, a *advice) {
	set, ok := s.next[step.name]
	if !ok || s.untouchable(set, memory) != "" {
		return
	}
	now, floor := size(s.next, step.name), step.floor
	if floor == 0 {
		floor = size(s.present, step.name)
	}
	if step.name == "autovacuum_work_mem" && now == 0 { // follows maintenance_work_mem
		now = size(s.next, "maintenance_work_mem")
	}
	if now <= floor {
		return
	}
	value := s.largest(step.name, floor, now)
	canonical, err := set.Parse(s.bytes(step.name, value))
	if err != nil || canonical == set.Value {
		return
	}
	s.shrunk(set, canonical, before, a)
}

// shrunk records the lower value: on the proposal where there is one, else as a proposal of the budget's own.
func (s *situation) shrunk(set guc.Setting, canonical string, before advisor.Budget, a *advice) {
	p, proposed := a.proposals[set.Name]
	v := verdict{method: p.Method, reason: p.Reason, inputs: p.Inputs, source: p.Source, confidence: p.Confidence, lift: p.Lift}
	held := fmt.Sprintf("held down to the memory budget of %s", roughly(before.Limit))
	if !proposed || size(budget.Overlay(s.next, map[string]string{set.Name: canonical}), set.Name) < size(a.present, set.Name) {
		v = verdict{reason: fmt.Sprintf("the settings can take %s of memory at worst, and %s may be used", roughly(before.Total), roughly(before.Limit)),
			source: "the sum of the worst case", confidence: "high", lift: "fewer active connections, or more memory"}
	} else if canonical == a.present[set.Name].Value {
		v.reason = "the memory budget of " + roughly(before.Limit) + " has no room for more; without it: " + v.reason
	} else {
		v.reason += "; " + held
	}
	v.inputs = append(v.inputs[:len(v.inputs):len(v.inputs)], input("worst case before", "%s of %s", roughly(before.Total), roughly(before.Limit)))
	s.propose(set, canonical, memory, v, a)
}

// largest searches the human sizes from floor to now for the largest that keeps the budget. The sum grows with
// every setting, so that halving finds it.
func (s *situation) largest(name string, floor, now int64) int64 {
	trial, set := budget.Overlay(s.next, nil), s.next[name]
	over := func(b int64) bool {
		canonical, err := set.Parse(s.bytes(name, b))
		if err != nil {
			return true
		}
		put(trial, name, canonical)
		return s.worst(trial).Over
	}
	lo, hi := floor, now
	for hi-lo > 32*kB { // half of the finest step
		if mid := lo + (hi-lo)/2; over(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return max(down(lo), floor)
}
