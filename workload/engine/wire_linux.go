package engine

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgconn"

	"pgfit/workload/script"
)

// The frontend messages of the epoll driver (PostgreSQL manual, "Message Formats"). What does not change from one
// execution to the next is laid out once.

// template is one statement, ready to be sent but for its parameters.
type template struct {
	bind    []byte   // up to and with the number of parameters; its length field is still to come
	parse   []byte   // extended protocol: the whole Parse message
	columns []string // prepared: names of the result's columns, for \gset and \aset
}

var (
	syncMsg    = []byte{'S', 0, 0, 0, 4}
	executeMsg = []byte{'E', 0, 0, 0, 9, 0, 0, 0, 0, 0} // the unnamed portal, all rows
	portalMsg  = []byte{'D', 0, 0, 0, 6, 'P', 0}        // describe it: the names of the columns come before the rows
	copyFail   = append(message('f', "pgfit feeds no COPY FROM STDIN\x00"), syncMsg...)
	goodbye    = []byte{'X', 0, 0, 0, 4}
	rollback   = message('Q', "ROLLBACK\x00")
	textResult = []byte{0, 0} // Bind's last field: every column in text format
)

// message is a frontend message with its length.
func message(kind byte, body string) []byte {
	m := binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))
	return append(m, body...)
}

// newTemplate lays out a statement. name is "" for the extended protocol; described may be nil.
func newTemplate(st *script.Stmt, name string, described *pgconn.StatementDescription) template {
	var t template
	t.bind = append(t.bind, 'B', 0, 0, 0, 0, 0) // length, the unnamed portal
	t.bind = append(append(t.bind, name...), 0)
	t.bind = append(t.bind, 0, 0) // all parameters in text format
	t.bind = binary.BigEndian.AppendUint16(t.bind, uint16(st.NParams))
	if name == "" {
		t.parse = message('P', "\x00"+st.SQL+"\x00\x00\x00")
	}
	if described != nil {
		for _, f := range described.Fields {
			t.columns = append(t.columns, f.Name)
		}
	}
	return t
}

// appendQuery appends what executes the statement, without a Sync. A nil parameter is NULL.
func (t *template) appendQuery(out []byte, params [][]byte) []byte {
	out = append(out, t.parse...)
	from := len(out)
	out = append(out, t.bind...)
	for _, p := range params {
		if p == nil {
			out = append(out, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	out = append(out, textResult...)
	binary.BigEndian.PutUint32(out[from+1:], uint32(len(out)-from-1))
	if t.parse != nil {
		out = append(out, portalMsg...)
	}
	return append(out, executeMsg...)
}

// appendSimple appends a Query message with the session's text of the statement.
func appendSimple(out []byte, s *script.Session, st *script.Stmt) []byte {
	from := len(out)
	out = append(out, 'Q', 0, 0, 0, 0)
	out = s.Simple(out, st)
	out = append(out, 0)
	binary.BigEndian.PutUint32(out[from+1:], uint32(len(out)-from-1))
	return out
}
