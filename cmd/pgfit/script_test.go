package main

import (
	"errors"
	"os"
	"os/exec"
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
	runs, err := filepath.Abs(filepath.Join("..", "..", "testdata", "runs"))
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
			e.Setenv("RUNS", runs)
			return nil
		},
		Cmds:      map[string]func(*testscript.TestScript, bool, []string){"settles": settles},
		Condition: func(cond string) (bool, error) { return cond == "server" && noServer == nil, nil },
	})
}

// settles runs a command that must end with exit 0, or with 5: on a busy machine the data may not carry a recommendation,
// and that is no failure of the program.
func settles(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	if neg || err != nil && !(errors.As(err, &exit) && exit.ExitCode() == exitUnfit) {
		ts.Fatalf("%v: %v", args, err)
	}
}
