package budget

import (
	"pgfit/probe"
	"pgfit/probe/guc"
)

// walDisk is what pg_wal can take in normal work: max_wal_size is a soft limit that a checkpoint behind its plan
// overshoots, and wal_keep_size is kept for standbys. Replication slots without max_slot_wal_keep_size can hold
// any amount; that is no setting's worst case but a fault to be watched.
func walDisk(s guc.Settings) int64 {
	return max(size(s, "max_wal_size"), size(s, "min_wal_size")) + size(s, "wal_keep_size")
}

// ReplayRate is the WAL a crash recovery is assumed to get through, in bytes per second, by the class of the data's
// storage. Replay is one process that mostly reads the pages it has to change. With everything in the page cache it
// replayed 295 MB/s (15.18, pgbench's tables on virtual flash); the figures leave room for pages that are not.
func ReplayRate(f probe.Facts) float64 {
	switch f.DataStorage().Class {
	case probe.NVMe, probe.SSD, probe.RAM:
		return 100 * float64(mB)
	case probe.HDD:
		return 20 * float64(mB)
	}
	return 50 * float64(mB)
}

// Recovery is the worst crash recovery in seconds: all WAL between two checkpoints and the part of the next one that was
// written before the crash, which is what max_wal_size bounds, or less where the measured WAL rate (bytes per second,
// 0 unknown) does not fill it in checkpoint_timeout x (1 + checkpoint_completion_target).
func Recovery(s guc.Settings, f probe.Facts, rate float64) float64 {
	wal := float64(size(s, "max_wal_size"))
	if timed, ok := TimedWAL(s, rate); ok {
		wal = min(wal, timed)
	}
	return wal / ReplayRate(f)
}

// TimedWAL is the WAL in bytes that max_wal_size has to hold for checkpoints to be started by the clock at the given
// rate: one checkpoint_timeout and the share of the next in which the old WAL is still needed (manual, WAL
// Configuration). False when the rate or the timeout is unknown.
func TimedWAL(s guc.Settings, rate float64) (float64, bool) {
	timeout, ok := s.Duration("checkpoint_timeout")
	if !ok || rate <= 0 {
		return 0, false
	}
	target, ok := s.Float("checkpoint_completion_target")
	if !ok {
		target = 0.9
	}
	return rate * timeout.Seconds() * (1 + target), true
}
