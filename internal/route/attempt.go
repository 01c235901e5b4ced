package route

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/llm"
)

// attempt is one try at one target, from its sending to the end of its answer.
type attempt struct {
	run    *run
	p      *Provider
	send   upstream.Send
	rec    llm.Attempt
	cancel context.CancelCauseFunc
	watch  *watch
	ans    pipeline.Answer
	held   []pipeline.Event // what came before the first content
	cur    *pipeline.Event  // the first content, not yet given on
	more   bool             // the event after the last one is here already
	fed    bool             // content came since the last wait
	prompt int              // bytes of the client's request
	size   int              // bytes of answer text
	told   int              // size at the last report of usage: what came after it is estimated
	ended  bool
	err    error
}

// begin sends the call to target i and waits for the answer's first content.
func begin(n *run, i int, key *Key, reason string) (pipeline.Answer, *llm.Error) {
	target := n.m.Targets[i]
	a := &attempt{run: n, p: target.Provider}
	a.send = upstream.Send{Model: n.model(target), Key: key.Value.Reveal(), Drop: n.m.Drop}
	a.rec = llm.Attempt{
		Provider: a.p.Name, Endpoint: a.p.Upstream.Host(), KeyID: key.ID, Model: a.send.Model,
		Reason: reason, Start: time.Now(),
	}
	var ctx context.Context
	ctx, a.cancel = context.WithCancelCause(n.ctx)
	limit, what := n.firstLimit()
	a.watch = newWatch(limit, what, a.cancel)
	if n.c.Doc != nil {
		a.prompt = len(n.c.Doc.Bytes())
	}
	rec := n.c.Record
	rec.Provider, rec.Model = a.p.Name, a.send.Model
	a.p.Health.begin()
	defer func() {
		if p := recover(); p != nil {
			a.end(llm.Errorf(llm.KindInternal, "internal error"))
			panic(p)
		}
	}()
	err := a.first(upstream.WithConnectTimeout(ctx, n.m.Timeout.Connect))
	rec.Waited += time.Since(a.rec.Start)
	if err != nil {
		if errors.Is(err, upstream.ErrUnsupported) {
			a.rec.Skipped, a.rec.Reason = true, "unsupported"
		}
		a.end(err)
		return nil, err
	}
	if n.c.Stream { // the call's limit does not cut a stream that flows
		a.watch.started(n.m.Timeout.Idle)
	}
	n.c.Release()
	rec.UpstreamID, rec.Dropped, rec.Limits = a.send.RequestID, a.send.Dropped, a.send.Limits
	if n.c.Stream {
		a.rec.FirstToken = time.Since(a.rec.Start)
		rec.FirstToken = time.Since(n.start)
	}
	return a, nil
}

// maxHeld bounds what is kept of an answer before its first content, in bytes.
// It is a few hundred bytes with the providers there are.
const maxHeld = 1 << 20

// first pulls until the first content. Any failure until then is as if nothing had come.
func (a *attempt) first(ctx context.Context) *llm.Error {
	ans, err := a.p.Upstream.Do(ctx, a.run.c, &a.send)
	a.rec.Status = a.send.Status
	if err != nil {
		return llm.AsError(err)
	}
	a.ans = ans
	held := 0
	for {
		ev, err := ans.Next()
		if err == io.EOF {
			err = a.fault(llm.KindIncompleteStream, "the provider's answer ended without content")
		}
		if err != nil {
			return llm.AsError(err)
		}
		a.note(ev)
		if ev.Content {
			a.cur = ev
			return nil
		}
		if ev.Final {
			return a.fault(llm.KindBadResponse, "the provider's answer is empty")
		}
		if held += len(ev.Data); held > maxHeld {
			return a.fault(llm.KindBadResponse, "the provider sends much that is no content")
		}
		a.held = append(a.held, keep(ev))
	}
}

// keep copies an event that outlives the following Next.
func keep(ev *pipeline.Event) pipeline.Event {
	k := *ev
	k.Data, k.Deltas, k.More = slices.Clone(ev.Data), slices.Clone(ev.Deltas), true
	for i := range k.Deltas {
		k.Deltas[i].Raw = slices.Clone(k.Deltas[i].Raw)
	}
	return k
}

