package rules

import "pgfit/probe"

// losing says what can be lost with a setting at a value. pgfit never proposes such a value; it says so where one is in
// force (manual, Non-Durable Settings and Write Ahead Log, Settings).
var losing = []struct {
	name, value string
	text, hint  string
}{
	{"fsync", "off", "fsync is off: a crash of the machine can leave the whole cluster corrupt, beyond repair",
		"set fsync = on, then take a new base backup; only a cluster that can be made again may run without"},
	{"full_page_writes", "off", "full_page_writes is off: a crash in the middle of a page write leaves torn pages that recovery cannot mend",
		"set full_page_writes = on, unless the file system is known to write 8 kB pages atomically"},
	{"synchronous_commit", "off", "synchronous_commit is off: a crash can lose the last commits that were reported as done, up to three times wal_writer_delay; nothing is corrupted",
		"set it to on, or off only for the roles or transactions that can afford it"},
	{"autovacuum", "off", "autovacuum is off: tables bloat, statistics age, and the server stops before transaction IDs run out", "set autovacuum = on"},
	{"track_counts", "off", "track_counts is off: autovacuum has nothing to go by and does not run", "set track_counts = on"},
	{"zero_damaged_pages", "on", "zero_damaged_pages is on: damaged pages are emptied without asking, with the rows on them", "set it to off as soon as the rescue is over"},
	{"ignore_checksum_failure", "on", "ignore_checksum_failure is on: corruption that checksums find is read as if it were data", "set it to off as soon as the rescue is over"},
	{"data_checksums", "off", "data checksums are off: corruption by the storage goes unnoticed until it hurts", "pg_checksums --enable on a stopped server"},
}

// durability says what can be lost with the settings in force. On neon fsync shows off by design: its storage layer
// makes WAL durable.
func durability(s *situation) []probe.Warning {
	var out []probe.Warning
	for _, l := range losing {
		if s.present.Text(l.name) != l.value || l.name == "fsync" && s.service == "neon" || l.name == "data_checksums" && (s.managed() || s.facts.Server.Scratch) {
			continue
		}
		out = append(out, probe.Warning{Code: "durability-" + l.name, Text: l.text, Hint: l.hint})
	}
	return append(out, passwords(s)...)
}
