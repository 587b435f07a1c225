package report

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	table := Table{Header: []string{"pool", "TPS", "why ", "shared_buffers"}}
	table.Add("1", "123", "a reason with | bar", "128MB")
	table.Add("64", "123456", "b", "1GB")
	for _, tc := range []struct {
		name     string
		markdown bool
		want     string
	}{
		{"terminal", false, "" +
			"pool     TPS  why                  shared_buffers\n" +
			"───────────────────────────────────────────────────\n" +
			"   1     123  a reason with | bar           128MB\n" +
			"  64  123456  b                               1GB\n"},
		{"markdown", true, "" +
			"| pool | TPS | why | shared_buffers |\n" +
			"|---:|---:|---|---:|\n" +
			"| 1 | 123 | a reason with \\| bar | 128MB |\n" +
			"| 64 | 123456 | b | 1GB |\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got strings.Builder
			if err := table.Render(&got, tc.markdown); err != nil {
				t.Fatal(err)
			}
			if got.String() != tc.want {
				t.Errorf("Render =\n%s\nwant\n%s", got.String(), tc.want)
			}
		})
	}
}

func TestUnits(t *testing.T) {
	for _, tc := range []struct{ name, got, want string }{
		{"whole size", Size(128 << 20), "128MB"},
		{"odd size", Size(24683656 << 10), "23.5GB"},
		{"bytes", Size(17), "17B"},
		{"microseconds", Seconds(47.31e-6), "47.3 µs"},
		{"milliseconds", Seconds(0.0012), "1.2 ms"},
		{"seconds", Seconds(12.345), "12.3 s"},
		{"minutes", Seconds(300), "5 min"},
		{"milliseconds without unit", Millis(0.00234), "2.34"},
		{"rate", Rate(1234.5), "1234"},
		{"small rate", Rate(0.1234), "0.123"},
		{"share", Percent(0.056), "5.6 %"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, tc.got, tc.want)
		}
	}
}
