package script

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// shellWord is a word of a shell command: text, or a variable.
type shellWord struct {
	text     string
	variable int // -1 for text
}

// shell is \shell COMMAND or \setshell VARIABLE COMMAND. A word :name is the variable's value, ::name is :name.
func (p *parser) shell(kind string, args []word) error {
	if !p.opts.AllowShell {
		return p.fail(p.start, `\`+kind+" is switched off, since it runs a command on this machine", "")
	}
	c := command{do: doShell, at: p.start}
	if kind == "setshell" {
		if len(args) < 2 {
			return p.fail(p.start, "missing argument", "")
		}
		if !validName(args[0].text) {
			return p.fail(args[0].at, "invalid variable name", args[0].text)
		}
		c.do, c.words = doSetShell, p.shellWords(args[1:])
		c.variable = p.sets(args[0].text)
	} else {
		if len(args) == 0 {
			return p.fail(p.start, "missing command", "")
		}
		c.words = p.shellWords(args)
	}
	p.emit(c)
	return nil
}

func (p *parser) shellWords(args []word) []shellWord {
	words := make([]shellWord, len(args))
	for i, a := range args {
		words[i] = shellWord{a.text, -1}
		if name, ok := strings.CutPrefix(a.text, ":"); ok {
			words[i].text = name
			if !strings.HasPrefix(name, ":") {
				words[i].variable = p.reads(name)
			}
		}
	}
	return words
}

// run joins the words of a shell command and has sh run it. It gives what the command printed.
func (s *Session) run(c *command) (string, error) {
	var b []byte
	for i, w := range c.words {
		if i > 0 {
			b = append(b, ' ')
		}
		if w.variable < 0 {
			b = append(b, w.text...)
			continue
		}
		v := s.vars[w.variable]
		if !v.defined() {
			return "", fmt.Errorf("undefined variable %q", s.script.names[w.variable])
		}
		b = v.appendText(b)
	}
	cmd := exec.Command("sh", "-c", string(b))
	cmd.Stderr = s.script.debug
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("running shell command: %w", err)
	}
	return string(out), nil
}

// setShell runs the command and takes the first line it prints as an integer.
func (s *Session) setShell(c *command) error {
	out, err := s.run(c)
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(out, "\n")
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		return fmt.Errorf("shell command must return an integer (not %q)", line)
	}
	s.vars[c.variable].set(intValue(n))
	return nil
}
