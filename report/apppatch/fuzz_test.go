package apppatch

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgfit/probe/appconf"
	"pgfit/probe/target"
	"pgfit/report/unified"
)

// FuzzMake patches any config.yaml and .env: what it makes applies and gives the bytes back, and no line that may hold a
// secret is in it.
func FuzzMake(f *testing.F) {
	f.Add("database:\n  password: SECRET\n  pool_size: 20\n  max_overflow: ${O:-10}\n  x: 1\n", "A=1\nO=3\nB_PW=SECRET\n")
	f.Add("database:\r\n  url: postgresql://a:SECRET@h/d?pool_size=3\r\n  max_overflow: 10", "DATABASE_URL=postgresql://a:SECRET@h/d?pool_size=3&max_overflow=4\n")
	f.Add("database: {pool_size: 1, max_overflow: 2} # x\n", "")
	f.Fuzz(func(t *testing.T, config, env string) {
		in := Input{Present: target.AppPool{Size: 1, MaxOverflow: 1}, Advice: advice, Lookup: lookup(),
			Files: appconf.Files{Config: []byte(config), Env: []byte(env), ConfigName: "config.yaml", EnvName: ".env"}}
		made, _, err := Make(in)
		if err != nil {
			return
		}
		texts := map[string]string{"config.yaml": config, "env": env}
		for i := 0; i+1 < len(made); i += 2 {
			before := texts[strings.TrimSuffix(made[i].Name, ".patch")]
			for line := range strings.Lines(string(made[i].Data)) {
				if !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "+++") && line[0] != '@' && unified.Secret(line[1:]) {
					t.Fatalf("a secret is in the patch:\n%s", made[i].Data)
				}
			}
			after, err := applied(string(made[i].Data), before)
			if err != nil {
				t.Fatalf("the patch does not apply: %v\n%q\n%s", err, before, made[i].Data)
			}
			if back, err := applied(string(made[i+1].Data), after); err != nil || back != before {
				t.Fatalf("the rollback gives %q (%v), want %q", back, err, before)
			}
		}
	})
}

// applied applies a unified diff strictly: every context line and every removed line has to be where the hunk says.
func applied(diff, text string) (string, error) {
	old := strings.SplitAfter(text, "\n")
	var out strings.Builder
	at := 0
	lines := strings.SplitAfter(diff, "\n")
	for i, line := range lines {
		ended := i+1 < len(lines) && strings.HasPrefix(lines[i+1], "\\") // no newline at the end of the file
		switch {
		case line == "", strings.HasPrefix(line, "\\"), i < 2:
			continue
		case strings.HasPrefix(line, "@@"):
			var from int
			if _, err := fmt.Sscanf(line, "@@ -%d", &from); err != nil {
				return "", err
			}
			if strings.HasPrefix(line, fmt.Sprintf("@@ -%d,0 ", from)) {
				from++ // it stands behind that line
			}
			for ; at < from-1; at++ {
				out.WriteString(old[at])
			}
			continue
		}
		body := line[1:]
		if ended {
			body = strings.TrimSuffix(body, "\n")
		}
		if line[0] != '+' {
			if at >= len(old) || old[at] != body {
				return "", errors.New("line " + fmt.Sprint(at+1) + " is another one")
			}
			at++
		}
		if line[0] != '-' {
			out.WriteString(body)
		}
	}
	return out.String() + strings.Join(old[at:], ""), nil
}
