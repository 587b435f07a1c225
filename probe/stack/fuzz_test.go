package stack

import (
	"fmt"
	"strings"
	"testing"
)

func dump(v any) string { return fmt.Sprintf("%+v", v) }

// FuzzCompose reads any bytes: no panic, every line within the file, and no value of a variable that is named like a
// secret.
func FuzzCompose(f *testing.F) {
	f.Add("services:\n  db:\n    image: postgres:16\n    ports: [\"5432:5432\"]\n    environment: {A: b, X_PW: SECRET}\n")
	f.Add("x: &a {image: postgres}\nservices: {db: {<<: *a, environment: [POSTGRES_PASSWORD=SECRET], volumes: [{source: a}]}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := ParseCompose("c", []byte(text))
		for _, s := range c.Services {
			if s.Line < 1 || s.Line > 1+strings.Count(text, "\n")+strings.Count(text, "\r")+strings.Count(text, "\u0085")+strings.Count(text, "\u2028")+strings.Count(text, "\u2029") {
				t.Fatalf("service %q in line %d", s.Name, s.Line)
			}
			for name, v := range s.Env {
				if secretKey.MatchString(name) && v.Text != "" {
					t.Fatalf("the secret %q is kept", name)
				}
			}
		}
	})
}
