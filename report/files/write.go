// Package files puts the results of a run into a directory: each file whole or not at all.
package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// File is one result, with its path relative to the results directory.
type File struct {
	Name    string
	Data    []byte
	Private bool // made from a file that may hold secrets: for the owner's eyes only
}

// Writable tells before a long run whether dir can be made and written to. It leaves nothing behind but an existing
// directory as it was.
func Writable(dir string) error {
	made, err := firstMissing(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("results directory: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".pgfit-*")
	if err == nil {
		probe.Close()
		err = os.Remove(probe.Name())
	}
	if made != "" {
		err = errors.Join(err, os.RemoveAll(made))
	}
	if err != nil {
		return fmt.Errorf("results directory %s: %w", dir, err)
	}
	return nil
}

// firstMissing is the topmost directory on the way to dir that does not exist, "" when all do.
func firstMissing(dir string) (string, error) {
	missing := ""
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err == nil {
			if !info.IsDir() {
				return "", fmt.Errorf("results directory: %s is a file", d)
			}
			return missing, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			if errors.Is(err, syscall.ENOTDIR) { // a file stands higher up: say which
				continue
			}
			return "", fmt.Errorf("results directory: %w", err)
		}
		missing = d
		if d == filepath.Dir(d) {
			return missing, nil
		}
	}
}

// Write puts every file into dir, each by a temporary file and a rename.
func Write(dir string, made []File) error {
	for _, f := range made {
		if err := writeOne(filepath.Join(dir, filepath.FromSlash(f.Name)), f.Data, f.mode()); err != nil {
			return fmt.Errorf("writing %s: %w", f.Name, err)
		}
	}
	return nil
}

// WriteFile writes one file whole or not at all.
func WriteFile(path string, data []byte) error { return writeOne(path, data, File{}.mode()) }

func (f File) mode() os.FileMode {
	if f.Private {
		return 0o600
	}
	return 0o644
}

func writeOne(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".pgfit-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // after the rename there is nothing left to remove
	if err := tmp.Chmod(mode); err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Names lists the files in order, for a line of talk.
func Names(made []File) string {
	names := make([]string, len(made))
	for i, f := range made {
		names[i] = f.Name
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}
