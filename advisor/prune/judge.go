package prune

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"pgfit/advisor"
	"pgfit/advisor/verdict"
	"pgfit/workload/rundoc"
)

// Result is what a verification comes to. It is part of advice.json.
type Result struct {
	Mode      string                `json:"mode"`
	Against   string                `json:"against,omitempty"` // names of what the patch was compared with, "" for the present settings
	Rivals    []Rivalry             `json:"rivals,omitempty"`
	PoolSize  int                   `json:"pool_size"`
	Narrowed  []rundoc.Scope        `json:"narrowed,omitempty"` // scenarios measured with fewer connections, in longer visits
	Noise     []Noise               `json:"noise"`
	Patch     []Gain                `json:"patch"`             // all of it against the present settings
	Pruned    []Gain                `json:"pruned,omitempty"`  // what is left of it against the present settings
	Reload    []Gain                `json:"reload,omitempty"`  // what needs no restart against the present settings
	Restart   []Gain                `json:"restart,omitempty"` // what the restart adds to that
	Items     []Item                `json:"items"`             // groups, and single settings of those that matter
	Kept      []string              `json:"kept"`
	Dropped   []string              `json:"dropped"`
	Recovery  *rundoc.RecoveryCheck `json:"recovery,omitempty"`
	Partial   string                `json:"partial,omitempty"`
	Notes     []string              `json:"notes,omitempty"`
	Failed    string                `json:"failed,omitempty"`     // why the patch could not be measured at all
	Restored  bool                  `json:"restored,omitempty"`   // pruning had lost a gain of the whole
	Rejected  bool                  `json:"rejected,omitempty"`   // worse, and what makes it so was not found
	Unchecked []string              `json:"unverified,omitempty"` // settings that could not be measured, with the reason
}

// Noise is the spread between visits under equal settings, and what the planned pairs will show.
type Noise struct {
	Scenario   string  `json:"scenario"`
	PairSD     float64 `json:"pair_sd"`    // of ln(B/A)
	Detectable float64 `json:"detectable"` // smallest change seen four times in five, 0.04 for 4 %
}

// Rivalry is the patch against the answer of another tool: before is that tool's, after the patch's.
type Rivalry struct {
	Name        string   `json:"name"`
	Gains       []Gain   `json:"gains,omitempty"`
	Again       []Gain   `json:"again,omitempty"`        // where those saw a difference: measured once more, which decides
	LeftOut     []string `json:"left_out,omitempty"`     // of its settings, with the reason
	NotCompared []string `json:"not_compared,omitempty"` // of the patch: what is there to be able to see
	Why         string   `json:"why,omitempty"`          // there are no gains
}

// Gain is one scenario before and after.
type Gain struct {
	Scenario  string         `json:"scenario"`
	Verified  advisor.Effect `json:"verified"` // throughput
	Verdict   string         `json:"verdict"`
	Kind      verdict.Kind   `json:"kind"`
	Uncharged verdict.Kind   `json:"kind_without_checkpoint"` // by the visits without the checkpoint after each
	Depends   string         `json:"depends,omitempty"`       // what that changes
	P         float64        `json:"p"`                       // exact sign-flip test; -1 with more than 12 pairs
	P99       advisor.Effect `json:"p99"`
	P99Kind   verdict.Kind   `json:"p99_kind"` // worse when it rose
	BeforeTPS float64        `json:"before_tps"`
	AfterTPS  float64        `json:"after_tps"`
	BeforeP99 float64        `json:"before_p99_seconds"`
	AfterP99  float64        `json:"after_p99_seconds"`
	BeforeCPU float64        `json:"before_cpu_seconds_per_transaction"` // of the server; 0 unknown
	AfterCPU  float64        `json:"after_cpu_seconds_per_transaction"`
	BeforeWAL float64        `json:"before_wal_bytes_per_transaction"`
	AfterWAL  float64        `json:"after_wal_bytes_per_transaction"`
}

// Item is a group or a single setting and what it does.
type Item struct {
	Name      string       `json:"name"`
	Settings  []string     `json:"settings"`
	Single    bool         `json:"single,omitempty"`
	Outcome   Outcome      `json:"outcome"`
	Kept      bool         `json:"kept"`
	Why       string       `json:"why,omitempty"`
	Depends   string       `json:"depends,omitempty"`   // what changes without the checkpoint after each visit
	Scenarios []ItemEffect `json:"scenarios,omitempty"` // ratio with it over without it
}

