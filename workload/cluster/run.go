package cluster

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

func serverUser() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// shortDir is where the socket directory goes: a socket's path may have 107 bytes.
func shortDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" && len(dir) < 40 && os.Geteuid() != 0 {
		return dir
	}
	return "/tmp"
}

func (s *Server) give(path string) error {
	if s.cred == nil {
		return os.Chmod(path, 0o700)
	}
	return errors.Join(os.Chmod(path, 0o700), os.Chown(path, int(s.cred.Uid), int(s.cred.Gid)))
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C.UTF-8", "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setpgid: true} // Ctrl-C on the terminal is pgfit's to handle
	return cmd
}

// name is the last part of base, and of the server's control groups.
func (s *Server) name() string { return "pgfit-" + filepath.Base(s.base) }

func (s *Server) data() string { return filepath.Join(s.base, "data") }

func (s *Server) initdb(ctx context.Context) error {
	cmd := s.command(filepath.Join(s.bin.Dir, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("initdb: %w: %s", err, lastLines(out.String())))
	}
	var err error
	s.stock, err = os.ReadFile(filepath.Join(s.data(), "postgresql.conf"))
	return err
}

func (s *Server) start(ctx context.Context) error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", s.data(), "-c", "listen_addresses=", "-c", "unix_socket_directories=" + s.sockets, "-c", "unix_socket_permissions=0700",
		"-c", "logging_collector=off", "-c", "log_destination=stderr"}
	if s.cred != nil {
		args = append(args, "-c", "unix_socket_permissions=0777") // root gets in anyway; the directory is closed to all others
	}
	for _, name := range sortedKeys(s.options) {
		args = append(args, "-c", name+"="+s.options[name])
	}
	if !s.shape.Empty() && s.cage.dirs == nil && s.cage.prefix == nil && s.unshaped == "" {
		s.shaped(ctx)
	}
	begun := time.Now()
	defer func() { s.startTook = time.Since(begun) }()
	if err := s.launch(log, append([]string{filepath.Join(s.bin.Dir, "postgres")}, args...)); err != nil {
		return fmt.Errorf("starting postgres: %w", err)
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	if len(s.cage.prefix) > 0 && s.unshaped == "" { // what pgfit wrote itself it has seen to be taken
		if err := (kernel{}).inForce(s.PID(), s.shape); err != nil {
			s.notShaped(err)
		}
	}
	return nil
}

// launch starts the server's program, inside its cage where it has one.
func (s *Server) launch(log *os.File, line []string) error {
	open := func() error { return nil }
	switch {
	case len(s.cage.prefix) > 0:
		line = append(slices.Clone(s.cage.prefix), line...)
	case len(s.cage.dirs) > 0:
		line = append([]string{"/bin/sh", "-c", gate}, line...)
	}
	cmd := s.command(line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if len(s.cage.prefix) > 0 { // it has to find the user's service manager
		cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+os.Getenv("XDG_RUNTIME_DIR"), "DBUS_SESSION_BUS_ADDRESS="+os.Getenv("DBUS_SESSION_BUS_ADDRESS"))
	}
	if len(s.cage.dirs) > 0 {
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		open = func() error {
			_, err := in.Write([]byte("go\n"))
			return errors.Join(err, in.Close())
		}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.done, s.frozen = cmd, make(chan error, 1), false
	go await(s.cmd, s.done)
	return s.cage.enter(s.PID(), open)
}

// await hands on how a server process ended.
func await(cmd *exec.Cmd, done chan<- error) { done <- cmd.Wait() }

// ready waits until the server takes connections.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.patience, time.Minute))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.ConnectConfig(ctx, s.Config())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case e := <-s.done:
			s.done <- e
			return fmt.Errorf("the server ended at once: %s", s.LogTail())
		case <-ctx.Done():
			return fmt.Errorf("waiting for the server: %w: %s", ctx.Err(), s.LogTail())
		case <-tick.C:
		}
	}
}

// Config connects to the database postgres as its superuser.
func (s *Server) Config() *pgx.ConnConfig {
	cfg, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=5432 user=postgres dbname=postgres sslmode=disable", s.sockets))
	if err != nil {
		panic(err) // a string of our own making
	}
	return cfg
}

// StockConf is postgresql.conf as initdb wrote it.
func (s *Server) StockConf() []byte { return s.stock }

// DataDir is the data directory.
func (s *Server) DataDir() string { return s.data() }

