package openai

import (
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

// A chunk as OpenAI sends it, with usage asked for.
const ordinaryChunk = `{"id":"chatcmpl-CoDWyp2E1BNuDrOa4ZTIteBKS3LkS","object":"chat.completion.chunk","created":1766084448,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_deacdd5f6f","choices":[{"index":0,"delta":{"content":" world"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"VNnjaeIH5xHKPt"}`

const toolChunk = `{"id":"chatcmpl-CoDWyp2E1BNuDrOa4ZTIteBKS3LkS","object":"chat.completion.chunk","created":1766084448,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_deacdd5f6f","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]},"logprobs":null,"finish_reason":null}],"usage":null}`

const lastChunk = `{"id":"chatcmpl-CoDWyp2E1BNuDrOa4ZTIteBKS3LkS","object":"chat.completion.chunk","created":1766084448,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_deacdd5f6f","choices":[],"usage":{"prompt_tokens":64,"completion_tokens":12,"total_tokens":76,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}}`

func TestInspectEventAllocatesNothing(t *testing.T) {
	for _, chunk := range []string{ordinaryChunk, toolChunk} {
		data := []byte(chunk)
		c := New()
		if n := testing.AllocsPerRun(100, func() { c.InspectEvent(nil, data) }); n != 0 {
			t.Errorf("%v allocations for %s", n, chunk)
		}
	}
}

func BenchmarkInspectEvent(b *testing.B) {
	for _, bench := range []struct{ name, data string }{{"text", ordinaryChunk}, {"tool", toolChunk}, {"usage", lastChunk}, {"done", "[DONE]"}} {
		b.Run(bench.name, func(b *testing.B) {
			c, data := New(), []byte(bench.data)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				c.InspectEvent(nil, data)
			}
		})
	}
}

func BenchmarkInspectResponse(b *testing.B) {
	small := []byte(fixture(b, "answer.json"))
	large := []byte(strings.Replace(string(small), "See [1].", strings.Repeat("Lorem ipsum dolor sit amet.\\n", 2000), 1))
	for _, bench := range []struct {
		name string
		data []byte
	}{{"1KB", small}, {"60KB", large}} {
		b.Run(bench.name, func(b *testing.B) {
			c := New()
			b.SetBytes(int64(len(bench.data)))
			b.ReportAllocs()
			for b.Loop() {
				c.InspectResponse(bench.data)
			}
		})
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	data := []byte(ordinaryChunk)
	dec := New().NewDecoder()
	var evs []llm.Event
	b.ReportAllocs()
	for b.Loop() {
		evs, _ = dec.Decode(evs[:0], nil, data)
	}
}

func BenchmarkEncodeEvent(b *testing.B) {
	enc := New().NewEncoder(wire.EncoderOptions{WantUsage: true})
	ev := llm.Event{Type: llm.EventText, Text: " world"}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out, _ = enc.Encode(out[:0], ev)
	}
}

func BenchmarkTranslateRequest(b *testing.B) {
	doc, err := jsondoc.Parse([]byte(fixture(b, "request.json")), New().Shape())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := New().DecodeRequest(doc)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := New().EncodeRequest(r, "m"); err != nil {
			b.Fatal(err)
		}
	}
}
