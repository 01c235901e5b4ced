package openai

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

var done = []byte("[DONE]")

// InspectEvent tells ID and Model only on events that carry a role, a finish
// reason or no choice at all, so that an ordinary delta costs no allocation.
// TextSize counts text, reasoning, refusal and tool arguments alike: all are
// billed as output.
func (codec) InspectEvent(name, data []byte) wire.Facts {
	data = bytes.TrimSpace(data)
	switch {
	case bytes.Equal(data, done):
		return wire.Facts{Final: true}
	case string(name) == "error":
		return wire.Facts{Err: streamError(data)}
	case len(data) == 0, string(name) == "ping":
		return wire.Facts{Ping: true}
	}
	var c chunkSpans
	if !c.read(data) {
		return wire.Facts{Err: llm.Errorf(llm.KindBadResponse, "the provider sent a stream event that is not a JSON object")}
	}
	var f wire.Facts
	f.Usage = c.usageOf()
	if present(c.failure) {
		f.Err = streamError(data)
		return f
	}
	role := false
	elems(c.choices, func(i int, choice []byte) bool {
		f.Err = inspectChoice(choice, &f, &role)
		return f.Err == nil
	})
	if f.Err != nil {
		f.Content = false
		return f
	}
	empty := !isArray(c.choices) || len(bytes.TrimSpace(c.choices[1:len(c.choices)-1])) == 0
	f.UsageOnly = empty && f.Usage.Reported
	f.Ping = empty && c.choices == nil && !f.Usage.Reported
	if role || empty || f.Finish != "" {
		f.ID, f.Model = spanText(c.id), spanText(c.model)
	}
	return f
}

// chunkSpans are the members of a chunk that facts come from.
type chunkSpans struct {
	id, model, choices, usage, xgroq, failure []byte
}

func (c *chunkSpans) read(data []byte) bool {
	return members(data, func(name, v []byte) bool {
		switch string(name) {
		case "id":
			c.id = v
		case "model":
			c.model = v
		case "choices":
			c.choices = v
		case "usage":
			c.usage = v
		case "x_groq":
			c.xgroq = v
		case "error":
			c.failure = v
		}
		return true
	})
}

// usageOf is the usage in the chunk: its own, or Groq's in x_groq.
func (c *chunkSpans) usageOf() (u llm.Usage) {
	if present(c.usage) {
		u = usageOf(c.usage)
	}
	if !u.Reported && present(c.xgroq) {
		members(c.xgroq, func(name, v []byte) bool {
			if string(name) == "usage" {
				u = usageOf(v)
			}
			return true
		})
	}
	return u
}

// present: the member is there and not null. All spans are trimmed.
func present(raw []byte) bool { return len(raw) > 0 && string(raw) != "null" }

func isArray(raw []byte) bool { return len(raw) >= 2 && raw[0] == '[' }

// spanText is the text of a string's span, or "".
func spanText(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	return memberName(raw[1 : len(raw)-1])
}

// inspectChoice reads one choice of a chunk into f.
func inspectChoice(choice []byte, f *wire.Facts, role *bool) *llm.Error {
	var delta, finish, failure []byte
	index := int64(0)
	object := members(choice, func(name, v []byte) bool {
		switch string(name) {
		case "index":
			index = min(count(v), 63)
		case "delta":
			delta = v
		case "finish_reason":
			finish = v
		case "error":
			failure = v
		}
		return true
	})
	if !object {
		return llm.Errorf(llm.KindBadResponse, "the provider sent a choice that is not an object")
	}
	if len(failure) > 0 && failure[0] == '{' {
		return inChoice(failure)
	}
	f.Choices |= 1 << index
	inspectDelta(delta, f, role)
	if len(finish) > 2 && finish[0] == '"' {
		raw := spanText(finish)
		if kind, ok := failedReasons[raw]; ok {
			return llm.Errorf(kind, "the provider broke the answer off (finish_reason %q)", raw)
		}
		f.Content = true
		f.Finish = finishOf(raw)
		f.Finished |= 1 << index
	}
	return nil
}

