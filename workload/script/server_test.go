package script

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if scratch.stop != nil {
		scratch.stop()
	}
	os.Exit(code)
}

// binary finds a program of PostgreSQL's.
func postgresBinary(t *testing.T, name string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) > 0 {
		return found[len(found)-1]
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s of PostgreSQL's in PATH or /usr/lib/postgresql", name)
	}
	return path
}

// scratch is a server that the tests share.
var scratch struct {
	once sync.Once
	dir  string
	err  error
	stop func()
}

// server gives the socket directory of a throw-away server, which listens nowhere else.
func server(t *testing.T) string {
	t.Helper()
	initdb, postgres := postgresBinary(t, "initdb"), postgresBinary(t, "postgres")
	scratch.once.Do(func() { scratch.err = startServer(initdb, postgres) })
	if scratch.err != nil {
		t.Skipf("no scratch server: %v", scratch.err)
	}
	return scratch.dir
}

func startServer(initdb, postgres string) error {
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-script-")
	if err != nil {
		return err
	}
	scratch.dir = dir
	scratch.stop = func() { os.RemoveAll(dir) }
	var attr syscall.SysProcAttr
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			return err
		}
	}
	data := filepath.Join(dir, "data")
	create := exec.Command(initdb, "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8")
	create.SysProcAttr, create.Dir = &attr, dir
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	run := exec.Command(postgres, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB")
	run.SysProcAttr, run.Dir = &attr, dir
	log, err := run.StderrPipe()
	if err != nil {
		return err
	}
	if err := run.Start(); err != nil {
		return err
	}
	scratch.stop = func() {
		_ = run.Process.Signal(syscall.SIGINT)
		_ = run.Wait()
		os.RemoveAll(dir)
	}
	return waitReady(log)
}

// waitReady reads the server's log up to the line that says it takes connections, and the rest in the background.
func waitReady(log interface{ Read([]byte) (int, error) }) error {
	var all bytes.Buffer
	b := make([]byte, 4096)
	for {
		n, err := log.Read(b)
		all.Write(b[:n])
		if bytes.Contains(all.Bytes(), []byte("ready to accept connections")) {
			break
		}
		if err != nil {
			return fmt.Errorf("server did not start: %s", all.Bytes())
		}
	}
	go func() {
		for {
			if _, err := log.Read(b); err != nil {
				return
			}
		}
	}()
	return nil
}

// pgbench runs scripts of that text once and gives what it wrote to standard error.
func pgbench(t *testing.T, socket, src string, args ...string) (stderr string, ok bool) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "test.sql"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(postgresBinary(t, "pgbench"), append([]string{"-n", "-t", "1", "-h", socket, "-U", "postgres",
		"-f", "test.sql"}, append(args, "postgres")...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var b bytes.Buffer
	cmd.Stderr = &b
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return b.String(), err == nil
}
