package appconf

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

const guide = `# the application
database:
  # Connection URL with environment variable substitution
  url: "${DATABASE_URL:-postgresql+asyncpg://user:password@postgres:5432/app_db}"
  app_db: "${APP_DB:-appdb}"

  # Connection pool settings
  pool_size: 20              # Base pool size
  max_overflow: '10'         # Additional connections beyond base
  pool_timeout: "${POOL_TIMEOUT:-30}"  # seconds
  pool_recycle: ${RECYCLE-1800}

  environment_mode: "${APP_ENVIRONMENT:-development}"
other: {flow: 1, list: [1, 2]}
`

func none(string) (string, bool) { return "", false }

func vars(pairs ...string) Lookup {
	return func(name string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func TestParsePlaces(t *testing.T) {
	for _, text := range []string{guide, strings.ReplaceAll(guide, "\n", "\r\n"), "\uFEFF" + guide} {
		d, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"database.pool_size": "20", "database.max_overflow": "'10'", "database.pool_timeout": `"${POOL_TIMEOUT:-30}"`,
			"database.pool_recycle": "${RECYCLE-1800}", "other.flow": "1"}
		for path, written := range want {
			s, ok := d.Scalar(path)
			if got := text[s.Start:s.End]; !ok || got != written {
				t.Errorf("%s is written as %q, want %q", path, got, written)
			}
		}
		if s, _ := d.Scalar("database.pool_size"); s.Line != 8 {
			t.Errorf("pool_size stands in line %d, want 8", s.Line)
		}
	}
}

func TestEdit(t *testing.T) {
	tests := []struct {
		name, in string
		changes  []Change
		old, new string // the one replacement that the result has to be
	}{
		{"plain", guide, []Change{{"database.pool_size", "30"}}, "pool_size: 20 ", "pool_size: 30 "},
		{"single quotes", guide, []Change{{"database.max_overflow", "5"}}, "'10'", "'5'"},
		{"default in double quotes", guide, []Change{{"database.pool_timeout", "60"}}, "POOL_TIMEOUT:-30", "POOL_TIMEOUT:-60"},
		{"default without colon", guide, []Change{{"database.pool_recycle", "3600"}}, "RECYCLE-1800", "RECYCLE-3600"},
		{"flow", guide, []Change{{"other.flow", "2"}}, "flow: 1", "flow: 2"},
		{"the same value", guide, []Change{{"database.pool_size", "20"}}, "", ""},
		{"no final newline", "database:\n  pool_size: 20", []Change{{"database.pool_size", "3"}}, "20", "3"},
		{"behind wide characters", "a: {é: 'ü', pool: 1}\n", []Change{{"a.pool", "2"}}, "pool: 1", "pool: 2"},
		{"a value that needs quotes", "a: b\n", []Change{{"a", "x # y"}}, "b", `"x # y"`},
		{"a missing key", guide, []Change{{"database.pool_pre_ping", "true"}}, "development}\"\n", "development}\"\n  pool_pre_ping: true\n"},
		{"a missing key, no final newline", "database:\n  pool_size: 20", []Change{{"database.max_overflow", "3"}}, "20", "20\n  max_overflow: 3"},
		{"a missing key, CRLF", "database:\r\n  pool_size: 20\r\n", []Change{{"database.max_overflow", "3"}}, "20\r\n", "20\r\n  max_overflow: 3\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Edit([]byte(tt.in), tt.changes)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Replace(tt.in, tt.old, tt.new, 1); string(got) != want {
				t.Errorf("Edit =\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestEditRefuses(t *testing.T) {
	tests := []struct {
		name, in, path, value string
		want                  error
	}{
		{"no such key in flow style", "a: {b: 1}\n", "a.c", "2", ErrMissing},
		{"no such mapping", "a: 1\n", "b.c", "2", ErrMissing},
		{"variable without default", "a: ${POOL}\n", "a", "2", ErrFixed},
		{"several variables", "a: ${A:-1}${B:-2}\n", "a", "2", ErrFixed},
		{"anchor", "a: &x 1\nb: *x\n", "a", "2", ErrFixed},
		{"alias", "a: &x 1\nb: *x\n", "b", "2", ErrFixed},
		{"block of lines", "a: |\n  1\n", "a", "2", ErrFixed},
		{"several lines", "a: 1\n  2\n", "a", "2", ErrFixed},
		{"brace in a default", "a: ${A:-1}\n", "a", "}", ErrFixed},
		{"twice", "a: 1\na: 2\n", "a", "2", ErrSyntax},
		{"broken", "a: [\n", "a", "2", ErrSyntax},
		{"not utf-8", "a: \xff\n", "a", "2", ErrSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Edit([]byte(tt.in), []Change{{tt.path, tt.value}}); !errors.Is(err, tt.want) {
				t.Errorf("Edit = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestExpand(t *testing.T) {
	lookup := vars("A", "1", "EMPTY", "")
	tests := []struct{ in, want string }{
		{"${A}", "1"}, {"$A", "1"}, {"${B:-2}", "2"}, {"${EMPTY:-2}", "2"}, {"${EMPTY-2}", ""}, {"${B-2}", "2"}, {"${A:+x}", "x"},
		{"${B:+x}", ""}, {"${B:-${A}}", "1"}, {"$$A", "$A"}, {"a${A}b${B}c", "a1bc"}, {"${B:-postgresql+asyncpg://u:p@h:5/d}", "postgresql+asyncpg://u:p@h:5/d"},
		{"50%", "50%"},
	}
	for _, tt := range tests {
		if got, err := Expand(tt.in, lookup); err != nil || got != tt.want {
			t.Errorf("Expand(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"secret${", "secret${A", "${B:?secret}", "${B?secret}", "secret${1}"} {
		if _, err := Expand(in, lookup); !errors.Is(err, ErrTemplate) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Expand(%q) = %v, want an error without the value", in, err)
		}
	}
}

const dotEnv = `# comment
APP_ENVIRONMENT=development
export POOL = 20 # inline
QUOTED="a b" # comment
SINGLE='$not'
URL=postgresql://u:${PW:-x}@h/d
POOL_TIMEOUT: "30"
POOL=25
INHERITED
LAST=1`

func TestReadEnv(t *testing.T) {
	e, err := ReadEnv([]byte(dotEnv), vars("PW", "s3", "INHERITED", "yes"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"APP_ENVIRONMENT": "development", "POOL": "25", "QUOTED": "a b", "SINGLE": "$not",
		"URL": "postgresql://u:s3@h/d", "POOL_TIMEOUT": "30", "INHERITED": "yes", "LAST": "1"}
	for name, value := range want {
		if got, ok := e.Lookup(name); !ok || got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
	if e.Line("POOL") != 8 || e.Times("POOL") != 2 {
		t.Errorf("POOL is in force from line %d of %d, want line 8 of 2", e.Line("POOL"), e.Times("POOL"))
	}
	if names := e.Names(); !slices.Equal(names[:2], []string{"APP_ENVIRONMENT", "POOL"}) {
		t.Errorf("Names = %v", names)
	}
	for _, bad := range []string{"A B=secret", "=secret", "sec'ret", "A='secret", `A="secret`, "A=secret${", "A=${B:?secret}"} {
		if _, err := ReadEnv([]byte(bad), none); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("ReadEnv(%q) = %v, want an error without the value", bad, err)
		}
	}
}

func TestEditEnv(t *testing.T) {
	tests := []struct{ name, path, value, old, new string }{
		{"the last of two", "POOL", "30", "POOL=25", "POOL=30"},
		{"double quotes", "POOL_TIMEOUT", "60", `"30"`, `"60"`},
		{"single quotes", "QUOTED", "c d", `"a b"`, `"c d"`},
		{"no final newline", "LAST", "2", "LAST=1", "LAST=2"},
		{"needs quotes", "LAST", "a b", "LAST=1", "LAST='a b'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := EditEnv([]byte(dotEnv), []Change{{tt.path, tt.value}})
			if want := strings.Replace(dotEnv, tt.old, tt.new, 1); err != nil || string(got) != want {
				t.Errorf("EditEnv = %v\n%s\nwant\n%s", err, got, want)
			}
		})
	}
	for _, c := range []Change{{"NOWHERE", "1"}, {"INHERITED", "1"}, {"LAST", "a'b"}, {"URL", "x"}} {
		if _, err := EditEnv([]byte(dotEnv), []Change{c}); err == nil {
			t.Errorf("EditEnv(%v) succeeded, want an error", c)
		}
	}
}

func TestApply(t *testing.T) {
	f := Files{Config: []byte("database:\n  pool_size: ${POOL:-20}\n  max_overflow: ${OVER:-10}\n  pool_timeout: ${TIMEOUT:-30}\n"),
		Env: []byte("POOL=25 # here\n"), ConfigName: "config.yaml", EnvName: ".env"}
	got, skipped, err := Apply(f, []Change{{"database.pool_size", "30"}, {"database.max_overflow", "5"}, {"database.pool_timeout", "60"}}, vars("TIMEOUT", "9"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "POOL=30 # here\n"; string(got.Env) != want {
		t.Errorf(".env = %q, want %q", got.Env, want)
	}
	if want := bytes.Replace(f.Config, []byte("OVER:-10"), []byte("OVER:-5"), 1); !bytes.Equal(got.Config, want) {
		t.Errorf("config.yaml =\n%s\nwant\n%s", got.Config, want)
	}
	if len(skipped) != 1 || skipped[0].Path != "database.pool_timeout" || !strings.Contains(skipped[0].Reason, "TIMEOUT=60") {
		t.Errorf("skipped = %v, want pool_timeout", skipped)
	}
}
