package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgfit/advisor"
	"pgfit/advisor/budget"
	"pgfit/workload/rundoc"
)

// noMemory is why memory rules stay silent.
const noMemory = "the memory of the server's machine is not known; name it with --ram"

// Limits of the shared_buffers rule.
const (
	smallContainer = 2 * gB // below it, 25 % was measured to cost point reads 5 to 10 %
	enoughHits     = 0.99   // of page requests: more buffers cannot win anything that shows
	enoughBackend  = 0.10   // of written pages, by backends themselves
)

// sharedBuffers: a quarter of the memory that the server may use (manual, shared_buffers: "a reasonable starting
// value"), of the cgroup's limit and not the host's, and not above what the user's data need; what pgfit loads into a scratch
// server is no bound and its hits are no evidence, since pgfit chose its size. On a server of the user's it stays where the
// run found at least 99 % of the page requests in shared_buffers already, and in a container of up to 2 GB under a reading load
// with more data than memory: there a quarter was measured to cost point reads 5 to 10 %, since every block is held
// twice. A present value above the rule stays too. The value is a rule until a trial confirms it, whatever the inputs.
func sharedBuffers(s *situation) verdict {
	present := size(s.next, "shared_buffers")
	if s.memory == 0 {
		return verdict{keep: noMemory}
	}
	target := nearest(s.memory / 4)
	why := fmt.Sprintf("a quarter of the %s that the server may use", roughly(s.memory))
	lift := "a trial of both values in interleaved pairs"
	if s.facts.Server.Scratch {
		why += "; pgfit chose the size of the data on its scratch server, so that it bounds nothing"
	}
	if need := up(s.users + s.users/4); s.users > 0 && need < target {
		lift += fmt.Sprintf("; more data, up to %s", roughly(target))
		target, why = need, fmt.Sprintf("all of the %s of data with a quarter to grow, less than a quarter of the %s that the server may use", roughly(s.users), roughly(s.memory))
	}
	switch {
	case target <= present && s.users > 0 && s.users < present:
		return verdict{keep: fmt.Sprintf("holds all of the %s of data already", roughly(s.users))}
	case target <= present:
		return verdict{keep: "not below " + why + "; only a trial could say that less is better"}
	case s.memory <= smallContainer && s.workload == "web" && s.data > s.memory:
		return verdict{keep: "in little memory with more data than fits, a larger value was measured to slow point reads by 5 to 10 %, since every page is held twice"}
	}
	if keep := s.hitsEnough(); keep != "" && !s.facts.Server.Scratch {
		return verdict{keep: keep}
	}
	v := verdict{value: s.bytes("shared_buffers", target), reason: why + "; a rule until a trial confirms it",
		inputs: append(s.memoryInputs(), s.hitInputs()...), source: "PostgreSQL manual, Resource Consumption, Memory",
		lift: lift}
	if s.memory <= smallContainer {
		v.confidence = "low"
	}
	return v
}

// hitsEnough is why more buffers cannot help, "" when they might: every scenario of the run found its pages.
func (s *situation) hitsEnough() string {
	worst := 2.0
	var at figures
	for _, f := range s.runs {
		h := f.hits()
		if h < 0 || f.backendWrites() > enoughBackend {
			return ""
		}
		if h < worst {
			worst, at = h, f
		}
	}
	if len(s.runs) == 0 || worst < enoughHits {
		return ""
	}
	return fmt.Sprintf("the run found %.2f %% of its pages in shared_buffers (%s); more cannot show", 100*worst, at.where())
}

// effectiveCacheSize tells the planner how much of the data is likely cached, by the server and the kernel together; it
// allocates nothing. Three quarters of the memory that the server may use, page cache being charged to the same cgroup
// limit (manual, effective_cache_size).
func effectiveCacheSize(s *situation) verdict {
	if s.memory == 0 {
		return verdict{keep: noMemory}
	}
	target := max(nearest(s.memory/4*3), size(s.next, "shared_buffers"))
	return verdict{
		value:  s.bytes("effective_cache_size", target),
		reason: "three quarters of the memory that the server may use: the planner is told what the caches can hold, nothing is allocated",
		inputs: s.memoryInputs(), source: "PostgreSQL manual, Planner Cost Constants", confidence: "high",
		lift: "other programs that fill the page cache",
	}
}

