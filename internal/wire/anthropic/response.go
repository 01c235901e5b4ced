package anthropic

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/breakwater-llm/breakwater/llm"
)

func (codec) DecodeResponse(body []byte) (*llm.Response, error) {
	if !isObject(body) {
		return nil, llm.Errorf(llm.KindBadResponse, "the provider's answer is not a JSON object")
	}
	var (
		r      llm.Response
		choice llm.Choice
		rd     reader
		kind   []byte
		detail []byte
		has    bool
	)
	for c := walk(body); ; {
		name, v, ok := c.next()
		if !ok {
			break
		}
		switch string(name) {
		case "type":
			kind = v
		case "id":
			r.ID = stringOf(v)
		case "model":
			r.Model = stringOf(v)
		case "content":
			if kindOf(v) != '[' {
				break
			}
			parts, err := rd.content(v, &place{name: "content"})
			if err != nil {
				return nil, asBadResponse(err)
			}
			choice.Parts, has = parts, true
		case "stop_reason":
			choice.RawFinish = stringOf(v)
		case "stop_sequence":
			choice.StopSequence = stringOf(v)
		case "stop_details":
			detail = v
		case "usage":
			r.Usage = usageOf(v)
			r.ServiceTier = stringOf(member(v, "service_tier"))
		}
	}
	if isString(kind, "error") {
		return nil, errorObject(body)
	}
	if !has || kind != nil && !isString(kind, "message") {
		return nil, llm.Errorf(llm.KindBadResponse, "the provider's answer is not a message with content")
	}
	choice.Finish = decodeFinish(choice.RawFinish)
	if text := refusalText(detail); text != "" {
		choice.Parts = append(choice.Parts, llm.Part{Type: llm.PartRefusal, Text: text})
	}
	r.Choices = []llm.Choice{choice}
	return &r, nil
}

// refusalText is the explanation that a refusal may bring.
func refusalText(details []byte) string { return stringOf(member(details, "explanation")) }

type wireResponse struct {
	ID           string    `json:"id"`
	Type         string    `json:"type"`
	Role         string    `json:"role"`
	Model        string    `json:"model"`
	Content      []any     `json:"content"`
	StopReason   *string   `json:"stop_reason"`
	StopSequence *string   `json:"stop_sequence"`
	Usage        wireUsage `json:"usage"`
}

// EncodeResponse writes the first choice: the protocol has room for one.
func (codec) EncodeResponse(r *llm.Response) ([]byte, error) {
	out := wireResponse{
		ID: messageID(r.ID), Type: "message", Role: "assistant", Model: r.Model, Content: []any{},
		Usage: encodeUsage(r.Usage, r.ServiceTier),
	}
	var choice llm.Choice
	if len(r.Choices) > 0 {
		choice = r.Choices[0]
	}
	calls, refused := false, false
	for i := range choice.Parts {
		p := &choice.Parts[i]
		calls = calls || p.Type == llm.PartToolCall
		refused = refused || p.Type == llm.PartRefusal
		block, err := answerBlock(p, &choice, out.ID, len(out.Content))
		if err != nil {
			return nil, err
		}
		if block != nil {
			out.Content = append(out.Content, block)
		}
	}
	reason := encodeFinish(choice.Finish, choice.RawFinish, calls, refused)
	out.StopReason = &reason
	if choice.Finish == llm.FinishStopSequence && choice.StopSequence != "" {
		out.StopSequence = &choice.StopSequence
	}
	body, err := json.Marshal(&out, asWritten)
	if err != nil {
		return nil, llm.Wrap(llm.KindBadResponse, err, "the answer cannot be written as JSON")
	}
	return body, nil
}

// answerBlock writes one part of an answer, or nothing where the protocol has
// no form for it.
func answerBlock(p *llm.Part, c *llm.Choice, message string, index int) (any, error) {
	switch p.Type {
	case llm.PartText, llm.PartRefusal:
		if p.Text == "" {
			return nil, nil
		}
		return &textBlock{Type: "text", Text: p.Text, Citations: ownCitations(p.Raw)}, nil
	case llm.PartThinking: // from other providers it has no signature
		return &thinkingBlock{Type: "thinking", Thinking: p.Text, Signature: p.Signature}, nil
	case llm.PartRedactedThinking:
		return &redactedBlock{Type: "redacted_thinking", Data: p.Text}, nil
	case llm.PartToolCall:
		if p.ToolCall == nil {
			return nil, nil
		}
		input, err := answerInput(p.ToolCall, c.Finish)
		if err != nil {
			return nil, err
		}
		return &toolUseBlock{
			Type: "tool_use", ID: answerToolID(p.ToolCall.ID, message, index), Name: p.ToolCall.Name, Input: input,
		}, nil
	case llm.PartOther:
		if ownBlock(p.Name) && isObject(p.Raw) {
			return jsontext.Value(p.Raw), nil
		}
	}
	return nil, nil
}

// cutArguments is the member under which the arguments of a call that the
// token limit cut off are handed on: input must be an object, and an empty or
// mended one might pass for a call that was meant.
const cutArguments = "_incomplete_arguments"

func answerInput(call *llm.ToolCall, finish llm.FinishReason) (jsontext.Value, error) {
	args := strings.TrimSpace(call.Arguments)
	switch {
	case args == "" || args == "null":
		return jsontext.Value("{}"), nil
	case isObject([]byte(args)):
		return jsontext.Value(args), nil
	case finish == llm.FinishLength || finish == llm.FinishContext:
		return json.Marshal(map[string]string{cutArguments: call.Arguments}, asWritten)
	}
	return nil, llm.Errorf(llm.KindBadResponse, "the model's call of a tool has arguments that are not a JSON object")
}

// DecodeCount reads the answer of count_tokens.
func DecodeCount(body []byte) (int64, error) {
	if isObject(body) {
		if raw := member(body, "input_tokens"); kindOf(raw) >= '0' && kindOf(raw) <= '9' {
			return intOf(raw), nil
		}
	}
	return 0, llm.Errorf(llm.KindBadResponse, "the provider's answer holds no input_tokens")
}

// EncodeCount writes the answer of count_tokens.
func EncodeCount(n int64) []byte {
	body, _ := json.Marshal(struct {
		InputTokens int64 `json:"input_tokens"`
	}{n})
	return body
}
