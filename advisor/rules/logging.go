package rules

import (
	"fmt"
	"slices"
	"strings"

	"pgfit/advisor"
)

const guideLogging = "house guide, PostgreSQL Server Config, Logging"

// logCheckpoints: one line for each checkpoint, the only way to see afterwards whether volume or clock started it; on by
// default since 15 (release notes of 15).
func logCheckpoints(s *situation) verdict {
	if s.next.On("log_checkpoints") {
		return verdict{keep: "on already"}
	}
	return verdict{value: "on", reason: "shows whether checkpoints are started by the clock or by WAL volume, for a line each; the default since version 15",
		source: "PostgreSQL 15 release notes, log_checkpoints", confidence: "high", lift: "another record of checkpoints"}
}

// logLockWaits: one line for each session that waits longer than deadlock_timeout.
func logLockWaits(s *situation) verdict {
	if s.next.On("log_lock_waits") {
		return verdict{keep: "on already"}
	}
	return verdict{value: "on", reason: "names who waits for whom after deadlock_timeout; nothing is logged while nobody waits",
		source: guideLogging, confidence: "high", lift: "another record of who waits for whom"}
}

// logAutovacuum: vacuums that take ten minutes are the ones to know about; the default since 15.
func logAutovacuum(s *situation) verdict {
	if n, _ := s.next.Int("log_autovacuum_min_duration"); n >= 0 {
		return verdict{keep: "logs autovacuum already"}
	}
	return verdict{value: "10min", reason: "shows the vacuums that take long; the default since version 15",
		source: "PostgreSQL 15 release notes, log_autovacuum_min_duration", confidence: "high", lift: "another record of long vacuums"}
}

// logSlowStatements: the guide logs statements that take more than a second. Log lines hold the statements' texts, with
// what stands in them, which is why somebody's own choice stays.
func logSlowStatements(s *situation) verdict {
	if n, _ := s.next.Int("log_min_duration_statement"); n >= 0 {
		return verdict{keep: "logs slow statements already"}
	}
	return verdict{value: "1s", reason: "statements over a second are worth a line; their text goes to the log",
		source: guideLogging, lift: "literals in statements that may not be logged"}
}

// cheapClock is the time of one reading, in seconds, up to which timing every page read costs next to nothing: the manual's
// own yardstick, most of pg_test_timing's readings below 100 ns.
const cheapClock = 100e-9

// trackIOTiming: reading the clock twice for each page read costs nothing to tens of percent, by clock source (manual,
// pg_test_timing), so it is switched on only where the run measured the server's clock to be cheap.
func trackIOTiming(s *situation) verdict {
	if s.next.On("track_io_timing") {
		return verdict{keep: "on already"}
	}
	clock := 0.0
	if s.in.Doc != nil {
		clock = s.in.Doc.Calibration.ClockSeconds
	}
	switch {
	case clock == 0:
		return verdict{keep: "its cost depends on the machine's clock, which was not measured; below 100 ns a reading (pg_test_timing) it is cheap"}
	case clock > cheapClock:
		return verdict{keep: fmt.Sprintf("a reading of the server's clock takes about %.0f ns, and each page read would take two", 1e9*clock)}
	}
	return verdict{value: "on", method: advisor.Measured,
		reason: "shows the time that reads and writes take, in EXPLAIN and pg_stat_database; the clock of this server is cheap",
		inputs: []advisor.Input{input("one reading of the clock", "about %.0f ns", 1e9*clock)},
		source: "PostgreSQL manual, track_io_timing and pg_test_timing", lift: "a slower clock source, as after a move to another machine"}
}

// statementStatistics loads pg_stat_statements beside what is loaded already, where the server has it and nobody did.
func statementStatistics(s *situation) verdict {
	const module = "pg_stat_statements"
	loaded := s.next.Text("shared_preload_libraries")
	var list []string
	for _, name := range strings.Split(loaded, ",") {
		if name = strings.TrimSpace(name); name != "" {
			list = append(list, name)
		}
	}
	switch {
	case slices.ContainsFunc(list, func(n string) bool { return strings.Trim(n, `"`) == module || strings.HasSuffix(n, "/"+module) }):
		return verdict{keep: module + " is loaded"}
	case !slices.Contains(s.facts.Server.Available, module):
		return verdict{keep: module + " is not known to be installed on the server"}
	}
	return verdict{value: strings.Join(append(list, module), ","), reason: "counts time, rows and pages of each statement; CREATE EXTENSION " + module + " shows them",
		source: "house guide, Statement Tracking", confidence: "high", lift: "no use for statement statistics"}
}
