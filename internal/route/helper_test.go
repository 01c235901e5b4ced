package route

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/secret"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// fake is a scripted upstream. It behaves as the real one does where contexts
// are concerned: a cancelled attempt fails with the cause of its context.
type fake struct {
	name   string
	script func(x *exchange) reply
	ops    map[pipeline.Op]bool // nil: all

	mu    sync.Mutex
	calls []*exchange
}

// exchange is one call that a fake received.
type exchange struct {
	n      int // 1 for the fake's first
	at     time.Time
	id     string // the call's
	key    string
	model  string
	stream bool
	closed int
	ctx    context.Context
}

// reply is what a fake does with an exchange: it waits, then fails or tells
// events. hang waits for ever.
type reply struct {
	after  time.Duration
	hang   bool
	err    *llm.Error
	status int // of the answer; 0: 200
	events []timed
	panics bool
}

// timed is an event, or the error in its place, after a time.
type timed struct {
	after time.Duration
	hang  bool
	ev    pipeline.Event
	err   error
}

func (f *fake) Do(ctx context.Context, c *pipeline.Call, s *upstream.Send) (pipeline.Answer, error) {
	f.mu.Lock()
	x := &exchange{n: len(f.calls) + 1, at: time.Now(), id: c.ID, key: s.Key, model: s.Model, stream: c.Stream, ctx: ctx}
	f.calls = append(f.calls, x)
	f.mu.Unlock()
	r := f.script(x)
	if err := pause(ctx, r.after, r.hang); err != nil {
		err.Provider = f.name
		return nil, err
	}
	if r.panics {
		panic("upstream")
	}
	if r.err != nil {
		e := *r.err
		e.Provider = f.name
		s.Status = e.ProviderStatus
		return nil, &e
	}
	s.Status = max(r.status, 200)
	if !c.Stream && len(r.events) > 1 { // a whole answer is read before it is given, as one event
		if err := f.collect(ctx, &r); err != nil {
			return nil, err
		}
	}
	return &fakeAnswer{f: f, x: x, ctx: ctx, events: r.events}, nil
}

// collect makes one event of the reply's.
func (f *fake) collect(ctx context.Context, r *reply) *llm.Error {
	all := pipeline.Event{}
	for _, e := range r.events {
		if err := pause(ctx, e.after, e.hang); err != nil {
			err.Provider = f.name
			return err
		}
		if e.err != nil {
			return llm.AsError(e.err)
		}
		all.Data = append(all.Data, e.ev.Data...)
		all.Content = all.Content || e.ev.Content
		all.Final = all.Final || e.ev.Final
		all.TextSize += e.ev.TextSize
	}
	if !all.Final {
		return failure(llm.KindIncompleteStream, 200, -1)
	}
	r.events = []timed{{ev: all}}
	return nil
}

func pause(ctx context.Context, d time.Duration, hang bool) *llm.Error {
	if hang {
		<-ctx.Done()
		return pipeline.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return pipeline.Cause(ctx)
	}
}

func (f *fake) Offers(op pipeline.Op) bool { return f.ops == nil || f.ops[op] }
func (f *fake) Host() string               { return f.name + ".test" }

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

func (f *fake) all() []*exchange {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*exchange(nil), f.calls...)
}

type fakeAnswer struct {
	f      *fake
	x      *exchange
	ctx    context.Context
	events []timed
	buf    []byte
	ev     pipeline.Event
	err    error
}

func (a *fakeAnswer) Next() (*pipeline.Event, error) {
	if a.err != nil {
		return nil, a.err
	}
	if len(a.events) == 0 {
		a.err = io.EOF
		return nil, io.EOF
	}
	next := a.events[0]
	a.events = a.events[1:]
	if err := pause(a.ctx, next.after, next.hang); err != nil {
		a.err = err
		return nil, err
	}
	if next.err != nil {
		a.err = next.err
		return nil, next.err
	}
	// One buffer for all events: who keeps an event without copying it is found out.
	a.buf = append(a.buf[:0], next.ev.Data...)
	a.ev = next.ev
	a.ev.Data = a.buf
	return &a.ev, nil
}

func (a *fakeAnswer) Close() error {
	a.f.mu.Lock()
	a.x.closed++
	a.f.mu.Unlock()
	a.events = nil
	if a.err == nil {
		a.err = llm.Errorf(llm.KindClientClosed, "closed")
	}
	return nil
}

// Events of a stream.
func ping(d time.Duration) timed {
	return timed{after: d, ev: pipeline.Event{Data: []byte(": ping\n\n"), Facts: wire.Facts{Ping: true}}}
}

func meta(d time.Duration, text string) timed {
	return timed{after: d, ev: pipeline.Event{Data: []byte(text)}}
}

func content(d time.Duration, text string) timed {
	return timed{after: d, ev: pipeline.Event{Data: []byte(text), Facts: wire.Facts{Content: true, TextSize: len(text)}}}
}

func final(d time.Duration) timed {
	return timed{after: d, ev: pipeline.Event{Data: []byte("[END]"), Facts: wire.Facts{Final: true}}}
}

