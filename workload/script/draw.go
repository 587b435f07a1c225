package script

import (
	"errors"
	"math"
)

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
