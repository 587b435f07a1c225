package report

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgfit/probe"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

// TestProbePage prints the facts of a real small guest, its disk measured, with something added to each list. The page must
// say that the medium is unknown and give the latencies.
func TestProbePage(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "probe", "virtio.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc probe.Document
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		file     string
		markdown bool
	}{{"virtio.txt", false}, {"virtio.md", true}} {
		var got strings.Builder
		if err := Probe(&got, doc.Facts, tc.markdown); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "probe", tc.file)
		if *updateGolden {
			if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || got.String() != string(want) {
			t.Errorf("%s differs (%v):\n%s", tc.file, err, got.String())
		}
	}
}

// TestProbeRemote: of a server elsewhere there is a page too, with what could not be read left out or named.
func TestProbeRemote(t *testing.T) {
	f := probe.Facts{SameHost: probe.Is(false, "no server process on this host"), Server: probe.Server{Version: "18.4", Settings: nil}}
	f.Server.ConfigFile = probe.Fact[string]{State: probe.Denied, Source: "pg_settings"}
	var got strings.Builder
	if err := Probe(&got, f, false); err != nil {
		t.Fatal(err)
	}
	plain := strings.Join(strings.Fields(got.String()), " ")
	for _, want := range []string{"server on this host no known", "version PostgreSQL 18.4", "configuration file may not be read denied"} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q in\n%s", want, got.String())
		}
	}
	if strings.Contains(got.String(), "kernel") {
		t.Errorf("an empty table in\n%s", got.String())
	}
}
