package script

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// driver is the simplest engine there can be. The scripts of pgbench's manual have to run on it.
type driver struct {
	conn   *pgconn.PgConn
	simple bool
}

func connect(t *testing.T) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(context.Background(), "host="+server(t)+" user=postgres dbname=postgres sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// run does one transaction of a script.
func (d *driver) run(s *Session) error {
	s.Begin()
	for {
		step, err := s.Next()
		if err != nil {
			return err
		}
		switch step.Kind {
		case Done:
			return nil
		case Query:
			if err := d.query(s, step); err != nil {
				return err
			}
		}
	}
}

func (d *driver) query(s *Session, step Step) error {
	ctx := context.Background()
	if !d.simple {
		r := d.conn.ExecParams(ctx, step.Stmt.SQL, step.Params, nil, nil, nil).Read()
		if r.Err != nil {
			return r.Err
		}
		return hand(s, step.Stmt, []*pgconn.Result{r})
	}
	results, err := d.conn.Exec(ctx, string(s.Simple(nil, step.Stmt))).ReadAll()
	if err != nil {
		return err
	}
	return hand(s, step.Stmt, results)
}

// hand gives \gset the rows of the last result and \aset the last row of each.
func hand(s *Session, st *Stmt, results []*pgconn.Result) error {
	for i, r := range results {
		rows := r.Rows
		switch {
		case st.Gset && i < len(results)-1:
			continue
		case st.Aset && len(rows) > 1:
			rows = rows[len(rows)-1:]
		}
		var names []string
		for _, f := range r.FieldDescriptions {
			names = append(names, f.Name)
		}
		for _, row := range rows {
			if err := s.Row(names, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// pgbenchTables makes pgbench's own tables, scale 1.
func pgbenchTables(t *testing.T) {
	t.Helper()
	out, err := exec.Command(postgresBinary(t, "pgbench"), "-i", "-q", "-h", server(t), "-U", "postgres", "postgres").CombinedOutput()
	if err != nil {
		t.Fatalf("pgbench -i: %s", out)
	}
}

// manual holds the examples of pgbench's manual (18), each with what it leaves in its variables.
var manual = []struct {
	name, src  string
	want       map[string]string // variable and its text, ? for any
	simpleOnly bool              // statements joined by \; are for the simple protocol
	shell      bool
}{
	{name: "gset and aset", simpleOnly: true, src: `\set aid 5
\set delta 7
UPDATE pgbench_accounts
  SET abalance = abalance + :delta
  WHERE aid = :aid
  RETURNING abalance \gset
-- compound of two queries
SELECT 1 \;
SELECT 2 AS two, 3 AS three \gset p_
SELECT 4 AS four \; SELECT 5 AS five \aset
\set sum :p_two + :p_three + :four + :five + 0 * :abalance
`, want: map[string]string{"p_two": "2", "p_three": "3", "four": "4", "five": "5", "sum": "14", "abalance": "?"}},
	{name: "set", src: `\set x 4
\set y 9
\set ntellers 10 * :scale
\set aid (1021 * random(1, 100000 * :scale)) % \
           (100000 * :scale) + 1
\set divx CASE WHEN :x <> 0 THEN :y/:x ELSE NULL END
\sleep 10 ms
`, want: map[string]string{"ntellers": "10", "divx": "2", "aid": "?"}},
	{name: "hash", src: `\set r random_zipfian(0, 100000000, 1.07)
\set k abs(hash(:r)) % 1000000
\set k1 abs(hash(:r, :default_seed + 123)) % 1000000
\set k2 abs(hash(:r, :default_seed + 321)) % 1000000
`, want: map[string]string{"k": "?", "k1": "?", "k2": "?"}},
	{name: "permute", src: `\set size 1000000
\set r random_zipfian(1, :size, 1.07)
\set k 1 + permute(:r, :size)
\set k1 1 + permute(:r, :size, :default_seed + 123)
\set k2 1 + permute(:r, :size, :default_seed + 321)
`, want: map[string]string{"k": "?", "k1": "?", "k2": "?"}},
	{name: "shell", shell: true, src: `\set variable 30
\setshell variable_to_be_assigned expr 12 + :variable
\shell test literal_argument != ::literal_starting_with_colon
\set v :variable_to_be_assigned
`, want: map[string]string{"v": "42"}},
	{name: "if", src: `\set r 2
\if :r = 1
SELECT 1/0;
\elif :r
SELECT :r::int + 1 AS chosen \gset
\else
SELECT 1/0;
\endif
\set c :chosen
`, want: map[string]string{"c": "3"}},
}

func TestManualScriptsRun(t *testing.T) {
	pgbenchTables(t)
	for _, tt := range manual {
		for _, simple := range []bool{true, false} {
			if tt.simpleOnly && !simple {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				sc, err := Parse("manual.sql", tt.src, Options{AllowShell: tt.shell})
				if err != nil {
					t.Fatal(err)
				}
				c, err := NewClient([]*Script{sc}, 1, 0, nil)
				if err != nil {
					t.Fatal(err)
				}
				d := driver{conn: connect(t), simple: simple}
				if err := d.run(c.Session(0)); err != nil {
					t.Fatal(err)
				}
				for name, want := range tt.want {
					got := string(c.byName[name].appendText(nil))
					if got == "" || want != "?" && got != want {
						t.Errorf("%s = %q, want %q", name, got, want)
					}
				}
			})
		}
	}
}

func TestBuiltinsRun(t *testing.T) {
	pgbenchTables(t)
	var scripts []*Script
	for _, name := range Builtins() {
		s, _ := Builtin(name)
		scripts = append(scripts, s)
	}
	for _, simple := range []bool{true, false} {
		c, err := NewClient(scripts, 1, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		d := driver{conn: connect(t), simple: simple}
		for i := range scripts {
			for range 10 {
				if err := d.run(c.Session(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	d := connect(t)
	r := d.ExecParams(context.Background(), "SELECT count(*), sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts) FROM pgbench_history", nil, nil, nil, nil).Read()
	if r.Err != nil || string(r.Rows[0][0]) != "40" || string(r.Rows[0][1]) != "t" {
		t.Errorf("history %s %v, want 40 rows that sum up to the balances", r.Rows, r.Err)
	}
}

func TestShellErrors(t *testing.T) {
	for src, want := range map[string]string{
		"\\shell false\n":              "running shell command: exit status 1",
		"\\setshell x echo five\n":     `shell command must return an integer (not "five")`,
		"\\setshell x echo :nothing\n": `undefined variable "nothing"`,
		"\\setshell x true\n":          `shell command must return an integer (not "")`,
	} {
		s, err := Parse("test.sql", src, Options{AllowShell: true})
		if err != nil {
			t.Fatal(err)
		}
		c, _ := NewClient([]*Script{s}, 1, 0, nil)
		c.Session(0).Begin()
		_, err = c.Session(0).Next()
		var e *Error
		if !errors.As(err, &e) || e.Msg != want || e.Line != 1 {
			t.Errorf("%s: %v, want %s", strings.TrimSpace(src), err, want)
		}
	}
	for _, src := range []string{"\\shell true\n", "\\setshell x true\n"} {
		if _, err := Parse("test.sql", src, Options{}); err == nil || !strings.Contains(err.Error(), "switched off") {
			t.Errorf("Parse(%q) = %v, want a refusal", src, err)
		}
	}
}
