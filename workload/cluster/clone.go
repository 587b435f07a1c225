package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Halt stops the server cleanly, with a checkpoint, and keeps its data: a snapshot to clone from. Stop removes it.
func (s *Server) Halt(ctx context.Context) error { return s.end(ctx) }

// DataBytes is the size of the data directory.
func (s *Server) DataBytes() int64 {
	var sum int64
	_ = filepath.WalkDir(s.data(), func(_ string, d fs.DirEntry, err error) error {
		if info, e := infoOf(d, err); e == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

func infoOf(d fs.DirEntry, err error) (fs.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	return d.Info()
}

// Clone copies the data of a halted server and starts a server of the same binaries on the copy. Blocks are shared where
// the file system can (reflink) and copied otherwise, then written out, so that no write-back falls into a measurement.
// Of o, Settings and Shape count. Whatever goes wrong, nothing is left.
func (s *Server) Clone(ctx context.Context, o Options) (c *Server, err error) {
	if s.cmd != nil {
		return nil, errors.New("cloning a server that runs")
	}
	c = &Server{bin: s.bin, stock: s.stock, options: o.Settings, shape: o.Shape}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.remove())
			c = nil
		}
	}()
	if err := c.directories(filepath.Dir(s.base)); err != nil {
		return c, err
	}
	if err := c.copyData(ctx, s.data()); err != nil {
		return c, fmt.Errorf("copying the data directory: %w", err)
	}
	if err := syncFS(c.base); err != nil {
		return c, fmt.Errorf("writing out the copied data directory: %w", err)
	}
	if o.Shape.Memory > 0 {
		c.uncache()
	}
	return c, c.start(ctx)
}

// leftOut are files of a stopped server that its copy must not have.
var leftOut = []string{"postmaster.pid", "postmaster.opts"}

func (s *Server) copyData(ctx context.Context, from string, spare ...string) error {
	skip := append(spare, leftOut...)
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		info, err := infoOf(d, err)
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil || slices.Contains(skip, rel) {
			return err
		}
		to := filepath.Join(s.data(), rel)
		switch {
		case d.IsDir():
			err = os.Mkdir(to, 0o700)
		case info.Mode().IsRegular():
			err = copyFile(path, to, info.Mode())
		default:
			return fmt.Errorf("%s is neither a file nor a directory", path)
		}
		if err == nil && s.cred != nil {
			err = os.Chown(to, int(s.cred.Uid), int(s.cred.Gid))
		}
		return err
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode.Perm())
	if err != nil {
		return err
	}
	if !reflink(dst, src) {
		_, err = io.Copy(dst, src)
	}
	return errors.Join(err, dst.Close())
}

// uncache drops the copied files from the page cache. Their pages were charged to pgfit; read again by the server, they
// count against the memory of its cgroup.
func (s *Server) uncache() {
	_ = filepath.WalkDir(s.data(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			dropCache(path)
		}
		return nil
	})
}

// Room says what is free for data below dir, which need not exist yet, and whether copies there share their blocks. ok is
// false where that cannot be found out.
func Room(dir string) (free int64, shares, ok bool) {
	if dir == "" {
		var err error
		if dir, err = DefaultDir(); err != nil {
			return 0, false, false
		}
	}
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	free, ok = freeBytes(dir)
	return free, canReflink(dir), ok
}

// canReflink tries it with two small files.
func canReflink(dir string) bool {
	src, err := os.CreateTemp(dir, ".pgfit-*")
	if err != nil {
		return false
	}
	defer func() { src.Close(); os.Remove(src.Name()) }()
	dst, err := os.CreateTemp(dir, ".pgfit-*")
	if err != nil {
		return false
	}
	defer func() { dst.Close(); os.Remove(dst.Name()) }()
	_, err = src.Write(make([]byte, 64<<10))
	return err == nil && reflink(dst, src)
}

// Snapshot copies the data of a running server while all its processes are frozen: the state that a power cut would leave
// at that moment, which the copy recovers from at its first start. redo and insert name the WAL files of the last
// checkpoint and of the present end (pg_walfile_name); older ones and those made in advance are not copied. The copy is not
// started. Whatever goes wrong, nothing of it is left, and the server goes on.
func (s *Server) Snapshot(ctx context.Context, redo, insert string) (c *Server, err error) {
	defer s.Thaw()
	if !s.Freeze() {
		return nil, errors.New("the running server cannot be frozen, so its data cannot be copied")
	}
	c = &Server{bin: s.bin, stock: s.stock}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.remove())
			c = nil
		}
	}()
	if err := c.directories(filepath.Dir(s.base)); err != nil {
		return c, err
	}
	if err := c.copyData(ctx, s.data(), s.spareWAL(redo, insert)...); err != nil {
		return c, fmt.Errorf("copying the data directory: %w", err)
	}
	return c, nil
}

// moved is how many WAL files the end may have moved on since it was asked for.
const moved = 8

// spareWAL are the WAL files that recovery from redo does not need.
func (s *Server) spareWAL(redo, insert string) (spare []string) {
	files, _ := filepath.Glob(filepath.Join(s.data(), "pg_wal", strings.Repeat("[0-9A-F]", 24)))
	after := 0
	for _, path := range files { // in the order of their names, which is that of the WAL
		name := filepath.Base(path)
		if name > insert {
			after++
		}
		if name < redo || after > moved {
			spare = append(spare, filepath.Join("pg_wal", name))
		}
	}
	return spare
}
