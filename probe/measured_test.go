package probe

import (
	"slices"
	"strings"
	"testing"
)

// TestMeasured: what the figures say becomes evidence and warnings; the class stays what identity says, whatever the flag.
func TestMeasured(t *testing.T) {
	quiet := DiskBench{Direct: true, FdatasyncP50: 130e-6, SeqWriteRate: 1e9, Random: []DepthRate{{Depth: 8, P50: 100e-6}, {Depth: 1, P50: 63e-6}}}
	for _, tc := range []struct {
		name     string
		class    Class
		edit     func(*DiskBench, *Facts)
		evidence string
		codes    []string
	}{
		{name: "a virtual disk that says it rotates", class: UnknownClass, evidence: "63µs, fast like local flash"},
		{name: "a cache in the path", class: NVMe, edit: func(b *DiskBench, _ *Facts) { b.Random[1].P50 = 9e-6; b.FdatasyncP50 = 12e-6 }, evidence: "a cache answers", codes: []string{"volatile-cache"}},
		{name: "network", class: Network, edit: func(b *DiskBench, _ *Facts) { b.Random[1].P50 = 700e-6 }, evidence: "like network", codes: []string{"credits"}},
		{name: "network that lasts", class: Network, edit: func(b *DiskBench, _ *Facts) { b.Lasting = lasted(3000, 3000, 2900) }, codes: []string{"credits"}},
		{name: "network whose burst ends", class: Network, edit: func(b *DiskBench, _ *Facts) { b.Lasting = lasted(3000, 3000, 300) }, codes: []string{"not-lasting"}},
		{name: "a volume that loads at first reading", class: UnknownClass, edit: func(b *DiskBench, _ *Facts) { b.Lasting = lasted(300, 900, 3000) }, codes: []string{"not-lasting"}},
		{name: "one slow part is no change", class: NVMe, edit: func(b *DiskBench, _ *Facts) { b.Lasting = lasted(3000, 100, 3000) }},
		{name: "a rotating disk behind a controller", class: HDD, edit: func(b *DiskBench, _ *Facts) { b.Random[1].P50 = 8e-3 }, evidence: "rotating disk", codes: []string{"not-a-bare-disk"}},
		{name: "everything doubtful", class: SSD, edit: func(b *DiskBench, f *Facts) {
			b.CachedBelow, b.Noisy, b.Direct = true, true, false
			f.Host.DirtyBgBytes = Is(int64(6e9), "test")
		}, evidence: "63µs", codes: []string{"cached-below", "noisy-disk", "no-direct-io", "dirty-limit"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := quiet
			b.Random = slices.Clone(quiet.Random)
			f := Facts{Storage: []Storage{{Role: "data_directory", Class: tc.class, Leaves: []Disk{{Name: "vda", Rotational: Is(1, "test")}}}}, Warnings: []Warning{{Code: "unknown-medium", Text: "what data_directory lies on"}}}
			if tc.edit != nil {
				tc.edit(&b, &f)
			}
			f.Measured("data_directory", &b)
			var codes []string
			for _, w := range f.Warnings {
				codes = append(codes, w.Code)
			}
			if !slices.Equal(codes, tc.codes) {
				t.Errorf("warnings %v, want %v", codes, tc.codes)
			}
			if s := f.Storage[0]; s.Class != tc.class || s.Bench == nil || !strings.Contains(strings.Join(s.Evidence, "; "), tc.evidence) {
				t.Errorf("class %s, evidence %v, want %s and %q", s.Class, s.Evidence, tc.class, tc.evidence)
			}
		})
	}
}

// lasted is a load of ten parts whose requests go from one rate to another by way of a third; its sequential reads are steady.
func lasted(first, middle, last float64) *Lasting {
	l := &Lasting{Seconds: 300, Depth: 32}
	for i := range 10 {
		rate := middle
		switch {
		case i == 1: // a part that is out of line does not count
			rate = middle / 10
		case i < 3:
			rate = first
		case i > 6:
			rate = last
		}
		l.IOPS, l.SeqReadRate = append(l.IOPS, rate), append(l.SeqReadRate, 1e8)
	}
	return l
}

// TestChange: what the warning says are the rates at both ends.
func TestChange(t *testing.T) {
	f := Facts{Storage: []Storage{{Role: "data_directory", Class: Network}}}
	f.Measured("data_directory", &DiskBench{Direct: true, Lasting: lasted(3000, 3000, 300)})
	if len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0].Text, "random 8 kB reads of data_directory went from 3000 a second to 300 a second within 300 s") {
		t.Errorf("%+v", f.Warnings)
	}
	if a, b := Ends(nil); a != 0 || b != 0 {
		t.Errorf("Ends(nil) = %g, %g", a, b)
	}
	if a, b := Ends([]float64{5}); a != 5 || b != 5 {
		t.Errorf("Ends of one part = %g, %g", a, b)
	}
}
