// Package cluster runs scratch servers: it finds PostgreSQL's binaries, makes a cluster, starts, restarts, stops and
// removes it. A scratch server listens on a unix socket in a private directory only and is always removed. It knows
// nothing about what is measured on it.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// ErrUsage is wrapped by every error that the user's options caused.
var ErrUsage = errors.New("scratch server")

// Options of a scratch server.
type Options struct {
	Binaries Binaries
	Dir      string            // where the data lie; "" is the user cache directory
	Settings map[string]string // on the command line, so that postgresql.conf stays stock
	// Prepare runs once, after initdb and before the first start, to change files of the data directory. May be nil.
	Prepare func(dataDir string) error
	Shape   Shape // the part of the machine it gets
	Log     *slog.Logger
}

// Server is a running scratch server.
type Server struct {
	bin     Binaries
	base    string // everything of this server
	sockets string
	cred    *syscall.Credential
	cmd     *exec.Cmd
	done    chan error
	stock   []byte
	options map[string]string

	shape    Shape
	cage     cage
	unshaped string        // why it is not within its shape
	frozen   bool          // by Freeze
	patience time.Duration // how long ready waits; 0 is a minute

	startTook time.Duration
}

// mark is what a later pgfit needs to clear a server whose pgfit was killed.
type mark struct {
	PID       int    `json:"pgfit_pid"`
	Start     string `json:"pgfit_start"` // field 22 of /proc/PID/stat
	BootID    string `json:"boot_id"`
	SocketDir string `json:"socket_dir"`

	Cgroups []string `json:"cgroups,omitempty"`
}

// Start makes and starts a server. Whatever goes wrong, nothing is left.
func Start(ctx context.Context, o Options) (s *Server, err error) {
	if o.Dir == "" {
		if o.Dir, err = DefaultDir(); err != nil {
			return nil, err
		}
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("%w: --scratch-dir: %w", ErrUsage, err)
	}
	Sweep(o.Dir)
	s = &Server{bin: o.Binaries, options: o.Settings, shape: o.Shape}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove())
			s = nil
		}
	}()
	if err := s.directories(o.Dir); err != nil {
		return s, err
	}
	if err := s.initdb(ctx); err != nil {
		return s, err
	}
	if o.Prepare != nil {
		if err := o.Prepare(s.data()); err != nil {
			return s, err
		}
	}
	return s, s.start(ctx)
}

// directories makes base/data, base/log and a short socket directory, all of the server's user.
func (s *Server) directories(dir string) error {
	if s.cred = serverUser(); os.Geteuid() == 0 && s.cred == nil {
		return fmt.Errorf("%w: a server cannot run as root and there is no user postgres; create one, or run pgfit as an ordinary user", ErrUsage)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("%w: --scratch-dir: %w", ErrUsage, err)
	}
	if fs := memoryFS(dir); fs != "" {
		return fmt.Errorf("%w: %s is on %s, in memory: the disk that is measured must be the disk that is meant; pass --scratch-dir on a real disk", ErrUsage, dir, fs)
	}
	var err error
	if s.base, err = os.MkdirTemp(dir, "scratch-"); err != nil {
		return fmt.Errorf("%w: --scratch-dir: %w", ErrUsage, err)
	}
	if s.sockets, err = os.MkdirTemp(shortDir(), "pgfit-"); err != nil {
		return err
	}
	if err := s.writeMark(); err != nil {
		return err
	}
	for _, d := range []string{s.base, s.sockets} {
		if err := s.give(d); err != nil {
			return err
		}
	}
	return s.reachable()
}

// reachable makes sure that the server's user can get at base: the home directory of root is closed to others.
func (s *Server) reachable() error {
	if s.cred == nil {
		return nil
	}
	if err := s.command("/bin/sh", "-c", "cd "+shellQuote(s.base)).Run(); err != nil {
		return fmt.Errorf("%w: the user postgres cannot get into %s; pass a --scratch-dir whose parents let others through", ErrUsage, s.base)
	}
	return nil
}

// DefaultDir is where scratch servers live unless --scratch-dir says otherwise: the user cache directory, or for root,
// whose home is closed to the user postgres, /var/cache/pgfit.
func DefaultDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/pgfit", nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: no user cache directory: %w; pass --scratch-dir", ErrUsage, err)
	}
	return filepath.Join(cache, "pgfit"), nil
}