// PID is the postmaster's.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Settings are those that the server was started with, by name, beside pgfit's own.
func (s *Server) Settings() map[string]string { return s.options }

// Restart stops the server and starts it with other settings on its command line.
func (s *Server) Restart(ctx context.Context, settings map[string]string) error {
	if err := s.end(ctx); err != nil {
		return err
	}
	s.options = settings
	if s.shape.Memory > 0 { // as after Clone
		s.uncache()
	}
	return s.start(ctx)
}

// Stop stops the server, politely first, and removes everything of it.
func (s *Server) Stop(ctx context.Context) error {
	return errors.Join(s.end(ctx), s.remove())
}

func (s *Server) end(ctx context.Context) error {
	if s.cmd == nil || s.cmd.Process == nil {
		return nil
	}
	s.Thaw()
	for _, step := range []struct {
		sig  syscall.Signal
		wait time.Duration
	}{{syscall.SIGINT, 10 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		_ = s.cmd.Process.Signal(step.sig)
		select {
		case <-s.done:
			s.cmd = nil
			return nil
		case <-time.After(step.wait):
		}
	}
	return fmt.Errorf("the scratch server (pid %d) does not end", s.cmd.Process.Pid)
}

func (s *Server) remove() error {
	if s.cmd != nil {
		_ = s.end(context.Background())
	}
	var err error
	for _, dir := range []string{s.base, s.sockets} {
		if dir != "" {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	err = errors.Join(err, removeGroups(s.cage.dirs))
	if s.base != "" {
		err = errors.Join(err, os.RemoveAll(s.base+".json"))
	}
	return err
}

func (s *Server) logFile() string { return filepath.Join(s.base, "server.log") }

// LogTail is the end of the server's log, for error messages.
func (s *Server) LogTail() string {
	data, _ := os.ReadFile(s.logFile())
	return lastLines(string(data))
}

// Log is everything that the server has written to its log.
func (s *Server) Log() ([]byte, error) { return os.ReadFile(s.logFile()) }

// ConfValue is what the configuration files alone make of a setting, as pg_settings.setting would show it: `postgres -C`,
// which works beside the running server and does not see that server's command line.
func (s *Server) ConfValue(name string) (string, error) {
	var stderr bytes.Buffer
	cmd := s.command(filepath.Join(s.bin.Dir, "postgres"), "-D", s.data(), "-C", name)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("postgres -C %s: %w: %s", name, err, lastLines(stderr.String()))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (s *Server) writeMark() error {
	data, err := json.Marshal(mark{PID: os.Getpid(), Start: startOf(os.Getpid()), BootID: bootID(), SocketDir: s.sockets, Cgroups: s.cage.dirs})
	if err != nil {
		return err
	}
	return os.WriteFile(s.base+".json", data, 0o644)
}

func bootID() string {
	data, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data))
}

// startOf is when a process began, in the kernel's own count, "" when none of that pid runs.
func startOf(pid int) string {
	fields := statFields(fmt.Sprintf("/proc/%d/stat", pid))
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

// Sweep clears the servers below dir whose pgfit is dead.
func Sweep(dir string) {
	marks, _ := filepath.Glob(filepath.Join(dir, "scratch-*.json"))
	for _, path := range marks {
		var m mark
		data, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(data, &m) != nil {
			continue
		}
		if m.BootID == bootID() && startOf(m.PID) == m.Start && m.Start != "" {
			continue
		}
		base := strings.TrimSuffix(path, ".json")
		killOrphan(filepath.Join(base, "data"))
		_ = os.RemoveAll(base)
		if strings.HasPrefix(filepath.Base(m.SocketDir), "pgfit-") {
			_ = os.RemoveAll(m.SocketDir)
		}
		_ = removeGroups(slices.DeleteFunc(m.Cgroups, func(dir string) bool { return !strings.HasPrefix(filepath.Base(dir), "pgfit-scratch-") }))
		_ = os.Remove(path)
	}
}

// killOrphan ends the postmaster of a data directory, once /proc has shown that the pid is that server.
func killOrphan(data string) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid < 2 {
		return
	}
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil || cwd != data {
		return
	}
	signalAll(tree(pid), syscall.SIGCONT) // it may have been frozen
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
		_ = syscall.Kill(pid, sig)
		for range 100 {
			if syscall.Kill(pid, 0) != nil {
				return
			}
			time.Sleep(30 * time.Millisecond)
		}
	}
}
