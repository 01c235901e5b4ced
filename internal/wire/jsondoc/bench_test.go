package jsondoc

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// bodies are those that requests have: short, one long text, much of another script, many
// line ends, many messages.
func bodies() []struct {
	name string
	src  []byte
} {
	messages := func(n int, text string) []byte {
		m := strings.Repeat(`{"role":"user","content":"`+text+`"},`, n)
		return []byte(`{"model":"gpt-4o-mini","messages":[` + m[:len(m)-1] + `],"stream":true}`)
	}
	return []struct {
		name string
		src  []byte
	}{
		{"1KiB", chatBody(1 << 10)},
		{"1KiB-10messages", messages(10, strings.Repeat("word ", 14))},
		{"64KiB", chatBody(64 << 10)},
		{"64KiB-CJK", messages(1, strings.Repeat("日本語の文", 4369))},
		{"64KiB-escapes", messages(1, strings.Repeat(`a line of some code {\n\t`, 2621))},
		{"64KiB-1000messages", messages(1000, "some thirty-odd bytes of text.")},
		{"64KiB-7000keys", keys(7000)},
	}
}

func BenchmarkParse(b *testing.B) {
	shape := chatShape()
	for _, body := range bodies() {
		b.Run(body.name, func(b *testing.B) {
			b.SetBytes(int64(len(body.src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(body.src, shape); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkJSONText reads the same bodies to the same depth of meaning: all is checked, and
// the names and spans of the top-level members are known.
func BenchmarkJSONText(b *testing.B) {
	for _, body := range bodies() {
		b.Run(body.name, func(b *testing.B) {
			b.SetBytes(int64(len(body.src)))
			b.ReportAllocs()
			dec := new(jsontext.Decoder)
			for b.Loop() {
				dec.Reset(bytes.NewBuffer(body.src))
				_, _ = dec.ReadToken()
				for dec.PeekKind() == '"' {
					_, _ = dec.ReadToken()
					if _, err := dec.ReadValue(); err != nil {
						b.Fatal(err)
					}
				}
				_, _ = dec.ReadToken()
				if _, err := dec.ReadToken(); err != io.EOF {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRefuse(b *testing.B) {
	for _, body := range []struct {
		name string
		src  []byte
	}{
		{"100000arrays", []byte(`{"a":` + strings.Repeat("[", 100_000))},
		{"1Mkeys", keys(1_000_000)},
	} {
		b.Run(body.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Parse(body.src, nil); err == nil {
					b.Fatal("taken")
				}
			}
		})
	}
}

func BenchmarkApply(b *testing.B) {
	doc, err := Parse(chatBody(1<<10), nil)
	if err != nil {
		b.Fatal(err)
	}
	edits := []Edit{Set("model", []byte(`"another"`)), Set("n", []byte("1"))}
	b.ReportAllocs()
	for b.Loop() {
		doc.Apply(edits...)
	}
}

func BenchmarkQuote(b *testing.B) {
	text := strings.Repeat("a line of some code {\n\t", 50)
	b.SetBytes(int64(len(text)))
	var buf []byte
	for b.Loop() {
		buf = Quote(buf[:0], text)
	}
}

func BenchmarkGet(b *testing.B) {
	doc, err := Parse(chatBody(1<<10), nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok := doc.Get("stream"); !ok {
			b.Fatal("absent")
		}
	}
}
