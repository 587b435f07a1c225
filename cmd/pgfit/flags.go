package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pgfit/probe"
	"pgfit/probe/guc"
	"pgfit/probe/target"
	"pgfit/workload/cluster"
	"pgfit/workload/rundoc"
)

// bytesFlag is a size such as 512MB.
type bytesFlag int64

func (b *bytesFlag) Set(text string) error {
	v, err := guc.ParseBytes(text)
	*b = bytesFlag(v)
	return err
}
func (b *bytesFlag) Type() string { return "size" }
func (b *bytesFlag) String() string {
	if *b == 0 {
		return ""
	}
	return guc.FormatBytes(int64(*b))
}

// spanFlag is a time as Go writes it, 1m30s, or as PostgreSQL does, 5min or 1d.
type spanFlag time.Duration

func (s *spanFlag) Set(text string) error {
	if d, err := time.ParseDuration(text); err == nil {
		*s = spanFlag(d)
		return nil
	}
	for unit, per := range map[string]time.Duration{"min": time.Minute, "d": 24 * time.Hour} {
		digits, ok := strings.CutSuffix(text, unit)
		if n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64); ok && err == nil {
			*s = spanFlag(n * float64(per))
			return nil
		}
	}
	return fmt.Errorf("want a number with s, min, h or d, such as 5min")
}
func (s *spanFlag) Type() string   { return "time" }
func (s *spanFlag) String() string { return time.Duration(*s).String() }

// targetFlags name the server.
type targetFlags struct {
	scratch    bool
	scratchDir string
	pgBin      string
	pgVersion  int
	memory     bytesFlag
	cpus       float64
	configFile string
	envFile    string
}

func (f *targetFlags) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&f.scratch, "scratch", false, "a throw-away server of pgfit's own (the default when nothing names a target)")
	fs.StringVar(&f.scratchDir, "scratch-dir", "", "where the scratch server's data lie: the disk that is measured (default the user cache directory)")
	fs.StringVar(&f.pgBin, "pg-bin", "", "directory with postgres and initdb for the scratch server")
	fs.IntVar(&f.pgVersion, "pg-version", 0, "major version of the scratch server (default the newest found)")
	fs.Var(&f.memory, "scratch-memory", "keep the scratch server within so much memory, page cache included (a cgroup)")
	fs.Float64Var(&f.cpus, "scratch-cpus", 0, "keep the scratch server within so many CPUs, such as 1.5")
	fs.StringVar(&f.configFile, "config", "", "the application's config.yaml, whose database section names the target")
	fs.StringVar(&f.envFile, "env-file", "", "a .env file for the variables in config.yaml")
}

func (f *targetFlags) resolve(args []string) (target.Target, error) {
	if len(args) > 0 && f.scratch {
		return target.Target{}, usagef("--scratch and a target at once: name one of them")
	}
	if err := f.validate(); err != nil {
		return target.Target{}, err
	}
	in := target.Input{Scratch: f.scratch, ConfigFile: f.configFile, EnvFile: f.envFile, LookupEnv: os.LookupEnv}
	if len(args) > 0 {
		in.Arg = args[0]
	}
	return target.Resolve(in)
}

// validate checks the scratch server's shape.
func (f *targetFlags) validate() error {
	switch {
	case f.memory != 0 && f.memory < 64<<20:
		return usagef("--scratch-memory %s: want at least 64MB", f.memory.String())
	case f.cpus < 0 || f.cpus > 4096 || f.cpus > 0 && f.cpus < 0.05:
		return usagef("--scratch-cpus %g: want 0.05 to 4096", f.cpus)
	}
	return nil
}

func (f *targetFlags) shape() cluster.Shape {
	return cluster.Shape{Memory: int64(f.memory), CPUs: f.cpus}
}

// hostFlags override what the probe finds.
type hostFlags struct {
	ram       bytesFlag
	cpus      float64
	disk      string
	dataDir   string
	hostFacts string
	files     bool
	metadata  bool // of pgfit probe alone
}

