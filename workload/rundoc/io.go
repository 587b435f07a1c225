package rundoc

import (
	"bytes"
	_ "embed" // for Schema
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// Kind is what every run document calls itself.
const Kind = "pgfit-run"

// ErrDocument is wrapped by every refusal to read a document.
var ErrDocument = errors.New("not a run document of pgfit")

// maxBytes bounds what Read takes in. A run of 15 rounds, 13 pool sizes and 3 scenarios has about 6 MB.
const maxBytes = 256 << 20

// Read reads a run document. It refuses what is truncated, foreign, newer than this pgfit, or without the figures that
// advice rests on; the error is one sentence and wraps ErrDocument.
func Read(r io.Reader) (*Document, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxBytes:
		return nil, fmt.Errorf("%w: larger than %d MB", ErrDocument, maxBytes>>20)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, fmt.Errorf("%w: the file is empty", ErrDocument)
	}
	var head struct {
		Kind          string `json:"kind"`
		SchemaVersion int    `json:"schema_version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrDocument, jsonError(err))
	}
	switch {
	case head.Kind != Kind:
		return nil, fmt.Errorf("%w: its kind is %q", ErrDocument, head.Kind)
	case head.SchemaVersion > SchemaVersion:
		return nil, fmt.Errorf("%w: schema_version %d is newer than this pgfit's %d; use a newer pgfit", ErrDocument, head.SchemaVersion, SchemaVersion)
	case head.SchemaVersion < 1:
		return nil, fmt.Errorf("%w: schema_version is missing", ErrDocument)
	}
	doc := new(Document)
	if err := json.Unmarshal(data, doc); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrDocument, jsonError(err))
	}
	return doc, doc.check()
}

func jsonError(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		if syntax.Error() == "unexpected end of JSON input" {
			return "it ends in the middle; it was cut off"
		}
		return fmt.Sprintf("no JSON at byte %d", syntax.Offset)
	}
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		where := typ.Field
		if where == "" {
			where = "the whole"
		}
		return fmt.Sprintf("%s is JSON's %s where %s belongs", where, typ.Value, belongs(typ.Type))
	}
	return err.Error()
}

// belongs is a Go type in JSON's words.
func belongs(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	}
	return "a number"
}

// check refuses figures that no run can have.
func (d *Document) check() error {
	for i, v := range d.Visits {
		if v.PoolSize < 1 || v.Seconds <= 0 || v.TPS < 0 || v.Transactions < 0 {
			return fmt.Errorf("%w: visit %d: pool size %d, %g seconds, %g TPS cannot be", ErrDocument, i, v.PoolSize, v.Seconds, v.TPS)
		}
	}
	return nil
}

// Write writes a document as indented JSON with a final newline. Same document, same bytes.
func Write(w io.Writer, d *Document) error {
	data, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return fmt.Errorf("encoding the run document: %w", err)
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// Schema is the JSON schema (draft 2020-12) of the documents that Write writes.
//
//go:embed schema.json
var Schema string
