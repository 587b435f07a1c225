package pghba

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Conn is a connection that asks to come in.
type Conn struct {
	Addr        netip.Addr // of the client; zero for the unix socket
	TLS, GSS    bool
	Database    string
	User        string
	Replication bool                                 // physical replication, which names no database
	Own         []netip.Prefix                       // addresses of the server with their networks, for samehost and samenet
	Member      func(user, role string) bool         // nil when not known
	Resolves    func(name string, a netip.Addr) bool // nil when not known
}

// answer is yes, no, or maybe where the files alone do not say.
type answer int

const (
	no answer = iota
	maybe
	yes
)

func is(b bool) answer {
	if b {
		return yes
	}
	return no
}

// Match finds the rule that decides, nil when none does, which is a refusal. sure is false when an earlier rule depends on
// what cannot be told here: membership, a host name, a regular expression that Go does not take.
func (r *Rules) Match(c Conn) (rule *Rule, sure bool) {
	sure = true
	for i := range r.Rules {
		switch r.Rules[i].match(c) {
		case yes:
			return &r.Rules[i], sure
		case maybe:
			sure = false
		}
	}
	return nil, sure
}

func (r *Rule) match(c Conn) answer {
	if r.Error != "" || kinds[r.Type]&c.kind() == 0 {
		return no
	}
	return min(r.address(c), anyToken(r.Databases, func(t Token) answer { return r.database(t, c) }),
		anyToken(r.Users, func(t Token) answer { return r.user(t, c) }))
}

func anyToken(tokens []Token, match func(Token) answer) answer {
	best := no
	for _, t := range tokens {
		best = max(best, match(t))
	}
	return best
}

func (r *Rule) address(c Conn) answer {
	a := r.Address
	switch {
	case r.Type == Local || a.Kind == AllAddresses:
		return yes
	case a.Kind == SameHost:
		return is(slices.ContainsFunc(c.Own, func(p netip.Prefix) bool { return p.Addr() == c.Addr }))
	case a.Kind == SameNet:
		return is(slices.ContainsFunc(c.Own, func(p netip.Prefix) bool { return p.Contains(c.Addr) }))
	case a.Name != "" && c.Resolves == nil:
		return maybe
	case a.Name != "":
		return is(c.Resolves(a.Name, c.Addr))
	}
	return is(a.Prefix.Contains(c.Addr.Unmap()))
}

func (r *Rule) database(t Token, c Conn) answer {
	switch {
	case c.Replication:
		return is(t.keyword("replication"))
	case t.keyword("all"):
		return yes
	case t.keyword("sameuser"):
		return is(c.Database == c.User)
	case t.keyword("samerole"), t.keyword("samegroup"):
		return c.member(c.Database)
	case t.keyword("replication"):
		return no
	}
	return r.name(t, c.Database)
}

func (r *Rule) user(t Token, c Conn) answer {
	switch {
	case !t.Quoted && strings.HasPrefix(t.Text, "+"):
		return c.member(t.Text[1:])
	case t.keyword("all"):
		return yes
	}
	return r.name(t, c.User)
}

func (c Conn) member(role string) answer {
	if c.Member == nil {
		if c.User == role {
			return yes
		}
		return maybe
	}
	return is(c.Member(c.User, role))
}

// name compares a name, or tries the regular expression behind a slash.
func (r *Rule) name(t Token, name string) answer {
	if !r.isRegexp(t) {
		return is(t.Text == name)
	}
	re, err := regexp.Compile(t.Text[1:])
	if err != nil {
		return maybe
	}
	return is(re.MatchString(name))
}

// kind is a bit for each way in.
type kind uint8

const (
	socket kind = 1 << iota
	plain
	tls
	gss
	everyKind = socket | plain | tls | gss
)

var kinds = map[string]kind{
	Local: socket, Host: plain | tls | gss, HostSSL: tls, HostNoSSL: plain | gss, HostGSS: gss, HostNoGSS: plain | tls,
}

func (c Conn) kind() kind {
	switch {
	case !c.Addr.IsValid():
		return socket
	case c.TLS:
		return tls
	case c.GSS:
		return gss
	}
	return plain
}
