package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
)

// Options of Collect. What is given overrides what is read.
type Options struct {
	RAM       int64     // bytes
	CPUs      float64   // of the database host
	Disk      Class     // of the storage under the data directory
	DataDir   string    // where the role may not ask for it
	HostFacts *HostFile // of a database host elsewhere
	Scratch   bool      // pgfit started the server
	Env       Env       // zero: this machine
}

// Collect gathers the facts about a server and its machine. With conn nil it looks at this machine alone. A fact that
// cannot be read is no error: it has a state, and a warning where something can be done.
func Collect(ctx context.Context, conn *pgx.Conn, o Options) (Facts, error) {
	if o.Env == (Env{}) {
		o.Env = RealEnv()
	}
	var f Facts
	if conn == nil {
		f.SameHost, f.Host = Is(true, "no server was asked"), o.Env.readHost("self")
		if o.DataDir != "" {
			f.Storage = o.Env.readStorage(ctx, nil, "self", o.DataDir)
		}
		o.apply(&f)
		f.Warnings = append(f.Warnings, doubts(f)...)
		return f, nil
	}
	var err error
	if f.Server, f.Warnings, err = ReadServer(ctx, conn); err != nil {
		return f, err
	}
	f.Server.Scratch = o.Scratch
	if o.DataDir != "" {
		f.Server.DataDirectory = Fact[string]{Value: o.DataDir, State: Given, Source: "--data-directory"}
	}
	var pid string
	f.SameHost, pid = o.Env.sameHost(ctx, conn, f.Server)
	if same, ok := f.SameHost.Get(); ok && same {
		f.Host = o.Env.readHost(pid)
		f.Storage = o.Env.readStorage(ctx, conn, pid, f.Server.DataDirectory.Value)
	}
	o.apply(&f)
	f.Warnings = append(f.Warnings, doubts(f)...)
	return f, nil
}

// apply puts the user's own facts in the place of those that were read or could not be.
func (o Options) apply(f *Facts) {
	if o.HostFacts != nil {
		f.Host, f.Storage = o.HostFacts.Host, o.HostFacts.Storage
	}
	if o.RAM > 0 {
		f.Host.Memory.Budget = Fact[int64]{Value: o.RAM, State: Given, Source: "--ram"}
	}
	if o.CPUs > 0 {
		f.Host.CPU.Effective = Fact[float64]{Value: o.CPUs, State: Given, Source: "--cpus"}
	}
	if o.Disk != "" {
		if len(f.Storage) == 0 {
			f.Storage = []Storage{{Role: "data_directory", Path: f.Server.DataDirectory.Value}}
		}
		f.Storage[0].Class, f.Storage[0].Evidence = o.Disk, []string{"--disk"}
	}
}

// Missing names the flags whose facts could not be had and are needed for advice.
func (f Facts) Missing() []string {
	var out []string
	if !f.Host.Memory.Budget.OK() {
		out = append(out, "--ram")
	}
	if !f.Host.CPU.Effective.OK() {
		out = append(out, "--cpus")
	}
	return out
}

// doubts are warnings that follow from the facts.
func doubts(f Facts) []Warning {
	var out []Warning
	h := f.Host
	if h.THP.OK() && h.THP.Value == "always" {
		out = append(out, Warning{Code: "thp-always", Text: "transparent huge pages are on for everything", Hint: "memory use of backends may grow; madvise is the usual choice for databases"})
	}
	if v, ok := h.Overcommit.Get(); ok && v == 0 && h.OS == "linux" && !f.Server.Scratch {
		out = append(out, Warning{Code: "overcommit", Text: "vm.overcommit_memory is 0: the kernel may kill the server when memory runs out",
			Hint: "the manual advises vm.overcommit_memory = 2 on a dedicated machine (Linux Memory Overcommit)"})
	}
	for _, s := range f.Storage {
		switch {
		case s.FSType == "overlay":
			out = append(out, Warning{Code: "overlay", Text: s.Role + " lies inside a container's own layer", Hint: "put it on a volume: it is slow and is lost with the container"})
		case s.Class == RAM:
			out = append(out, Warning{Code: "memory-disk", Text: s.Role + " lies in memory", Hint: "nothing on it survives a restart"})
		}
		for _, opt := range s.Options {
			if opt == "nobarrier" || opt == "barrier=0" {
				out = append(out, Warning{Code: "nobarrier", Text: s.MountPoint + " is mounted with " + opt, Hint: "a power failure can lose or tear committed data unless the disk's cache is protected"})
			}
		}
	}
	return out
}

// HostFile is this host's part of the facts, for use elsewhere.
func (f Facts) HostFile() HostFile {
	return HostFile{SchemaVersion: hostFileVersion, Host: f.Host, Storage: f.Storage}
}

const hostFileVersion = 1

// ErrHostFile is wrapped by every refusal of ReadHostFile.
var ErrHostFile = errors.New("no host facts of pgfit")

// ReadHostFile reads what HostFile wrote on the database host.
func ReadHostFile(r io.Reader) (*HostFile, error) {
	h := new(HostFile)
	dec := json.NewDecoder(io.LimitReader(r, 16<<20))
	if err := dec.Decode(h); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrHostFile, err)
	}
	switch {
	case h.SchemaVersion < 1 || h.Host.OS == "":
		return nil, fmt.Errorf("%w: schema_version and host are missing", ErrHostFile)
	case h.SchemaVersion > hostFileVersion:
		return nil, fmt.Errorf("%w: schema_version %d is newer than this pgfit's %d", ErrHostFile, h.SchemaVersion, hostFileVersion)
	}
	return h, nil
}
