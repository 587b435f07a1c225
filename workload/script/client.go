package script

import (
	"fmt"
	"slices"
	"strings"
)

// variable is a value that all sessions of a client share. One that came as text (-D, \gset, \aset) is put into SQL as
// it came, and read as a value when an expression asks.
type variable struct {
	val    value
	parsed bool // val holds
	isText bool
	text   []byte
}

func (v *variable) defined() bool { return v.parsed || v.isText }

func (v *variable) set(val value) {
	v.val, v.parsed, v.isText = val, true, false
}

// setText copies text.
func (v *variable) setText(text []byte) {
	v.text = append(v.text[:0], text...)
	v.isText, v.parsed = true, false
}

// copyFrom keeps v's memory for text.
func (v *variable) copyFrom(from *variable) {
	text := v.text
	if from.isText {
		text = append(text[:0], from.text...)
	}
	*v = *from
	v.text = text
}

func (v *variable) appendText(b []byte) []byte {
	if v.isText {
		return append(b, v.text...)
	}
	return v.val.appendText(b)
}

// Client is one client's side of a run: its variables, shared by all scripts, and its random numbers. It is not safe for
// concurrent use; clients are independent of each other.
type Client struct {
	rng      rng
	vars     []variable
	byName   map[string]*variable
	sessions []*Session
}

// NewClient makes client number client of a run with seed. vars are those of -D; they come before the automatic ones,
// which are scale (1), client_id, random_seed (seed) and default_seed (one for all clients, made from seed). The error
// is about a name in vars.
func NewClient(scripts []*Script, seed uint64, client int, vars map[string]string) (*Client, error) {
	c := &Client{byName: map[string]*variable{}}
	var names []string
	for _, s := range scripts {
		names = append(names, s.names...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	c.vars = make([]variable, len(names))
	for i, name := range names {
		c.byName[name] = &c.vars[i]
	}
	var base rng
	base.seed(seed)
	c.automatic(seed, base.next(), client)
	c.rng.seed(base.next() + uint64(client))
	for name, text := range vars {
		if !validName(name) {
			return nil, fmt.Errorf("invalid variable name: %q", name)
		}
		if v := c.byName[name]; v != nil {
			v.setText([]byte(text))
		}
	}
	for i, s := range scripts {
		c.sessions = append(c.sessions, newSession(c, s, i))
	}
	return c, nil
}

func (c *Client) automatic(seed, hashSeed uint64, client int) {
	for name, i := range map[string]int64{
		"scale": 1, "client_id": int64(client), "random_seed": int64(seed), "default_seed": int64(hashSeed),
	} {
		if v := c.byName[name]; v != nil {
			v.set(intValue(i))
		}
	}
}

// Session is the client's way through scripts[i], always the same one.
func (c *Client) Session(i int) *Session { return c.sessions[i] }

func newSession(c *Client, s *Script, number int) *Session {
	n := &Session{
		client:  c,
		script:  s,
		number:  number,
		vars:    make([]*variable, len(s.names)),
		zipfs:   make([]zipf, s.zipfs),
		columns: make([]columns, len(s.Stmts)),
	}
	most := 0
	for _, st := range s.Stmts {
		most = max(most, st.NParams)
	}
	n.params = make([][]byte, 0, most)
	for i, name := range s.names {
		n.vars[i] = c.byName[name]
	}
	for name, v := range c.byName {
		if s.mayChange(name) {
			n.kept = append(n.kept, v)
		}
	}
	n.saved = make([]variable, len(n.kept))
	return n
}

// mayChange tells whether a run that is broken off can leave the variable with another value than a second run, from the
// same variables, would find.
func (s *Script) mayChange(name string) bool {
	set := false
	if i := slices.Index(s.names, name); i >= 0 {
		if s.uses[i].fresh {
			return false
		}
		set = s.uses[i].set
	}
	return set || s.stores(name)
}

// Unset lists the variables that scripts use and nothing sets: no \set, no \gset or \aset that might, neither vars nor
// pgbench itself. Each is null in a prepared or extended statement, stays :name in a simple one, and is an error in an
// expression; a colon inside a string, as in 'HH:MI', looks like one too.
func Unset(scripts []*Script, vars map[string]string) []string {
	set := map[string]bool{"scale": true, "client_id": true, "random_seed": true, "default_seed": true}
	for name := range vars {
		set[name] = true
	}
	for _, s := range scripts {
		for i, name := range s.names {
			set[name] = set[name] || s.uses[i].set
		}
	}
	var unset []string
	for _, s := range scripts {
		for i, name := range s.names {
			stored := slices.ContainsFunc(scripts, func(s *Script) bool { return s.stores(name) })
			if s.uses[i].read && !set[name] && !stored {
				unset = append(unset, name)
			}
		}
	}
	slices.Sort(unset)
	return slices.Compact(unset)
}

// stores tells whether a \gset or \aset of the script may set the variable; what columns come is not known before.
func (s *Script) stores(name string) bool {
	return slices.ContainsFunc(s.Stmts, func(st *Stmt) bool {
		return (st.Gset || st.Aset) && strings.HasPrefix(name, st.Prefix)
	})
}
