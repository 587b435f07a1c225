package patch

import (
	"slices"
	"strconv"
)

// Expect is what pg_settings has to show on a server that was started with the patched files and nothing else.
type Expect struct {
	Name, Setting string
}

// computed are settings for which the server puts a value of its own in the place of -1 or 0.
var computed = map[string]string{
	"wal_buffers": "-1", "io_max_concurrency": "-1", "transaction_buffers": "0", "subtransaction_buffers": "0", "commit_timestamp_buffers": "0",
}

// Expected lists what to check after a start, leaving out changes that the diff does not make and settings of modules
// that the server did not have loaded.
func (p Patch) Expected() []Expect {
	var all []Expect
	for _, a := range p.Applied {
		if a.Known && a.File != "" && computed[a.Name] != a.Setting {
			all = append(all, Expect{a.Name, a.Setting})
		}
	}
	return all
}

// NotInForce names what a server that was started with the patched files does not have as expected, with its values by name.
// What the patch itself says is shadowed does not count.
func (p Patch) NotInForce(settings map[string]string) []Expect {
	var all []Expect
	for _, e := range p.Expected() {
		shadowed := slices.ContainsFunc(p.Shadowed, func(s Shadow) bool { return s.Name == e.Name })
		if !shadowed && !e.Met(settings[e.Name]) {
			all = append(all, e)
		}
	}
	return all
}

// Met tells whether pg_settings.setting is what was expected. wal_compression = on is shown as pglz from 15 on.
func (e Expect) Met(setting string) bool {
	if e.Setting == setting || e.Name == "wal_compression" && e.Setting == "on" && setting == "pglz" {
		return true
	}
	a, errA := strconv.ParseFloat(e.Setting, 64)
	b, errB := strconv.ParseFloat(setting, 64)
	return errA == nil && errB == nil && a == b
}

func greater(a, b string) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x > y
}
