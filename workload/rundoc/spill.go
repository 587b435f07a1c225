package rundoc

const (
	// inMemory is how much more memory a sort or hash needs than Spill, since tuples are packed on disk. On 15.18 big-sort took
	// 2.5 times as much when work_mem held it, hash-aggregate 2.2 times.
	inMemory = 2.5

	// MostWorkMem is the largest work_mem in bytes that is tried or proposed for a whole server: a choice. More belongs to a role
	// or a session.
	MostWorkMem = int64(1) << 30
)

// Spill is the largest amount in bytes that one sort or hash of the statement wrote to disk, 0 when none did. A sort shows its
// own size; a hash shows its memory, and what it wrote counts both sides of a join.
func (p PlanProbe) Spill() int64 {
	if p.SpilledKB == 0 {
		return 0
	}
	return max(p.SortKB, p.SpilledKB/2) << 10
}

// WorkMem is the work_mem in bytes with which the statement would not have spilled. Where all its nodes are hashes they may take
// hash_mem_multiplier times as much.
func (p PlanProbe) WorkMem(hashMemMultiplier float64) int64 {
	if p.SortNodes > 0 || p.HashNodes == 0 {
		hashMemMultiplier = 1
	}
	return EnoughWorkMem(p.Spill(), hashMemMultiplier)
}

// EnoughWorkMem is the work_mem in bytes that holds so many bytes of files, multiplier being 1 for a sort and
// hash_mem_multiplier for a hash.
func EnoughWorkMem(onDisk int64, multiplier float64) int64 {
	return int64(inMemory * float64(onDisk) / max(1, multiplier))
}
