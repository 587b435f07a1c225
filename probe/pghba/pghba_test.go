package pghba

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// guide is the house guide's pg_hba.conf.
const guide = `# TYPE  DATABASE        USER            ADDRESS                 METHOD

# Unix socket connections
local   all             postgres                                peer
local   all             all                                     scram-sha-256

# Localhost connections
host    all             all             127.0.0.1/32            scram-sha-256
host    all             all             ::1/128                 scram-sha-256

# Replication connections
local   replication     all                                     peer
host    replication     all             127.0.0.1/32            scram-sha-256

# Reject non-TLS connections
hostnossl all           all             0.0.0.0/0               reject
hostnossl all           all             ::/0                    reject

# Allow TLS connections from private networks
hostssl  all            all             172.30.50.0/24          scram-sha-256  # Backend network
hostssl  all            all             172.18.0.0/16           scram-sha-256  # Docker network
hostssl  all            all             10.10.0.0/16            scram-sha-256  # Private network

# Final deny-all (defense in depth)
host     all            all             0.0.0.0/0               reject
host     all            all             ::/0                    reject
`

func show(r Rule) string {
	words := func(tokens []Token) string {
		var out []string
		for _, t := range tokens {
			if t.Quoted {
				t.Text = `"` + t.Text + `"`
			}
			out = append(out, t.Text)
		}
		return strings.Join(out, ",")
	}
	if r.Error != "" {
		return fmt.Sprintf("%d: %s", r.Line, r.Error)
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%d: %s %s %s %s %s %s", r.Line, r.Type, words(r.Databases), words(r.Users), r.Address, r.Method,
		strings.Trim(fmt.Sprint(r.Options), "[]"))), " ")
}

func shown(rules *Rules) string {
	var lines []string
	for _, r := range rules.Rules {
		lines = append(lines, show(r))
	}
	return strings.Join(lines, "\n")
}

