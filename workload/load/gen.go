package load

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"

	"pgfit/workload/scenario"
)

// copyHeader and copyTrailer frame COPY ... WITH (FORMAT binary); see the manual, COPY, "Binary Format".
var (
	copyHeader  = append([]byte("PGCOPY\n\xff\r\n\x00"), 0, 0, 0, 0, 0, 0, 0, 0)
	copyTrailer = []byte{0xff, 0xff}
)

// epoch2024 is 2024-01-01 UTC in microseconds since 2000-01-01, PostgreSQL's own epoch.
const epoch2024 = int64(8766) * 86400 * 1_000_000

// maker writes one column's value of row i (counted from 1) in binary COPY form.
type maker func(buf []byte, i int64, r *rand.PCG) []byte

// below is a number in [0, n), by multiplication instead of division; its bias is below n/2^64.
func below(r *rand.PCG, n int64) int64 {
	hi, _ := mul64(r.Uint64(), uint64(n))
	return int64(hi)
}

func makerOf(c scenario.Column, rows map[string]int64) maker {
	put := putterOf(c.Type)
	switch c.Gen {
	case "serial":
		return func(b []byte, i int64, _ *rand.PCG) []byte { return put(b, i) }
	case "uniform":
		span := c.Max - c.Min + 1
		return func(b []byte, _ int64, r *rand.PCG) []byte { return put(b, c.Min+below(r, span)) }
	case "ref":
		n := max(1, rows[c.Ref])
		return func(b []byte, _ int64, r *rand.PCG) []byte { return put(b, 1+below(r, n)) }
	case "group":
		return func(b []byte, i int64, _ *rand.PCG) []byte { return put(b, 1+(i-1)/c.Per) }
	case "cycle":
		return func(b []byte, i int64, _ *rand.PCG) []byte { return put(b, 1+(i-1)%c.Per) }
	case "text":
		return textMaker(c.Length)
	case "blank":
		blank := strings.Repeat(" ", c.Length)
		if strings.HasPrefix(c.Type, "char") { // character(n): the server pads it, so that the blanks need not be sent
			blank = ""
		}
		return func(b []byte, _ int64, _ *rand.PCG) []byte {
			return append(binary.BigEndian.AppendUint32(b, uint32(len(blank))), blank...)
		}
	default: // null; scenario has refused everything else
		return func(b []byte, _ int64, _ *rand.PCG) []byte { return append(b, 0xff, 0xff, 0xff, 0xff) }
	}
}

func textMaker(length int) maker {
	const letters = "abcdefghijklmnopqrstuvwxyz012345" // 32 of them: 5 bits a letter, 12 letters a draw
	return func(b []byte, _ int64, r *rand.PCG) []byte {
		b = binary.BigEndian.AppendUint32(b, uint32(length))
		for n := 0; n < length; {
			for bits, k := r.Uint64(), 0; k < 12 && n < length; k++ {
				b = append(b, letters[bits&31])
				bits >>= 5
				n++
			}
		}
		return b
	}
}

func putterOf(typ string) func([]byte, int64) []byte {
	switch typ {
	case "smallint":
		return func(b []byte, v int64) []byte {
			return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(b, 2), uint16(v))
		}
	case "integer":
		return func(b []byte, v int64) []byte {
			return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, 4), uint32(v))
		}
	case "timestamptz", "timestamp":
		return func(b []byte, v int64) []byte {
			return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(epoch2024+v*1_000_000))
		}
	}
	return func(b []byte, v int64) []byte {
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(v))
	}
}

// copyReader streams rows from..to (inclusive) of a table in binary COPY form.
type copyReader struct {
	makers    []maker
	next, end int64
	rng       *rand.PCG
	buf       []byte
	off       int
	done      func(rows int64)
	ended     bool
}

func newCopyReader(t scenario.Table, rows map[string]int64, from, to int64, seed uint64, done func(int64)) *copyReader {
	r := &copyReader{next: from, end: to, rng: rand.NewPCG(seed, uint64(from)), done: done}
	for _, c := range t.Columns {
		r.makers = append(r.makers, makerOf(c, rows))
	}
	r.buf = append(make([]byte, 0, 80<<10), copyHeader...)
	return r
}

// fillTo is how much is made ahead of each Read.
const fillTo = 64 << 10

// Read implements io.Reader.
func (r *copyReader) Read(p []byte) (int, error) {
	if r.off == len(r.buf) {
		if r.ended {
			return 0, eof
		}
		r.buf, r.off = r.buf[:0], 0
	}
	start := r.next
	for len(r.buf) < fillTo && r.next <= r.end {
		r.buf = binary.BigEndian.AppendUint16(r.buf, uint16(len(r.makers)))
		for _, m := range r.makers {
			r.buf = m(r.buf, r.next, r.rng)
		}
		r.next++
	}
	if r.next > start && r.done != nil {
		r.done(r.next - start)
	}
	if r.next > r.end && !r.ended && len(r.buf) < fillTo {
		r.buf = append(r.buf, copyTrailer...)
		r.ended = true
	}
	n := copy(p, r.buf[r.off:])
	r.off += n
	return n, nil
}
