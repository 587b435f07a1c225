package script

import (
	"errors"
	"math"
)

// node is a part of an expression. eval allocates nothing unless it fails; its errors are *Error.
type node interface {
	eval(s *Session) (value, error)
}

var nullValue = value{kind: null}

type constant value

func (n constant) eval(*Session) (value, error) { return value(n), nil }

// reference is a variable by its number in the script.
type reference struct{ index, at int }

func (n *reference) eval(s *Session) (value, error) {
	v := s.vars[n.index]
	if v.parsed {
		return v.val, nil
	}
	if !v.isText {
		return value{}, s.fail(n.at, "undefined variable %q", s.script.names[n.index])
	}
	val, err := parseValue(s.script.names[n.index], string(v.text))
	if err != nil {
		return value{}, s.wrap(n.at, err)
	}
	v.val, v.parsed = val, true
	return val, nil
}

// logical is AND, or OR. Unlike in SQL, null on the left decides; a right side that is not needed is not computed.
type logical struct {
	left, right node
	or          bool
	at          int
}

func (n *logical) eval(s *Session) (value, error) {
	v, err := n.left.eval(s)
	if err != nil || v.kind == null {
		return v, err
	}
	b, err := v.toBool()
	if err != nil {
		return value{}, s.wrap(n.at, err)
	}
	if b == n.or {
		return v, nil
	}
	if v, err = n.right.eval(s); err != nil || v.kind == null {
		return v, err
	}
	if _, err = v.toBool(); err != nil {
		return value{}, s.wrap(n.at, err)
	}
	return v, nil
}

type not struct {
	x  node
	at int
}

func (n *not) eval(s *Session) (value, error) {
	v, err := n.x.eval(s)
	if err != nil || v.kind == null {
		return v, err
	}
	b, err := v.toBool()
	if err != nil {
		return value{}, s.wrap(n.at, err)
	}
	return boolValue(!b), nil
}

// is compares with NULL, TRUE or FALSE, and is never null itself. What is not boolean is neither true nor false.
type is struct {
	x       node
	want    value
	negated bool
	at      int
}

func (n *is) eval(s *Session) (value, error) {
	v, err := n.x.eval(s)
	if err != nil {
		return value{}, err
	}
	return boolValue((v.kind == n.want.kind && v.i == n.want.i) != n.negated), nil
}

// choice is CASE. Its conditions are judged like those of \if: a number is true when it is not zero.
type choice struct {
	when, then []node
	otherwise  node
}

func (n *choice) eval(s *Session) (value, error) {
	for i, w := range n.when {
		v, err := w.eval(s)
		if err != nil {
			return value{}, err
		}
		if v.truth() {
			return n.then[i].eval(s)
		}
	}
	return n.otherwise.eval(s)
}

// op is an operator with two sides.
type op uint8

const (
	opAdd op = iota
	opSub
	opMul
	opDiv
	opEq
	opNe
	opLt
	opLe
	opMod // from here on, doubles are turned into integers
	opAnd
	opOr
	opXor
	opLeft
	opRight
)

// binary is an operator that is null when either side is.
type binary struct {
	op          op
	left, right node
	at          int
}

func (n *binary) eval(s *Session) (value, error) {
	l, err := n.left.eval(s)
	if err != nil {
		return value{}, err
	}
	r, err := n.right.eval(s)
	if err != nil {
		return value{}, err
	}
	if l.kind == null || r.kind == null {
		return nullValue, nil
	}
	var v value
	if (l.kind == double || r.kind == double) && n.op < opMod {
		v, err = n.op.doubles(l, r)
	} else {
		v, err = n.op.ints(l, r)
	}
	if err != nil {
		return value{}, s.wrap(n.at, err)
	}
	return v, nil
}

func (o op) doubles(l, r value) (value, error) {
	a, err := l.toDouble()
	if err != nil {
		return value{}, err
	}
	b, err := r.toDouble()
	if err != nil {
		return value{}, err
	}
	switch o {
	case opAdd:
		return doubleValue(a + b), nil
	case opSub:
		return doubleValue(a - b), nil
	case opMul:
		return doubleValue(a * b), nil
	case opDiv:
		return doubleValue(a / b), nil
	case opEq:
		return boolValue(a == b), nil
	case opNe:
		return boolValue(a != b), nil
	case opLt:
		return boolValue(a < b), nil
	default: // <=
		return boolValue(a <= b), nil
	}
}

var (
	errAdd  = errors.New("bigint add out of range")
	errSub  = errors.New("bigint sub out of range")
	errMul  = errors.New("bigint mul out of range")
	errDiv  = errors.New("bigint div out of range")
	errZero = errors.New("division by zero")
)

func (o op) ints(l, r value) (value, error) {
	a, err := l.toInt()
	if err != nil {
		return value{}, err
	}
	b, err := r.toInt()
	if err != nil {
		return value{}, err
	}
	switch o {
	case opAdd:
		return checked(a+b, (a+b > a) == (b > 0), errAdd)
	case opSub:
		return checked(a-b, (a-b < a) == (b > 0), errSub)
	case opMul:
		return multiply(a, b)
	case opDiv:
		if b == 0 {
			return value{}, errZero
		}
		return checked(a/b, a != math.MinInt64 || b != -1, errDiv)
	case opMod:
		if b == 0 {
			return value{}, errZero
		}
		return intValue(a % b), nil
	case opEq:
		return boolValue(a == b), nil
	case opNe:
		return boolValue(a != b), nil
	case opLt:
		return boolValue(a < b), nil
	case opLe:
		return boolValue(a <= b), nil
	case opAnd:
		return intValue(a & b), nil
	case opOr:
		return intValue(a | b), nil
	case opXor:
		return intValue(a ^ b), nil
	case opLeft: // by the lower six bits, which is what pgbench's C comes to on amd64 and arm64
		return intValue(a << (b & 63)), nil
	default: // >>
		return intValue(a >> (b & 63)), nil
	}
}

func checked(i int64, ok bool, err error) (value, error) {
	if !ok {
		return value{}, err
	}
	return intValue(i), nil
}

func multiply(a, b int64) (value, error) {
	if a == 0 || b == 0 {
		return intValue(0), nil
	}
	c := a * b
	return checked(c, c/b == a && (a != -1 || b != math.MinInt64) && (b != -1 || a != math.MinInt64), errMul)
}
