package pghba

import (
	"math/rand/v2"
	"strings"
)

// randomFile makes a pg_hba.conf of up to n lines from pieces that are right, odd or wrong. With broken set some lines are.
func randomFile(seed uint64, n int, broken bool) string {
	r := rand.New(rand.NewPCG(seed, 7))
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	var b strings.Builder
	for range 1 + r.IntN(n) {
		if broken && r.IntN(6) == 0 {
			b.WriteString(pick("", "# c\n", "local\n", "host all\n", "lokal all all trust\n", "local all all\n", "host all all 10/8\n", "host all all 1.2.3.4/33 md5\n",
				"host all all x/8 md5\n", "host all all 1.2.3.4 md5\n", "local all all gss\n", "host all all all cert\n", "local all all trust x=1\n", "local all all nope\n",
				"local,host all all trust\n", "host all all all,samenet md5\n", "host all all ::1 255.0.0.0 md5\n", "host all all all ldap\n", "\"local\" all all trust\n",
				"local all \"all trust\n", "hostssl all all all md5 clientcert=maybe\n", "local all all peer map=a,map=b\n", "local @no all trust\n"))
			continue
		}
		gap := pick(" ", "\t", "  ", " ", " \\\n ")
		typ := pick("local", "host", "hostssl", "hostnossl", "host", "local")
		line := []string{typ, pick("all", "app", "app,b", `"all"`, "sameuser", "replication", `"a b",app`, "all,replication", `"x""y"`), pick("all", "app", "postgres", `"all"`, "+staff", "app,postgres")}
		if typ != "local" {
			line = append(line, pick("all", "samehost", "samenet", "0.0.0.0/0", "::/0", "10.0.0.0/8", "10.1.2.0/24", "127.0.0.1/32", "::1/128", "10.1.0.0"+gap+"255.255.0.0",
				"db.example", ".example.com", "2001:db8::/32", "0x0a.1/8", "::ffff:10.0.0.0/104"))
		}
		line = append(line, pick("trust", "reject", "md5", "scram-sha-256", "password", "md5", `"md5"`))
		b.WriteString(strings.Join(line, gap) + pick("", "", " # why", " #x \\\n", "\t") + pick("\n", "\n", "\n", "\r\n"))
	}
	return b.String()
}
