package profiles

import (
	"strings"
	"testing"

	"pgfit/probe/guc"
)

func TestGuide(t *testing.T) {
	g, err := Guide()
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Memory) != 2 || len(g.Storage) != 2 || len(g.Load) != 3 || len(g.Traffic) != 4 || len(g.Pools) != 3 {
		t.Errorf("tables are missing: %d memory, %d storage, %d load, %d traffic, %d pools", len(g.Memory), len(g.Storage), len(g.Load), len(g.Traffic), len(g.Pools))
	}
	all := g.Always
	for _, m := range g.Memory {
		if _, err := guc.ParseBytes(m.RAM); err != nil || m.Source == "" {
			t.Errorf("%s: %v, source %q", m.Name, err, m.Source)
		}
		all = append(all, m.Settings...)
	}
	for _, s := range g.Storage {
		all = append(all, s.Settings...)
	}
	for _, l := range g.Load {
		all = append(all, l.Settings...)
	}
	for major := guc.OldestMajor; major <= guc.NewestMajor; major++ {
		server, err := guc.Catalogue(major)
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range all {
			if _, err := server[set.Name].Parse(set.Value); err != nil || !server.Has(set.Name) || set.Source == "" {
				t.Errorf("%d: %s = %q: %v, source %q", major, set.Name, set.Value, err, set.Source)
			}
		}
	}
}

func TestGuideRefusesUnknownFields(t *testing.T) {
	if _, err := decodeGuide([]byte("version: 1\nmemroy: []\n")); err == nil || !strings.Contains(err.Error(), "memroy") {
		t.Errorf("decodeGuide took an unknown field: %v", err)
	}
}

func TestGuideExample(t *testing.T) {
	g, err := Guide()
	if err != nil {
		t.Fatal(err)
	}
	e := g.Example
	if got := float64(e.MaxConcurrent) * e.AvgQueryTime / e.RequestDuration; got != float64(e.ConnectionsNeeded) {
		t.Errorf("the example comes to %v, want %d", got, e.ConnectionsNeeded)
	}
	for _, tc := range []struct {
		rps  float64
		want int
	}{{0, 5}, {9.9, 5}, {10, 10}, {50, 20}, {199, 20}, {200, 20}, {5000, 30}} {
		if row, ok := g.TrafficFor(tc.rps); !ok || row.PoolSize != tc.want {
			t.Errorf("TrafficFor(%v) = %+v, want pool_size %d", tc.rps, row, tc.want)
		}
	}
}
