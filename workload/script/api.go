// Package script is the pgbench script language: it reads scripts, and steps through them for one client at a time.
// It knows variables, expressions, conditions and pipelines; it knows nothing of networks or clocks. The engine asks a
// Session what comes next, does it, and hands back rows where \gset or \aset want them.
//
// The language is that of pgbench 18 (https://www.postgresql.org/docs/18/pgbench.html, "Custom Scripts"). Random
// functions have pgbench's distributions, not its sequence of numbers. Where pgbench would send the text NULL for a
// variable that is null, a prepared or extended statement gets a real NULL.
package script

import (
	"io"
	"time"
)

// Kind says what the engine has to do next.
type Kind uint8

// The kinds of step.
const (
	Done          Kind = iota // the script has come to its end: one transaction of pgbench's counting
	Query                     // send Stmt with Params, wait for its result (inside a pipeline: only send)
	Sleep                     // wait for Duration
	StartPipeline             // from here on, queue instead of waiting
	SyncPipeline              // send a Sync inside the pipeline
	EndPipeline               // Sync, then wait for every result of the pipeline
)

// Step is what Session.Next returns. Params and its byte slices are valid until the next call of Next.
type Step struct {
	Kind     Kind
	Stmt     *Stmt
	Params   [][]byte // text format, one for each parameter of Stmt; a nil element is NULL
	Duration time.Duration
	Line     int // in the script's source, for error messages
}

// Stmt is one SQL command of a script. It is the same pointer each time the command is reached, and Index counts the
// script's statements from 0, so that a driver can keep what it prepared in a slice.
type Stmt struct {
	Index   int
	SQL     string // with $1, $2 ... in the place of :variables; for protocols extended and prepared
	Gset    bool   // wants its (single) row through Session.Row
	Aset    bool   // wants the last row of each result that has rows
	Prefix  string // of \gset and \aset
	NParams int
	// parts and params let Session.Simple build the text for the simple protocol, with the values put in as pgbench does.
	parts  []string // one more than params
	params []int    // variables of the script, by their number in Script.names
}

// command is what ends the statement instead of a semicolon.
func (st *Stmt) command() string {
	switch {
	case st.Gset:
		return "gset"
	case st.Aset:
		return "aset"
	}
	return ""
}

// Script is a parsed script, safe for use by many sessions at once.
type Script struct {
	Name  string
	Stmts []*Stmt // by Index

	src   string
	debug io.Writer
	cmds  []command // with conditions turned into jumps
	names []string  // of every variable that the script reads or sets
	uses  []use     // of each of names
	zipfs int       // calls of random_zipfian, each with constants of its own in a session
}

// use says what a script does with a variable, apart from \gset and \aset. A variable that is fresh is set in every run
// before it is read, so that its former value need not be kept for a rewind.
type use struct{ read, set, fresh bool }

// Options says what a script may do. The zero value is for scripts from anywhere.
type Options struct {
	AllowShell bool      // \shell and \setshell run commands on this machine
	Debug      io.Writer // where debug() prints, one Write a line; nil is standard error
}
