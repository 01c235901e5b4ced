package openai

import (
	"cmp"
	"math"
	"strconv"

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
func usageOf(raw []byte) llm.Usage {
	var n usageNumbers
	if !n.read(raw) || !n.told {
		return llm.Usage{}
	}
	prompt, completion, reasoning := n.prompt, n.completion, n.reasoning
	rest := n.total - prompt - completion
	switch {
	case reasoning > 0 && (rest == reasoning || reasoning > completion):
		completion += reasoning
	case rest > 0 && (n.audioSeconds || n.audio == rest):
		prompt += rest
	case rest > 0 && reasoning == 0:
		completion += rest
		reasoning = rest
	}
	cached := min(cmp.Or(n.cached, n.cacheHit, n.cachedFlat, n.cachedNum), prompt)
	written := min(cmp.Or(n.written, n.created), prompt-cached)
	return llm.Usage{
		Input:      prompt - cached - written,
		CacheRead:  cached,
		CacheWrite: written,
		Output:     completion,
		Reasoning:  min(reasoning, completion),
		CostUSD:    n.cost(),
		Reported:   true,
	}
}

// usageNumbers are the members of a usage object, under the names in use.
type usageNumbers struct {
	told                                    bool // a number of prompt or completion tokens is there
	prompt, completion, total, reasoning    int64
	cached, cacheHit, cachedFlat, cachedNum int64
	written, created, audio                 int64
	audioSeconds                            bool

	ticks, plain, totalCost, byok float64
	ownKey                        bool
}

// read takes the numbers in one pass.
func (n *usageNumbers) read(raw []byte) bool {
	return members(raw, func(name, v []byte) bool {
		switch string(name) {
		case "prompt_tokens":
			n.prompt, n.told = count(v), n.told || isNumber(v)
		case "completion_tokens":
			n.completion, n.told = count(v), n.told || isNumber(v)
		case "total_tokens":
			n.total = count(v)
		case "prompt_cache_hit_tokens":
			n.cacheHit = count(v)
		case "cached_tokens":
			n.cachedFlat = count(v)
		case "num_cached_tokens":
			n.cachedNum = count(v)
		case "cache_creation_input_tokens":
			n.created = count(v)
		case "prompt_audio_seconds":
			n.audioSeconds = true
		case "prompt_tokens_details":
			members(v, n.promptDetail)
		case "completion_tokens_details":
			members(v, func(name, v []byte) bool {
				if string(name) == "reasoning_tokens" {
					n.reasoning = count(v)
				}
				return true
			})
		default:
			n.price(name, v)
		}
		return true
	})
}

func (n *usageNumbers) promptDetail(name, v []byte) bool {
	switch string(name) {
	case "cached_tokens":
		n.cached = count(v)
	case "cache_write_tokens":
		n.written = count(v)
	case "audio_tokens":
		n.audio = count(v)
	}
	return true
}

// price takes what providers tell of the price: xAI's ticks, Perplexity's total, or a
// plain number (OpenRouter, Vercel), to which OpenRouter's upstream cost is added where
// the account's own key was used there.
func (n *usageNumbers) price(name, v []byte) {
	switch string(name) {
	case "cost_in_usd_ticks":
		n.ticks = number(v)
	case "cost":
		n.plain = number(v)
		members(v, func(name, v []byte) bool {
			if string(name) == "total_cost" {
				n.totalCost = number(v)
			}
			return true
		})
	case "is_byok":
		n.ownKey = string(v) == "true"
	case "cost_details":
		members(v, func(name, v []byte) bool {
			if string(name) == "upstream_inference_cost" {
				n.byok = number(v)
			}
			return true
		})
	}
}

// cost is the price in USD that a provider itself reports, or 0.
func (n *usageNumbers) cost() float64 {
	cost := n.ticks / ticksPerUSD
	switch {
	case n.totalCost != 0:
		cost = n.totalCost
	case n.plain != 0 || n.ownKey:
		cost = n.plain
		if n.ownKey {
			cost += max(0, n.byok)
		}
	}
	if math.IsNaN(cost) || cost < 0 || cost > 1e6 {
		return 0
	}
	return cost
}

func isNumber(v []byte) bool { return len(v) > 0 && (v[0] == '-' || '0' <= v[0] && v[0] <= '9') }

// number is a JSON number's value, or 0 for anything else.
func number(v []byte) float64 {
	if !isNumber(v) {
		return 0
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil {
		return 0
	}
	return f
}

// count reads a count, whatever its form: absurd ones become 0.
func count(v []byte) int64 {
	const limit = 1 << 50
	if len(v) > 0 && len(v) < 16 { // digits alone, as nearly always
		n := int64(0)
		for _, ch := range v {
			if ch < '0' || ch > '9' {
				n = -1
				break
			}
			n = n*10 + int64(ch-'0')
		}
		if n >= 0 && n <= limit {
			return n
		}
	}
	f := number(v)
	if !(f >= 0 && f <= limit) {
		return 0
	}
	return int64(f)
}

// countOf is [count] for a number that was parsed.
func countOf(r gjson.Result) int64 {
	if r.Type != gjson.Number {
		return 0
	}
	return count([]byte(r.Raw))
}

// usageIn finds the usage of a chunk or answer: its own, or Groq's in x_groq.
func usageIn(root gjson.Result) llm.Usage {
	if u := usageOf([]byte(root.Get("usage").Raw)); u.Reported {
		return u
	}
	return usageOf([]byte(root.Get("x_groq.usage").Raw))
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
