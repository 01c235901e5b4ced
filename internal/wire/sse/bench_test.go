package sse

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	gosse "github.com/tmaxmax/go-sse"
)

// benchStreams are of one kind of event each; n events.
func benchStreams() []struct {
	name string
	in   []byte
	n    int
} {
	chunk := `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}`
	repeat := func(ev string) ([]byte, int) {
		n := max(1, 256<<10/len(ev))
		return []byte(strings.Repeat(ev, n)), n
	}
	var out []struct {
		name string
		in   []byte
		n    int
	}
	for _, s := range []struct{ name, ev string }{
		{"small", "data: {\"x\":1}\n\n"},
		{"openai", "data: " + chunk + "\n\n"},
		{"anthropic", "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}\n\n"},
		{"CRLF", "data: " + chunk + "\r\n\r\n"},
		{"lines", "data: x\ndata: y\ndata: z\n\n"},
		{"4MiB", "data: " + strings.Repeat("x", 4<<20) + "\n\n"},
	} {
		in, n := repeat(s.ev)
		out = append(out, struct {
			name string
			in   []byte
			n    int
		}{s.name, in, n})
	}
	return out
}

func BenchmarkNext(b *testing.B) {
	for _, s := range benchStreams() {
		b.Run(s.name, func(b *testing.B) {
			src := bytes.NewReader(s.in)
			r := NewReader(src, 0)
			b.SetBytes(int64(len(s.in)))
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(s.in)
				r.Reset(src)
				n := 0
				for {
					if _, err := r.Next(); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != s.n {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.n), "ns/event")
		})
	}
}

func BenchmarkGoSSE(b *testing.B) {
	for _, s := range benchStreams() {
		b.Run(s.name, func(b *testing.B) {
			src := bytes.NewReader(s.in)
			b.SetBytes(int64(len(s.in)))
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(s.in)
				for _, err := range gosse.Read(src, &gosse.ReadConfig{MaxEventSize: 16 << 20}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.n), "ns/event")
		})
	}
}

// BenchmarkNextOneByte is the worst chunking there is.
func BenchmarkNextOneByte(b *testing.B) {
	in := bytes.Repeat([]byte("data: {\"x\":1}\n\n"), 1000)
	for b.Loop() {
		r := NewReader(iotest.OneByteReader(bytes.NewReader(in)), 0)
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	data := []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word"}}`)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = Append(buf[:0], "content_block_delta", data)
	}
}
