package probe

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Files is how a machine's files are read: the real ones, a tree in a test, or those of a host that only its server can
// read. Names are absolute with slashes, as the machine itself would write them.
type Files interface {
	ReadFile(name string) ([]byte, error)
	ReadDir(name string) ([]string, error)
	ReadLink(name string) (string, error)
}

// Dir is a tree of files below a directory; Dir("") is this machine.
type Dir string

// ReadFile reads a whole file.
func (d Dir) ReadFile(name string) ([]byte, error) { return os.ReadFile(d.at(name)) }

// ReadLink reads where a symbolic link points to.
func (d Dir) ReadLink(name string) (string, error) { return os.Readlink(d.at(name)) }

// ReadDir lists the names in a directory, sorted.
func (d Dir) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(d.at(name))
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

func (d Dir) at(name string) string { return string(d) + filepath.FromSlash(name) }

// Env is where a host is read. No file is read in this package but through it.
type Env struct {
	Files Files
	// MountID says on which mount a directory lies, as mountinfo numbers them; nil where it cannot be had.
	MountID func(dir string) (string, bool)
	// Usage is the size and the free space of a directory's file system; nil where it cannot be had.
	Usage func(dir string) (total, free Fact[int64])
	// Pool is what zpool status -LP says of a ZFS pool; nil where it cannot be asked.
	Pool func(name string) (string, error)
	// Metadata is the address of the cloud's metadata service, which is asked on request only.
	Metadata string
	// Self is the process that stands for the server where no postmaster is known: "self".
	Self string
}

// RealEnv is this machine.
func RealEnv() Env {
	return Env{Files: Dir(""), MountID: mountID, Usage: Usage, Pool: poolStatus, Metadata: metadataService, Self: "self"}
}

// text reads a small file without the blanks around it. The state says why there is none.
func (e Env) text(name string) (string, State) {
	data, err := e.Files.ReadFile(name)
	if err != nil {
		return "", stateOf(err)
	}
	return strings.TrimSpace(string(data)), Known
}

func stateOf(err error) State {
	if errors.Is(err, fs.ErrPermission) {
		return Denied
	}
	return Absent
}

// textFact is the text of a file as a fact; an empty file is implausible.
func (e Env) textFact(name string) Fact[string] {
	s, state := e.text(name)
	if state == Known && s == "" {
		state = Implausible
	}
	return Fact[string]{Value: s, State: state, Source: name}
}

// number reads a file that holds one whole number; anything else is implausible, never 0.
func number[T int | int64](e Env, name string) Fact[T] {
	s, state := e.text(name)
	f := Fact[T]{State: state, Source: name}
	if state != Known {
		return f
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || int64(T(v)) != v {
		f.State = Implausible
		return f
	}
	f.Value = T(v)
	return f
}

// bracketed reads the value in force of a file such as "always [madvise] never".
func (e Env) bracketed(name string) Fact[string] {
	f := e.textFact(name)
	if f.State != Known {
		return f
	}
	_, rest, open := strings.Cut(f.Value, "[")
	value, _, closed := strings.Cut(rest, "]")
	if !open || !closed {
		return Fact[string]{State: Implausible, Source: name}
	}
	f.Value = value
	return f
}

// field reads one line "name: value" of a file such as /proc/PID/status.
func (e Env) field(name, key string) (string, State) {
	s, state := e.text(name)
	if state != Known {
		return "", state
	}
	for line := range strings.Lines(s) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v), Known
		}
	}
	return "", Absent
}

// variables reads lines NAME=value, as uevent files have them.
func (e Env) variables(name string) map[string]string {
	s, _ := e.text(name)
	out := map[string]string{}
	for line := range strings.Lines(s) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			out[k] = v
		}
	}
	return out
}

func (e Env) exists(name string) bool {
	_, err := e.Files.ReadDir(name)
	return err == nil
}

func procFile(pid, name string) string { return path.Join("/proc", pid, name) }

// cpuList reads a list of CPUs or nodes such as 0-3,8; false for anything else.
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

// listFact reads a file with such a list.
func (e Env) listFact(name string) Fact[map[int]bool] {
	s, state := e.text(name)
	f := Fact[map[int]bool]{State: state, Source: name}
	if state != Known {
		return f
	}
	var ok bool
	if f.Value, ok = cpuList(s); !ok {
		f.State = Implausible
	}
	return f
}
