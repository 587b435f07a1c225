package pghba

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgfit/probe/internal/pgtest"
)

// row is one row of pg_hba_file_rules.
type row struct {
	line                  int
	typ                   string
	dbs, users            []string
	address, mask, method string
	options               []string
	err                   string
}

// TestServer holds the parser against pg_hba_file_rules of a real server, which reads the file anew at each query: the
// guide's file, made-up ones, and many put together at random, with and without errors.
func TestServer(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	conn := s.Connect(t, "postgres")
	s.Write(t, "dbs", "one, two # c\n\"a b\"\n@more\n")
	s.Write(t, "more", "three")
	texts := []string{guide, "", "\\", "local all all trust \\", "local all all trust\\\n\\\n\nlocal b b md5", "local @dbs @more md5\nlocal \"@dbs\" all md5\n",
		"host all all 10.0.0.0 255.0.255.0 md5\n", "host all all 1.2.3 255.255 md5\n", "local all all trust # \\\nlocal hidden all md5\n",
		"host all all 0377.1 0xff000000 md5\nhost all all 1.2.3.4/+8 md5\nhost all all 1.2.3.4/ md5\nhost all all 1.2.3.4/8x md5\n",
		"local,, all ,, all trust", "local all all ident map=x\nlocal all all pam pamservice=y pam_use_hostname=1\n",
		"host all all all ldap ldapserver=s ldapprefix=a ldapbasedn=b\nhost all all all ldap ldapserver=s ldapprefix=a\nhost all all all radius radiusservers=1.2.3.4\n"}
	for seed := range uint64(200) {
		texts = append(texts, randomFile(seed, 12, true))
	}
	for i, text := range texts {
		s.Write(t, "pg_hba.conf", text)
		rules, err := Load(s.Dir+"/pg_hba.conf", s.Major, os.ReadFile, nil)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, fmt.Sprintf("text %d\n%s", i, text), rules, serverRules(t, conn))
		if t.Failed() {
			return
		}
	}
}

func serverRules(t *testing.T, conn *pgx.Conn) []row {
	t.Helper()
	rows, err := conn.Query(context.Background(), `SELECT line_number, coalesce(type, ''), coalesce(database, '{}'), coalesce(user_name, '{}'), coalesce(address, ''),
		coalesce(netmask, ''), coalesce(auth_method, ''), coalesce(options, '{}'), coalesce(error, '') FROM pg_hba_file_rules`)
	if err != nil {
		t.Fatal(err)
	}
	var r row
	var all []row
	_, err = pgx.ForEachRow(rows, []any{&r.line, &r.typ, &r.dbs, &r.users, &r.address, &r.mask, &r.method, &r.options, &r.err}, func() error {
		one := r
		one.dbs, one.users, one.options = slices.Clone(r.dbs), slices.Clone(r.users), slices.Clone(r.options)
		all = append(all, one)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sslOff is what the server says of a rule that it takes all the same.
const sslOff = "hostssl record cannot match because SSL is disabled"

func compare(t *testing.T, name string, rules *Rules, want []row) {
	t.Helper()
	if len(rules.Rules) != len(want) {
		t.Errorf("%s\n%d rules, the server has %d: %+v\n%s", name, len(rules.Rules), len(want), want, shown(rules))
		return
	}
	for i, w := range want {
		r := rules.Rules[i]
		if r.Line != w.line {
			t.Errorf("%s\nrule %d in line %d, the server says %d", name, i, r.Line, w.line)
		}
		if w.err == sslOff {
			w.err = ""
		}
		bad := w.err != "" || w.typ == "" // of a wrong clientcert the server shows the line alone
		if (r.Error != "") != bad || strings.HasPrefix(r.Error, "end-of-line") && r.Error != w.err {
			t.Errorf("%s\nline %d: error %q, the server says %q", name, w.line, r.Error, w.err)
			continue
		}
		if !bad && (r.Type != w.typ || texts(r.Databases) != fmt.Sprint(w.dbs) || texts(r.Users) != fmt.Sprint(w.users) || r.Method != w.method ||
			!sameAddress(r.Address, w) || !sameOptions(r, w)) {
			t.Errorf("%s\nline %d: %s, the server has %+v", name, w.line, show(r), w)
		}
	}
}

func texts(tokens []Token) string {
	var out []string
	for _, t := range tokens {
		out = append(out, t.Text)
	}
	return fmt.Sprint(out)
}

func sameAddress(a Address, w row) bool {
	if !a.Prefix.IsValid() {
		return a.String() == w.address
	}
	addr, err := netip.ParseAddr(w.address)
	mask, errMask := netip.ParseAddr(w.mask)
	if err != nil || errMask != nil || addr != a.Prefix.Addr() {
		return false
	}
	if a.holes {
		return true
	}
	got := netip.PrefixFrom(mask, a.Prefix.Bits())
	return got.Masked().Addr() == mask && (a.Prefix.Bits() == 0 || mask.AsSlice()[(a.Prefix.Bits()-1)/8] != 0)
}

func sameOptions(r Rule, w row) bool {
	for _, o := range r.Options {
		if last, _ := r.Option(o.Name); last == o.Value && o.Name != "pam_use_hostname" && !slices.Contains(w.options, o.Name+"="+o.Value) {
			return false
		}
	}
	return true
}
