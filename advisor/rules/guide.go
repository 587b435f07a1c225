package rules

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"pgfit/advisor"
	"pgfit/probe/guc"
	"pgfit/profiles"
)

// guideRules are the numbers of the house guide as rules: they look at the machine's size, its disk and the kind of work,
// and at no measurement. What the guide sets and pgfit leaves to people comes back as kept.
func guideRules(in Input) ([]rule, []advisor.Kept) {
	g, err := profiles.Guide()
	if err != nil {
		panic(err) // embedded, and a test reads it
	}
	var out []rule
	add := func(set profiles.GuideSetting, family string, advise func(*situation) verdict) {
		out = append(out, rule{set.Name, family, advise})
	}
	for _, set := range g.Always {
		add(set, set.Family, always(set))
	}
	for _, set := range g.Memory[0].Settings {
		add(set, memory, guideMemory(g, set.Name))
	}
	for _, name := range []string{"random_page_cost", "effective_io_concurrency"} {
		add(profiles.GuideSetting{Name: name}, planner, guideStorage(g, name))
	}
	for _, set := range g.Load[0].Settings {
		add(set, checkpoint, guideLoad(g, set.Name))
	}
	out = append(out, rule{"max_parallel_workers_per_gather", parallel, guideGather(g)},
		rule{"max_worker_processes", parallel, fixed(strconv.Itoa(g.Parallel.WorkerProcesses), "the guide's value", g.Parallel.Source)})
	var kept []advisor.Kept
	for _, l := range g.LeftOut {
		if set, ok := in.Facts.Server.Settings[l.Name]; ok {
			kept = append(kept, advisor.Kept{Name: l.Name, Value: show(set, set.Value), Reason: l.Reason})
		}
	}
	return out, kept
}

func fixed(value, reason, source string) func(*situation) verdict {
	return func(*situation) verdict {
		return verdict{value: value, method: advisor.Guide, reason: reason, source: source, confidence: "medium", lift: "a measurement of this server"}
	}
}

// always is a value for every server, with its conditions.
func always(g profiles.GuideSetting) func(*situation) verdict {
	return func(s *situation) verdict {
		set := s.next[g.Name]
		switch {
		case slices.Contains(g.Unless, set.Value):
			return verdict{keep: "the present value is no less than the guide's " + g.Value}
		case g.Needs != "" && !s.next.On(g.Needs):
			return verdict{keep: "without effect while " + g.Needs + " is off"}
		case g.Module != "":
			return preload(s, g)
		case g.Name == "max_connections" && s.connectionsNeeded(g.Value):
			return maxConnections(s)
		case g.Name == "log_connections" && set.Value == "all":
			return verdict{keep: "logs more than the guide's " + g.Value}
		}
		return fixed(g.Value, "the guide's value for every server", g.Source)(s)
	}
}

// connectionsNeeded tells whether the pools, or the clients that are there now, need more than the guide allows.
func (s *situation) connectionsNeeded(most string) bool {
	limit, _ := strconv.Atoi(most)
	return max(s.in.Pool.Total, s.facts.Server.InUse)+int(s.reserved())+tools > limit
}

func preload(s *situation, g profiles.GuideSetting) verdict {
	v := statementStatistics(s)
	if v.value != "" {
		v.method, v.source = advisor.Guide, g.Source
	}
	return v
}

// guideMemory scales the table whose memory is nearest in ratio. A machine within a tenth of a table's size takes its
// numbers as they are: 16 GB of modules show as 15.6.
func guideMemory(g profiles.GuideProfile, name string) func(*situation) verdict {
	return func(s *situation) verdict {
		if s.memory == 0 {
			return verdict{keep: noMemory}
		}
		table, ratio := nearestTable(g, s.memory)
		for _, set := range table.Settings {
			if set.Name != name {
				continue
			}
			if math.Abs(ratio-1) <= 0.1 {
				return fixed(set.Value, "the guide's table for "+table.Name, set.Source)(s)
			}
			b, err := guc.ParseBytes(set.Value)
			if err != nil {
				return verdict{}
			}
			v := fixed(s.bytes(name, nearest(int64(float64(b)*ratio))), fmt.Sprintf("the guide's table for %s, scaled by %.2f to the %s here", table.Name, ratio, roughly(s.memory)), set.Source)(s)
			v.inputs = []advisor.Input{input("table", "%s: %s", table.Name, set.Value), input("memory for the server", "%s", roughly(s.memory))}
			return v
		}
		return verdict{}
	}
}

func nearestTable(g profiles.GuideProfile, memory int64) (profiles.GuideMemory, float64) {
	var best profiles.GuideMemory
	ratio, distance := 1.0, math.Inf(1)
	for _, t := range g.Memory {
		ram, err := guc.ParseBytes(t.RAM)
		if err != nil || ram == 0 {
			continue
		}
		r := float64(memory) / float64(ram)
		if d := math.Abs(math.Log(r)); d < distance {
			best, ratio, distance = t, r, d
		}
	}
	return best, ratio
}

func guideStorage(g profiles.GuideProfile, name string) func(*situation) verdict {
	return func(s *situation) verdict {
		class := s.facts.DataStorage().Class
		for _, t := range g.Storage {
			if !slices.Contains(t.Classes, string(class)) {
				continue
			}
			for _, set := range t.Settings {
				if set.Name == name {
					return fixed(set.Value, "the guide's value for "+t.Name, set.Source)(s)
				}
			}
			return verdict{keep: "the guide has no value for " + t.Name}
		}
		return verdict{keep: "the class of the storage is not known; name it with --disk"}
	}
}

func guideLoad(g profiles.GuideProfile, name string) func(*situation) verdict {
	return func(s *situation) verdict {
		for _, t := range g.Load {
			for _, set := range t.Settings {
				if slices.Contains(t.Workloads, s.workload) && set.Name == name {
					return fixed(set.Value, "the guide's value for "+t.Name+" workloads", set.Source)(s)
				}
			}
		}
		return verdict{}
	}
}

// guideGather: 4, and never more than CPU cores - 1.
func guideGather(g profiles.GuideProfile) func(*situation) verdict {
	return func(s *situation) verdict {
		n := g.Parallel.WorkersPerGather
		if s.cpus > 0 {
			n = min(n, max(0, int(s.cpus)-1))
		}
		return fixed(strconv.Itoa(n), fmt.Sprintf("the guide's %d, and at most CPU cores - 1", g.Parallel.WorkersPerGather), g.Parallel.Source)(s)
	}
}
