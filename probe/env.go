package probe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Env is where the host is read: the real one, or a tree of text files in a test. No path in this package is absolute
// otherwise.
type Env struct {
	Proc, Sys string
}

// RealEnv is this machine.
func RealEnv() Env { return Env{Proc: "/proc", Sys: "/sys"} }

func (e Env) proc(parts ...string) string {
	return filepath.Join(append([]string{e.Proc}, parts...)...)
}
func (e Env) sys(parts ...string) string { return filepath.Join(append([]string{e.Sys}, parts...)...) }

// text reads a small file without the blanks around it. The state says why there is none.
func text(path string) (string, State) {
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		return strings.TrimSpace(string(data)), Known
	case errors.Is(err, fs.ErrPermission):
		return "", Denied
	}
	return "", Absent
}

// textFact is the text of a file as a fact.
func textFact(path string) Fact[string] {
	s, state := text(path)
	return Fact[string]{Value: s, State: state, Source: path}
}

// intFact is a file that holds one whole number; anything else is implausible, never 0.
func intFact[T int | int64](path string) Fact[T] {
	s, state := text(path)
	f := Fact[T]{State: state, Source: path}
	if state != Known {
		return f
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f.State = Implausible
		return f
	}
	f.Value = T(v)
	return f
}

// meminfo reads /proc/meminfo; values are in bytes, except counts, which have no unit.
func (e Env) meminfo() map[string]int64 {
	s, _ := text(e.proc("meminfo"))
	out := map[string]int64{}
	for line := range strings.Lines(s) {
		name, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if !ok || len(fields) == 0 {
			continue
		}
		v, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			continue
		}
		if len(fields) > 1 && fields[1] == "kB" {
			v <<= 10
		}
		out[name] = v
	}
	return out
}

// cpuList counts the CPUs of a list such as 0-3,8; false for anything else.
func cpuList(s string) (map[int]bool, bool) {
	set := map[int]bool{}
	if s == "" {
		return set, false
	}
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(lo)
		b := a
		if isRange && err == nil {
			b, err = strconv.Atoi(hi)
		}
		if err != nil || a < 0 || b < a || b > 1<<16 {
			return nil, false
		}
		for n := a; n <= b; n++ {
			set[n] = true
		}
	}
	return set, true
}
