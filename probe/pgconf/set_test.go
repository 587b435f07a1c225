package pgconf

import (
	"errors"
	"testing"
)

func TestSet(t *testing.T) {
	tests := []struct {
		name, conf, key, value, want string
		line                         int
		way                          Way
	}{
		{"value and nothing else", "a = 1\n  work_mem\t=  4MB   # why\nb = 2\n", "work_mem", "8MB",
			"a = 1\n  work_mem\t=  8MB   # why\nb = 2\n", 2, Changed},
		{"the last of several", "work_mem = 1MB\nwork_mem = 2MB\n", "work_mem", "8MB", "work_mem = 1MB\nwork_mem = 8MB\n", 2, Changed},
		{"without an equals sign", "max_connections 100\n", "max_connections", "200", "max_connections 200\n", 1, Changed},
		{"quotes stay", "port = '5432'", "port", "5433", "port = '5433'", 1, Changed},
		{"nothing between name and value", "port+5432 # x\n", "port", "5433", "port = 5433 # x\n", 1, Changed},
		{"nothing but a quote between", "port'5432'\n", "port", "5433", "port'5433'\n", 1, Changed},
		{"another case", "WORK_MEM=1MB\n", "work_mem", "2MB", "WORK_MEM=2MB\n", 1, Changed},
		{"an old name", "sort_mem = 1MB\n", "work_mem", "2MB", "sort_mem = 2MB\n", 1, Changed},
		{"the same again", "work_mem = 8MB # x\n", "work_mem", "8MB", "work_mem = 8MB # x\n", 1, Unchanged},
		{"commented default", "x = 1\n#work_mem = 4MB\t\t\t\t# min 64kB\ny = 1\n", "work_mem", "8MB",
			"x = 1\nwork_mem = 8MB\t\t\t\t# min 64kB\ny = 1\n", 2, Uncommented},
		{"commented, indented, CRLF", "  # work_mem = 4MB\r\n", "work_mem", "8MB", "  work_mem = 8MB\r\n", 1, Uncommented},
		{"an active line beats a commented one", "#work_mem = 4MB\nwork_mem = 5MB\n#work_mem = 6MB\n", "work_mem", "8MB",
			"#work_mem = 4MB\nwork_mem = 8MB\n#work_mem = 6MB\n", 2, Changed},
		{"added", "x = 1\n", "work_mem", "8MB", "x = 1\n\n# pgfit: begin\nwork_mem = 8MB\n# pgfit: end\n", 4, Added},
		{"added to an empty file", "", "jit", "off", "# pgfit: begin\njit = off\n# pgfit: end\n", 2, Added},
		{"added without a final newline", "x = 1", "max_connections", "200",
			"x = 1\n\n# pgfit: begin\nmax_connections = 200\n# pgfit: end\n", 4, Added},
		{"added with CRLF", "x = 1\r\n", "jit", "off", "x = 1\r\n\r\n# pgfit: begin\r\njit = off\r\n# pgfit: end\r\n", 4, Added},
		{"added to the block", "# pgfit: begin\nwork_mem = 8MB\n# pgfit: end\nx = 1\n", "jit", "off",
			"# pgfit: begin\nwork_mem = 8MB\njit = off\n# pgfit: end\nx = 1\n", 3, Added},
		{"half a block is none", "# pgfit: end\n", "jit", "off", "# pgfit: end\n\n# pgfit: begin\njit = off\n# pgfit: end\n", 4, Added},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Parse("postgresql.conf", []byte(tt.conf))
			e, err := f.Set(tt.key, tt.value)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(f.Bytes()); got != tt.want || e.Line != tt.line || e.Way != tt.way {
				t.Errorf("Set(%s, %s) = %+v with\n%q, want line %d %s with\n%q", tt.key, tt.value, e, got, tt.line, tt.way, tt.want)
			}
			if l, _ := f.Line(e.Line); l.Kind != Entry || l.Value != tt.value {
				t.Errorf("line %d reads back as %+v", e.Line, l)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, key, value string
	}{
		{"empty name", "", "1"}, {"three parts", "a.b.c", "1"}, {"blank in the name", "a b", "1"}, {"comment", "#a", "1"},
		{"directive", "Include", "x"}, {"newline in the name", "a\nb", "1"}, {"zero byte", "a", "x\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Parse("x", []byte("a = 1\n"))
			if _, err := f.Set(tt.key, tt.value); !errors.Is(err, ErrValue) {
				t.Errorf("Set(%q, %q) = %v, want ErrValue", tt.key, tt.value, err)
			}
			if got := string(f.Bytes()); got != "a = 1\n" {
				t.Errorf("the file is now %q", got)
			}
		})
	}
}

func TestSetLine(t *testing.T) {
	conf := "work_mem = 1MB\n#work_mem = 3MB\nwork_mem = 2MB\n"
	f := Parse("postgresql.conf", []byte(conf))
	for _, n := range []int{0, 2, 4} {
		if _, err := f.SetLine(n, "work_mem", "8MB"); !errors.Is(err, ErrMoved) {
			t.Errorf("SetLine(%d) = %v, want ErrMoved", n, err)
		}
	}
	if _, err := f.SetLine(1, "jit", "off"); !errors.Is(err, ErrMoved) {
		t.Errorf("SetLine with another name = %v, want ErrMoved", err)
	}
	if e, err := f.SetLine(1, "work_mem", "8MB"); err != nil || e.Old != "1MB" {
		t.Errorf("SetLine(1) = %+v, %v", e, err)
	}
	if got, want := string(f.Bytes()), "work_mem = 8MB\n#work_mem = 3MB\nwork_mem = 2MB\n"; got != want {
		t.Errorf("the file is now %q, want %q", got, want)
	}
}
