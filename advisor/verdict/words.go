package verdict

import (
	"fmt"
	"math"
	"strconv"
)

// Kind is the outcome of a comparison.
type Kind string

// The outcomes.
const (
	Better Kind = "better"
	Worse  Kind = "worse"
	Same   Kind = "no difference seen"
	TooFew Kind = "too few pairs"
)

// Kind tells what may be claimed of B. A claim needs both: an interval without 1 in it, wider where several comparisons
// are judged together, and, where the pairs are few enough to count, a sign-flip p below Alpha.
func (c Comparison) Kind() Kind {
	switch {
	case c.Pairs < MinPairs:
		return TooFew
	case c.P >= Alpha || math.Abs(c.Mean) <= c.half(Alpha/float64(max(1, c.Among))):
		return Same
	case c.Mean > 0:
		return Better
	}
	return Worse
}

// Words is the outcome as a person reads it: "better by 12 % (9 to 15 %)", "no difference seen (would have seen 4 %)".
func (c Comparison) Words() string {
	switch c.Kind() {
	case TooFew:
		return fmt.Sprintf("%d pairs, too few for a verdict (%d are needed)", c.Pairs, MinPairs)
	case Same:
		return fmt.Sprintf("no difference seen (would have seen %s)", Percent(Detectable(c.SD, c.Pairs)))
	case Better:
		if c.Ratio() >= 2 {
			return fmt.Sprintf("better: %s times (%s to %s)", times(c.Ratio()), times(c.Low), times(c.High))
		}
		return fmt.Sprintf("better by %s (%s to %s)", Percent(c.Ratio()-1), bare(c.Low-1), Percent(c.High-1))
	}
	return fmt.Sprintf("worse by %s (%s to %s)", Percent(1-c.Ratio()), bare(1-c.High), Percent(1-c.Low))
}

// Percent writes a share as a percentage, with a decimal where it is small: 0.043 is "4.3 %".
func Percent(v float64) string {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return "no bound"
	}
	return bare(v) + " %"
}

func bare(v float64) string {
	decimals := 0
	if math.Abs(v) < 0.0995 {
		decimals = 1
	}
	return strconv.FormatFloat(100*v, 'f', decimals, 64)
}

func times(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
