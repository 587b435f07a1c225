package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// scanner cuts the server's byte stream into messages, wherever the stream was cut by the network. Bodies that nobody
// wants are skipped as they pass; the others are handed over whole. It allocates only to keep a wanted body that came in
// pieces, and keeps that memory.
type scanner struct {
	head [5]byte // of the message that is being read: kind and length
	n    int     // bytes of head that are there
	skip int     // bytes of an unwanted body still to come
	need int     // bytes of a wanted body still to come
	body []byte
}

// maxBody is the longest body kept whole: an error, or a row for \gset. PostgreSQL's own limit for a field is 1 GB; a
// benchmark script that reads more than this into a variable is a mistake.
const maxBody = 16 << 20

// sink takes messages. wants says whether message will be called for a kind; the body is valid during the call alone.
type sink interface {
	wants(kind byte) bool
	message(kind byte, body []byte) error
}

// feed takes the next bytes of the stream. An error means that this is no PostgreSQL server, or the sink's own.
func (s *scanner) feed(buf []byte, to sink) error {
	for len(buf) > 0 {
		switch {
		case s.skip > 0:
			n := min(s.skip, len(buf))
			s.skip -= n
			buf = buf[n:]
			if s.skip > 0 {
				return nil
			}
			s.n = 0
			continue
		case s.need > 0:
			n := min(s.need, len(buf))
			s.body, s.need, buf = append(s.body, buf[:n]...), s.need-n, buf[n:]
			if s.need > 0 {
				return nil
			}
			s.n = 0
			if err := to.message(s.head[0], s.body); err != nil {
				return err
			}
			continue
		}
		n := copy(s.head[s.n:], buf)
		s.n, buf = s.n+n, buf[n:]
		if s.n < len(s.head) {
			return nil
		}
		size := int(binary.BigEndian.Uint32(s.head[1:])) - 4
		kind := s.head[0]
		switch {
		case size < 0 || size > 1<<30:
			return fmt.Errorf("the server sent a message %q of %d bytes: not the PostgreSQL protocol", kind, size)
		case !to.wants(kind):
			if s.skip = size; size == 0 {
				s.n = 0
			}
		case size <= len(buf):
			s.n = 0
			if err := to.message(kind, buf[:size]); err != nil {
				return err
			}
			buf = buf[size:]
		case size > maxBody:
			return fmt.Errorf("the server sent a message %q of %d bytes, more than the %d that are kept", kind, size, maxBody)
		default:
			s.body, s.need = s.body[:0], size
		}
	}
	return nil
}

// reset forgets a message that was cut off.
func (s *scanner) reset() { s.n, s.skip, s.need = 0, 0, 0 }

// serverError reads an ErrorResponse.
func serverError(body []byte) *pgconn.PgError {
	e := &pgconn.PgError{}
	for len(body) > 1 {
		kind := body[0]
		value, rest := cstring(body[1:])
		switch kind {
		case 'S':
			e.Severity = string(value)
		case 'C':
			e.Code = string(value)
		case 'M':
			e.Message = string(value)
		case 'D':
			e.Detail = string(value)
		case 'H':
			e.Hint = string(value)
		}
		body = rest
	}
	return e
}

// cstring cuts off a zero-terminated string.
func cstring(b []byte) (text, rest []byte) {
	for i, c := range b {
		if c == 0 {
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// columnNames reads the names out of a RowDescription into names, keeping those that are the same already.
func columnNames(body []byte, names []string) ([]string, error) {
	if len(body) < 2 {
		return nil, errShort
	}
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	names = names[:min(n, len(names))]
	for i := range n {
		name, rest := cstring(body)
		if len(rest) < 18 {
			return nil, errShort
		}
		body = rest[18:]
		switch {
		case i == len(names):
			names = append(names, string(name))
		case names[i] != string(name):
			names[i] = string(name)
		}
	}
	return names, nil
}

// rowValues cuts a DataRow into values, which share its memory; nil is NULL.
func rowValues(body []byte, values [][]byte) ([][]byte, error) {
	if len(body) < 2 {
		return nil, errShort
	}
	values = values[:0]
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	for range n {
		if len(body) < 4 {
			return nil, errShort
		}
		size := int(int32(binary.BigEndian.Uint32(body)))
		body = body[4:]
		if size < 0 {
			values = append(values, nil)
			continue
		}
		if size > len(body) {
			return nil, errShort
		}
		values = append(values, body[:size:size])
		body = body[size:]
	}
	return values, nil
}

var errShort = fmt.Errorf("the server sent a message shorter than its contents")