// ItemEffect is what an item does for one scenario.
type ItemEffect struct {
	Scenario string         `json:"scenario"`
	Verified advisor.Effect `json:"verified"`
	Verdict  string         `json:"verdict"`
	Kind     verdict.Kind   `json:"kind"`
	P99      advisor.Effect `json:"p99"`
	P99Kind  verdict.Kind   `json:"p99_kind"` // worse when it is longer with it
}

// Judge reads a verification.
func Judge(v *rundoc.Verification) *Result {
	s := follow(v)
	r := &Result{Mode: v.Mode, PoolSize: v.PoolSize, Narrowed: v.Narrowed, Noise: Noises(v), Items: []Item{}, Kept: []string{}, Dropped: []string{}, Recovery: v.Recovery,
		Partial: v.Partial, Notes: v.Notes}
	if len(s.rivals) > 0 { // nothing is taken back
		r.Rivals, r.Kept = s.against(), s.left
		var names []string
		for _, one := range r.Rivals {
			names = append(names, one.Name)
		}
		r.Against = strings.Join(names, ", ")
		return r
	}
	r.Patch, r.Pruned = s.gains(rundoc.StepPatch), s.gains(rundoc.StepPruned)
	r.Reload, r.Restart = s.gains(rundoc.StepReload), s.gains(rundoc.StepRestart)
	if c := s.find(rundoc.StepPatch, ""); c != nil {
		r.Failed = c.Failed
	}
	final := s.final()
	r.Restored, r.Rejected = len(final) > len(s.settled()), s.rejected()
	for _, p := range v.Patch {
		switch {
		case p.Unverified != "":
			r.Unchecked = append(r.Unchecked, p.Name+": "+p.Unverified)
			r.Kept = append(r.Kept, p.Name)
		case slices.Contains(final, p.Name):
			r.Kept = append(r.Kept, p.Name)
		default:
			r.Dropped = append(r.Dropped, p.Name)
		}
	}
	for _, g := range s.allGroups() {
		r.Items = append(r.Items, s.items(g, final)...)
	}
	return r
}

// against are the comparisons with the rivals.
func (s *state) against() []Rivalry {
	var out []Rivalry
	for _, r := range s.rivals {
		one := Rivalry{Name: r.Name, LeftOut: r.LeftOut, NotCompared: s.notCompared(r)}
		switch c := s.rival(r); {
		case c == nil:
			one.Why = s.ended()
		case c.Failed != "":
			one.Why = c.Failed
		default:
			one.Gains = s.gainsOf(c)
		}
		if c := s.find(rundoc.StepAgain, r.Name); c != nil && c.Failed == "" {
			one.Again = slices.DeleteFunc(s.gainsOf(c), func(g Gain) bool { return g.Kind == verdict.TooFew })
		}
		out = append(out, one)
	}
	return out
}

// ended is why something was not reached.
func (s *state) ended() string {
	if s.v.Partial != "" {
		return "the verification ended before it (" + s.v.Partial + ")"
	}
	return "no time was left"
}

// settled is what is left, without what a harmful group still has when there was no time to tell its culprit.
func (s *state) settled() []string {
	return slices.DeleteFunc(slices.Clone(s.left), s.harmful)
}

// final is what the patch comes to: what is left, or, where a gain of the whole patch is gone without what was dropped for
// showing no difference, that again. Of a rejected patch there remains what was never there for speed.
func (s *state) final() []string {
	settled := s.settled()
	if s.rejected() {
		return slices.DeleteFunc(settled, func(n string) bool { return unmeasured[s.byName[n].Group] == "" && s.byName[n].Needed == "" })
	}
	if !s.lost(settled) {
		return settled
	}
	return slices.DeleteFunc(s.measurable(), s.harmful)
}

// rejected tells whether what is left of the patch is worse under some scenario and better under none. Where what observes is
// seen to cost, that is what makes it worse.
func (s *state) rejected() bool {
	gains := s.gains(rundoc.StepPruned)
	if gains == nil {
		gains = s.gains(rundoc.StepPatch)
		if len(s.settled()) < len(s.measurable()) { // that is not what is left
			return false
		}
	}
	explained := map[string]bool{}
	if c := s.find(rundoc.StepGroup, logging); c != nil && c.Failed == "" {
		for sc, r := range together(s.v.Scenarios, *c, throughput) {
			explained[sc] = r.Kind() == verdict.Better // without it
		}
	}
	worse := slices.ContainsFunc(gains, func(g Gain) bool {
		return g.Kind == verdict.Worse && g.Uncharged == verdict.Worse && !explained[g.Scenario]
	})
	return worse && !slices.ContainsFunc(gains, func(g Gain) bool { return g.Kind == verdict.Better || g.Uncharged == verdict.Better })
}

