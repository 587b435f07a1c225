package audit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgfit/probe/guc"
	"pgfit/probe/pgconf"
	"pgfit/probe/stack"
	"pgfit/profiles"
)

// settings are those in force, with where each one comes from.
type settings struct {
	guc.Settings
	place map[string]stack.Place // only what something sets
	main  string                 // the main file, "" for a live server
}

// where is the line that sets a setting, else the main file, else the setting itself.
func (s settings) where(name string) at {
	if p, ok := s.place[name]; ok {
		return in(p)
	}
	if s.main != "" {
		return in(stack.Place{File: s.main})
	}
	return at{object: "setting " + name}
}

// conf looks at the settings of a file, or of a live server.
func (r *runner) conf(checks []profiles.AuditCheck) {
	if r.in.Conf != nil {
		r.fromFile(r.in.Conf)
	} else {
		r.set = settings{Settings: r.in.Server, place: map[string]stack.Place{}}
		for name, s := range r.in.Server {
			if s.SourceFile != "" {
				r.set.place[name] = stack.Place{File: s.SourceFile, Line: s.SourceLine}
			}
		}
	}
	for _, c := range checks {
		if set, ok := r.set.Settings[c.Setting]; c.Data() && ok {
			r.look(c.ID)
			if want := wrong(c, set); want != "" {
				r.find(c.ID, r.set.where(c.Setting), r.says(set, want))
			}
		}
	}
	r.ciphers()
	r.prefix()
	r.memory()
	r.wal()
	r.checksums()
	r.machine()
	r.reachable()
	r.certificate()
}

// says is "ssl is off, want on", and tells when nothing sets it.
func (r *runner) says(s guc.Setting, want string) string {
	text := fmt.Sprintf("%s is %s, want %s", s.Name, shown(s), want)
	if _, set := r.set.place[s.Name]; !set && r.set.main != "" {
		text += " (nothing sets it: the default)"
	}
	return text
}

func shown(s guc.Setting) string {
	if s.VarType == "string" {
		return quoted(s.Value)
	}
	return s.Show(s.Value)
}

// wrong says what a check wants when the setting is not it, "" when it is.
func wrong(c profiles.AuditCheck, s guc.Setting) string {
	number := func(text string) float64 {
		canonical, err := s.Parse(text)
		if err != nil {
			canonical = text
		}
		v, _ := strconv.ParseFloat(canonical, 64)
		return v
	}
	low, high := c.Min != "" && number(s.Value) < number(c.Min), c.Max != "" && number(s.Value) > number(c.Max)
	switch {
	case c.Is != "" && s.Value != c.Is:
		return c.Is
	case c.In != nil && !slices.Contains(c.In, s.Value):
		return strings.Join(slices.DeleteFunc(slices.Clone(c.In), func(s string) bool { return s == "" }), " or ")
	case slices.Contains(c.Not, s.Value):
		return c.Value
	case c.Has != "" && !slices.Contains(words(s.Value), c.Has):
		return c.Has + " in it"
	case (low || high) && slices.Contains(c.Or, s.Value):
	case low:
		return "at least " + c.Min
	case high:
		return "at most " + c.Max
	}
	return ""
}

// words are the elements of a list setting.
func words(list string) []string {
	out := strings.Split(list, ",")
	for i, w := range out {
		out[i] = strings.Trim(strings.TrimSpace(w), `"`)
	}
	return out
}

// fromFile starts from the defaults of the version and puts the files on top.
func (r *runner) fromFile(tree *pgconf.Tree) {
	r.look("conf.syntax", "conf.unknown", "conf.value", "conf.twice")
	r.set = settings{Settings: guc.Settings{}, place: map[string]stack.Place{}, main: tree.Main.Path}
	catalogue, err := guc.Catalogue(r.in.Major)
	if err != nil {
		r.skip("names and values of settings", err.Error())
	}
	for name, s := range catalogue {
		s.Value = s.BootVal
		r.set.Settings[name] = s
	}
	for _, p := range tree.Problems {
		r.find("conf.syntax", in(stack.Place{File: p.File, Line: p.Line}), p.Text)
	}
	lines := map[string]int{}
	for _, f := range tree.Files() {
		for i, l := range f.Lines() {
			if l.Kind == pgconf.Entry && !l.Directive() {
				r.line(tree, l, stack.Place{File: f.Path, Line: i + 1}, lines)
			}
		}
	}
}

// line takes one line that sets something.
func (r *runner) line(tree *pgconf.Tree, l pgconf.Line, p stack.Place, lines map[string]int) {
	name := r.nameNow(l.Name)
	s, known := r.set.Settings[name]
	force, _ := tree.InForce(l.Name)
	switch {
	case !known && slices.Contains(ofBuilds, name):
		return
	case !known && !strings.Contains(name, "."):
		r.find("conf.unknown", in(p), fmt.Sprintf("PostgreSQL %d has no setting %s%s", r.in.Major, name, was(name)))
		return
	case force.File == nil || force.File.Path != p.File || force.Line != p.Line:
		r.find("conf.twice", in(p), fmt.Sprintf("%s is set again in %s, which counts", name, force))
		return
	}
	r.set.place[name] = p
	if !known {
		return
	}
	value, err := s.Parse(l.Value)
	if err != nil {
		r.find("conf.value", in(p), err.Error())
		return
	}
	s.Value = value
	r.set.Settings[name] = s
}

