package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/internal/wire/sse"
	"github.com/breakwater-llm/breakwater/llm"
)

// FuzzDecodeRequest: whatever is let in at the door is decoded or refused with an error that names a
// field, and what is decoded can be written and read again, twice the same.
func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(fixture(f, "request.json")))
	f.Add([]byte(user(`,"stop":"a","tools":[{"type":"custom","custom":{"name":"c"}}],"x":[1]`)))
	f.Add([]byte(`{"model":"m","messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"a"}],"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":{}}}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := jsondoc.Parse(body, New().Shape())
		if err != nil {
			return
		}
		if _, err := New().Door(doc); err == nil {
			edited := doc.Apply(New().EditRequest(doc, "other", true)...)
			if _, err := jsondoc.Parse(edited, New().Shape()); err != nil {
				t.Fatalf("edits broke it: %v in %s", err, edited)
			}
		}
		r, err := New().DecodeRequest(doc)
		if err != nil {
			var e *llm.Error
			if !errors.As(err, &e) || e.Kind != llm.KindInvalidRequest || e.Param == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, x := range r.Extra {
			if !json.Valid(x.Raw) {
				t.Fatalf("%s: %s", x.Path, x.Raw)
			}
		}
		once, _, err := New().EncodeRequest(r, "some-model")
		if err != nil {
			t.Fatal(err)
		}
		doc, err = jsondoc.Parse(once, New().Shape())
		if err != nil {
			t.Fatalf("%v in our own %s", err, once)
		}
		again, err := New().DecodeRequest(doc)
		if err != nil {
			if len(messagesIn(once)) == 0 { // all it had was what cannot be said
				return
			}
			t.Fatalf("%v in our own %s", err, once)
		}
		twice, _, err := New().EncodeRequest(again, "some-model")
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v\nonce  %s\ntwice %s", err, once, twice)
		}
	})
}

func messagesIn(body []byte) (list []json.RawMessage) {
	var out struct {
		Messages []json.RawMessage `json:"messages"`
	}
	_ = json.Unmarshal(body, &out)
	return out.Messages
}

// FuzzDecodeResponse: never a panic; what is decoded can be written and read again.
func FuzzDecodeResponse(f *testing.F) {
	f.Add([]byte(fixture(f, "answer.json")))
	f.Add([]byte(`{"error":{"message":"m","code":502},"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"text":"a"}]}]},"finish_reason":"eos"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		facts := New().InspectResponse(body)
		r, err := New().DecodeResponse(body)
		if (facts.Err == nil) != (err == nil) {
			t.Fatalf("facts %v, decoded %v", facts.Err, err)
		}
		if err != nil {
			return
		}
		out, err := New().EncodeResponse(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := New().DecodeResponse(out)
		if err != nil {
			t.Fatalf("%v in our own %s", err, out)
		}
		twice, err := New().EncodeResponse(again)
		if err != nil || !bytes.Equal(out, twice) {
			t.Fatalf("%v\nonce  %s\ntwice %s", err, out, twice)
		}
	})
}

// FuzzStreamDecoder: any bytes give events in a legal order or an error, the same however they are cut, and
// events never break the encoder.
func FuzzStreamDecoder(f *testing.F) {
	f.Add([]byte(frames(delta(0, `{"content":"a"}`), finished(0, "stop"), "[DONE]")), uint64(1))
	f.Add([]byte(frames(delta(0, `{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}}]}`), `{"error":{"message":"m"}}`)), uint64(2))
	f.Add([]byte("event: error\ndata: {}\n\n: c\n\ndata: {\"choices\":null}\n\n"), uint64(3))
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		evs, _, err := readStream(string(body), seed)
		again, _, err2 := readStream(string(body), seed+1)
		if !reflect.DeepEqual(evs, again) || (err == nil) != (err2 == nil) {
			t.Fatalf("cuts matter: %v, %v", err, err2)
		}
		checkOrderPrefix(t, evs)
		if ends := len(evs) > 0 && evs[len(evs)-1].Type == llm.EventEnd; ends != (err == nil) {
			t.Fatalf("ends %v, error %v", ends, err)
		}
		enc := New().NewEncoder(wire.EncoderOptions{WantUsage: seed%2 == 0})
		var out []byte
		for _, ev := range evs {
			if out, err2 = enc.Encode(out, ev); err2 != nil {
				t.Fatal(err2)
			}
		}
		r := sse.NewReader(bytes.NewReader(out), 0)
		for {
			ev, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || string(ev.Data) != "[DONE]" && !json.Valid(ev.Data) {
				t.Fatalf("%v in our own %s", err, out)
			}
			if facts := New().InspectEvent(nil, ev.Data); facts.Err != nil {
				t.Fatalf("%v in our own %s", facts.Err, ev.Data)
			}
		}
	})
}

