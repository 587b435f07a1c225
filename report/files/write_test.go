package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, path, want string }{
		{"existing", dir, ""},
		{"new", filepath.Join(dir, "a", "b"), ""},
		{"a file", filepath.Join(dir, "file"), "is a file"},
		{"below a file", filepath.Join(dir, "file", "sub"), "is a file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Writable(tc.path)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("Writable(%s) = %v, want %q", tc.path, err, tc.want)
			}
		})
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("Writable left %v behind, %v", left, err)
	}
}

func TestWriteWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, []File{{Name: "a.txt", Data: []byte("one")}, {Name: "base/b.txt", Data: []byte("two"), Private: true}}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, []File{{Name: "taken", Data: []byte("x")}}); err == nil {
		t.Error("writing over a directory succeeded")
	}
	data, err := os.ReadFile(filepath.Join(dir, "base", "b.txt"))
	if err != nil || string(data) != "two" {
		t.Errorf("base/b.txt = %q, %v", data, err)
	}
	for name, want := range map[string]os.FileMode{"a.txt": 0o644, "base/b.txt": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".pgfit-") {
			t.Errorf("a temporary file is left: %s", e.Name())
		}
	}
}
