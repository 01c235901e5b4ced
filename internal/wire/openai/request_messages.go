package openai

import (
	"encoding/json"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/llm"
)

// messageFields are the members of a message before its role is known.
type messageFields struct {
	path, role, name       string
	content                []byte
	calls                  []byte
	callID, refusal        string
	reasoning, reasoningV2 string
	cache                  *llm.CacheMarker
	others                 []llm.Field
}

func (d *requestDecoder) message(path string, v []byte) {
	m := messageFields{path: path}
	d.fields(v, func(name string, v []byte) { d.messageField(&m, name, v) })
	if d.err != nil {
		return
	}
	msg := llm.Message{Role: llm.Role(m.role), Name: m.name}
	switch msg.Role {
	case llm.RoleSystem, llm.RoleDeveloper, llm.RoleUser:
		msg.Parts = d.content(m.path+".content", m.content)
	case llm.RoleAssistant:
		msg.Parts = d.assistant(&m)
	case llm.RoleTool:
		if m.callID == "" {
			d.fail(path+".tool_call_id", "%s.tool_call_id is required", path)
		}
		msg.Parts = []llm.Part{{Type: llm.PartToolResult, ToolResult: &llm.ToolResult{
			ID: m.callID, Parts: d.content(m.path+".content", m.content),
		}}}
	case "function": // the old way to return a result
		d.extra("messages", path, v)
		return
	case "":
		d.fail(path+".role", "%s.role is required", path)
	default:
		d.fail(path+".role", "%s.role must be system, developer, user, assistant or tool", path)
	}
	if n := len(msg.Parts); n > 0 && m.cache != nil && msg.Parts[n-1].Cache == nil {
		msg.Parts[n-1].Cache = m.cache
	}
	for _, o := range m.others {
		d.extra("messages."+o.Path, path+"."+o.Path, o.Raw)
	}
	d.req.Messages = append(d.req.Messages, msg)
}

func (d *requestDecoder) messageField(m *messageFields, name string, v []byte) {
	at := m.path + "." + name
	switch name {
	case "role":
		m.role = d.str(at, v)
	case "name":
		m.name = d.str(at, v)
	case "content":
		m.content = v
	case "tool_calls":
		m.calls = v
	case "tool_call_id":
		m.callID = d.str(at, v)
	case "refusal":
		m.refusal = d.str(at, v)
	case "reasoning_content":
		m.reasoning = d.str(at, v)
	case "reasoning":
		m.reasoningV2 = d.str(at, v)
	case "cache_control":
		m.cache = cacheMarker(v)
	default:
		m.others = append(m.others, llm.Field{Path: name, Raw: v})
	}
}

// assistant collects an answer of the history: thinking, content, refusal, calls.
func (d *requestDecoder) assistant(m *messageFields) []llm.Part {
	var parts []llm.Part
	if m.reasoning == "" {
		m.reasoning = m.reasoningV2
	}
	if m.reasoning != "" {
		parts = append(parts, llm.Part{Type: llm.PartThinking, Text: m.reasoning})
	}
	parts = append(parts, d.content(m.path+".content", m.content)...)
	if m.refusal != "" {
		parts = append(parts, llm.Part{Type: llm.PartRefusal, Text: m.refusal})
	}
	if m.calls != nil {
		d.each(m.path+".tool_calls", m.calls, func(path string, v []byte) {
			parts = append(parts, d.call(path, v))
		})
	}
	return parts
}

func (d *requestDecoder) call(path string, v []byte) llm.Part {
	var call llm.ToolCall
	var typ string
	var function bool
	d.fields(v, func(name string, v []byte) {
		at := path + "." + name
		switch name {
		case "id":
			call.ID = d.str(at, v)
		case "type":
			typ = d.str(at, v)
		case "function":
			function = d.object(at, v)
			d.callFunction(at, v, &call)
		case "custom":
		default:
			d.extra("messages.tool_calls."+name, at, v)
		}
	})
	if typ != "" && typ != "function" {
		return llm.Part{Type: llm.PartOther, Name: typ, Raw: json.RawMessage(v)}
	}
	switch {
	case call.ID == "":
		d.fail(path+".id", "%s.id is required", path)
	case !function || call.Name == "":
		d.fail(path+".function.name", "%s.function.name is required", path)
	}
	return llm.Part{Type: llm.PartToolCall, ToolCall: &call}
}

