package script

import "math"

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
