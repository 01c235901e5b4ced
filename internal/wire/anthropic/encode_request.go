package anthropic

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

func (codec) EncodeRequest(r *llm.Request, modelName string) ([]byte, []string, error) {
	e := requestWriter{r: r, model: lookupModel(modelName)}
	e.out.Model = modelName
	e.out.Stream = r.Stream
	e.out.CacheControl = encodeCache(r.CacheRequest)
	e.limits()
	if err := e.messages(); err != nil {
		return nil, nil, err
	}
	if err := e.tools(); err != nil {
		return nil, nil, err
	}
	if err := e.format(); err != nil {
		return nil, nil, err
	}
	e.reasoning()
	e.sampling()
	e.identity()
	e.inexpressible()
	body, err := wire.MarshalSized(&e.out, wire.RequestSize(r), asWritten)
	if err != nil {
		return nil, nil, llm.Wrap(llm.KindInvalidRequest, err, "the request cannot be written as JSON")
	}
	return body, e.unsupported, nil
}

type requestWriter struct {
	r           *llm.Request
	model       model
	out         wireRequest
	system      []any
	turns       []turn
	unsupported []string
}

func (e *requestWriter) no(name string) { e.unsupported = append(e.unsupported, name) }

// noIf names a field whose setting cannot be expressed.
func (e *requestWriter) noIf(set bool, name string) {
	if set {
		e.no(name)
	}
}

func (e *requestWriter) limits() {
	e.out.MaxTokens = e.model.maxOutput
	if e.r.MaxTokens != nil {
		e.out.MaxTokens = *e.r.MaxTokens
	}
	for _, s := range e.r.Stop {
		if strings.TrimSpace(s) != "" {
			e.out.StopSequences = append(e.out.StopSequences, s)
		}
	}
	// The API refuses stop texts of white space only.
	e.noIf(len(e.out.StopSequences) < len(e.r.Stop), "stop")
}

// sampling follows reasoning: thinking wants the default temperature.
func (e *requestWriter) sampling() {
	t, p, k := e.r.Temperature, e.r.TopP, e.r.TopK
	if p != nil && *p == 1 { // the whole distribution: what no top_p means
		p = nil
	}
	thinking := e.out.Thinking != nil && (e.out.Thinking.Type == "enabled" || e.out.Thinking.Type == "adaptive")
	if t != nil && *t == 1 && (e.model.noSampling || thinking) {
		t = nil // the default
	}
	switch fixed := e.model.noSampling; {
	case t == nil:
	case *t < 0 || *t > 1 || thinking || fixed:
		e.no("temperature")
	default:
		e.out.Temperature = t
	}
	switch {
	case p == nil:
	case e.model.noSampling || thinking && *p < 0.95:
		e.no("top_p")
	default:
		e.out.TopP = p
	}
	switch {
	case k == nil:
	case e.model.noSampling || thinking:
		e.no("top_k")
	default:
		e.out.TopK = k
	}
}

func (e *requestWriter) identity() {
	user := e.r.User
	if user == "" {
		user = e.r.SafetyID
	}
	if user != "" {
		e.out.Metadata = &wireMetadata{UserID: user}
	}
	switch e.r.ServiceTier {
	case "", "auto", "default":
	case "standard_only":
		e.out.ServiceTier = "standard_only"
	default:
		e.no("service_tier")
	}
}

// inexpressible names what the API has no word for and what changes the answer.
// What changes nothing (n: 1, logprobs: false, store: false, prompt_cache_key,
// ...) is left out without a word.
func (e *requestWriter) inexpressible() {
	r := e.r
	e.noIf(r.FrequencyPenalty != nil && *r.FrequencyPenalty != 0, "frequency_penalty")
	e.noIf(r.PresencePenalty != nil && *r.PresencePenalty != 0, "presence_penalty")
	e.noIf(r.Seed != nil, "seed")
	e.noIf(r.N != nil && *r.N != 1, "n")
	e.noIf(r.Logprobs != nil && *r.Logprobs, "logprobs")
	e.noIf(r.TopLogprobs != nil && *r.TopLogprobs > 0, "top_logprobs")
	e.noIf(kindOf(r.LogitBias) == '{' && hasMembers(r.LogitBias), "logit_bias")
	e.noIf(len(r.Metadata) > 0, "metadata")
	e.noIf(r.Store != nil && *r.Store, "store")
	e.noIf(r.Verbosity != "" && r.Verbosity != "medium", "verbosity")
	for _, f := range r.Extra {
		e.no(f.Path)
	}
}

