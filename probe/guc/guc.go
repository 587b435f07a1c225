// Package guc knows PostgreSQL's settings as pg_settings shows them: their units, ranges and contexts, and how a
// value is written and read. It is the one place where `128MB` becomes a number and a number becomes `128MB`.
// It does not know which value would be a good one, nor where a value stands in a file.
package guc

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Setting is one row of pg_settings. Value, ResetVal, BootVal, MinVal and MaxVal are the view's own strings, in Unit.
type Setting struct {
	Name           string   `json:"name"`
	Value          string   `json:"setting"`
	Unit           string   `json:"unit,omitempty"`    // "", B, kB, 8kB, MB, ms, s, min
	Context        string   `json:"context"`           // internal, postmaster, sighup, superuser-backend, backend, superuser, user
	VarType        string   `json:"vartype"`           // bool, integer, real, enum, string
	Source         string   `json:"source,omitempty"`  // default, configuration file, command line, database, user, ...
	MinVal         string   `json:"min_val,omitempty"` // integer and real only
	MaxVal         string   `json:"max_val,omitempty"`
	EnumVals       []string `json:"enumvals,omitempty"`
	BootVal        string   `json:"boot_val,omitempty"`
	ResetVal       string   `json:"reset_val,omitempty"`
	SourceFile     string   `json:"sourcefile,omitempty"` // empty also where the role may not see it
	SourceLine     int      `json:"sourceline,omitempty"`
	PendingRestart bool     `json:"pending_restart,omitempty"`
}

// Settings are the settings of one server, by name.
type Settings map[string]Setting

