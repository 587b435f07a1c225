package rules

import (
	"fmt"
	"math"
	"sort"
	"time"

	"pgfit/advisor"
	"pgfit/advisor/budget"
	"pgfit/workload/rundoc"
)

// figures are the counters of one scenario at the pool size of interest, added up over its visits. A counter that
// one of the visits lacks is -1.
type figures struct {
	scenario    string
	level       int
	visits      int
	seconds     float64
	hit, read   int64
	changed     int64 // rows updated or deleted
	tempFiles   int64
	tempBytes   int64
	ckptReq     int64
	bufCkpt     int64
	bufClean    int64
	bufBackend  int64
	maxWritten  int64
	walBytes    int64
	walFPI      int64
	walFull     int64
	autovacuums int64
	diskReads   float64 // -1: the host was not watched
	cpu         float64 // mean share of all CPUs in use, 0 to 1; -1 unknown
}

// digest picks from the closed-loop visits of each scenario those at the pool size nearest to total, or, where no
// total is known, at the size with the highest throughput. Result by scenario name.
func digest(visits []rundoc.Visit, total int) []figures {
	byScenario := map[string][]rundoc.Visit{}
	for _, v := range visits {
		if v.Phase == "B" && v.Side == "" && v.Seconds > 0 {
			byScenario[v.Scenario] = append(byScenario[v.Scenario], v)
		}
	}
	names := make([]string, 0, len(byScenario))
	for name := range byScenario {
		names = append(names, name)
	}
	sort.Strings(names)
	var out []figures
	for _, name := range names {
		level := levelOf(byScenario[name], total)
		f := figures{scenario: name, level: level}
		for _, v := range byScenario[name] {
			if v.PoolSize == level {
				f.add(v)
			}
		}
		out = append(out, f)
	}
	return out
}

func levelOf(visits []rundoc.Visit, total int) int {
	work, secs := map[int]float64{}, map[int]float64{}
	for _, v := range visits {
		work[v.PoolSize] += v.TPS * v.Seconds
		secs[v.PoolSize] += v.Seconds
	}
	best, score := 0, math.Inf(-1)
	for level := range work {
		value := work[level] / secs[level]
		if total > 0 {
			value = -math.Abs(float64(level - total))
		}
		if value > score || value == score && level < best {
			best, score = level, value
		}
	}
	return best
}

func (f *figures) add(v rundoc.Visit) {
	d := v.Server
	plus := func(sum *int64, by int64) {
		if by < 0 || *sum < 0 {
			*sum = -1
			return
		}
		*sum += by
	}
	for _, c := range []struct {
		sum *int64
		by  int64
	}{
		{&f.hit, d.BlksHit}, {&f.read, d.BlksRead}, {&f.tempFiles, d.TempFiles}, {&f.tempBytes, d.TempBytes},
		{&f.changed, d.TupUpdated}, {&f.changed, d.TupDeleted}, {&f.ckptReq, d.CheckpointsReq}, {&f.bufCkpt, d.BuffersCheckpoint},
		{&f.bufClean, d.BuffersClean}, {&f.bufBackend, d.BuffersBackend}, {&f.maxWritten, d.MaxWrittenClean}, {&f.walBytes, d.WALBytes},
		{&f.walFPI, d.WALFPI}, {&f.walFull, d.WALBuffersFull}, {&f.autovacuums, d.Autovacuums},
	} {
		plus(c.sum, c.by)
	}
	if v.Host == nil || f.diskReads < 0 {
		f.diskReads, f.cpu = -1, -1
	} else {
		f.diskReads += v.Host.DiskReads
		f.cpu = (f.cpu*f.seconds + (v.Host.User+v.Host.System)*v.Seconds) / (f.seconds + v.Seconds)
	}
	f.visits++
	f.seconds += v.Seconds
}

// where says which visits a figure comes from.
func (f figures) where() string {
	return fmt.Sprintf("%s, pool size %d, %s, %.0f s", f.scenario, f.level, count(f.visits, "visit"), f.seconds)
}

