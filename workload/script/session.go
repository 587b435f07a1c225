package script

import (
	"fmt"
	"slices"
	"strconv"
)

// Session is one client's way through one script. Begin, Next, Row, Simple and Rewind allocate nothing once they have
// been through the script, except for errors, debug(), \shell and \setshell.
type Session struct {
	client   *Client
	script   *Script
	number   int         // of the script
	vars     []*variable // by the script's numbers
	pc       int
	pipeline bool
	opened   int   // where the pipeline was
	stmt     *Stmt // whose rows are still to come
	rows     int

	params  [][]byte
	buf     []byte // of params
	zipfs   []zipf
	columns []columns // by statement

	kept     []*variable // that a rewind has to put back
	saved    []variable  // what they were at Begin
	savedRNG rng
}

// columns remembers where the columns of a statement's rows go.
type columns struct {
	names []string
	vars  []*variable // nil where no script reads the variable
}

// Begin starts the script's next transaction.
func (s *Session) Begin() {
	s.start()
	s.savedRNG = s.client.rng
	for i, v := range s.kept {
		s.saved[i].copyFrom(v)
	}
}

// Rewind starts the transaction that Begin began once more, with the same random numbers and variables.
func (s *Session) Rewind() {
	s.start()
	s.client.rng = s.savedRNG
	for i, v := range s.kept {
		v.copyFrom(&s.saved[i])
	}
}

func (s *Session) start() {
	s.pc, s.pipeline, s.stmt = 0, false, nil
}

// Next does what it can without a server or a clock, and says what comes then. After Done it is Done again. Errors are
// *Error: an expression that fails, a row that \gset missed, a pipeline command out of place.
func (s *Session) Next() (Step, error) {
	if s.stmt != nil {
		if err := s.gotRow(); err != nil {
			return Step{}, err
		}
	}
	for s.pc < len(s.script.cmds) {
		c := &s.script.cmds[s.pc]
		s.pc++
		switch c.do {
		case doQuery:
			return s.query(c)
		case doSet:
			v, err := c.expr.eval(s)
			if err != nil {
				return Step{}, err
			}
			s.vars[c.variable].set(v)
		case doUnless:
			v, err := c.expr.eval(s)
			if err != nil {
				return Step{}, err
			}
			if !v.truth() {
				s.pc = c.jump
			}
		case doJump:
			s.pc = c.jump
		default:
			step, err := s.other(c)
			if err != nil {
				return Step{}, s.wrap(c.at, err)
			}
			if step.Kind != Done {
				return step, nil
			}
		}
	}
	if s.pipeline {
		return Step{}, errorAt(s.script.Name, s.script.src, s.opened, "startpipeline", "end of script reached with pipeline open", "")
	}
	return Step{Kind: Done}, nil
}

// query fills in the parameters. Variables that are not set are null, as in pgbench.
func (s *Session) query(c *command) (Step, error) {
	st := c.stmt
	if st.Gset || st.Aset {
		if s.pipeline {
			return Step{}, s.fail(c.at, `\%s is not allowed in pipeline mode`, st.command())
		}
		s.stmt, s.rows = st, 0
	}
	s.params, s.buf = s.params[:0], s.buf[:0]
	for _, p := range st.params {
		v := s.vars[p]
		if !v.isText && (!v.parsed || v.val.kind == null) {
			s.params = append(s.params, nil)
			continue
		}
		from := len(s.buf)
		s.buf = v.appendText(s.buf)
		s.params = append(s.params, s.buf[from:len(s.buf):len(s.buf)])
	}
	return Step{Kind: Query, Stmt: st, Params: s.params, Line: c.line}, nil
}