// Names returns the names in alphabetical order.
func (s Settings) Names() []string {
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Has tells whether the server knows the setting (or whether the role may see it).
func (s Settings) Has(name string) bool { _, ok := s[name]; return ok }

// Bytes is the present value of a size setting in bytes; false when the setting is unknown or no size.
// -1 (automatic) comes back as -1.
func (s Settings) Bytes(name string) (int64, bool) {
	set, ok := s[name]
	if !ok {
		return 0, false
	}
	scale, ok := bytesPer[set.Unit]
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseInt(set.Value, 10, 64)
	if err != nil {
		return 0, false
	}
	if v < 0 {
		return v, true
	}
	return v * scale, true
}

// Duration is the present value of a time setting; false when the setting is unknown or no time.
func (s Settings) Duration(name string) (time.Duration, bool) {
	set, ok := s[name]
	if !ok {
		return 0, false
	}
	scale, ok := durationPer[set.Unit]
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(set.Value, 64)
	if err != nil {
		return 0, false
	}
	return time.Duration(v * float64(scale)), true
}

// Int is the present value of an integer setting in its own unit.
func (s Settings) Int(name string) (int64, bool) {
	set, ok := s[name]
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseInt(set.Value, 10, 64)
	return v, err == nil
}

// Float is the present value of a numeric setting in its own unit.
func (s Settings) Float(name string) (float64, bool) {
	set, ok := s[name]
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(set.Value, 64)
	return v, err == nil
}

// On tells whether a bool setting is on; false also when it is unknown.
func (s Settings) On(name string) bool { return s[name].Value == "on" }

// Text is the present value as pg_settings prints it, "" when unknown.
func (s Settings) Text(name string) string { return s[name].Value }

var bytesPer = map[string]int64{
	"B": 1, "kB": 1 << 10, "8kB": 8 << 10, "16kB": 16 << 10, "32kB": 32 << 10, "4kB": 4 << 10, "1kB": 1 << 10, "2kB": 2 << 10, "MB": 1 << 20,
	"16MB": 16 << 20, "GB": 1 << 30, "TB": 1 << 40,
}

var durationPer = map[string]time.Duration{
	"us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

// IsBytes tells whether the setting is a size.
func (s Setting) IsBytes() bool { _, ok := bytesPer[s.Unit]; return ok && s.Unit != "" }

// IsDuration tells whether the setting is a time.
func (s Setting) IsDuration() bool { _, ok := durationPer[s.Unit]; return ok }

// NeedsRestart tells whether a change takes effect only at server start.
func (s Setting) NeedsRestart() bool { return s.Context == "postmaster" }

// ErrValue is wrapped by every error of Parse.
var ErrValue = errors.New("not a valid value")

// Parse reads text as postgresql.conf would take it for this setting (without quotes) and returns the canonical text
// that pg_settings would show: a bare number in Unit, on or off, the enum value in lower case. It refuses what the
// server refuses: unknown units, values out of range, unknown enum values. Rounding follows the server's
// (guc.c, convert_to_base_unit: nearest multiple of the base unit).
func (s Setting) Parse(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch s.VarType {
	case "bool":
		if b, ok := parseBool(text); ok {
			if b {
				return "on", nil
			}
			return "off", nil
		}
		return "", fmt.Errorf("%s = %q: %w: want on or off", s.Name, text, ErrValue)
	case "enum":
		for _, v := range s.EnumVals {
			if strings.EqualFold(v, text) {
				return v, nil
			}
		}
		if b, ok := parseBool(text); ok { // synchronous_commit = true, wal_compression = 1
			for _, v := range s.EnumVals {
				if v == map[bool]string{true: "on", false: "off"}[b] {
					return v, nil
				}
			}
		}
		return "", fmt.Errorf("%s = %q: %w: want one of %s", s.Name, text, ErrValue, strings.Join(s.EnumVals, ", "))
	case "integer", "real":
		v, err := s.number(text)
		if err != nil {
			return "", err
		}
		if s.VarType == "integer" {
			v = math.RoundToEven(v)
		}
		if lo, err := strconv.ParseFloat(s.MinVal, 64); err == nil && v < lo {
			return "", fmt.Errorf("%s = %q: %w: below the minimum %s", s.Name, text, ErrValue, s.Show(s.MinVal))
		}
		if hi, err := strconv.ParseFloat(s.MaxVal, 64); err == nil && v > hi {
			return "", fmt.Errorf("%s = %q: %w: above the maximum %s", s.Name, text, ErrValue, s.Show(s.MaxVal))
		}
		return formatNumber(v), nil
	}
	return text, nil
}

// number reads a number with an optional unit and returns it in the setting's own unit.
func (s Setting) number(text string) (float64, error) {
	i := 0
	for i < len(text) && (text[i] >= '0' && text[i] <= '9' || strings.IndexByte("+-.xXeE", text[i]) >= 0 ||
		(strings.HasPrefix(strings.ToLower(text), "0x") && strings.IndexByte("abcdefABCDEF", text[i]) >= 0)) {
		i++
	}
	digits, unit := text[:i], strings.TrimSpace(text[i:])
	var v float64
	if n, err := strconv.ParseInt(digits, 0, 64); err == nil {
		v = float64(n)
	} else if v, err = strconv.ParseFloat(digits, 64); err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, fmt.Errorf("%s = %q: %w: want a number%s", s.Name, text, ErrValue, s.unitHint())
	}
	if unit == "" {
		return v, nil
	}
	if own, ok := bytesPer[s.Unit]; ok && s.Unit != "" {
		if from, ok := bytesPer[unit]; ok && slices.Contains([]string{"B", "kB", "MB", "GB", "TB"}, unit) {
			return v * float64(from) / float64(own), nil
		}
	} else if own, ok := durationPer[s.Unit]; ok {
		if from, ok := durationPer[unit]; ok {
			return v * float64(from) / float64(own), nil
		}
	}
	return 0, fmt.Errorf("%s = %q: %w: unknown unit %q%s", s.Name, text, ErrValue, unit, s.unitHint())
}

func (s Setting) unitHint() string {
	switch {
	case s.IsBytes():
		return " with B, kB, MB, GB or TB"
	case s.IsDuration():
		return " with us, ms, s, min, h or d"
	}
	return ""
}

func parseBool(text string) (bool, bool) {
	t := strings.ToLower(text)
	if t == "" {
		return false, false
	}
	switch {
	case t == "1" || strings.HasPrefix("true", t) || strings.HasPrefix("yes", t) || t == "on":
		return true, true
	case t == "0" || strings.HasPrefix("false", t) || strings.HasPrefix("no", t) || t == "off" || t == "of":
		return false, true
	}
	return false, false
}

func formatNumber(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// Show writes a base value (as pg_settings has it) the way a person writes it in postgresql.conf, without quotes and
// without losing anything: 16384 in 8kB becomes 128MB, 300 in s becomes 5min. -1 and unitless values stay.
func (s Setting) Show(value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n <= 0 || s.Unit == "" {
		return value
	}
	if per, ok := bytesPer[s.Unit]; ok {
		return showBytes(n, per)
	}
	if per, ok := durationPer[s.Unit]; ok {
		return showDuration(time.Duration(n) * per)
	}
	return value
}

func showBytes(n, per int64) string {
	if n > math.MaxInt64/per {
		return strconv.FormatInt(n, 10)
	}
	return FormatBytes(n * per)
}

// FormatBytes writes a size with the largest unit of PostgreSQL that divides it: 1536 MiB is "1536MB".
func FormatBytes(b int64) string {
	for _, u := range []string{"TB", "GB", "MB", "kB"} {
		if per := bytesPer[u]; b != 0 && b%per == 0 {
			return strconv.FormatInt(b/per, 10) + u
		}
	}
	return strconv.FormatInt(b, 10) + "B"
}

func showDuration(d time.Duration) string {
	for _, u := range []string{"d", "h", "min", "s", "ms"} {
		if per := durationPer[u]; d%per == 0 {
			return strconv.FormatInt(int64(d/per), 10) + u
		}
	}
	return strconv.FormatInt(int64(d/time.Microsecond), 10) + "us"
}

// ParseBytes reads a size as a person writes it on the command line: 512MB, 1.5GB, 8GiB, a bare number in bytes.
// Units are 1024-based and case does not matter, since this is not postgresql.conf.
func ParseBytes(text string) (int64, error) {
	t := strings.TrimSpace(text)
	i := strings.IndexFunc(t, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	unit := "b"
	if i >= 0 {
		t, unit = t[:i], strings.ToLower(strings.TrimSpace(t[i:]))
	}
	scale, ok := map[string]float64{"b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20,
		"g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30, "t": 1 << 40, "tb": 1 << 40, "tib": 1 << 40}[unit]
	v, err := strconv.ParseFloat(t, 64)
	if !ok || err != nil || v < 0 || v*scale > 1<<60 {
		return 0, fmt.Errorf("size %q: want a number with B, kB, MB, GB or TB, such as 512MB", text)
	}
	return int64(v * scale), nil
}
