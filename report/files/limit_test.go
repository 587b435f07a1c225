package files

import (
	"testing"

	"pgfit/probe"
)

func TestLimit(t *testing.T) {
	known := func(v int64) probe.Fact[int64] { return probe.Is(v, "test") }
	given := probe.Fact[int64]{Value: 8, State: probe.Given, Source: "--ram"}
	for name, tt := range map[string]struct {
		m    probe.Memory
		want int64
	}{
		"all of the machine":   {probe.Memory{Total: known(64), Budget: known(64)}, 0},
		"a control group":      {probe.Memory{Total: known(64), CgroupMax: known(16), Budget: known(16)}, 16},
		"a group without bite": {probe.Memory{Total: known(64), CgroupMax: known(128), Budget: known(64)}, 0},
		"a person's word":      {probe.Memory{Total: known(64), CgroupMax: known(16), Budget: given}, 8},
		"nothing known":        {probe.Memory{}, 0},
	} {
		if got := limit(tt.m); got != tt.want {
			t.Errorf("%s: limit %d, want %d", name, got, tt.want)
		}
	}
}
