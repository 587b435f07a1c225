package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"pgfit/report"
	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
)

// trialBar shows how a verification goes on: a bar on a terminal, a line for each comparison elsewhere, nothing when quiet.
type trialBar struct {
	app *app
	mu  sync.Mutex // rows are loaded by several goroutines
	bar *progressbar.ProgressBar
	at  string
}

func (a *app) trialBar() *trialBar {
	b := &trialBar{app: a}
	if !a.quiet && isTerminal(a.stderr) {
		b.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetWidth(24), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionUseANSICodes(true))
	}
	return b
}

// step begins something new.
func (b *trialBar) step(text string) {
	b.at = text
	if b.bar != nil {
		b.bar.Describe(text)
		_ = b.bar.Set64(0)
		return
	}
	b.app.say("%s", text)
}

// say writes a line above the bar.
func (b *trialBar) say(format string, args ...any) {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
	b.app.say(format, args...)
}

func (b *trialBar) loading(done, total int64) { b.set(done, total) }

func (b *trialBar) visited(v rundoc.TrialVisit, done, total int) {
	b.set(int64(done), int64(total))
	if b.bar != nil {
		b.bar.Describe(fmt.Sprintf("%s: %s, %s TPS", b.at, v.Scenario, report.Rate(v.TPS)))
	}
}

func (b *trialBar) set(done, total int64) {
	if b.bar == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bar.ChangeMax64(total)
	_ = b.bar.Set64(done)
}

func (b *trialBar) live(p engine.Progress) {
	if b.bar != nil && !p.Warm {
		b.bar.Describe(fmt.Sprintf("%s: %s TPS, p99 %s", b.at, report.Rate(p.TPS), report.Seconds(p.P99.Seconds())))
	}
}

func (b *trialBar) end() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}
