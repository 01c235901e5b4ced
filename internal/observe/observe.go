// Package observe tells what happened: one record and one log line for each
// call, whichever way it ended. Metadata only: it never sees content, and error
// texts reach it scrubbed.
package observe

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/llm"
)

// Options make the stage.
type Options struct {
	Recorder pipeline.Recorder // nil keeps no records
	Log      *slog.Logger      // nil writes no lines
}

// Stage records every call that passes. It is the outermost stage: what happens
// below it, a panic included, is in the record. A record is handed over before
// the answer's last event is, so that a caller that has the whole answer finds
// it accounted for.
func Stage(o Options) pipeline.Stage {
	return func(next pipeline.Handler) pipeline.Handler {
		return pipeline.HandlerFunc(func(ctx context.Context, c *pipeline.Call) (ans pipeline.Answer, err error) {
			a := &observed{o: o, ctx: ctx, c: c}
			defer func() {
				if p := recover(); p != nil {
					err = a.crashed(p)
				}
				if err != nil {
					ans, err = nil, a.finish(llm.AsError(err))
				}
			}()
			a.ans, err = next.Handle(ctx, c)
			return a, err
		})
	}
}

type observed struct {
	o    Options
	ctx  context.Context
	c    *pipeline.Call
	ans  pipeline.Answer
	done bool
	err  error
}

func (a *observed) Next() (ev *pipeline.Event, err error) {
	if a.err != nil {
		return nil, a.err
	}
	defer func() {
		if p := recover(); p != nil {
			le := a.crashed(p)
			_ = a.release() // what it held, its attempt included, belongs in the record
			ev, err = nil, a.finish(le)
			a.err = err
		}
	}()
	ev, err = a.ans.Next()
	switch {
	case err == nil && ev.Final:
		if le := a.finish(nil); le != nil {
			a.err = le
			return nil, le
		}
	case err == io.EOF:
	case err != nil:
		a.err = a.finish(llm.AsError(err))
		return nil, a.err
	}
	return ev, err
}

func (a *observed) Close() error {
	err := a.release()
	if !a.done {
		le := pipeline.Cause(a.ctx)
		if le == nil {
			le = llm.Errorf(llm.KindClientClosed, "the client closed the connection")
		}
		a.finish(le)
	}
	return err
}

// release closes the answer, whatever happens.
func (a *observed) release() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = a.crashed(p)
		}
	}()
	return a.ans.Close()
}

// crashed turns a panic into an error. Its value may hold anything, so only its
// type and the stack are logged.
func (a *observed) crashed(p any) *llm.Error {
	if a.o.Log != nil {
		a.o.Log.Error("panic", "request_id", a.c.ID, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	}
	return llm.Errorf(llm.KindInternal, "internal error; the gateway's log has it under this request's id")
}

// finish completes the record and hands it over, once. It returns the call's
// error: the one given, or that the record cannot be kept.
func (a *observed) finish(le *llm.Error) error {
	if a.done {
		return orNil(le)
	}
	a.done = true
	r := a.c.Record
	complete(r, le)
	if a.o.Recorder != nil {
		if err := a.record(r); err != nil {
			le = llm.Wrap(llm.KindStorage, err, "the record of this call cannot be kept, so its answer is not given")
			r.Status, r.ErrorKind, r.ErrorMessage = pipeline.StatusError, le.Kind, le.Message
		}
	}
	if a.o.Log != nil {
		line(a.ctx, a.o.Log, r)
	}
	return orNil(le)
}

// record hands the record over. The client's leaving must not keep it from being written.
func (a *observed) record(r *pipeline.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = a.crashed(p)
		}
	}()
	return a.o.Recorder.Record(context.WithoutCancel(a.ctx), r)
}

// orNil keeps a nil *llm.Error from becoming a non-nil error.
func orNil(le *llm.Error) error {
	if le == nil {
		return nil
	}
	return le
}

func complete(r *pipeline.Record, le *llm.Error) {
	r.Latency = time.Since(r.Start)
	r.Overhead = max(r.Latency-r.Waited, 0)
	r.Status = pipeline.StatusSuccess
	if le != nil {
		r.ErrorKind, r.ErrorMessage = le.Kind, le.Summary()
		switch le.Kind {
		case llm.KindGuard:
			r.Status = pipeline.StatusBlocked
		case llm.KindClientClosed:
			r.Status = pipeline.StatusCancelled
		default:
			r.Status = pipeline.StatusError
		}
	}
	r.Usage, r.UsageSource = llm.Usage{}, ""
	for i := range r.Attempts {
		u := r.Attempts[i].Usage
		if u.Total() == 0 {
			continue
		}
		if !u.Reported {
			r.UsageSource = "estimated"
		} else if r.UsageSource == "" {
			r.UsageSource = "reported"
		}
		r.Usage.Add(u)
	}
}