func (a *attempt) fault(kind llm.Kind, text string) *llm.Error {
	e := llm.Errorf(kind, "%s", text)
	e.Provider, e.ProviderStatus, e.Sent = a.p.Name, a.rec.Status, true
	return e
}

// note reads usage and size as they pass.
func (a *attempt) note(ev *pipeline.Event) {
	a.size += ev.TextSize
	if a.rec.Usage.Merge(ev.Usage); ev.Usage.Reported {
		a.told = a.size
	}
	if ev.Finish != llm.FinishUnknown {
		a.run.c.Record.Finish = ev.Finish
	}
}

// Next gives on what was held, then pulls.
func (a *attempt) Next() (*pipeline.Event, error) {
	if len(a.held) > 0 {
		ev := &a.held[0]
		a.held = a.held[1:]
		return ev, nil
	}
	ev := a.cur
	if a.cur = nil; ev == nil {
		if a.err != nil {
			return nil, a.err
		}
		var err error
		ev, err = a.pull()
		if err == io.EOF && !a.ended {
			err = a.fault(llm.KindIncompleteStream, "the provider's answer ended without its end mark")
		}
		if err != nil {
			a.err = err
			if err != io.EOF {
				a.end(llm.AsError(err))
			}
			return nil, err
		}
		a.note(ev)
	}
	if ev.Final {
		a.end(nil)
	}
	return ev, nil
}

// pull gets the next event. The clocks run while it is waited for, and are left alone
// while it is not: the time of an event that came together with the one before is known.
func (a *attempt) pull() (*pipeline.Event, error) {
	if a.more {
		ev, err := a.ans.Next()
		a.more = err == nil && ev.More
		a.fed = a.fed || err == nil && ev.Content
		return ev, err
	}
	begun := time.Now()
	a.watch.wait(begun, a.fed)
	ev, err := a.ans.Next()
	now := time.Now()
	a.run.c.Record.Waited += now.Sub(begun)
	a.fed = false
	if err == nil {
		a.watch.came(now, ev.Content)
		a.more = ev.More
	}
	return ev, err
}

// Close ends the attempt where it stands: the client left, unless the answer is over already.
func (a *attempt) Close() error {
	if !a.ended {
		e := pipeline.Cause(a.run.ctx)
		if e == nil {
			e = llm.Errorf(llm.KindClientClosed, "the client closed the connection")
		}
		a.end(e)
	}
	err := a.ans.Close()
	a.cancel(context.Canceled)
	return err
}

// end completes the attempt's record, once. After a failure everything the
// attempt holds is released at once.
func (a *attempt) end(le *llm.Error) {
	if a.ended {
		return
	}
	a.ended = true
	a.watch.stop()
	now := time.Now()
	a.rec.Latency = now.Sub(a.rec.Start)
	if le != nil {
		a.rec.Kind, a.rec.Message, a.rec.RetryAfter = le.Kind, le.Summary(), le.RetryAfter
		if a.rec.Status == 0 {
			a.rec.Status = le.ProviderStatus
		}
		if a.ans != nil {
			a.ans.Close()
		}
		a.cancel(le)
	}
	a.estimate()
	a.run.c.Record.Attempts = append(a.run.c.Record.Attempts, a.rec)
	a.p.Health.end(now, &a.rec)
}

// bytesPerToken is a rule of thumb for English text and code, used only where a
// provider that answered reports no usage; such usage is marked as estimated.
const bytesPerToken = 4

// estimate fills in what the provider did not report of an answer that began:
// the input, if it told nothing, and the output that came after its last report
// if the answer broke off (the first report of a stream counts next to none).
func (a *attempt) estimate() {
	u, c := &a.rec.Usage, a.run.c
	answered := a.rec.Status >= 200 && a.rec.Status <= 299
	whole := a.rec.Kind == "" || a.size == a.told
	if !answered || u.Reported && whole || c.Op != pipeline.OpGenerate {
		return
	}
	u.Output += tokens(a.size - a.told)
	if u.TotalInput() == 0 {
		u.Input = tokens(a.prompt)
	}
	u.Reported = false
}

func tokens(bytes int) int64 { return int64(bytes+bytesPerToken-1) / bytesPerToken }
