package files_test

import (
	"strings"
	"testing"

	"pgfit/advisor/advise"
	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/report/files"
	"pgfit/workload/rundoc"
)

// TestApplying: where postgresql.conf was not read, the report ends with what the new file needs; where it was, advice.json names
// the directory that the patch is for.
func TestApplying(t *testing.T) {
	settings, err := guc.Catalogue(15)
	if err != nil {
		t.Fatal(err)
	}
	const told = "before the patch is applied"
	for _, tc := range []struct {
		name   string
		main   string
		report []string
		dir    string
	}{
		{"unseen", "", []string{told, "the new file conf.d/90-pgfit.conf", "include_dir = 'conf.d'"}, ""},
		{"read", "/srv/pg/postgresql.conf", nil, `"patch_directory": "/srv/pg"`},
	} {
		doc := &rundoc.Document{Version: "test", Target: "postgresql://app@db/app"}
		doc.Facts.Server = probe.Server{Version: "15.18", VersionNum: 150018, Settings: settings}
		doc.Facts.Host.OS = "linux"
		doc.Facts.Host.Memory.Budget, doc.Facts.Host.CPU.Effective = probe.Is(32*gB, "test"), probe.Is(8., "test")
		if tc.main != "" {
			doc.Facts.Server.ConfigFile = probe.Is(tc.main, "test")
			doc.Files = []rundoc.File{{Path: tc.main, Text: "max_connections = 100\n"}}
		}
		advice, err := advise.FromFacts(doc, advise.Options{Dedicated: true})
		if err != nil {
			t.Fatal(err)
		}
		all, err := files.All(doc, advice)
		if err != nil {
			t.Fatal(err)
		}
		text := map[string]string{}
		for _, f := range all {
			text[f.Name] = string(f.Data)
		}
		for _, want := range tc.report {
			if !strings.Contains(text["report.md"], want) {
				t.Errorf("%s: the report does not say %q", tc.name, want)
			}
		}
		if tc.report == nil && strings.Contains(text["report.md"], told) {
			t.Errorf("%s: the report says %q", tc.name, told)
		}
		if has := strings.Contains(text["advice.json"], "patch_directory"); has != (tc.dir != "") || !strings.Contains(text["advice.json"], tc.dir) {
			t.Errorf("%s: patch_directory: %v, want %s", tc.name, has, tc.dir)
		}
	}
}
