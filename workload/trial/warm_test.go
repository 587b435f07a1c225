package trial

import (
	"fmt"
	"slices"
	"testing"
)

// TestWithin: a limited memory is filled with what is hottest last: parts of large tables, small tables, indexes.
func TestWithin(t *testing.T) {
	const block = 8192
	h := heap{block: block, relations: []relation{{"small", false, 10 * block}, {"large", false, 1000 * block}, {"key", true, 20 * block}, {"other", true, 200 * block}}}
	table, index := func(name string, n int) string { return fmt.Sprintf(readTable, n, 1, name) }, func(name string, n int) string { return fmt.Sprintf(readIndex, n, 1, name) }
	for _, tc := range []struct {
		blocks int64
		want   []string
	}{
		{5000, []string{table("large", 1000), table("small", 10), index("other", 200), index("key", 20)}}, // all of it fits
		{400, []string{table("large", 170), table("small", 10), index("other", 200), index("key", 20)}},
		{100, []string{table("large", 15), table("small", 10), index("other", 55), index("key", 20)}}, // tables keep a quarter
		{8, []string{table("small", 2), index("key", 6)}},
		{0, nil},
	} {
		if got := h.within(tc.blocks * block); !slices.Equal(got, tc.want) {
			t.Errorf("%d blocks of memory:\n%q, want\n%q", tc.blocks, got, tc.want)
		}
	}
}
