package scenario

import (
	"errors"
	"os"
	"strings"
	"testing"

	"pgfit/profiles"
)

// TestProfiles loads every built-in scenario and its data set.
func TestProfiles(t *testing.T) {
	names := Names(profiles.FS)
	for _, want := range []string{"read-heavy", "write-heavy", "mixed", "read-only", "tpcb", "analytic"} {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+want+" ") {
			t.Errorf("scenario %s is missing", want)
		}
	}
	for _, name := range names {
		sc, ds, err := Load(profiles.FS, name, os.ReadFile)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if sc.Name != name || sc.Title == "" || sc.Source == "" || ds.Source == "" {
			t.Errorf("%s: name %q, title %q, source %q, data set's source %q", name, sc.Name, sc.Title, sc.Source, ds.Source)
		}
	}
}

func TestRefuses(t *testing.T) {
	const good = "name: a\ndataset: shop\nclass: read\ntransactions: [{name: x, weight: 1, script: \"SELECT 1;\"}]\n"
	if _, err := Parse("good", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "empty file"},
		{"unknown key", good + "colour: blue\n", "colour"},
		{"no transactions", "name: a\ndataset: shop\nclass: read\n", "no transactions"},
		{"weight 0", strings.Replace(good, "weight: 1", "weight: 0", 1), "weight"},
		{"unknown class", strings.Replace(good, "class: read", "class: fast", 1), "class"},
		{"bad script", strings.Replace(good, "SELECT 1;", `\\set x 1 +`, 1), "x:1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("f", []byte(tc.text))
			if !errors.Is(err, ErrProfile) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Parse = %v, want %q", err, tc.want)
			}
		})
	}
	const table = "name: d\nunit_bytes: 10\ntables: [{name: t, rows: 1, columns: [{name: c, type: bigint, gen: serial}]}]\n"
	if _, err := ParseDataset("good", []byte(table)); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{"serial", "magic"}, {"bigint", "money"}, {"name: t", "name: 't; DROP'"}, {"gen: serial", "gen: ref, ref: nobody"}, {"rows: 1", "rows: -1"}} {
		if _, err := ParseDataset("f", []byte(strings.Replace(table, change[0], change[1], 1))); !errors.Is(err, ErrProfile) {
			t.Errorf("%s is taken: %v", change[1], err)
		}
	}
}
