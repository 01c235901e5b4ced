// Package upstreamtest says what every kind of upstream must do, as tests that a
// kind runs with [Run]: answers of the client's own protocol pass through byte
// for byte, others are translated whole; failures are classified; a connection
// ends with its call; the key is where the provider looks for it and nowhere
// else.
//
// A kind brings a [Harness]: the protocol that its provider speaks, as samples
// ([Dialect]), and how to make an upstream whose provider plays a [Scene]. All
// samples of a dialect mean the same, so that the checks need to know no protocol:
// a text, a call of a tool, one set of counts.
//
// It is for tests only. It does not judge translations in detail; that is the work
// of the wire packages' tests and of the replays of recorded traffic.
package upstreamtest

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

// Upstream is what is tested.
type Upstream interface {
	Do(ctx context.Context, c *pipeline.Call, s *upstream.Send) (pipeline.Answer, error)
	Offers(op pipeline.Op) bool
	Host() string
}

// What the provider answers with in every scene that ends well. The counts hold for
// texts and calls alike.
const (
	AnswerText  = "Grüße, 世界!"
	AnswerModel = "provider-model-1"
	ToolName    = "lookup"
	ToolArgs    = `{"q":"a \"b\" ü"}`
	ToolID      = "call_1"
	InputTokens = 11
	Cached      = 3 // of InputTokens
	Output      = 5
)

// Scene is what the provider does with a call.
type Scene struct {
	Name   string
	Play   Play
	Error  *ErrorRow // with Refuse
	Stream bool      // the call asks for a stream
	// Opposite: the provider streams what was asked for whole, and the other way round.
	Opposite bool
}

// Play is the kind of a scene.
type Play string

// The plays.
const (
	Text       Play = "text"        // answers AnswerText
	Tool       Play = "tool"        // calls ToolName
	Count      Play = "count"       // counts tokens
	Refuse     Play = "refuse"      // answers with an error status
	ErrorEvent Play = "error event" // 200, a piece of text, then an error inside the stream
	Cut        Play = "cut"         // the answer stops part way, its connection ends in order
	Stall      Play = "stall"       // a piece of text, then nothing until the client leaves
	Redirect   Play = "redirect"    // 307 to Elsewhere
	Garbage    Play = "garbage"     // 200 with a page of HTML
)

// Provider is an upstream with its provider.
type Provider struct {
	Upstream Upstream
	// Requests are those that the provider has received.
	Requests func() []Request
	// Left waits until the provider sees that its last caller has left, at most for
	// the time, and reports whether it did.
	Left func(time.Duration) bool
	// Sent is the body of the answer, as bytes; nil if nobody can know them.
	Sent []byte
}

// Request is what the provider received.
type Request struct {
	Path   string
	Header http.Header
	Body   []byte
}

// Harness is a kind of upstream under test.
type Harness struct {
	// Speaks is the protocol that the provider speaks. Empty: the client's own, whatever it is.
	Speaks llm.Protocol
	// Play makes an upstream whose provider plays the scene for the call.
	Play func(t *testing.T, s Scene, c *pipeline.Call) *Provider
	// Errors are what the provider can answer to, see [Errors].
	Errors []ErrorRow
	// Key says which header holds the key, and in what form; "" if the kind sends none.
	KeyHeader, KeyForm string
	// NotApplicable names the checks that make no sense for this kind, and says why.
	NotApplicable map[string]string
}

// checks are run in this order. Each has the name that NotApplicable uses.
var checks = []struct {
	name string
	run  func(t *testing.T, h Harness)
}{
	{"pass-through", passThrough},
	{"translation", translation},
	{"tools", tools},
	{"framing", framing},
	{"native", native},
	{"usage", usage},
	{"errors", refusals},
	{"error event", errorEvent},
	{"incomplete", incomplete},
	{"garbage", garbage},
	{"redirect", redirect},
	{"cancel", cancel},
	{"close", closing},
	{"unsupported", unsupported},
	{"key", key},
	{"headers", headers},
	{"count tokens", countTokens},
}

