package probe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestPoolStatus reads what zpool status has said on real machines.
func TestPoolStatus(t *testing.T) {
	for name, a := range poolFiles(t) {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			for _, v := range parsePool(string(a.Files[0].Data)) {
				kind := "group"
				if v.leaf {
					kind = ""
				}
				got.WriteString(strings.Join(strings.Fields(v.name+" "+v.state+" "+v.class+" "+kind), " ") + "\n")
			}
			if want := string(a.Files[1].Data); got.String() != want {
				t.Errorf("parsePool:\n%swant\n%s", got.String(), want)
			}
		})
	}
}

func poolFiles(t testing.TB) map[string]*txtar.Archive {
	t.Helper()
	files, err := filepath.Glob("testdata/zpool/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	out := map[string]*txtar.Archive{}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil || len(a.Files) != 2 {
			t.Fatalf("%s: %v", file, err)
		}
		out[filepath.Base(file)] = a
	}
	return out
}

// TestPoolThatDoesNotAnswer: the reason is told, and nothing is guessed.
func TestPoolThatDoesNotAnswer(t *testing.T) {
	files := mapFiles{"/proc/7/mountinfo": "40 27 0:45 / /data rw - zfs tank/pg@now rw\n"}
	asked := ""
	e := Env{Files: files, Self: "7", Pool: func(pool string) (string, error) {
		asked = pool
		return "", errors.New("zpool status did not answer in 2s")
	}}
	s := e.readStorage([]place{{"data_directory", "/data"}}, "7", "")[0]
	if asked != "tank" || s.Class != UnknownClass || !strings.Contains(strings.Join(s.Evidence, ""), "did not answer") {
		t.Errorf("asked for %q: %s, %q", asked, s.Class, s.Evidence)
	}
}

// FuzzPoolStatus: no text makes the parser panic or find a device that the text does not name, and the storage on such a
// pool has a class with a reason.
func FuzzPoolStatus(f *testing.F) {
	for _, a := range poolFiles(f) {
		f.Add(string(a.Files[0].Data))
	}
	f.Add("config:\n NAME STATE\n t ONLINE\n  spare-0 ONLINE\n   /x ONLINE\n spares\n  /dev/a AVAIL\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, v := range parsePool(text) {
			if v.name == "" || !strings.Contains(text, v.name) {
				t.Errorf("%q is not in the text", v.name)
			}
		}
		files := mapFiles{"/proc/7/mountinfo": "40 27 0:45 / /data rw - zfs tank/pg rw\n41 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "/sys/dev/block/8:1/uevent": "DEVNAME=sda1\n",
			"/sys/class/block/sda/queue/rotational": "0", "/sys/class/block/sda/sda1/partition": "1", "/sys/class/block/sda1/partition": "1"}
		e := Env{Files: files, Self: "7", Pool: func(string) (string, error) { return text, nil }}
		s := e.readStorage([]place{{"data_directory", "/data"}}, "7", "")[0]
		if s.Class == "" || len(s.Evidence) == 0 {
			t.Errorf("storage without a word of why: %+v", s)
		}
	})
}

// TestPoolStatusCommand: what the program prints is the answer, and what it complains of the reason.
func TestPoolStatusCommand(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	script := "#!/bin/sh\nif [ \"$*\" = \"status -LP -- tank\" ]; then echo '  pool: tank'; exit 0; fi\necho \"cannot open '$4': no such pool\" >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "zpool"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if text, err := poolStatus("tank"); err != nil || text != "  pool: tank\n" {
		t.Errorf("poolStatus(tank) = %q, %v", text, err)
	}
	if _, err := poolStatus("other"); err == nil || !strings.Contains(err.Error(), "cannot open 'other': no such pool") {
		t.Errorf("poolStatus(other): %v", err)
	}
}

// TestDirectReadsOnZFS: the figures may be the cache's, and the page says so.
func TestDirectReadsOnZFS(t *testing.T) {
	f := Facts{Storage: []Storage{{Role: "data_directory", FSType: "zfs", Class: NVMe}}}
	f.Measured("data_directory", &DiskBench{Direct: true, Random: []DepthRate{{Depth: 1, P50: 30e-6}}})
	if len(f.Warnings) != 1 || f.Warnings[0].Code != "zfs-arc" {
		t.Errorf("%+v", f.Warnings)
	}
}
