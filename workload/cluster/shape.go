package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Shape is the part of the machine that a scratch server gets. Zero is all of it.
type Shape struct {
	Memory int64   // bytes, page cache included
	CPUs   float64 // a fraction is possible
}

// Empty tells whether nothing is limited.
func (s Shape) Empty() bool { return s.Memory == 0 && s.CPUs == 0 }

// cpuPeriod is the period of a CPU quota in microseconds, the kernel's default.
const cpuPeriod = 100_000

// cage is where the server's processes are kept within a shape: cgroup directories, or a command that runs it in a scope.
type cage struct {
	dirs   []string
	prefix []string
}

// shaped makes the cage that the options ask for. Where that cannot be done the server runs without, and Unshaped tells.
func (s *Server) shaped(ctx context.Context) {
	s.cage, s.unshaped = cage{}, ""
	if s.shape.Empty() {
		return
	}
	var err error
	if os.Geteuid() == 0 {
		s.cage.dirs, err = kernel{}.makeGroups(s.name(), s.shape)
	} else {
		s.cage.prefix, err = scope(ctx, s.shape)
	}
	if err != nil {
		s.notShaped(err)
		return
	}
	if err := s.writeMark(); err != nil { // a later pgfit has to know the groups
		s.unshaped = err.Error()
	}
}

func (s *Server) notShaped(why error) {
	s.unshaped = fmt.Sprintf("the scratch server could not be kept within %s: %v; it may use more of the machine, and the results do not show what the limit does", s.shape, why)
}

// Unshaped says why the server is not within its shape, "" when it is.
func (s *Server) Unshaped() string { return s.unshaped }

// Shape is what the server is kept within; empty where that could not be done.
func (s *Server) Shape() Shape {
	if s.unshaped != "" {
		return Shape{}
	}
	return s.shape
}

func (s Shape) String() string {
	var words []string
	if s.Memory > 0 {
		words = append(words, strconv.FormatInt(s.Memory>>20, 10)+"MB of memory")
	}
	if s.CPUs > 0 {
		words = append(words, strconv.FormatFloat(s.CPUs, 'g', 3, 64)+" CPUs")
	}
	return strings.Join(words, " and ")
}

// scope is the command that starts a program in a systemd scope of the user's own manager, tried out first.
func scope(ctx context.Context, sh Shape) ([]string, error) {
	prefix := scopeCommand(sh)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, prefix[0], append(prefix[1:], "true")...).CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, errors.New("pgfit is not root, and there is no systemd-run")
	case err != nil:
		return nil, fmt.Errorf("pgfit is not root, and systemd-run fails: %w: %s", err, lastLines(string(out)))
	}
	return prefix, nil
}

func scopeCommand(sh Shape) []string {
	prefix := []string{"systemd-run", "--user", "--scope", "--quiet", "--collect"}
	if sh.Memory > 0 {
		prefix = append(prefix, "-p", fmt.Sprintf("MemoryMax=%d", sh.Memory), "-p", "MemorySwapMax=0")
	}
	if sh.CPUs > 0 {
		prefix = append(prefix, "-p", fmt.Sprintf("CPUQuota=%.0f%%", 100*sh.CPUs))
	}
	return append(prefix, "--")
}

// gate is a shell that waits for a line on its standard input and then becomes the program: time to put it into its
// groups before it has children.
const gate = `read -r go && exec "$0" "$@"`

// enter puts a process into the cage and opens the gate.
func (c cage) enter(pid int, open func() error) error {
	for _, dir := range c.dirs {
		if err := os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return fmt.Errorf("putting the server into its cgroup: %w", err)
		}
	}
	return open()
}

// removeGroups removes empty groups; the kernel needs a moment after the last process has ended.
func removeGroups(dirs []string) error {
	var err error
	for _, dir := range dirs {
		for range 100 {
			if err = os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
				err = nil
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err != nil {
			return fmt.Errorf("removing the server's cgroup: %w", err)
		}
	}
	return nil
}
