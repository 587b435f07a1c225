package budget

import (
	"math"
	"testing"

	"pgfit/probe"
	"pgfit/probe/guc"
)

func server(t *testing.T, major int, values map[string]string) guc.Settings {
	t.Helper()
	all, err := guc.Catalogue(major)
	if err != nil {
		t.Fatal(err)
	}
	base := map[string]string{}
	for name, text := range values {
		if base[name], err = all[name].Parse(text); err != nil {
			t.Fatal(err)
		}
	}
	return Overlay(all, base)
}

func machine(ram int64, cpus float64, major int) probe.Facts {
	var f probe.Facts
	f.Host.Memory.Budget = probe.Is(ram, "test")
	f.Host.CPU.Effective = probe.Is(cpus, "test")
	f.Server.VersionNum = major * 10000
	return f
}

func TestWorst(t *testing.T) {
	for _, tc := range []struct {
		name   string
		major  int
		values map[string]string
		ram    int64
		cpus   float64
		load   Load
		total  int64 // in MB
		over   bool
	}{
		// 128 + 4 wal + 2.88 + 5.08 + 11; 10 x 4 x 2 x 2 = 160; 8 x 26 = 208; 100; 90 x 2 = 180; 3 x 64; 64
		{"stock server, use unknown", 15, nil, 24 * gB, 2, Load{}, 1055, false},
		{"stock server on 1 GB", 15, nil, gB, 2, Load{}, 1055, true},
		{"hash_mem_multiplier 1 before 15", 14, nil, 24 * gB, 2, Load{}, 1055 - 80 - 64, false},
		{"measured pool and nodes", 15, nil, 24 * gB, 2, Load{Active: 30, Statements: []Statement{{Hashes: 4}}}, 1055 - 160 + 960 + 128 + 200 - 40, false},
		{"sorts take work_mem alone", 15, nil, 24 * gB, 2, Load{Statements: []Statement{{Sorts: 2}}}, 1055 - 80 - 64, false},
		{"the heaviest statement counts", 15, nil, 24 * gB, 2, Load{Statements: []Statement{{Hashes: 1}, {Sorts: 1, Hashes: 2}, {Hashes: 1}}}, 1055 + 40 + 32, false},
		{"what was seen to be small is four times that", 15, nil, 24 * gB, 2, Load{Statements: []Statement{{Hashes: 6, Used: mB}}}, 1055 + 80 + 64, false},
		{"one hash at least", 15, nil, 24 * gB, 2, Load{Statements: []Statement{{Sorts: 3, Hashes: 6, Used: 64 * kB}}}, 1055 - 80 - 64, false},
		{"one vacuum takes 1 GB at most before 17", 16, map[string]string{"maintenance_work_mem": "2GB"}, 24 * gB, 2, Load{}, 1055 - 4*64 + 3*1024 + 2048, false},
		{"and all of it from 17 on", 17, map[string]string{"maintenance_work_mem": "2GB"}, 24 * gB, 2, Load{}, 1055 - 4*64 + 4*2048, false},
		{"no more active than max_connections", 15, map[string]string{"max_connections": "5"}, 24 * gB, 2, Load{Active: 50}, 151 - 5 + 5*26 + 8*26 + 256, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Worst(server(t, tc.major, tc.values), machine(tc.ram, tc.cpus, tc.major), tc.load)
			if mb := got.Total / mB; mb < tc.total-4 || mb > tc.total+4 || got.Over != tc.over {
				t.Errorf("Worst = %d MB, over %v, want %d MB, %v: %+v", mb, got.Over, tc.total, tc.over, got.Memory)
			}
		})
	}
}

// TestStatement: the line of the budget says what one connection was counted with.
func TestStatement(t *testing.T) {
	for want, st := range map[string]Statement{
		"1 hash of work_mem x hash_mem_multiplier":                                       unseen,
		"2 sorts of work_mem (big-sort)":                                                 {Name: "big-sort", Sorts: 2},
		"1 sort of work_mem and 3 hashes of work_mem x hash_mem_multiplier":              {Sorts: 1, Hashes: 3},
		"2 sorts of work_mem, 8MB at most for one, 4 times what was seen (daily-report)": {Name: "daily-report", Sorts: 2, Used: 2 * mB},
	} {
		if got := st.String(); got != want {
			t.Errorf("%+v is %q, want %q", st, got, want)
		}
	}
}

func TestWorstNeverWraps(t *testing.T) {
	s := server(t, 18, map[string]string{"work_mem": "2147483647", "hash_mem_multiplier": "1000", "max_connections": "262143"})
	if b := Worst(s, machine(gB, 256, 18), Load{Active: 262143, Statements: []Statement{{Hashes: 50}}}); !b.Over || b.Total <= 0 {
		t.Errorf("Worst of absurd settings = %d, over %v", b.Total, b.Over)
	}
}

