package script

import (
	"math"
	"math/bits"
)

// rng is xoroshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018), the generator
// that PostgreSQL has used since version 15. It is 16 bytes, so that keeping its state for a retry costs nothing.
type rng struct{ s0, s1 uint64 }

// seed fills the state from splitmix64, as PostgreSQL's pg_prng_seed does; permute depends on it bit by bit.
func (r *rng) seed(n uint64) {
	r.s0 = splitmix64(&n)
	r.s1 = splitmix64(&n)
	if r.s0 == 0 && r.s1 == 0 {
		r.s0, r.s1 = 0x5851F42D4C957F2D, 0x14057B7EF767814F
	}
}

func splitmix64(n *uint64) uint64 {
	*n += 0x9E3779B97F4A7C15
	z := *n
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func (r *rng) next() uint64 {
	s0, sx := r.s0, r.s1^r.s0
	r.s0 = bits.RotateLeft64(s0, 24) ^ sx ^ sx<<16
	r.s1 = bits.RotateLeft64(sx, 37)
	return bits.RotateLeft64(s0*5, 7) * 9
}

// upTo is uniform over 0..n, both included, by rejecting what a mask of as many bits lets through above n.
func (r *rng) upTo(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	shift := bits.LeadingZeros64(n)
	for {
		if v := r.next() >> shift; v <= n {
			return v
		}
	}
}

// float is uniform over [0, 1).
func (r *rng) float() float64 { return float64(r.next()>>11) * 0x1p-53 }

func (r *rng) uniform(lo, hi int64) int64 {
	return lo + int64(r.upTo(uint64(hi)-uint64(lo)))
}

// exponential cuts exp(-x) off at param > 0 and spreads what is left over lo..hi.
func (r *rng) exponential(lo, hi int64, param float64) int64 {
	cut := math.Exp(-param)
	u := 1 - r.float() // (0, 1]
	x := -math.Log(cut+(1-cut)*u) / param
	return spread(lo, hi, x)
}

// gaussian cuts the normal distribution off at param >= 2 standard deviations on either side and spreads what is left
// over lo..hi. The normal deviate is Box and Muller's.
func (r *rng) gaussian(lo, hi int64, param float64) int64 {
	for {
		z := math.Sqrt(-2*math.Log(1-r.float())) * math.Sin(2*math.Pi*r.float())
		if z >= -param && z < param {
			return spread(lo, hi, (z+param)/(2*param))
		}
	}
}

// spread maps x in [0, 1) to lo..hi. Rounding may carry it to 1 in a wide range, which belongs to hi.
func spread(lo, hi int64, x float64) int64 {
	n := hi - lo + 1
	return lo + min(int64(float64(n)*x), n-1)
}

// zipf holds the constants of rejection-inversion for one n and s (Hörmann and Derflinger, "Rejection-inversion to
// generate variates from monotone discrete distributions", ACM TOMACS 6(3), 1996). The chance of rejection is small for
// every n and s, where pgbench's own method (Devroye 1986, p. 550) draws some 70 pairs for one value of a million at
// s = 1.001, since it cuts an unbounded distribution off.
type zipf struct {
	n          int64
	s          float64
	first, all float64 // the integral from the left edge of 1, and to the right edge of n
	accept     float64 // values this near to the inverse need no further test
}

// setUp computes the constants, unless they are there from the last call.
func (z *zipf) setUp(n int64, s float64) {
	if z.n == n && z.s == s {
		return
	}
	z.n, z.s = n, s
	z.first = z.integral(1.5) - 1
	z.all = z.integral(float64(n) + 0.5)
	z.accept = 2 - z.inverse(z.integral(2.5)-z.density(2))
}

func (z *zipf) draw(r *rng) int64 {
	for {
		u := z.all + r.float()*(z.first-z.all)
		x := z.inverse(u)
		k := min(max(math.Floor(x+0.5), 1), float64(z.n))
		if k-x <= z.accept || u >= z.integral(k+0.5)-z.density(k) {
			return min(int64(k), z.n)
		}
	}
}

// density is x^-s.
func (z *zipf) density(x float64) float64 { return math.Exp(-z.s * math.Log(x)) }

// integral is (x^(1-s) - 1) / (1-s), the area under the density from 1 to x, exact also where s is close to 1.
func (z *zipf) integral(x float64) float64 {
	l := math.Log(x)
	t := (1 - z.s) * l
	if math.Abs(t) > 1e-8 {
		return math.Expm1(t) / t * l
	}
	return (1 + t/2*(1+t/3)) * l
}

// inverse is the x that integral maps to a.
func (z *zipf) inverse(a float64) float64 {
	t := max(a*(1-z.s), -1) // below -1 only by rounding
	if math.Abs(t) > 1e-8 {
		return math.Exp(math.Log1p(t) / t * a)
	}
	return math.Exp((1 - t*(0.5-t/3)) * a)
}
