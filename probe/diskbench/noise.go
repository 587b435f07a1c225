package diskbench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// The machine is quiet with this share of its CPUs idle or waiting, and this much I/O pressure (percent of the last 10 s).
const (
	quietIdle     = 0.85
	quietPressure = 5.0
)

// gate waits for a quiet moment for at most limit: a busy machine may never be quiet, so it is measured anyway and marked.
// Where the kernel does not say how busy it is, nothing is known against it.
func gate(ctx context.Context, limit time.Duration, say func(string)) (noisy bool, idle float64) {
	for begun, first := time.Now(), true; ; first = false {
		a, known := cpuTimes()
		select {
		case <-ctx.Done():
			return true, idle
		case <-time.After(limit / 4):
		}
		b, _ := cpuTimes()
		if !known {
			return false, 0
		}
		idle = 1 - float64(b.busy-a.busy)/float64(max(1, b.all-a.all))
		pressure := ioPressure()
		if idle >= quietIdle && pressure < quietPressure {
			return false, idle
		}
		if first && say != nil {
			say(fmt.Sprintf("the machine is busy (%.0f %% of its CPUs idle, tasks waited for I/O in %.0f %% of the last 10 s): waiting a moment to measure the disk", 100*idle, pressure))
		}
		if time.Since(begun) >= limit {
			return true, idle
		}
	}
}

type ticks struct{ busy, all int64 }

// cpuTimes reads the first line of /proc/stat: user nice system idle iowait irq softirq steal.
func cpuTimes() (t ticks, ok bool) {
	text, err := os.ReadFile("/proc/stat")
	fields := strings.Fields(strings.SplitN(string(text), "\n", 2)[0])
	if err != nil || len(fields) < 9 {
		return t, false
	}
	for i, f := range fields[1:9] {
		v, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return t, false
		}
		t.all += v
		if i != 3 && i != 4 {
			t.busy += v
		}
	}
	return t, true
}

// ioPressure is "some avg10" of /proc/pressure/io, 0 where there is none.
func ioPressure() float64 {
	text, _ := os.ReadFile("/proc/pressure/io")
	_, rest, _ := strings.Cut(string(text), "avg10=")
	value, _, _ := strings.Cut(rest, " ")
	v, _ := strconv.ParseFloat(value, 64)
	return v
}
