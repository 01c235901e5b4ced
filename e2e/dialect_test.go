// Package e2e tests the gateway from outside: the built binary as a process, real
// sockets, an upstream scripted down to the byte. Each test is named after the class
// of failure it stands for.
package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/testkit"
	"github.com/breakwater-llm/breakwater/internal/wire/sse"
)

// surface is a protocol that clients speak.
type surface struct {
	name string
	path string
}

var (
	chat     = surface{"chat", "/v1/chat/completions"}
	messages = surface{"messages", "/v1/messages"}
	surfaces = []surface{chat, messages}
)

// kinds are the protocols that upstreams speak.
var kinds = []string{"openai", "anthropic"}

// request is a small request for the model.
func (s surface) request(model string, stream bool, extra ...string) string {
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hi"}]`, model)
	if s == messages {
		body += `,"max_tokens":100`
	}
	if stream {
		body += `,"stream":true`
	}
	for _, e := range extra {
		body += "," + e
	}
	return body + "}"
}

// each runs a test for every surface against every kind of upstream. The model "m" stands for
// p1, then p2, both of that kind.
func each(t *testing.T, f func(t *testing.T, s surface, kind string)) {
	for _, s := range surfaces {
		for _, kind := range kinds {
			t.Run(s.name+"-to-"+kind, func(t *testing.T) {
				t.Parallel()
				f(t, s, kind)
			})
		}
	}
}

// pair is a configuration of two upstreams of one kind behind model "m"; settings are added to the model.
func pair(kind string, p1, p2 *testkit.Upstream, settings ...string) string {
	base := func(u *testkit.Upstream) string {
		if kind == "openai" {
			return u.URL() + "/v1"
		}
		return u.URL()
	}
	conf := fmt.Sprintf("providers:\n  p1: {type: %s, base_url: %s, api_key: sk-upstream-key-one-0123456789}\n", kind, base(p1))
	targets := "{provider: p1, model: m1}"
	if p2 != nil {
		conf += fmt.Sprintf("  p2: {type: %s, base_url: %s, api_key: sk-upstream-key-two-0123456789}\n", kind, base(p2))
		targets += ", {provider: p2, model: m2}"
	}
	conf += "models:\n  m:\n    targets: [" + targets + "]\n"
	for _, s := range settings {
		conf += "    " + s + "\n"
	}
	return conf
}

