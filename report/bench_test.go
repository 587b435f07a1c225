package report

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"pgfit/workload/rundoc"
)

// Bench says what the data cannot carry: its figures are read without an advice that would.
func TestBenchFindings(t *testing.T) {
	f, err := os.Open("../testdata/runs/noisy-a.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := rundoc.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Bench(&out, doc, false); err != nil || !strings.Contains(out.String(), "R11, tpcb: visits of the same pool size differ") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
