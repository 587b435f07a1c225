package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"pgfit/probe/guc"
)

// Size writes bytes with about three figures and a binary unit in PostgreSQL's spelling: 23.5GB, 512MB.
func Size(b int64) string {
	switch {
	case b < 0:
		return strconv.FormatInt(b, 10)
	case b < 1<<10:
		return fmt.Sprintf("%dB", b)
	}
	for _, u := range []struct {
		per  int64
		name string
	}{{1 << 40, "TB"}, {1 << 30, "GB"}, {1 << 20, "MB"}, {1 << 10, "kB"}} {
		if b >= u.per {
			if b%u.per == 0 {
				return guc.FormatBytes(b)
			}
			return figures(float64(b)/float64(u.per)) + u.name
		}
	}
	return ""
}

// Seconds writes a time with three figures and a fitting unit: 47.3 µs, 1.2 ms, 3.4 s, 5 min.
func Seconds(s float64) string {
	switch {
	case math.IsNaN(s) || s < 0:
		return "-"
	case s == 0:
		return "0"
	case s < 1e-3:
		return figures(s*1e6) + " µs"
	case s < 1:
		return figures(s*1e3) + " ms"
	case s < 120:
		return figures(s) + " s"
	case s < 7200:
		return figures(s/60) + " min"
	}
	return figures(s/3600) + " h"
}

// Millis writes a time in milliseconds without the unit, for a column that names it.
func Millis(s float64) string {
	if math.IsNaN(s) || s < 0 {
		return "-"
	}
	switch ms := s * 1e3; {
	case ms >= 100:
		return strconv.FormatFloat(ms, 'f', 0, 64)
	case ms >= 10:
		return strconv.FormatFloat(ms, 'f', 1, 64)
	default:
		return strconv.FormatFloat(ms, 'f', 2, 64)
	}
}

// Rate writes a rate per second: 1234, 56.7, 0.12.
func Rate(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "-"
	}
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return figures(v)
}

// Percent writes a share of 1.
func Percent(v float64) string {
	if math.IsNaN(v) || v < 0 {
		return "-"
	}
	if p := v * 100; p < 10 && p > 0 {
		return strconv.FormatFloat(p, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(v*100, 'f', 0, 64) + " %"
}

// figures writes three significant figures without an exponent and without trailing zeros.
func figures(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	decimals := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	if decimals <= 0 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	text := strconv.FormatFloat(v, 'f', min(decimals, 6), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
