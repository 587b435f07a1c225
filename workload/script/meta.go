package script

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// opcode is what a command does.
type opcode uint8

const (
	doQuery opcode = iota
	doSet
	doSleep
	doUnless // go on at jump unless expr is true
	doJump
	doStartPipeline
	doSyncPipeline
	doEndPipeline
	doShell
	doSetShell
)

// command is one step of a script.
type command struct {
	do       opcode
	stmt     *Stmt
	expr     node
	variable int           // that \set and \setshell set, and that \sleep reads
	sleep    time.Duration // of \sleep: the time, or where variable >= 0 its unit
	words    []shellWord
	jump     int
	at       int // in the source
	line     int
	name     string // without backslash
}

// block is a condition whose \endif has not come yet.
type block struct {
	at      int
	test    int // the doUnless whose jump is to be filled in, or -1 after \else
	exits   []int
	sawElse bool
}

// backslash reads one command whose backslash is behind us, up to the end of its line.
func (p *parser) backslash() error {
	p.start = p.pos - 1
	first, ok := p.word()
	if !ok {
		return nil // a lone backslash
	}
	p.command = first.text
	defer func() { p.command = "" }()
	kind := strings.ToLower(first.text)
	switch kind {
	case "gset", "aset":
		return p.gset(kind)
	case "set":
		return p.metaSet()
	case "if", "elif":
		return p.condition(kind)
	}
	var args []word
	for w, ok := p.word(); ok; w, ok = p.word() {
		args = append(args, w)
	}
	p.last = nil
	p.count++
	switch kind {
	case "sleep":
		return p.sleep(args)
	case "shell", "setshell":
		return p.shell(kind, args)
	case "else", "endif", "startpipeline", "syncpipeline", "endpipeline":
		if len(args) > 0 {
			return p.fail(args[0].at, "unexpected argument", "")
		}
	}
	switch kind {
	case "else":
		return p.elseBranch()
	case "endif":
		return p.endif()
	case "startpipeline":
		p.emit(command{do: doStartPipeline, at: p.start})
	case "syncpipeline":
		p.emit(command{do: doSyncPipeline, at: p.start})
	case "endpipeline":
		p.emit(command{do: doEndPipeline, at: p.start})
	default:
		return p.fail(first.at, "invalid command", "")
	}
	return nil
}

// gset makes the statement before it hand over its result. It is no command of its own.
func (p *parser) gset(kind string) error {
	prefix, _ := p.word()
	if prefix.text != "" {
		if more, ok := p.word(); ok {
			return p.fail(more.at, "too many arguments", "")
		}
	}
	if p.last == nil || p.last.Gset || p.last.Aset {
		return p.fail(p.start, `\`+kind+" must follow an SQL command", "")
	}
	p.last.Gset, p.last.Aset, p.last.Prefix = kind == "gset", kind == "aset", prefix.text
	return nil
}

func (p *parser) metaSet() error {
	name, ok := p.word()
	if !ok {
		return p.fail(p.start, "missing argument", "")
	}
	if !validName(name.text) {
		return p.fail(name.at, "invalid variable name", name.text)
	}
	n, err := p.expression()
	if err != nil {
		return err
	}
	p.last = nil
	p.count++
	p.emit(command{do: doSet, expr: n, variable: p.sets(name.text), at: p.start})
	return nil
}

// condition is \if, or \elif.
func (p *parser) condition(kind string) error {
	n, err := p.expression()
	if err != nil {
		return err
	}
	p.last = nil
	p.count++
	if kind == "if" {
		p.open = append(p.open, block{at: p.start})
	} else if err := p.endBranch(kind); err != nil {
		return err
	}
	b := &p.open[len(p.open)-1]
	b.test = p.emit(command{do: doUnless, expr: n, at: p.start})
	return nil
}

func (p *parser) elseBranch() error {
	if err := p.endBranch("else"); err != nil {
		return err
	}
	b := &p.open[len(p.open)-1]
	b.test, b.sawElse = -1, true
	return nil
}

// endBranch leads the branch before an \elif or \else to the \endif, and the test that failed to here.
func (p *parser) endBranch(kind string) error {
	if len(p.open) == 0 {
		return p.fail(p.start, `\`+kind+` without matching \if`, "")
	}
	b := &p.open[len(p.open)-1]
	if b.sawElse {
		return p.fail(p.start, `\`+kind+` after \else`, "")
	}
	b.exits = append(b.exits, p.emit(command{do: doJump, at: p.start}))
	p.cmds[b.test].jump = len(p.cmds)
	return nil
}

func (p *parser) endif() error {
	if len(p.open) == 0 {
		return p.fail(p.start, `\endif without matching \if`, "")
	}
	b := p.open[len(p.open)-1]
	p.open = p.open[:len(p.open)-1]
	if b.test >= 0 {
		p.cmds[b.test].jump = len(p.cmds)
	}
	for _, exit := range b.exits {
		p.cmds[exit].jump = len(p.cmds)
	}
	return nil
}

var units = map[string]time.Duration{"us": time.Microsecond, "ms": time.Millisecond, "s": time.Second}

// sleep takes a number or :variable and a unit, which may stick to the number; without one it is seconds.
func (p *parser) sleep(args []word) error {
	if len(args) == 0 {
		return p.fail(p.start, "missing argument", "")
	}
	if len(args) > 2 {
		return p.fail(args[2].at, "too many arguments", "")
	}
	c := command{do: doSleep, variable: -1, sleep: time.Second, at: p.start}
	number := args[0]
	if name, ok := strings.CutPrefix(number.text, ":"); ok {
		c.variable = p.reads(name)
	} else {
		n := 0
		if number.text[0] == '+' || number.text[0] == '-' {
			n = 1
		}
		digits := countDigits(number.text[n:])
		n += digits
		if rest := number.text[n:]; rest != "" {
			if digits == 0 || len(args) > 1 {
				return p.fail(number.at, "invalid sleep time, must be an integer", number.text)
			}
			args = append(args, word{rest, number.at + n})
		}
		number.text = number.text[:n]
	}
	if len(args) > 1 {
		unit, ok := units[strings.ToLower(args[1].text)]
		if !ok {
			return p.fail(args[1].at, "unrecognized time unit, must be us, ms or s", args[1].text)
		}
		c.sleep = unit
	}
	if c.variable < 0 {
		n, _ := strconv.ParseInt(number.text, 10, 64) // a lone sign is 0, as for atoi
		c.sleep = times(n, c.sleep)
	}
	p.emit(c)
	return nil
}

// times is n units, at least none and at most what a Duration holds.
func times(n int64, unit time.Duration) time.Duration {
	n = max(n, 0)
	if n > math.MaxInt64/int64(unit) {
		return math.MaxInt64
	}
	return time.Duration(n) * unit
}
