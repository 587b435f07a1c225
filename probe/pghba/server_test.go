package pghba

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgfit/probe/internal/pgtest"
	"pgfit/probe/pgconf"
	"pgfit/workload/cluster"
	"pgfit/workload/cluster/versions"
)

// row is one row of pg_hba_file_rules.
type row struct {
	file                  string // from 16 on
	line                  int
	typ                   string
	dbs, users            []string
	address, mask, method string
	options               []string
	err                   string
}

// disk are files beside pg_hba.conf. Some of them cannot be read, name themselves, or are no part of a directory that is included.
var disk = map[string]string{
	"dbs": "one, two # c\n\"a b\"\n@more\n", "more": "three", "empty": "# nothing\n", "names": "more.conf\n", "inner": "include more.conf\nfour\n",
	"more.conf": "host all all ::1/128 md5\ninclude sub/near.conf\nlocal bad\n", "sub/near.conf": "local near @list peer\n", "sub/list": "x,\ny\n",
	"loop.conf": "local l l md5\ninclude loop.conf\n", "loop": "a @loop\n", "joined.conf": "local a \\\n b \\\n peer\nlocal c c md5 \\",
	"hba.d/20.conf": "local twenty all peer\n", "hba.d/10.conf": "local ten all peer\nlocal ten\n", "hba.d/.x.conf": "bad", "hba.d/readme": "bad",
	"hba.d/dir.conf/x": "bad", "bad.d/1.conf": "local one all peer\n", "bad.d/2.conf": "include gone.conf\n", "empty.d/readme": "bad",
	"self.d/1.conf": "include_dir ../self.d\nlocal one all peer\n", "self.d/2.conf": "local two all peer\n",
}

var texts = []string{guide, "", "\\", "local all all trust \\", "local all all trust\\\n\\\n\nlocal b b md5", "local @dbs @more md5\nlocal \"@dbs\" all md5\n",
	"host all all 10.0.0.0 255.0.255.0 md5\n", "host all all 1.2.3 255.255 md5\n", "local all all trust # \\\nlocal hidden all md5\n",
	"host all all 0377.1 0xff000000 md5\nhost all all 1.2.3.4/+8 md5\nhost all all 1.2.3.4/ md5\nhost all all 1.2.3.4/8x md5\n",
	"local,, all ,, all trust", "local all all ident map=x\nlocal all all pam pamservice=y pam_use_hostname=1\n",
	"host all all all ldap ldapserver=s ldapprefix=a ldapbasedn=b\nhost all all all ldap ldapserver=s ldapprefix=a\nhost all all all ldap ldapbasedn=b\nhost all all all ldap ldapbasedn=b ldapsearchattribute=a ldapsearchfilter=f\nhost all all all radius radiusservers=1.2.3.4\n",
	// Files and directories.
	"include more.conf\nlocal a a md5\n", "include \"more.conf\"\n\"include\" sub/near.conf\ninclude more.conf more.conf\ninclude\ninclude sub/near.conf,gone\n",
	"include_if_exists gone.conf\ninclude_if_exists sub/near.conf\n", "include_dir hba.d\ninclude_dir empty.d\nlocal a a md5\n",
	"include_dir gone.d\nlocal a a md5\n", "include_dir bad.d\nlocal a a md5\n", "include_dir self.d\n",
	"include_dir \"\"\ninclude_dir \" \"\nlocal a a md5\n", "include gone.conf\nlocal a a md5\n", "include loop.conf\nlocal a a md5\n",
	"include @names\nlocal @inner all md5\n", "include joined.conf\nlocal a a md5\n", "include \\\n joined.conf\nlocal a a md5\n", "INCLUDE more.conf\n",
	"local @gone all md5\nlocal @empty all md5\nlocal all @sub/list md5\nlocal a,@more,b all md5\n",
	// Regular expressions, which up to 15 are names.
	"local /^app[0-9]+$ /^a(b|c)?$ md5\nlocal \"/^a,b$\",x,/y all md5\nlocal / all md5\nlocal all \"/^a b\" md5\n",
	"local /(a all md5\n", "local /[a all md5\nlocal all /a) md5\n", "local /*a all md5\nlocal all /a** md5\n", "local /[z-a] all md5\nlocal /a\\ all md5\n",
	"local a,/( all\nlocal /(\nlocal all /(,/[ md5\n", "local /***=( all md5\nlocal /(?<=a)b(?!c) all md5\nlocal /\\yapp\\m all md5\nlocal /(?q)( all md5\n",
	"local all /a{2,1} md5\nlocal all /a{300} md5\nlocal all \"/a{2,1}\" md5\nlocal all \"/a{,3}\" md5\nlocal all \"/a{2,300}\" md5\nlocal all /a{2x} md5\n",
	"local all /[]a] md5\nlocal all /[a{]b md5\nlocal all /[[:alpha:]{2]{1}\\{2 md5\nlocal all /[[:nope:]] md5\nlocal all /a{255} md5\n",
	// What is compared word by word.
	"local a \"b\"\"c\",d peer map=m\nhostssl all \"all\" samehost cert clientcert=verify-full map=\"a b\"\nhost \"a,b\" +staff .example.com scram-sha-256\n",
	"hostssl all all all cert clientcert=verify-ca\nhostssl all all all md5 clientname=CN\nhostssl all all all md5 clientcert=1\nhostssl all all all cert clientname=XX\n",
	"host all all 10.0.0.0/8,11.0.0.0/8 md5\nhost all all 10.0.0.0 255.0.0.0,255.255.0.0 md5\nlocal all all md5,peer\nhost all all 10.0.0.0 ffff:: md5\n",
	"host all all fe80::1 ffff:ffff:: md5\nhost all all ::ffff:10.0.0.0/104 md5\nhost all all 10.0.0.0 banana md5\nhost all all 10.0.0.0/8 255.0.0.0\n",
}