func (d *requestDecoder) callFunction(path string, v []byte, call *llm.ToolCall) {
	d.fields(v, func(name string, v []byte) {
		at := path + "." + name
		switch {
		case name == "name":
			call.Name = d.str(at, v)
		case name == "arguments" && v[0] == '{': // some clients send the object itself
			call.Arguments = string(v)
		case name == "arguments":
			call.Arguments = d.str(at, v)
		default:
			d.extra("messages.tool_calls.function."+name, at, v)
		}
	})
}

// content reads a message's content: a string, or a list of parts. Empty texts are left
// out: they say nothing, and some protocols refuse them.
func (d *requestDecoder) content(path string, v []byte) []llm.Part {
	if len(v) == 0 {
		return nil
	}
	if v[0] == '"' {
		return textParts(d.str(path, v))
	}
	if v[0] != '[' {
		d.fail(path, "%s must be a string or an array of content parts", path)
		return nil
	}
	var parts []llm.Part
	d.each(path, v, func(path string, v []byte) {
		parts = append(parts, d.part(path, v)...)
	})
	return parts
}

func textParts(s string) []llm.Part {
	if s == "" {
		return nil
	}
	return []llm.Part{{Type: llm.PartText, Text: s}}
}

// partFields are the members of a content part before its type is known.
type partFields struct {
	typ    string
	own    []byte // the member that has the type's name
	cache  *llm.CacheMarker
	others []llm.Field
}

func (d *requestDecoder) part(path string, v []byte) []llm.Part {
	var f partFields
	d.fields(v, func(name string, v []byte) {
		switch name {
		case "type":
			f.typ = d.str(path+".type", v)
		case "cache_control":
			f.cache = cacheMarker(v)
		default:
			f.others = append(f.others, llm.Field{Path: name, Raw: v})
		}
	})
	if d.err != nil {
		return nil
	}
	if f.typ == "" {
		d.fail(path+".type", "%s.type is required", path)
		return nil
	}
	known := f.typ == "text" || f.typ == "refusal" || f.typ == "thinking" || f.typ == "image_url" ||
		f.typ == "input_audio" || f.typ == "file"
	if !known {
		return []llm.Part{{Type: llm.PartOther, Name: f.typ, Raw: json.RawMessage(v), Cache: f.cache}}
	}
	for _, o := range f.others {
		if o.Path == f.typ {
			f.own = o.Raw
		} else {
			d.extra("messages.content."+o.Path, path+"."+o.Path, o.Raw)
		}
	}
	at := path + "." + f.typ
	if f.own == nil {
		d.fail(at, "%s is required", at)
		return nil
	}
	parts := d.knownPart(at, f.typ, f.own)
	if len(parts) > 0 {
		parts[0].Cache = f.cache
	}
	return parts
}

func (d *requestDecoder) knownPart(path, typ string, v []byte) []llm.Part {
	switch typ {
	case "text":
		return textParts(d.str(path, v))
	case "refusal":
		return []llm.Part{{Type: llm.PartRefusal, Text: d.str(path, v)}}
	case "thinking": // Mistral
		if _, text := chunkText(gjson.ParseBytes([]byte(`{"type":"thinking","thinking":` + string(v) + `}`))); text != "" {
			return []llm.Part{{Type: llm.PartThinking, Text: text}}
		}
		return nil
	case "image_url":
		return d.image(path, v)
	case "input_audio":
		return d.audio(path, v)
	}
	return d.file(path, v)
}