// frames are the events of a stream of the kind: the pieces of text, then the end.
func frames(kind string, pieces ...string) (head, content, tail []string) {
	if kind == "openai" {
		chunk := func(delta, finish string) string {
			return `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m1","choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}],"usage":null}` + "\n\n"
		}
		head = []string{chunk(`{"role":"assistant","content":""}`, "null")}
		for _, p := range pieces {
			content = append(content, chunk(`{"content":`+quote(p)+`}`, "null"))
		}
		tail = []string{
			chunk(`{}`, `"stop"`),
			`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}` + "\n\n",
			"data: [DONE]\n\n",
		}
		return head, content, tail
	}
	ev := func(name, data string) string { return "event: " + name + "\ndata: " + data + "\n\n" }
	head = []string{
		ev("message_start", `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m1","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":1}}}`),
		ev("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`),
		ev("ping", `{"type": "ping"}`),
	}
	for _, p := range pieces {
		content = append(content, ev("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`+quote(p)+`}}`))
	}
	tail = []string{
		ev("content_block_stop", `{"type":"content_block_stop","index":0}`),
		ev("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5}}`),
		ev("message_stop", `{"type":"message_stop"}`),
	}
	return head, content, tail
}

// whole is a complete answer of the kind that does not stream.
func whole(kind, text string) string {
	if kind == "openai" {
		return `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m1","choices":[{"index":0,"message":{"role":"assistant","content":` + quote(text) + `},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}`
	}
	return `{"id":"msg_1","type":"message","role":"assistant","model":"m1","content":[{"type":"text","text":` + quote(text) + `}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":5}}`
}

// failure is an error body of the kind.
func failure(kind, typ, text string) string {
	if kind == "openai" {
		return fmt.Sprintf(`{"error":{"message":%q,"type":%q,"param":null,"code":%q}}`, text, typ, typ)
	}
	return fmt.Sprintf(`{"type":"error","error":{"type":%q,"message":%q},"request_id":"req_1"}`, typ, text)
}

// failureEvent is an error inside a stream of the kind.
func failureEvent(kind, typ, text string) string {
	if kind == "openai" {
		return "data: " + failure(kind, typ, text) + "\n\n"
	}
	return "event: error\ndata: " + failure(kind, typ, text) + "\n\n"
}

// answers is a script that answers every call well: whole, or as a stream if it was asked for.
func answers(kind string, pieces ...string) func(x *testkit.Exchange) {
	return func(x *testkit.Exchange) {
		if !x.JSON(`"stream":true`) {
			x.Respond(200, whole(kind, strings.Join(pieces, "")))
			return
		}
		head, content, tail := frames(kind, pieces...)
		x.StreamHead()
		for _, f := range append(append(head, content...), tail...) {
			x.Chunk(f)
		}
		x.EndChunks()
	}
}

// got is what a client makes of a streamed answer.
type got struct {
	text     string
	complete bool   // the success marker came
	failed   bool   // the error event came
	errType  string // of the error event
	after    bool   // something came after the end
	finish   string
	usage    bool
	calls    map[int]*call
}

type call struct{ id, name, args string }

// read parses a stream as the surface's clients do.
func (s surface) read(t testing.TB, body []byte) got {
	t.Helper()
	g := got{calls: map[int]*call{}}
	r := sse.NewReader(bytes.NewReader(body), 0)
	for {
		ev, err := r.Next()
		if err != nil {
			return g
		}
		if ev.Data == nil {
			continue
		}
		if g.complete || g.failed {
			g.after = true
		}
		if s == chat {
			g.chatEvent(t, ev.Data)
		} else {
			g.messagesEvent(t, ev.Data)
		}
	}
}

func (g *got) at(i int) *call {
	if g.calls[i] == nil {
		g.calls[i] = &call{}
	}
	return g.calls[i]
}

func (g *got) chatEvent(t testing.TB, data []byte) {
	if string(data) == "[DONE]" {
		g.complete = true
		return
	}
	var c struct {
		Error *struct {
			Type string `json:"type"`
			Code any    `json:"code"`
		} `json:"error"`
		Usage   *struct{} `json:"usage"`
		Choices []struct {
			Finish *string `json:"finish_reason"`
			Delta  struct {
				Content string `json:"content"`
				Tools   []struct {
					Index    int    `json:"index"`
					ID       string `json:"id"`
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
			} `json:"delta"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		t.Errorf("not JSON: %v: %s", err, data)
	}
	if c.Error != nil {
		g.failed, g.errType = true, c.Error.Type
	}
	g.usage = g.usage || c.Usage != nil
	for _, ch := range c.Choices {
		g.text += ch.Delta.Content
		if ch.Finish != nil {
			g.finish = *ch.Finish
		}
		for _, tc := range ch.Delta.Tools {
			k := g.at(tc.Index)
			if tc.ID != "" {
				k.id, k.name = tc.ID, tc.Function.Name
			}
			k.args += tc.Function.Arguments
		}
	}
}

func (g *got) messagesEvent(t testing.TB, data []byte) {
	var e struct {
		Type  string
		Index int
		Block struct{ Type, ID, Name string } `json:"content_block"`
		Delta struct {
			Type, Text string
			Partial    string  `json:"partial_json"`
			Stop       *string `json:"stop_reason"`
		}
		Usage *struct{}
		Error struct{ Type string }
	}
	if err := json.Unmarshal(data, &e); err != nil {
		t.Errorf("not JSON: %v: %s", err, data)
	}
	switch e.Type {
	case "error":
		g.failed, g.errType = true, e.Error.Type
	case "message_stop":
		g.complete = true
	case "message_delta":
		if e.Delta.Stop != nil {
			g.finish = *e.Delta.Stop
		}
		g.usage = g.usage || e.Usage != nil
	case "content_block_start":
		if e.Block.Type == "tool_use" {
			k := g.at(e.Index)
			k.id, k.name = e.Block.ID, e.Block.Name
		}
	case "content_block_delta":
		g.text += e.Delta.Text
		if e.Delta.Type == "input_json_delta" {
			g.at(e.Index).args += e.Delta.Partial
		}
	}
}

// text is the text of a whole answer.
func (s surface) text(t testing.TB, body []byte) string {
	t.Helper()
	var a struct {
		Choices []struct {
			Message struct{ Content string }
		}
		Content []struct{ Text string }
	}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Errorf("not JSON: %v: %.300s", err, body)
		return ""
	}
	if s == chat && len(a.Choices) > 0 {
		return a.Choices[0].Message.Content
	}
	if s == messages && len(a.Content) > 0 {
		return a.Content[0].Text
	}
	return ""
}

// errorOf reads an error body, which must be in the surface's own shape.
func (s surface) errorOf(t testing.TB, body []byte) (typ, code, message string) {
	t.Helper()
	var e struct {
		Type  string
		Error struct{ Type, Code, Message string }
	}
	if err := json.Unmarshal(body, &e); err != nil {
		t.Errorf("the error is not JSON: %v: %.300s", err, body)
	}
	if e.Error.Message == "" || e.Error.Type == "" || (s == messages) != (e.Type == "error") {
		t.Errorf("not an error in the dialect of %s: %.300s", s.name, body)
	}
	return e.Error.Type, e.Error.Code, e.Error.Message
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}
