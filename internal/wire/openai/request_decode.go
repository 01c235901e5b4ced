package openai

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"

	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

func (codec) DecodeRequest(doc *jsondoc.Doc) (*llm.Request, error) {
	d := requestDecoder{req: &llm.Request{}}
	for _, m := range doc.Members() {
		v := bytes.TrimSpace(m.Value)
		if !isNull(v) {
			d.member(m.Name, v)
		}
		if d.err != nil {
			return nil, d.err
		}
	}
	if d.maxCompletion != nil {
		d.req.MaxTokens = d.maxCompletion
	}
	if len(d.req.Messages) == 0 {
		return nil, llm.Invalid("messages", "messages must not be empty")
	}
	return d.req, nil
}

// requestDecoder collects a request. The first mistake stays in err; what is read
// after it does not matter.
type requestDecoder struct {
	req           *llm.Request
	maxCompletion *int
	err           error
}

// member takes one top-level member that is not null. Values that mean the same
// as leaving the member out are left out.
func (d *requestDecoder) member(name string, v []byte) {
	r := d.req
	switch name {
	case "model":
		r.Model = d.str(name, v)
	case "messages":
		d.each(name, v, d.message)
	case "tools":
		d.each(name, v, d.tool)
	case "tool_choice":
		d.toolChoice(name, v)
	case "response_format":
		d.format(name, v)
	case "stream_options":
		d.streamOptions(name, v)
	case "stop":
		d.stop(name, v)
	case "metadata":
		d.metadata(name, v)
	case "reasoning_effort":
		r.Reasoning = &llm.Reasoning{Effort: d.str(name, v)}
	case "user":
		r.User = d.str(name, v)
	case "service_tier":
		if r.ServiceTier = d.str(name, v); r.ServiceTier == "auto" || r.ServiceTier == "default" {
			r.ServiceTier = ""
		}
	case "prompt_cache_key":
		r.PromptCacheKey = d.str(name, v)
	case "verbosity":
		if r.Verbosity = d.str(name, v); r.Verbosity == "medium" {
			r.Verbosity = ""
		}
	case "safety_identifier":
		r.SafetyID = d.str(name, v)
	default:
		d.scalar(name, v)
	}
}

// scalar takes the numbers and switches.
func (d *requestDecoder) scalar(name string, v []byte) {
	r := d.req
	switch name {
	case "max_tokens":
		r.MaxTokens = d.positive(name, v)
	case "max_completion_tokens":
		d.maxCompletion = d.positive(name, v)
	case "temperature":
		r.Temperature = d.number(name, v)
	case "top_p":
		r.TopP = d.number(name, v)
	case "top_k": // not OpenAI's, but taken by many servers that speak its protocol
		r.TopK = d.integer(name, v)
	case "frequency_penalty":
		r.FrequencyPenalty = unless(d.number(name, v), 0)
	case "presence_penalty":
		r.PresencePenalty = unless(d.number(name, v), 0)
	case "seed":
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			r.Seed = &n
		} else {
			d.fail(name, "%s must be an integer", name)
		}
	case "n":
		r.N = unless(d.positive(name, v), 1)
	case "logprobs":
		r.Logprobs = unless(d.boolean(name, v), false)
	case "top_logprobs":
		r.TopLogprobs = unless(d.integer(name, v), 0)
	case "logit_bias":
		if d.object(name, v) && len(bytes.TrimSpace(v[1:len(v)-1])) > 0 {
			r.LogitBias = json.RawMessage(v)
		}
	case "parallel_tool_calls":
		r.ParallelToolCalls = unless(d.boolean(name, v), true)
	case "store":
		r.Store = unless(d.boolean(name, v), false)
	case "stream":
		if b := d.boolean(name, v); b != nil {
			r.Stream = *b
		}
	default:
		d.extra(name, name, v)
	}
}

// noEffect are members that cannot change what the answer means: hints for
// speed and caching, padding, and marks that only the provider that made them
// can read. They are left out without a word when a request is translated. With a value
// given, only that value means nothing.
var noEffect = map[string]string{
	"prompt_cache_retention": "",
	"prompt_cache_options":   "",
	"prediction":             "",
	"usage":                  "", // OpenRouter: asks for costs in the answer
	"modalities":             `["text"]`,
	"functions":              `[]`,

	"stream_options.include_obfuscation":    "",
	"stream_options.continuous_usage_stats": "",

	"messages.annotations":       "",
	"messages.reasoning_details": "",
	"messages.provider_metadata": "",
	"messages.extra_content":     "",
	"messages.executed_tools":    "",
	"messages.channel":           "",
	"messages.index":             "",
	"messages.id":                "",
	"messages.parsed":            "",
	"messages.prefix":            `false`,

	"messages.content.prompt_cache_breakpoint": "",
	"messages.tool_calls.index":                "",
	"messages.tool_calls.cache_control":        "",
	"messages.tool_calls.extra_content":        "",
}

