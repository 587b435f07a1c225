package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Binaries is a directory with postgres and initdb of one version.
type Binaries struct {
	Dir     string
	Version string // 15.18
	Major   int
}

// FindOptions narrow the search.
type FindOptions struct {
	Dir   string // --pg-bin: this directory and no other
	Major int    // --pg-version: this major
	Wish  string // this version, where it is there, rather than the newest
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) ((\d+)[.\w]*)`)

// Find looks for server binaries: the named directory, pg_config, PATH, and where distributions put them. The newest
// version wins unless a major is asked for. The error names the package to install.
func Find(o FindOptions) (Binaries, error) {
	var best Binaries
	for _, dir := range candidates(o.Dir) {
		b, ok := inspect(dir)
		if !ok || o.Major != 0 && b.Major != o.Major {
			continue
		}
		if o.Wish != "" && b.Version == o.Wish {
			return b, nil
		}
		if newer(b.Version, best.Version) {
			best = b
		}
	}
	if best.Dir != "" {
		return best, nil
	}
	switch {
	case o.Dir != "":
		return best, fmt.Errorf("%w: no PostgreSQL server binaries (postgres, initdb) in %s%s", ErrUsage, o.Dir, ofMajor(o.Major))
	case o.Major != 0:
		return best, fmt.Errorf("%w: no server binaries of PostgreSQL %d found; install them with: %s", ErrUsage, o.Major, install(o.Major))
	}
	return best, fmt.Errorf("%w: no PostgreSQL server binaries (postgres, initdb) found; install them with: %s; or pass --pg-bin", ErrUsage, install(0))
}

func ofMajor(major int) string {
	if major == 0 {
		return ""
	}
	return fmt.Sprintf(" of version %d", major)
}

func install(major int) string {
	version := ""
	if major != 0 {
		version = "-" + strconv.Itoa(major)
	}
	if runtime.GOOS == "darwin" {
		return "brew install postgresql" + strings.Replace(version, "-", "@", 1)
	}
	if _, err := exec.LookPath("dnf"); err == nil {
		return "dnf install postgresql-server"
	}
	return "apt-get install postgresql" + version
}

func candidates(named string) []string {
	if named != "" {
		return []string{named}
	}
	var dirs []string
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin"} {
		found, _ := filepath.Glob(pattern)
		dirs = append(dirs, found...)
	}
	return dirs
}

func inspect(dir string) (Binaries, bool) {
	if real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
		dir = filepath.Dir(real) // a link to the program alone would not find its share directory
	}
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return Binaries{}, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	m := versionPattern.FindStringSubmatch(string(out))
	if err != nil || m == nil {
		return Binaries{}, false
	}
	major, _ := strconv.Atoi(m[2])
	return Binaries{Dir: dir, Version: m[1], Major: major}, true
}

// newer compares 15.18 with 15.4 by numbers.
func newer(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range x {
		if i >= len(y) {
			return true
		}
		m, _ := strconv.Atoi(x[i])
		n, _ := strconv.Atoi(y[i])
		if m != n {
			return m > n
		}
	}
	return false
}