func hasMembers(raw []byte) bool {
	c := walk(raw)
	_, _, ok := c.next()
	return ok
}

func (e *requestWriter) format() error {
	f := e.r.Format
	if f == nil {
		return nil
	}
	switch f.Type {
	case llm.FormatJSON:
		e.no("response_format")
	case llm.FormatJSONSchema:
		if !isObject(f.Schema) {
			return llm.Invalid("response_format.json_schema.schema", "response_format.json_schema.schema: a JSON Schema (object) is required")
		}
		e.config().Format = &outputFormat{Type: "json_schema", Schema: jsontext.Value(f.Schema)}
	}
	return nil
}

func (e *requestWriter) config() *outputConfig {
	if e.out.OutputConfig == nil {
		e.out.OutputConfig = &outputConfig{}
	}
	return e.out.OutputConfig
}

func (e *requestWriter) tools() error {
	functions := 0
	for i, t := range e.r.Tools {
		at := (&place{name: "tools"}).elem(i)
		switch {
		case t.Type != "" && isServerTool(t.Type) && isObject(t.Raw):
			e.out.Tools = append(e.out.Tools, jsontext.Value(t.Raw))
			functions++
			continue
		case t.Type != "":
			e.no(at.String())
			continue
		}
		w := wireTool{Name: t.Name, Description: t.Description, InputSchema: jsontext.Value(t.Schema), CacheControl: encodeCache(t.Cache)}
		if len(t.Schema) == 0 || kindOf(t.Schema) == '{' && !hasMembers(t.Schema) {
			w.InputSchema = jsontext.Value(`{"type":"object","properties":{}}`)
		} else if !isObject(t.Schema) {
			return at.member("function").member("parameters").invalid("must be a JSON Schema (object)")
		}
		if t.Strict != nil && *t.Strict {
			w.Strict = t.Strict
		}
		e.out.Tools = append(e.out.Tools, &w)
		functions++
	}
	if functions > 0 || e.forced() {
		e.toolChoice()
	}
	return nil
}

// forced reports whether the request wants a tool called.
func (e *requestWriter) forced() bool {
	tc := e.r.ToolChoice
	return tc != nil && (tc.Mode == llm.ToolsRequired || tc.Mode == llm.ToolsNamed)
}

func (e *requestWriter) toolChoice() {
	var w wireToolChoice
	switch tc := e.r.ToolChoice; {
	case tc != nil && len(tc.Raw) > 0, e.forced() && e.model.noForcedTools:
		e.no("tool_choice")
	case tc == nil:
	case tc.Mode == llm.ToolsAuto:
		w.Type = "auto"
	case tc.Mode == llm.ToolsRequired:
		w.Type = "any"
	case tc.Mode == llm.ToolsNone:
		w.Type = "none"
	case tc.Mode == llm.ToolsNamed:
		w.Type, w.Name = "tool", tc.Name
	}
	if p := e.r.ParallelToolCalls; p != nil && !*p && w.Type != "none" {
		if w.Type == "" {
			w.Type = "auto" // the default, said because the switch needs a place
		}
		disable := true
		w.DisableParallel = &disable
	}
	if w.Type != "" {
		e.out.ToolChoice = &w
	}
}

// isServerTool reports whether a tool's type is one of this protocol: they end
// in the date of their version, such as web_search_20250305.
func isServerTool(kind string) bool {
	i := strings.LastIndexByte(kind, '_')
	if kind == "mcp_toolset" {
		return true
	}
	if i < 0 || len(kind)-i-1 != 8 {
		return false
	}
	return strings.Trim(kind[i+1:], "0123456789") == ""
}
