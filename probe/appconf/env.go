package appconf

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

// EnvVar is one line of a .env file (or several, within quotes).
type EnvVar struct {
	Name  string
	Line  int // from 1
	Start int // of the value as written, quotes included: data[Start:End]
	End   int
	begin int  // of the statement
	next  int  // of what follows
	bare  bool // a name without a value: inherited from the environment
}

var exportWord = regexp.MustCompile(`^export\s+`)

// ParseEnv finds the variables of a .env file in Compose's syntax. The last one of a name is the one in force.
func ParseEnv(data []byte) ([]EnvVar, error) {
	text := string(data)
	var vars []EnvVar
	at := len(text) - len(strings.TrimPrefix(text, string(bom)))
	for {
		at += len(text[at:]) - len(strings.TrimLeftFunc(text[at:], unicode.IsSpace))
		if at >= len(text) {
			return vars, nil
		}
		if text[at] == '#' {
			at += lineLen(text[at:])
			continue
		}
		v, err := statement(text, at)
		if err != nil {
			return nil, err
		}
		vars = append(vars, v)
		at = v.next
	}
}

// lineLen is the length of the first line, its end included.
func lineLen(text string) int {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

// statement reads NAME=value, NAME: value or NAME at a place.
func statement(text string, begin int) (EnvVar, error) {
	v := EnvVar{Line: 1 + strings.Count(text[:begin], "\n"), begin: begin}
	at := begin
	if exportWord.MatchString(text[at:]) {
		at += len("export")
		at += len(text[at:]) - len(strings.TrimLeftFunc(text[at:], isBlank))
	}
	name, end, err := variableName(text[at:], v.Line)
	if err != nil {
		return v, err
	}
	v.Name = name
	at += end
	if at >= len(text) || text[at] == '\n' {
		v.bare, v.Start, v.End, v.next = true, at, at, min(at+1, len(text))
		return v, nil
	}
	at++ // = or :
	at += len(text[at:]) - len(strings.TrimLeftFunc(text[at:], isBlank))
	v.Start = at
	if at < len(text) && (text[at] == '"' || text[at] == '\'') {
		end := envQuoteEnd(text[at:])
		if end < 0 {
			return v, fmt.Errorf("line %d: %w: the quoted value of %s does not end", v.Line, ErrSyntax, v.Name)
		}
		v.End, v.next = at+end, at+end
		return v, nil
	}
	line := text[at : at+lineLen(text[at:])]
	v.next = at + len(line)
	value, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " #")
	v.End = at + len(strings.TrimRightFunc(value, unicode.IsSpace))
	return v, nil
}

// variableName returns the name and where it ends: at =, : or the end of the line.
func variableName(text string, line int) (string, int, error) {
	end := len(text)
	for i, r := range text {
		if r == '=' || r == ':' || r == '\n' {
			end = i
			break
		}
		if !isBlank(r) && !strings.ContainsRune("_.-[]", r) && !unicode.IsLetter(r) && !unicode.IsNumber(r) {
			return "", 0, fmt.Errorf("line %d: %w: it is not of the form NAME=value", line, ErrSyntax)
		}
	}
	name := strings.TrimRightFunc(text[:end], unicode.IsSpace)
	if name == "" || strings.Contains(name, " ") || !utf8.ValidString(name) {
		return "", 0, fmt.Errorf("line %d: %w: it is not of the form NAME=value", line, ErrSyntax)
	}
	return name, end, nil
}

// envQuoteEnd is the length of the quoted value that text begins with, -1 when it does not end.
func envQuoteEnd(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[0]:
			return i + 1
		}
	}
	return -1
}

// isBlank is a space within a line, as the .env syntax has it.
func isBlank(r rune) bool { return r != '\n' && strings.ContainsRune("\t\v\f\r \u0085\u00a0", r) }

// Env is a .env file that has been read.
type Env struct {
	vars   []EnvVar
	values map[string]string
	line   map[string]int
	times  map[string]int
}

// ReadEnv reads a .env file and substitutes the variables in it: the outer environment is asked first, then the file's
// own earlier lines, as Compose does.
func ReadEnv(data []byte, outer Lookup) (*Env, error) {
	vars, err := ParseEnv(data)
	if err != nil {
		return nil, err
	}
	e := &Env{vars: vars, values: map[string]string{}, line: map[string]int{}, times: map[string]int{}}
	for _, v := range vars {
		value, ok, err := e.value(v, string(data[v.begin:v.next]), outer)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s %w", v.Line, v.Name, err)
		}
		if ok {
			e.values[v.Name], e.line[v.Name] = value, v.Line
			e.times[v.Name]++
		}
	}
	return e, nil
}

// value lets the library read one statement. Its errors quote the value and are not passed on.
func (e *Env) value(v EnvVar, text string, outer Lookup) (value string, ok bool, err error) {
	defer func() {
		if recover() != nil { // the library panics on a few broken templates
			ok, err = false, fmt.Errorf("%w: a ${...} in it is broken", ErrTemplate)
		}
	}()
	if v.bare {
		value, ok = outer(v.Name)
		return value, ok, nil
	}
	got, err := dotenv.UnmarshalWithLookup(text, func(name string) (string, bool) {
		if value, ok := outer(name); ok {
			return value, true
		}
		return e.Lookup(name)
	})
	if err != nil {
		return "", false, fmt.Errorf("%w: a ${...} in it is broken or asks for a variable that is not set", ErrTemplate)
	}
	value, ok = got[v.Name]
	if !ok || len(got) != 1 {
		return "", false, fmt.Errorf("%w", ErrSyntax)
	}
	return value, true, nil
}

// Lookup finds a variable of the file.
func (e *Env) Lookup(name string) (string, bool) {
	if e == nil {
		return "", false
	}
	v, ok := e.values[name]
	return v, ok
}

// Line is where the variable in force stands, 0 when it is not in the file.
func (e *Env) Line(name string) int {
	if e == nil {
		return 0
	}
	return e.line[name]
}

// Times is how often the variable stands in the file; more than once, and only the last counts.
func (e *Env) Times(name string) int {
	if e == nil {
		return 0
	}
	return e.times[name]
}

// Names are the variables in the order of the file, each once.
func (e *Env) Names() []string {
	var names []string
	seen := map[string]bool{}
	for _, v := range e.vars {
		if !seen[v.Name] {
			names, seen[v.Name] = append(names, v.Name), true
		}
	}
	return names
}
