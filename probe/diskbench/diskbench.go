// Package diskbench measures what a directory's storage does: random 8 kB reads at queue depths 1 to 32 (64 where that still
// brings more), sequential reads and writes, and fdatasync, with direct I/O on a file of its own. It bounds its file and its
// time, leaves nothing behind, and knows nothing of what the figures are good for.
package diskbench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"pgfit/probe"
)

// ErrRefused is wrapped by every refusal to measure; the text says what would lift it.
var ErrRefused = errors.New("the disk is not measured")

// Options of a measurement.
type Options struct {
	Dir       string        // where the file goes; "" is beside the data directory, on the same mount
	FileBytes int64         // default 1 GB
	Time      time.Duration // for everything, default 24 s, at least MinTime
	Say       func(string)  // hears about waiting; may be nil
	Long      time.Duration // of reading on afterwards, to see whether the rates last; 0 for none
	// Writes leaves the reads out: what matters where pg_wal has a disk of its own. It takes an eighth of the time.
	Writes bool
}

// MinTime is the shortest time in which the figures mean something.
const MinTime = 5 * time.Second

const (
	defaultBytes = 1 << 30
	defaultTime  = 24 * time.Second
	rounds       = 3
	page         = 8 << 10 // a page of PostgreSQL
	large        = 1 << 20 // the size of sequential requests, four at a time
	walBytes     = 16 << 20
	steps        = rounds*12 + 2 // measurements of equal length
	writeSteps   = rounds * 2
)

// depths of the random reads, the last where the one before still brought more.
var depths = []int{1, 2, 4, 8, 16, 32, 64}

// rising is by how much a doubled depth has to bring more for the next one to be worth its time.
const rising = 1.1

// Run measures the storage of a directory of the server. Whatever happens, no file is left: it has no name from the moment
// it is open.
func Run(ctx context.Context, s probe.Storage, o Options) (*probe.DiskBench, error) {
	if o.FileBytes == 0 {
		o.FileBytes = defaultBytes
	}
	if o.Time == 0 {
		o.Time = defaultTime
	}
	o.FileBytes = o.FileBytes / large * large
	if o.Time < MinTime || o.FileBytes < 64<<20 {
		return nil, fmt.Errorf("%w: it takes at least %s and a file of 64 MB", ErrRefused, MinTime)
	}
	dir, err := place(s, o)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	all := ctx
	ctx, cancel := context.WithTimeout(all, o.Time+o.Time/4)
	defer cancel()
	b := &probe.DiskBench{Dir: dir}
	b.Noisy, b.IdleShare = gate(ctx, o.Time/6, o.Say)
	f, err := create(ctx, dir, o.FileBytes, o.Time/4)
	if err != nil {
		return nil, timeout(fmt.Errorf("making the test file in %s: %w", dir, err))
	}
	defer f.close()
	m := &meter{f: f, end: start.Add(o.Time), left: steps, rng: rand.New(rand.NewPCG(uint64(start.UnixNano()), 1))}
	if o.Writes {
		m.end, m.left = time.Now().Add(o.Time/8), writeSteps
	}
	err = m.measure(ctx, o.Writes, b)
	if late := errors.Is(err, context.DeadlineExceeded); err != nil && !(late && b.Rounds > 0) {
		return nil, timeout(err)
	} else if late {
		b.Noisy = true // fewer rounds than planned
	}
	m.fill(b)
	if o.Long > 0 && !o.Writes {
		if o.Say != nil {
			o.Say(fmt.Sprintf("reading on for %s to see whether the rates last", o.Long))
		}
		if b.Lasting, err = m.lasting(all, o.Long); err != nil {
			return nil, timeout(err)
		}
	}
	b.ElapsedSeconds = time.Since(start).Seconds()
	return b, nil
}

// timeout words the end of the measurement's own time as a refusal: the disk is too slow or too busy.
func timeout(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: it did not get through in its time; try again when it is less busy", ErrRefused)
	}
	return err
}

