package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"pgfit/workload/cluster"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pgfit": main})
}

// TestScripts runs the whole-command scripts of testdata/script. Those that need a server of their own say [server].
func TestScripts(t *testing.T) {
	_, noServer := cluster.Find(cluster.FindOptions{})
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CACHE_HOME", cache) // scratch servers on the real disk, not on a test's temporary one
			e.Setenv("CI", "true")
			return nil
		},
		Condition: func(cond string) (bool, error) { return cond == "server" && noServer == nil, nil },
	})
}
