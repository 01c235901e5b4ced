package anthropic

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

// FuzzDecodeRequest: whatever the door lets through decodes or is refused as the
// caller's mistake; what decodes can be encoded and is stable from then on.
func FuzzDecodeRequest(f *testing.F) {
	f.Add(fixture(f, "request.json"))
	f.Add([]byte(`{"model":"claude-opus-4-8","messages":[{"role":"user","content":"hi"}],"thinking":{"type":"adaptive"}}`))
	f.Add([]byte(`{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"","name":"","input":null}]}],"tools":[{"name":"f"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		codec := New()
		doc, err := jsondoc.Parse(body, codec.Shape())
		if err != nil {
			return
		}
		_, _ = codec.Door(doc)
		r, err := codec.DecodeRequest(doc)
		if err != nil {
			if e := llm.AsError(err); e.Kind != llm.KindInvalidRequest || e.Param == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		once, no, err := codec.EncodeRequest(r, "claude-sonnet-4-5")
		if err != nil {
			if e := llm.AsError(err); e.Kind != llm.KindInvalidRequest || e.Param == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		if len(no) < len(r.Extra) {
			t.Fatalf("left out without a word: %v, %v", r.Extra, no)
		}
		doc, err = jsondoc.Parse(once, codec.Shape())
		if err != nil {
			t.Fatalf("%v: %s", err, once)
		}
		back, err := codec.DecodeRequest(doc)
		if err != nil {
			t.Fatalf("%v: %s", err, once)
		}
		twice, _, err := codec.EncodeRequest(back, "claude-sonnet-4-5")
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("not stable (%v):\n%s\n%s", err, once, twice)
		}
	})
}

// FuzzDecodeResponse: an answer that decodes encodes to one that decodes to the
// same; facts and decoding agree.
func FuzzDecodeResponse(f *testing.F) {
	f.Add(fixture(f, "response.json"))
	f.Add([]byte(`{"type":"message","content":[{"type":"text","text":"\ud83d"}],"usage":{}}`))
	f.Add([]byte(`{"type":"error","error":{"type":"overloaded_error","message":"x"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		codec := New()
		facts := codec.InspectResponse(body)
		r, err := codec.DecodeResponse(body)
		if err != nil {
			return
		}
		if facts.Err != nil || facts.Usage != r.Usage || facts.ID != r.ID {
			t.Fatalf("facts %+v of %+v", facts, r)
		}
		once, err := codec.EncodeResponse(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := codec.DecodeResponse(once)
		if err != nil {
			t.Fatalf("%v: %s", err, once)
		}
		twice, err := codec.EncodeResponse(back)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("not a fixpoint (%v):\n%s\n%s", err, once, twice)
		}
	})
}

// FuzzStream: any stream decodes or fails as the provider's fault, facts never
// panic, and what came before the failure encodes to an orderly stream.
func FuzzStream(f *testing.F) {
	f.Add(fixture(f, "stream.sse"))
	f.Add([]byte("event: error\ndata: {\"type\":\"error\",\"error\":\"x\"}\n\n"))
	f.Add([]byte("data: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"citation\":{},\"content\":\"x\"}}\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		evs, err := decodeStream(bytes.NewReader(stream))
		if err != nil {
			if e := llm.AsError(err); e.Kind == llm.KindInternal {
				t.Fatal(err)
			}
		}
		facts := inspectAll(New(), string(stream))
		if err == nil && !facts.Final {
			t.Fatal("complete without a final event")
		}
		out := encodeStream(t, evs, wire.EncoderOptions{})
		if checkOrder(t, out) != (err == nil) {
			t.Fatalf("completeness changed (%v):\n%s", err, out)
		}
		if err == nil {
			if _, err := decodeStream(bytes.NewReader(out)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzDecodeError(f *testing.F) {
	f.Add(529, "false", []byte(`{"type":"error","error":{"type":"overloaded_error","message":"x"}}`))
	f.Add(400, "", []byte(`{"error":"x"}`))
	f.Add(503, "", []byte(`upstream`))
	f.Fuzz(func(t *testing.T, status int, retry string, body []byte) {
		e := New().DecodeError(status, http.Header{"X-Should-Retry": {retry}}, body, now)
		if e.Kind == "" || e.Message == "" || len(e.Message) > maxErrorMessage || len(e.Body) > maxErrorBody {
			t.Fatalf("%+v", e)
		}
		if e.Status != 0 && e.Status != status {
			t.Fatalf("status %d of %d", e.Status, status)
		}
		if out := New().EncodeError(e, "req"); !wellFormed(out) {
			t.Fatalf("%s", out)
		}
		if n := bytes.Count(New().ErrorEvent(e, "req"), []byte("\n")); n != 3 {
			t.Fatalf("%d lines", n)
		}
	})
}

// FuzzEncoder: no order of events makes a block out of order, and the end comes
// if and only if it was told.
func FuzzEncoder(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 5, 1, 6, 1, 6, 2, 11, 0, 13, 0})
	f.Add([]byte{5, 1, 1, 2, 6, 1, 10, 1, 12, 0, 13, 0, 1, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		var evs []llm.Event
		ended := false
		for i := 0; i+1 < len(script); i += 2 {
			ev := llm.Event{Type: llm.EventType(script[i] % 14), Part: int(script[i+1] % 8), Choice: int(script[i+1] / 128), Text: "t\n", Name: "n"}
			switch ev.Type {
			case llm.EventToolCall:
				ev.ID = string(script[i+1:])
			case llm.EventOther:
				ev.Name, ev.Raw = "server_tool_use", []byte("{\"type\":\"server_tool_use\",\n\"input\":{}}")
			case llm.EventUsage:
				ev.Usage = llm.Usage{Input: int64(script[i]), Output: int64(script[i+1]), Reported: true}
			case llm.EventFinish:
				ev.Finish = []llm.FinishReason{"", llm.FinishStop, "odd", llm.FinishToolCalls}[script[i+1]%4]
			}
			ended = ended || ev.Type == llm.EventEnd && ev.Choice == 0
			evs = append(evs, ev)
		}
		if out := encodeStream(t, evs, wire.EncoderOptions{ID: "x"}); checkOrder(t, out) != ended {
			t.Fatalf("ended %v:\n%s", ended, out)
		}
	})
}

// FuzzScan: the walk over valid JSON meets what another reader does.
func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"a":"\\\"","b\u0061":[1,{"c":"]}"}],"d":-1e5 , "e" : null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !isObject(raw) {
			return
		}
		want, ok := normalMap(raw)
		if !ok {
			return
		}
		n := 0
		for c := walk(raw); ; n++ {
			name, v, more := c.next()
			if !more {
				break
			}
			if !valid(v) {
				t.Fatalf("%q is not a value", v)
			}
			v = member(raw, string(name)) // the last of that name, as the other reader sees it
			if text, ok := want[string(name)].(string); ok && (stringOf(v) != text || textSize(v) != len(text)) {
				t.Fatalf("%q is %q, size %d", v, stringOf(v), textSize(v))
			}
		}
		if n < len(want) {
			t.Fatalf("%d of %d members", n, len(want))
		}
	})
}
