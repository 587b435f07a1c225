package trial

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestReadPatch(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       map[string]string
	}{
		{"diff", "--- a/postgresql.conf\n+++ b/postgresql.conf\n@@ -1,3 +1,3 @@\n # words\n-#work_mem = 4MB\t\t# min 64kB\n+work_mem = 16MB\t\t# min 64kB\n port = 5432\n+wal_compression = 'lz4'\n",
			map[string]string{"work_mem": "16MB", "wal_compression": "lz4"}},
		{"statements", "-- In force only after a restart: shared_buffers\nALTER SYSTEM SET shared_buffers = '1GB';\nalter system set Work_Mem = '8MB';\nALTER SYSTEM SET shared_preload_libraries = 'a', 'b';\nSELECT pg_reload_conf();\n",
			map[string]string{"shared_buffers": "1GB", "work_mem": "8MB", "shared_preload_libraries": "a, b"}},
		{"lines", "# mine\nrandom_page_cost = 1.1\nmax_wal_size 4GB\n", map[string]string{"random_page_cost": "1.1", "max_wal_size": "4GB"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ReadPatch("p", tc.text)
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("ReadPatch = %v, %v, want %v", got, err, tc.want)
			}
		})
	}
	for _, text := range []string{"", "# nothing\n", "work_mem = \n= 3\n", "include 'other.conf'\n", "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-work_mem = 4MB\n"} {
		if got, err := ReadPatch("p", text); !errors.Is(err, ErrPatch) || !strings.HasPrefix(err.Error(), "p: ") {
			t.Errorf("ReadPatch(%q) = %v, %v, want a refusal", text, got, err)
		}
	}
}

func FuzzReadPatch(f *testing.F) {
	f.Add("work_mem = '4MB'\n")
	f.Add("@@ -1 +1 @@\n+a = b\n")
	f.Add("ALTER SYSTEM SET a = 'b';\n")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := ReadPatch("p", text)
		if (err == nil) != (len(set) > 0) {
			t.Errorf("ReadPatch(%q) = %v, %v", text, set, err)
		}
	})
}
