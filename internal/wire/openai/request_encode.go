package openai

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// maxStops is how many stop texts OpenAI takes.
const maxStops = 4

type requestOut struct {
	Model               string            `json:"model"`
	Messages            []messageOut      `json:"messages"`
	Tools               []any             `json:"tools,omitzero"`
	ToolChoice          any               `json:"tool_choice,omitzero"`
	ParallelToolCalls   *bool             `json:"parallel_tool_calls,omitzero"`
	MaxTokens           *int              `json:"max_tokens,omitzero"`
	MaxCompletionTokens *int              `json:"max_completion_tokens,omitzero"`
	Temperature         *float64          `json:"temperature,omitzero"`
	TopP                *float64          `json:"top_p,omitzero"`
	FrequencyPenalty    *float64          `json:"frequency_penalty,omitzero"`
	PresencePenalty     *float64          `json:"presence_penalty,omitzero"`
	Seed                *int64            `json:"seed,omitzero"`
	N                   *int              `json:"n,omitzero"`
	Stop                []string          `json:"stop,omitempty"`
	Logprobs            *bool             `json:"logprobs,omitzero"`
	TopLogprobs         *int              `json:"top_logprobs,omitzero"`
	LogitBias           jsontext.Value    `json:"logit_bias,omitzero"`
	ResponseFormat      *formatOut        `json:"response_format,omitzero"`
	ReasoningEffort     string            `json:"reasoning_effort,omitzero"`
	User                string            `json:"user,omitzero"`
	Metadata            map[string]string `json:"metadata,omitempty"`
	ServiceTier         string            `json:"service_tier,omitzero"`
	Store               *bool             `json:"store,omitzero"`
	PromptCacheKey      string            `json:"prompt_cache_key,omitzero"`
	Verbosity           string            `json:"verbosity,omitzero"`
	SafetyID            string            `json:"safety_identifier,omitzero"`
	Stream              bool              `json:"stream,omitzero"`
	StreamOptions       *streamOptionsOut `json:"stream_options,omitzero"`
}

type streamOptionsOut struct {
	IncludeUsage bool `json:"include_usage"`
}

type formatOut struct {
	Type       string     `json:"type"`
	JSONSchema *schemaOut `json:"json_schema,omitzero"`
}

type schemaOut struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitzero"`
	Schema      jsontext.Value `json:"schema,omitzero"`
	Strict      *bool          `json:"strict,omitzero"`
}

type toolOut struct {
	Type     string          `json:"type"`
	Function toolFunctionOut `json:"function"`
}

type toolFunctionOut struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitzero"`
	Parameters  jsontext.Value `json:"parameters,omitzero"`
	Strict      *bool          `json:"strict,omitzero"`
}

type namedChoiceOut struct {
	Type     string    `json:"type"`
	Function namedTool `json:"function"`
}

type namedTool struct {
	Name string `json:"name"`
}

// EncodeRequest always asks for usage in a stream: the gateway counts by it.
func (codec) EncodeRequest(r *llm.Request, model string) ([]byte, []string, error) {
	e := requestEncoder{model: model}
	out := requestOut{
		Model: model, Messages: e.messages(r.Messages),
		Temperature: r.Temperature, TopP: r.TopP, FrequencyPenalty: r.FrequencyPenalty, PresencePenalty: r.PresencePenalty,
		Seed: r.Seed, N: r.N, Logprobs: r.Logprobs, TopLogprobs: r.TopLogprobs, LogitBias: jsontext.Value(r.LogitBias),
		ResponseFormat: e.format(r.Format), ReasoningEffort: effortFor(r.Reasoning),
		User: r.User, Metadata: r.Metadata, ServiceTier: tierFor(r.ServiceTier), Store: r.Store,
		PromptCacheKey: r.PromptCacheKey, Verbosity: r.Verbosity, SafetyID: r.SafetyID, Stream: r.Stream,
	}
	if isReasoningModel(model) {
		out.MaxCompletionTokens = r.MaxTokens
	} else {
		out.MaxTokens = r.MaxTokens
	}
	if r.Stream && r.StreamWithUsage {
		out.StreamOptions = &streamOptionsOut{IncludeUsage: true}
	}
	if r.TopK != nil {
		e.cannot("top_k")
	}
	out.Stop = e.stop(r.Stop)
	e.tools(&out, r)
	for _, x := range r.Extra {
		e.cannot(x.Path)
	}
	body, err := wire.MarshalSized(&out, wire.RequestSize(r), asWritten)
	if err != nil {
		return nil, nil, llm.Wrap(llm.KindInternal, err, "cannot write the request as JSON")
	}
	return body, e.unsupported, nil
}

