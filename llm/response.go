package llm

import (
	"encoding/json"
	"strings"
)

// FinishReason says why the model stopped.
type FinishReason string

// The finish reasons. FinishUnknown is the zero value: no reason was given.
const (
	FinishUnknown       FinishReason = ""
	FinishStop          FinishReason = "stop"
	FinishStopSequence  FinishReason = "stop_sequence" // one of the request's stop texts
	FinishLength        FinishReason = "length"
	FinishToolCalls     FinishReason = "tool_calls"
	FinishContentFilter FinishReason = "content_filter" // the provider's filter or the model's refusal
	FinishPause         FinishReason = "pause"          // a server tool paused: send the turn back
	FinishContext       FinishReason = "context_length" // the context window is full
)

// Response is a whole answer.
type Response struct {
	ID          string
	Model       string // the model that answered, as the provider names it
	Created     int64  // Unix seconds; 0: not given
	Choices     []Choice
	Usage       Usage
	ServiceTier string
	Fingerprint string // OpenAI's system_fingerprint
}

// Choice is one of the answers asked for with Request.N, mostly the only one.
type Choice struct {
	Index        int
	Parts        []Part
	Finish       FinishReason
	RawFinish    string // the provider's own word
	StopSequence string
	Logprobs     json.RawMessage
}

// Usage is what a call cost in tokens, split so that each token is in exactly
// one of Input, CacheRead, CacheWrite, CacheWrite1h and Output. Providers count
// in three conventions (OpenAI's prompt tokens include cached ones, Anthropic's
// exclude them, Gemini's output leaves out thoughts): codecs convert to this one.
type Usage struct {
	Input        int64 // uncached, unwritten input tokens
	CacheRead    int64
	CacheWrite   int64 // written with the short lifetime (5 minutes)
	CacheWrite1h int64
	Output       int64 // reasoning included
	Reasoning    int64 // the part of Output that was reasoning
	// CostUSD is the price the provider itself reported, if it did.
	CostUSD  float64
	Reported bool // the provider told these numbers; false: none or estimated
}

// TotalInput is every token of the prompt: uncached, read and written.
func (u Usage) TotalInput() int64 { return u.Input + u.CacheRead + u.CacheWrite + u.CacheWrite1h }

// Total is all tokens of the call.
func (u Usage) Total() int64 { return u.TotalInput() + u.Output }

// Merge replaces u's counts by those of a later report of the same call:
// reports are cumulative, so the last non-zero value of each count wins and
// nothing is summed.
func (u *Usage) Merge(later Usage) {
	if !later.Reported {
		return
	}
	if later.CacheWrite1h == 0 && u.CacheWrite1h > 0 && later.CacheWrite >= u.CacheWrite1h {
		later.CacheWrite -= u.CacheWrite1h // the later report does not split its writes
	}
	set := func(dst *int64, v int64) {
		if v != 0 {
			*dst = v
		}
	}
	set(&u.Input, later.Input)
	set(&u.CacheRead, later.CacheRead)
	set(&u.CacheWrite, later.CacheWrite)
	set(&u.CacheWrite1h, later.CacheWrite1h)
	set(&u.Output, later.Output)
	set(&u.Reasoning, later.Reasoning)
	if later.CostUSD != 0 {
		u.CostUSD = later.CostUSD
	}
	u.Reported = true
}

// Add adds another call's, or attempt's, usage. The sum counts as reported if
// either part was.
func (u *Usage) Add(v Usage) {
	u.Input += v.Input
	u.CacheRead += v.CacheRead
	u.CacheWrite += v.CacheWrite
	u.CacheWrite1h += v.CacheWrite1h
	u.Output += v.Output
	u.Reasoning += v.Reasoning
	u.CostUSD += v.CostUSD
	u.Reported = u.Reported || v.Reported
}

// Text is the text of the first choice, all its text parts together.
func (r *Response) Text() string {
	if len(r.Choices) == 0 {
		return ""
	}
	var b strings.Builder
	for _, p := range r.Choices[0].Parts {
		if p.Type == PartText || p.Type == PartRefusal {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}