// other does the rarer commands. Done means that the engine has nothing to do.
func (s *Session) other(c *command) (Step, error) {
	switch c.do {
	case doSleep:
		d := c.sleep
		if c.variable >= 0 {
			n, err := s.sleepTime(c.variable)
			if err != nil {
				return Step{}, err
			}
			d = times(n, c.sleep)
		}
		return Step{Kind: Sleep, Duration: d, Line: c.line}, nil
	case doStartPipeline:
		if s.pipeline {
			return Step{}, fmt.Errorf("already in pipeline mode")
		}
		s.pipeline, s.opened = true, c.at
		return Step{Kind: StartPipeline, Line: c.line}, nil
	case doShell:
		_, err := s.run(c)
		return Step{}, err
	case doSetShell:
		return Step{}, s.setShell(c)
	}
	if !s.pipeline {
		return Step{}, fmt.Errorf("not in pipeline mode")
	}
	if c.do == doSyncPipeline {
		return Step{Kind: SyncPipeline, Line: c.line}, nil
	}
	s.pipeline = false
	return Step{Kind: EndPipeline, Line: c.line}, nil
}

// sleepTime reads a variable as atoi does: leading digits count, the rest does not.
func (s *Session) sleepTime(index int) (int64, error) {
	v := s.vars[index]
	name := s.script.names[index]
	if !v.defined() {
		return 0, fmt.Errorf("undefined variable %q", name)
	}
	if !v.isText && v.val.kind == integer {
		return v.val.i, nil
	}
	text := string(v.appendText(nil))
	n := 0
	if text != "" && (text[0] == '+' || text[0] == '-') {
		n = 1
	}
	digits := countDigits(text[n:])
	i, err := strconv.ParseInt(text[:n+digits], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("invalid sleep time %q for variable %q", text, name)
	}
	return i, nil
}

// Row takes a row for the \gset or \aset of the step before: columns in text format, nil for NULL, which becomes the
// empty string as in pgbench. \gset takes one row, of the statement's last result; of those that \aset takes, the last
// of each result is enough. It keeps neither names nor values, and does nothing for other statements.
func (s *Session) Row(names []string, values [][]byte) error {
	if s.stmt == nil {
		return nil
	}
	c := &s.columns[s.stmt.Index]
	if !slices.Equal(c.names, names) {
		if err := s.resolve(c, names); err != nil {
			return err
		}
	}
	s.rows++
	if s.stmt.Gset && s.rows > 1 {
		return s.gotRow()
	}
	for i, v := range c.vars {
		if v != nil {
			v.setText(values[i])
		}
	}
	return nil
}

// resolve finds the variables of a row's columns.
func (s *Session) resolve(c *columns, names []string) error {
	c.names, c.vars = nil, c.vars[:0]
	for _, name := range names {
		full := s.stmt.Prefix + name
		if !validName(full) {
			return s.fail(s.script.cmds[s.pc-1].at, "invalid variable name: %q", full)
		}
		c.vars = append(c.vars, s.client.byName[full])
	}
	for _, name := range names {
		c.names = append(c.names, string([]byte(name)))
	}
	return nil
}

// gotRow ends a statement with \gset or \aset.
func (s *Session) gotRow() error {
	st := s.stmt
	s.stmt = nil
	if st.Gset && s.rows != 1 {
		return s.fail(s.script.cmds[s.pc-1].at, "expected one row, got %d", s.rows)
	}
	return nil
}

// Simple appends the text of a statement for the simple protocol, with variables put in as pgbench does: without quotes,
// and left as :name where there is no such variable. Call it between the Next that gave the step and the next one.
func (s *Session) Simple(buf []byte, st *Stmt) []byte {
	for i, p := range st.params {
		buf = append(buf, st.parts[i]...)
		if v := s.vars[p]; v.defined() {
			buf = v.appendText(buf)
		} else {
			buf = append(append(buf, ':'), s.script.names[p]...)
		}
	}
	return append(buf, st.parts[len(st.params)]...)
}

// fail is an error at a byte of the script.
func (s *Session) fail(at int, format string, args ...any) error {
	return s.wrap(at, fmt.Errorf(format, args...))
}

// wrap places an error, and names the command it happened in.
func (s *Session) wrap(at int, err error) error {
	e := errorAt(s.script.Name, s.script.src, at, s.script.cmds[max(0, s.pc-1)].name, err.Error(), "")
	e.cause = err
	return e
}
