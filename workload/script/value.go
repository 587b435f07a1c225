package script

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// kind is the type of a value.
type kind uint8

const (
	none kind = iota // no such variable
	null
	boolean
	integer
	double
)

// String names a kind as pgbench's messages do.
func (k kind) String() string {
	return [...]string{"none", "null", "boolean", "int", "double"}[k]
}

// value is what an expression gives. i is an integer, or 1 and 0 for true and false.
type value struct {
	kind kind
	i    int64
	f    float64
}

func intValue(i int64) value      { return value{kind: integer, i: i} }
func doubleValue(f float64) value { return value{kind: double, f: f} }
func boolValue(b bool) value {
	v := value{kind: boolean}
	if b {
		v.i = 1
	}
	return v
}

// truth is the value as a condition: null and zero are false.
func (v value) truth() bool {
	return v.kind != null && (v.i != 0 || v.f != 0)
}

func (v value) toBool() (bool, error) {
	if v.kind != boolean {
		return false, fmt.Errorf("cannot coerce %v to boolean", v.kind)
	}
	return v.i != 0, nil
}

// toInt rounds half to even, as rint in C does.
func (v value) toInt() (int64, error) {
	switch v.kind {
	case integer:
		return v.i, nil
	case double:
		f := math.RoundToEven(v.f)
		if !(f >= math.MinInt64 && f < -math.MinInt64) {
			return 0, fmt.Errorf("double to int overflow for %s", cDouble(f, 'f', 6))
		}
		return int64(f), nil
	}
	return 0, fmt.Errorf("cannot coerce %v to int", v.kind)
}

func (v value) toDouble() (float64, error) {
	switch v.kind {
	case integer:
		return float64(v.i), nil
	case double:
		return v.f, nil
	}
	return 0, fmt.Errorf("cannot coerce %v to double", v.kind)
}

// appendText adds the value as pgbench writes it into SQL: doubles with 15 digits, the %.15g of C.
func (v value) appendText(b []byte) []byte {
	switch v.kind {
	case null:
		return append(b, "NULL"...)
	case boolean:
		return strconv.AppendBool(b, v.i != 0)
	case integer:
		return strconv.AppendInt(b, v.i, 10)
	case double:
		return appendDouble(b, v.f, 'g', 15)
	}
	return b
}

// appendDouble formats f as PostgreSQL's printf does with %.*g or %.*f: infinity differs from Go.
func appendDouble(b []byte, f float64, format byte, digits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	return strconv.AppendFloat(b, f, format, digits, 64)
}

func cDouble(f float64, format byte, digits int) string {
	return string(appendDouble(nil, f, format, digits))
}

// parseValue reads the text of a variable that came from outside: from -D, \gset or \aset. Its errors copy the text, so
// that text need not live on the heap.
func parseValue(name, text string) (value, error) {
	switch {
	case strings.EqualFold(text, "null"):
		return value{kind: null}, nil
	case text == "":
		return value{}, malformed(name, text)
	case isPrefix(text, "true"), isPrefix(text, "yes"), strings.EqualFold(text, "on"):
		return boolValue(true), nil
	case isPrefix(text, "false"), isPrefix(text, "no"), strings.EqualFold(text, "off"), strings.EqualFold(text, "of"):
		return boolValue(false), nil
	}
	trimmed := strings.TrimLeft(text, " \t\n\v\f\r")
	if looksInt(trimmed) {
		i, err := strconv.ParseInt(trimmed, 10, 64)
		if err != nil {
			return value{}, errors.New("value " + strconv.Quote(text) + " is out of range for type bigint")
		}
		return intValue(i), nil
	}
	f, err := strconv.ParseFloat(trimmed, 64)
	if err != nil || strings.Contains(trimmed, "_") {
		return value{}, malformed(name, text)
	}
	return doubleValue(f), nil
}

func malformed(name, text string) error {
	return errors.New("malformed variable " + strconv.Quote(name) + " value: " + strconv.Quote(text))
}

// isPrefix tells whether text is the beginning of word, in any case.
func isPrefix(text, word string) bool {
	return len(text) <= len(word) && strings.EqualFold(text, word[:len(text)])
}

func looksInt(s string) bool {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s != "" && strings.Trim(s, "0123456789") == ""
}
