package script

import (
	"math"
	"strconv"
	"testing"
)

// draws counts what a random expression gives; the values run from lo.
func draws(t *testing.T, expr string, lo int64, bins, n int) []float64 {
	t.Helper()
	counts := make([]float64, bins)
	s := client(t, "\\set v "+expr+"\n", nil)
	for range n {
		s.Begin()
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
		v := s.vars[0].val.i - lo
		if v < 0 || v >= int64(bins) {
			t.Fatalf("%s = %d, out of its range", expr, v+lo)
		}
		counts[v]++
	}
	return counts
}

// chiSquare holds counts against probabilities, which need not be normalised. Bins with an expectation under 5 are
// thrown together. It fails beyond the value that one in a million honest samples exceeds.
func chiSquare(t *testing.T, name string, counts, probs []float64) {
	t.Helper()
	var total, sum float64
	for i := range counts {
		total += counts[i]
		sum += probs[i]
	}
	var stat, restSeen, restWant float64
	df := -1
	add := func(seen, want float64) {
		stat += (seen - want) * (seen - want) / want
		df++
	}
	for i := range counts {
		want := total * probs[i] / sum
		if want < 5 {
			restSeen, restWant = restSeen+counts[i], restWant+want
			continue
		}
		add(counts[i], want)
	}
	if restWant >= 5 {
		add(restSeen, restWant)
	} else if restSeen > 30 {
		t.Errorf("%s: %v values where %.2g were expected", name, restSeen, restWant)
	}
	if limit := chiSquareLimit(float64(df)); stat > limit {
		t.Errorf("%s: chi-square %.1f with %d degrees of freedom, want at most %.1f", name, stat, df, limit)
	}
}

// chiSquareLimit is the quantile 1 - 1e-6 after Wilson and Hilferty.
func chiSquareLimit(df float64) float64 {
	const z = 4.753
	a := 2 / (9 * df)
	return df * math.Pow(1-a+z*math.Sqrt(a), 3)
}

