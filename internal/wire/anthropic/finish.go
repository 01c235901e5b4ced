package anthropic

import "github.com/breakwater-llm/breakwater/llm"

var finishOf = map[string]llm.FinishReason{
	"end_turn":                      llm.FinishStop,
	"stop_sequence":                 llm.FinishStopSequence,
	"max_tokens":                    llm.FinishLength,
	"tool_use":                      llm.FinishToolCalls,
	"refusal":                       llm.FinishContentFilter,
	"pause_turn":                    llm.FinishPause,
	"model_context_window_exceeded": llm.FinishContext,
}

// decodeFinish maps a stop_reason. A word that is not known counts as a plain
// stop: the provider ended the answer by itself.
func decodeFinish(word string) llm.FinishReason {
	if word == "" {
		return llm.FinishUnknown
	}
	if f, ok := finishOf[word]; ok {
		return f
	}
	return llm.FinishStop
}

// encodeFinish maps back; clients know only the words of the fixed list. An
// answer that calls tools says so, whatever its provider calls that (OpenAI:
// stop, when the tool was forced), and one that is a refusal too, unless raw
// says that the word is this protocol's own.
func encodeFinish(f llm.FinishReason, raw string, calls, refused bool) string {
	switch f {
	case llm.FinishStopSequence:
		return "stop_sequence"
	case llm.FinishLength:
		return "max_tokens"
	case llm.FinishToolCalls:
		return "tool_use"
	case llm.FinishContentFilter:
		return "refusal"
	case llm.FinishPause:
		return "pause_turn"
	case llm.FinishContext:
		return "model_context_window_exceeded"
	}
	switch {
	case raw == "end_turn":
	case calls:
		return "tool_use"
	case refused:
		return "refusal"
	}
	return "end_turn"
}
