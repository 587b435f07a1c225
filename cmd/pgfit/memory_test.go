package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgfit/workload/rundoc"
)

const (
	mostResident = 150 << 10 // kB that a command on a run document may take
	peakFile     = "PGFIT_TEST_PEAK"
)

// TestMemory: what reads a run document of ten minutes, two scenarios of four transactions at seven pool sizes in five
// rounds, stays small. Each command runs in a process of its own, this test once more, which writes down its peak.
func TestMemory(t *testing.T) {
	if file := os.Getenv(peakFile); file != "" {
		code := run(strings.Split(os.Getenv(peakFile+"_ARGS"), "\n"), io.Discard, os.Stderr)
		if code != exitDone && code != exitUnfit {
			t.Fatalf("exit %d", code)
		}
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, status, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("needs /proc")
	}
	doc := tenMinutes(t)
	for _, args := range [][]string{{"advise", doc}, {"plan", doc, "--rps", "300"}, {"fit", doc}, {"compare", doc, doc}, {"report", doc}} {
		t.Run(args[0], func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "status")
			cmd := exec.Command(os.Args[0], "-test.run=^TestMemory$")
			cmd.Env = append(os.Environ(), peakFile+"="+file, peakFile+"_ARGS="+strings.Join(args, "\n"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			status, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(status), "VmHWM:")
			var kb int
			if _, err := fmt.Sscan(rest, &kb); err != nil || kb == 0 || kb > mostResident {
				t.Errorf("%v: %d kB resident at the peak, want at most %d", err, kb, mostResident)
			}
			t.Logf("%d kB", kb)
		})
	}
}

// tenMinutes writes a run document as long as that of ten minutes, made of a shorter one of a single transaction.
func tenMinutes(t *testing.T) string {
	t.Helper()
	doc, err := readRun(filepath.Join("..", "..", "testdata", "runs", "noisy-a.json"))
	if err != nil {
		t.Fatal(err)
	}
	short := doc.Visits
	doc.Visits, doc.Plan.Scenarios = nil, []string{"read-heavy", "write-heavy"}
	for _, name := range doc.Plan.Scenarios {
		for _, v := range short {
			v.Scenario, v.Ops = name, slices.Repeat(v.Ops, 4)
			for i := range v.Ops {
				v.Ops[i].Name = fmt.Sprintf("%s %d", v.Ops[i].Name, i)
			}
			doc.Visits = append(doc.Visits, v)
		}
	}
	path := filepath.Join(t.TempDir(), "run.json")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := rundoc.Write(f, doc); err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() < 500_000 {
		t.Fatalf("%v: the document has %d bytes, real ones have about a million", err, info.Size())
	}
	return path
}
