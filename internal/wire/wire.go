// Package wire holds what the wire formats share: the interface each of them
// implements, and the cheap facts that the pipeline reads off answers without
// decoding them. One sub-package a protocol does the translation, in both
// directions, as pure functions: no clock, no network, no logger, no
// configuration. Surfaces and upstreams of one protocol share it.
//
//	jsondoc   one strict pass over a body; spans and byte edits
//	sse       event-stream framing, size-bounded
//	openai    Chat Completions
//	anthropic Messages
package wire

import (
	"net/http"
	"time"

	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

// Codec is a wire format. Its methods may be called concurrently; what the
// New… methods return may not.
type Codec interface {
	Protocol() llm.Protocol

	// Shape lists the names that the protocol gives to the members of its
	// requests, so that the door can refuse odd-case twins of them.
	Shape() *jsondoc.Shape
	// Door checks a request at the door and reads what routing needs. It
	// fails with an *llm.Error of KindInvalidRequest that names the field.
	Door(doc *jsondoc.Doc) (Door, error)

	// DecodeRequest builds the common form of a request. Members it has no
	// place for go to Extra; broken ones fail with KindInvalidRequest.
	DecodeRequest(doc *jsondoc.Doc) (*llm.Request, error)
	// EncodeRequest writes a request for the named model. Whatever this protocol
	// cannot say is left out and named in unsupported, in the caller's terms
	// (Extra fields by their Path): the caller refuses or goes on, as configured.
	EncodeRequest(r *llm.Request, model string) (body []byte, unsupported []string, err error)
	// EditRequest lists the edits that make a client's own body of this protocol fit
	// for the provider: another model name, and a usage report in the stream where
	// the protocol has to be asked for one and askUsage is true.
	EditRequest(doc *jsondoc.Doc, model string, askUsage bool) []jsondoc.Edit

	// InspectResponse reads the facts off a whole 200 body. A body that is not
	// a complete answer of the protocol (not JSON, an error object, no choices)
	// yields Facts.Err.
	InspectResponse(body []byte) Facts
	DecodeResponse(body []byte) (*llm.Response, error)
	EncodeResponse(r *llm.Response) ([]byte, error)

	// InspectEvent reads the facts off one event of a stream: its name (event:
	// line, may be empty) and data.
	InspectEvent(name, data []byte) Facts
	// NewDecoder decodes one stream.
	NewDecoder() EventDecoder
	// NewEncoder writes one stream.
	NewEncoder(o EncoderOptions) EventEncoder

	// DecodeError reads a provider's error answer, whatever its form and
	// content type, classifies it, and keeps the body. It never fails. RetryAfter
	// is as told by headers or body, or negative.
	DecodeError(status int, h http.Header, body []byte, now time.Time) *llm.Error
	// EncodeError writes the error body for a client of this protocol. An
	// error whose Body is of this protocol is passed on as it came when it is
	// well-formed.
	EncodeError(e *llm.Error, requestID string) []byte
	// ErrorEvent writes the stream's error event, whole (framing included),
	// after which nothing follows.
	ErrorEvent(e *llm.Error, requestID string) []byte

	// Limits reads a provider's rate-limit headers; SetLimits writes them
	// under this protocol's names.
	Limits(h http.Header, now time.Time) []Limit
	SetLimits(h http.Header, limits []Limit, now time.Time)
}

// Door is what routing needs to know of a request.
type Door struct {
	Model     string
	Stream    bool
	WantUsage bool // the client asked for usage in the stream (always so where the protocol always sends it)
	MaxTokens int  // 0: not given
	User      string
}

// Facts are what the pipeline needs to know of an answer or of one event of it.
type Facts struct {
	// Content: something of the answer itself came (text, thinking, a tool
	// call, a refusal, a finish reason). Clocks are fed and the answer is
	// committed by content only.
	Content bool
	// Final: the protocol's own end mark ([DONE], message_stop, or the whole body).
	Final bool
	// UsageOnly: an event that carries nothing but usage and is sent only to clients that asked for it.
	UsageOnly bool
	// Ping: a heartbeat.
	Ping bool

	// Choices and Finished are sets, bit i for choice i, of the choices that this event is about and
	// of those that it finishes. Only protocols with several choices fill them.
	Choices, Finished uint64

	Finish   llm.FinishReason // set by the event that carries it
	Usage    llm.Usage        // Reported says whether there was any
	Model    string           // the model that answered, if told here
	ID       string           // the answer's id, if told here
	Err      *llm.Error       // an error inside the answer
	TextSize int              // bytes of answer text in this event, for estimates
}

// EventDecoder turns a stream's events into the common form.
type EventDecoder interface {
	// Decode appends to dst what one event means.
	Decode(dst []llm.Event, name, data []byte) ([]llm.Event, error)
	// End appends what the end of the body means: EventEnd, if the answer is
	// whole and no end mark was seen, or nothing if it was. It fails with
	// KindIncompleteStream if the answer is not whole.
	End(dst []llm.Event) ([]llm.Event, error)
}

// EventEncoder writes common events as a protocol's stream.
type EventEncoder interface {
	// Encode appends the frames for one event, framing included.
	Encode(dst []byte, ev llm.Event) ([]byte, error)
}

// EncoderOptions are what a stream's writer must know beforehand.
type EncoderOptions struct {
	ID        string // used if the answer brings none
	Model     string // used if the answer brings none
	Created   int64  // Unix seconds, used if the answer brings none
	WantUsage bool   // write the usage chunk where it is optional
}

// Limit is one rate limit as headers tell it.
type Limit struct {
	Unit      string        // requests, tokens, input-tokens, output-tokens
	Limit     int64         // negative: not told
	Remaining int64         // negative: not told
	Reset     time.Duration // until the limit is whole again; negative: not told
}