// checkOrderPrefix holds events to their rules, as far as they go.
func checkOrderPrefix(t *testing.T, evs []llm.Event) {
	t.Helper()
	closed := map[[2]int]bool{}
	for i, ev := range evs {
		if ev.Type == llm.EventEnd && i != len(evs)-1 || ev.Type == llm.EventStart && i != 0 || i == 0 && ev.Type != llm.EventStart {
			t.Fatalf("order: %q", say(evs))
		}
		switch ev.Type {
		case llm.EventStart, llm.EventUsage, llm.EventEnd, llm.EventFinish, llm.EventLogprobs:
			continue
		}
		k := [2]int{ev.Choice, ev.Part}
		if closed[k] {
			t.Fatalf("part %v after its end: %q", k, say(evs))
		}
		closed[k] = ev.Type == llm.EventPartEnd
	}
}

// FuzzInspectEvent: facts and decoder agree on what is an error, and nothing panics.
func FuzzInspectEvent(f *testing.F) {
	f.Add([]byte(""), []byte(delta(0, `{"content":"a\u00e4\\"}`)))
	f.Add([]byte("error"), []byte(`{"error":"x"}`))
	f.Add([]byte(""), []byte(`{"choices":[{"delta":{"tool_calls":[{}]},"finish_reason":"x"}],"usage":{"prompt_tokens":1}}`))
	f.Fuzz(func(t *testing.T, name, data []byte) {
		facts := New().InspectEvent(name, data)
		if facts.TextSize < 0 || facts.Usage.TotalInput() < 0 || facts.Usage.Output < 0 {
			t.Fatalf("%+v", facts)
		}
	})
}

// FuzzDecodeError: any status and body gives an error with a kind, a bounded message and a
// sane wait, and it can be told to a client.
func FuzzDecodeError(f *testing.F) {
	f.Add(400, "", []byte(`{"error":{"message":"m","type":"t","param":null,"code":"c"}}`))
	f.Add(429, "5", []byte(`[{"error":{"code":429,"details":[{"retryDelay":"1s"}]}}]`))
	f.Add(502, "x", []byte("<html><title>a</title>"))
	f.Add(422, "", []byte(`{"detail":[{"loc":["a",1],"msg":"m"}]}`))
	f.Fuzz(func(t *testing.T, status int, retry string, body []byte) {
		e := New().DecodeError(status, http.Header{"Retry-After": {retry}}, body, errNow)
		if e.Kind == "" || e.Message == "" || len(e.Message) > maxErrorMessage+64 || len(e.Body) > maxErrorBody {
			t.Fatalf("%+v", e)
		}
		if e.RetryAfter != llm.Errorf(llm.KindInternal, "").RetryAfter && (e.RetryAfter < -1 || e.RetryAfter > 24*time.Hour) {
			t.Fatalf("wait %v", e.RetryAfter)
		}
		checkErrorBody(t, "fuzz", New().EncodeError(e, ""))
		event := New().ErrorEvent(e, "")
		if bytes.Count(event, []byte("\n")) != 2 || !json.Valid(bytes.TrimPrefix(event, []byte("data: "))) {
			t.Fatalf("%q", event)
		}
	})
}
