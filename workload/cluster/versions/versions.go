// Package versions finds server binaries of every major version for tests: those that `make test-versions` fetches, and the
// installed ones. It is for tests alone, and knows nothing of what they test.
package versions

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"pgfit/workload/cluster"
)

// DirVariable names the directory that holds DIR/13/bin to DIR/18/bin.
const DirVariable = "PGFIT_PG_VERSIONS_DIR"

// The majors that pgfit is tested on.
const (
	Oldest = 13
	Newest = 18
)

// Dir is where the binaries lie: $PGFIT_PG_VERSIONS_DIR, or .cache/pg-versions of the source tree.
func Dir() string {
	if dir := os.Getenv(DirVariable); dir != "" {
		return dir
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", ".cache", "pg-versions")
}

// Find returns the binaries of one major; the error says how to get them.
func Find(major int) (cluster.Binaries, error) {
	b, err := cluster.Find(cluster.FindOptions{Dir: filepath.Join(Dir(), strconv.Itoa(major), "bin"), Major: major})
	if err != nil {
		return b, fmt.Errorf("no server binaries of PostgreSQL %d in %s: run .ci/pg-versions/fetch, or set %s", major, Dir(), DirVariable)
	}
	return b, nil
}

// Each runs a subtest for every major version and one for the newest that is installed on the machine. A version that is
// not there is skipped. Tests that call it are named TestEveryVersion..., which is what make test-versions runs.
func Each(t *testing.T, run func(t *testing.T, b cluster.Binaries)) {
	t.Helper()
	for major := Oldest; major <= Newest; major++ {
		t.Run(strconv.Itoa(major), func(t *testing.T) {
			b, err := Find(major)
			if err != nil {
				t.Skip(err)
			}
			run(t, b)
		})
	}
	t.Run("installed", func(t *testing.T) {
		b, err := cluster.Find(cluster.FindOptions{})
		if err != nil {
			t.Skip(err)
		}
		run(t, b)
	})
}
