package probe

import (
	"io/fs"
	"slices"
	"sort"
	"strings"
)

// mapFiles is a tree of files in memory, without links.
type mapFiles map[string]string

func (m mapFiles) ReadFile(name string) ([]byte, error) {
	if text, ok := m[name]; ok {
		return []byte(text), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (m mapFiles) ReadDir(name string) ([]string, error) {
	var names []string
	for file := range m {
		if rest, ok := strings.CutPrefix(file, strings.TrimSuffix(name, "/")+"/"); ok {
			first, _, _ := strings.Cut(rest, "/")
			names = append(names, first)
		}
	}
	if names == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	sort.Strings(names)
	return slices.Compact(names), nil
}

func (m mapFiles) ReadLink(name string) (string, error) {
	if target, ok := strings.CutPrefix(m[name], "-> "); ok {
		return target, nil
	}
	return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
}
