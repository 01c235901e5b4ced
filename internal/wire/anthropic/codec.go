package anthropic

import (
	"unicode"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

// maxModelName bounds a model's name, in bytes.
const maxModelName = 256

type codec struct{}

// New returns the codec of the Messages API. It holds no state.
func New() wire.Codec { return codec{} }

func (codec) Protocol() llm.Protocol { return llm.AnthropicMessages }

func (codec) Shape() *jsondoc.Shape { return requestShape }

// Door checks the model, the messages and the types of what routing reads.
// max_tokens may be absent: count_tokens requests have none, and for the others
// the provider says so itself.
func (codec) Door(doc *jsondoc.Doc) (wire.Door, error) {
	door := wire.Door{WantUsage: true}
	model, ok := doc.String("model")
	if !ok || model == "" {
		return door, llm.Invalid("model", "model: a model name (string) is required")
	}
	if err := checkModel(model); err != nil {
		return door, err
	}
	door.Model = model
	if raw, ok := doc.Get("messages"); !ok || kindOf(raw) != '[' {
		return door, llm.Invalid("messages", "messages: an array is required")
	}
	if raw, ok := doc.Get("stream"); ok && kindOf(raw) != 'n' {
		if door.Stream, ok = doc.Bool("stream"); !ok {
			return door, llm.Invalid("stream", "stream: must be true or false")
		}
	}
	if raw, ok := doc.Get("max_tokens"); ok && kindOf(raw) != 'n' {
		if door.MaxTokens, ok = doc.Int("max_tokens"); !ok || door.MaxTokens < 0 {
			return door, llm.Invalid("max_tokens", "max_tokens: must be an integer of at least 0")
		}
	}
	if raw, ok := doc.Get("metadata"); ok && kindOf(raw) == '{' {
		if id := member(raw, "user_id"); id != nil {
			door.User, _ = jsondoc.Unquote(id)
		}
	}
	return door, nil
}

func checkModel(model string) error {
	if len(model) > maxModelName {
		return llm.Invalid("model", "model: the name is longer than %d bytes", maxModelName)
	}
	for _, r := range model {
		if unicode.IsControl(r) {
			return llm.Invalid("model", "model: the name holds a control character")
		}
	}
	return nil
}

// EditRequest changes the model's name if it differs. Streams of this protocol
// report usage unasked.
func (codec) EditRequest(doc *jsondoc.Doc, model string, _ bool) []jsondoc.Edit {
	if has, ok := doc.String("model"); ok && has == model {
		return nil
	}
	return []jsondoc.Edit{jsondoc.Set("model", jsondoc.Quote(nil, model))}
}