// TestEveryVersionRules holds the parser against pg_hba_file_rules of a real server, which reads the files anew at each
// query: the guide's file, made-up ones with others beside them, and many put together at random, with and without errors.
func TestEveryVersionRules(t *testing.T) {
	versions.Each(t, func(t *testing.T, b cluster.Binaries) { agree(t, pgtest.Start(t, pgtest.Options{Bin: b.Dir})) })
}

func agree(t *testing.T, s *pgtest.Server) {
	conn := s.Connect(t, "postgres")
	for name, text := range disk {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(s.Dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		s.Write(t, name, text)
	}
	all := slices.Clone(texts)
	if s.Major >= withRegexp { // up to 15 the server opens an @file that names itself until it runs out of descriptors
		all = append(all, "local @loop all md5\nlocal a a md5\n")
	}
	for seed := range uint64(200) {
		all = append(all, randomFile(seed, 12, true))
	}
	read, list := pgconf.Disk()
	for i, text := range all {
		s.Write(t, "pg_hba.conf", text)
		rules, err := Load(s.Dir+"/pg_hba.conf", s.Major, ReadFile(read), ReadDir(list))
		if err != nil {
			t.Fatal(err)
		}
		want := serverRules(t, conn, s.Major)
		compare(t, fmt.Sprintf("text %d\n%s", i, text), rules, want)
		live, err := Live(context.Background(), conn, s.Major)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, fmt.Sprintf("text %d, through SQL\n%s", i, text), live, want)
		if t.Failed() {
			return
		}
	}
}

func serverRules(t *testing.T, conn *pgx.Conn, major int) []row {
	t.Helper()
	file := "''"
	if major >= withRegexp {
		file = "file_name"
	}
	rows, err := conn.Query(context.Background(), `SELECT `+file+`, line_number, coalesce(type, ''), coalesce(database, '{}'), coalesce(user_name, '{}'), coalesce(address, ''),
		coalesce(netmask, ''), coalesce(auth_method, ''), coalesce(options, '{}'), coalesce(error, '') FROM pg_hba_file_rules`)
	if err != nil {
		t.Fatal(err)
	}
	var r row
	var all []row
	_, err = pgx.ForEachRow(rows, []any{&r.file, &r.line, &r.typ, &r.dbs, &r.users, &r.address, &r.mask, &r.method, &r.options, &r.err}, func() error {
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

// sslOff is what the server says of a rule that it takes all the same; builds is what one says that was built without a
// library, which no file tells.
const (
	sslOff = "hostssl record cannot match because SSL is disabled"
	builds = "not supported by this build"
)

func compare(t *testing.T, name string, rules *Rules, want []row) {
	t.Helper()
	if len(rules.Rules) != len(want) {
		t.Errorf("%s\n%d rules, the server has %d: %+v\n%s", name, len(rules.Rules), len(want), want, shown(rules))
		return
	}
	for i, w := range want {
		r := rules.Rules[i]
		if r.Line != w.line || w.file != "" && r.File != w.file {
			t.Errorf("%s\nrule %d in %s line %d, the server says %s line %d", name, i, r.File, r.Line, w.file, w.line)
		}
		if strings.Contains(w.err, builds) {
			continue
		}
		if w.err == sslOff {
			w.err = ""
		}
		bad := w.err != "" || w.typ == "" // of a wrong clientcert the server shows the line alone
		if (r.Error != "") != bad || !sameError(r.Error, w.err) {
			t.Errorf("%s\nline %d: error %q, the server says %q", name, w.line, r.Error, w.err)
			continue
		}
		if !bad && (r.Type != w.typ || words(r.Databases) != fmt.Sprint(w.dbs) || words(r.Users) != fmt.Sprint(w.users) || r.Method != w.method ||
			!sameAddress(r.Address, w) || !sameOptions(r, w)) {
			t.Errorf("%s\nline %d: %s, the server has %+v", name, w.line, show(r), w)
		}
	}
}

// sameError: the words are the server's, but for the system's own at their end, and but for what the parser puts shorter
// since the value of an option may be a secret.
func sameError(got, want string) bool {
	for _, start := range []string{"could not open ", "invalid IP mask "} {
		if strings.HasPrefix(got, start) {
			return want == "" || strings.HasPrefix(want, got)
		}
	}
	for _, start := range []string{"cannot use ldap", "authentication option ", "invalid value for client", "clientname can"} {
		if strings.HasPrefix(got, start) {
			return want == "" || strings.HasPrefix(want, start)
		}
	}
	return got == want
}

func words(tokens []Token) string {
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

// sameOptions: the server shows neither pam_use_hostname nor clientname, and clientcert by its new names.
func sameOptions(r Rule, w row) bool {
	for _, o := range r.Options {
		switch {
		case o.Name == "clientcert" && r.Method == "cert": // 13 makes verify-full of what is written
			continue
		case o.Name == "clientcert" && o.Value == "1":
			o.Value = "verify-ca"
		}
		if last, _ := r.Option(o.Name); last == o.Value && o.Name != "pam_use_hostname" && o.Name != "clientname" && !slices.Contains(w.options, o.Name+"="+o.Value) {
			return false
		}
	}
	return true
}
