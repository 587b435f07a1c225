package script

import "strconv"

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
