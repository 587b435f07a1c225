package script

import "math/bits"

// hashFnv1a is FNV-1a over the eight bytes of v, lowest first, with the seed mixed into the offset basis.
func hashFnv1a(v int64, seed uint64) int64 {
	h := uint64(0xcbf29ce484222325) ^ seed
	for range 8 {
		h = (h ^ uint64(v)&0xff) * 0x100000001b3
		v >>= 8
	}
	return int64(h)
}

// hashMurmur2 is MurmurHash64A (Appleby) of the eight bytes of v.
func hashMurmur2(v int64, seed uint64) int64 {
	const m, r = 0xc6a4a7935bd1e995, 47
	h := seed ^ (m << 3 & (1<<64 - 1))
	k := uint64(v) * m
	k = (k ^ k>>r) * m
	h = (h ^ k) * m
	h = (h ^ h>>r) * m
	return int64(h ^ h>>r)
}

// permute maps v modulo size to its place in a permutation of 0..size-1 that seed chooses: six rounds, each of which
// multiplies, xors and rotates the lower and then the upper power of two of the range, and moves it round by an offset.
// It gives the numbers of pgbench 15 and later; version 14 had another generator.
func permute(v, size int64, seed int64) int64 {
	if size < 2 {
		return 0
	}
	var r rng
	r.seed(uint64(seed))
	n := uint64(size)
	x := uint64(v) % n
	width := bits.Len64(n) - 1
	mask := uint64(1)<<width - 1
	for range 6 {
		x = stir(&r, x, mask, width)
		x = n - 1 - stir(&r, n-1-x, mask, width)
		x = (x + r.upTo(n-1)) % n
	}
	return int64(x)
}

// stir is a bijection of 0..mask, which is width bits; what lies above stays where it is. It draws two numbers always.
func stir(r *rng, x, mask uint64, width int) uint64 {
	m := r.next()&mask | 1
	flip := r.next() & mask
	if x > mask {
		return x
	}
	x = (x*m ^ flip) & mask
	return x<<1&mask | x>>(width-1)
}
