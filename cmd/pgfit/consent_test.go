package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// A question comes with what it is about, also under --quiet; anything but a yes is a no.
func TestAsk(t *testing.T) {
	for answer, yes := range map[string]bool{"y\n": true, " Yes\n": true, "n\n": false, "\n": false, "": false} {
		var stderr bytes.Buffer
		a := &app{stderr: &stderr, quiet: true}
		err := a.ask(strings.NewReader(answer), "load on db")
		if !strings.HasPrefix(stderr.String(), "load on db\nPut this load on it? [y/N]") {
			t.Errorf("asked %q", stderr.String())
		}
		var usage *usageError
		if (err == nil) != yes || err != nil && !errors.As(err, &usage) {
			t.Errorf("%q: %v", answer, err)
		}
	}
}