// lost tells whether pruning lost a gain of the whole patch: pieces that each make too little difference to be seen can
// make one together.
func (s *state) lost(settled []string) bool {
	whole, pruned := s.gains(rundoc.StepPatch), s.gains(rundoc.StepPruned)
	for i, w := range whole {
		switch {
		case w.Kind != verdict.Better:
		case len(settled) == 0 && slices.ContainsFunc(s.measurable(), func(n string) bool { return !s.harmful(n) }):
			return true
		case pruned != nil && pruned[i].Kind == verdict.Same && pruned[i].Verified.High < w.Verified.Ratio:
			return true
		case pruned != nil && pruned[i].Kind == verdict.Worse:
			return true
		}
	}
	return false
}

// harmful tells whether a setting is dropped for harm, by itself or with the whole of its group.
func (s *state) harmful(name string) bool {
	if o := s.oneOutcome[name]; o != "" {
		return o == Harms
	}
	g := s.byName[name].Group
	return s.groupOutcome[g] == Harms && slices.Contains(s.tried[g], name)
}

// Noises are the spreads that the noise comparison shows.
func Noises(v *rundoc.Verification) []Noise {
	out := []Noise{}
	c := follow(v).find(rundoc.StepNoise, "")
	if c == nil {
		return out
	}
	for _, sc := range v.Scenarios {
		if d := differences(*c, sc, throughput); len(d) > 0 {
			sd := verdict.NullSD(d)
			cautious := verdict.Cautious(sd, len(d))
			out = append(out, Noise{Scenario: sc, PairSD: sd, Detectable: verdict.Detectable(cautious, max(v.Pairs, verdict.MinPairs))})
		}
	}
	return out
}

func (s *state) gains(step string) []Gain {
	if c := s.find(step, ""); c != nil && c.Failed == "" {
		return s.gainsOf(c)
	}
	return nil
}

func (s *state) gainsOf(c *rundoc.Comparison) []Gain {
	var out []Gain
	for _, sc := range s.v.Scenarios {
		tps, bare, p99 := Ratios(*c, sc, throughput), Ratios(*c, sc, uncharged), Ratios(*c, sc, tail)
		g := Gain{Scenario: sc, Verified: effect(tps), Verdict: tps.Words(), Kind: tps.Kind(), Uncharged: bare.Kind(), Depends: depends(sc, tps, bare), P: tps.P, P99: effect(p99), P99Kind: p99.Inverse().Kind()}
		g.BeforeTPS, g.AfterTPS = means(*c, sc, throughput)
		g.BeforeP99, g.AfterP99 = means(*c, sc, tail)
		g.BeforeCPU, g.AfterCPU = means(*c, sc, cpuEach)
		g.BeforeWAL, g.AfterWAL = means(*c, sc, walEach)
		out = append(out, g)
	}
	return out
}

// effect leaves out an interval that JSON cannot carry: with one pair or none there is no upper bound.
func effect(c verdict.Comparison) advisor.Effect {
	e := c.Effect()
	if math.IsInf(e.High, 0) || math.IsNaN(e.High) {
		e.High = 0
	}
	if math.IsInf(e.Low, 0) || math.IsNaN(e.Low) {
		e.Low = 0
	}
	return e
}

// allGroups are the groups of the patch: those that are measured in their order, then the others.
func (s *state) allGroups() []string {
	var out, others []string
	for _, g := range groups {
		if slices.ContainsFunc(s.v.Patch, func(p rundoc.PatchSetting) bool { return p.Group == g }) {
			out = append(out, g)
		}
	}
	for _, p := range s.v.Patch {
		if !slices.Contains(out, p.Group) && !slices.Contains(others, p.Group) {
			others = append(others, p.Group)
		}
	}
	return append(out, others...)
}

