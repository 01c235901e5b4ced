package openai

import (
	"math"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/llm"
)

// ticksPerUSD is the unit of xAI's cost_in_usd_ticks (docs.x.ai, cost tracking).
const ticksPerUSD = 1e10

// usageOf splits a usage object into llm's counts. Three conventions are told
// apart by their sums, not by the provider's name:
//
//   - completion includes reasoning (OpenAI and most): total = prompt + completion
//   - reasoning apart (xAI): total = prompt + completion + reasoning; also taken
//     when reasoning exceeds completion, which nothing else explains
//   - reasoning apart and not told (Gemini's compatible API): the total is higher
//     than its parts, and the rest is reasoning; with audio input (Mistral) it is input
//
// Cached and written tokens are parts of the prompt, and are cut to it.
func usageOf(u gjson.Result) llm.Usage {
	if !u.IsObject() {
		return llm.Usage{}
	}
	promptField, completionField := u.Get("prompt_tokens"), u.Get("completion_tokens")
	if promptField.Type != gjson.Number && completionField.Type != gjson.Number {
		return llm.Usage{}
	}
	prompt, completion := count(promptField), count(completionField)
	reasoning := count(u.Get("completion_tokens_details.reasoning_tokens"))
	rest := count(u.Get("total_tokens")) - prompt - completion
	switch {
	case reasoning > 0 && (rest == reasoning || reasoning > completion):
		completion += reasoning
	case rest > 0 && hasAudioInput(u, rest):
		prompt += rest
	case rest > 0 && reasoning == 0:
		completion += rest
		reasoning = rest
	}
	cached := min(firstCount(u, "prompt_tokens_details.cached_tokens", "prompt_cache_hit_tokens", "cached_tokens",
		"num_cached_tokens"), prompt)
	written := min(firstCount(u, "prompt_tokens_details.cache_write_tokens", "cache_creation_input_tokens"), prompt-cached)
	return llm.Usage{
		Input:      prompt - cached - written,
		CacheRead:  cached,
		CacheWrite: written,
		Output:     completion,
		Reasoning:  min(reasoning, completion),
		CostUSD:    costOf(u),
		Reported:   true,
	}
}

func hasAudioInput(u gjson.Result, rest int64) bool {
	return u.Get("prompt_audio_seconds").Exists() || count(u.Get("prompt_tokens_details.audio_tokens")) == rest
}

// count reads a count, whatever its form: absurd ones become 0.
func count(r gjson.Result) int64 {
	if r.Type != gjson.Number || !(r.Num >= 0 && r.Num <= 1<<50) {
		return 0
	}
	return int64(r.Num)
}

func firstCount(u gjson.Result, paths ...string) int64 {
	for _, p := range paths {
		if n := count(u.Get(p)); n > 0 {
			return n
		}
	}
	return 0
}

// costOf is the price in USD that a provider itself reports, or 0: xAI's ticks,
// Perplexity's total, or a plain number (OpenRouter, Vercel), to which OpenRouter's
// upstream cost is added where the account's own key was used there.
func costOf(u gjson.Result) float64 {
	cost := u.Get("cost_in_usd_ticks").Num / ticksPerUSD
	if c := u.Get("cost"); c.IsObject() {
		cost = c.Get("total_cost").Num
	} else if c.Type == gjson.Number {
		cost = c.Num
		if u.Get("is_byok").Type == gjson.True {
			cost += max(0, u.Get("cost_details.upstream_inference_cost").Num)
		}
	}
	if math.IsNaN(cost) || cost < 0 || cost > 1e6 {
		return 0
	}
	return cost
}

// usageIn finds the usage of a chunk or answer: its own, or Groq's in x_groq.
func usageIn(root gjson.Result) llm.Usage {
	if u := usageOf(root.Get("usage")); u.Reported {
		return u
	}
	return usageOf(root.Get("x_groq.usage"))
}

type usageOut struct {
	PromptTokens     int64             `json:"prompt_tokens"`
	CompletionTokens int64             `json:"completion_tokens"`
	TotalTokens      int64             `json:"total_tokens"`
	PromptDetails    promptDetails     `json:"prompt_tokens_details"`
	Details          completionDetails `json:"completion_tokens_details"`
}

type promptDetails struct {
	CachedTokens     int64 `json:"cached_tokens"`
	CacheWriteTokens int64 `json:"cache_write_tokens,omitzero"`
}

type completionDetails struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

// usageFor writes counts the way OpenAI counts: prompt tokens include cached and
// written ones.
func usageFor(u llm.Usage) *usageOut {
	return &usageOut{
		PromptTokens:     u.TotalInput(),
		CompletionTokens: u.Output,
		TotalTokens:      u.Total(),
		PromptDetails:    promptDetails{CachedTokens: u.CacheRead, CacheWriteTokens: u.CacheWrite + u.CacheWrite1h},
		Details:          completionDetails{ReasoningTokens: u.Reasoning},
	}
}
