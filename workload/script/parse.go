package script

import (
	"math"
	"os"
	"strconv"
	"strings"
)

// parser reads one script from front to back. SQL, the words of backslash commands and expressions have rules of their
// own for what ends where, and share the position.
type parser struct {
	*Script
	opts    Options
	pos     int
	command string // the backslash command at hand, for error messages
	start   int    // of the command
	index   map[string]int
	split   splitter
	last    *Stmt // what \gset would belong to
	count   int   // commands so far, as pgbench counts them
	open    []block
	lines   int // newlines before counted
	counted int
}

// Parse reads a script. name is that of its file and stands in errors, which are *Error.
func Parse(name, src string, opts Options) (*Script, error) {
	p := &parser{Script: &Script{Name: name, src: src, debug: opts.Debug}, opts: opts, index: map[string]int{}}
	if p.debug == nil {
		p.debug = os.Stderr
	}
	if zero := strings.IndexByte(src, 0); zero >= 0 {
		return nil, errorAt(name, src, zero, "", "a script cannot hold a zero byte", "")
	}
	for {
		text, why := p.sql()
		if strings.Trim(text, " \t\n\v\f\r") != "" {
			if err := p.statement(text); err != nil {
				return nil, err
			}
		}
		if why == stopEnd {
			break
		}
		if why == stopBackslash {
			if err := p.backslash(); err != nil {
				return nil, err
			}
		}
	}
	if n := len(p.open); n > 0 {
		return nil, errorAt(name, src, p.open[n-1].at, "if", `\if without matching \endif`, "")
	}
	if p.count == 0 {
		return nil, errorAt(name, src, 0, "", "empty command list for script", name)
	}
	return p.Script, nil
}

// statement adds an SQL command: once with $1 and so on, and once in parts for the simple protocol.
func (p *parser) statement(text string) error {
	st := &Stmt{Index: len(p.Stmts)}
	var sql strings.Builder
	before, name, rest, ok := cutVariable(text)
	for ok {
		st.params = append(st.params, p.reads(name))
		st.parts = append(st.parts, before)
		sql.WriteString(before)
		sql.WriteByte('$')
		sql.WriteString(strconv.Itoa(len(st.params)))
		before, name, rest, ok = cutVariable(rest)
	}
	sql.WriteString(before)
	st.parts = append(st.parts, before)
	st.SQL, st.NParams = sql.String(), len(st.params)
	if st.NParams > math.MaxUint16 {
		return p.fail(p.start, "statement has too many arguments", "maximum is 65535")
	}
	p.Stmts = append(p.Stmts, st)
	p.last = st
	p.count++
	p.emit(command{do: doQuery, stmt: st, at: p.start})
	return nil
}

// cutVariable finds the first :name in SQL. As in pgbench it counts inside quotes and comments too, but what follows ::
// is a cast. Without one, before is all of s.
func cutVariable(s string) (before, name, after string, ok bool) {
	for i := 0; i < len(s); {
		if s[i] != ':' {
			i++
			continue
		}
		if n := countWord(s[i+1:]); n > 0 && !isDigit(s[i+1]) {
			return s[:i], s[i+1 : i+1+n], s[i+1+n:], true
		}
		for i < len(s) && s[i] == ':' {
			i++
		}
	}
	return s, "", "", false
}

// emit adds a command and gives its place.
func (p *parser) emit(c command) int {
	p.lines += strings.Count(p.src[p.counted:c.at], "\n")
	p.counted = c.at
	c.line = 1 + p.lines
	c.name = p.command
	p.cmds = append(p.cmds, c)
	return len(p.cmds) - 1
}

// variable is the number of a name, given when it is first met.
func (p *parser) variable(name string) int {
	n, ok := p.index[name]
	if !ok {
		n = len(p.names)
		p.index[name] = n
		p.names = append(p.names, name)
		p.uses = append(p.uses, use{})
	}
	return n
}

// reads notes that the variable's value is used here.
func (p *parser) reads(name string) int {
	n := p.variable(name)
	p.uses[n].read = true
	return n
}

// sets notes that the variable gets a value here.
func (p *parser) sets(name string) int {
	n := p.variable(name)
	u := &p.uses[n]
	u.set = true
	if len(p.open) == 0 && !u.read {
		u.fresh = true
	}
	return n
}

// skipSpace steps over blanks and line continuations, up to the end of the line.
func (p *parser) skipSpace() {
	for p.pos < len(p.src) {
		switch rest := p.src[p.pos:]; {
		case strings.HasPrefix(rest, "\\\n"):
			p.pos += 2
		case strings.HasPrefix(rest, "\\\r\n"):
			p.pos += 3
		case rest[0] != '\n' && isSpace(rest[0]):
			p.pos++
		default:
			return
		}
	}
}

// word is an argument of a backslash command and its place.
type word struct {
	text string
	at   int
}

// word reads up to the next blank; at the end of the line, which it steps over, ok is false. A backslash that continues
// the line ends the word.
func (p *parser) word() (w word, ok bool) {
	p.skipSpace()
	rest := p.src[p.pos:]
	if rest == "" || rest[0] == '\n' {
		p.pos += min(1, len(rest))
		return word{at: p.pos}, false
	}
	n := 0
	for n < len(rest) && !isSpace(rest[n]) && !strings.HasPrefix(rest[n:], "\\\n") && !strings.HasPrefix(rest[n:], "\\\r\n") {
		n++
	}
	w = word{rest[:n], p.pos}
	p.pos += n
	return w, true
}

// fail is an error at a byte of the command at hand.
func (p *parser) fail(at int, msg, more string) error {
	return errorAt(p.Name, p.src, at, p.command, msg, more)
}
