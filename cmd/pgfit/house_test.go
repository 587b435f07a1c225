package main

import (
	"os/exec"
	"strings"
	"testing"
)

// may says which folder of the house may use which, and which libraries live in one folder only.
var may = map[string][]string{
	"cmd": {"report", "advisor", "workload", "probe", "profiles"}, "report": {"advisor", "workload", "probe", "profiles"},
	"advisor": {"workload", "probe", "profiles"}, "workload": {"probe"}, "probe": nil, "profiles": nil,
}

var home = map[string]string{
	"github.com/shirou/gopsutil": "probe", "github.com/olekukonko/tablewriter": "report", "github.com/spf13/": "cmd", "gonum.org/": "advisor",
}

// TestHouse: dependencies point one way.
func TestHouse(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "pgfit/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from := folder(fields[0])
		for _, imp := range fields[1:] {
			if to := folder(imp); to != "" && to != from && !strings.Contains(" "+strings.Join(may[from], " ")+" ", " "+to+" ") {
				t.Errorf("%s uses %s: %s must not use %s", fields[0], imp, from, to)
			}
			for lib, where := range home {
				if strings.HasPrefix(imp, lib) && from != where {
					t.Errorf("%s uses %s, which belongs to %s alone", fields[0], imp, where)
				}
			}
		}
	}
}

// folder is the top folder of one of our packages, "" for others.
func folder(path string) string {
	rest, ok := strings.CutPrefix(path, "pgfit/")
	if !ok {
		return ""
	}
	top, _, _ := strings.Cut(rest, "/")
	return top
}
