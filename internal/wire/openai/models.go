package openai

import "strings"

// baseName strips a router's prefix from a model name: "openai/gpt-5" is gpt-5.
func baseName(model string) string {
	return model[strings.LastIndexByte(model, '/')+1:]
}

// reasoningFamilies are the prefixes of OpenAI's own models that reason. They
// refuse max_tokens and take max_completion_tokens, and know the role developer.
var reasoningFamilies = []string{"o1", "o3", "o4", "gpt-5", "gpt-6", "gpt-7", "gpt-8", "gpt-9"}

// isReasoningModel reports whether model is one of OpenAI's reasoning models. The prefix
// must end at the name's end or at one of "-", "." and ":" ("o1-mini", "gpt-5.1"), so
// that other makers' names do not match.
func isReasoningModel(model string) bool {
	name := baseName(model)
	for _, p := range reasoningFamilies {
		if rest, ok := strings.CutPrefix(name, p); ok && (rest == "" || strings.ContainsRune("-.:", rune(rest[0]))) {
			return true
		}
	}
	return false
}

// isOpenAIModel reports whether model is one that OpenAI serves itself. Those
// refuse members they do not know, such as reasoning_content in the history.
func isOpenAIModel(model string) bool {
	name := baseName(model)
	return isReasoningModel(model) || strings.HasPrefix(name, "gpt-3") || strings.HasPrefix(name, "gpt-4") ||
		strings.HasPrefix(name, "chatgpt-") || strings.HasPrefix(name, "ft:gpt-")
}
