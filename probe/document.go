package probe

import (
	_ "embed" // for Schema
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Kind is what every document of facts calls itself.
const Kind = "pgfit-facts"

// SchemaVersion of the documents that this pgfit writes. A reader refuses newer ones.
const SchemaVersion = 1

// Schema is the published JSON schema of Document and of HostFile, which has the host's part alone.
//
//go:embed schema.json
var Schema string

// Document is what pgfit probe --format json writes.
type Document struct {
	SchemaVersion int    `json:"schema_version"`
	Kind          string `json:"kind"`
	Facts
}

// Document makes a document of the facts.
func (f Facts) Document() Document {
	return Document{SchemaVersion: SchemaVersion, Kind: Kind, Facts: f}
}

// HostFile is what pgfit probe --out host.json writes on the database host and --host-facts reads elsewhere.
type HostFile struct {
	SchemaVersion int       `json:"schema_version"`
	Kind          string    `json:"kind"`
	Host          Host      `json:"host"`
	Storage       []Storage `json:"storage"`
}

// HostFile is this host's part of the facts, for use elsewhere.
func (f Facts) HostFile() HostFile {
	return HostFile{SchemaVersion: SchemaVersion, Kind: Kind, Host: f.Host, Storage: f.Storage}
}

// ErrHostFile is wrapped by every refusal of ReadHostFile.
var ErrHostFile = errors.New("no host facts of pgfit")

// ReadHostFile reads what HostFile wrote on the database host, or a whole Document.
func ReadHostFile(r io.Reader) (*HostFile, error) {
	h := new(HostFile)
	dec := json.NewDecoder(io.LimitReader(r, 16<<20))
	if err := dec.Decode(h); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrHostFile, err)
	}
	switch {
	case h.Kind != "" && h.Kind != Kind:
		return nil, fmt.Errorf("%w: its kind is %q", ErrHostFile, h.Kind)
	case h.SchemaVersion < 1 || h.Host.OS == "":
		return nil, fmt.Errorf("%w: schema_version and host are missing", ErrHostFile)
	case h.SchemaVersion > SchemaVersion:
		return nil, fmt.Errorf("%w: schema_version %d is newer than this pgfit's %d", ErrHostFile, h.SchemaVersion, SchemaVersion)
	}
	return h, nil
}
