package rundoc_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"pgfit/workload/rundoc"
)

var update = flag.Bool("update", false, "write schema.json anew")

// TestSchema keeps the published schema true to the types, and the types true to documents of real runs.
func TestSchema(t *testing.T) {
	schema, err := jsonschema.For[rundoc.Document](nil)
	if err != nil {
		t.Fatal(err)
	}
	schema.Schema = "https://json-schema.org/draft/2020-12/schema"
	schema.Title = "pgfit run document, schema_version 1"
	schema.Properties["kind"].Const = jsonschema.Ptr[any](rundoc.Kind)
	schema.Properties["schema_version"].Maximum = jsonschema.Ptr(float64(rundoc.SchemaVersion))
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
	if !bytes.Equal(got, []byte(rundoc.Schema)) {
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
