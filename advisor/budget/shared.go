package budget

import (
	"math"

	"pgfit/probe/guc"
)

// SharedMemory is the size of the main shared memory segment in bytes: shared_buffers, wal_buffers, and the rest fitted
// to `postgres -C shared_memory_size` of 15.18 and 18.4 (128 MB to 16 GB of buffers, 100 to 500 connections):
// 2.25 % of shared_buffers for headers and the lookup table, 52 kB a connection for locks, and 11 MB; 18 takes more.
// On the measured points it lies up to 16 MB above the true figure and never below.
func SharedMemory(s guc.Settings) int64 {
	buffers := size(s, "shared_buffers")
	rest := 0.0225*float64(buffers) + float64(52*kB)*float64(connections(s)) + float64(11*mB)
	if s.Has("io_max_concurrency") { // 18: handles of asynchronous reads
		rest += 0.005*float64(buffers) + float64(12*mB)
	}
	return saturate(float64(buffers) + float64(WALBuffers(s)) + rest)
}

// WALBuffers is wal_buffers in bytes as the server would compute it at its next start: with the automatic setting
// shared_buffers / 32, at least 64 kB and at most one WAL segment (manual, wal_buffers). pg_settings shows the
// computed number, so that only the source (none in the catalogue) tells an automatic value from a written one.
func WALBuffers(s guc.Settings) int64 {
	if !AutomaticWALBuffers(s) {
		return size(s, "wal_buffers")
	}
	segment := size(s, "wal_segment_size")
	if segment == 0 {
		segment = 16 * mB
	}
	return min(max(size(s, "shared_buffers")/32, 64*kB), segment)
}

// AutomaticWALBuffers tells whether wal_buffers follows shared_buffers.
func AutomaticWALBuffers(s guc.Settings) bool {
	set, ok := s["wal_buffers"]
	return ok && (set.Value == "-1" || set.Source == "" || set.Source == "default" || set.Source == "override")
}

// HugePages is the number of huge pages of the given size that the shared memory of next needs, and whether the server
// itself said so. It did for the settings that it runs with (shared_memory_size_in_huge_pages, 15 and later), which
// serves as long as next has the same buffers and connections; else the figure is SharedMemory's.
func HugePages(present, next guc.Settings, pageBytes int64) (pages int64, exact bool) {
	if pageBytes <= 0 {
		pageBytes = 2 * mB
	}
	if n, ok := present.Int("shared_memory_size_in_huge_pages"); ok && n > 0 && sameMemory(present, next) {
		return n, true
	}
	return int64(math.Ceil(float64(SharedMemory(next)) / float64(pageBytes))), false
}

func sameMemory(a, b guc.Settings) bool {
	for _, name := range []string{"shared_buffers", "wal_buffers", "max_connections", "max_worker_processes"} {
		if a.Text(name) != b.Text(name) {
			return false
		}
	}
	return true
}

// Overlay returns a copy of s with the given values set, which are pg_settings' own text, as guc.Setting.Parse returns
// it. Names that s does not have are left out. An overlaid setting counts as one from the configuration file.
func Overlay(s guc.Settings, values map[string]string) guc.Settings {
	out := make(guc.Settings, len(s))
	for name, set := range s {
		if v, ok := values[name]; ok {
			set.Value, set.Source = v, "configuration file"
		}
		out[name] = set
	}
	return out
}
