package sim

import (
	"strings"
	"unicode/utf8"
)

// Reply is an answer in words that all protocols share.
type Reply struct {
	Thinking  string
	Text      string
	ToolCalls []ToolCall
	Finish    Finish // "": derived from the rest
	Usage     Usage  // what the provider bills

	stopSequence string // the stop sequence that ended the text
	chunks       Chunks
	reported     Usage // what the answer says was used
	noUsage      bool  // it says nothing
	noChoices    bool  // it has no content at all: not even an empty one
}

// ToolCall is a call that the simulated model makes.
type ToolCall struct {
	Name      string
	Arguments string // JSON text; sent as it is, valid or not
}

// Finish says why an answer ended. Other values than these are sent as they are.
type Finish string

// The reasons that both protocols have a word for.
const (
	FinishStop          Finish = "stop"           // end_turn or stop_sequence
	FinishLength        Finish = "length"         // max_tokens
	FinishToolCalls     Finish = "tool_calls"     // tool_use
	FinishContentFilter Finish = "content_filter" // refusal
)

// Usage counts tokens. Input includes Cached and CacheWrite, Output includes
// Reasoning; each protocol's renderer splits them as that protocol does.
type Usage struct {
	Input, Output, Cached, CacheWrite, Reasoning int
}

// defaultReply answers a request that nothing was scripted for: a tool call if one
// is forced, a value of the wanted schema, else a text that repeats the user's.
func defaultReply(a *ask) Reply {
	if a.forced != "" {
		for _, t := range a.tools {
			if a.forced == "*" || a.forced == t.name {
				return Reply{ToolCalls: []ToolCall{{Name: t.name, Arguments: minimalObject(t.schema)}}}
			}
		}
	}
	if a.schema != "" {
		return Reply{Text: minimalInstance(a.schema)}
	}
	if a.jsonMode {
		return Reply{Text: `{"answer":"This is Breakwater's simulated provider."}`}
	}
	text := "This is Breakwater's simulated provider."
	if a.user != "" {
		text += " You said: " + clip(a.user, 2000)
	}
	return Reply{Text: text}
}

func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i] + "..."
		}
		n--
	}
	return s
}

// settle applies the request's limits to a reply and fills in what it leaves open.
func (r *Reply) settle(a *ask, u UsageSpec) {
	if r.stopSequence == "" && r.Finish == "" {
		r.cutAtStop(a.stop)
	}
	if a.maxTokens >= 0 {
		left := a.maxTokens - EstimateTokens(r.Thinking)
		if text, cut := truncate(r.Text, max(0, left)); cut {
			r.Text, r.stopSequence = text, ""
			if r.Finish == "" {
				r.Finish = FinishLength
			}
		}
	}
	switch {
	case r.Finish != "":
	case len(r.ToolCalls) > 0:
		r.Finish = FinishToolCalls
	default:
		r.Finish = FinishStop
	}
	r.Usage = r.estimate(a)
	u.apply(&r.Usage)
	r.reported = r.Usage
}

func (r *Reply) cutAtStop(stops []string) {
	best := -1
	for _, stop := range stops {
		if stop == "" {
			continue
		}
		if i := strings.Index(r.Text, stop); i >= 0 && (best < 0 || i < best) {
			best, r.stopSequence = i, stop
		}
	}
	if best >= 0 {
		r.Text = r.Text[:best]
	}
}

// estimate counts the tokens of a reply that nobody gave numbers for.
func (r *Reply) estimate(a *ask) Usage {
	u := Usage{Input: a.input, Reasoning: EstimateTokens(r.Thinking)}
	out := EstimateTokens(r.Text)
	for _, c := range r.ToolCalls {
		out += EstimateTokens(c.Name) + EstimateTokens(c.Arguments)
	}
	u.Output = u.Reasoning + out*max(1, a.choices)
	return u
}

// UsageSpec overrides the estimated token counts; nil leaves an estimate.
type UsageSpec struct {
	Input      *int `yaml:"input"`       // all input, the cached included
	Output     *int `yaml:"output"`      // all output, the reasoning included
	Cached     *int `yaml:"cached"`      // read from the prompt cache
	CacheWrite *int `yaml:"cache_write"` // written to the prompt cache
	Reasoning  *int `yaml:"reasoning"`   // thinking tokens
}

func (u UsageSpec) apply(to *Usage) {
	set := func(dst *int, v *int) {
		if v != nil {
			*dst = *v
		}
	}
	set(&to.Input, u.Input)
	set(&to.Output, u.Output)
	set(&to.Cached, u.Cached)
	set(&to.CacheWrite, u.CacheWrite)
	set(&to.Reasoning, u.Reasoning)
	if u.Input == nil {
		to.Input = max(to.Input, to.Cached+to.CacheWrite)
	}
	if u.Output == nil {
		to.Output = max(to.Output, to.Reasoning)
	}
}

func (u UsageSpec) validate() error {
	for _, f := range []struct {
		name string
		v    *int
	}{{"input", u.Input}, {"output", u.Output}, {"cached", u.Cached}, {"cache_write", u.CacheWrite}, {"reasoning", u.Reasoning}} {
		if f.v != nil && *f.v < 0 {
			return at(f.name, "is negative; use the fault bad_usage for numbers that cannot be")
		}
	}
	n := func(p *int) int {
		if p == nil {
			return 0
		}
		return *p
	}
	if u.Input != nil && n(u.Cached)+n(u.CacheWrite) > *u.Input {
		return at("input", "%d is less than cached and cache_write together: input includes both", *u.Input)
	}
	if u.Output != nil && n(u.Reasoning) > *u.Output {
		return at("output", "%d is less than reasoning: output includes it", *u.Output)
	}
	return nil
}
