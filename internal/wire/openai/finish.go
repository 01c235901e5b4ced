package openai

import "github.com/breakwater-llm/breakwater/llm"

// finishReasons maps the words seen in finish_reason. "eos" is Together's;
// "model_length" Mistral's (the window is full); the capital ones are Cohere's
// and Gemini's, passed through by routers.
var finishReasons = map[string]llm.FinishReason{
	"stop":           llm.FinishStop,
	"eos":            llm.FinishStop,
	"end_turn":       llm.FinishStop,
	"COMPLETE":       llm.FinishStop,
	"STOP":           llm.FinishStop,
	"stop_sequence":  llm.FinishStopSequence,
	"STOP_SEQUENCE":  llm.FinishStopSequence,
	"length":         llm.FinishLength,
	"max_tokens":     llm.FinishLength,
	"MAX_TOKENS":     llm.FinishLength,
	"model_length":   llm.FinishContext,
	"tool_calls":     llm.FinishToolCalls,
	"tool_use":       llm.FinishToolCalls,
	"TOOL_CALL":      llm.FinishToolCalls,
	"function_call":  llm.FinishToolCalls,
	"content_filter": llm.FinishContentFilter,
	"refusal":        llm.FinishContentFilter,
	"SAFETY":         llm.FinishContentFilter,
}

// failedReasons are finish reasons of answers that the provider itself broke
// off: "error" (OpenRouter) and DeepSeek's word for a lack of capacity. Such an answer
// is not whole, so they become errors.
var failedReasons = map[string]llm.Kind{
	"error":                        llm.KindServerError,
	"insufficient_system_resource": llm.KindOverloaded,
}

// finishOf maps a provider's finish_reason; an unknown one means stop, an empty one nothing.
func finishOf(raw string) llm.FinishReason {
	if raw == "" {
		return llm.FinishUnknown
	}
	if f, ok := finishReasons[raw]; ok {
		return f
	}
	return llm.FinishStop
}

// finishWithCalls is the reason of a choice that called tools: OpenAI says "stop"
// when the request named the tool, others say so always, and clients of other
// protocols look for tool calls only where the reason announces them.
func finishWithCalls(f llm.FinishReason, calls bool) llm.FinishReason {
	if calls && f == llm.FinishStop {
		return llm.FinishToolCalls
	}
	return f
}

// finishWord is what a Chat Completions client is told: one of the words its
// SDK knows.
func finishWord(f llm.FinishReason, calls bool) string {
	switch f {
	case llm.FinishLength, llm.FinishContext:
		return "length"
	case llm.FinishToolCalls:
		return "tool_calls"
	case llm.FinishContentFilter:
		return "content_filter"
	case llm.FinishUnknown:
		if calls {
			return "tool_calls"
		}
	}
	return "stop"
}
