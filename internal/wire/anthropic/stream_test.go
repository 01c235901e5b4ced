package anthropic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/sse"
	"github.com/breakwater-llm/breakwater/llm"
)

func encodeStream(t testing.TB, evs []llm.Event, o wire.EncoderOptions) []byte {
	t.Helper()
	enc := New().NewEncoder(o)
	var out []byte
	var err error
	for _, ev := range evs {
		if out, err = enc.Encode(out, ev); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// checkOrder checks the rules that clients of the protocol rely on, and returns
// whether the stream is complete.
func checkOrder(t testing.TB, stream []byte) bool {
	t.Helper()
	next, open, state := 0, -1, "new"
	for frame := range strings.SplitSeq(strings.TrimSuffix(string(stream), "\n\n"), "\n\n") {
		if frame == "" {
			continue
		}
		name, data, ok := strings.Cut(frame, "\ndata: ")
		name, named := strings.CutPrefix(name, "event: ")
		var ev struct {
			Type    string
			Index   *int
			Message *struct {
				Content []any
				Usage   map[string]any
				Reason  *string `json:"stop_reason"`
			}
			Usage map[string]any
			Delta struct {
				Reason string `json:"stop_reason"`
			}
		}
		if !ok || !named || strings.Contains(data, "\n") || json.Unmarshal([]byte(data), &ev) != nil || ev.Type != name {
			t.Fatalf("malformed frame: %q", frame)
		}
		switch name {
		case "message_start":
			if state != "new" || ev.Message.Content == nil || ev.Message.Usage["output_tokens"] == nil || ev.Message.Reason != nil {
				t.Fatalf("message_start in state %s: %s", state, data)
			}
			state = "blocks"
		case "content_block_start":
			if state != "blocks" || open >= 0 || ev.Index == nil || *ev.Index != next {
				t.Fatalf("block start out of order (open %d, next %d, %s): %s", open, next, state, data)
			}
			open = next
			next++
		case "content_block_delta", "content_block_stop":
			if state != "blocks" || open < 0 || ev.Index == nil || *ev.Index != open {
				t.Fatalf("%s out of order (open %d): %s", name, open, data)
			}
			if name == "content_block_stop" {
				open = -1
			}
		case "message_delta":
			if state != "blocks" || open >= 0 || ev.Usage["output_tokens"] == nil || finishOf[ev.Delta.Reason] == "" {
				t.Fatalf("message_delta in state %s, open %d: %s", state, open, data)
			}
			state = "done"
		case "message_stop":
			if state != "done" {
				t.Fatalf("message_stop in state %s", state)
			}
			state = "ended"
		default:
			t.Fatalf("unexpected event %s", name)
		}
	}
	return state == "ended"
}

// TestInterleavedCalls: three calls whose arguments come mixed arrive whole, one
// block a call.
func TestInterleavedCalls(t *testing.T) {
	for seed := range 500 {
		rnd := rand.New(rand.NewPCG(uint64(seed), 7))
		var want [3]string
		var pending [3][]llm.Event
		for i := range 3 {
			args, _ := json.Marshal(map[string]any{
				"text": strings.Repeat("日本語🙂\"\\\n", rnd.IntN(6)), "n": rnd.IntN(1000), "deep": []any{map[string]any{"k": i}},
			})
			want[i] = string(args)
			first := llm.Event{Type: llm.EventToolCall, Part: i + 1, ID: fmt.Sprintf("call_%d_%d", seed, i), Name: fmt.Sprintf("tool%d", i)}
			pending[i] = append(pending[i], first)
			for rest := want[i]; rest != ""; {
				n := min(len(rest), 1+rnd.IntN(9))
				for n < len(rest) && rest[n]&0xc0 == 0x80 {
					n++
				}
				pending[i] = append(pending[i], llm.Event{Type: llm.EventToolArgs, Part: i + 1, Text: rest[:n]})
				rest = rest[n:]
			}
			if rnd.IntN(2) == 0 {
				pending[i] = append(pending[i], llm.Event{Type: llm.EventPartEnd, Part: i + 1})
			}
		}
		evs := []llm.Event{{Type: llm.EventStart, ID: "chatcmpl-1", Model: "m"}, {Type: llm.EventText, Text: "let me see"}}
		// Calls begin in order; what follows is mixed.
		for begun := 0; len(pending[0])+len(pending[1])+len(pending[2]) > 0; {
			i := rnd.IntN(3)
			if len(pending[i]) == 0 || i > begun {
				continue
			}
			begun = max(begun, i+1)
			evs = append(evs, pending[i][0])
			pending[i] = pending[i][1:]
		}
		evs = append(evs, llm.Event{Type: llm.EventFinish, Finish: llm.FinishToolCalls},
			llm.Event{Type: llm.EventUsage, Usage: llm.Usage{Input: 5, Output: 9, Reported: true}}, llm.Event{Type: llm.EventEnd})

		stream := encodeStream(t, evs, wire.EncoderOptions{})
		if !checkOrder(t, stream) {
			t.Fatal("stream does not end")
		}
		back, err := decodeStream(bytes.NewReader(stream))
		if err != nil {
			t.Fatal(err)
		}
		r := collect(back)
		parts := r.Choices[0].Parts
		if len(parts) != 4 || r.Choices[0].Finish != llm.FinishToolCalls || r.Usage.Output != 9 {
			t.Fatalf("seed %d: %s", seed, show(r))
		}
		for i, p := range parts[1:] {
			call := p.ToolCall
			if call == nil || call.ID != fmt.Sprintf("call_%d_%d", seed, i) || call.Name != fmt.Sprintf("tool%d", i) || call.Arguments != want[i] {
				t.Fatalf("seed %d: call %d is %+v, want arguments %s", seed, i, call, want[i])
			}
		}
	}
}

func TestStreamFrames(t *testing.T) {
	evs := []llm.Event{
		{Type: llm.EventStart, ID: "chatcmpl-9", Model: "gpt-x"},
		{Type: llm.EventThinking, Text: "hm"},
		{Type: llm.EventText, Part: 1, Text: "a<b>\n"},
		{Type: llm.EventText, Choice: 1, Part: 0, Text: "second choice"},
		{Type: llm.EventToolCall, Part: 2, ID: "functions.f:0", Name: "f"},
		{Type: llm.EventFinish, Finish: llm.FinishStop},
		{Type: llm.EventUsage, Usage: llm.Usage{Input: 3, CacheRead: 4, Output: 2, Reasoning: 1, Reported: true}},
		{Type: llm.EventEnd},
		{Type: llm.EventText, Part: 3, Text: "late"},
	}
	got := string(encodeStream(t, evs, wire.EncoderOptions{ID: "x", Model: "y"}))
	want := string(fixture(t, "stream_encoded.sse"))
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	checkOrder(t, []byte(got))
}

func TestStreamLive(t *testing.T) {
	// Text and the first call are written as they come; nothing of the end before the end.
	enc := New().NewEncoder(wire.EncoderOptions{ID: "msg_1", Model: "m"})
	step := func(ev llm.Event) string {
		t.Helper()
		out, err := enc.Encode(nil, ev)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for _, s := range []struct {
		ev   llm.Event
		want []string
		not  []string
	}{
		{ev: llm.Event{Type: llm.EventUsage, Usage: llm.Usage{Input: 77, Reported: true}}, not: []string{"event"}},
		{ev: llm.Event{Type: llm.EventText, Text: "one"}, want: []string{"message_start", `"input_tokens":77`, "content_block_start", `"text":"one"`}},
		{ev: llm.Event{Type: llm.EventText, Text: "two"}, want: []string{`"text":"two"`}, not: []string{"start"}},
		{ev: llm.Event{Type: llm.EventToolCall, Part: 1, Name: "f", ID: "a"}, want: []string{"content_block_stop", `"tool_use"`}},
		{ev: llm.Event{Type: llm.EventToolArgs, Part: 1, Text: "{"}, want: []string{`"partial_json":"{"`}},
		{ev: llm.Event{Type: llm.EventToolCall, Part: 2, Name: "g", ID: "b", Text: "{}"}, not: []string{"event"}},
		{ev: llm.Event{Type: llm.EventToolArgs, Part: 1, Text: "}"}, want: []string{`"partial_json":"}"`}},
		{ev: llm.Event{Type: llm.EventPartEnd, Part: 1}, want: []string{"content_block_stop", `"name":"g"`, `"partial_json":"{}"`}},
		{ev: llm.Event{Type: llm.EventFinish, Finish: llm.FinishToolCalls}, want: []string{"content_block_stop"}, not: []string{"message_delta"}},
		{ev: llm.Event{Type: llm.EventUsage, Usage: llm.Usage{Output: 5, Reported: true}}, not: []string{"event"}},
		{ev: llm.Event{Type: llm.EventEnd}, want: []string{`"input_tokens":77`, `"output_tokens":5`, "message_stop"}},
	} {
		got := step(s.ev)
		for _, w := range s.want {
			if !strings.Contains(got, w) {
				t.Errorf("%+v: %q lacks %s", s.ev, got, w)
			}
		}
		for _, w := range s.not {
			if strings.Contains(got, w) {
				t.Errorf("%+v: %q has %s", s.ev, got, w)
			}
		}
	}
}

func TestStreamDecode(t *testing.T) {
	evs, err := decodeStream(bytes.NewReader(fixture(t, "stream.sse")))
	if err != nil {
		t.Fatal(err)
	}
	r := collect(evs)
	ch := r.Choices[0]
	if r.ID != "msg_1" || r.Model != "claude-x" || ch.Finish != llm.FinishToolCalls || r.ServiceTier != "standard" {
		t.Errorf("%s", show(r))
	}
	want := llm.Usage{Input: 12, CacheRead: 5, CacheWrite: 10, CacheWrite1h: 90, Output: 40, Reasoning: 7, Reported: true}
	if r.Usage != want {
		t.Errorf("usage %+v, want %+v", r.Usage, want)
	}
	p := ch.Parts
	if len(p) != 6 || p[0].Text != "thought" || p[0].Signature != "sig" || p[1].Text != "data" ||
		p[2].Text != "héllo" || !strings.Contains(string(p[2].Raw), `"cited_text":"x"`) ||
		p[3].ToolCall.Arguments != `{"a":1}` || p[4].ToolCall.Arguments != "{}" || p[5].Type != llm.PartOther {
		t.Fatalf("%s", show(p))
	}
	if got := string(p[5].Raw); got != `{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"q"}}` {
		t.Errorf("other: %s", got)
	}
}

func TestStreamCut(t *testing.T) {
	whole := string(fixture(t, "stream.sse"))
	end := strings.Index(whole, "event: message_stop")
	frames := strings.SplitAfter(whole[:end], "\n\n")
	for i := range frames {
		_, err := decodeStream(strings.NewReader(strings.Join(frames[:i], "")))
		if e := llm.AsError(err); e == nil || e.Kind != llm.KindIncompleteStream {
			t.Fatalf("cut after %d events: %v", i, err)
		}
	}
	for name, stream := range map[string]string{
		"garbage":        "event: message_start\ndata: {\"type\":\n\n",
		"stop only":      "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		"not an object":  "event: content_block_delta\ndata: [1]\n\n",
		"html in stream": "data: <html>\n\n",
	} {
		if _, err := decodeStream(strings.NewReader(stream)); llm.AsError(err) == nil || llm.AsError(err).Kind != llm.KindBadResponse {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSetMember(t *testing.T) {
	for _, c := range []struct{ obj, want string }{
		{`{"a": 1, "content": null, "b": 2}`, `{"a": 1, "content": "x", "b": 2}`},
		{`{"a":{"content":1}}`, `{"a":{"content":1},"content":"x"}`},
		{`{}`, `{"content":"x"}`},
	} {
		if got := string(setMember([]byte(c.obj), "content", []byte(`"x"`))); got != c.want {
			t.Errorf("%s: %s", c.obj, got)
		}
	}
}

func TestStreamCompaction(t *testing.T) {
	evs, err := decodeStream(strings.NewReader(`event: message_start
data: {"type":"message_start","message":{"id":"msg_1","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"compaction","content":null}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"compaction_delta","content":"so \"far\""}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}

event: message_stop
data: {"type":"message_stop"}

`))
	if err != nil {
		t.Fatal(err)
	}
	p := collect(evs).Choices[0].Parts
	if len(p) != 1 || p[0].Name != "compaction" || string(p[0].Raw) != `{"type":"compaction","content":"so \"far\""}` {
		t.Errorf("%s", show(p))
	}
}

func TestStreamUnnamed(t *testing.T) {
	// Events without an event: line are told by their type.
	text := strings.Join(strings.Split(string(fixture(t, "stream.sse")), "event: "), "x-ignored: ")
	a, err := decodeStream(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := decodeStream(bytes.NewReader(fixture(t, "stream.sse")))
	if show(a) != show(b) {
		t.Error("differs")
	}
}

func TestErrorEvent(t *testing.T) {
	c := New()
	got := string(c.ErrorEvent(llm.Errorf(llm.KindIncompleteStream, "the answer broke off"), "req_9"))
	want := "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"the answer broke off\",\"code\":\"incomplete_stream\"},\"request_id\":\"req_9\"}\n\n"
	if got != want {
		t.Errorf("got %q", got)
	}
	pretty := c.DecodeError(529, nil, []byte("{\n \"type\": \"error\",\n \"error\": {\"type\": \"overloaded_error\", \"message\": \"Overloaded\"}\n}"), now)
	ev, err := sse.NewReader(bytes.NewReader(c.ErrorEvent(pretty, "")), 0).Next()
	if err != nil || !ev.Clean || string(ev.Name) != "error" {
		t.Errorf("%+v %v", ev, err)
	}
}
