package pgconf

import "testing"

func TestParseLine(t *testing.T) {
	tests := []struct {
		name, text  string
		kind        Kind
		key, value  string
		isDirective bool
	}{
		{"plain", "work_mem = 4MB\n", Entry, "work_mem", "4MB", false},
		{"no equals", "shared_buffers 256MB\n", Entry, "shared_buffers", "256MB", false},
		{"no blanks", "port=5433#c\n", Entry, "port", "5433", false},
		{"value right behind the name", "shared_buffers'1GB'\n", Entry, "shared_buffers", "1GB", false},
		{"comment", "work_mem = 4MB  # per node\n", Entry, "work_mem", "4MB", false},
		{"carriage return", "work_mem = 4MB\r\n", Entry, "work_mem", "4MB", false},
		{"no newline", "\twork_mem = 4MB", Entry, "work_mem", "4MB", false},
		{"upper case", "Work_Mem = 4MB\n", Entry, "Work_Mem", "4MB", false},
		{"hash in quotes", "log_line_prefix = '%m # '\n", Entry, "log_line_prefix", "%m # ", false},
		{"doubled quote", "a.b = 'it''s'\n", Entry, "a.b", "it's", false},
		{"escaped quote", `a.b = 'it\'s'`, Entry, "a.b", "it's", false},
		{"escapes", `a.b = '\\\t\101\1011\x\8'`, Entry, "a.b", "\\\tAA1x8", false},
		{"zero byte ends the value", `a.b = 'x\000y'`, Entry, "a.b", "x", false},
		{"empty value", "listen_addresses = ''\n", Entry, "listen_addresses", "", false},
		{"real", "random_page_cost = 1.1\n", Entry, "random_page_cost", "1.1", false},
		{"bare point", "seq_page_cost = .\n", Entry, "seq_page_cost", ".", false},
		{"exponent", "seq_page_cost = -1.5e-3\n", Entry, "seq_page_cost", "-1.5e-3", false},
		{"hexadecimal", "port = 0x1F\n", Entry, "port", "0x1F", false},
		{"unquoted path", "log_directory = log/x-1:2.3\n", Entry, "log_directory", "log/x-1:2.3", false},
		{"letters beyond ASCII", "cluster_name = düne\n", Entry, "cluster_name", "düne", false},
		{"include", "include_dir = 'conf.d'\n", Entry, "include_dir", "conf.d", true},
		{"include without equals", "INCLUDE 'x'\n", Entry, "INCLUDE", "x", true},
		{"blank", " \t\r\n", Blank, "", "", false},
		{"prose", "# Set work_mem = 4MB here\n", Comment, "", "", false},
		{"prose that begins with a name", "# work_mem is small\n", Comment, "", "", false},
		{"commented default", "#work_mem = 4MB\t\t# min 64kB\n", Commented, "work_mem", "4MB", false},
		{"commented with blanks", "  ## work_mem = '4MB'\r\n", Commented, "work_mem", "4MB", false},
		{"commented include", "#include_dir = 'conf.d'\n", Comment, "", "", false},
		{"unit behind a point", "shared_buffers = 1.5GB\n", Broken, "", "", false},
		{"exponent without a point", "seq_page_cost = 1e5\n", Broken, "", "", false},
		{"qualified value", "search_path = a.b\n", Broken, "", "", false},
		{"open quote", "a.b = 'x\n", Broken, "", "", false},
		{"quote ends in a backslash", `a.b = 'x\'`, Broken, "", "", false},
		{"two values", "search_path = a b\n", Broken, "", "", false},
		{"list without quotes", "search_path = a, b\n", Broken, "", "", false},
		{"name only", "fsync\n", Broken, "", "", false},
		{"equals only", "fsync =\n", Broken, "", "", false},
		{"two equals", "fsync == on\n", Broken, "", "", false},
		{"name with three parts", "a.b.c = 1\n", Broken, "", "", false},
		{"value first", "= on\n", Broken, "", "", false},
		{"zero byte", "fsync = o\x00n\n", Broken, "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := parseLine(tt.text)
			if l.Kind != tt.kind || l.Name != tt.key || l.Value != tt.value || l.Directive() != tt.isDirective {
				t.Errorf("parseLine(%q) = kind %d %q = %q (directive %v), want kind %d %q = %q (directive %v)",
					tt.text, l.Kind, l.Name, l.Value, l.Directive(), tt.kind, tt.key, tt.value, tt.isDirective)
			}
			if l.Text != tt.text {
				t.Errorf("parseLine(%q).Text = %q", tt.text, l.Text)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	for value, want := range map[string]string{
		"8": "8", "-1": "-1", "8MB": "8MB", "1.5": "1.5", "on": "on", "pg_stat_statements": "pg_stat_statements", "": "''",
		"1.5GB": "'1.5GB'", "a.b": "'a.b'", "a,b": "'a,b'", "é": "'é'", "1.": "'1.'", "1.-5": "'1.-5'", "/x": "'/x'", "-": "'-'", "it's": "'it''s'",
		`\`: `'\\'`, "a\nb": `'a\nb'`,
	} {
		if got := Quote(value); got != want {
			t.Errorf("Quote(%q) = %s, want %s", value, got, want)
		}
	}
}
