package probe

import (
	"context"
	"fmt"
	"strconv"
	"strings"

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
	// ServerFiles lets the server itself read /proc and /sys where it is on another machine.
	ServerFiles bool
	// CloudMetadata asks the metadata service of the cloud that this machine is in.
	CloudMetadata bool
	Env           Env // zero: this machine
}

// Collect gathers the facts about a server and its machine. With conn nil it looks at this machine alone. A fact that
// cannot be read is no error: it has a state, and a warning where something can be done.
func Collect(ctx context.Context, conn *pgx.Conn, o Options) (Facts, error) {
	if o.Env.Files == nil {
		o.Env = RealEnv()
	}
	var f Facts
	if conn == nil {
		o.hostAlone(ctx, &f)
	} else if err := o.withServer(ctx, conn, &f); err != nil {
		return f, err
	}
	if o.CloudMetadata {
		o.Env.askCloud(ctx, &f)
	}
	o.apply(&f)
	f.Warnings = append(f.Warnings, doubts(f)...)
	return f, nil
}

func (o Options) hostAlone(ctx context.Context, f *Facts) {
	f.SameHost, f.Host = Is(true, "no server was asked"), o.Env.readHost(o.Env.Self)
	if o.DataDir != "" {
		named := Server{DataDirectory: Fact[string]{Value: o.DataDir, State: Given}}
		f.Storage = o.Env.readStorage(o.Env.places(ctx, nil, named, ""), o.Env.Self, "")
	}
}

func (o Options) withServer(ctx context.Context, conn *pgx.Conn, f *Facts) (err error) {
	if f.Server, f.Warnings, err = ReadServer(ctx, conn); err != nil {
		return err
	}
	f.Server.Scratch = o.Scratch
	if o.DataDir != "" {
		f.Server.DataDirectory = Fact[string]{Value: o.DataDir, State: Given, Source: "--data-directory"}
	}
	c, err := claimOf(ctx, conn, f.Server)
	if err != nil {
		return fmt.Errorf("asking for the server's address: %w", err)
	}
	var at seat
	f.SameHost, at = o.Env.sameHost(c)
	e, pid, seen := o.Env, at.pid, at.pid // seen: whose mounts to look at
	if pid == "" {
		pid, seen = unseen, e.Self
	}
	if same, ok := f.SameHost.Get(); !ok || !same {
		if !o.ServerFiles {
			f.Host.Memory.Budget = inferRAM(f.Server.Service.Value, f.Server.Settings)
			f.Host.CPU.Effective = inferCPUs(f.Server.Service.Value, f.Server.Settings)
			return nil
		}
		e, pid, seen = sqlEnv(ctx, conn), "self", "self"
	}
	if !f.Server.DataDirectory.OK() && at.dir != "" {
		f.Server.DataDirectory = Is(at.dir, procFile(pid, "cwd"))
	}
	f.Host = e.readHost(pid)
	if o.ServerFiles && f.Host.Memory.Total.State == Denied {
		f.Warnings = append(f.Warnings, Warning{Code: "server-files", Text: "--server-files: the role " + f.Server.User + " may not read files of the server's host",
			Hint: "GRANT pg_read_server_files TO " + pgx.Identifier{f.Server.User}.Sanitize() + ", or use pgfit probe --out on the host"})
	}
	if e.Usage == nil { // read through the server
		f.Host.Arch = archOf(f.Server.Build)
	}
	f.Storage = e.readStorage(e.places(ctx, conn, f.Server, at.root), seen, at.root)
	f.Warnings = append(f.Warnings, e.walHidden(f.Server, at.root)...)
	if kind, ok := f.Host.Container.Get(); ok && f.Server.Service.Value == "self-managed" {
		f.Server.Service = Is("container", f.Host.Container.Source)
		f.Server.Service.Note = kind
	}
	f.Server.HugePagesNeeded = e.hugePagesNeeded(f.Server, f.Host, pid)
	return nil
}

// archOf is Go's name of the processor that a server was built for.
func archOf(build string) string {
	for _, known := range [][2]string{{"x86_64", "amd64"}, {"aarch64", "arm64"}} {
		if strings.Contains(build, known[0]) {
			return known[1]
		}
	}
	return ""
}

// hugePagesNeeded is what vm.nr_hugepages would have to be: the server's own count from 15 on, before that from the most
// memory that the postmaster has had, as the manual says (Linux Huge Pages).
func (e Env) hugePagesNeeded(s Server, h Host, pid string) Fact[int64] {
	if n, ok := s.Settings.Int("shared_memory_size_in_huge_pages"); ok && n > 0 {
		return Is(n, "shared_memory_size_in_huge_pages")
	}
	page, ok := h.HugePageBytes.Get()
	if !ok || page <= 0 {
		return Fact[int64]{State: Absent, Source: h.HugePageBytes.Source}
	}
	if pid == unseen || pid == e.Self { // a session, not the postmaster: 5 % and 64 MB for what is not buffers
		buffers, _ := s.Settings.Bytes("shared_buffers")
		f := Is((buffers/20*21+64<<20+page-1)/page, "shared_buffers")
		f.Note = "an estimate"
		return f
	}
	peak, state := e.field(procFile(pid, "status"), "VmPeak")
	kb, err := strconv.ParseInt(strings.TrimSuffix(peak, " kB"), 10, 64)
	if state != Known || err != nil {
		return Fact[int64]{State: state, Source: procFile(pid, "status")}
	}
	f := Is((kb<<10+page-1)/page, procFile(pid, "status"))
	f.Note = "from VmPeak"
	return f
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