// whole is a complete answer of one event.
func whole(text string) []timed {
	return []timed{{ev: pipeline.Event{Data: []byte(text), Facts: wire.Facts{Content: true, Final: true, TextSize: len(text)}}}}
}

func says(text string) func(*exchange) reply {
	return func(*exchange) reply { return reply{events: whole(text)} }
}

func fails(e *llm.Error) func(*exchange) reply {
	return func(*exchange) reply { return reply{err: e} }
}

// failure is a provider's error.
func failure(kind llm.Kind, status int, retryAfter time.Duration) *llm.Error {
	e := llm.Errorf(kind, "scripted")
	e.ProviderStatus, e.RetryAfter = status, retryAfter
	return e
}

// newProvider makes a provider with n keys whose values are "<name>-key-<i>".
func newProvider(f *fake, keys int) *Provider {
	p := &Provider{Name: f.name, Upstream: f, Budget: &Budget{}}
	for i := range keys {
		p.Keys = append(p.Keys, &Key{ID: fmt.Sprintf("%s#%d", f.name, i+1), Value: secret.New(fmt.Sprintf("%s-key-%d", f.name, i+1))})
	}
	return p
}

var (
	testRetry   = Retry{Attempts: 2, Backoff: 250 * time.Millisecond, MaxBackoff: 8 * time.Second, Budget: 0.2}
	testTimeout = Timeout{Connect: 5 * time.Second, FirstToken: 20 * time.Second, Idle: 30 * time.Second, Total: 10 * time.Minute}
)

// world is a router with one model, "m", over the given fakes in order.
type world struct {
	r         *Router
	model     *Model
	providers []*Provider
}

func newWorld(keys int, fakes ...*fake) *world {
	w := &world{model: &Model{Name: "m", Retry: testRetry, Timeout: testTimeout}}
	named := map[string]*Provider{}
	for _, f := range fakes {
		p := newProvider(f, keys)
		w.providers = append(w.providers, p)
		named[f.name] = p
		w.model.Targets = append(w.model.Targets, Target{Provider: p, Model: f.name + "-model"})
	}
	w.r = New(Options{Models: map[string]*Model{"m": w.model}, Providers: named, Random: func() float64 { return 0.5 }})
	return w
}

var callID struct {
	sync.Mutex
	n int
}

func newCall(stream bool) *pipeline.Call {
	callID.Lock()
	defer callID.Unlock()
	callID.n++
	return &pipeline.Call{
		ID: fmt.Sprintf("call-%d", callID.n), Op: pipeline.OpGenerate, Surface: llm.OpenAIChat, Model: "m", Stream: stream,
		Record: &pipeline.Record{Start: time.Now()},
	}
}

// outcome is a call, done.
type outcome struct {
	text string
	err  *llm.Error
	rec  *pipeline.Record
	took time.Duration
}

// do makes a call and reads its answer to the end.
func (w *world) do(ctx context.Context, c *pipeline.Call) outcome {
	start := time.Now()
	ans, err := w.r.Handle(ctx, c)
	if err != nil {
		return outcome{err: llm.AsError(err), rec: c.Record, took: time.Since(start)}
	}
	defer ans.Close()
	text, err := readAll(ans)
	return outcome{text: text, err: llm.AsError(err), rec: c.Record, took: time.Since(start)}
}

func readAll(ans pipeline.Answer) (text string, err error) {
	for {
		ev, err := ans.Next()
		if err == io.EOF {
			return text, nil
		}
		if err != nil {
			return text, err
		}
		text += string(ev.Data)
	}
}

// reasons tells a record's attempts, as "reason" or "-reason" where one was skipped.
func reasons(r *pipeline.Record) (out []string) {
	for _, a := range r.Attempts {
		reason := a.Reason
		if a.Skipped {
			reason = "-" + reason
		}
		out = append(out, reason)
	}
	return out
}

// parent is a context that knows which contexts still hang on it.
type parent struct {
	context.Context
	done chan struct{}

	mu       sync.Mutex
	err      error
	children map[int]func()
	next     int
}

func newParent() *parent {
	return &parent{Context: context.Background(), done: make(chan struct{}), children: map[int]func(){}}
}

func (p *parent) Done() <-chan struct{} { return p.done }

func (p *parent) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// AfterFunc is how package context attaches children to a foreign parent.
func (p *parent) AfterFunc(f func()) (stop func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		go f()
		return func() bool { return false }
	}
	p.next++
	id := p.next
	p.children[id] = f
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, ok := p.children[id]
		delete(p.children, id)
		return ok
	}
}

// leave cancels the context, as a client does that goes away.
func (p *parent) leave() {
	p.mu.Lock()
	if p.err != nil {
		p.mu.Unlock()
		return
	}
	p.err = context.Canceled
	close(p.done)
	children := p.children
	p.children = map[int]func(){}
	p.mu.Unlock()
	for _, f := range children {
		f()
	}
}

func (p *parent) attached() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.children)
}

func near(t *testing.T, what string, got, want, within time.Duration) {
	t.Helper()
	if got < want || got > want+within {
		t.Errorf("%s: %v, want %v to %v", what, got, want, want+within)
	}
}
