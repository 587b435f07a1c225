package trial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"time"

	"github.com/jackc/pgx/v5"

	"pgfit/probe/guc"
	"pgfit/workload/cluster"
	"pgfit/workload/load"
	"pgfit/workload/scenario"
)

// Recipe says what a snapshot holds and where it lies.
type Recipe struct {
	Binaries cluster.Binaries
	Dir      string // --scratch-dir
	Datasets map[string]scenario.Dataset
	Bytes    int64 // of data, all data sets together
	Seed     uint64
	Log      *slog.Logger
	Loading  func(done, total int64) // rows; may be nil
}

// Snapshot is a stopped server with loaded data, to be copied for each side of each comparison.
type Snapshot struct {
	Server *cluster.Server
	Vars   map[string]string // rows of each table, and scale
	Bytes  int64             // of data, as the server counts them
	Took   time.Duration
}

// loaderSettings keep pg_wal small, since it is copied with the data.
var loaderSettings = map[string]string{"max_wal_size": "256MB", "min_wal_size": "32MB", "autovacuum": "off", "maintenance_work_mem": "128MB"}

// Load makes a snapshot: initdb, data, checkpoint, clean stop. Whatever goes wrong, nothing is left.
func Load(ctx context.Context, r Recipe) (snap *Snapshot, err error) {
	begun := time.Now()
	s, err := cluster.Start(ctx, cluster.Options{Binaries: r.Binaries, Dir: r.Dir, Settings: loaderSettings, Log: r.Log})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop(ctx, s))
		}
	}()
	snap = &Snapshot{Server: s}
	if err := snap.fill(ctx, r); err != nil {
		return nil, err
	}
	if err := s.Halt(ctx); err != nil {
		return nil, fmt.Errorf("stopping the loaded server: %w", err)
	}
	snap.Took = time.Since(begun)
	return snap, nil
}

func (s *Snapshot) fill(ctx context.Context, r Recipe) error {
	data, err := load.Own(ctx, s.Server.Config())
	if err != nil {
		return err
	}
	defer func() { _ = data.Conn().Close(context.WithoutCancel(ctx)) }()
	s.Vars, err = Fill(ctx, data, s.Server.Config(), r)
	s.Bytes = data.Bytes
	return err
}

// Fill loads the data sets of a recipe into a schema that was taken, and gives the variables of the scripts.
func Fill(ctx context.Context, data *load.Data, cfg *pgx.ConnConfig, r Recipe) (map[string]string, error) {
	names := make([]string, 0, len(r.Datasets))
	for name := range r.Datasets {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		ds := r.Datasets[name]
		if err := data.Fill(ctx, cfg, ds, ds.Scale(r.Bytes/int64(len(names))), r.Seed, r.Loading); err != nil {
			return nil, fmt.Errorf("loading %s: %w", name, err)
		}
	}
	return variables(data), nil
}

// variables are those that every script may use: the rows of each table by its name, and scale.
func variables(data *load.Data) map[string]string {
	vars := map[string]string{}
	for table, rows := range data.Rows {
		vars[table] = fmt.Sprint(max(1, rows))
	}
	if scale, ok := data.Scale["pgbench"]; ok {
		vars["scale"] = fmt.Sprint(scale)
	}
	return vars
}

// Take makes a snapshot of a scratch server that runs and has its data loaded. The server goes on.
func Take(ctx context.Context, s *cluster.Server, data *load.Data) (snap *Snapshot, err error) {
	begun := time.Now()
	if _, err := data.Conn().Exec(ctx, "CHECKPOINT"); err != nil {
		return nil, fmt.Errorf("checkpoint before the snapshot: %w", err)
	}
	var redo, insert string
	err = data.Conn().QueryRow(ctx, "SELECT pg_walfile_name(redo_lsn), pg_walfile_name(pg_current_wal_insert_lsn()) FROM pg_control_checkpoint()").Scan(&redo, &insert)
	if err != nil {
		return nil, fmt.Errorf("reading the last checkpoint: %w", err)
	}
	c, err := s.Snapshot(ctx, redo, insert)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop(ctx, c))
		}
	}()
	if err := c.Restart(ctx, loaderSettings); err != nil { // it recovers, and leaves little WAL behind
		return nil, fmt.Errorf("starting the snapshot: %w", err)
	}
	if err := c.Halt(ctx); err != nil {
		return nil, fmt.Errorf("stopping the snapshot: %w", err)
	}
	return &Snapshot{Server: c, Vars: variables(data), Bytes: data.Bytes, Took: time.Since(begun)}, nil
}

// Remove takes the snapshot away.
func (s *Snapshot) Remove(ctx context.Context) error { return stop(ctx, s.Server) }

// Start copies the snapshot and starts a server with settings on the copy.
func (s *Snapshot) Start(ctx context.Context, settings map[string]string, shape cluster.Shape) (*cluster.Server, error) {
	return s.Server.Clone(ctx, cluster.Options{Settings: settings, Shape: shape})
}

// stop removes a server also after Ctrl-C.
func stop(ctx context.Context, s *cluster.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return s.Stop(ctx)
}

// Stop removes servers that Start made; nil ones are passed over.
func Stop(ctx context.Context, servers ...*cluster.Server) error {
	var err error
	for _, s := range servers {
		if s != nil {
			err = errors.Join(err, stop(ctx, s))
		}
	}
	return err
}

// Parts of the disk that a trial needs beside the data: an empty cluster with its WAL (measured on 15: 40 MB and
// up to two loaderSettings' max_wal_size), and what a visit may write at the rate of a fast disk before its checkpoint.
const (
	emptyCluster = 300 << 20
	writeRate    = 40 << 20 // bytes of WAL and new rows a second
)

// CheckRoom refuses, wrapping load.ErrDisk, a data size whose snapshot and two copies do not fit below dir. visit is the
// length of the longest stretch between two checkpoints. Copies on a file system with reflinks share what is not changed.
func CheckRoom(dir string, bytes int64, visit time.Duration) error {
	free, shares, ok := cluster.Room(dir)
	if !ok {
		return nil
	}
	one := bytes + bytes/5 + emptyCluster
	need := one + 2*int64(writeRate*visit.Seconds())
	if !shares {
		need += 2 * one
	}
	if free < need {
		return fmt.Errorf("%w: a snapshot with %s of data and two copies of it need %s, and %s is free; choose a smaller --data-size or another --scratch-dir",
			load.ErrDisk, round(bytes), round(need), round(free))
	}
	return nil
}

// round writes a size in whole megabytes.
func round(b int64) string { return guc.FormatBytes((b + 1<<20 - 1) >> 20 << 20) }
