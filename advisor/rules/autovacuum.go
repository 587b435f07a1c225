package rules

import (
	"fmt"
	"math"
	"strconv"

	"pgfit/advisor"
	"pgfit/probe"
)

// autovacuumOn: without it tables bloat, statistics age and the server is stopped by transaction ID wraparound protection
// at the worst time (manual, Routine Vacuuming). It is never switched off, and switched on where it is.
func autovacuumOn(s *situation) verdict {
	if s.next.On("autovacuum") {
		return verdict{keep: "on, as it has to be"}
	}
	return verdict{value: "on", reason: "without it tables bloat, statistics age, and wraparound protection stops the server in the end",
		source: "PostgreSQL manual, Routine Vacuuming", confidence: "high", lift: "a bulk load that ends with VACUUM by hand"}
}

// autovacuumWorkers: more workers share the same cost budget, so that they help with many tables and not with large ones
// (manual, autovacuum_vacuum_cost_limit). pgfit does not see tables waiting, so it stays.
func autovacuumWorkers(s *situation) verdict {
	return verdict{keep: "more workers share the same cost limit; no queue of tables was measured"}
}

// maxCostLimit is the most that a rule gives vacuum: 350 MB/s of dirtied pages on 14 and later.
const maxCostLimit = 2000

// vacuumCostLimit: vacuum has to clean pages as fast as the workload leaves dead rows in them. Its pace is limit / (cost
// of reading and dirtying a page) each cost_delay; the demand is at most one page for every row updated or deleted,
// measured at the recommended pool size (manual, Cost-based Vacuum Delay). Raised to that, at most tenfold, and
// not on hard disks, which the workload needs itself. HOT pruning and hot pages make the true demand lower.
func vacuumCostLimit(s *situation) verdict {
	f, rate, ok := s.most(func(f figures) float64 { return float64(f.changed) / max(f.seconds, 1) })
	limit, pace := s.vacuumPace()
	switch {
	case !ok:
		return verdict{keep: "no rate of updates and deletes was measured"}
	case math.IsInf(pace, 1):
		return verdict{keep: "vacuum runs without delay"}
	case pace == 0:
		return verdict{}
	case rate <= pace:
		return verdict{keep: fmt.Sprintf("vacuum may clean %.0f pages a second, the run left at most %.0f dead rows", pace, rate)}
	case s.facts.DataStorage().Class == probe.HDD:
		return verdict{keep: "the run leaves more dead rows than vacuum may clean, but a hard disk has no more to give"}
	}
	target := min(math.Ceil(limit*rate/pace/200)*200, maxCostLimit)
	if target <= limit {
		return verdict{keep: "as far as a rule goes"}
	}
	return verdict{value: strconv.Itoa(int(target)), method: advisor.Measured,
		reason: fmt.Sprintf("the run left up to %.0f dead rows a second, and vacuum may clean %.0f pages", rate, pace),
		inputs: []advisor.Input{input("rows updated or deleted", "%.0f a second (%s)", rate, f.where()), input("autovacuums in the run", "%d", max(0, f.autovacuums))},
		source: "PostgreSQL manual, Cost-based Vacuum Delay", confidence: "low", lift: "dead rows that stay level, or updates that are mostly HOT"}
}

// vacuumPace is the present cost limit and the pages a second that all autovacuum workers may read and dirty with it.
func (s *situation) vacuumPace() (limit, pace float64) {
	pick := func(name, fallback string) float64 {
		v, ok := s.next.Float(name)
		if !ok || v < 0 {
			v, _ = s.next.Float(fallback)
		}
		return v
	}
	limit = pick("autovacuum_vacuum_cost_limit", "vacuum_cost_limit")
	delay := pick("autovacuum_vacuum_cost_delay", "vacuum_cost_delay") // ms
	miss, _ := s.next.Float("vacuum_cost_page_miss")
	dirty, _ := s.next.Float("vacuum_cost_page_dirty")
	if limit <= 0 || miss+dirty <= 0 {
		return limit, 0
	}
	if delay <= 0 {
		return limit, math.Inf(1)
	}
	return limit, limit / (miss + dirty) * 1000 / delay
}

// scaleFactor is the share of the largest table that may be dead (or changed) before a worker comes, so that it is about
// a million rows; 0 where tables are too small to matter.
func (s *situation) scaleFactor() (factor float64, rows int64) {
	for _, t := range s.facts.Server.Tables {
		rows = max(rows, t.Rows)
	}
	switch {
	case rows >= 100e6:
		return 0.01, rows
	case rows >= 50e6:
		return 0.02, rows
	case rows >= 20e6:
		return 0.05, rows
	case rows >= 10e6:
		return 0.1, rows
	}
	return 0, rows
}

// vacuumScaleFactor: a fifth of a large table dead before vacuum comes means hours of work at once and scans through dead
// rows until then (manual, The Autovacuum Daemon). About a million dead rows instead, from 10 million rows on; 18's
// autovacuum_vacuum_max_threshold starts only at 100 million. Where just one table is large, a storage parameter of
// that table is better.
func vacuumScaleFactor(s *situation) verdict {
	factor, rows := s.scaleFactor()
	return s.scaled("autovacuum_vacuum_scale_factor", factor, rows, "dead rows before vacuum comes")
}

// analyzeScaleFactor: half of the vacuum factor, so that statistics follow a large table as well.
func analyzeScaleFactor(s *situation) verdict {
	factor, rows := s.scaleFactor()
	return s.scaled("autovacuum_analyze_scale_factor", factor/2, rows, "changed rows before statistics are renewed")
}

func (s *situation) scaled(name string, factor float64, rows int64, what string) verdict {
	present, _ := s.next.Float(name)
	switch {
	case len(s.facts.Server.Tables) == 0 || s.facts.Server.Scratch:
		return verdict{keep: "the sizes of the tables are not known"}
	case factor == 0:
		return verdict{keep: fmt.Sprintf("the largest table has %d rows; the share of it that may wait is small", rows)}
	case present <= factor:
		return verdict{keep: "small enough for the largest table"}
	}
	return verdict{value: strconv.FormatFloat(factor, 'g', 3, 64), inputs: []advisor.Input{input("rows of the largest table", "%d", rows)},
		reason: fmt.Sprintf("the largest table collects %.0f %s at the present value", present*float64(rows), what),
		source: "PostgreSQL manual, The Autovacuum Daemon", lift: "a storage parameter of the large tables alone"}
}