func (f *hostFlags) addFlags(fs *pflag.FlagSet) {
	fs.Var(&f.ram, "ram", "memory of the database host, when it cannot be read or should be another")
	fs.Float64Var(&f.cpus, "cpus", 0, "CPUs of the database host")
	fs.StringVar(&f.disk, "disk", "", "class of its disk: hdd, ssd, nvme or network")
	fs.StringVar(&f.dataDir, "data-directory", "", "the server's data directory, where the role may not ask for it")
	fs.StringVar(&f.hostFacts, "host-facts", "", "facts of the database host, written there by pgfit probe --out FILE")
	fs.BoolVar(&f.files, "server-files", false, "read /proc and /sys of a database host elsewhere through the server: needs pg_read_server_files")
}

func (f *hostFlags) options() (probe.Options, error) {
	o := probe.Options{RAM: int64(f.ram), CPUs: f.cpus, DataDir: f.dataDir, ServerFiles: f.files, CloudMetadata: f.metadata}
	switch {
	case f.cpus < 0 || f.cpus > 4096:
		return o, usagef("--cpus %g: want more than 0 and at most 4096", f.cpus)
	case f.metadata && f.hostFacts != "":
		return o, usagef("--cloud-metadata asks about this machine and --host-facts is another: name one of them")
	case f.ram != 0 && f.ram < 64<<20:
		return o, usagef("--ram %s: want at least 64MB", f.ram.String())
	}
	switch c := probe.Class(f.disk); c {
	case "", probe.HDD, probe.SSD, probe.NVMe, probe.Network:
		o.Disk = c
	default:
		return o, usagef("--disk %s: want hdd, ssd, nvme or network", f.disk)
	}
	if f.hostFacts != "" {
		file, err := os.Open(f.hostFacts)
		if err != nil {
			return o, usagef("reading --host-facts: %w", err)
		}
		defer file.Close()
		facts, err := probe.ReadHostFile(file)
		if err != nil {
			return o, usagef("reading --host-facts %s: %w", f.hostFacts, err)
		}
		o.HostFacts = facts
	}
	return o, nil
}

// demandFlags say what the application asks of the database.
type demandFlags struct {
	maxConcurrent   int
	requestDuration time.Duration
	rps             float64
	processes       int
}

func (f *demandFlags) addFlags(fs *pflag.FlagSet) {
	fs.IntVar(&f.maxConcurrent, "max-concurrent", 0, "requests of the application in flight at the peak")
	fs.DurationVar(&f.requestDuration, "request-duration", 0, "mean duration of one of its requests")
	fs.Float64Var(&f.rps, "rps", 0, "requests a second that need a connection, instead of the two above")
	fs.IntVar(&f.processes, "processes", 1, "processes of the application, each with a pool of its own")
}

// mostRequests bounds a demand: a thousand million a second is nobody's.
const mostRequests = 1e9

func (f *demandFlags) demand() (rundoc.Demand, error) {
	d := rundoc.Demand{MaxConcurrent: f.maxConcurrent, RequestDuration: f.requestDuration.Seconds(), RPS: f.rps, Processes: f.processes}
	switch {
	case f.maxConcurrent < 0 || f.requestDuration < 0 || f.rps < 0:
		return d, usagef("--max-concurrent, --request-duration and --rps cannot be negative")
	case !(f.rps <= mostRequests) || f.maxConcurrent > mostRequests:
		return d, usagef("--rps and --max-concurrent: want at most %.0e", mostRequests)
	case f.processes < 1:
		return d, usagef("--processes %d: want at least 1", f.processes)
	case (f.maxConcurrent > 0) != (f.requestDuration > 0):
		return d, usagef("--max-concurrent and --request-duration go together: their quotient is the demand")
	case f.rps > 0 && f.maxConcurrent > 0:
		return d, usagef("--rps and --max-concurrent at once: name one of them")
	}
	return d, nil
}