// workMem is raised only where the run saw sorts or hashes spill to disk (temporary files, EXPLAIN), to what the largest
// of them needs, and only as far as the worst case of all active connections with all memory nodes and
// hash_mem_multiplier keeps the memory budget (manual, work_mem). It is lowered by the budget alone. A statement of
// the user's own that spills would change its mind.
func workMem(s *situation) verdict {
	present := size(s.next, "work_mem")
	spill, inputs := s.spill()
	if spill.disk == 0 {
		if s.in.Doc == nil {
			return verdict{keep: "raised only where a run saw sorts or hashes spill to disk; there was no run"}
		}
		return verdict{keep: "no statement of the run spilled to disk"}
	}
	need := min(up(spill.workMem), rundoc.MostWorkMem)
	if need <= present {
		return verdict{keep: fmt.Sprintf("enough for the largest spill of the run, %s on disk; statements beyond it want a setting of their own", roughly(spill.disk))}
	}
	room, ok := budget.Room(s.next, s.facts, s.load)
	if !ok {
		return verdict{keep: noMemory}
	}
	if tried, decided := s.triedWorkMem(room); decided {
		return tried
	}
	target := min(need, down(max(room, 0)))
	if target <= present {
		return verdict{keep: fmt.Sprintf("the run spilled up to %s, but the memory budget has no room for more; set it for the role or statement that spills", roughly(spill.disk))}
	}
	v := verdict{value: s.bytes("work_mem", target), method: advisor.Measured, inputs: inputs, confidence: "low",
		reason: fmt.Sprintf("statements of the run spilled up to %s to disk; in memory that takes more than twice as much; whether they get faster was not timed", roughly(spill.disk)),
		source: "PostgreSQL manual, Resource Consumption, work_mem; spills measured in this run",
		lift:   "timing them with more work_mem, as a run with --scenario analytic does; setting it only for those that spill"}
	if target < need {
		v.reason += ", and the memory budget has room for no more than this"
	}
	return v
}

// triedWorkMem is the verdict of the statements that the run timed with more work_mem, as far as the budget has room for it.
// Where the page cache holds what spills, files can be faster: on 2 CPUs with 15.18 a sort of 2.9 million rows took 1.58 s of user
// time in runs of 4 MB and 2.08 s in one of 225 MB, as much of the system's in both. Runs that fit the CPU's caches are the likely
// reason.
func (s *situation) triedWorkMem(room int64) (verdict, bool) {
	all := slices.DeleteFunc(s.trials("work_mem"), func(t trial) bool { return t.timed == 0 })
	fit := slices.DeleteFunc(slices.Clone(all), func(t trial) bool {
		canonical, err := s.next["work_mem"].Parse(t.value)
		return err != nil || size(budget.Overlay(s.next, map[string]string{"work_mem": canonical}), "work_mem") > room
	})
	if len(fit) > 0 {
		return judged("work_mem", fit)
	}
	v, decided := judged("work_mem", all) // what does not gain from more than there is room for, does not from what there is room for
	if v.value != "" {
		has := "no room for more"
		if most := down(max(room, 0)); most > size(s.next, "work_mem") {
			has = "room for no more than " + s.bytes("work_mem", most) + ", which was not tried"
		}
		v = verdict{keep: fmt.Sprintf("the run tried %s: %.2f times as fast, but the memory budget has %s; set it for the role or statement that spills", v.value, all[0].ratio, has)}
	}
	return v, decided
}

// spilled is what sorts and hashes wrote to disk, in bytes: the largest, and the work_mem that would hold each.
type spilled struct{ disk, workMem int64 }

// spill is what the statements of the run wrote to disk, with the figures it rests on.
func (s *situation) spill() (spilled, []advisor.Input) {
	var all spilled
	var at string
	multiplier, _ := s.next.Float("hash_mem_multiplier")
	for _, p := range s.probes {
		if len(p.Set) > 0 {
			continue
		}
		if p.Spill() > all.disk {
			all.disk, at = p.Spill(), p.Statement
		}
		all.workMem = max(all.workMem, p.WorkMem(multiplier))
	}
	var inputs []advisor.Input
	if all.disk > 0 {
		inputs = append(inputs, input("largest spill", "%s (%s)", roughly(all.disk), firstWords(at)))
	}
	for _, f := range s.runs {
		if f.tempFiles <= 0 || f.tempBytes <= 0 {
			continue
		}
		inputs = append(inputs, input("temporary files", "%d with %s (%s)", f.tempFiles, roughly(f.tempBytes), f.where()))
		each := f.tempBytes / f.tempFiles
		all.disk, all.workMem = max(all.disk, each), max(all.workMem, rundoc.EnoughWorkMem(each, 1))
	}
	active, assumed := budget.Active(s.next, s.facts, s.load)
	if !assumed {
		inputs = append(inputs, input("active connections", "%d", active))
	}
	return all, inputs
}

