package pghba

import (
	"net/netip"
	"slices"
)

// piece is the smallest part of a rule that another rule covers as a whole: one way in, one database item, one user item,
// one address.
type piece struct {
	kind kind
	db   Token
	user Token
	addr Address
}

// pieces takes a rule apart. An address of every family is two networks, since two rules may cover it together.
func (r *Rule) pieces() []piece {
	var out []piece
	for k := socket; k <= gss; k <<= 1 {
		if kinds[r.Type]&k == 0 {
			continue
		}
		for _, addr := range r.addresses() {
			for _, db := range r.Databases {
				for _, user := range r.Users {
					out = append(out, piece{k, db, user, addr})
				}
			}
		}
	}
	return out
}

func (r *Rule) addresses() []Address {
	switch {
	case r.Type == Local:
		return []Address{{}}
	case r.Address.Prefix.IsValid():
		return []Address{r.Address}
	case r.Address.Kind == AllAddresses:
		return []Address{{Prefix: every4}, {Prefix: every6}}
	}
	return []Address{r.Address} // samehost, samenet, a name: covered by itself, or by all addresses of both families
}

// covers tells whether a rule takes everything of a piece, beyond doubt.
func (r *Rule) covers(p piece) bool {
	return r.Error == "" && kinds[r.Type]&p.kind != 0 &&
		(p.kind == socket || coversAddress(r.Address, p.addr)) &&
		slices.ContainsFunc(r.Databases, func(t Token) bool { return t == p.db || t.keyword("all") && !p.db.keyword("replication") }) &&
		slices.ContainsFunc(r.Users, func(t Token) bool { return t == p.user || t.keyword("all") })
}

func coversAddress(a, b Address) bool {
	switch {
	case a.Kind == AllAddresses:
		return true
	case a.holes:
		return a == b
	case a.Kind == SameNet && b.Kind == SameHost:
		return true
	case a.Prefix.IsValid() && b.Prefix.IsValid():
		return within(b.Prefix.Masked(), a.Prefix.Masked())
	}
	return a.Kind == b.Kind && a.Name == b.Name && !a.Prefix.IsValid() && !b.Prefix.IsValid()
}

// taken are the earlier rules that together cover a piece, nil when they do not. One rule that covers it all comes first;
// addresses of no family of their own need two.
func (r *Rules) taken(i int, p piece) []int {
	for j := range i {
		if r.Rules[j].covers(p) {
			return []int{j}
		}
	}
	if p.kind == socket || p.addr.Prefix.IsValid() {
		return nil
	}
	var by []int
	for _, every := range []netip.Prefix{every4, every6} {
		p.addr = Address{Prefix: every}
		one := r.taken(i, p)
		if one == nil {
			return nil
		}
		by = append(by, one...)
	}
	return by
}

// Shadow is a rule that can never decide, and the earlier rules that take all its connections, as indexes into Rules.
type Shadow struct {
	Rule int
	By   []int
}

// Shadowed finds the rules that can never match. What depends on roles, names or regular expressions counts as covered
// only by the same item or by all, so nothing is called shadowed that is not.
func (r *Rules) Shadowed() []Shadow {
	var out []Shadow
	for i := range r.Rules {
		if r.Rules[i].Error != "" {
			continue
		}
		var by []int
		all := true
		for _, p := range r.Rules[i].pieces() {
			one := r.taken(i, p)
			if all = one != nil; !all {
				break
			}
			by = append(by, one...)
		}
		if all {
			slices.Sort(by)
			out = append(out, Shadow{i, slices.Compact(by)})
		}
	}
	return out
}

// Reach is what of a rule earlier rules leave to it.
type Reach struct {
	Rule   *Rule
	Socket bool // over the unix socket
	Plain  bool // over TCP without encryption
	TLS    bool
	Far    bool // over TCP from another machine
	// PlainFar is a connection without encryption from another machine.
	PlainFar    bool
	Replication bool
}

// Any tells whether anything is left at all.
func (r Reach) Any() bool { return r.Socket || r.Plain || r.TLS || r.Far }

// Reach says for each rule which connections can still come to it.
func (r *Rules) Reach() []Reach {
	out := make([]Reach, len(r.Rules))
	for i := range r.Rules {
		rule := &r.Rules[i]
		out[i].Rule = rule
		if rule.Error != "" {
			continue
		}
		for _, p := range rule.pieces() {
			if r.taken(i, p) != nil {
				continue
			}
			far := p.kind != socket && !p.addr.Loopback()
			out[i].Socket = out[i].Socket || p.kind == socket
			out[i].Plain = out[i].Plain || p.kind == plain
			out[i].TLS = out[i].TLS || p.kind == tls
			out[i].Far = out[i].Far || far
			out[i].PlainFar = out[i].PlainFar || far && p.kind == plain
			out[i].Replication = out[i].Replication || p.db.keyword("replication")
		}
	}
	return out
}

// RefusesPlain tells whether hostnossl rules refuse unencrypted connections of any database and user from everywhere.
func (r *Rules) RefusesPlain() bool {
	return r.refuses(plain, func(rule Rule) bool { return rule.Type == HostNoSSL })
}

// RefusesRest tells whether rules refuse any connection over TCP at the latest, whatever comes before them.
func (r *Rules) RefusesRest() bool {
	return r.refuses(plain|tls, func(Rule) bool { return true })
}

func (r *Rules) refuses(want kind, by func(Rule) bool) bool {
	all := Token{Text: "all"}
	for _, k := range []kind{plain, tls} {
		for _, every := range []netip.Prefix{every4, every6} {
			p := piece{k, all, all, Address{Prefix: every}}
			if want&k != 0 && !slices.ContainsFunc(r.Rules, func(rule Rule) bool { return rule.Method == "reject" && by(rule) && rule.covers(p) }) {
				return false
			}
		}
	}
	return true
}
