package openai

import (
	"encoding/json"
	"hash/fnv"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/llm"
)

func (c codec) DecodeResponse(body []byte) (*llm.Response, error) {
	if f := c.InspectResponse(body); f.Err != nil {
		return nil, f.Err
	}
	root := gjson.ParseBytes(body)
	r := &llm.Response{
		ID:          root.Get("id").String(),
		Model:       root.Get("model").String(),
		Created:     countOf(root.Get("created")),
		ServiceTier: root.Get("service_tier").String(),
		Fingerprint: root.Get("system_fingerprint").String(),
		Usage:       usageIn(root),
	}
	for i, choice := range root.Get("choices").Array() {
		r.Choices = append(r.Choices, decodeChoice(choice, i, r.ID))
	}
	return r, nil
}

func decodeChoice(choice gjson.Result, at int, id string) llm.Choice {
	c := llm.Choice{Index: at, Logprobs: logprobsOf(choice)}
	if index := choice.Get("index"); index.Type == gjson.Number {
		c.Index = int(countOf(index))
	}
	c.Parts = answerParts(choice.Get("message"), c.Index, id)
	c.RawFinish, c.Finish, c.StopSequence = finishIn(choice)
	c.Finish = finishWithCalls(c.Finish, callsTools(c.Parts))
	return c
}

// finishIn reads why a choice stopped. vLLM and its kin put the stop text that
// was met into stop_reason.
func finishIn(choice gjson.Result) (raw string, f llm.FinishReason, stop string) {
	raw = choice.Get("finish_reason").String()
	f = finishOf(raw)
	if s := choice.Get("stop_reason"); f == llm.FinishStop && s.Type == gjson.String && s.Str != "" {
		return raw, llm.FinishStopSequence, s.Str
	}
	return raw, f, ""
}

// logprobsOf is the choice's logprobs object, or nil if it holds none.
func logprobsOf(choice gjson.Result) json.RawMessage {
	lp := choice.Get("logprobs")
	if !lp.IsObject() || !(lp.Get("content").IsArray() || lp.Get("refusal").IsArray()) {
		return nil
	}
	return json.RawMessage(lp.Raw)
}

func callsTools(parts []llm.Part) bool {
	for _, p := range parts {
		if p.Type == llm.PartToolCall {
			return true
		}
	}
	return false
}

// answerParts reads an answer's message: thinking, content, refusal, audio, calls, in
// this order.
func answerParts(m gjson.Result, choice int, id string) []llm.Part {
	var parts []llm.Part
	if t := thinkingIn(m); t != "" {
		parts = append(parts, llm.Part{Type: llm.PartThinking, Text: t})
	}
	parts = append(parts, contentParts(m.Get("content"), annotationsIn(m))...)
	if s := m.Get("refusal"); s.Type == gjson.String && s.Str != "" {
		parts = append(parts, llm.Part{Type: llm.PartRefusal, Text: s.Str})
	}
	if a := m.Get("audio"); a.IsObject() && a.Get("id").String() != "" {
		parts = append(parts, llm.Part{Type: llm.PartOther, Name: "audio", Raw: json.RawMessage(a.Raw)})
	}
	n := 0
	for _, call := range m.Get("tool_calls").Array() {
		if p, ok := callPart(call, id, choice, n); ok {
			parts = append(parts, p)
			n++
		}
	}
	if fc := m.Get("function_call"); fc.Get("name").String() != "" {
		parts = append(parts, llm.Part{Type: llm.PartToolCall, ToolCall: &llm.ToolCall{
			ID: madeCallID(id, choice, n, fc.Get("name").String()), Name: fc.Get("name").String(), Arguments: argumentsOf(fc),
		}})
	}
	return parts
}

// thinkingIn is the reasoning text of a message or delta under either of its names.
func thinkingIn(m gjson.Result) string {
	for _, name := range []string{"reasoning_content", "reasoning"} {
		if t := m.Get(name); t.Type == gjson.String && t.Str != "" {
			return t.Str
		}
	}
	return ""
}

// annotationsIn are the url citations of a message, if there are any.
func annotationsIn(m gjson.Result) json.RawMessage {
	if a := m.Get("annotations"); isAnnotations(a) {
		return json.RawMessage(a.Raw)
	}
	return nil
}

// isAnnotations tells OpenAI's annotations from another protocol's citations.
func isAnnotations(a gjson.Result) bool {
	list := a.Array()
	if !a.IsArray() || len(list) == 0 {
		return false
	}
	for _, one := range list {
		if typ := one.Get("type").String(); typ == "" || !one.Get(gjson.Escape(typ)).IsObject() {
			return false
		}
	}
	return true
}

// contentParts reads content: a string, or a list of chunks (Mistral).
func contentParts(content gjson.Result, annotations json.RawMessage) []llm.Part {
	if content.Type == gjson.String && content.Str != "" {
		return []llm.Part{{Type: llm.PartText, Text: content.Str, Raw: annotations}}
	}
	var parts []llm.Part
	for _, chunk := range content.Array() {
		if !chunk.IsObject() {
			continue
		}
		typ, text := chunkText(chunk)
		if typ == llm.PartOther {
			parts = append(parts, llm.Part{Type: typ, Name: chunk.Get("type").String(), Raw: json.RawMessage(chunk.Raw)})
			continue
		}
		if text == "" {
			continue
		}
		if last := len(parts) - 1; last >= 0 && parts[last].Type == typ {
			parts[last].Text += text
		} else {
			parts = append(parts, llm.Part{Type: typ, Text: text})
		}
	}
	return parts
}

// chunkText reads a chunk of listed content: text, or thinking as a list of text
// chunks. Others are PartOther.
func chunkText(chunk gjson.Result) (typ llm.PartType, text string) {
	switch chunk.Get("type").String() {
	case "text":
		return llm.PartText, chunk.Get("text").String()
	case "thinking":
		t := chunk.Get("thinking")
		if t.Type == gjson.String {
			return llm.PartThinking, t.Str
		}
		for _, piece := range t.Array() {
			text += piece.Get("text").String()
		}
		return llm.PartThinking, text
	}
	return llm.PartOther, ""
}

func callPart(call gjson.Result, id string, choice, n int) (llm.Part, bool) {
	if !call.IsObject() {
		return llm.Part{}, false
	}
	fn := call.Get("function")
	if !fn.IsObject() {
		return llm.Part{Type: llm.PartOther, Name: call.Get("type").String(), Raw: json.RawMessage(call.Raw)}, true
	}
	name := fn.Get("name").String()
	callID := call.Get("id").String()
	if callID == "" {
		callID = madeCallID(id, choice, n, name)
	}
	return llm.Part{Type: llm.PartToolCall, ToolCall: &llm.ToolCall{ID: callID, Name: name, Arguments: argumentsOf(fn)}}, true
}

// argumentsOf are the arguments of a call; some servers write them as an object
// rather than as a string with JSON in it.
func argumentsOf(fn gjson.Result) string {
	args := fn.Get("arguments")
	if args.IsObject() {
		return args.Raw
	}
	return args.String()
}

// madeCallID names a call that came without an id. It hangs on the answer's id,
// so that calls of different turns differ, and is always the same for the same bytes.
func madeCallID(answer string, choice, n int, name string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(answer + "/" + strconv.Itoa(choice) + "/" + strconv.Itoa(n) + "/" + name))
	return "call_" + strconv.FormatUint(h.Sum64(), 36)
}
