package openai

import (
	"bytes"
	"unicode"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

// maxModelName bounds the name of a model, in bytes.
const maxModelName = 256

func (codec) Door(doc *jsondoc.Doc) (wire.Door, error) {
	var door wire.Door
	var err error
	if door.Model, err = doorModel(doc); err != nil {
		return door, err
	}
	if err := doorMessages(doc); err != nil {
		return door, err
	}
	if door.Stream, err = doorBool(doc, "stream"); err != nil {
		return door, err
	}
	if door.WantUsage, err = doorWantUsage(doc); err != nil {
		return door, err
	}
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		n, err := doorInt(doc, name)
		if err != nil {
			return door, err
		}
		if n > 0 { // some servers take -1 for "no limit": the provider judges it
			door.MaxTokens = n
		}
	}
	door.User, err = doorString(doc, "user")
	return door, err
}

func doorModel(doc *jsondoc.Doc) (string, error) {
	raw, ok := doc.Get("model")
	if !ok || isNull(raw) {
		return "", llm.Invalid("model", "model is required")
	}
	model, ok := doc.String("model")
	switch {
	case !ok:
		return "", llm.Invalid("model", "model must be a string")
	case model == "":
		return "", llm.Invalid("model", "model must not be empty")
	case len(model) > maxModelName:
		return "", llm.Invalid("model", "model must be at most %d bytes long", maxModelName)
	}
	for _, c := range model {
		if unicode.IsControl(c) {
			return "", llm.Invalid("model", "model must not contain control characters")
		}
	}
	return model, nil
}

func doorMessages(doc *jsondoc.Doc) error {
	raw, ok := doc.Get("messages")
	if !ok || isNull(raw) {
		return llm.Invalid("messages", "messages is required")
	}
	raw = bytes.TrimSpace(raw)
	if raw[0] != '[' {
		return llm.Invalid("messages", "messages must be an array")
	}
	if len(bytes.TrimSpace(raw[1:])) == 1 {
		return llm.Invalid("messages", "messages must not be empty")
	}
	return nil
}

func doorWantUsage(doc *jsondoc.Doc) (bool, error) {
	raw, ok := doc.Get("stream_options")
	if !ok || isNull(raw) {
		return false, nil
	}
	want, odd := false, false
	object := members(raw, func(name, v []byte) bool {
		if nameIs(name, "include_usage") {
			want = string(v) == "true"
			odd = !want && string(v) != "false" && string(v) != "null"
		}
		return true
	})
	switch {
	case !object:
		return false, llm.Invalid("stream_options", "stream_options must be an object")
	case odd:
		return false, llm.Invalid("stream_options.include_usage", "stream_options.include_usage must be true or false")
	}
	return want, nil
}

func doorBool(doc *jsondoc.Doc, name string) (bool, error) {
	raw, ok := doc.Get(name)
	if !ok || isNull(raw) {
		return false, nil
	}
	b, ok := doc.Bool(name)
	if !ok {
		return false, llm.Invalid(name, "%s must be true or false", name)
	}
	return b, nil
}

func doorInt(doc *jsondoc.Doc, name string) (int, error) {
	raw, ok := doc.Get(name)
	if !ok || isNull(raw) {
		return 0, nil
	}
	n, ok := doc.Int(name)
	if !ok {
		return 0, llm.Invalid(name, "%s must be an integer", name)
	}
	return n, nil
}

func doorString(doc *jsondoc.Doc, name string) (string, error) {
	raw, ok := doc.Get(name)
	if !ok || isNull(raw) {
		return "", nil
	}
	s, ok := doc.String(name)
	if !ok {
		return "", llm.Invalid(name, "%s must be a string", name)
	}
	return s, nil
}

// nameIs compares a member's name, as it stands between its quotes, with a
// known one; escapes in it are undone.
func nameIs(raw []byte, want string) bool {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == want
	}
	return memberName(raw) == want
}

// memberName is the name that stands between the quotes, unescaped.
func memberName(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	quoted := append(append([]byte{'"'}, raw...), '"')
	s, _ := jsondoc.Unquote(quoted)
	return s
}

func (codec) EditRequest(doc *jsondoc.Doc, model string, askUsage bool) []jsondoc.Edit {
	var edits []jsondoc.Edit
	if have, ok := doc.String("model"); !ok || have != model {
		edits = append(edits, jsondoc.Set("model", jsondoc.Quote(nil, model)))
	}
	if stream, _ := doc.Bool("stream"); stream && askUsage {
		old, _ := doc.Get("stream_options")
		if opts, changed := includeUsage(old); changed {
			edits = append(edits, jsondoc.Set("stream_options", opts))
		}
	}
	return edits
}

// includeUsage returns stream_options with include_usage true and all other
// members as they were.
func includeUsage(raw []byte) (opts []byte, changed bool) {
	const ask = `"include_usage":true`
	var value []byte
	empty := true
	if !members(raw, func(name, v []byte) bool {
		empty = false
		if nameIs(name, "include_usage") {
			value = v
		}
		return true
	}) {
		return []byte("{" + ask + "}"), true // absent or null: the door let nothing else in
	}
	if string(value) == "true" {
		return raw, false
	}
	out := make([]byte, 0, len(raw)+len(ask)+1)
	if value != nil {
		at := cap(raw) - cap(value) // value is a span of raw
		out = append(append(out, raw[:at]...), "true"...)
		return append(out, raw[at+len(value):]...), true
	}
	open := bytes.IndexByte(raw, '{') + 1
	out = append(append(out, raw[:open]...), ask...)
	if !empty {
		out = append(out, ',')
	}
	return append(out, raw[open:]...), true
}
