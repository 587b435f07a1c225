package export

import (
	"os/exec"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"pgfit/advisor"
	apppool "pgfit/advisor/pool"
)

// Every pool format prints the product of processes and size against max_connections, and none of the server's settings.
func TestAppPools(t *testing.T) {
	for name := range stacks {
		t.Run(name, func(t *testing.T) {
			out := render(t, name, changes(), options(t))
			data := out.Files[0].Data
			if !strings.Contains(data, "4 processes x (5 + 2) = 28 connections; max_connections has to be 36 at least and is 100") {
				t.Errorf("the product is not printed:\n%s", data)
			}
			if strings.Contains(data, "shared_buffers") || len(out.Skipped) > 0 || len(out.Apply) == 0 || len(out.Rollback) == 0 {
				t.Error("settings of the server are no matter of the pool")
			}
			if _, err := Render(name, changes(), Options{Server: server(t)}); err == nil {
				t.Error("no error without a pool")
			}
		})
	}
}

// TestStacksAgree: the report's table of pools and the formats give the same pool.
func TestStacksAgree(t *testing.T) {
	plain := strings.NewReplacer("-", "", "_", "", "pool_max_conn", "maxconn").Replace
	o := options(t)
	o.Pool.App.Timeout = 7
	formats := map[string]string{"SQLAlchemy": "sqlalchemy", "HikariCP": "hikari", "pgxpool": "pgxpool", "asyncpg": "asyncpg", "node-postgres": "node-pg"}
	seen := 0
	for _, d := range apppool.Drivers(advisor.PoolAdvice{PoolSize: o.Pool.App.PoolSize, MaxOverflow: o.Pool.App.MaxOverflow, PoolTimeout: 7, PoolRecycle: int(o.Pool.Recycle)}) {
		format, ok := formats[d.Name]
		if !ok {
			continue
		}
		seen++
		text := strings.ToLower(plain(render(t, format, nil, o).Files[0].Data))
		for _, setting := range strings.Split(d.Settings, ", ") {
			if !strings.Contains(text, strings.ToLower(plain(setting))) {
				t.Errorf("%s: the report says %s, --format %s:\n%s", d.Name, setting, format, text)
			}
		}
	}
	if seen != len(formats) {
		t.Errorf("%d of %d pools", seen, len(formats))
	}
}

// code is a file without its comments.
func code(t *testing.T, format, mark string) string {
	var b strings.Builder
	for line := range strings.Lines(render(t, format, nil, options(t)).Files[0].Data) {
		if !strings.HasPrefix(line, mark) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// The readers of the stacks that are at hand take what is written for them.
func TestRailsYAML(t *testing.T) {
	var got map[string]map[string]int
	if err := yaml.Unmarshal([]byte(code(t, "rails", "#")), &got); err != nil || got["production"]["pool"] != 7 {
		t.Errorf("%v: %v", err, got)
	}
}

func TestPythonCompiles(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	for _, format := range []string{"sqlalchemy", "asyncpg", "django"} {
		cmd := exec.Command(python, "-c", "import ast, sys; compile(sys.stdin.read(), 'x', 'exec', ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)")
		cmd.Stdin = strings.NewReader(render(t, format, nil, options(t)).Files[0].Data)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", format, err, out)
		}
	}
}