// extra keeps a member that has no place in the common form. kind is its path without
// indexes.
func (d *requestDecoder) extra(kind, path string, v []byte) {
	if isNull(v) {
		return
	}
	if only, ok := noEffect[kind]; ok && (only == "" || only == string(v)) {
		return
	}
	d.req.Extra = append(d.req.Extra, llm.Field{Path: path, Raw: json.RawMessage(v)})
}

func (d *requestDecoder) fail(param, format string, args ...any) {
	if d.err == nil {
		d.err = llm.Invalid(param, format, args...)
	}
}

func (d *requestDecoder) str(path string, v []byte) string {
	s, ok := jsondoc.Unquote(v)
	if !ok {
		d.fail(path, "%s must be a string", path)
	}
	return s
}

func (d *requestDecoder) boolean(path string, v []byte) *bool {
	b := string(v) == "true"
	if !b && string(v) != "false" {
		d.fail(path, "%s must be true or false", path)
	}
	return &b
}

func (d *requestDecoder) number(path string, v []byte) *float64 {
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil {
		d.fail(path, "%s must be a number", path)
	}
	return &f
}

func (d *requestDecoder) integer(path string, v []byte) *int {
	f, err := strconv.ParseFloat(string(v), 64) // 100.0 and 1e2 are integers too
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		d.fail(path, "%s must be an integer", path)
		return new(int)
	}
	n := int(f)
	return &n
}

func (d *requestDecoder) positive(path string, v []byte) *int {
	n := d.integer(path, v)
	if d.err == nil && *n < 1 {
		d.fail(path, "%s must be at least 1", path)
	}
	return n
}

func (d *requestDecoder) object(path string, v []byte) bool {
	if v[0] != '{' {
		d.fail(path, "%s must be an object", path)
		return false
	}
	return true
}

// each calls f for the elements of a list that are objects; others are mistakes.
func (d *requestDecoder) each(path string, v []byte, f func(path string, v []byte)) {
	if v[0] != '[' {
		d.fail(path, "%s must be an array", path)
		return
	}
	elems(v, func(i int, elem []byte) bool {
		at := path + "[" + strconv.Itoa(i) + "]"
		if d.object(at, elem) {
			f(at, elem)
		}
		return d.err == nil
	})
}

// fields calls f for the members of an object that are not null.
func (d *requestDecoder) fields(v []byte, f func(name string, v []byte)) {
	members(v, func(name, value []byte) bool {
		if !isNull(value) {
			f(memberName(name), value)
		}
		return d.err == nil
	})
}

// unless drops a value that means the same as none.
func unless[T comparable](v *T, none T) *T {
	if v != nil && *v == none {
		return nil
	}
	return v
}

func (d *requestDecoder) streamOptions(path string, v []byte) {
	if !d.object(path, v) {
		return
	}
	d.fields(v, func(name string, v []byte) {
		if name == "include_usage" {
			d.req.StreamWithUsage = *d.boolean(path+".include_usage", v)
			return
		}
		d.extra(path+"."+name, path+"."+name, v)
	})
}

func (d *requestDecoder) stop(path string, v []byte) {
	if v[0] != '[' {
		if s := d.str(path, v); s != "" {
			d.req.Stop = []string{s}
		}
		return
	}
	elems(v, func(i int, elem []byte) bool {
		d.req.Stop = append(d.req.Stop, d.str(path+"["+strconv.Itoa(i)+"]", elem))
		return d.err == nil
	})
}

func (d *requestDecoder) metadata(path string, v []byte) {
	if !d.object(path, v) {
		return
	}
	d.fields(v, func(name string, v []byte) {
		if d.req.Metadata == nil {
			d.req.Metadata = map[string]string{}
		}
		d.req.Metadata[name] = d.str(path+"."+name, v)
	})
}

func (d *requestDecoder) format(path string, v []byte) {
	if !d.object(path, v) {
		return
	}
	var typ string
	var schema []byte
	d.fields(v, func(name string, v []byte) {
		switch name {
		case "type":
			typ = d.str(path+".type", v)
		case "json_schema":
			schema = v
		}
	})
	switch {
	case d.err != nil, typ == "text":
	case typ == "json_object":
		d.req.Format = &llm.Format{Type: llm.FormatJSON}
	case typ != "json_schema":
		d.extra(path, path, v)
	case schema == nil:
		d.fail(path+".json_schema", "%s.json_schema is required", path)
	default:
		d.schema(path+".json_schema", schema)
	}
}

func (d *requestDecoder) schema(path string, v []byte) {
	if !d.object(path, v) {
		return
	}
	f := &llm.Format{Type: llm.FormatJSONSchema}
	d.fields(v, func(name string, v []byte) {
		at := path + "." + name
		switch name {
		case "name":
			f.Name = d.str(at, v)
		case "description":
			f.Description = d.str(at, v)
		case "schema":
			f.Schema = json.RawMessage(v)
		case "strict":
			f.Strict = d.boolean(at, v)
		default:
			d.extra(at, at, v)
		}
	})
	d.req.Format = f
}
