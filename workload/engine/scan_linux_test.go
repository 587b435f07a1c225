package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"
)

// collector is a sink that keeps what it gets.
type collector struct {
	want string
	got  []string
}

func (c *collector) wants(kind byte) bool { return bytes.IndexByte([]byte(c.want), kind) >= 0 }
func (c *collector) message(kind byte, body []byte) error {
	c.got = append(c.got, string(kind)+string(body))
	if kind == '!' {
		return errors.New("refused")
	}
	return nil
}

func stream(messages ...string) (out []byte) {
	for _, m := range messages {
		out = append(out, message(m[0], m[1:])...)
	}
	return out
}

// TestScanner: whatever the network cuts the stream into, the wanted messages come whole and in order.
func TestScanner(t *testing.T) {
	in := stream("2", "D"+string(bytes.Repeat([]byte("x"), 300)), "CSELECT 1\x00", "N", "ZI", "Eboom", "ZE")
	want := []string{"CSELECT 1\x00", "ZI", "Eboom", "ZE"}
	for size := 1; size <= len(in); size++ {
		var s scanner
		c := &collector{want: "CZE"}
		for part := range slices.Chunk(in, size) {
			if err := s.feed(part, c); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(c.got, want) {
			t.Fatalf("in pieces of %d: %q, want %q", size, c.got, want)
		}
	}
}

func TestScannerRefuses(t *testing.T) {
	big := binary.BigEndian.AppendUint32([]byte{'Z'}, maxBody+5)
	for _, tc := range []struct {
		name string
		in   []byte
	}{
		{"no PostgreSQL", []byte("HTTP/1.1 400 Bad Request\r\n")},
		{"length below its own field", []byte{'Z', 0, 0, 0, 3}},
		{"a body that nobody can want", big},
		{"the sink's own error", stream("!")},
	} {
		var s scanner
		if err := s.feed(tc.in, &collector{want: "Z!"}); err == nil {
			t.Errorf("%s: no error", tc.name)
		}
	}
}

// FuzzScanner: any bytes in any pieces give the same messages as the whole, and neither panic nor run away.
func FuzzScanner(f *testing.F) {
	f.Add(stream("Eabc", "T", "ZI"), uint8(3))
	f.Add([]byte{'D', 0, 0, 0, 4, 'Z', 0, 0, 0, 5, 'I'}, uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		whole, pieces := &collector{want: "ETDCZ"}, &collector{want: "ETDCZ"}
		var a, b scanner
		errA := a.feed(in, whole)
		var errB error
		for part := range slices.Chunk(in, int(size)+1) {
			if errB = b.feed(part, pieces); errB != nil {
				break
			}
		}
		// A message too long is refused at once only where it does not lie in the buffer already.
		if (errA == nil) == (errB == nil) && !slices.Equal(whole.got, pieces.got) {
			t.Errorf("%q whole, %q in pieces of %d", whole.got, pieces.got, int(size)+1)
		}
		for _, m := range whole.got {
			_, _ = columnNames([]byte(m[1:]), nil)
			_, _ = rowValues([]byte(m[1:]), nil)
			_ = serverError([]byte(m[1:]))
		}
	})
}

func TestRowValues(t *testing.T) {
	row := []byte{0, 3, 0, 0, 0, 2, 'h', 'i', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}
	values, err := rowValues(row, nil)
	if err != nil || len(values) != 3 || string(values[0]) != "hi" || values[1] != nil || values[2] == nil || len(values[2]) != 0 {
		t.Errorf("%q, %v; want hi, NULL and an empty string", values, err)
	}
	if _, err := rowValues(row[:9], nil); err == nil {
		t.Error("a row cut short was taken")
	}
}

func TestTimers(t *testing.T) {
	var h timers
	for _, at := range []int{5, 3, 9, 1, 7, 3} {
		h.push(timer{at: time.Duration(at)})
	}
	last := time.Duration(0)
	for len(h) > 0 {
		top := h.pop()
		if top.at < last {
			t.Fatalf("%v after %v", top.at, last)
		}
		last = top.at
	}
}
