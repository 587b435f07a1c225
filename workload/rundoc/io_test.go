package rundoc

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func sample() *Document {
	return &Document{
		SchemaVersion: SchemaVersion, Kind: Kind, Version: "test", StartedAt: "2026-01-02T03:04:05Z",
		Plan:   Plan{Seed: 7, Scenarios: []string{"read-heavy"}, Levels: []int{1, 2}, Rounds: 1},
		Visits: []Visit{{Phase: "B", Scenario: "read-heavy", PoolSize: 1, Callers: 1, Seconds: 2, Transactions: 10, TPS: 5}},
	}
}

func TestReadWrite(t *testing.T) {
	var first, second bytes.Buffer
	if err := Write(&first, sample()); err != nil {
		t.Fatal(err)
	}
	doc, err := Read(bytes.NewReader(first.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(&second, doc); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Errorf("a document changes when it is read and written again:\n%s\n%s", &first, &second)
	}
}

func TestReadRefuses(t *testing.T) {
	var whole bytes.Buffer
	if err := Write(&whole, sample()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, text, want string }{
		{"empty", " \n", "empty"},
		{"truncated", whole.String()[:whole.Len()/2], "cut off"},
		{"no JSON", "hello", "no JSON"},
		{"foreign", `{"name": "x"}`, `kind is ""`},
		{"newer", strings.Replace(whole.String(), `"schema_version": 1`, `"schema_version": 99`, 1), "newer"},
		{"wrong type", strings.Replace(whole.String(), `"tps": 5`, `"tps": "many"`, 1), "belongs"},
		{"impossible", strings.Replace(whole.String(), `"pool_size": 1`, `"pool_size": 0`, 1), "cannot be"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(tc.text))
			if !errors.Is(err, ErrDocument) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Read(%s) = %v, want ErrDocument with %q", tc.name, err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	var whole bytes.Buffer
	if err := Write(&whole, sample()); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add([]byte(`{"kind":"pgfit-run","schema_version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := Read(bytes.NewReader(data))
		if err == nil && doc == nil {
			t.Error("no document and no error")
		}
	})
}
