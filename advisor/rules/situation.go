package rules

import (
	"math"
	"strconv"
	"time"

	"pgfit/advisor"
	"pgfit/advisor/budget"
	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/workload/rundoc"
)

// situation is what the rules see: the input, digested, and the settings as they would be with everything proposed
// so far.
type situation struct {
	in       Input
	facts    probe.Facts
	present  guc.Settings
	next     guc.Settings
	load     budget.Load
	memory   int64 // bytes the server may use; 0 unknown
	cpus     float64
	service  string
	workload string // web, oltp, dw, mixed
	named    bool   // the user named the workload
	runs     []figures
	probes   []rundoc.PlanProbe
	data     int64 // bytes of data that the server worked on in the run; 0 unknown
	users    int64 // bytes of the user's data; 0 unknown, as on a scratch server, whose data pgfit made
	recovery time.Duration
}

func survey(in Input, settings guc.Settings) *situation {
	s := &situation{in: in, facts: in.Facts, present: settings, next: budget.Overlay(settings, nil), recovery: in.RecoveryTime}
	if s.recovery <= 0 {
		s.recovery = DefaultRecoveryTime
	}
	s.cpus, _ = in.Facts.Host.CPU.Effective.Get()
	s.service, _ = in.Facts.Server.Service.Get()
	if in.Doc != nil {
		s.runs = digest(in.Doc.Visits, in.Pool.Total)
		s.probes = in.Doc.Analytic
	}
	s.workload, s.named = workloadOf(in)
	s.memory, _ = budget.Machine(in.Facts, !in.Dedicated)
	s.users = usersBytes(in.Facts)
	s.data = s.users
	if in.Doc != nil {
		s.data = max(s.data, in.Doc.Plan.DataBytes)
	}
	s.load = budget.Load{Active: activeConnections(in), Statements: s.statements(), WALRate: s.walRate().rate(),
		RecoveryLimit: s.recovery.Seconds(), Shared: !in.Dedicated}
	return s
}

// set makes the rules that follow see a new value.
func (s *situation) set(name, canonical string) { put(s.next, name, canonical) }

// put changes one value in place, as Overlay does in a copy.
func put(settings guc.Settings, name, canonical string) {
	set := settings[name]
	set.Value, set.Source = canonical, "configuration file"
	settings[name] = set
}

func (s *situation) major() int { return s.facts.Server.Major() }

func (s *situation) worst(settings guc.Settings) advisor.Budget {
	return budget.Worst(settings, s.facts, s.load)
}

// bytes is a size that is to be proposed for the setting, as postgresql.conf takes it, moved inside the server's range.
func (s *situation) bytes(name string, b int64) string {
	set := s.next[name]
	one := set
	one.Value = "1"
	unit, ok := guc.Settings{name: one}.Bytes(name)
	if !ok || unit <= 0 {
		return ""
	}
	n := float64(b / unit)
	if lo, err := strconv.ParseFloat(set.MinVal, 64); err == nil {
		n = max(n, lo)
	}
	if hi, err := strconv.ParseFloat(set.MaxVal, 64); err == nil {
		n = min(n, hi)
	}
	return guc.FormatBytes(int64(n) * unit)
}

// measuredWith are the settings under which the run was made: what counters say of a setting, they say of that value.
func (s *situation) measuredWith() guc.Settings {
	if s.in.Doc != nil && len(s.in.Doc.Facts.Server.Settings) > 0 {
		return s.in.Doc.Facts.Server.Settings
	}
	return s.facts.Server.Settings
}

// size in bytes; -1 and unknown are 0.
func size(settings guc.Settings, name string) int64 {
	b, _ := settings.Bytes(name)
	return max(0, b)
}

// activeConnections is how many connections work at once: all of the recommended pool at worst, else what was
// measured; 0 where neither is known.
func activeConnections(in Input) int {
	if in.Pool.Total > 0 {
		return in.Pool.Total
	}
	return int(math.Ceil(in.Pool.Active))
}

// usersBytes is the size of the server's own data. That of what pgfit loads into a scratch server says nothing about them:
// pgfit chose it.
func usersBytes(f probe.Facts) int64 {
	if f.Server.Scratch {
		return 0
	}
	all, ok := f.Server.ClusterBytes.Get()
	if !ok {
		all, _ = f.Server.DatabaseBytes.Get()
	}
	return all
}

// workloadOf is the kind of work: what the user says, else what the run's scenarios were, else mixed.
func workloadOf(in Input) (kind string, named bool) {
	switch in.Workload {
	case "web", "oltp", "dw", "mixed":
		return in.Workload, true
	}
	if in.Doc == nil {
		return "mixed", false
	}
	kinds := map[string]bool{}
	for _, name := range in.Doc.Plan.Scenarios {
		switch name {
		case "read-heavy", "read-only":
			kinds["web"] = true
		case "write-heavy", "tpcb":
			kinds["oltp"] = true
		case "analytic":
			kinds["dw"] = true
		default:
			kinds["mixed"] = true
		}
	}
	if len(kinds) == 1 {
		for kind := range kinds {
			return kind, false
		}
	}
	return "mixed", false
}
