package measure

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/jackc/pgx/v5"

	"pgfit/probe"
	"pgfit/workload/rundoc"
)

// secret finds a password in a configuration line, such as that of primary_conninfo.
var secret = regexp.MustCompile(`(?i)\b(password|passwd|secret)\s*=`)

// maxConf bounds a configuration file that is copied into the document.
const maxConf = 1 << 20

// ConfFiles reads the configuration files that a patch would be made against: the main file, what it includes as far as
// the server names it, and postgresql.auto.conf. It reads them where they lie when the server is on this host, else
// through SQL. A file that may not be read, or that holds a password, is left out with a warning; without the main file
// there is nothing, and the patch becomes a drop-in.
func ConfFiles(ctx context.Context, conn *pgx.Conn, f probe.Facts) (files []rundoc.File, warnings []probe.Warning) {
	main, ok := f.Server.ConfigFile.Get()
	if !ok {
		return nil, nil
	}
	paths := []string{main}
	for _, line := range f.Server.FileLines {
		if line.File != "" && !slices.Contains(paths, line.File) {
			paths = append(paths, line.File)
		}
	}
	if dir, ok := f.Server.DataDirectory.Get(); ok {
		if auto := filepath.Join(dir, "postgresql.auto.conf"); !slices.Contains(paths, auto) {
			paths = append(paths, auto)
		}
	}
	local, _ := f.SameHost.Get()
	for i, path := range paths {
		text, err := readConf(ctx, conn, path, local)
		if err == nil && secret.MatchString(text) {
			err = fmt.Errorf("it holds a password")
		}
		if err != nil {
			warnings = append(warnings, probe.Warning{Code: "conf-file", Text: fmt.Sprintf("%s is not copied: %v", path, err),
				Hint: "the patch cannot edit it; a drop-in file and ALTER SYSTEM statements take its place"})
			if i == 0 {
				return nil, warnings
			}
			continue
		}
		files = append(files, rundoc.File{Path: path, Text: text})
	}
	return files, warnings
}

func readConf(ctx context.Context, conn *pgx.Conn, path string, local bool) (string, error) {
	if local {
		info, err := os.Stat(path)
		if err == nil && info.Size() <= maxConf {
			data, err := os.ReadFile(path)
			if err == nil {
				return string(data), nil
			}
		}
	}
	var text string
	err := conn.QueryRow(ctx, "SELECT pg_read_file($1, 0, $2)", path, maxConf).Scan(&text)
	return text, err
}