// place is the directory for the file: on the mount of the storage, never inside the data directory, with room enough.
func place(s probe.Storage, o Options) (string, error) {
	data := s.HostPath()
	if data == "" {
		return "", fmt.Errorf("%w: the data directory is not known; pass --data-directory", ErrRefused)
	}
	dir, err := o.Dir, error(nil)
	if dir == "" {
		dir = beside(data)
	} else if dir, err = resolved(dir); err != nil {
		return "", fmt.Errorf("%w: %w; pass --probe-dir", ErrRefused, err)
	}
	if within(dir, data) {
		return "", fmt.Errorf("%w: %s lies inside the data directory; pass a --probe-dir beside it", ErrRefused, dir)
	}
	if same, known := probe.SameMount(data, dir); known && !same && !sameDevice(data, dir) {
		return "", fmt.Errorf("%w: %s is on another mount than %s; pass a --probe-dir on %s", ErrRefused, dir, s.Path, s.MountPoint)
	}
	_, free := probe.Usage(dir)
	if n, ok := free.Get(); ok && n < 3*o.FileBytes {
		return "", fmt.Errorf("%w: %d MB are free in %s and three times the file, %d MB, are wanted", ErrRefused, n>>20, dir, 3*o.FileBytes>>20)
	}
	return dir, nil
}

// beside is the directory that the data directory really lies in. The way to a container's file system leads over a link that
// cannot be followed by its text; it is told by where that ends.
func beside(data string) string {
	if name, err := resolved(data); err == nil && sameFile(name, data) {
		data = name
	}
	return filepath.Dir(filepath.Clean(data))
}

// resolved is a directory's absolute name without links.
func resolved(dir string) (string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}

// within tells whether a directory is another one or lies inside it, whatever the two are called.
func within(dir, parent string) bool {
	for ; ; dir = filepath.Dir(dir) {
		if sameFile(dir, parent) {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// file is the test file, open twice and without a name: direct passes the kernel's cache by where the file system can.
type file struct {
	direct, cached, wal *os.File
	size                int64
	bypass              bool // direct really is
	noAIO               bool // the kernel has no asynchronous I/O to give
}

// create writes the file with data that no disk can compress or find twice, for at most limit; a slow disk gets a smaller
// file.
func create(ctx context.Context, dir string, size int64, limit time.Duration) (f *file, err error) {
	f = &file{}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.cached, err = nameless(dir); err != nil {
		return f, err
	}
	if f.wal, err = nameless(dir); err != nil {
		return f, err
	}
	if f.direct, f.bypass, err = reopen(f.cached); err != nil {
		return f, err
	}
	buf, err := aligned(large)
	if err != nil {
		return f, err
	}
	defer release(buf)
	noise := rand.NewChaCha8([32]byte{byte(time.Now().UnixNano()), byte(size)})
	for begun := time.Now(); f.size < size && (time.Since(begun) < limit || f.size < 64<<20); f.size += large {
		if err := ctx.Err(); err != nil {
			return f, err
		}
		if f.size%(16<<20) == 0 {
			_, _ = noise.Read(buf) // never fails
		}
		stamp(buf, f.size)
		if _, err := f.direct.WriteAt(buf, f.size); err != nil {
			return f, err
		}
	}
	for at := int64(0); at < walBytes; at += large {
		if _, err := f.wal.WriteAt(buf, at); err != nil {
			return f, err
		}
	}
	return f, errors.Join(f.cached.Sync(), f.wal.Sync())
}

// stamp makes each 4 kB of a block different from those of all other blocks.
func stamp(buf []byte, at int64) {
	for i := 0; i < len(buf); i += 4096 {
		v := uint64(at) + uint64(i)
		for k := range 8 {
			buf[i+k] = byte(v >> (8 * k))
		}
	}
}

// nameless makes a file and takes its name away at once, so that nothing is left whatever becomes of this process.
func nameless(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "pgfit-disk-*")
	if err != nil {
		return nil, err
	}
	return f, unlink(f)
}

func (f *file) close() {
	for _, one := range []*os.File{f.direct, f.cached, f.wal} {
		if one != nil {
			_ = one.Close()
		}
	}
}
