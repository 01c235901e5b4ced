package openai

import (
	"bytes"
	"encoding/json"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/llm"
)

type responseOut struct {
	ID          string      `json:"id"`
	Object      string      `json:"object"`
	Created     int64       `json:"created"`
	Model       string      `json:"model"`
	Choices     []choiceOut `json:"choices"`
	Usage       *usageOut   `json:"usage,omitzero"`
	ServiceTier string      `json:"service_tier,omitzero"`
	Fingerprint string      `json:"system_fingerprint,omitzero"`
}

type choiceOut struct {
	Index        int            `json:"index"`
	Message      answerOut      `json:"message"`
	Logprobs     jsontext.Value `json:"logprobs"`
	FinishReason string         `json:"finish_reason"`
}

type answerOut struct {
	Role        string           `json:"role"`
	Content     *string          `json:"content"`
	Refusal     *string          `json:"refusal"`
	Reasoning   string           `json:"reasoning_content,omitzero"`
	Annotations []jsontext.Value `json:"annotations,omitzero"`
	Audio       jsontext.Value   `json:"audio,omitzero"`
	ToolCalls   []any            `json:"tool_calls,omitzero"`
}

type callOut struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function callFunction `json:"function"`
}

type callFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// asWritten: text that is not UTF-8 is mended, raw pieces stay as they are.
var asWritten = jsonv2.JoinOptions(jsonv2.Deterministic(true), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// marshal writes a value as JSON: text that is not UTF-8 is mended, raw pieces stay as they are.
func marshal(v any) ([]byte, error) {
	b, err := jsonv2.Marshal(v, asWritten)
	if err != nil {
		return nil, llm.Wrap(llm.KindInternal, err, "cannot write the message as JSON")
	}
	return b, nil
}

func (codec) EncodeResponse(r *llm.Response) ([]byte, error) {
	out := responseOut{
		ID: r.ID, Object: "chat.completion", Created: r.Created, Model: r.Model,
		Choices:     make([]choiceOut, 0, len(r.Choices)),
		ServiceTier: r.ServiceTier, Fingerprint: r.Fingerprint,
	}
	for _, c := range r.Choices {
		out.Choices = append(out.Choices, encodeChoice(c))
	}
	if r.Usage.Reported || r.Usage.Total() > 0 {
		out.Usage = usageFor(r.Usage)
	}
	return marshal(&out)
}

func encodeChoice(c llm.Choice) choiceOut {
	out := choiceOut{Index: c.Index, Message: encodeAnswer(c.Parts), FinishReason: finishWord(c.Finish, callsTools(c.Parts))}
	if isObject(c.Logprobs) {
		out.Logprobs = jsontext.Value(c.Logprobs)
	}
	return out
}

// encodeAnswer writes an answer's parts. Texts of one kind are joined as they
// are: they are pieces of one text, split where a citation or a tool stood.
// Redacted thinking, signatures and parts of other protocols have no place here.
func encodeAnswer(parts []llm.Part) answerOut {
	m := answerOut{Role: "assistant"}
	for _, p := range parts {
		switch p.Type {
		case llm.PartText:
			appendText(&m.Content, p.Text)
			m.Annotations = append(m.Annotations, annotations(p.Raw)...)
		case llm.PartRefusal:
			appendText(&m.Refusal, p.Text)
		case llm.PartThinking:
			m.Reasoning += p.Text
		case llm.PartToolCall:
			m.ToolCalls = append(m.ToolCalls, encodeCall(p.ToolCall))
		case llm.PartOther:
			if p.Name == "audio" && isObject(p.Raw) {
				m.Audio = jsontext.Value(p.Raw)
			} else if isCustom(p.Name, p.Raw) {
				m.ToolCalls = append(m.ToolCalls, jsontext.Value(p.Raw))
			}
		}
	}
	return m
}

func appendText(dst **string, s string) {
	if *dst != nil {
		s = **dst + s
	}
	*dst = &s
}

// encodeCall writes a call. A call without arguments gets the empty object:
// clients read the string as JSON.
func encodeCall(c *llm.ToolCall) callOut {
	args := c.Arguments
	if args == "" {
		args = "{}"
	}
	return callOut{ID: c.ID, Type: "function", Function: callFunction{Name: c.Name, Arguments: args}}
}

// annotations are the elements of a text part's Raw, if they have OpenAI's form.
func annotations(raw json.RawMessage) []jsontext.Value {
	if len(raw) == 0 || !jsontext.Value(raw).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
		return nil
	}
	list := gjson.ParseBytes(raw)
	if !isAnnotations(list) {
		return nil
	}
	var out []jsontext.Value
	for _, a := range list.Array() {
		out = append(out, jsontext.Value(a.Raw))
	}
	return out
}

// isObject reports whether raw is a valid JSON object.
func isObject(raw []byte) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 1 && raw[0] == '{' && jsontext.Value(raw).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// isCustom reports whether a part or tool that is no function is OpenAI's own
// kind "custom" (free text instead of JSON arguments).
func isCustom(typ string, raw []byte) bool {
	return typ == "custom" && isObject(raw) && gjson.GetBytes(raw, "custom").IsObject()
}
