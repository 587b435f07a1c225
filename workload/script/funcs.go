package script

import (
	"errors"
	"math"
	"strconv"
)

// function is one that scripts may call. max < 0 is any number of arguments.
type function struct {
	name     string // as errors write it
	min, max int
	build    func(p *parser, args []node, at int) node
}

var functions = map[string]function{
	"abs":                {"abs", 1, 1, unaryOf(fnAbs)},
	"debug":              {"debug", 1, 1, buildDebug},
	"double":             {"double", 1, 1, unaryOf(fnDouble)},
	"exp":                {"exp", 1, 1, unaryOf(fnExp)},
	"greatest":           {"greatest", 1, -1, extremumOf(true)},
	"hash":               {"hash", 1, 2, hashOf(true)},
	"hash_fnv1a":         {"hash_fnv1a", 1, 2, hashOf(false)},
	"hash_murmur2":       {"hash_murmur2", 1, 2, hashOf(true)},
	"int":                {"int", 1, 1, unaryOf(fnInt)},
	"least":              {"least", 1, -1, extremumOf(false)},
	"ln":                 {"ln", 1, 1, unaryOf(fnLn)},
	"mod":                {"mod", 2, 2, buildMod},
	"permute":            {"permute", 2, 3, buildPermute},
	"pi":                 {"pi", 0, 0, buildPi},
	"pow":                {"pow", 2, 2, buildPower},
	"power":              {"power", 2, 2, buildPower},
	"random":             {"random", 2, 2, randomOf(uniform)},
	"random_exponential": {"random_exponential", 3, 3, randomOf(exponential)},
	"random_gaussian":    {"random_gaussian", 3, 3, randomOf(gaussian)},
	"random_zipfian":     {"random_zipfian", 3, 3, randomOf(zipfian)},
	"sqrt":               {"sqrt", 1, 1, unaryOf(fnSqrt)},
}

func buildMod(_ *parser, args []node, at int) node { return &binary{opMod, args[0], args[1], at} }
func buildPi(*parser, []node, int) node            { return constant(doubleValue(math.Pi)) }

// fn is a function of one argument.
type fn uint8

const (
	fnAbs fn = iota
	fnInt
	fnDouble
	fnSqrt
	fnLn
	fnExp
)

type unary struct {
	fn fn
	x  node
	at int
}

func unaryOf(f fn) func(*parser, []node, int) node {
	return func(_ *parser, args []node, at int) node { return &unary{f, args[0], at} }
}

func (n *unary) eval(s *Session) (value, error) {
	v, err := n.x.eval(s)
	if err != nil || v.kind == null {
		return v, err
	}
	if v.kind == integer && n.fn == fnAbs {
		return intValue(max(v.i, -v.i)), nil // of the smallest integer it is that itself, as in C
	}
	if n.fn == fnInt {
		i, err := v.toInt()
		if err != nil {
			return value{}, s.wrap(n.at, err)
		}
		return intValue(i), nil
	}
	f, err := v.toDouble()
	if err != nil {
		return value{}, s.wrap(n.at, err)
	}
	switch n.fn {
	case fnAbs:
		f = math.Abs(f)
	case fnSqrt:
		f = math.Sqrt(f)
	case fnLn:
		f = math.Log(f)
	case fnExp:
		f = math.Exp(f)
	}
	return doubleValue(f), nil
}

type power struct {
	x, y node
	at   int
}

func buildPower(_ *parser, args []node, at int) node { return &power{args[0], args[1], at} }

func (n *power) eval(s *Session) (value, error) {
	x, err := n.x.eval(s)
	if err != nil {
		return value{}, err
	}
	y, err := n.y.eval(s)
	if err != nil {
		return value{}, err
	}
	if x.kind == null || y.kind == null {
		return nullValue, nil
	}
	a, err := x.toDouble()
	if err != nil {
		return value{}, s.wrap(n.at, err)
	}
	b, err := y.toDouble()
	if err != nil {
		return value{}, s.wrap(n.at, err)
	}
	return doubleValue(math.Pow(a, b)), nil
}

// extremum is greatest or least: a double when any argument is one, null when any is null.
type extremum struct {
	args     []node
	greatest bool
	at       int
}

func extremumOf(greatest bool) func(*parser, []node, int) node {
	return func(_ *parser, args []node, at int) node { return &extremum{args, greatest, at} }
}

func (n *extremum) eval(s *Session) (value, error) {
	var best int64
	var bestDouble float64
	isNull, isDouble := false, false
	var bad error
	for k, arg := range n.args {
		v, err := arg.eval(s)
		if err != nil {
			return value{}, err
		}
		if v.kind == null {
			isNull = true
			continue
		}
		f, err := v.toDouble()
		if err != nil && bad == nil {
			bad = err
		}
		isDouble = isDouble || v.kind == double
		if k == 0 || n.better(f, bestDouble) {
			bestDouble = f
		}
		if k == 0 || v.i != best && (v.i > best) == n.greatest {
			best = v.i
		}
	}
	switch {
	case isNull:
		return nullValue, nil
	case bad != nil && isDouble:
		return value{}, s.wrap(n.at, bad)
	case bad != nil:
		return value{}, s.fail(n.at, "cannot coerce boolean to int")
	case isDouble:
		return doubleValue(bestDouble), nil
	}
	return intValue(best), nil
}

func (n *extremum) better(f, best float64) bool {
	if n.greatest {
		return !(best > f)
	}
	return !(best < f)
}

// debug prints its argument and gives it back.
type debug struct {
	x   node
	cmd int // the command's number in the script, from 1
	at  int
}

func buildDebug(p *parser, args []node, at int) node { return &debug{args[0], p.count + 1, at} }

