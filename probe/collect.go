package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/shirou/gopsutil/v3/mem"
	"golang.org/x/sys/unix"

	"pgfit/probe/guc"
)

type Options struct {
	RAM         int64
	CPUs        float64
	Disk        Class
	DataDir     string
	HostFacts   *HostFile
	ServerFiles bool
	Scratch     bool
}

func ReadHostFile(r io.Reader) (*HostFile, error) {
	h := new(HostFile)
	return h, json.NewDecoder(r).Decode(h)
}
func (f Facts) HostFile() HostFile {
	return HostFile{SchemaVersion: 1, Host: f.Host, Storage: f.Storage}
}
func (f Facts) Missing() (m []string) {
	if !f.Host.Memory.Budget.OK() {
		m = append(m, "--ram")
	}
	if !f.Host.CPU.Effective.OK() {
		m = append(m, "--cpus")
	}
	return m
}

func Collect(ctx context.Context, conn *pgx.Conn, o Options) (Facts, error) {
	var f Facts
	if conn != nil {
		s, w, err := ReadServer(ctx, conn)
		if err != nil {
			return f, err
		}
		f.Server, f.Warnings = s, w
		f.Server.Scratch = o.Scratch
	}
	f.SameHost = Is(true, "assumed")
	f.Host.OS, f.Host.Arch = runtime.GOOS, runtime.GOARCH
	vm, _ := mem.VirtualMemory()
	f.Host.Memory.Total = Is(int64(vm.Total), "/proc/meminfo")
	f.Host.Memory.Available = Is(int64(vm.Available), "/proc/meminfo")
	f.Host.Memory.Budget = Is(int64(vm.Total), "total")
	if o.RAM > 0 {
		f.Host.Memory.Budget = Fact[int64]{Value: o.RAM, State: Given, Source: "--ram"}
	}
	f.Host.CPU.Online = Is(runtime.NumCPU(), "affinity")
	f.Host.CPU.Effective = Is(float64(runtime.NumCPU()), "affinity")
	if o.CPUs > 0 {
		f.Host.CPU.Effective = Fact[float64]{Value: o.CPUs, State: Given, Source: "--cpus"}
	}
	if d, ok := f.Server.DataDirectory.Get(); ok {
		st := Storage{Role: "data_directory", Path: d, Class: UnknownClass}
		var fs unix.Statfs_t
		if unix.Statfs(filepath.Dir(d), &fs) == nil {
			st.Free = Is(int64(fs.Bavail)*fs.Bsize, "statfs")
			st.Total = Is(int64(fs.Blocks)*fs.Bsize, "statfs")
		}
		f.Storage = append(f.Storage, st)
	}
	_ = os.Getpid
	return f, nil
}

func ReadServer(ctx context.Context, conn *pgx.Conn) (Server, []Warning, error) {
	s := Server{Settings: guc.Settings{}}
	rows, err := conn.Query(ctx, `SELECT name, setting, coalesce(unit,''), context, vartype, source, coalesce(min_val,''), coalesce(max_val,''), coalesce(enumvals,'{}'), coalesce(boot_val,''), coalesce(reset_val,''), coalesce(sourcefile,''), coalesce(sourceline,0), pending_restart FROM pg_settings`)
	if err != nil {
		return s, nil, err
	}
	for rows.Next() {
		var g guc.Setting
		if err := rows.Scan(&g.Name, &g.Value, &g.Unit, &g.Context, &g.VarType, &g.Source, &g.MinVal, &g.MaxVal, &g.EnumVals, &g.BootVal, &g.ResetVal, &g.SourceFile, &g.SourceLine, &g.PendingRestart); err != nil {
			return s, nil, err
		}
		s.Settings[g.Name] = g
	}
	if rows.Err() != nil {
		return s, nil, rows.Err()
	}
	s.VersionNum, _ = strconv.Atoi(s.Settings.Text("server_version_num"))
	s.Version, _, _ = strings.Cut(s.Settings.Text("server_version"), " ")
	var size int64
	if err := conn.QueryRow(ctx, `SELECT current_database(), current_user, pg_database_size(current_database()), (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())`).Scan(&s.Database, &s.User, &size, &s.InUse); err != nil {
		return s, nil, fmt.Errorf("x: %w", err)
	}
	s.DatabaseBytes = Is(size, "pg_database_size")
	s.DataDirectory = Is(s.Settings.Text("data_directory"), "pg_settings")
	s.ConfigFile = Is(s.Settings.Text("config_file"), "pg_settings")
	return s, nil, nil
}