func inspectDelta(delta []byte, f *wire.Facts, role *bool) {
	members(delta, func(name, v []byte) bool {
		switch string(name) {
		case "role":
			*role = true
		case "content", "reasoning_content", "reasoning", "refusal":
			if isArray(v) { // Mistral's chunks
				f.Content = f.Content || len(v) > 2
				f.TextSize += chunkTextSize(v)
			} else if n := textLen(v); n > 0 {
				f.Content = true
				f.TextSize += n
			}
		case "tool_calls":
			elems(v, func(_ int, call []byte) bool {
				f.Content = true
				f.TextSize += argumentSize(call)
				return true
			})
		case "function_call", "audio":
			if len(v) > 2 && v[0] == '{' {
				f.Content = true
				f.TextSize += argumentSize(v)
			}
		}
		return true
	})
}

// argumentSize is the size of the arguments in a tool call, or of those in its function.
func argumentSize(call []byte) (n int) {
	members(call, func(name, v []byte) bool {
		switch string(name) {
		case "function", "custom":
			n += argumentSize(v)
		case "arguments", "input":
			n += textLen(v)
		}
		return true
	})
	return n
}

// chunkTextSize is the size of the texts in a list of content chunks.
func chunkTextSize(list []byte) (n int) {
	elems(list, func(_ int, chunk []byte) bool {
		members(chunk, func(name, v []byte) bool {
			switch {
			case string(name) != "text" && string(name) != "thinking":
			case isArray(v):
				n += chunkTextSize(v)
			default:
				n += textLen(v)
			}
			return true
		})
		return true
	})
	return n
}

func (codec) InspectResponse(body []byte) wire.Facts {
	f := wire.Facts{Final: true}
	if !jsondoc.Valid(body) && !gjson.ValidBytes(body) { // the lenient check only where the quick one fails
		f.Err = llm.Errorf(llm.KindBadResponse, "the provider's answer is not JSON")
		return f
	}
	var c chunkSpans
	if !c.read(body) {
		f.Err = llm.Errorf(llm.KindBadResponse, "the provider's answer is not a JSON object")
		return f
	}
	f.ID, f.Model = spanText(c.id), spanText(c.model)
	f.Usage = c.usageOf()
	f.Err = inspectChoices(&c, body, &f)
	f.Content = f.Err == nil
	return f
}

func inspectChoices(c *chunkSpans, body []byte, f *wire.Facts) (failure *llm.Error) {
	n := 0
	elems(c.choices, func(i int, choice []byte) bool {
		n++
		failure = inspectWholeChoice(choice, f)
		return failure == nil
	})
	switch {
	case present(c.failure) && (n == 0 || failure != nil):
		return streamError(body)
	case failure == nil && n == 0:
		return llm.Errorf(llm.KindBadResponse, "the provider's answer has no choices")
	}
	return failure
}

// inspectWholeChoice reads one choice of a whole answer; the first one that has a
// finish reason gives it.
func inspectWholeChoice(choice []byte, f *wire.Facts) (failure *llm.Error) {
	object := members(choice, func(name, v []byte) bool {
		switch string(name) {
		case "message":
			role := false
			inspectDelta(v, f, &role)
		case "finish_reason":
			raw := spanText(v)
			if kind, ok := failedReasons[raw]; ok {
				failure = llm.Errorf(kind, "the provider broke the answer off (finish_reason %q)", raw)
			} else if f.Finish == "" {
				f.Finish = finishOf(raw)
			}
		case "error":
			if v[0] == '{' {
				failure = inChoice(v)
				return false
			}
		}
		return true
	})
	if !object {
		return llm.Errorf(llm.KindBadResponse, "the provider's answer has a choice that is not an object")
	}
	return failure
}
