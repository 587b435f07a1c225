package probe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"pgfit/probe"
	"pgfit/probe/internal/pgtest"
)

var update = flag.Bool("update", false, "write schema.json anew")

// TestSchema keeps the published schema true to the types.
func TestSchema(t *testing.T) {
	schema, err := jsonschema.For[probe.Document](nil)
	if err != nil {
		t.Fatal(err)
	}
	schema.Schema = "https://json-schema.org/draft/2020-12/schema"
	schema.Title = "facts of pgfit probe, schema_version 1"
	schema.Properties["kind"].Const = jsonschema.Ptr[any](probe.Kind)
	schema.Properties["schema_version"].Maximum = jsonschema.Ptr(float64(probe.SchemaVersion))
	schema.Required = []string{"schema_version", "kind", "host", "storage"} // a host file has no more
	open(schema)
	got, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("schema.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, []byte(probe.Schema)) {
		t.Fatal("schema.json is not what the types say: go test -update, and raise SchemaVersion when an old reader would stumble")
	}
}

// open lets readers of this version take documents of later ones that say more.
func open(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Not != nil {
		s.AdditionalProperties = nil
	}
	open(s.AdditionalProperties)
	open(s.Items)
	for _, p := range s.Properties {
		open(p)
	}
}

// TestDocuments: what a real server's facts look like is what the schema says, a host file too, and it is read again.
func TestDocuments(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	f, err := probe.Collect(context.Background(), s.Connect(t, "postgres"), probe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.Measured("data_directory", &probe.DiskBench{Random: []probe.DepthRate{{Depth: 1, P50: 1e-4}}, Lasting: &probe.Lasting{Depth: 32, IOPS: []float64{1}, SeqReadRate: []float64{1}}})
	valid(t, f.Document())
	valid(t, f.HostFile())
	if err := validate(t, map[string]any{"schema_version": 1, "kind": "pgfit-run", "host": map[string]any{}, "storage": nil}); err == nil {
		t.Error("the schema takes a document of another kind")
	}
	for _, doc := range []any{f.Document(), f.HostFile()} {
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		h, err := probe.ReadHostFile(bytes.NewReader(data))
		if err != nil || h.Host.Memory.Budget != f.Host.Memory.Budget || len(h.Storage) != len(f.Storage) || h.Storage[0].Bench == nil {
			t.Errorf("read again: %v, %+v", err, h)
		}
	}
	for text, want := range map[string]string{"{": "EOF", "{}": "missing", `{"schema_version": 99, "host": {"os": "linux"}}`: "newer", `{"kind": "pgfit-run"}`: "kind"} {
		if _, err := probe.ReadHostFile(strings.NewReader(text)); !errors.Is(err, probe.ErrHostFile) || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadHostFile(%s) = %v, want %q", text, err, want)
		}
	}
}

func valid(t *testing.T, doc any) {
	t.Helper()
	if err := validate(t, doc); err != nil {
		t.Errorf("%T: %v", doc, err)
	}
}

func validate(t *testing.T, doc any) error {
	t.Helper()
	var schema jsonschema.Schema
	if err := json.Unmarshal([]byte(probe.Schema), &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var instance any
	if err := json.Unmarshal(data, &instance); err != nil {
		t.Fatal(err)
	}
	return resolved.Validate(instance)
}
