package probe

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestMachines reads each tree of testdata/machines as if it were /proc, /sys and /run of a machine whose server is process
// 4242, and compares what each line of its file "want" names. A file "zpool" is what zpool status -LP says of any pool. The
// comment of a tree may hold lines
//
//	link NAME -> TARGET     a symbolic link
//	deny NAME               a file or a directory that may not be read
//	raw NAME TEXT           a file whose text ends without a newline
//	place ROLE DIRECTORY    a directory of the server, /data for data_directory unless said otherwise
//
//	root                    the server lives in a container: its file system is at /proc/4242/root
//	unseen                  the server's process cannot be seen: a server in another container that shares a directory
//	self                    pgfit's own process is 1, not 4242: a server in another group or container
func TestMachines(t *testing.T) {
	files, err := filepath.Glob("testdata/machines/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no trees: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			m := unpack(t, file)
			facts := Facts{Host: m.env.readHost(m.pid), Storage: m.env.readStorage(m.places, m.mounts(), m.root)}
			facts.Warnings = append(doubts(facts), m.env.walHidden(Server{DataDirectory: Is(m.places[0].dir, "test")}, m.root)...)
			got := flatten(t, facts)
			for line := range strings.Lines(m.want) {
				name, want, ok := strings.Cut(strings.TrimSpace(line), " = ")
				if !ok {
					continue
				}
				if got[name] != want {
					t.Errorf("%s = %q, want %q", name, got[name], want)
				}
			}
			if t.Failed() && testing.Verbose() {
				keys := make([]string, 0, len(got))
				for k := range got {
					keys = append(keys, k)
				}
				sort.Strings(keys)
				for _, k := range keys {
					t.Logf("%s = %s", k, got[k])
				}
			}
		})
	}
}

type machine struct {
	env    Env
	pid    string // of the server
	root   string
	places []place
	want   string
}

// mounts names the process whose mounts count.
func (m machine) mounts() string {
	if m.pid == unseen {
		return m.env.Self
	}
	return m.pid
}

// unpack writes a tree into the test's directory.
func unpack(t testing.TB, file string) machine {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	m := machine{env: Env{Self: "4242"}, pid: "4242"}
	tree := deniedFiles{Dir: Dir(root)}
	for line := range strings.Lines(string(archive.Comment)) {
		f := strings.Fields(line)
		switch {
		case len(f) == 4 && f[0] == "link" && f[2] == "->":
			put(t, root, f[1], func(name string) error { return os.Symlink(f[3], name) })
		case len(f) == 2 && f[0] == "deny":
			tree.denied = append(tree.denied, f[1])
		case len(f) >= 3 && f[0] == "raw":
			put(t, root, f[1], func(name string) error { return os.WriteFile(name, []byte(strings.Join(f[2:], " ")), 0o644) })
		case len(f) >= 3 && f[0] == "place":
			m.places = append(m.places, place{f[1], strings.Join(f[2:], " ")})
		case len(f) == 1 && f[0] == "root":
			m.root = "/proc/4242/root"
		case len(f) == 1 && f[0] == "unseen":
			m.pid = unseen
		case len(f) == 1 && f[0] == "self":
			m.env.Self = "1"
		}
	}
	for _, f := range archive.Files {
		switch f.Name {
		case "want":
			m.want = string(f.Data)
			continue
		case "zpool":
			m.env.Pool = func(string) (string, error) { return string(f.Data), nil }
			continue
		}
		put(t, root, f.Name, func(name string) error { return os.WriteFile(name, f.Data, 0o644) })
	}
	if m.places == nil {
		m.places = []place{{"data_directory", "/data"}}
	}
	m.env.Files = tree
	return m
}

func put(t testing.TB, root, name string, make func(string) error) {
	t.Helper()
	name = filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := make(name); err != nil {
		t.Fatal(err)
	}
}

// deniedFiles is a tree with files that may not be read, which the tests' own user, root perhaps, could.
type deniedFiles struct {
	Dir
	denied []string
}

func (d deniedFiles) refuse(name string) error {
	for _, no := range d.denied {
		if name == "/"+no || strings.HasPrefix(name, "/"+no+"/") {
			return &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
		}
	}
	return nil
}

func (d deniedFiles) ReadFile(name string) ([]byte, error) {
	if err := d.refuse(name); err != nil {
		return nil, err
	}
	return d.Dir.ReadFile(name)
}

func (d deniedFiles) ReadDir(name string) ([]string, error) {
	if err := d.refuse(name); err != nil {
		return nil, err
	}
	return d.Dir.ReadDir(name)
}

func (d deniedFiles) ReadLink(name string) (string, error) {
	if err := d.refuse(name); err != nil {
		return "", err
	}
	return d.Dir.ReadLink(name)
}

// flatten writes facts as lines: host.memory.budget_bytes = 2147483648 known; a state alone where there is no value; the
// source at .source; storage by its role; all warnings' codes in one line.
func flatten(t *testing.T, f Facts) map[string]string {
	t.Helper()
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	walk(out, "host", tree["host"])
	for _, s := range f.Storage {
		data, _ := json.Marshal(s)
		var one any
		_ = json.Unmarshal(data, &one)
		walk(out, s.Role, one)
		out[s.Role+".layers"] = strings.Join(s.Layers, " > ")
		names := []string{}
		for _, d := range s.Leaves {
			names = append(names, d.Name)
		}
		out[s.Role+".leaves"] = strings.Join(names, " ")
		out[s.Role+".evidence"] = strings.Join(s.Evidence, "; ")
	}
	var codes []string
	for _, w := range f.Warnings {
		codes = append(codes, w.Code)
	}
	slices.Sort(codes)
	out["warnings"] = strings.Join(slices.Compact(codes), " ")
	return out
}

func walk(out map[string]string, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if state, ok := v["state"].(string); ok {
			out[name] = state
			if value, ok := v["value"]; ok {
				out[name] = plain(value) + " " + state
			} else if state == string(Known) {
				out[name] = "0 " + state
			}
			out[name+".source"], out[name+".note"] = plain(v["source"]), plain(v["note"])
			return
		}
		for k, x := range v {
			walk(out, name+"."+k, x)
		}
	case []any:
		for i, x := range v {
			walk(out, fmt.Sprintf("%s.%d", name, i), x)
		}
	default:
		out[name] = plain(v)
	}
}

func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		if v == float64(int64(v)) {
			return fmt.Sprintf("%d", int64(v))
		}
	}
	return fmt.Sprint(v)
}
