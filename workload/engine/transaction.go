package engine

import (
	"context"
	"errors"
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
	var r result
	switch v.e.cfg.Protocol {
	case Simple:
		return simple(ctx, pc, s, st)
	case Extended:
		r = take(st, pc.pg.ExecParams(ctx, st.Stmt.SQL, st.Params, nil, nil, nil))
	default:
		r = take(st, pc.pg.ExecPrepared(ctx, v.e.names[op][st.Stmt.Index], st.Params, nil, nil))
	}
	return r.give(s, st, true)
}

// result is what \gset and \aset want of a result: its number of rows and the last one.
type result struct {
	n     int
	names []string
	row   [][]byte
	err   error
}

// take reads a result to its end.
func take(st script.Step, rr *pgconn.ResultReader) (r result) {
	for rr.NextRow() {
		if !st.Stmt.Gset && !st.Stmt.Aset {
			continue
		}
		r.n++
		r.row = r.row[:0]
		for _, v := range rr.Values() {
			r.row = append(r.row, slices.Clone(v))
		}
	}
	if r.n > 0 {
		for _, f := range rr.FieldDescriptions() {
			r.names = append(r.names, f.Name)
		}
	}
	_, r.err = rr.Close()
	return r
}

// give hands the row over: \aset takes one of each result, \gset that of the last result, which has to be the only one.
func (r result) give(s *script.Session, st script.Step, last bool) error {
	times := 0
	switch {
	case r.err != nil:
		return r.err
	case st.Stmt.Aset:
		times = min(r.n, 1)
	case st.Stmt.Gset && last:
		times = min(r.n, 2) // the session refuses the second one
	}
	for range times {
		if err := s.Row(r.names, r.row); err != nil {
			return err
		}
	}
	return nil
}

func simple(ctx context.Context, pc *conn, s *script.Session, st script.Step) error {
	mr := pc.pg.Exec(ctx, string(s.Simple(nil, st.Stmt)))
	var r result
	var err error
	for first := true; mr.NextResult(); first = false {
		if !first {
			err = errors.Join(err, r.give(s, st, false))
		}
		r = take(st, mr.ResultReader())
	}
	return errors.Join(mr.Close(), err, r.give(s, st, true))
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