// items are a group and its settings that were taken back by themselves.
func (s *state) items(g string, final []string) []Item {
	var names, needed []string
	for _, p := range s.v.Patch {
		if p.Group == g && p.Unverified == "" {
			names = append(names, p.Name)
			if p.Needed != "" {
				needed = append(needed, p.Name+" "+p.Needed)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	it := Item{Name: g, Settings: names, Outcome: NotMeasured, Kept: slices.ContainsFunc(names, func(n string) bool { return slices.Contains(final, n) })}
	c := s.find(rundoc.StepGroup, g)
	switch {
	case c != nil:
		it.Settings, it.Outcome, it.Scenarios = c.Removed, s.groupOutcome[g], s.effects(*c)
		it.Kept = slices.ContainsFunc(c.Removed, func(n string) bool { return slices.Contains(final, n) })
	case unmeasured[g] != "":
		it.Why = unmeasured[g]
		if g == logging && len(s.removable(g)) > 0 && !s.failed(rundoc.StepPatch) {
			it.Why += "; what it costs is inside the figures of the whole patch, and was not measured apart: " + s.ended()
		}
	case len(needed) == len(names):
		it.Outcome, it.Why = Needed, strings.Join(needed, "; ")
	case s.failed(rundoc.StepPatch):
		it.Why = "the patch could not be measured"
	default:
		it.Why = s.ended()
	}
	if c != nil && g == logging {
		it.Why = "stays: " + unmeasured[g]
	}
	if c != nil && len(needed) > 0 {
		it.Why = "kept without measurement: " + strings.Join(needed, "; ")
	}
	if c != nil && (it.Outcome == NoDifference || it.Outcome == NotMeasured || it.Outcome == Unclear) && g != logging {
		if stay, why := s.blind(*c); len(stay) > 0 {
			it.Why = "kept without evidence: " + why
			if len(stay) < len(c.Removed) {
				it.Why = "kept without evidence: " + strings.Join(stay, ", ") + ": " + why
			}
		}
	}
	if c != nil {
		it.Why, it.Depends = join(it.Why, overstated(c.Removed)), s.depends(*c)
	}
	if c != nil && c.Failed != "" {
		it.Why = c.Failed
	}
	out := []Item{it}
	for _, n := range it.Settings {
		if one := s.find(rundoc.StepSetting, n); one != nil {
			single := Item{Name: n, Settings: []string{n}, Single: true, Outcome: s.oneOutcome[n], Kept: slices.Contains(final, n), Why: one.Failed, Scenarios: s.effects(*one)}
			if single.Outcome == Unclear {
				_, why := s.blind(*one)
				single.Why = "kept without evidence: " + why
			}
			if one.Failed == "" {
				single.Why, single.Depends = join(single.Why, overstated(one.Removed)), s.depends(*one)
			}
			out = append(out, single)
		}
	}
	return out
}

// depends says of a piece under which scenarios the verdict on it would be another one without the checkpoint after each visit.
func (s *state) depends(c rundoc.Comparison) (said string) {
	charged, bare := together(s.v.Scenarios, c, throughput), together(s.v.Scenarios, c, uncharged)
	for _, sc := range s.v.Scenarios {
		said = join(said, depends(sc, charged[sc].Inverse(), bare[sc].Inverse()))
	}
	return said
}

// depends says how a verdict differs without the checkpoint after each visit; "" where it does not.
func depends(scenario string, charged, bare verdict.Comparison) string {
	if charged.Kind() == bare.Kind() {
		return ""
	}
	return fmt.Sprintf("%s: %s with the checkpoint after each visit, %s without it: in service the share of a checkpoint lies between", scenario, charged.Words(), bare.Words())
}

// effects turn a comparison without something into what that does: with it over without it.
func (s *state) effects(c rundoc.Comparison) []ItemEffect {
	if c.Failed != "" {
		return nil
	}
	var out []ItemEffect
	all, tails := together(s.v.Scenarios, c, throughput), together(s.v.Scenarios, c, tail)
	for _, sc := range s.v.Scenarios {
		if r, ok := all[sc]; ok {
			with, p99 := r.Inverse(), tails[sc]
			out = append(out, ItemEffect{Scenario: sc, Verified: effect(with), Verdict: with.Words(), Kind: with.Kind(), P99: effect(p99.Inverse()), P99Kind: p99.Kind()})
		}
	}
	return out
}

// Reason says why a setting was dropped, and the largest effect measured of what it was dropped with; ok is false when it
// was kept.
func (r *Result) Reason(name string) (why string, ok bool) {
	if !slices.Contains(r.Dropped, name) {
		return "", false
	}
	best := r.item(name)
	if best == nil || best.Outcome != Harms && best.Outcome != NoDifference {
		return "dropped: the patch is worse than the present settings, and " + r.NoCulprit(), true
	}
	note := ""
	if o := overstated([]string{name}); o != "" {
		note = " (" + o + ")"
	}
	what := "taking it back"
	if !best.Single && len(best.Settings) > 1 {
		what = fmt.Sprintf("taking back %s (%s)", best.Name, strings.Join(best.Settings, ", "))
	}
	var words []string
	for _, e := range best.Scenarios {
		words = append(words, e.Scenario+": "+e.Verdict)
	}
	if best.Outcome == Harms {
		return "dropped, it harms. With it: " + strings.Join(words, "; ") + note, true
	}
	return "dropped, " + what + " made no measurable difference. With it: " + strings.Join(words, "; ") + note, true
}

// overstated says of settings that visits of a few seconds show larger than service does, why; "" of others. Each visit begins
// just after a checkpoint, and the first change of a page after one puts the whole page into the WAL: that is what
// wal_compression packs.
func overstated(names []string) string {
	if slices.Contains(names, "wal_compression") {
		return "wal_compression was measured just after checkpoints, when pages go to the WAL whole: in service it costs and saves less"
	}
	return ""
}

// join puts two remarks behind each other, either of which may be empty.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// NoCulprit is why it is not known what makes a rejected patch worse.
func (r *Result) NoCulprit() string {
	if slices.ContainsFunc(r.Items, func(it Item) bool {
		return len(it.Scenarios) == 0 && it.Outcome == NotMeasured && unmeasured[it.Name] == ""
	}) {
		return "the time did not suffice to find out what makes it so"
	}
	return "no group of its settings is seen to make it so by itself"
}

// Effect is the strongest measured effect of a setting, by itself or with its group; nil when there is none, and when what
// was measured says nothing about it.
func (r *Result) Effect(name string) *advisor.Effect {
	it := r.item(name)
	if it == nil || it.Outcome == NoDifference || it.Outcome == NotMeasured || it.Outcome == Unclear || it.Outcome == Depends {
		return nil
	}
	var best *advisor.Effect
	for _, e := range it.Scenarios {
		if e.Verified.Pairs >= verdict.MinPairs && (best == nil || math.Abs(math.Log(e.Verified.Ratio)) > math.Abs(math.Log(best.Ratio))) {
			best = &e.Verified
		}
	}
	return best
}

// item is the narrowest item that a setting was measured in.
func (r *Result) item(name string) *Item {
	var best *Item
	for i := range r.Items {
		it := &r.Items[i]
		if slices.Contains(it.Settings, name) && len(it.Scenarios) > 0 && (best == nil || it.Single) {
			best = it
		}
	}
	return best
}

// Price is what observing costs: the item of the group logging, where it was measured; nil otherwise.
func (r *Result) Price() *Item {
	for i, it := range r.Items {
		if it.Name == logging && len(it.Scenarios) > 0 {
			return &r.Items[i]
		}
	}
	return nil
}

// Longer says where p99 rose with the whole patch, whether it still does with what is left, and which pieces make it: a sentence
// a scenario, by its name. Groups are taken back for throughput alone, so that it is for people to weigh.
func (r *Result) Longer() map[string]string {
	said := map[string]string{}
	rise := func(e advisor.Effect) string {
		return fmt.Sprintf("by %s (%s to %s)", verdict.Percent(e.Ratio-1), strings.TrimSuffix(verdict.Percent(e.Low-1), " %"), verdict.Percent(e.High-1))
	}
	for _, g := range r.Patch {
		if g.P99Kind == verdict.Worse {
			said[g.Scenario] = "p99 rose with the whole patch, " + rise(g.P99)
		}
	}
	for _, g := range r.Pruned {
		before := said[g.Scenario]
		switch {
		case g.P99Kind == verdict.Worse:
			said[g.Scenario] = join(before, "p99 rose with what is left of the patch, "+rise(g.P99))
		case before != "" && g.P99.Pairs >= verdict.MinPairs:
			said[g.Scenario] = join(before, "with what is left of it no rise is certain")
		}
	}
	for _, it := range r.Items {
		if len(r.Items) == 1 { // that is the whole patch
			break
		}
		for _, e := range it.Scenarios {
			if before := said[e.Scenario]; before != "" && e.P99Kind == verdict.Worse {
				said[e.Scenario] = join(before, it.Name+" by itself makes it longer "+rise(e.P99))
			}
		}
	}
	return said
}

// Harmful are the settings, or where no single one could be told the groups, that were dropped for harm.
func (r *Result) Harmful() []string {
	var out []string
	for _, it := range r.Items {
		if it.Outcome != Harms {
			continue
		}
		if it.Single || !slices.ContainsFunc(r.Items, func(o Item) bool { return o.Single && o.Outcome == Harms && slices.Contains(it.Settings, o.Name) }) {
			name := it.Name
			if len(it.Settings) == 1 {
				name = it.Settings[0]
			}
			out = append(out, name)
		}
	}
	return out
}
