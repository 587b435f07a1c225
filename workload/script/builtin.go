package script

import (
	"fmt"
	"strconv"
	"strings"
)

// builtins are pgbench's own scripts (pgbench --show-script), in its order.
var builtins = []struct{ name, src string }{
	{"tpcb-like", random4 + "BEGIN;\n" + account +
		"UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;\n" +
		"UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;\n" + history + "END;\n"},
	{"simple-update", random4 + "BEGIN;\n" + account + history + "END;\n"},
	{"select-only", "\\set aid random(1, 100000 * :scale)\n" +
		"SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"},
}

const (
	random4 = "\\set aid random(1, 100000 * :scale)\n\\set bid random(1, 1 * :scale)\n" +
		"\\set tid random(1, 10 * :scale)\n\\set delta random(-5000, 5000)\n"
	account = "UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;\n" +
		"SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"
	history = "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)" +
		" VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);\n"
)

// Builtin is a script of pgbench's own, by its name or an unambiguous beginning of it, as -b takes it.
func Builtin(name string) (*Script, bool) {
	found := -1
	for i, b := range builtins {
		if strings.HasPrefix(b.name, name) {
			if found >= 0 {
				return nil, false
			}
			found = i
		}
	}
	if found < 0 {
		return nil, false
	}
	s, err := Parse(builtins[found].name, builtins[found].src, Options{})
	return s, err == nil
}

// Builtins names pgbench's own scripts.
func Builtins() []string {
	var names []string
	for _, b := range builtins {
		names = append(names, b.name)
	}
	return names
}

// ParseWeighted splits FILE@WEIGHT, as -f and -b take it, at its last @. Without one the weight is 1; it is a whole
// number from 0 to 2147483647.
func ParseWeighted(arg string) (file string, weight int, err error) {
	at := strings.LastIndexByte(arg, '@')
	if at < 0 {
		return arg, 1, nil
	}
	n, err := strconv.ParseInt(arg[at+1:], 10, 32)
	switch {
	case err != nil && n == 0:
		return "", 0, fmt.Errorf("invalid weight specification: %s", arg[at:])
	case err != nil || n < 0:
		return "", 0, fmt.Errorf("weight specification out of range (0 .. 2147483647): %s", arg[at+1:])
	}
	return arg[:at], int(n), nil
}
