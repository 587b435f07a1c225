package compare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
	"pgfit/workload/rundoc"
)

// alike tells whether the runs can be paired by round: the same seed, pool sizes, scenarios and number of rounds, and so
// the same order of visits.
func alike(a, b *rundoc.Document) bool {
	return a.Plan.Seed == b.Plan.Seed && a.Plan.Rounds == b.Plan.Rounds && slices.Equal(a.Plan.Levels, b.Plan.Levels) && slices.Equal(a.Plan.Scenarios, b.Plan.Scenarios)
}

// sameData is how far the amounts of data may differ and still be called the same.
const sameData = 0.02

// differences are the facts that a ratio may come from, beside what was meant to be compared.
func differences(a, b *rundoc.Document) []Difference {
	out := []Difference{}
	add := func(what, x, y string) {
		if x != y {
			out = append(out, Difference{what, x, y})
		}
	}
	add("pgfit", a.Version, b.Version)
	add("scenarios", strings.Join(a.Plan.Scenarios, ", "), strings.Join(b.Plan.Scenarios, ", "))
	for _, name := range a.Plan.Scenarios {
		if slices.Contains(b.Plan.Scenarios, name) {
			add("pool sizes of "+name, poolSizes(a, name), poolSizes(b, name))
		}
	}
	add("PostgreSQL", a.Facts.Server.Version, b.Facts.Server.Version)
	add("driver", a.Plan.Driver, b.Plan.Driver)
	add("protocol", a.Plan.Protocol, b.Plan.Protocol)
	add("seconds measured a visit", seconds(a), seconds(b))
	if x, y := float64(a.Plan.DataBytes), float64(b.Plan.DataBytes); x > y*(1+sameData) || y > x*(1+sameData) {
		add("bytes of data", strconv.FormatInt(a.Plan.DataBytes, 10), strconv.FormatInt(b.Plan.DataBytes, 10))
	}
	cpus := func(d *rundoc.Document) string {
		v, ok := d.Facts.Host.CPU.Effective.Get()
		return known(v, ok)
	}
	memory := func(d *rundoc.Document) string {
		v, ok := d.Facts.Host.Memory.Budget.Get()
		return known(float64(v), ok)
	}
	add("processors", cpus(a), cpus(b))
	add("bytes of memory", memory(a), memory(b))
	x, y := a.Facts.Server.Settings, b.Facts.Server.Settings
	names := append(x.Names(), y.Names()...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !ownPlace[name] {
			add(name, setting(x[name].Value, x[name].Unit), setting(y[name].Value, y[name].Unit))
		}
	}
	return out
}

// poolSizes are those that a sweep visited.
func poolSizes(d *rundoc.Document, scenario string) string {
	var sizes []int
	for _, v := range d.Visits {
		if v.Phase == "B" && v.Scenario == scenario && v.Side == "" && !slices.Contains(sizes, v.PoolSize) {
			sizes = append(sizes, v.PoolSize)
		}
	}
	slices.Sort(sizes)
	words := make([]string, len(sizes))
	for i, n := range sizes {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ", ")
}

// ownPlace are settings that differ between any two scratch servers.
var ownPlace = map[string]bool{
	"data_directory": true, "config_file": true, "hba_file": true, "ident_file": true, "unix_socket_directories": true, "external_pid_file": true,
	"port": true, "log_directory": true, "application_name": true, "cluster_name": true,
}

func setting(value, unit string) string {
	if unit == "" || value == "" {
		return value
	}
	return value + " x " + unit
}

func seconds(d *rundoc.Document) string {
	return strconv.FormatFloat(d.Plan.MeasureSeconds, 'g', 4, 64)
}

func known(v float64, ok bool) string {
	if !ok {
		return "unknown"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// findings are the refusals that either run has on its own.
func findings(a, b *rundoc.Document) []advisor.Finding {
	var out []advisor.Finding
	for _, side := range []struct {
		name string
		doc  *rundoc.Document
	}{{"A", a}, {"B", b}} {
		for _, f := range capacity.Doubts(side.doc) {
			if f.Code == "R2" {
				continue
			}
			f.Text = side.name + ": " + f.Text
			out = append(out, f)
		}
		if side.doc.Partial != "" {
			out = append(out, advisor.Finding{Code: "partial", Text: fmt.Sprintf("%s ended early: %s", side.name, side.doc.Partial), Lift: "run it to its end"})
		}
	}
	return out
}