// rate is the WAL in bytes per second, 0 where it is not known.
func (f figures) rate() float64 {
	if f.walBytes <= 0 || f.seconds <= 0 {
		return 0
	}
	return float64(f.walBytes) / f.seconds
}

// hits is the share of page requests that shared_buffers answered; -1 unknown.
func (f figures) hits() float64 {
	if f.hit < 0 || f.read < 0 || f.hit+f.read == 0 {
		return -1
	}
	return float64(f.hit) / float64(f.hit+f.read)
}

// backendWrites is the share of written pages that backends had to write themselves; -1 unknown.
func (f figures) backendWrites() float64 {
	all := f.bufCkpt + f.bufClean + f.bufBackend
	if f.bufCkpt < 0 || f.bufClean < 0 || f.bufBackend < 0 || all == 0 {
		return -1
	}
	return float64(f.bufBackend) / float64(all)
}

// most is the scenario with the largest value of a figure; false when no scenario has one above 0.
func (s *situation) most(value func(figures) float64) (figures, float64, bool) {
	var best figures
	top := 0.0
	for _, f := range s.runs {
		if v := value(f); v > top {
			best, top = f, v
		}
	}
	return best, top, top > 0
}

// walRate is the scenario that writes WAL fastest, the zero figures where none was measured.
func (s *situation) walRate() figures {
	f, _, _ := s.most(figures.rate)
	return f
}

// manyNodes bounds the sorts, and the hashes, of one statement that are counted: a choice, since large plans do not hold all at once.
const manyNodes = 16

// statements are what the plans of the run may hold in memory. A statement that was run and spilled nothing is known to need
// no more for one sort or hash than the largest of them showed, or, since not every node shows its memory, than work_mem was.
func (s *situation) statements() []budget.Statement {
	if s.in.Doc == nil {
		return nil
	}
	used, workMem := map[string]int64{}, size(s.in.Doc.Facts.Server.Settings, "work_mem")
	for _, p := range s.probes {
		if workMem > 0 && len(p.Set) == 0 && p.Seconds > 0 && p.SpilledKB == 0 {
			used[p.Statement] = max(p.SortKB*kB, workMem)
		}
	}
	var out []budget.Statement
	for _, p := range s.probes {
		if p.MemoryNodes == 0 {
			continue
		}
		st := budget.Statement{Name: firstWords(p.Statement), Sorts: p.SortNodes, Hashes: p.HashNodes, Used: used[p.Statement]}
		if st.Sorts+st.Hashes == 0 { // an old document
			st.Hashes = p.MemoryNodes
		}
		st.Sorts, st.Hashes = min(st.Sorts, manyNodes), min(st.Hashes, manyNodes)
		out = append(out, st)
	}
	return out
}

// input makes an Input.
func input(name, format string, args ...any) advisor.Input {
	return advisor.Input{Name: name, Value: fmt.Sprintf(format, args...)}
}

// rateText writes bytes per second.
func rateText(perSecond float64) string {
	switch {
	case perSecond >= 1<<20:
		return fmt.Sprintf("%.1f MB/s", perSecond/(1<<20))
	default:
		return fmt.Sprintf("%.1f kB/s", perSecond/(1<<10))
	}
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// article puts a or an before the name of a workload.
func article(workload string) string {
	if workload == "oltp" {
		return "an " + workload
	}
	return "a " + workload
}

// span writes a time in whole minutes where it has some.
func span(d time.Duration) string {
	if d >= time.Minute && d%time.Minute == 0 {
		return count(int(d/time.Minute), "minute")
	}
	return d.String()
}

// roughly writes a size with one decimal, for prose.
func roughly(b int64) string {
	switch {
	case b >= 1<<40:
		return fmt.Sprintf("%.1f TB", float64(b)/(1<<40))
	case b >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(b)/(1<<30))
	case b >= 1<<20:
		return fmt.Sprintf("%.0f MB", float64(b)/(1<<20))
	}
	return fmt.Sprintf("%.0f kB", float64(b)/(1<<10))
}