func phi(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func TestUniform(t *testing.T) {
	for _, bins := range []int{1, 2, 3, 100, 1000} {
		probs := make([]float64, bins)
		for i := range probs {
			probs[i] = 1
		}
		chiSquare(t, "random", draws(t, "random(-5, "+strconv.Itoa(bins-6)+")", -5, bins, 100_000), probs)
	}
}

// The manual: value i is drawn with probability f(i) - f(i + 1).
func TestExponential(t *testing.T) {
	for _, param := range []string{"0.01", "1", "2.5", "10", "50"} {
		p, _ := strconv.ParseFloat(param, 64)
		probs := make([]float64, 100)
		for i := range probs {
			f := func(x float64) float64 { return math.Exp(-p * x / 100) }
			probs[i] = f(float64(i)) - f(float64(i+1))
		}
		chiSquare(t, "random_exponential "+param, draws(t, "random_exponential(1, 100, "+param+")", 1, 100, 100_000), probs)
	}
}

// The manual: value i is drawn with probability f(i + 0.5) - f(i - 0.5).
func TestGaussian(t *testing.T) {
	for _, param := range []string{"2", "2.5", "4", "10"} {
		p, _ := strconv.ParseFloat(param, 64)
		probs := make([]float64, 100)
		for i := range probs {
			f := func(x float64) float64 { return phi(2 * p * (x - 49.5) / 100) }
			probs[i] = f(float64(i)+0.5) - f(float64(i)-0.5)
		}
		chiSquare(t, "random_gaussian "+param, draws(t, "random_gaussian(1, 100, "+param+")", 1, 100, 100_000), probs)
	}
}

func TestZipfian(t *testing.T) {
	for _, bins := range []int{1, 2, 3, 10, 1000, 100_000} {
		for _, param := range []string{"1.001", "1.1", "1.5", "2", "3.7", "20", "1000"} {
			s, _ := strconv.ParseFloat(param, 64)
			probs := make([]float64, bins)
			for i := range probs {
				probs[i] = math.Pow(float64(i+1), -s)
			}
			name := "random_zipfian(1, " + strconv.Itoa(bins) + ", " + param + ")"
			chiSquare(t, name, draws(t, name, 1, bins, 50_000), probs)
		}
	}
}

// TestZipfianWide compares the distribution function over a wide range (Kolmogorov and Smirnov). Its sum is exact up to
// 1000 and an integral with its first corrections (Euler and Maclaurin) above.
func TestZipfianWide(t *testing.T) {
	const draws, largest = 100_000, 1_000_000_000
	for _, s := range []float64{1.001, 1.07, 1.5} {
		tail := func(k float64) float64 { // the antiderivative of x^-s with corrections
			return math.Pow(k, 1-s)/(1-s) + math.Pow(k, -s)/2 - s*math.Pow(k, -s-1)/12
		}
		head := make([]float64, 1001)
		for k := 1; k <= 1000; k++ {
			head[k] = head[k-1] + math.Pow(float64(k), -s)
		}
		cdf := func(k float64) float64 {
			if k <= 1000 {
				return head[int(k)]
			}
			return head[1000] + tail(k) - tail(1000)
		}
		var r rng
		r.seed(7)
		var z zipf
		z.setUp(largest, s)
		marks := []float64{1, 2, 3, 5, 10, 30, 100, 1000, 1e4, 1e5, 1e6, 1e7, 1e8, 5e8, largest}
		seen := make([]float64, len(marks))
		for range draws {
			k := float64(z.draw(&r))
			for i, m := range marks {
				if k <= m {
					seen[i]++
				}
			}
		}
		for i, m := range marks {
			if d := math.Abs(seen[i]/draws - cdf(m)/cdf(largest)); d > 2.7/math.Sqrt(draws) { // p = 1e-6
				t.Errorf("s = %v: P(k <= %v) = %v, want %v", s, m, seen[i]/draws, cdf(m)/cdf(largest))
			}
		}
	}
}

// TestWideRanges keeps the ends of ranges that floating point can only round.
func TestWideRanges(t *testing.T) {
	const all = "(-4611686018427387904, 4611686018427387902"
	for _, expr := range []string{"random" + all + ")", "random_gaussian" + all + ", 2)", "random_exponential" + all + ", 0.000001)",
		"random_zipfian" + all + ", 1.001)"} {
		s := client(t, "\\set v "+expr+"\n", nil)
		for range 10_000 {
			s.Begin()
			if _, err := s.Next(); err != nil {
				t.Fatal(err)
			}
			if v := s.vars[0].val.i; v < -4611686018427387904 || v > 4611686018427387902 {
				t.Fatalf("%s = %d", expr, v)
			}
		}
	}
	if got := spread(5, 1<<62, math.Nextafter(1, 0)); got > 1<<62 {
		t.Errorf("spread = %d, beyond the end of its range", got)
	}
}

func TestClientsDiffer(t *testing.T) {
	s, err := Parse("test.sql", "\\set v random(1, 1000000000000)\n", Options{})
	if err != nil {
		t.Fatal(err)
	}
	first := func(seed uint64, id int) int64 {
		c, err := NewClient([]*Script{s}, seed, id, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Session(0).Begin()
		if _, err := c.Session(0).Next(); err != nil {
			t.Fatal(err)
		}
		return c.vars[0].val.i
	}
	seen := map[int64]bool{}
	for seed := range uint64(10) {
		for id := range 100 {
			v := first(seed, id)
			if v != first(seed, id) {
				t.Errorf("client %d of seed %d differs from itself", id, seed)
			}
			if seen[v] {
				t.Errorf("client %d of seed %d begins like another one", id, seed)
			}
			seen[v] = true
		}
	}
}

// permute has to be a permutation whatever the size.
func TestPermuteIsOne(t *testing.T) {
	for size := int64(1); size < 200; size++ {
		seen := make([]bool, size)
		for v := range size {
			p := permute(v, size, size*31)
			if p < 0 || p >= size || seen[p] {
				t.Fatalf("permute(%d, %d) = %d, out of range or taken", v, size, p)
			}
			seen[p] = true
		}
	}
}

func BenchmarkZipfian(b *testing.B) {
	for _, s := range []float64{1.001, 1.07, 2} {
		b.Run(strconv.FormatFloat(s, 'g', -1, 64), func(b *testing.B) {
			var r rng
			r.seed(1)
			var z zipf
			for b.Loop() {
				z.setUp(1_000_000_000, s)
				z.draw(&r)
			}
		})
	}
}