func TestParse(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"comments and blanks", "# a\n\n   \t\nlocal all all trust # b\n", "4: local all all trust"},
		{"quotes", `local "all",db2 "a b","x""y" trust`, `1: local "all",db2 "a b","x"y" trust`},
		{"comma with blanks", "local a, b ,c all trust", "1: invalid authentication method \"all\""},
		{"a list that goes on", "local a,\tb all peer", "1: local a,b all peer"},
		{"continuation", "local all \\\n  all \\\ntrust\nlocal b b peer", "1: local all all trust\n4: local b b peer"},
		{"two backslashes", "local all a\\\\\nll trust\\\n\nlocal b b peer", "1: local all a\\ll trust\n4: local b b peer"},
		{"a comment goes on too", "# no \\\nlocal all all trust\nlocal b b peer", "3: local b b peer"},
		{"crlf", "local all all trust\r\nlocal b b peer\r\n", "1: local all all trust\n2: local b b peer"},
		{"mask", "host all all 10.0.0.0 255.255.0.0 md5", "1: host all all 10.0.0.0/16 md5"},
		{"short address", "host all all 10/8 md5", "1: host all all 0.0.0.10/8 md5"},
		{"octal and hex", "host all all 010.0x10.1/16 md5", "1: host all all 8.16.0.1/16 md5"},
		{"ipv6", "host all all fe80::%1/64 reject", "1: host all all fe80::/64 reject"},
		{"names", "host all all .example.com,x md5", "1: multiple values specified for host address"},
		{"name", "host all all .example.com md5", "1: host all all .example.com md5"},
		{"name with mask", "host all all db.example/8 md5", `1: specifying both host name and CIDR mask is invalid: "db.example/8"`},
		{"bad mask", "host all all 10.0.0.0/33 md5", `1: invalid CIDR mask in address "10.0.0.0/33"`},
		{"families", "host all all 10.0.0.0 ffff:: md5", "1: IP address and mask do not match"},
		{"samehost", "host all all samehost trust", "1: host all all samehost trust"},
		{"quoted samehost is a name", `host all all "samehost" trust`, "1: host all all samehost trust"},
		{"options", "hostssl all all all cert map=m clientcert=verify-full", "1: hostssl all all all cert {map m} {clientcert verify-full}"},
		{"option without value", "local all all peer map", "1: authentication option not in name=value format: map"},
		{"unknown option", "local all all peer maap=1", `1: unrecognized authentication option name: "maap"`},
		{"option of another", "local all all trust map=1", `1: authentication option "map" is only valid for authentication methods ident, peer, gss, sspi, cert, oauth`},
		{"peer over tcp", "host all all all peer", "1: peer authentication is only supported on local sockets"},
		{"ident locally", "local all all ident", "1: local all all peer"},
		{"short", "local\nlocal all\nlocal all all\nhost all all\nhost all all 10.0.0.0\nhost all all 10.0.0.0 255.0.0.0",
			"1: end-of-line before database specification\n2: end-of-line before role specification\n3: end-of-line before authentication method\n" +
				"4: end-of-line before IP address specification\n5: end-of-line before netmask specification\n6: end-of-line before authentication method"},
		{"type", "lokal all all trust", `1: invalid connection type "lokal"`},
		{"missing file", "local @dbs all trust", `1: could not open file "dbs"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := shown(Parse("pg_hba.conf", []byte(tc.text), 16)); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// files is a small disk.
type files map[string]string

func (f files) read(name string) ([]byte, error) {
	if text, ok := f[name]; ok {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

func (f files) list(dir string) ([]string, error) {
	var names []string
	for name := range f {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok && !strings.Contains(rest, "/") {
			names = append(names, rest)
		}
	}
	if names == nil {
		return nil, fs.ErrNotExist
	}
	return names, nil
}

func TestLoadFollows(t *testing.T) {
	disk := files{
		"/c/hba": "local @dbs \"@dbs\" trust\ninclude more/a.conf\ninclude_if_exists none\ninclude_dir d\ninclude gone\n",
		"/c/dbs": "one, two # c\n@sub/three\n", "/c/sub/three": "three", "/c/more/a.conf": "host all all ::1/128 trust\ninclude b.conf\n",
		"/c/more/b.conf": "local b b peer\n", "/c/d/2.conf": "local two all peer\n", "/c/d/1.conf": "local one all peer\n", "/c/d/.x.conf": "bad",
		"/c/d/readme": "bad", "/c/loop": "include loop\n",
	}
	rules, err := Load("/c/hba", 16, disk.read, disk.list)
	if err != nil {
		t.Fatal(err)
	}
	want := "1: local one,two,three \"@dbs\" trust\n1: host all all ::1/128 trust\n1: local b b peer\n1: local one all peer\n1: local two all peer\n" +
		`5: could not open file "/c/gone"`
	if got := shown(rules); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	old, _ := Load("/c/hba", 15, disk.read, disk.list)
	if got := len(old.Errors()); got != 4 {
		t.Errorf("15 takes %d of the include lines for errors, want 4:\n%s", got, shown(old))
	}
	loop, _ := Load("/c/loop", 16, disk.read, disk.list)
	if got := shown(loop); !strings.Contains(got, "maximum nesting depth exceeded") {
		t.Errorf("a file that includes itself: %s", got)
	}
	if _, err := Load("/c/nowhere", 16, disk.read, disk.list); err == nil {
		t.Error("a missing main file was taken")
	}
}

func TestMatch(t *testing.T) {
	rules := Parse("h", []byte(guide), 16)
	addr := netip.MustParseAddr
	for _, tc := range []struct {
		name string
		conn Conn
		line int
	}{
		{"socket, postgres", Conn{User: "postgres", Database: "x"}, 4},
		{"socket, app", Conn{User: "app", Database: "x"}, 5},
		{"loopback without TLS", Conn{User: "app", Database: "x", Addr: addr("127.0.0.1")}, 8},
		{"v4 in v6", Conn{User: "app", Database: "x", Addr: addr("::ffff:127.0.0.1")}, 8},
		{"plain from the backend network", Conn{User: "app", Database: "x", Addr: addr("172.30.50.7")}, 16},
		{"TLS from the backend network", Conn{User: "app", Database: "x", Addr: addr("172.30.50.7"), TLS: true}, 20},
		{"TLS from elsewhere", Conn{User: "app", Database: "x", Addr: addr("8.8.8.8"), TLS: true}, 25},
		{"replication from elsewhere", Conn{User: "app", Replication: true, Addr: addr("8.8.8.8"), TLS: true}, 0},
		{"replication on the socket", Conn{User: "app", Replication: true}, 12},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, sure := rules.Match(tc.conn)
			line := 0
			if got != nil {
				line = got.Line
			}
			if line != tc.line || !sure {
				t.Errorf("line %d, sure %v, want line %d", line, sure, tc.line)
			}
		})
	}
}

func TestMatchSure(t *testing.T) {
	rules := Parse("h", []byte("local all +staff peer\nlocal \"/^app[0-9]$\" all md5\nhost all all db.example trust\nhost all all all reject\n"), 16)
	if r, sure := rules.Match(Conn{User: "jo", Database: "app7"}); r.Line != 2 || sure {
		t.Errorf("line %d, sure %v: membership cannot be known", r.Line, sure)
	}
	member := func(user, role string) bool { return user == "jo" && role == "staff" }
	if r, sure := rules.Match(Conn{User: "jo", Database: "app7", Member: member}); r.Line != 1 || !sure {
		t.Errorf("line %d, sure %v, want the group's", r.Line, sure)
	}
	if r, sure := rules.Match(Conn{User: "jo", Database: "x", Addr: netip.MustParseAddr("10.0.0.1")}); r.Line != 4 || sure {
		t.Errorf("line %d, sure %v: a host name cannot be known", r.Line, sure)
	}
	if r, _ := Parse("h", []byte("local \"/^app\" all md5\n"), 15).Match(Conn{Database: "app7"}); r != nil {
		t.Error("15 has no regular expressions")
	}
}

func TestShadowed(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"the guide has none", guide, ""},
		{"same again", "local all all peer\nlocal app app trust\n", "2 by 1"},
		{"host by two halves", "hostssl all all all md5\nhostnossl all all all reject\nhost all all 10.0.0.0/8 trust\n", "3 by 1,2"},
		{"gss is left", "hostssl all all all md5\nhostnogssenc all all all reject\nhost all all 10.0.0.0/8 trust\n", ""},
		{"all by both families", "host all all 0.0.0.0/0 reject\nhost all all ::/0 reject\nhost all all all md5\nhost all all samenet md5\nhost a a db.example md5\n",
			"3 by 1,2; 4 by 3; 5 by 3"},
		{"one family is not enough", "host all all 0.0.0.0/0 reject\nhost all all all md5\n", ""},
		{"replication is not in all", "host all all all md5\nhost replication all all md5\nhost replication r 10.0.0.0/8 trust\n", "3 by 2"},
		{"a wider net later", "host all all 10.1.0.0/16 md5\nhost all all 10.0.0.0/8 md5\n", ""},
		{"a narrower net later", "host all all 10.0.0.0/8 md5\nhost all all 10.1.0.0/16 md5\n", "2 by 1"},
		{"another database", "local a all md5\nlocal a,b all md5\nlocal b x md5\n", "3 by 2"},
		{"a name in quotes is no keyword", "local \"all\" all md5\nlocal app all md5\n", ""},
		{"broken rules cover nothing", "local all all nonsense\nlocal app all md5\n", ""},
		{"a mask with holes covers nothing", "host all all 10.0.0.0 255.0.255.0 md5\nhost all all 10.1.0.0/16 md5\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rules := Parse("h", []byte(tc.text), 16)
			var got []string
			for _, s := range rules.Shadowed() {
				var by []string
				for _, i := range s.By {
					by = append(by, fmt.Sprint(rules.Rules[i].Line))
				}
				got = append(got, fmt.Sprintf("%d by %s", rules.Rules[s.Rule].Line, strings.Join(by, ",")))
			}
			if s := strings.Join(got, "; "); s != tc.want {
				t.Errorf("shadowed: %q, want %q", s, tc.want)
			}
		})
	}
}

// A rule that Match finds for some connection is never called shadowed: over many small files and connections.
func TestShadowedNeverMatches(t *testing.T) {
	for seed := range uint64(600) {
		rules := Parse("h", []byte(randomFile(seed, 8, false)), 16)
		dead := map[int]bool{}
		for _, s := range rules.Shadowed() {
			dead[s.Rule] = true
		}
		for _, c := range someConns() {
			rule, _ := rules.Match(c)
			at := slices.IndexFunc(rules.Rules, func(r Rule) bool { return rule != nil && r.Line == rule.Line })
			if rule != nil && dead[at] {
				t.Fatalf("seed %d: line %d is called shadowed and matches %+v", seed, rule.Line, c)
			}
		}
	}
}

func someConns() []Conn {
	var out []Conn
	own := []netip.Prefix{netip.MustParsePrefix("10.1.2.3/24"), netip.MustParsePrefix("127.0.0.1/8")}
	member := func(user, role string) bool { return user == role }
	for _, addr := range []string{"", "127.0.0.1", "::1", "10.1.2.3", "10.1.2.4", "10.9.9.9", "8.8.8.8", "2001:db8::1"} {
		for i := range 12 {
			c := Conn{Database: []string{"app", "a b", "all"}[i%3], User: []string{"app", "postgres"}[i%2], TLS: i%4 < 2, Replication: i > 9, Own: own, Member: member}
			if addr != "" {
				c.Addr = netip.MustParseAddr(addr)
			}
			out = append(out, c)
		}
	}
	return out
}

func TestReach(t *testing.T) {
	rules := Parse("h", []byte("host all all 10.0.0.0/8 md5\nhostnossl all all all reject\nhost all all all password\nhost all all 127.0.0.1/32 trust\n"), 16)
	r := rules.Reach()
	if !r[0].PlainFar || r[2].Plain || !r[2].TLS || r[3].Any() {
		t.Errorf("Reach = %+v", r)
	}
	guided := Parse("h", []byte(guide), 16)
	for _, r := range guided.Reach() {
		if r.PlainFar && r.Rule.Method != "reject" {
			t.Errorf("line %d is reached from afar without TLS", r.Rule.Line)
		}
	}
	if !guided.RefusesRest() || !guided.RefusesPlain() {
		t.Error("the guide's file rejects what is left")
	}
	if half := Parse("h", []byte("hostnossl all all all reject\n"), 16); half.RefusesRest() || !half.RefusesPlain() {
		t.Error("without TLS everything is rejected there, with TLS it is not")
	}
}

func TestMethodField(t *testing.T) {
	text := "host all \\\n all 10.0.0.0 255.0.0.0 \"md5\" # md5\nlocal all all trust\nhost all all ::1/128 trust\n"
	want := []string{`"md5"`, "trust", "trust"}
	rules := Parse("h", []byte(text), 16)
	for i, r := range rules.Rules {
		f, ok := r.MethodField()
		if !ok || text[f.From:f.To] != want[i] {
			t.Errorf("rule %d: method at %q, want %q", i, text[f.From:f.To], want[i])
		}
	}
}
