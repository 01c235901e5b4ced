package wire

import (
	"bytes"

	json "github.com/go-json-experiment/json"

	"github.com/breakwater-llm/breakwater/llm"
)

// MarshalSized writes v as JSON into one buffer made for about size bytes: prompts of megabytes are
// not copied while a buffer grows.
func MarshalSized(v any, size int, opts ...json.Options) ([]byte, error) {
	// The encoder lets a buffer grow that has less than a quarter of its length left.
	buf := bytes.NewBuffer(make([]byte, 0, size+size/3))
	if err := json.MarshalWrite(buf, v, opts...); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// RequestSize is about how long a request is as JSON, in bytes: enough for a buffer not to grow.
func RequestSize(r *llm.Request) int {
	n := 1 << 10
	for i := range r.Messages {
		n += 64 + partsSize(r.Messages[i].Parts)
	}
	for i := range r.Tools {
		n += 256 + len(r.Tools[i].Name) + len(r.Tools[i].Description) + len(r.Tools[i].Schema) + len(r.Tools[i].Raw)
	}
	return n + n/16 // line breaks and quotes take two bytes
}

func partsSize(parts []llm.Part) (n int) {
	for i := range parts {
		p := &parts[i]
		n += 128 + len(p.Text) + len(p.Signature) + len(p.Raw)
		if p.Media != nil {
			n += 64 + len(p.Media.Data) + len(p.Media.URL) + len(p.Media.Text)
		}
		if p.ToolCall != nil {
			n += len(p.ToolCall.ID) + len(p.ToolCall.Name) + 2*len(p.ToolCall.Arguments)
		}
		if p.ToolResult != nil {
			n += 64 + partsSize(p.ToolResult.Parts)
		}
	}
	return n
}
