package prune

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgfit/advisor"
	"pgfit/advisor/budget"
	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/workload/rundoc"
)

// byName are groups of settings by name or by a part of it, for a patch that says no families. The first that fits counts.
var byName = []struct {
	group string
	parts []string
}{
	{logging, []string{"log_", "track_", "shared_preload_libraries", "pg_stat_statements.", "auto_explain.", "cluster_name"}},
	{"connections", []string{"max_connections", "reserved_connections"}},
	{"autovacuum", []string{"autovacuum", "vacuum_cost"}},
	{"memory", []string{"shared_buffers", "work_mem", "hash_mem_multiplier", "effective_cache_size", "temp_buffers", "huge_page", "vacuum_buffer_usage"}},
	{writing, []string{"wal_", "checkpoint", "bgwriter", "commit_", "backend_flush", "fsync", "full_page", "synchronous_commit"}},
	{"parallel", []string{"parallel", "max_worker_processes"}},
	{"I/O", []string{"io_", "_io_", "prefetch"}},
	{"planner", []string{"_cost", "enable_", "jit", "statistics_target", "geqo", "collapse_limit", "plan_cache", "cursor_tuple", "constraint_exclusion"}},
}

// observing are the settings of the group logging, by name or by a part of it, that do something for every statement.
var observing = []string{"shared_preload_libraries", "session_preload_libraries", "track_", "pg_stat_statements.", "auto_explain.", "log_statement", "log_duration",
	"log_min_duration"}

func observes(name string) bool {
	return slices.ContainsFunc(observing, func(part string) bool { return strings.Contains(name, part) })
}

// GroupByName is the group of a setting; "other" when nothing is known of it.
func GroupByName(name string) string {
	for _, g := range byName {
		if slices.ContainsFunc(g.parts, func(part string) bool { return strings.Contains(name, part) }) {
			return g.group
		}
	}
	return "other"
}

// MarkNeeded fills in why settings of the patch stay whatever they do for speed: without them the worst case of memory, of the
// WAL's disk or of the recovery time would be over its limit, and with the whole patch it is not. values are canonical.
func MarkNeeded(patch []rundoc.PatchSetting, f probe.Facts, l budget.Load) {
	values := map[string]string{}
	for _, p := range patch {
		if v, err := f.Server.Settings[p.Name].Parse(p.Value); err == nil {
			values[p.Name] = v
		}
	}
	worst := func(leaveOut string) (memory, disk, recovery bool) {
		rest := map[string]string{}
		for n, v := range values {
			if n != leaveOut {
				rest[n] = v
			}
		}
		b := budget.Worst(budget.Overlay(f.Server.Settings, rest), f, l)
		return b.Over, b.DiskOver, b.RecoveryOver
	}
	memory, disk, recovery := worst("")
	for i := range patch {
		m, d, r := worst(patch[i].Name)
		switch {
		case m && !memory:
			patch[i].Needed = "keeps the worst case within the memory"
		case d && !disk:
			patch[i].Needed = "keeps the WAL on its disk"
		case r && !recovery:
			patch[i].Needed = "keeps the recovery time"
		}
	}
}

// safe are the settings that protect data, and their safe values. A patch that leaves those is not measured: two servers
// of unequal durability cannot be compared.
var safe = map[string][]string{
	"fsync": {"on"}, "full_page_writes": {"on"}, "autovacuum": {"on"}, "synchronous_commit": {"on", "remote_apply", "remote_write", "local"},
	"wal_level": {"replica", "logical"}, "archive_mode": {"on", "always"}, "zero_damaged_pages": {"off"}, "ignore_checksum_failure": {"off"}, "data_sync_retry": {"off"},
}

// Unsafe names what a patch lowers of the durability, as setting = value; nil when nothing. Without max_wal_senders there is
// neither a standby nor a backup.
func Unsafe(patch []rundoc.PatchSetting, settings guc.Settings) []string {
	var out []string
	for _, p := range patch {
		v, err := settings[p.Name].Parse(p.Value)
		lowers := safe[p.Name] != nil && !slices.Contains(safe[p.Name], v) || p.Name == "max_wal_senders" && v == "0"
		if lowers && err == nil && v != settings.Text(p.Name) {
			out = append(out, fmt.Sprintf("%s = %s", p.Name, p.Value))
		}
	}
	return out
}

// writesSome is the WAL a second above which a scenario counts as one that writes: below it lies what hint bits and
// catalogue updates make.
const writesSome = 64 << 10

// Scenarios are those that a comparison has to be made under; nil is all. What a group of settings about writing does is
// not looked for where nothing is written, nor what observing statements costs where each takes long. Analytic scenarios write
// nothing themselves: the WAL in their visits holds hint bits of what the others wrote, and their visits take long. Where there is
// nothing else, those serve that there are.
func Scenarios(v *rundoc.Verification, c rundoc.Comparison) []string {
	s := follow(v)
	if c.Step == rundoc.StepAgain {
		var names []string
		for _, g := range s.claims(rundoc.Rival{Name: c.Name}) {
			names = append(names, g.Scenario)
		}
		return names
	}
	group := c.Name
	if c.Step == rundoc.StepSetting {
		group = s.byName[c.Name].Group
	}
	whole := s.find(rundoc.StepPatch, "")
	if whole == nil || c.Step != rundoc.StepGroup && c.Step != rundoc.StepSetting || !slices.Contains([]string{writing, "autovacuum", logging}, group) {
		return nil
	}
	all := without(v.Scenarios, v.Analytic)
	some := slices.DeleteFunc(slices.Clone(all), func(sc string) bool {
		a, b := means(*whole, sc, func(v rundoc.TrialVisit) float64 { return float64(v.WALBytes) / v.Seconds })
		return group != logging && max(a, b) <= writesSome
	})
	switch {
	case len(some) > 0:
		return some
	case len(all) > 0:
		return all
	}
	return nil
}

// FromProposals makes the patch of an advice.
func FromProposals(proposals []advisor.Proposal) []rundoc.PatchSetting {
	var out []rundoc.PatchSetting
	for _, p := range proposals {
		out = append(out, rundoc.PatchSetting{Name: p.Name, Value: p.Proposed, Present: p.Current, Group: GroupOf(p.Family), Apply: p.Apply})
	}
	return out
}

// FromValues makes a patch of values as postgresql.conf takes them. It leaves out what is in force already, and refuses
// names that the server does not know and values that it would not take.
func FromValues(values map[string]string, settings guc.Settings) ([]rundoc.PatchSetting, error) {
	var out []rundoc.PatchSetting
	for _, name := range slices.Sorted(maps.Keys(values)) {
		set, ok := settings[name]
		if !ok {
			return nil, fmt.Errorf("the server has no setting %s", name)
		}
		value, err := set.Parse(values[name])
		if err != nil {
			return nil, err
		}
		if value == set.Value {
			continue
		}
		p := rundoc.PatchSetting{Name: name, Value: values[name], Present: set.Show(set.Value), Group: GroupByName(name), Apply: "reload"}
		if set.NeedsRestart() {
			p.Apply = "restart"
		}
		out = append(out, p)
	}
	return out, nil
}

// SessionOnly marks what SET on pgfit's own connections cannot bring about, for a server that may not be touched.
func SessionOnly(patch []rundoc.PatchSetting, settings guc.Settings) {
	for i, p := range patch {
		if set := settings[p.Name]; set.NeedsRestart() {
			patch[i].Unverified = "needs a restart, and this server is not pgfit's to restart"
		} else if set.Context != "user" {
			patch[i].Unverified = "is for the whole server (" + set.Context + "), and this server is not pgfit's to change"
		}
	}
}
