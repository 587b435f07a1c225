// Package pghba reads pg_hba.conf the way the server does (hba.c of 13 to 18): continuation lines, quotes, @files, the
// include directives of 16, regular expressions. It knows which rule decides for a connection and which rules can never
// decide, because earlier ones take everything. It refuses to know whether a rule is wise, and it writes no file.
package pghba

import "slices"

// Token is one item of a field. Quoted means that it began with a double quote, which takes the meaning of all,
// replication, samehost, @ and + away, but not that of a regular expression.
type Token struct {
	Text   string
	Quoted bool
}

// keyword tells whether the token is that word and not a name in quotes.
func (t Token) keyword(word string) bool { return !t.Quoted && t.Text == word }

// Field is what stands between blanks: items separated by commas. From and To are its bytes in File.Data, so that an edit
// can replace it and nothing else; a field that goes on in the next line covers both.
type Field struct {
	Tokens   []Token
	From, To int
}

// Option is a name=value behind the method.
type Option struct{ Name, Value string }

// Connection types.
const (
	Local      = "local"
	Host       = "host"
	HostSSL    = "hostssl"
	HostNoSSL  = "hostnossl"
	HostGSS    = "hostgssenc"
	HostNoGSS  = "hostnogssenc"
	maxDepth   = 10 // conffiles.h, CONF_FILE_MAX_DEPTH
	withJoin   = 14 // continuation lines
	withRegexp = 16 // regular expressions and include directives
)

// Rule is one record. With Error the server refuses the whole file at a reload, and does not start with it.
type Rule struct {
	File      string
	Line      int // from 1, of its first line
	Last      int // of its last line
	Type      string
	Databases []Token
	Users     []Token
	Address   Address // zero for local
	Method    string
	Options   []Option
	Error     string // in the server's words where the server has any
	Fields    []Field
	major     int
}

// Option returns the value of an option, the last one where it stands twice.
func (r Rule) Option(name string) (string, bool) {
	for _, o := range slices.Backward(r.Options) {
		if o.Name == name {
			return o.Value, true
		}
	}
	return "", false
}

// MethodField is where the method stands in the file; false for a rule with an error.
func (r Rule) MethodField() (Field, bool) {
	if r.Error != "" || r.Method == "" {
		return Field{}, false
	}
	at := 3
	switch {
	case r.Type != Local && r.Address.masked:
		at = 5
	case r.Type != Local:
		at = 4
	}
	return r.Fields[at], true
}

// File is one file that was read. Its records go to Rules.Rules.
type File struct {
	Path string
	Data []byte
}

// Rules are all rules in the order in which the server tries them: the first one that fits decides, also when its method
// then fails.
type Rules struct {
	Main  string
	Major int // of the server that reads them: what is understood depends on it
	Rules []Rule
	Files []File // the main file first, then those it includes and its @files
}

// Errors are the rules that the server does not take.
func (r *Rules) Errors() []Rule {
	var bad []Rule
	for _, rule := range r.Rules {
		if rule.Error != "" {
			bad = append(bad, rule)
		}
	}
	return bad
}