// gone are settings that went away, and what to know about it.
var gone = map[string]string{
	"checkpoint_segments": "max_wal_size took its place in 9.5", "wal_keep_segments": "wal_keep_size took its place in 13",
	"vacuum_cleanup_index_scale_factor": "it went away with 14", "operator_precedence_warning": "it went away with 14",
	"stats_temp_directory": "it went away with 15", "force_parallel_mode": "debug_parallel_query took its place in 16",
	"vacuum_defer_cleanup_age": "it went away with 16", "promote_trigger_file": "pg_promote() and pg_ctl promote took its place in 16",
	"old_snapshot_threshold": "it went away with 17", "db_user_namespace": "it went away with 17", "trace_recovery_messages": "it went away with 17",
	"default_with_oids": "it went away with 12", "replacement_sort_tuples": "it went away with 11",
	"unix_socket_directory": "unix_socket_directories took its place in 9.3",
}

func was(name string) string {
	if now := gone[name]; now != "" {
		return ": " + now
	}
	return ""
}

// ofBuilds are settings that only some builds have: Debian's.
var ofBuilds = []string{"extension_destdir"}

// nameNow is what the server calls a setting: old names that it still takes are mapped (guc_tables.c, map_old_guc_names).
func (r *runner) nameNow(name string) string {
	if r.in.Major >= 18 && strings.EqualFold(name, "ssl_ecdh_curve") {
		name = "ssl_groups"
	}
	for known := range r.set.Settings {
		if pgconf.SameName(known, name) {
			return known
		}
	}
	return name
}

// wal and checksums compare settings with each other, or exist on a live server only.
func (r *runner) wal() {
	low, okLow := r.set.Bytes("min_wal_size")
	high, okHigh := r.set.Bytes("max_wal_size")
	if !okLow || !okHigh {
		return
	}
	if r.look("conf.min-wal-size"); low > high {
		r.find("conf.min-wal-size", r.set.where("min_wal_size"), fmt.Sprintf("min_wal_size is %s and max_wal_size %s", guc.FormatBytes(low), guc.FormatBytes(high)))
	}
}

func (r *runner) checksums() {
	if r.in.Server == nil || !r.in.Server.Has("data_checksums") {
		return
	}
	if r.look("conf.data-checksums"); !r.in.Server.On("data_checksums") {
		r.find("conf.data-checksums", at{object: "setting data_checksums"}, "the cluster has no data checksums")
	}
}

// memory holds the sizes against each other and, where it is known, against the machine.
func (r *runner) memory() {
	shared, ok := r.set.Bytes("shared_buffers")
	cache, ok2 := r.set.Bytes("effective_cache_size")
	work, ok3 := r.set.Bytes("work_mem")
	conns, ok4 := r.set.Int("max_connections")
	if !ok || !ok2 || !ok3 || !ok4 {
		return
	}
	r.look("conf.cache-size")
	if cache < shared {
		r.find("conf.cache-size", r.set.where("effective_cache_size"),
			fmt.Sprintf("effective_cache_size is %s, less than shared_buffers, %s", guc.FormatBytes(cache), guc.FormatBytes(shared)))
	}
	ram := r.ram()
	if ram == 0 {
		return
	}
	r.look("conf.shared-buffers", "conf.memory")
	share := 100 * float64(shared) / float64(ram)
	if cache > ram {
		r.find("conf.cache-size", r.set.where("effective_cache_size"), fmt.Sprintf("effective_cache_size is %s on a machine of %s", guc.FormatBytes(cache), guc.FormatBytes(ram)))
	}
	if share < 10 || share > 40 {
		r.find("conf.shared-buffers", r.set.where("shared_buffers"), fmt.Sprintf("shared_buffers is %s, %.0f %% of %s", guc.FormatBytes(shared), share, guc.FormatBytes(ram)))
	}
	if all := shared + work*conns; all > ram {
		r.find("conf.memory", r.set.where("work_mem"), fmt.Sprintf("shared_buffers and work_mem once for each of %d connections come to %s of %s",
			conns, guc.FormatBytes(all>>20<<20), guc.FormatBytes(ram>>20<<20)))
	}
}

// compared are settings that are judged together with others.
var compared = map[string][]string{
	"conf.min-wal-size": {"min_wal_size"}, "conf.cache-size": {"effective_cache_size"}, "conf.shared-buffers": {"shared_buffers"}, "conf.memory": {"work_mem"},
	"conf.listen": {"listen_addresses"}, "conf.port": {"port"}, "conf.ssl-expiry": {"ssl_cert_file"}, "conf.ssl-key-mode": {"ssl_key_file"},
	"conf.parallel-workers": {"max_parallel_workers_per_gather", "max_parallel_workers", "max_worker_processes"},
	"pool.fits":             {"max_connections"}, "conf.ssl-ciphers": {"ssl_ciphers"}, "conf.data-checksums": {"data_checksums"},
}

// NoCheck is the reason of a setting that no check of the profile looks at.
const NoCheck = "no check of this profile looks at it"

// left lists what the file sets and no check judged, with the reason where there is a known one.
func (r *runner) left(checks []profiles.AuditCheck) error {
	if r.in.Conf == nil {
		return nil
	}
	reasons, err := profiles.AuditLeft()
	if err != nil {
		return err
	}
	judged := map[string]bool{}
	for _, c := range checks {
		judged[c.Setting] = judged[c.Setting] || r.made[c.ID]
		for _, name := range compared[c.ID] {
			judged[name] = judged[name] || r.made[c.ID]
		}
	}
	var names []string
	for name := range r.set.place {
		if !judged[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		reason := reasons[name]
		if reason == "" {
			reason = NoCheck
		}
		r.out.Left = append(r.out.Left, Skip{name, reason})
	}
	return nil
}
