//go:build linux

package engine

import (
	"testing"
	"time"
)

// TestWhoseLateness: an arrival that the generator comes to late while a connection is free did not wait for one; an arrival
// that found none did, from its intended start on.
func TestWhoseLateness(t *testing.T) {
	one, two := &link{}, &link{}
	v := &visit{b: &base{}, load: Load{Pool: 2, Rate: 1000, Uniform: true}, win: window{0, time.Second}}
	g := newGate(v)
	g.free = append(g.free, one, two)
	const late = 10 * time.Millisecond
	for _, want := range []struct {
		link     *link
		intended time.Duration
	}{{two, time.Millisecond}, {one, 2 * time.Millisecond}} {
		if l, d, _, ok := g.arrive(late); !ok || l != want.link || d.intended != want.intended || d.asked != late {
			t.Errorf("arrive = %p, %+v, %v; want one that asks at %s", l, d, ok, late)
		}
	}
	if l, _, _, ok := g.arrive(late); ok || l != nil {
		t.Error("a third connection is found of two")
	}
	if d, ok, _ := g.release(one, late); !ok || d.intended != 3*time.Millisecond || d.asked != d.intended {
		t.Errorf("release = %+v, %v; want one that has asked since 3 ms", d, ok)
	}
	g.free = append(g.free, two)
	if d, ok, _ := g.release(one, late); !ok || d.asked != late {
		t.Errorf("release = %+v, %v; want one that asks at %s, since the other connection was free", d, ok, late)
	}
}
