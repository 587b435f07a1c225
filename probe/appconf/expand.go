package appconf

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/sirupsen/logrus"
)

// The template library warns about unset variables through the global logger, also where it is told not to (in nested
// and following substitutions). What it takes for a variable can be a piece of a password with a dollar sign in it.
func init() { logrus.SetOutput(io.Discard) }

// Lookup finds a variable.
type Lookup func(name string) (string, bool)

// ErrTemplate is a value whose ${...} is broken or asks for a variable that is not set.
var ErrTemplate = errors.New("cannot be substituted")

// Expand puts variables in place of ${VAR}, ${VAR:-default}, ${VAR-default}, ${VAR:?text}, ${VAR:+text} and their nested
// forms by Compose's rules; $$ is a dollar sign, an unset variable without a default is empty.
func Expand(text string, lookup Lookup) (out string, err error) {
	defer func() {
		if recover() != nil { // the library panics on a few broken templates
			out, err = "", fmt.Errorf("%w: a ${...} in it is broken", ErrTemplate)
		}
	}()
	out, err = template.SubstituteWithOptions(text, template.Mapping(lookup), template.WithoutLogging)
	var missing *template.MissingRequiredError
	switch {
	case errors.As(err, &missing):
		return "", fmt.Errorf("%w: the required variable %s is not set", ErrTemplate, missing.Variable)
	case err != nil: // its text quotes the whole value
		return "", fmt.Errorf("%w: a ${...} in it is broken", ErrTemplate)
	}
	return out, nil
}

// wholeTemplate is a value that is one variable with a plain default.
var wholeTemplate = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?-)([^${}]*))?\}$`)

// Variable returns the name when the whole text is one variable, with or without a default: ${POOL:-20} or ${POOL}.
func Variable(text string) (name string, ok bool) {
	m := wholeTemplate.FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// withDefault puts a new default into a whole template, or the new value in place of a text without variables.
func withDefault(text, value string) (string, error) {
	m := wholeTemplate.FindStringSubmatch(text)
	switch {
	case m == nil && !strings.Contains(text, "$"):
		return value, nil
	case m == nil:
		return "", fmt.Errorf("%w: it is put together from variables", ErrFixed)
	case m[2] == "":
		return "", fmt.Errorf("%w: it is the variable %s without a default", ErrFixed, m[1])
	case strings.ContainsAny(value, "${}"):
		return "", fmt.Errorf("%w: the new value does not fit into ${%s%s...}", ErrFixed, m[1], m[2])
	}
	return "${" + m[1] + m[2] + value + "}", nil
}
