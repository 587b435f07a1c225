package rules

import (
	"fmt"
	"slices"

	"pgfit/advisor"
	"pgfit/advisor/budget"
)

// manyFull is how often a second WAL writers had to wait for a buffer before more of them is worth a restart.
const manyFull = 1.0

// walBuffers: the automatic value (shared_buffers / 32, at most one segment of 16 MB) is right unless the run counted
// writers that found all WAL buffers full (pg_stat_wal.wal_buffers_full, 14 and later) once a second or more. Then 16 MB,
// and 64 MB where that was the value already (manual, wal_buffers). On 13 nothing counts it and it stays.
func walBuffers(s *situation) verdict {
	now := budget.WALBuffers(s.measuredWith())
	after := budget.WALBuffers(s.next)
	f, rate, ok := s.most(func(f figures) float64 { return float64(f.walFull) / max(f.seconds, 1) })
	switch {
	case !ok || rate < manyFull:
		return verdict{keep: "no writer of the run had to wait for a WAL buffer, or none was counted"}
	case budget.AutomaticWALBuffers(s.next) && after >= 2*now:
		return verdict{keep: "grows by itself to " + roughly(after) + " with shared_buffers"}
	case after >= 64*mB:
		return verdict{keep: "large already"}
	}
	target := 16 * mB
	if now >= target {
		target = 64 * mB
	}
	if target <= after {
		return verdict{keep: "raised already since the run"}
	}
	return verdict{value: s.bytes("wal_buffers", target), method: advisor.Measured,
		reason: fmt.Sprintf("WAL buffers were full %.1f times a second, and writers had to flush them first", rate),
		inputs: []advisor.Input{input("wal_buffers_full", "%d (%s)", f.walFull, f.where()), s.walInput(f)},
		source: "PostgreSQL manual, wal_buffers; pg_stat_wal", lift: "a trial: the gain shows with many writers only"}
}

// walCompression trades CPU for WAL where full-page images are a good part of it: lz4 (15 and later, where the server
// lists it) from a fifth on, pglz, which is several times as slow, only from one half on and with a third of the CPUs
// idle. Without a run it stays.
func walCompression(s *situation) verdict {
	set := s.next["wal_compression"]
	if set.Value != "off" {
		return verdict{keep: "on already"}
	}
	f := s.walRate()
	share := s.imageShare(f)
	lz4 := slices.Contains(set.EnumVals, "lz4")
	switch {
	case f.rate() < idleWAL:
		return verdict{keep: "no WAL rate was measured that would make it a cost"}
	case share < muchFullPages:
		return verdict{keep: "full-page images, all that it compresses, are no large part of the measured WAL"}
	case lz4 && f.cpu > 0.9:
		return verdict{keep: "the CPUs were busy to the brim, and it takes CPU"}
	case !lz4 && (share < 0.5 || f.cpu < 0 || f.cpu > 0.67):
		return verdict{keep: "this server has only pglz, which takes more CPU than the measured WAL is worth"}
	}
	v := verdict{value: "lz4", method: advisor.Measured, confidence: "low",
		reason: fmt.Sprintf("full-page images were up to %.0f %% of %s of WAL", 100*share, rateText(f.rate())),
		inputs: []advisor.Input{s.walInput(f), input("full-page images", "up to %.0f %% of the WAL", 100*share)},
		source: "PostgreSQL manual, wal_compression", lift: "a trial that shows throughput lost to compression"}
	if f.cpu >= 0 {
		v.inputs = append(v.inputs, input("CPU in use", "%.0f %%", 100*f.cpu))
	}
	if !lz4 {
		v.value = "on"
	}
	return v
}
