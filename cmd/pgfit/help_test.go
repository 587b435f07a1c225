package main

import (
	"strings"
	"testing"
)

// The help of a command lists the exit codes that it gives, and no other.
func TestHelpExits(t *testing.T) {
	for command, want := range map[string]string{
		"run": "012345", "report": "012", "fit": "012", "plan": "01245", "compare": "0124", "audit": "01234", "config show": "012", "probe": "0123",
	} {
		_, stdout, _ := pgfit(append(strings.Fields(command), "--help")...)
		_, list, _ := strings.Cut(stdout, "Exit codes:")
		got := ""
		for _, part := range strings.Split(strings.ReplaceAll(list, "\n", "  "), "  ") {
			if part = strings.TrimSpace(part); part != "" && part[:2] != "13" {
				got += part[:1]
			}
		}
		if got != want || strings.Count(stdout, "Exit codes:") != 1 {
			t.Errorf("%s: exit codes %s, want %s", command, got, want)
		}
	}
}

func TestVersionFlag(t *testing.T) {
	_, command, _ := pgfit("version")
	code, flag, _ := pgfit("--version")
	if code != exitDone || flag != command || !strings.HasPrefix(flag, "pgfit ") {
		t.Errorf("--version: exit %d, %q; version: %q", code, flag, command)
	}
}
