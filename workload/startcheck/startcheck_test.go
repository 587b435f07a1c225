package startcheck

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pgfit/probe/guc"
	"pgfit/workload/cluster"
	"pgfit/workload/rundoc"
)

func binaries(t *testing.T) cluster.Binaries {
	t.Helper()
	b, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Skip("no server binaries: ", err)
	}
	return b
}

// scratchDir is on a real disk and has to be empty at the end.
func scratchDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "pgfit-startcheck-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

const etc = "/etc/postgresql/15/main"

// debian is a server as a distribution sets it up, on a machine that has locales, certificates, huge pages and a data
// directory that this one does not have.
func debian(lines string) []rundoc.File {
	return []rundoc.File{
		{Path: etc + "/postgresql.conf", Text: "data_directory = '/var/lib/postgresql/15/main'\nhba_file = '" + etc + "/pg_hba.conf'\n" +
			"ident_file = '" + etc + "/pg_ident.conf'\nexternal_pid_file = '/var/run/postgresql/15-main.pid'\nport = 6000\nssl = on\n" +
			"ssl_cert_file = '/etc/ssl/none.pem'\nhuge_pages = on\nlc_messages = 'xx_XX.UTF-8'\nlc_time = 'xx_XX.UTF-8'\nlogging_collector = on\n" +
			"log_destination = 'csvlog'\nlog_min_messages = panic\narchive_mode = on\narchive_command = 'false'\nwork_mem = 5MB\n" +
			"include_dir = 'conf.d'\ninclude '/etc/postgresql/common/it''s.conf'\ninclude_if_exists = '/etc/none.conf'\ninclude_dir '/etc/postgresql/empty'\n"},
		{Path: etc + "/conf.d/10-ours.conf", Text: "work_mem = 6MB\r\nrandom_page_cost = '1.5'\r\n"},
		{Path: "/etc/postgresql/common/it's.conf", Text: "shared_buffers = 24MB\n" + lines},
		{Path: "/var/lib/postgresql/15/main/postgresql.auto.conf", Text: "jit = 'off'\n"},
	}
}

var names = []string{"work_mem", "random_page_cost", "shared_buffers", "jit", "huge_pages", "logging_collector", "port", "no_such"}

func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	res, err := Run(context.Background(), Input{Binaries: binaries(t), Dir: scratchDir(t), Files: debian(""), Main: etc + "/postgresql.conf", Names: names})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"work_mem": "6144", "random_page_cost": "1.5", "shared_buffers": "3072", "jit": "off", "huge_pages": "on",
		"logging_collector": "on", "port": "6000"} {
		if got := res.Settings[name]; got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if want := []string{"archive_mode", "huge_pages", "log_destination", "logging_collector", "port", "ssl"}; !slices.Equal(res.NotChecked, want) {
		t.Errorf("not checked %q, want %q", res.NotChecked, want)
	}
	if _, ok := res.Settings["no_such"]; ok || len(res.Complaints) > 0 || res.Reduced {
		t.Errorf("settings %v, complaints %q, reduced %v", res.Settings, res.Complaints, res.Reduced)
	}
}

func TestRunRefused(t *testing.T) {
	bin, dir := binaries(t), scratchDir(t)
	for name, tc := range map[string]struct{ lines, want string }{
		"unknown setting":       {"no_such_setting = 1\n", "no_such_setting"},
		"settings that collide": {"max_connections = 5\nsuperuser_reserved_connections = 5\n", "superuser_reserved_connections"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(context.Background(), Input{Binaries: bin, Dir: dir, Files: debian(tc.lines), Main: etc + "/postgresql.conf", Names: names})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Run = %v, want ...%s...", err, tc.want)
			}
		})
	}
	files := slices.DeleteFunc(debian(""), func(f rundoc.File) bool { return strings.Contains(f.Path, "common") })
	if _, err := Run(context.Background(), Input{Binaries: bin, Dir: dir, Files: files, Main: etc + "/postgresql.conf"}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("without an included file Run = %v, want %v", err, ErrIncomplete)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Input{Binaries: bin, Dir: dir, Files: debian(""), Main: etc + "/postgresql.conf"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Run = %v", err)
	}
}

// TestDropInTooLarge: a new file behind the stock one, with more buffers than any machine has. The server gets less, and
// the value is checked all the same.
func TestDropInTooLarge(t *testing.T) {
	files := []rundoc.File{{Path: etc + "/conf.d/90-pgfit.conf", Text: "shared_buffers = 8000GB\nwork_mem = 7MB\n"}}
	res, err := Run(context.Background(), Input{Binaries: binaries(t), Dir: scratchDir(t), Files: files, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	all, err := guc.Catalogue(18)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := all["shared_buffers"].Parse("8000GB")
	if len(res.NotChecked) > 0 {
		t.Errorf("not checked: %q", res.NotChecked)
	}
	if !res.Reduced && memTotal() > 0 || res.Settings["shared_buffers"] != want || res.Settings["work_mem"] != "7168" {
		t.Errorf("reduced %v, %v", res.Reduced, res.Settings)
	}
}

func TestComplaints(t *testing.T) {
	log := "2026-01-01 [1] LOG:  starting\nFATAL:  the database system is starting up\n%x [3] WARNING:  \"a\" too high\n%y [4] WARNING:  \"a\" too high\n\tHINT:  ERROR: no\nERROR:  b\n"
	if got := Complaints(log); !slices.Equal(got, []string{"ERROR:  b", `WARNING:  "a" too high`}) {
		t.Errorf("Complaints = %q", got)
	}
}