// Run tests a kind. Every check runs, or is told as not applicable with its reason.
func Run(t *testing.T, h Harness) {
	known := map[string]bool{}
	for _, c := range checks {
		known[c.name] = true
		if why := h.NotApplicable[c.name]; why != "" {
			t.Logf("REPORT does not apply: %s: %s", c.name, why)
			continue
		}
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
	for name := range h.NotApplicable {
		if !known[name] {
			t.Errorf("NotApplicable names %q, which is no check", name)
		}
	}
}

// surfaces are the protocols that clients speak.
var surfaces = []llm.Protocol{llm.OpenAIChat, llm.AnthropicMessages}

// speaks reports whether the provider speaks the client's protocol.
func (h Harness) speaks(p llm.Protocol) bool { return h.Speaks == "" || h.Speaks == p }

// each runs a check for every protocol of clients, whole and streamed.
func (h Harness) each(t *testing.T, protocols []llm.Protocol, f func(t *testing.T, p llm.Protocol, stream bool)) {
	for _, p := range protocols {
		for _, stream := range []bool{false, true} {
			name := string(p) + "/whole"
			if stream {
				name = string(p) + "/stream"
			}
			t.Run(name, func(t *testing.T) { f(t, p, stream) })
		}
	}
}

// foreign are the client protocols that the provider does not speak.
func (h Harness) foreign() (out []llm.Protocol) {
	for _, p := range surfaces {
		if !h.speaks(p) {
			out = append(out, p)
		}
	}
	return out
}

// own are those that it speaks.
func (h Harness) own() (out []llm.Protocol) {
	for _, p := range surfaces {
		if h.speaks(p) {
			out = append(out, p)
		}
	}
	return out
}

// call makes a client's call of the protocol; members are added to the request. For
// llm.Native it is a call of the Go library.
func call(t *testing.T, p llm.Protocol, stream bool, members ...string) *pipeline.Call {
	t.Helper()
	c := &pipeline.Call{ID: "req_1", Op: pipeline.OpGenerate, Surface: p, Model: "asked", Stream: stream, Record: &pipeline.Record{}}
	if p == llm.Native {
		limit := 50
		c.SetRequest(&llm.Request{Model: "asked", MaxTokens: &limit, Stream: stream, Messages: []llm.Message{
			{Role: llm.RoleSystem, Parts: []llm.Part{{Text: "Be brief."}}},
			{Role: llm.RoleUser, Parts: []llm.Part{{Text: "Hello there"}}},
		}})
		return c
	}
	d := dialects[p]
	c.Codec = d.Codec
	body := strings.TrimSuffix(d.Request, "}")
	if stream {
		body += `,"stream":true` + d.WantUsage
	}
	for _, m := range members {
		body += "," + m
	}
	doc, err := jsondoc.Parse([]byte(body+"}"), d.Codec.Shape())
	if err != nil {
		t.Fatal(err)
	}
	c.Doc = doc
	if c.Door, err = d.Codec.Door(doc); err != nil {
		t.Fatal(err)
	}
	return c
}

// play makes the provider for a scene and asks it.
func (h Harness) play(t *testing.T, s Scene, c *pipeline.Call, send *upstream.Send) (*Provider, pipeline.Answer, error) {
	t.Helper()
	s.Stream = c.Stream
	p := h.Play(t, s, c)
	if send == nil {
		send = &upstream.Send{}
	}
	if send.Model == "" {
		send.Model = AnswerModel
	}
	ans, err := p.Upstream.Do(t.Context(), c, send)
	if ans != nil {
		t.Cleanup(func() { _ = ans.Close() })
	}
	return p, ans, err
}

// failure returns what went wrong as an error of the vocabulary.
func failure(t *testing.T, err error) *llm.Error {
	t.Helper()
	le, ok := err.(*llm.Error)
	if !ok {
		t.Fatalf("the error is %T, want *llm.Error: %v", err, err)
	}
	return le
}