func TestMachine(t *testing.T) {
	f := machine(8*gB, 4, 15)
	f.Host.Memory.Available = probe.Is(2*gB, "test")
	s := server(t, 15, map[string]string{"shared_buffers": "1GB"})
	f.Server.Settings = s
	if m, ok := Machine(f, true); m != 3*gB || !ok {
		t.Errorf("Machine of a shared host = %d, %v, want what is free and the server's own 1 GB", m, ok)
	}
	f.Host.Memory.Server = probe.Is(256*mB, "test") // most of the buffers have not been touched
	if m, ok := Machine(f, true); m != 2*gB+256*mB || !ok {
		t.Errorf("Machine of a shared host = %d, %v, want what is free and the 256 MB that the server holds", m, ok)
	}
	f.Host.Memory.Available = probe.Is(7*gB+900*mB, "test")
	if m, _ := Machine(f, true); m != 8*gB {
		t.Errorf("Machine of a shared host with nothing else on it = %d, want no more than its limit", m)
	}
	f.Host.Memory.Available = probe.Fact[int64]{State: probe.Denied}
	if m, _ := Machine(f, true); m != 8*gB {
		t.Errorf("Machine of a shared host that nobody could look at = %d", m)
	}
	if m, _ := Machine(f, false); m != 8*gB {
		t.Errorf("Machine of a dedicated host = %d", m)
	}
	if b := Worst(s, probe.Facts{}, Load{}); b.Limit != 0 || b.Over {
		t.Errorf("a machine nobody looked at has limit %d, over %v", b.Limit, b.Over)
	}
}

// The figures are postgres -C shared_memory_size, in MB.
func TestSharedMemory(t *testing.T) {
	for _, tc := range []struct {
		major                int
		buffers, connections string
		want                 int64
	}{
		{15, "128MB", "100", 143}, {15, "1GB", "100", 1074}, {15, "6GB", "100", 6302}, {15, "6GB", "500", 6322}, {15, "16GB", "100", 16771}, {18, "128MB", "100", 150},
		{18, "6GB", "200", 2 * 3176},
	} {
		got := SharedMemory(server(t, tc.major, map[string]string{"shared_buffers": tc.buffers, "max_connections": tc.connections})) / mB
		if got < tc.want || got > tc.want+16 {
			t.Errorf("SharedMemory(%d, %s, %s) = %d MB, want %d", tc.major, tc.buffers, tc.connections, got, tc.want)
		}
	}
}

func TestRoom(t *testing.T) {
	f, l := machine(4*gB, 2, 16), Load{Active: 20, Statements: []Statement{{Sorts: 1, Hashes: 3}, {Sorts: 9, Used: 64 * kB}}}
	s := server(t, 16, nil)
	room, ok := Room(s, f, l)
	if !ok {
		t.Fatal("no room")
	}
	for _, tc := range []struct {
		kb   int64
		over bool
	}{{room >> 10, false}, {room>>10 + 8, true}} {
		v, _ := s["work_mem"].Parse(guc.FormatBytes(tc.kb << 10))
		if b := Worst(Overlay(s, map[string]string{"work_mem": v}), f, l); b.Over != tc.over {
			t.Errorf("work_mem %d kB: over %v, want %v (%d of %d)", tc.kb, b.Over, tc.over, b.Total, b.Limit)
		}
	}
}

func TestRecovery(t *testing.T) {
	s := server(t, 16, map[string]string{"max_wal_size": "10GB"})
	var f probe.Facts
	f.Storage = []probe.Storage{{Role: "data_directory", Class: probe.HDD}}
	if got := Recovery(s, f, 0); got != 512 {
		t.Errorf("10 GB on a hard disk = %v s, want 512", got)
	}
	if got, want := Recovery(s, f, float64(mB)), 300*1.9/20; math.Abs(got-want) > 1e-9 {
		t.Errorf("1 MB/s of WAL = %v s, want %v", got, want)
	}
}

func TestWALBuffers(t *testing.T) {
	for _, tc := range []struct {
		buffers, wal string
		want         int64
	}{{"128MB", "", 4 * mB}, {"1MB", "", 64 * kB}, {"8GB", "", 16 * mB}, {"8GB", "32MB", 32 * mB}} {
		values := map[string]string{"shared_buffers": tc.buffers}
		if tc.wal != "" {
			values["wal_buffers"] = tc.wal
		}
		if got := WALBuffers(server(t, 14, values)); got != tc.want {
			t.Errorf("WALBuffers(%s, %q) = %d, want %d", tc.buffers, tc.wal, got, tc.want)
		}
	}
}
