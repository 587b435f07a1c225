package apppatch

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgfit/advisor"
	"pgfit/probe/appconf"
	"pgfit/probe/target"
)

const canary = "CaNaRy9f3"

var advice = advisor.PoolAdvice{Total: 36, PoolSize: 30, MaxOverflow: 6, PoolTimeout: 45, PoolRecycle: 1800}

func lookup(pairs ...string) appconf.Lookup {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func TestMake(t *testing.T) {
	guide, err := os.ReadFile("../../testdata/guide/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, config, env string
		outer             appconf.Lookup
		want, wantEnv     []string // lines added to each file
		note              string
	}{
		{"the guide's", string(guide), "", lookup(), []string{"  pool_size: 30              # Base pool size", "  max_overflow: 6           # Additional connections beyond base"}, nil, "pool_timeout stays"},
		{"a variable's default", "database:\n  pool_size: \"${POOL:-20}\" # why\n  max_overflow: 10\n  x: 1\n", "", lookup(),
			[]string{"  pool_size: \"${POOL:-30}\" # why", "  max_overflow: 6"}, nil, ""},
		{"from .env", "database:\n  pool_size: ${POOL:-20}\n  max_overflow: 10\n  x: 1\n", "A=1\nPOOL='20'\nB=2\n", lookup(), []string{"  max_overflow: 6"}, []string{"POOL='30'"}, ""},
		{"from the environment", "database:\n  pool_size: ${POOL:-20}\n  max_overflow: 10\n  x: 1\n", "", lookup("POOL", "20"), []string{"  max_overflow: 6"}, nil, "set POOL=30 where"},
		{"no key for it", "database:\n  url: postgresql://db/x\n  pool_timeout: 30\n  x: 1\nb: 2\n", "", lookup(), []string{"  pool_size: 30", "  max_overflow: 6"}, nil, ""},
		{"in the URL of .env", "database:\n  url: ${DATABASE_URL}\n  x: 1\n", "DATABASE_URL=postgresql://db/x?pool_size=20&max_overflow=10\nA=1\n", lookup(), nil,
			[]string{"DATABASE_URL=postgresql://db/x?pool_size=30&max_overflow=6"}, ""},
		{"in the URL of the environment", "database:\n  url: ${DATABASE_URL}\n  x: 1\n", "", lookup("DATABASE_URL", "postgresql://db/x?pool_size=20&max_overflow=10"), nil, nil, "write pool_size=30 there"},
		{"crlf and no final newline", "database:\r\n  pool_size: 20\r\n  max_overflow: 10", "", lookup(), []string{"  pool_size: 30\r", "  max_overflow: 6"}, nil, ""},
		{"a secret beside it", "a: 1\nb: 2\ndatabase:\n  password: " + canary + "\n  pool_size: 20\n  max_overflow: 10\n  user: x\n  url: postgresql://a:" + canary + "@db/x\n", "", lookup(),
			[]string{"  pool_size: 30", "  max_overflow: 6"}, nil, ""},
		{"a secret between", "database:\n  pool_size: 20\n  password: " + canary + "\n  max_overflow: 10\n  x: 1\n", "", lookup(), nil, nil, "no patch may hold: pool_size = 30, max_overflow = 6"},
		{"a secret in the same line", "database:\n  x: 1\n", "A=1\nDATABASE_URL=postgresql://u:" + canary + "@db/x?pool_size=20&max_overflow=10\nB=1\n", lookup(), nil, nil, "no patch may hold"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := Input{Present: target.AppPool{Size: 20, MaxOverflow: 10, TimeoutSeconds: 60, RecycleSeconds: 1800}, Advice: advice, Lookup: tc.outer,
				Files: appconf.Files{Config: []byte(tc.config), Env: []byte(tc.env), ConfigName: "d/config.yaml", EnvName: "d/.env"}}
			made, notes, err := Make(in)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, f := range made {
				got[f.Name] = string(f.Data)
				if strings.Contains(string(f.Data), canary) {
					t.Errorf("a secret is in %s:\n%s", f.Name, f.Data)
				}
			}
			if text := strings.Join(notes, "\n"); !strings.Contains(text, tc.note) || strings.Contains(text, canary) {
				t.Errorf("notes %q, want %q", text, tc.note)
			}
			added(t, got["config.yaml.patch"], tc.want)
			added(t, got["env.patch"], tc.wantEnv)
			for _, tool := range [][]string{{"patch", "-p1", "-s"}, {"git", "apply"}} {
				roundTrip(t, tool, map[string]string{"config.yaml": tc.config, ".env": tc.env}, got)
			}
		})
	}
}

// added wants exactly these lines to be added.
func added(t *testing.T, diff string, want []string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(diff) {
		if strings.HasPrefix(line, "+") && !strings.HasPrefix(line, "+++") {
			got = append(got, strings.TrimSuffix(line[1:], "\n"))
		}
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("adds %q, want %q\n%s", got, want, diff)
	}
}

// roundTrip applies the patches and takes them back.
func roundTrip(t *testing.T, tool []string, texts, made map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		write(t, filepath.Join(dir, name), text)
	}
	for _, step := range []string{".patch", ".rollback.patch"} {
		for _, stem := range []string{"config.yaml", "env"} {
			diff, ok := made[stem+step]
			if !ok {
				continue
			}
			cmd := exec.Command(tool[0], tool[1:]...)
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(diff)
			if strings.Contains(diff, "\r\n") && tool[0] == "patch" {
				cmd.Args = append(cmd.Args, "--binary")
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s %s%s: %v\n%s\n%s", tool[0], stem, step, err, out, diff)
			}
		}
	}
	for name, text := range texts {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s: %s is not as before: %q", tool[0], name, got)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Policy is changed only where the advice has a bound of its own.
func TestChoose(t *testing.T) {
	present := target.AppPool{Size: 30, MaxOverflow: 6, TimeoutSeconds: 30, RecycleSeconds: 3600}
	for _, tc := range []struct {
		name             string
		demand           bool
		recycle, changes int
	}{{"as it should be", false, 1800, 0}, {"waits longer than allowed", true, 1800, 1}, {"a limit on the way", false, 480, 1}} {
		a := advice
		a.PoolRecycle = tc.recycle
		if changes, _ := choose(Input{Present: present, Advice: a, Demand: tc.demand}); len(changes) != tc.changes {
			t.Errorf("%s: %v, want %d changes", tc.name, changes, tc.changes)
		}
	}
	if made, notes, err := Make(Input{Present: present}); err != nil || made != nil || len(notes) != 1 {
		t.Errorf("without an advice: %v, %v, %v", made, notes, err)
	}
}