func (n *debug) eval(s *Session) (value, error) {
	v, err := n.x.eval(s)
	if err != nil {
		return value{}, err
	}
	b := append([]byte(nil), "debug(script="...)
	b = strconv.AppendInt(b, int64(s.number), 10)
	b = append(b, ",command="...)
	b = strconv.AppendInt(b, int64(n.cmd), 10)
	b = append(b, "): "...)
	if v.kind == null {
		b = append(b, "null"...)
	} else {
		b = append(append(b, v.kind.String()...), ' ')
		b = v.appendText(b)
	}
	if _, err := s.script.debug.Write(append(b, '\n')); err != nil {
		return value{}, s.fail(n.at, "writing debug output: %w", err)
	}
	return v, nil
}

// hashing is a hash function of a value and a seed.
type hashing struct {
	x, seed node
	murmur  bool
	at      int
}

// hashOf builds a hash function; without a seed it is that of the variable default_seed.
func hashOf(murmur bool) func(*parser, []node, int) node {
	return func(p *parser, args []node, at int) node {
		return &hashing{args[0], seedOf(p, args, 1, at), murmur, at}
	}
}

func seedOf(p *parser, args []node, n, at int) node {
	if n < len(args) {
		return args[n]
	}
	return &reference{p.reads("default_seed"), at}
}

func (n *hashing) eval(s *Session) (value, error) {
	args, isNull, err := evalInts(s, n.at, n.x, n.seed)
	if err != nil || isNull {
		return nullValue, err
	}
	if n.murmur {
		return intValue(hashMurmur2(args[0], uint64(args[1]))), nil
	}
	return intValue(hashFnv1a(args[0], uint64(args[1]))), nil
}

type permutation struct {
	x, size, seed node
	at            int
}

func buildPermute(p *parser, args []node, at int) node {
	return &permutation{args[0], args[1], seedOf(p, args, 2, at), at}
}

func (n *permutation) eval(s *Session) (value, error) {
	args, isNull, err := evalInts(s, n.at, n.x, n.size, n.seed)
	if err != nil || isNull {
		return nullValue, err
	}
	if args[1] <= 0 {
		return value{}, s.fail(n.at, "permute size parameter must be greater than zero")
	}
	return intValue(permute(args[0], args[1], args[2])), nil
}

// evalInts evaluates up to three arguments and turns them into integers, unless one is null.
func evalInts(s *Session, at int, nodes ...node) (ints [3]int64, isNull bool, err error) {
	var vals [3]value
	for i, n := range nodes {
		if vals[i], err = n.eval(s); err != nil {
			return ints, false, err
		}
		isNull = isNull || vals[i].kind == null
	}
	if isNull {
		return ints, true, nil
	}
	for i := range nodes {
		if ints[i], err = vals[i].toInt(); err != nil {
			return ints, false, s.wrap(at, err)
		}
	}
	return ints, false, nil
}

// distribution is what a random function draws from.
type distribution uint8

const (
	uniform distribution = iota
	exponential
	gaussian
	zipfian
)

type random struct {
	from          distribution
	lo, hi, param node // param is nil for uniform
	slot          int  // of the session's constants, for zipfian
	at            int
}

func randomOf(from distribution) func(*parser, []node, int) node {
	return func(p *parser, args []node, at int) node {
		r := &random{from: from, lo: args[0], hi: args[1], at: at}
		if from != uniform {
			r.param = args[2]
		}
		if from == zipfian {
			r.slot = p.zipfs
			p.zipfs++
		}
		return r
	}
}

func (n *random) eval(s *Session) (value, error) {
	l, err := n.lo.eval(s)
	if err != nil {
		return value{}, err
	}
	h, err := n.hi.eval(s)
	if err != nil {
		return value{}, err
	}
	p := doubleValue(0)
	if n.param != nil {
		if p, err = n.param.eval(s); err != nil {
			return value{}, err
		}
	}
	if l.kind == null || h.kind == null || p.kind == null {
		return nullValue, nil
	}
	i, err := n.draw(s, l, h, p)
	if err != nil {
		return value{}, s.wrap(n.at, err)
	}
	return intValue(i), nil
}

var (
	errEmptyRange = errors.New("empty range given to random")
	errWideRange  = errors.New("random range is too large")
)

func (n *random) draw(s *Session, l, h, p value) (int64, error) {
	lo, err := l.toInt()
	if err != nil {
		return 0, err
	}
	hi, err := h.toInt()
	if err != nil {
		return 0, err
	}
	if lo > hi {
		return 0, errEmptyRange
	}
	if d := uint64(hi) - uint64(lo); d >= math.MaxInt64 {
		return 0, errWideRange
	}
	r := &s.client.rng
	if n.from == uniform {
		return r.uniform(lo, hi), nil
	}
	param, err := p.toDouble()
	if err != nil {
		return 0, err
	}
	switch n.from {
	case exponential:
		if !(param > 0) {
			return 0, errors.New("exponential parameter must be greater than zero (not " + cDouble(param, 'f', 6) + ")")
		}
		return r.exponential(lo, hi, param), nil
	case gaussian:
		if !(param >= 2) {
			return 0, errors.New("gaussian parameter must be at least 2.000000 (not " + cDouble(param, 'f', 6) + ")")
		}
		return r.gaussian(lo, hi, param), nil
	default:
		if !(param >= 1.001 && param <= 1000) {
			return 0, errors.New("zipfian parameter must be in range [1.001, 1000] (not " + cDouble(param, 'f', 6) + ")")
		}
		z := &s.zipfs[n.slot]
		z.setUp(hi-lo+1, param)
		return lo - 1 + z.draw(r), nil
	}
}
