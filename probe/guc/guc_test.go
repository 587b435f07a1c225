package guc

import "testing"

func TestParse(t *testing.T) {
	all, err := Catalogue(18)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, setting, in, want string
		bad                     bool
	}{
		{"size in its own unit", "shared_buffers", "16384", "16384", false},
		{"size with unit", "shared_buffers", "128MB", "16384", false},
		{"fraction of a unit", "shared_buffers", "1.5GB", "196608", false},
		{"blank before the unit", "shared_buffers", "128 MB", "16384", false},
		{"lower case unit", "shared_buffers", "2gb", "", true},
		{"below the minimum", "work_mem", "41kB", "", true},
		{"time", "checkpoint_timeout", "5min", "300", false},
		{"time in the wrong unit", "checkpoint_timeout", "5MB", "", true},
		{"special value", "wal_buffers", "-1", "-1", false},
		{"hexadecimal", "max_connections", "0x64", "100", false},
		{"real", "random_page_cost", "1.1", "1.1", false},
		{"enum in upper case", "wal_level", "REPLICA", "replica", false},
		{"enum as bool", "synchronous_commit", "true", "on", false},
		{"unknown enum", "wal_level", "none", "", true},
		{"bool prefix", "jit", "tr", "on", false},
		{"no bool", "jit", "maybe", "", true},
		{"text for a number", "max_connections", "many", "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := all[tc.setting].Parse(tc.in)
			if (err != nil) != tc.bad || got != tc.want {
				t.Errorf("%s.Parse(%q) = %q, %v, want %q", tc.setting, tc.in, got, err, tc.want)
			}
		})
	}
}

func TestShow(t *testing.T) {
	all, _ := Catalogue(18)
	for _, tc := range [][3]string{
		{"shared_buffers", "16384", "128MB"}, {"checkpoint_timeout", "300", "5min"}, {"checkpoint_timeout", "330", "330s"},
		{"wal_buffers", "-1", "-1"}, {"max_connections", "100", "100"}, {"max_wal_size", "1024", "1GB"},
	} {
		if got := all[tc[0]].Show(tc[1]); got != tc[2] {
			t.Errorf("%s.Show(%s) = %s, want %s", tc[0], tc[1], got, tc[2])
		}
	}
}

// FuzzParse: whatever Parse accepts comes back from Show and Parse as the same value.
func FuzzParse(f *testing.F) {
	all, err := Catalogue(18)
	if err != nil {
		f.Fatal(err)
	}
	names := []string{"shared_buffers", "work_mem", "checkpoint_timeout", "random_page_cost", "jit", "wal_level", "max_wal_size", "io_workers"}
	for i, text := range []string{"128MB", "4096", "5min", "1.1", "on", "replica", "-1", "1e3"} {
		f.Add(i, text)
	}
	f.Fuzz(func(t *testing.T, i int, text string) {
		s := all[names[(i%len(names)+len(names))%len(names)]]
		v, err := s.Parse(text)
		if err != nil {
			return
		}
		again, err := s.Parse(s.Show(v))
		if err != nil || again != v {
			t.Errorf("%s: Parse(%q) = %q, but Parse(Show) = %q, %v", s.Name, text, v, again, err)
		}
	})
}
