package engine

import "time"

// timer is something that a worker does at a time: go on with a link's transaction, or let a caller ask for a connection.
type timer struct {
	at  time.Duration
	l   *link
	seq uint32  // of the link when it was set; another one means that the timer is out of date
	c   *caller // of a caller without a connection; nil for a link
}

// timers is a heap, earliest first. It keeps its memory, so that a steady load allocates nothing.
type timers []timer

func (h *timers) push(t timer) {
	s := append(*h, t)
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if s[up].at <= s[i].at {
			break
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
	*h = s
}

func (h *timers) pop() timer {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0], s[last] = s[last], timer{}
	s = s[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= len(s) {
			break
		}
		if down+1 < len(s) && s[down+1].at < s[down].at {
			down++
		}
		if s[i].at <= s[down].at {
			break
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
	*h = s
	return top
}
