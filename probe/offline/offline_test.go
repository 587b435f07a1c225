package offline

import (
	"strings"
	"testing"

	"pgfit/probe/guc"
	"pgfit/probe/pgconf"
)

func tree(t *testing.T, main, auto string) *pgconf.Tree {
	t.Helper()
	read, list := pgconf.Memory(map[string][]byte{"/etc/pg/postgresql.conf": []byte(main), "/data/postgresql.auto.conf": []byte(auto)})
	got, err := pgconf.Load("/etc/pg/postgresql.conf", "/data", read, list)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestServer(t *testing.T) {
	main := "work_mem = 1MB\nSort_Mem = 6MB\nWAL_buffers = -1\nmax_connections = 200\nlog_line_prefix = '%m '\nauto_explain.log_analyze = on\nold_snapshot_threshold = 1h\n" +
		"shared_buffers = 1.5\nrandom_page_cost = '1.1'\nserver_version = '9'\n\"broken\n"
	s, warnings, err := Server(tree(t, main, "random_page_cost = '2'\n"), 18)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"work_mem": "6144", "max_connections": "200", "log_line_prefix": "%m ", "random_page_cost": "2",
		"max_wal_size": "1024", "wal_buffers": "-1", "jit": "on"} {
		if got := s.Settings.Text(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if set := s.Settings["work_mem"]; set.Source != "configuration file" || set.SourceFile != "/etc/pg/postgresql.conf" || set.SourceLine != 2 {
		t.Errorf("work_mem is from %s, %s:%d", set.Source, set.SourceFile, set.SourceLine)
	}
	var all []string
	for _, w := range warnings {
		all = append(all, w.Text)
	}
	want := []string{":11: syntax error", ":7: there is no setting old_snapshot_threshold", ":8: shared_buffers", ":10: server_version cannot be changed"}
	if len(all) != len(want) {
		t.Fatalf("warnings %q, want %d", all, len(want))
	}
	for i, w := range want {
		if !strings.Contains(all[i], "/etc/pg/postgresql.conf"+w) {
			t.Errorf("warning %d is %q, want ...%s...", i, all[i], w)
		}
	}
	if len(s.FileErrors) != 3 || len(s.FileLines) != 11 || s.FileLines[0].Applied || !s.FileLines[1].Applied {
		t.Errorf("%d errors, lines %+v", len(s.FileErrors), s.FileLines)
	}
}

// An empty file leaves what is built in, not what initdb writes: 8 MB of buffers up to 14.
func TestEmptyFile(t *testing.T) {
	for major := guc.OldestMajor; major <= guc.NewestMajor; major++ {
		s, warnings, err := Server(tree(t, "", ""), major)
		if err != nil || len(warnings) > 0 || s.Major() != major {
			t.Fatalf("%d: %v, %v, %d", major, err, warnings, s.Major())
		}
		want := int64(128 << 20)
		if major < 15 {
			want = 8 << 20
		}
		if got, _ := s.Settings.Bytes("shared_buffers"); got != want {
			t.Errorf("%d: shared_buffers %d, want %d", major, got, want)
		}
	}
	if _, _, err := Server(tree(t, "", ""), 12); err == nil {
		t.Error("12 is taken")
	}
}
