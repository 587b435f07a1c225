package appconf

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// EditEnv returns the .env file with variables changed in place and every other byte as it was. Of a variable that stands
// several times the last one is changed, since that is the one in force. The result is read again before it is returned.
func EditEnv(data []byte, changes []Change) ([]byte, error) {
	vars, err := ParseEnv(data)
	if err != nil {
		return nil, err
	}
	var cuts []cut
	want := map[string]string{}
	for _, c := range changes {
		if _, twice := want[c.Path]; twice {
			return nil, fmt.Errorf("%s is to be changed twice", c.Path)
		}
		made, text, err := changeVar(data, vars, c)
		if err != nil {
			return nil, fmt.Errorf("%s %w", c.Path, err)
		}
		cuts, want[c.Path] = append(cuts, made), text
	}
	out := splice(data, cuts)
	return out, checkEnv(data, out, vars, want)
}

func changeVar(data []byte, vars []EnvVar, c Change) (cut, string, error) {
	v, ok := last(vars, c.Path)
	switch {
	case !ok:
		return cut{}, "", fmt.Errorf("%w", ErrMissing)
	case v.bare:
		return cut{}, "", fmt.Errorf("(line %d) %w: it is inherited from the environment", v.Line, ErrFixed)
	}
	written := string(data[v.Start:v.End])
	inner, quote := unquoteEnv(written)
	text, err := withDefault(inner, c.Value)
	if err != nil {
		return cut{}, "", fmt.Errorf("(line %d) %w", v.Line, err)
	}
	if written, err = quoteEnv(text, quote); err != nil {
		return cut{}, "", fmt.Errorf("(line %d) %w", v.Line, err)
	}
	return cut{v.Start, v.End, written}, text, nil
}

func last(vars []EnvVar, name string) (EnvVar, bool) {
	for i := len(vars) - 1; i >= 0; i-- {
		if vars[i].Name == name {
			return vars[i], true
		}
	}
	return EnvVar{}, false
}

func unquoteEnv(written string) (inner string, quote byte) {
	if written == "" || written[0] != '"' && written[0] != '\'' {
		return written, 0
	}
	return written[1 : len(written)-1], written[0]
}

var safeEnv = regexp.MustCompile(`^[A-Za-z0-9_./:+@%?=&,-]+$`)

// quoteEnv writes a value with the quotes that its line had. A value without quotes gets single ones when it needs some.
func quoteEnv(text string, quote byte) (string, error) {
	plain := safeEnv.MatchString(text) || safeTemplate.MatchString(text)
	if quote == 0 && !plain {
		quote = '\''
	}
	switch {
	case quote == 0:
		return text, nil
	case strings.ContainsAny(text, "\\'\"\x00") || quote == '"' && !plain && strings.ContainsAny(text, "$"),
		strings.ContainsFunc(text, unicode.IsControl):
		return "", fmt.Errorf("%w: the new value has characters that quoting would change", ErrFixed)
	}
	return string(quote) + text + string(quote), nil
}

// checkEnv compares the result with the original statement by statement.
func checkEnv(data, out []byte, vars []EnvVar, want map[string]string) error {
	now, err := ParseEnv(out)
	if err != nil || len(now) != len(vars) {
		return fmt.Errorf("%w: the change would reach further", ErrFixed)
	}
	for i, v := range vars {
		written := string(out[now[i].Start:now[i].End])
		text, changed := want[v.Name]
		if in, _ := last(vars, v.Name); in != v {
			changed = false
		}
		inner, _ := unquoteEnv(written)
		if now[i].Name != v.Name || changed && inner != text || !changed && written != string(data[v.Start:v.End]) {
			return fmt.Errorf("%s %w: the change would reach further", v.Name, ErrFixed)
		}
	}
	return nil
}
