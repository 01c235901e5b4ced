package anthropic

import (
	"testing"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

var (
	deltaName = []byte("content_block_delta")
	deltaData = []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" — a trivial question; my \"first\" read"}   }`)
)

func BenchmarkInspectEvent(b *testing.B) {
	codec := New()
	for _, c := range []struct{ name, event, data string }{
		{"delta", "content_block_delta", string(deltaData)},
		{"unnamed", "", string(deltaData)},
		{"stop", "content_block_stop", `{"type":"content_block_stop","index":0   }`},
		{"usage", "message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":33652,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":547}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			name, data := []byte(c.event), []byte(c.data)
			b.ReportAllocs()
			for b.Loop() {
				codec.InspectEvent(name, data)
			}
		})
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	d := New().NewDecoder()
	var evs []llm.Event
	b.ReportAllocs()
	for b.Loop() {
		evs, _ = d.Decode(evs[:0], deltaName, deltaData)
	}
}

func BenchmarkEncodeEvent(b *testing.B) {
	enc := New().NewEncoder(wire.EncoderOptions{})
	ev := llm.Event{Type: llm.EventText, Text: " — a trivial question; my first read"}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out, _ = enc.Encode(out[:0], ev)
	}
}

func BenchmarkDecodeRequest(b *testing.B) {
	doc, err := jsondoc.Parse(fixture(b, "request.json"), New().Shape())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New().DecodeRequest(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	r := decodeRequest(b, string(fixture(b, "request.json")))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := New().EncodeRequest(r, "claude-x"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInspectResponse(b *testing.B) {
	body := fixture(b, "response.json")
	b.ReportAllocs()
	for b.Loop() {
		New().InspectResponse(body)
	}
}
