package pgconf

import (
	"fmt"
	"io/fs"
	"os"
	"path"
)

// Disk reads the files of the machine pgfit runs on.
func Disk() (ReadFile, ReadDir) { return os.ReadFile, diskDir }

func diskDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		info, err := os.Stat(path.Join(dir, e.Name())) // a link counts as what it points to
		if err == nil && !info.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Memory reads from files that were read before, by path. Servers up to 14 call a file that is included as ../a.conf by just
// that name, so that paths are compared cleaned.
func Memory(files map[string][]byte) (ReadFile, ReadDir) {
	read := func(name string) ([]byte, error) {
		if data, ok := files[name]; ok {
			return data, nil
		}
		for other, data := range files {
			if path.Clean(other) == path.Clean(name) {
				return data, nil
			}
		}
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	list := func(dir string) ([]string, error) {
		var names []string
		for name := range files {
			if name = path.Clean(name); path.Dir(name) == path.Clean(dir) {
				names = append(names, path.Base(name))
			}
		}
		return names, nil
	}
	return read, list
}
