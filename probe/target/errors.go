package target

import "fmt"

// UsageError is a target that is named wrongly: exit code 2. Its text and hint never hold a password, nor any part of the
// input that could be one.
type UsageError struct {
	Text string
	Way  string // what would mend it, "" when the text says it
	Err  error  // the cause below, nil when there is none
}

func (e *UsageError) Error() string {
	if e.Err != nil {
		return e.Text + ": " + e.Err.Error()
	}
	return e.Text
}

// Unwrap returns the cause below.
func (e *UsageError) Unwrap() error { return e.Err }

// Hint is the way out.
func (e *UsageError) Hint() string { return e.Way }

func usagef(format string, args ...any) *UsageError {
	return &UsageError{Text: fmt.Sprintf(format, args...)}
}

func (e *UsageError) hint(format string, args ...any) *UsageError {
	e.Way = fmt.Sprintf(format, args...)
	return e
}

// at puts the place in front of the text: "DATABASE_URL: ...".
func (e *UsageError) at(place string) *UsageError {
	e.Text = place + ": " + e.Text
	return e
}