// requestEncoder collects what the protocol cannot say.
type requestEncoder struct {
	model       string
	unsupported []string
}

func (e *requestEncoder) cannot(name string) {
	if !slices.Contains(e.unsupported, name) {
		e.unsupported = append(e.unsupported, name)
	}
}

func (e *requestEncoder) stop(stops []string) []string {
	if len(stops) > maxStops {
		e.cannot("stop_sequences")
		return stops[:maxStops]
	}
	return stops
}

// tools writes tools and what belongs to them. Without tools a choice or a wish
// for parallel calls means nothing, and OpenAI refuses both.
func (e *requestEncoder) tools(out *requestOut, r *llm.Request) {
	for _, t := range r.Tools {
		switch {
		case t.Type == "" || t.Type == "function":
			out.Tools = append(out.Tools, toolOut{Type: "function", Function: toolFunctionOut{
				Name: t.Name, Description: t.Description, Parameters: jsontext.Value(t.Schema), Strict: t.Strict,
			}})
		case isCustom(t.Type, t.Raw):
			out.Tools = append(out.Tools, jsontext.Value(t.Raw))
		default:
			e.cannot("tools." + t.Type)
		}
	}
	if len(out.Tools) == 0 {
		return
	}
	out.ParallelToolCalls = r.ParallelToolCalls
	out.ToolChoice = e.toolChoice(r.ToolChoice)
}

func (e *requestEncoder) toolChoice(c *llm.ToolChoice) any {
	switch {
	case c == nil:
		return nil
	case c.Raw != nil:
		if typ := gjson.GetBytes(c.Raw, "type").String(); isObject(c.Raw) && (typ == "allowed_tools" || typ == "custom") {
			return jsontext.Value(c.Raw)
		}
		e.cannot("tool_choice")
		return nil
	case c.Mode == llm.ToolsNamed:
		return namedChoiceOut{Type: "function", Function: namedTool{c.Name}}
	}
	return string(c.Mode)
}

func (e *requestEncoder) format(f *llm.Format) *formatOut {
	if f == nil || f.Type == llm.FormatText || f.Type == "" {
		return nil
	}
	out := &formatOut{Type: string(f.Type)}
	if f.Type == llm.FormatJSONSchema {
		out.JSONSchema = &schemaOut{
			Name: or(f.Name, "response"), Description: f.Description, Schema: jsontext.Value(f.Schema), Strict: f.Strict,
		}
	}
	return out
}

// Budgets of thinking tokens, from which on an effort is asked for.
const (
	mediumBudget = 4096
	highBudget   = 16384
)

// effortFor maps a wish for reasoning to reasoning_effort: an effort as it is, a
// budget by its size, adaptive thinking to medium. Disabled thinking is left out: a model
// that does not reason needs no word for it, and those that must cannot be told.
func effortFor(r *llm.Reasoning) string {
	switch {
	case r == nil:
		return ""
	case r.Mode == "disabled":
		return ""
	case r.Effort != "":
		return r.Effort
	case r.Mode == "adaptive":
		return "medium"
	case r.Mode != "enabled":
		return ""
	case r.BudgetTokens < mediumBudget:
		return "low"
	case r.BudgetTokens < highBudget:
		return "medium"
	}
	return "high"
}

// tierFor maps Anthropic's word for the standard tier; its "auto" is the default.
func tierFor(tier string) string {
	switch tier {
	case "standard_only":
		return "default"
	case "auto":
		return ""
	}
	return tier
}
