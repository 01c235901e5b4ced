package pipeline

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

// Op is what a call asks for.
type Op string

// The operations.
const (
	OpGenerate    Op = "generate"
	OpCountTokens Op = "count_tokens"
)

// Call is one request on its way down. It belongs to one goroutine at a time.
type Call struct {
	ID      string // request id, shown to the client
	Op      Op
	Surface llm.Protocol // the client's dialect: answers come back in it
	Codec   wire.Codec   // of Surface; nil for llm.Native
	Model   string       // as asked
	Stream  bool

	// Doc is the client's body, checked at the door. Nil for a native call,
	// which has Request from the start, and once an answer is committed.
	Doc  *jsondoc.Doc
	Door wire.Door
	// Header holds what of the client's headers a provider of the same
	// protocol may see (anthropic-version, anthropic-beta, ...).
	Header http.Header

	Identity Identity
	Session  string // conversation, if the client named one
	Tags     map[string]string
	// Timeout is the client's own limit for the call; 0: none.
	Timeout time.Duration
	// Tries is how often a target may be tried; 0: as the model's configuration says.
	Tries int

	Record *Record
	// Refused is why the call must not go on: it failed at the door. It goes
	// through the pipeline all the same, so that it is recorded like any other.
	Refused *llm.Error

	request *llm.Request
}

// Identity says who calls.
type Identity struct {
	KeyID  string   // "" for an anonymous caller of an open gateway
	Models []string // what the key may use; nil: everything
	Tags   map[string]string
}

// SetRequest gives a native call its request.
func (c *Call) SetRequest(r *llm.Request) { c.request = r }

// Request is the call in the common vocabulary, decoded on first use. It must
// not be changed: other attempts read it too.
func (c *Call) Request() (*llm.Request, error) {
	if c.request == nil {
		r, err := c.Codec.DecodeRequest(c.Doc)
		if err != nil {
			return nil, err
		}
		c.request = r
	}
	return c.request, nil
}

// Release lets go of the request when an answer is committed and nothing will be sent any more: a
// stream may be held for long, and prompts are large.
func (c *Call) Release() { c.Doc, c.request = nil, nil }

// Event is one step of an answer, in the client's dialect.
type Event struct {
	Data   []byte      // what the client is to read: a whole frame, or a whole body
	Deltas []llm.Event // the same in the common vocabulary; only for native calls
	wire.Facts
	// More: the next event is already here, so a flush can wait for it.
	More bool
}

// Answer is pulled with Next until io.EOF.
type Answer interface {
	// Next returns the next event. After an event with Final set it returns
	// io.EOF; if the answer breaks, an *llm.Error.
	Next() (*Event, error)
	// Close releases everything the answer holds and cancels what still runs
	// upstream. Safe to call twice and at any time.
	Close() error
}

// Handler answers calls. An error means that no answer began.
type Handler interface {
	Handle(ctx context.Context, c *Call) (Answer, error)
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, c *Call) (Answer, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, c *Call) (Answer, error) { return f(ctx, c) }

// Stage wraps a handler with one concern.
type Stage func(next Handler) Handler

// Chain puts stages around h: the first is the outermost.
func Chain(h Handler, stages ...Stage) Handler {
	for i := len(stages) - 1; i >= 0; i-- {
		h = stages[i](h)
	}
	return h
}

// Whole is an answer of one event.
func Whole(ev Event) Answer {
	ev.Final = true
	return &whole{ev: ev}
}

type whole struct {
	ev   Event
	done bool
}

func (w *whole) Next() (*Event, error) {
	if w.done {
		return nil, io.EOF
	}
	w.done = true
	return &w.ev, nil
}

func (w *whole) Close() error { w.done = true; return nil }

// Door is the stage that ends calls which were refused at the door.
func Door(next Handler) Handler {
	return HandlerFunc(func(ctx context.Context, c *Call) (Answer, error) {
		if c.Refused != nil {
			return nil, c.Refused
		}
		return next.Handle(ctx, c)
	})
}
