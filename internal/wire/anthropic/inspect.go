package anthropic

import (
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

func badResponse(what string) *llm.Error {
	return llm.Errorf(llm.KindBadResponse, "the provider's answer does not follow the protocol: %s", what)
}

func (codec) InspectResponse(body []byte) wire.Facts {
	f := wire.Facts{Content: true, Final: true}
	if !isObject(body) {
		return wire.Facts{Err: badResponse("not a JSON object")}
	}
	var kind, content, problem []byte
	for c := walk(body); ; {
		name, v, ok := c.next()
		if !ok {
			break
		}
		switch string(name) {
		case "type":
			kind = v
		case "id":
			f.ID = stringOf(v)
		case "model":
			f.Model = stringOf(v)
		case "content":
			content = v
		case "stop_reason":
			f.Finish = decodeFinish(stringOf(v))
		case "usage":
			f.Usage = usageOf(v)
		case "error":
			problem = v
		}
	}
	switch {
	case isString(kind, "error") || kindOf(problem) == '{' && kindOf(content) != '[':
		return wire.Facts{Err: errorObject(body)}
	case kindOf(content) != '[' || kind != nil && !isString(kind, "message"):
		return wire.Facts{Err: badResponse("not a message with content")}
	}
	for c := walk(content); ; {
		_, v, ok := c.next()
		if !ok {
			return f
		}
		f.TextSize += textSize(member(v, "text")) + textSize(member(v, "thinking"))
		if isString(member(v, "type"), "tool_use") {
			f.TextSize += len(member(v, "input"))
		}
	}
}

func (codec) InspectEvent(name, data []byte) wire.Facts {
	switch string(name) {
	case "ping":
		return wire.Facts{Ping: true}
	case "":
		if len(data) == 0 || string(data) == "[DONE]" {
			return wire.Facts{}
		}
	}
	if !valid(data) || kindOf(data) != '{' {
		return wire.Facts{Err: badResponse("an event is not a JSON object")}
	}
	if len(name) == 0 {
		name = []byte(stringOf(member(data, "type")))
	}
	switch string(name) {
	case "content_block_delta":
		return inspectDelta(enter(data, "delta"))
	case "content_block_start":
		return inspectStart(member(data, "content_block"))
	case "message_start":
		m := member(data, "message")
		return wire.Facts{ID: stringOf(member(m, "id")), Model: stringOf(member(m, "model")), Usage: usageOf(member(m, "usage"))}
	case "message_delta":
		f := wire.Facts{Usage: usageOf(member(data, "usage"))}
		f.Finish = decodeFinish(stringOf(member(member(data, "delta"), "stop_reason")))
		f.Content = f.Finish != llm.FinishUnknown
		return f
	case "message_stop":
		return wire.Facts{Final: true}
	case "ping":
		return wire.Facts{Ping: true}
	case "error":
		return wire.Facts{Err: errorObject(data)}
	}
	return wire.Facts{}
}

// inspectDelta takes any delta that brings something for content.
func inspectDelta(c cursor) (f wire.Facts) {
	for {
		name, v, ok := c.next()
		if !ok {
			return f
		}
		switch string(name) {
		case "text", "thinking", "partial_json":
			f.TextSize = textSize(v)
			f.Content = f.TextSize > 0
			return f
		case "signature", "citation", "content":
			f.Content = len(v) > len(`""`) && v[0] != 'n'
			return f
		}
	}
}

// inspectStart: a text or thinking block begins empty and says nothing yet; any
// other kind is a piece of the answer.
func inspectStart(block []byte) wire.Facts {
	kind := member(block, "type")
	if !isString(kind, "text") && !isString(kind, "thinking") {
		return wire.Facts{Content: kindOf(kind) == '"'}
	}
	n := textSize(member(block, "text")) + textSize(member(block, "thinking"))
	return wire.Facts{Content: n > 0, TextSize: n}
}
