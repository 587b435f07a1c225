package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Cause is why a target could not be reached or refused us.
type Cause struct {
	Text string // one sentence with the redacted target in it
	Hint string // what to check, one thing a line, the likeliest first
	Code string // short and stable, such as "wrong-password"
}

// evidence is what a failure is judged by.
type evidence struct {
	err    error
	pg     *pgconn.PgError // nil when the server said nothing
	target Target
}

// cause is one row of the table of causes.
type cause struct {
	code   string
	when   func(evidence) bool
	text   string
	checks []string // {host}, {port}, {user} and {dbname} are filled in
}

// Explain finds the cause of a failed connection, or of an early statement that the server refused. It goes by SQLSTATE
// and error type; the few rows that have to go by text say why. It never fails: what it does not know has the code
// "other" and the plain message. The error of a scratch server is explained as any other.
func Explain(err error, t Target) Cause {
	e := evidence{err: err, pg: serverError(err), target: t}
	for _, c := range causes {
		if c.when(e) {
			return c.fill(e)
		}
	}
	other := cause{code: "other", text: plain(e), checks: []string{"try psql with the same URL: it may say more"}}
	if e.pg != nil {
		other.checks = []string{"look up SQLSTATE " + e.pg.Code + " and the server's log"}
	}
	return other.fill(e)
}

func (c cause) fill(e evidence) Cause {
	names := strings.NewReplacer(e.names()...)
	where := "connecting to " + e.target.Redacted
	if e.target.Redacted == "" {
		where = "connecting"
	}
	text := where + ": " + names.Replace(c.text)
	if e.pg != nil {
		text += " (SQLSTATE " + e.pg.Code + ")"
	}
	return Cause{Text: text, Hint: names.Replace(strings.Join(c.checks, "\n")), Code: c.code}
}

// names are the replacements of a row; a scratch target has no configuration to take them from.
func (e evidence) names() []string {
	host, port, user, dbname := "the host", "5432", "the role", "the database"
	if cfg := e.target.Config; cfg != nil {
		host, port, user, dbname = cfg.Host, fmt.Sprint(cfg.Port), cfg.User, cfg.Database
		if dbname == "" {
			dbname = user
		}
	}
	return []string{"{host}", host, "{port}", port, "{user}", user, "{dbname}", dbname}
}

// serverError is what the server said. A connection has several attempts behind it (TLS and plain, several addresses);
// what came after authentication tells more than a refusal by pg_hba.conf, so the first of the former wins.
func serverError(err error) *pgconn.PgError {
	var first *pgconn.PgError
	walk(err, func(err error) {
		pg, ok := err.(*pgconn.PgError)
		if ok && (first == nil || (first.Code == "28000" && pg.Code != "28000")) {
			first = pg
		}
	})
	return first
}

// walk visits err and everything it wraps, in order.
func walk(err error, visit func(error)) {
	for err != nil {
		visit(err)
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, one := range many.Unwrap() {
				walk(one, visit)
			}
			return
		}
		err = errors.Unwrap(err)
	}
}

// plain is the innermost message: the driver's own prefixes repeat the target.
func plain(e evidence) string {
	if e.pg != nil {
		return e.pg.Message
	}
	last := ""
	walk(e.err, func(err error) {
		if _, many := err.(interface{ Unwrap() []error }); !many {
			last = err.Error()
		}
	})
	return last
}

func state(codes ...string) func(evidence) bool {
	return func(e evidence) bool {
		for _, c := range codes {
			if e.pg != nil && e.pg.Code == c {
				return true
			}
		}
		return false
	}
}

// routine tells apart what shares a SQLSTATE by the function of the server that raised it; unlike the message it is
// never translated.
func routine(code, name string) func(evidence) bool {
	return func(e evidence) bool { return e.pg != nil && e.pg.Code == code && e.pg.Routine == name }
}

func is(targets ...error) func(evidence) bool {
	return func(e evidence) bool {
		for _, t := range targets {
			if errors.Is(e.err, t) {
				return true
			}
		}
		return false
	}
}

func as[T error](e evidence) bool {
	var t T
	return errors.As(e.err, &t)
}

func all(conds ...func(evidence) bool) func(evidence) bool {
	return func(e evidence) bool {
		for _, c := range conds {
			if !c(e) {
				return false
			}
		}
		return true
	}
}

func anyOf(conds ...func(evidence) bool) func(evidence) bool {
	return func(e evidence) bool {
		for _, c := range conds {
			if c(e) {
				return true
			}
		}
		return false
	}
}

// onSocket tells whether the target is a unix socket.
func onSocket(e evidence) bool {
	return e.target.Config != nil && strings.HasPrefix(e.target.Config.Host, "/")
}

// triedPlainOnly tells whether no attempt offered TLS: sslmode=disable over TCP.
func triedPlainOnly(e evidence) bool {
	cfg := e.target.Config
	if cfg == nil || onSocket(e) || cfg.TLSConfig != nil {
		return false
	}
	for _, f := range cfg.Fallbacks {
		if f.TLSConfig != nil {
			return false
		}
	}
	return true
}

// wantsCertificate goes by text: the server raises it in the same function and with the same SQLSTATE as a missing rule.
// Translated, it is taken for one.
func wantsCertificate(e evidence) bool {
	return strings.Contains(e.pg.Message, "valid client certificate")
}

func noServerWord(e evidence) bool { return e.pg == nil }

func noPassword(e evidence) bool { return e.target.Config != nil && e.target.Config.Password == "" }

// tlsRefused goes by text, since pgx has no type for the server's one-byte answer "no TLS here".
func tlsRefused(e evidence) bool { return mentions(e.err, "server refused TLS connection") }

// strangeMessage goes by text, since pgproto3 has no type for a message that PostgreSQL does not send.
func strangeMessage(e evidence) bool { return mentions(e.err, "unknown message type") }

func mentions(err error, text string) bool {
	found := false
	walk(err, func(err error) { found = found || strings.HasPrefix(err.Error(), text) })
	return found
}

func certificate(reason x509.InvalidReason) func(evidence) bool {
	return func(e evidence) bool {
		var bad x509.CertificateInvalidError
		return errors.As(e.err, &bad) && bad.Reason == reason
	}
}

func badCertificate(e evidence) bool {
	return as[x509.CertificateInvalidError](e) || as[*tls.CertificateVerificationError](e) || as[x509.HostnameError](e)
}

// tlsAlert is a TLS alert that the server sent: it broke the handshake off.
func tlsAlert(e evidence) bool {
	var op *net.OpError
	return errors.As(e.err, &op) && op.Op == "remote error"
}

func hostNotFound(e evidence) bool {
	var dns *net.DNSError
	return errors.As(e.err, &dns) && dns.IsNotFound
}

func timedOut(e evidence) bool {
	var n net.Error
	return pgconn.Timeout(e.err) || errors.Is(e.err, context.DeadlineExceeded) || (errors.As(e.err, &n) && n.Timeout())
}

func notPostgres(e evidence) bool {
	return as[*pgproto3.ExceededMaxBodyLenErr](e) || as[tls.RecordHeaderError](e) || strangeMessage(e)
}

var closed = is(io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE)
