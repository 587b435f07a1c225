package advisor

import (
	"strings"
	"testing"

	"pgfit/workload/rundoc"
)

func TestJudgeStart(t *testing.T) {
	values := map[string]string{"work_mem": "8MB"}
	for _, tc := range []struct {
		name   string
		done   *rundoc.StartCheck
		values map[string]string
		result string
		text   string
	}{
		{"nothing to change", nil, nil, StartNotDone, "not start-checked: there is nothing to change"},
		{"nobody tried", nil, values, StartNotDone, "--start-check"},
		{"other values", &rundoc.StartCheck{Version: "15.18", Values: map[string]string{"work_mem": "9MB"}}, values, StartNotDone, "other values"},
		{"no binaries", &rundoc.StartCheck{Values: values, NotDone: "no server binaries of PostgreSQL 17 found"}, values, StartNotDone, "not start-checked: no server binaries of PostgreSQL 17 found; names, ranges"},
		{"refused", &rundoc.StartCheck{Version: "15.18", Values: values, Failure: "FATAL:  no"}, values, StartFailed, "start check failed on 15.18: FATAL:  no"},
		{"passed", &rundoc.StartCheck{Version: "15.18", Values: values}, values, StartPassed, "start-checked on 15.18: it starts"},
		{"passed on another minor", &rundoc.StartCheck{Version: "15.4", Values: values}, values, StartPassed, "start-checked on 15.4 (the target runs 15.18)"},
		{"passed in part", &rundoc.StartCheck{Version: "15.18", Values: values, NotChecked: []string{"huge_pages", "ssl"}}, values, StartPassed,
			"every value is in force; not checked: huge_pages, ssl"},
		{"passed without a value", &rundoc.StartCheck{Version: "15.18", Values: values, NotChecked: []string{"work_mem"}}, values, StartPassed,
			"every other value is in force; not checked: work_mem"},
		{"passed with less", &rundoc.StartCheck{Version: "15.18", Values: values, Reduced: true}, values, StartPassed, "smaller shared_buffers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := JudgeStart(tc.done, tc.values, "15.18")
			if got.Result != tc.result || !strings.Contains(got.Text, tc.text) {
				t.Errorf("JudgeStart = %+v, want %s: ...%s...", got, tc.result, tc.text)
			}
		})
	}
}
