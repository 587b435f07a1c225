package prune

import (
	"fmt"
	"strings"

	"pgfit/advisor/budget"
	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/workload/rundoc"
)

// Crowded says that two servers side by side do not fit the machine's memory, "" when they do: each with so many bytes of
// data in the page cache and in shared_buffers, or, where limit is not 0, each within its limit. Only one is under load at a
// time, but the other keeps its shared_buffers, while its part of the page cache goes: whoever has the larger
// shared_buffers would look better than it is.
func Crowded(v *rundoc.Verification, f probe.Facts, bytes, limit int64) string {
	memory, known := machine(f)
	if same, ok := f.SameHost.Get(); !known || !ok || !same || v.Mode != rundoc.ModeScratch {
		return ""
	}
	need, what, mend := 2*limit, "servers of "+megabytes(limit), "a smaller --scratch-memory gives each its share"
	if limit == 0 {
		need = 2*bytes + min(bytes, buffers(v, f, false)) + min(bytes, buffers(v, f, true))
		what, mend = "servers with "+megabytes(bytes)+" of data each", "a smaller --data-size, or as root --scratch-memory "+megabytes(memory/5*2)+", gives each its share"
	}
	if need <= memory {
		return ""
	}
	return fmt.Sprintf("two %s do not fit this machine's memory of %s side by side: the one that waits loses page cache and keeps its shared_buffers, which favours the larger shared_buffers; %s",
		what, megabytes(memory), mend)
}

// machine is the memory that both servers share: what a run saw as its budget, unless that was its scratch server's own limit.
func machine(f probe.Facts) (int64, bool) {
	if b := f.Host.Memory.Budget; b.OK() && !strings.Contains(b.Source, "pgfit-scratch-") {
		return b.Value, true
	}
	return f.Host.Memory.Total.Get()
}

// buffers are the bytes of shared_buffers, with the patch or without.
func buffers(v *rundoc.Verification, f probe.Facts, patched bool) int64 {
	settings := f.Server.Settings
	for _, p := range v.Patch {
		if value, err := settings[p.Name].Parse(p.Value); err == nil && patched && p.Name == "shared_buffers" {
			settings = budget.Overlay(settings, map[string]string{p.Name: value})
		}
	}
	b, _ := settings.Bytes("shared_buffers")
	return b
}

func megabytes(b int64) string { return guc.FormatBytes(b >> 20 << 20) }