// hashMemMultiplier: 2 since version 15, because hash tables that spill cost more than sorts that do (release notes of
// 15). On 13 and 14 the default is 1; it is doubled only where the run spilled.
func hashMemMultiplier(s *situation) verdict {
	m, _ := s.next.Float("hash_mem_multiplier")
	spill, inputs := s.spill()
	switch {
	case m >= 2:
		return verdict{keep: "at or above the default of 15 and later"}
	case spill.disk == 0:
		return verdict{keep: "no spill was measured"}
	}
	return verdict{value: "2", reason: "statements of the run spilled; hash tables may take twice work_mem by default since version 15",
		inputs: inputs, source: "PostgreSQL 15 release notes, hash_mem_multiplier", lift: "spills of sorts only"}
}

// hugePages: `try` uses huge pages when the kernel has them and is right nearly everywhere; see notes for the count. In a
// container whose huge page limit is 0 on a machine that has them, try maps the memory and dies with a bus error
// at the first touch (kubernetes#71233), so it is switched off there. off with 8 GB of buffers and more becomes try.
func hugePages(s *situation) verdict {
	value := s.next.Text("huge_pages")
	limit, known := s.facts.Host.HugeTLBLimit.Get()
	switch {
	case known && limit == 0 && value != "off":
		return verdict{value: "off", reason: "the container may use no huge pages: with try the server dies with a bus error on a machine that has some",
			inputs: []advisor.Input{input("huge page limit of the cgroup", "0")}, source: "kubernetes/kubernetes#71233", confidence: "high",
			lift: "a hugepages-2Mi limit for the container"}
	case known && limit == 0:
		return verdict{keep: "the container may use no huge pages"}
	case value == "off" && size(s.next, "shared_buffers") >= manyBuffers:
		return verdict{value: "try", reason: "with " + roughly(size(s.next, "shared_buffers")) + " of shared_buffers small pages cost memory and lookups in every backend; try falls back when the kernel has none",
			source: "PostgreSQL manual, Linux Huge Pages", lift: "a kernel without huge pages"}
	case value == "try":
		return verdict{keep: "uses huge pages where the kernel has them reserved"}
	}
	return verdict{keep: "no need to change it"}
}

// manyBuffers is where huge pages begin to matter.
const manyBuffers = 8 * gB

func (s *situation) memoryInputs() []advisor.Input {
	in := []advisor.Input{input("memory for the server", "%s", roughly(s.memory))}
	if src := s.memorySource(); src != "" {
		in[0].Value += " (" + src + ")"
	}
	if s.users > 0 {
		in = append(in, input("data", "%s", roughly(s.users)))
	}
	return in
}

// memorySource is what the memory for the server rests on: a file of the kernel or a flag, and where other programs use the
// machine too, what they leave.
func (s *situation) memorySource() string {
	source := s.facts.Host.Memory.Budget.Source
	if s.in.Dedicated {
		return source
	}
	free, held, measured, ok := budget.Left(s.facts)
	switch {
	case !ok:
		return strings.TrimPrefix(source+"; what other programs on the machine use is not known", "; ")
	case free+held > s.memory:
		return strings.TrimPrefix(source+"; other programs leave more than that", "; ")
	case !measured:
		return fmt.Sprintf("other programs leave %s, and the server's own %s of shared_buffers, taken as held", roughly(free), roughly(held))
	}
	return fmt.Sprintf("other programs leave %s, and the server holds %s", roughly(free), roughly(held))
}

func (s *situation) hitInputs() []advisor.Input {
	var in []advisor.Input
	for _, f := range s.runs {
		if h := f.hits(); h >= 0 {
			in = append(in, input("pages found in shared_buffers", "%.2f %% (%s)", 100*h, f.where()))
		}
	}
	return in
}

func (s *situation) poolInputs() []advisor.Input {
	in := []advisor.Input{input("recommended connections", "%d", s.in.Pool.Total)}
	if s.in.Pool.Processes > 0 {
		in = append(in, input("processes", "%s", strconv.Itoa(s.in.Pool.Processes)))
	}
	return in
}

// firstWords cuts a statement for a list of inputs.
func firstWords(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return text
}
