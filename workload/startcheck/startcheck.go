// Package startcheck starts a scratch server with the configuration files of another one and says what it made of them: the
// values in force and what it wrote into its log. It does not know which values were wanted, and it refuses to guess where
// it does not have every file that the main one includes.
package startcheck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgfit/probe/guc"
	"pgfit/probe/pgconf"
	"pgfit/workload/cluster"
	"pgfit/workload/rundoc"
)

// Input is what to start.
type Input struct {
	Binaries cluster.Binaries
	Dir      string // where the scratch server lives, as cluster.Options.Dir
	// Files are the files with their paths on the server they come from: the main one, what it includes, postgresql.auto.conf.
	Files []rundoc.File
	Main  string   // path of the main file; "" when Files are drop-ins, read behind the stock file
	Names []string // settings whose values are wanted
	Log   *slog.Logger
}

// Result is what came of it.
type Result struct {
	Settings   map[string]string // pg_settings.setting, or what the files say of a setting that the check had to override
	Complaints []string          // warnings and errors of the server's log
	Reduced    bool              // shared_buffers of the files is more than this machine can map: started with less
	NotChecked []string          // settings of the files, in order, that the check had to override, and that may keep a server from starting
}

// ErrIncomplete says that the files at hand are not all that the server would read.
var ErrIncomplete = errors.New("the configuration files are not complete")

// overridden are settings that tie a server to its machine, given on the command line: where things lie, who gets in, what
// runs beside it. Huge pages would be taken from those that a server on this machine has reserved; fsync is off because
// nothing of the check has to survive.
var overridden = map[string]string{
	"port": "5432", "ssl": "off", "archive_mode": "off", "session_preload_libraries": "", "local_preload_libraries": "", "huge_pages": "off",
	"fsync": "off", "lc_messages": "C", "log_min_messages": "warning", "cluster_name": "",
}

// alsoOverridden are on the command line of every scratch server.
var alsoOverridden = []string{"listen_addresses", "unix_socket_directories", "unix_socket_permissions", "logging_collector", "log_destination"}

// harmless are overridden, and keep no server from starting whatever their value.
var harmless = []string{"fsync", "lc_messages", "log_min_messages", "cluster_name", "unix_socket_permissions"}

// withoutLines are commented out in the copies, since the server would look for files or locales that are not here.
var withoutLines = []string{"data_directory", "hba_file", "ident_file", "external_pid_file", "config_file", "lc_messages", "lc_monetary",
	"lc_numeric", "lc_time", "stats_temp_directory", "log_timezone", "timezone"}

// tooMuch is how a server says that the kernel does not let it have its shared memory.
var tooMuch = regexp.MustCompile(`could not (map anonymous shared memory|create shared memory segment|resize shared memory segment)`)

// smallBuffers is what a server is started with that may not have all its shared_buffers here. A server touches about a
// fortieth of them at its start, and the check is to take nothing from what else runs on this machine.
const smallBuffers = "16MB"

// Run starts the server, looks, and stops it; a minute at most. The error of a server that does not start holds its own words.
func Run(ctx context.Context, in Input) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tree, err := in.tree()
	if err != nil {
		return Result{}, err
	}
	over := maps.Clone(overridden)
	reduced := in.tooLarge(tree)
	if reduced {
		over["shared_buffers"] = smallBuffers
	}
	res, err := in.try(ctx, tree, over)
	if err != nil && !reduced && tooMuch.MatchString(err.Error()) {
		over["shared_buffers"] = smallBuffers
		res, err = in.try(ctx, tree, over)
		reduced = true
	}
	res.Reduced, res.NotChecked = reduced, in.notChecked(tree)
	return res, err
}

// notChecked are the settings of the files that the server was started without.
func (in Input) notChecked(tree *pgconf.Tree) []string {
	var out []string
	for _, name := range slices.Concat(slices.Collect(maps.Keys(overridden)), alsoOverridden) {
		if value, ok := in.says(tree, name); ok && value != overridden[name] && !slices.Contains(harmless, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// says is what the files set a setting to.
func (in Input) says(tree *pgconf.Tree, name string) (value string, ok bool) {
	if tree != nil {
		p, ok := tree.InForce(name)
		return p.Value, ok
	}
	for _, f := range in.Files {
		parsed := pgconf.Parse(f.Path, []byte(f.Text))
		if l, found := parsed.Line(parsed.Find(name)); found {
			value, ok = l.Value, true
		}
	}
	return value, ok
}

// tooLarge tells whether the files ask for shared_buffers of more than half of this machine's memory.
func (in Input) tooLarge(tree *pgconf.Tree) bool {
	value, _ := in.says(tree, "shared_buffers")
	all, err := guc.Catalogue(in.Binaries.Major)
	total := memTotal()
	if err != nil || value == "" || total == 0 {
		return false
	}
	set := all["shared_buffers"]
	if set.Value, err = set.Parse(value); err != nil {
		return false // the server will say so
	}
	buffers, _ := guc.Settings{"shared_buffers": set}.Bytes("shared_buffers")
	return buffers > total/2
}

// memTotal is the memory of this machine in bytes, 0 where Linux's /proc/meminfo does not tell.
func memTotal() int64 {
	data, _ := os.ReadFile("/proc/meminfo")
	var kb int64
	if _, err := fmt.Sscanf(string(data), "MemTotal: %d kB", &kb); err != nil {
		return 0
	}
	return kb << 10
}

// tree is the main file with what it includes, nil for drop-ins.
func (in Input) tree() (*pgconf.Tree, error) {
	if in.Main == "" {
		return nil, nil
	}
	files := map[string][]byte{}
	auto := ""
	for _, f := range in.Files {
		files[f.Path] = []byte(f.Text)
		if path.Base(f.Path) == pgconf.AutoConf {
			auto = path.Dir(f.Path)
		}
	}
	read, list := pgconf.Memory(files)
	tree, err := pgconf.Load(in.Main, auto, read, list)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	for _, p := range tree.Problems {
		if p.Text != "syntax error" { // which the server itself may say
			return nil, fmt.Errorf("%w: %s:%d %s", ErrIncomplete, p.File, p.Line, p.Text)
		}
	}
	return tree, nil
}

// try starts the server once.
func (in Input) try(ctx context.Context, tree *pgconf.Tree, over map[string]string) (res Result, err error) {
	options := maps.Clone(over)
	s, err := cluster.Start(ctx, cluster.Options{Binaries: in.Binaries, Dir: in.Dir, Settings: options, Log: in.Log,
		Prepare: func(dataDir string) error { return in.place(dataDir, tree, options) }})
	if err != nil {
		return res, err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, s.Stop(stop))
	}()
	if res.Settings, err = in.values(ctx, s, options); err != nil {
		return res, err
	}
	text, err := s.Log()
	res.Complaints = Complaints(string(text))
	return res, err
}

// loud finds the lines of a log that a clean start does not have; expected are the answers to who asks before the server is
// ready, and to who is still connected when it is stopped.
var (
	loud     = regexp.MustCompile(`\b(WARNING|ERROR|FATAL|PANIC):  `)
	expected = regexp.MustCompile(`FATAL:  (the database system is starting up|terminating connection due to administrator command)`)
)

// Complaints are the warnings and errors of a server's log, each once, without the prefix of their lines.
func Complaints(log string) []string {
	var out []string
	for line := range strings.Lines(log) {
		if at := loud.FindStringIndex(line); at != nil && !expected.MatchString(line) {
			out = append(out, strings.TrimSpace(line[at[0]:]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
