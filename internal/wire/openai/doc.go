// Package openai is the wire format of OpenAI's Chat Completions, spoken by
// OpenAI and by many others: both directions of requests, answers, streams,
// errors and rate-limit headers, as pure functions over bytes.
//
// It is lenient with what providers send (missing, null and oddly typed members,
// errors in a dozen shapes) and exact in what it writes: the shape that OpenAI's
// own SDKs parse. It is not for the Responses API, and it knows no provider by
// name: differences are told by the shape of what came.
//
// Invariants: nothing is written that a client's SDK rejects (an array of
// choices in every chunk, an index on every tool delta, no top-level "error" but
// for an error); a stream is complete only with [DONE] or a finish reason for
// each of its choices; what a request cannot carry over is named, never lost
// silently, unless it cannot change the answer's meaning. The rules in full:
// docs/translation-openai.md.
package openai

import (
	"bytes"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

type codec struct{}

var _ wire.Codec = codec{}

// New returns the codec of Chat Completions. It has no state.
func New() wire.Codec { return codec{} }

func (codec) Protocol() llm.Protocol { return llm.OpenAIChat }

func (codec) Shape() *jsondoc.Shape { return requestShape }

// requestShape names what the protocol gives a meaning to. Schemas, arguments,
// metadata and logit_bias are free.
var requestShape = func() *jsondoc.Shape {
	names := func(list ...string) *jsondoc.Shape {
		s := &jsondoc.Shape{Members: map[string]*jsondoc.Shape{}}
		for _, n := range list {
			s.Members[n] = nil
		}
		return s
	}
	list := func(elem *jsondoc.Shape) *jsondoc.Shape { return &jsondoc.Shape{Elem: elem} }
	with := func(s *jsondoc.Shape, name string, inner *jsondoc.Shape) { s.Members[name] = inner }

	function := names("name", "description", "parameters", "strict", "arguments")
	custom := names("name", "description", "format", "input")
	call := names("id", "type", "function", "custom", "index")
	with(call, "function", function)
	with(call, "custom", custom)

	part := names("type", "text", "image_url", "input_audio", "file", "refusal", "cache_control")
	with(part, "image_url", names("url", "detail"))
	with(part, "input_audio", names("data", "format"))
	with(part, "file", names("file_data", "file_id", "filename"))

	message := names("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio",
		"reasoning_content", "reasoning")
	with(message, "content", list(part))
	with(message, "tool_calls", list(call))
	with(message, "function_call", names("name", "arguments"))

	tool := names("type", "function", "custom")
	with(tool, "function", function)
	with(tool, "custom", custom)

	choice := names("type", "function", "custom", "allowed_tools")
	with(choice, "function", names("name"))
	with(choice, "custom", names("name"))
	allowed := names("mode", "tools")
	with(choice, "allowed_tools", allowed)

	format := names("type", "json_schema")
	with(format, "json_schema", names("name", "description", "schema", "strict"))

	top := names("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens",
		"max_completion_tokens", "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "n", "stop",
		"logprobs", "top_logprobs", "logit_bias", "response_format", "reasoning_effort", "user", "metadata",
		"service_tier", "store", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "verbosity",
		"safety_identifier", "stream", "stream_options", "modalities", "audio", "prediction", "web_search_options",
		"moderation", "functions", "function_call")
	with(top, "messages", list(message))
	with(top, "tools", list(tool))
	with(top, "tool_choice", choice)
	with(top, "response_format", format)
	with(top, "stream_options", names("include_usage", "include_obfuscation"))
	with(top, "functions", list(function))
	return top
}()

func isNull(raw []byte) bool { return string(bytes.TrimSpace(raw)) == "null" }
