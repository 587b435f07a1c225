package script

import "strings"

// maxDepth bounds nesting, so that no script can exhaust the stack.
const maxDepth = 1000

// level is how tightly an operator binds, from loosest to tightest, as in pgbench's grammar.
type level int

const (
	lowest level = iota
	levelOr
	levelAnd
	levelNot
	levelIs
	levelCompare // does not chain
	levelBits    // all of | # & << >> ~, left to right
	levelAdd
	levelMul
	levelSign
)

var levels = map[token]level{
	"or": levelOr, "and": levelAnd, "is": levelIs, "isnull": levelIs, "notnull": levelIs,
	"<": levelCompare, ">": levelCompare, "=": levelCompare, "<=": levelCompare, ">=": levelCompare,
	"<>": levelCompare, "!=": levelCompare,
	"|": levelBits, "#": levelBits, "&": levelBits, "<<": levelBits, ">>": levelBits,
	"+": levelAdd, "-": levelAdd, "*": levelMul, "/": levelMul, "%": levelMul,
}

var ops = map[token]op{
	"+": opAdd, "-": opSub, "*": opMul, "/": opDiv, "%": opMod, "=": opEq, "<>": opNe, "!=": opNe, "<": opLt, "<=": opLe,
	">": opLt, ">=": opLe, "&": opAnd, "|": opOr, "#": opXor, "<<": opLeft, ">>": opRight,
}

// exprParser is a precedence climber over one lexer.
type exprParser struct {
	lexer
	depth int
}

// expression reads the rest of a backslash command as one expression.
func (p *parser) expression() (node, error) {
	x := &exprParser{lexer: lexer{p: p}}
	n, err := x.expr(lowest)
	if err != nil {
		return nil, err
	}
	if t, err := x.take(); err != nil {
		return nil, err
	} else if t != tokEnd {
		return nil, x.syntax()
	}
	return n, nil
}

// expr reads operands joined by operators that bind at least as tightly as lowest.
func (x *exprParser) expr(lowest level) (node, error) {
	if x.depth++; x.depth > maxDepth {
		return nil, x.fail("expression is nested too deeply", "")
	}
	defer func() { x.depth-- }()
	left, err := x.operand()
	for err == nil {
		var t token
		if t, err = x.peek(); err != nil {
			break
		}
		l, ok := levels[t]
		if !ok || l < lowest {
			return left, nil
		}
		at := x.start
		x.peeked = false
		if l == levelIs {
			left, err = x.is(t, left, at)
			continue
		}
		left, err = x.binary(t, l, left, at)
	}
	return nil, err
}

// binary reads the right side of an operator.
func (x *exprParser) binary(t token, l level, left node, at int) (node, error) {
	right, err := x.expr(l + 1)
	if err != nil {
		return nil, err
	}
	if next, err := x.peek(); err != nil {
		return nil, err
	} else if l == levelCompare && levels[next] == levelCompare {
		return nil, x.syntax()
	}
	switch t {
	case "and":
		return &logical{left, right, false, at}, nil
	case "or":
		return &logical{left, right, true, at}, nil
	case ">", ">=": // pgbench turns these round, which shows only in the order of side effects
		left, right = right, left
	}
	return &binary{ops[t], left, right, at}, nil
}

// is reads what follows IS, ISNULL or NOTNULL.
func (x *exprParser) is(t token, left node, at int) (node, error) {
	negated := t == "notnull"
	want := value{kind: null}
	if t == "is" {
		what, err := x.take()
		if err == nil && what == "not" {
			negated = true
			what, err = x.take()
		}
		switch {
		case err != nil:
			return nil, err
		case what == "true" || what == "false":
			want = boolValue(what == "true")
		case what != "null":
			return nil, x.syntax()
		}
	}
	return &is{left, want, negated, at}, nil
}

// operand reads a constant, variable, call, CASE or parenthesis, with the signs before it.
func (x *exprParser) operand() (node, error) {
	t, err := x.take()
	if err != nil {
		return nil, err
	}
	at := x.start
	switch t {
	case "(":
		n, err := x.expr(lowest)
		if err != nil {
			return nil, err
		}
		return n, x.expect(")")
	case "+":
		return x.expr(levelSign)
	case "-":
		if next, err := x.peek(); err != nil {
			return nil, err
		} else if next == tokMinInt {
			x.peeked = false
			return constant(intValue(-1 << 63)), nil
		}
		n, err := x.expr(levelSign)
		return &binary{opSub, constant(intValue(0)), n, at}, err
	case "~":
		n, err := x.expr(levelBits + 1)
		return &binary{opXor, constant(intValue(-1)), n, at}, err
	case "not":
		n, err := x.expr(levelNot)
		return &not{n, at}, err
	case "case":
		return x.cases()
	case "null":
		return constant(value{kind: null}), nil
	case "true", "false":
		return constant(boolValue(t == "true")), nil
	case tokInt:
		return constant(intValue(x.i)), nil
	case tokDouble:
		return constant(doubleValue(x.f)), nil
	case tokVariable:
		return &reference{x.p.reads(x.text[1:]), at}, nil
	case tokFunction:
		return x.call(at)
	}
	return nil, x.syntax()
}

// cases reads CASE after its first word.
func (x *exprParser) cases() (node, error) {
	c := &choice{otherwise: constant(value{kind: null})}
	t, err := x.take()
	if err == nil && t != "when" {
		return nil, x.syntax()
	}
	for err == nil && t == "when" {
		var when, then node
		if when, err = x.expr(lowest); err != nil {
			break
		}
		if err = x.expect("then"); err != nil {
			break
		}
		if then, err = x.expr(lowest); err != nil {
			break
		}
		c.when, c.then = append(c.when, when), append(c.then, then)
		t, err = x.take()
	}
	if err == nil && t == "else" {
		if c.otherwise, err = x.expr(lowest); err == nil {
			t, err = x.take()
		}
	}
	if err == nil && t != "end" {
		return nil, x.syntax()
	}
	return c, err
}

// call reads the arguments of a function.
func (x *exprParser) call(at int) (node, error) {
	name := x.text
	f, ok := functions[strings.ToLower(name)]
	if !ok {
		return nil, x.fail("unexpected function name", name)
	}
	if err := x.expect("("); err != nil {
		return nil, err
	}
	var args []node
	t, err := x.peek()
	if err == nil && t == ")" {
		x.peeked = false
	}
	for err == nil && t != ")" {
		var n node
		if n, err = x.expr(lowest); err != nil {
			break
		}
		args = append(args, n)
		if t, err = x.take(); err == nil && t != "," && t != ")" {
			return nil, x.syntax()
		}
	}
	if err != nil {
		return nil, err
	}
	if len(args) < f.min {
		if f.max < 0 {
			return nil, x.fail("at least one argument expected", f.name)
		}
		return nil, x.fail("unexpected number of arguments", f.name)
	}
	if f.max >= 0 && len(args) > f.max {
		return nil, x.fail("unexpected number of arguments", f.name)
	}
	return f.build(x.p, args, at), nil
}

// expect steps over a token that has to come here.
func (x *exprParser) expect(want token) error {
	t, err := x.take()
	if err == nil && t != want {
		return x.syntax()
	}
	return err
}
