package upstream_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/testkit"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/internal/upstream/anthropic"
	"github.com/breakwater-llm/breakwater/internal/upstream/openai"
	"github.com/breakwater-llm/breakwater/internal/wire"
	wireanthropic "github.com/breakwater-llm/breakwater/internal/wire/anthropic"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	wireopenai "github.com/breakwater-llm/breakwater/internal/wire/openai"
	"github.com/breakwater-llm/breakwater/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// transports are those that the gateway uses, both of which every test of the network runs on.
var transports = map[string]func(url string) upstream.Transport{
	"h1":       upstream.NewTransport,
	"net/http": func(string) upstream.Transport { return upstream.NewTLSTransport() },
}

func onEachTransport(t *testing.T, f func(t *testing.T, make func(url string) upstream.Transport)) {
	for name, make := range transports {
		t.Run(name, func(t *testing.T) { f(t, make) })
	}
}

type setup struct {
	kind      upstream.Kind
	maxAnswer int64
	maxEvent  int
	scrub     func([]byte) []byte
}

func newEndpoint(t *testing.T, url string, make func(string) upstream.Transport, s setup) *upstream.Endpoint {
	t.Helper()
	if s.kind.Codec == nil {
		s.kind = openai.Kind(url)
	}
	rt := make(url)
	t.Cleanup(rt.CloseIdleConnections)
	e, err := upstream.New(upstream.Options{
		Name: "prov", Kind: s.kind, BaseURL: url, Transport: rt, UserAgent: "breakwater/test",
		MaxAnswer: s.maxAnswer, MaxEvent: s.maxEvent, Scrub: s.scrub,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const key = "sk-test-0123456789abcdef"

// newCall makes a call of a protocol, as the server does.
func newCall(t testing.TB, p llm.Protocol, stream bool) *pipeline.Call {
	t.Helper()
	var codec wire.Codec = wireopenai.New()
	if p == llm.AnthropicMessages {
		codec = wireanthropic.New()
	}
	body := fmt.Sprintf(`{"model":"asked","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":%v}`, stream)
	doc, err := jsondoc.Parse([]byte(body), codec.Shape())
	if err != nil {
		t.Fatal(err)
	}
	c := &pipeline.Call{ID: "req_1", Op: pipeline.OpGenerate, Surface: p, Codec: codec, Doc: doc, Record: &pipeline.Record{}}
	if c.Door, err = codec.Door(doc); err != nil {
		t.Fatal(err)
	}
	c.Model, c.Stream = c.Door.Model, c.Door.Stream
	return c
}

// result is a call, done.
type result struct {
	data string // all events' bytes
	err  *llm.Error
	send upstream.Send
	end  bool // an event was final
}

func do(ctx context.Context, e *upstream.Endpoint, c *pipeline.Call) (r result) {
	r.send = upstream.Send{Model: "sent", Key: key}
	ans, err := e.Do(ctx, c, &r.send)
	if err != nil {
		r.err = llm.AsError(err)
		return r
	}
	defer ans.Close()
	for {
		ev, err := ans.Next()
		if err == io.EOF {
			return r
		}
		if err != nil {
			r.err = llm.AsError(err)
			return r
		}
		r.data += string(ev.Data)
		r.end = r.end || ev.Final
	}
}

const (
	wholeOpenAI = `{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","odd":1},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`
	wholeAnth   = `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}`
)

func chunk(content string) string {
	return `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"` + content + `"},"finish_reason":null}]}` + "\n\n"
}

var (
	finish     = `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	usageChunk = `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}` + "\n\n"
	doneMark   = "data: [DONE]\n\n"

	streamOpenAI = chunk("Hel") + chunk("lo") + finish + doneMark
	streamAnth   = anthEvent("message_start", `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}`) +
		anthEvent("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`) +
		anthEvent("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`) +
		anthEvent("content_block_stop", `{"type":"content_block_stop","index":0}`) +
		anthEvent("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`) +
		anthEvent("message_stop", `{"type":"message_stop"}`)
)

func anthEvent(name, data string) string { return "event: " + name + "\ndata: " + data + "\n\n" }

// kinds are the two kinds of provider with an answer of each framing.
var kinds = []struct {
	name          string
	protocol      llm.Protocol
	kind          upstream.Kind
	whole, stream string
}{
	{"openai", llm.OpenAIChat, openai.Kind(""), wholeOpenAI, streamOpenAI},
	{"anthropic", llm.AnthropicMessages, anthropic.Kind(), wholeAnth, streamAnth},
}

// wellFormed reports what is wrong with an answer given to a client.
func wellFormed(p llm.Protocol, stream bool, data string) string {
	switch {
	case p == llm.OpenAIChat && stream:
		if !strings.HasSuffix(data, doneMark) || strings.Count(data, "[DONE]") != 1 || !strings.Contains(data, `"finish_reason":"stop"`) {
			return "not a whole stream"
		}
	case p == llm.AnthropicMessages && stream:
		if strings.Count(data, "event: message_start\n") != 1 || strings.Count(data, "event: message_stop\n") != 1 || !strings.HasSuffix(data, "\n\n") {
			return "not a whole stream"
		}
	case p == llm.OpenAIChat:
		if f := wireopenai.New().InspectResponse([]byte(data)); f.Err != nil || f.Finish != llm.FinishStop {
			return "not a whole answer"
		}
	default:
		if f := wireanthropic.New().InspectResponse([]byte(data)); f.Err != nil || f.Finish != llm.FinishStop {
			return "not a whole answer"
		}
	}
	if !strings.Contains(strings.ReplaceAll(data, `Hel"`, `Hel`), "Hel") {
		return "without its text"
	}
	return ""
}

// answers makes a script that gives the same answer to every request.
func answers(status int, contentType, body string, headers ...string) func(*testkit.Exchange) {
	return func(x *testkit.Exchange) {
		x.Respond(status, body, append(headers, "Content-Type: "+contentType)...)
	}
}

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 2 s", what)
		}
	}
}

func names(h http.Header) (out []string) {
	for k := range h {
		out = append(out, k)
	}
	return out
}
