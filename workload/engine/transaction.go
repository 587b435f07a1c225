package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"pgfit/workload/script"
)

// transaction runs a script to its end, again after a serialization failure or a deadlock, and leaves the connection out
// of any transaction.
func (v *portableVisit) transaction(ctx context.Context, c *caller, pc *conn, o *outcome) error {
	s := c.client.Session(o.op)
	s.Begin()
	for {
		err := v.steps(ctx, pc, s, o.op)
		if err == nil {
			return nil
		}
		if pc.pg.IsClosed() {
			return err
		}
		if pc.pg.TxStatus() != 'I' {
			if _, rollback := pc.pg.Exec(ctx, "ROLLBACK").ReadAll(); rollback != nil {
				return errors.Join(err, rollback)
			}
		}
		code := sqlState(err)
		if (code != "40001" && code != "40P01") || o.tries >= v.e.cfg.MaxTries || v.stop.Load() {
			return err
		}
		o.tries++
		s.Rewind()
	}
}

// steps does what the session says until the script ends.
func (v *portableVisit) steps(ctx context.Context, pc *conn, s *script.Session, op int) error {
	var pipe *pipeline
	defer func() { pipe.abandon() }()
	for {
		st, err := s.Next()
		if err != nil {
			return err
		}
		switch st.Kind {
		case script.Done:
			if pc.pg.TxStatus() != 'I' {
				return errOpenTransaction
			}
			return nil
		case script.Sleep:
			v.sleep(ctx, st.Duration)
		case script.StartPipeline:
			pipe = startPipeline(ctx, pc, v.e.cfg.Protocol)
		case script.SyncPipeline:
			pipe.sync()
		case script.EndPipeline:
			err = pipe.end()
			pipe = nil
		case script.Query:
			if pipe != nil {
				pipe.send(st, v.e.names[op][st.Stmt.Index])
			} else {
				err = v.query(ctx, pc, s, st, op)
			}
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// query sends one statement and waits for its result.
func (v *portableVisit) query(ctx context.Context, pc *conn, s *script.Session, st script.Step, op int) error {
	var rr *pgconn.ResultReader
	switch v.e.cfg.Protocol {
	case Simple:
		return simple(ctx, pc, s, st)
	case Extended:
		rr = pc.pg.ExecParams(ctx, st.Stmt.SQL, st.Params, nil, nil, nil)
	default:
		rr = pc.pg.ExecPrepared(ctx, v.e.names[op][st.Stmt.Index], st.Params, nil, nil)
	}
	return take(s, st, rr)
}

// take reads a result to its end and hands \gset and \aset their rows.
func take(s *script.Session, st script.Step, rr *pgconn.ResultReader) error {
	if !st.Stmt.Gset && !st.Stmt.Aset {
		for rr.NextRow() {
		}
		_, err := rr.Close()
		return err
	}
	var last [][]byte
	rows := 0
	for rr.NextRow() {
		rows++
		last = last[:0]
		for _, v := range rr.Values() {
			last = append(last, slices.Clone(v))
		}
	}
	var names []string
	for _, f := range rr.FieldDescriptions() {
		names = append(names, f.Name)
	}
	if _, err := rr.Close(); err != nil {
		return err
	}
	switch {
	case rows == 0 && st.Stmt.Aset:
		return nil
	case rows != 1 && st.Stmt.Gset:
		return fmt.Errorf("line %d: \\gset wants one row, the statement gave %d", st.Line, rows)
	}
	return s.Row(names, last)
}

func simple(ctx context.Context, pc *conn, s *script.Session, st script.Step) error {
	mr := pc.pg.Exec(ctx, string(s.Simple(nil, st.Stmt)))
	var err error
	for mr.NextResult() {
		err = errors.Join(err, take(s, st, mr.ResultReader()))
	}
	return errors.Join(err, mr.Close())
}

// pipeline is a run of statements sent without waiting.
type pipeline struct {
	p        *pgconn.Pipeline
	prepared bool
}

func startPipeline(ctx context.Context, pc *conn, protocol Protocol) *pipeline {
	return &pipeline{p: pc.pg.StartPipeline(ctx), prepared: protocol == Prepared}
}

func (p *pipeline) send(st script.Step, name string) {
	if p.prepared {
		p.p.SendQueryPrepared(name, cloneParams(st.Params), nil, nil)
		return
	}
	p.p.SendQueryParams(st.Stmt.SQL, cloneParams(st.Params), nil, nil, nil)
}

func cloneParams(params [][]byte) [][]byte {
	out := make([][]byte, len(params))
	for i, v := range params {
		out[i] = slices.Clone(v)
	}
	return out
}

func (p *pipeline) sync() { p.p.SendPipelineSync() }

// end waits for every result of the pipeline.
func (p *pipeline) end() error {
	err := p.p.Sync()
	for err == nil {
		var res any
		if res, err = p.p.GetResults(); err != nil || res == nil {
			break
		}
		if rr, ok := res.(*pgconn.ResultReader); ok {
			_, err = rr.Close()
		}
	}
	return errors.Join(err, p.p.Close())
}

func (p *pipeline) abandon() {
	if p != nil {
		_ = p.p.Close()
	}
}