// loadFlags shape the measurement.
type loadFlags struct {
	scenarios []string
	poolSizes []string
	budget    time.Duration
	rounds    int
	measure   time.Duration
	dataSize  bytesFlag
	seed      uint64
	protocol  string
	driver    string
	maxTries  int
	yes       bool
	dryRun    bool
	setup     setupFlags
}

func (f *loadFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&f.scenarios, "scenario", []string{"read-heavy", "write-heavy"}, "workloads to measure: built-in names or .yaml files")
	fs.StringSliceVar(&f.poolSizes, "pool-sizes", nil, "pool sizes to measure (default 1,2,4,8,16,32,64, or 13 of them up to 100 where the budget holds that; more while the best is near the largest; as far as connections are free)")
	fs.DurationVar(&f.budget, "budget", 10*time.Minute, "time for everything; rounds and durations are planned to fit")
	fs.IntVar(&f.rounds, "rounds", 0, "complete rounds over all pool sizes (default as the budget allows)")
	fs.DurationVar(&f.measure, "measure", 0, "measured time of one visit (default as the budget allows)")
	fs.Var(&f.dataSize, "data-size", "size of the test data (default from shared_buffers, memory, free disk and budget)")
	fs.Uint64Var(&f.seed, "seed", 0, "seed of order, keys and arrivals (default by the clock; printed)")
	fs.StringVar(&f.protocol, "protocol", "prepared", "how statements are sent: prepared, extended or simple")
	fs.StringVar(&f.driver, "driver", "auto", "load generator: auto, epoll or portable")
	fs.IntVar(&f.maxTries, "max-tries", 3, "tries of a transaction after a serialization failure or a deadlock")
	fs.BoolVar(&f.yes, "yes", false, "put load on a server that pgfit did not start without asking")
	fs.BoolVar(&f.dryRun, "dry-run", false, "show the plan and stop")
	f.setup.addFlags(fs)
}

func (f *loadFlags) validate() error {
	switch {
	case f.budget < time.Second || f.budget > 7*24*time.Hour:
		return usagef("--budget %s: want one second to seven days", f.budget)
	case f.rounds < 0 || f.rounds > 100:
		return usagef("--rounds %d: want 1 to 100", f.rounds)
	case f.measure < 0 || f.measure > time.Hour:
		return usagef("--measure %s: want at most an hour", f.measure)
	case f.measure > 0 && f.measure < 500*time.Millisecond:
		return usagef("--measure %s: want at least 500ms", f.measure)
	case f.maxTries < 1:
		return usagef("--max-tries %d: want at least 1", f.maxTries)
	case len(f.scenarios) == 0:
		return usagef("--scenario: name at least one")
	case f.protocol != "prepared" && f.protocol != "extended" && f.protocol != "simple":
		return usagef("--protocol %s: want prepared, extended or simple", f.protocol)
	case f.driver != "auto" && f.driver != "epoll" && f.driver != "portable":
		return usagef("--driver %s: want auto, epoll or portable", f.driver)
	case f.driver == "epoll" && runtime.GOOS != "linux":
		return usagef("--driver epoll works on Linux only")
	}
	if _, err := f.levels(); err != nil {
		return err
	}
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	return nil
}

func (f *loadFlags) levels() ([]int, error) {
	var out []int
	for _, text := range f.poolSizes {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return nil, usagef("--pool-sizes: %q is no whole number", text)
		}
		if n < 1 {
			return nil, usagef("--pool-sizes: %d: a pool has at least 1 connection", n)
		}
		out = append(out, n)
	}
	return out, nil
}

// exactly refuses any other number of arguments, and says what is wanted.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return fmt.Errorf("%s wants %s: %s", cmd.Name(), what, cmd.UseLine())
	}
}

// oneOf checks a format flag.
func oneOf(flag, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return usagef("--%s %s: want %s", flag, value, strings.Join(allowed, ", "))
}

// oneOfOrNone checks a flag that need not be given.
func oneOfOrNone(flag, value string, allowed ...string) error {
	if value == "" {
		return nil
	}
	return oneOf(flag, value, allowed...)
}

var _ fmt.Stringer = (*bytesFlag)(nil)
