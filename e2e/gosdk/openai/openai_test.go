// Package openai_test calls the gateway with the official OpenAI SDK for Go, against either kind of
// upstream.
package openai_test

import (
	"encoding/json"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/shared"

	"github.com/breakwater-llm/breakwater/e2e/gosdk/gate"
)

func TestSDK(t *testing.T) {
	gate.Run(t, map[string]func(gate.Case){
		"completion": completion, "usage": usage, "streaming": streaming, "usage_stream": usageStream,
		"tools": tools, "tools_parallel": toolsParallel, "tools_stream": toolsStream, "tool_result": toolResult,
		"structured": structured, "structured_stream": structuredStream,
		"image_base64": image("data:image/png;base64," + gate.PNGBase64), "image_url": image(gate.ImageURL), "models": models,
		"bad_request": badRequest, "unsupported": unsupported,
		"authentication": refused("chat", 401, "invalid_api_key", option.WithAPIKey("wrong")),
		"permission":     permission, "not_found": notFound, "too_large": tooLarge,
		"rate_limit": rateLimit, "rate_limit_stream": rateLimitStream,
		"server_error":   refused("server-error", 502, "all_providers_failed"),
		"overloaded":     refused("overloaded", 502, "all_providers_failed"),
		"unreachable":    refused("unreachable", 502, "all_providers_failed"),
		"timeout":        refused("hang", 504, "all_providers_failed"),
		"client_timeout": clientTimeout, "mid_stream_error": midStreamError,
	})
}

func client(c gate.Case, options ...option.RequestOption) *openai.Client {
	cl := openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(gate.URL + "/v1"), option.WithAPIKey(gate.Key), option.WithMaxRetries(0),
		option.WithHeader("X-Request-Id", c.RequestID()),
	}, options...)...)
	return &cl
}

func params(c gate.Case, behaviour string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    c.Model(behaviour),
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(c.Say())},
	}
}

func withTools(p openai.ChatCompletionNewParams) openai.ChatCompletionNewParams {
	p.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "get_weather", Description: openai.String("The weather in a city."),
		Parameters: shared.FunctionParameters{
			"type": "object", "properties": gate.CityProperties, "required": []string{"city"}, "additionalProperties": false,
		},
	})}
	return p
}

func withSchema(p openai.ChatCompletionNewParams) openai.ChatCompletionNewParams {
	p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
		JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "person", Strict: openai.Bool(true), Schema: gate.PersonSchema},
	}
	return p
}

func ask(c gate.Case, p openai.ChatCompletionNewParams, options ...option.RequestOption) openai.ChatCompletionChoice {
	c.Helper()
	r, err := client(c, options...).Chat.Completions.New(c.Context(), p)
	if err != nil {
		c.Fatal(explain(err))
	}
	if len(r.Choices) == 0 {
		c.Fatalf("no choices in %s", r.RawJSON())
	}
	return r.Choices[0]
}

// explain adds the body to an error of the SDK, which keeps it back.
func explain(err error) string {
	if e, ok := errors.AsType[*openai.Error](err); ok {
		return err.Error() + ": " + e.RawJSON()
	}
	return err.Error()
}

// stream reads a stream to its end and returns it assembled, with the number of its events.
func stream(c gate.Case, p openai.ChatCompletionNewParams) (openai.ChatCompletion, int) {
	c.Helper()
	s := client(c).Chat.Completions.NewStreaming(c.Context(), p)
	defer s.Close()
	var acc openai.ChatCompletionAccumulator
	n := 0
	for s.Next() {
		n++
		if !acc.AddChunk(s.Current()) {
			c.Fatalf("the SDK does not take the chunk %s", s.Current().RawJSON())
		}
	}
	if s.Err() != nil {
		c.Fatal(explain(s.Err()))
	}
	return acc.ChatCompletion, n
}

func completion(c gate.Case) {
	p := params(c, "chat")
	p.Messages = append([]openai.ChatCompletionMessageParamUnion{openai.SystemMessage("You are a harbour pilot.")}, p.Messages...)
	p.MaxTokens, p.Temperature = openai.Int(100), openai.Float(0.5)
	choice := ask(c, p)
	gate.Equal(c, "text", choice.Message.Content, gate.Text)
	gate.Equal(c, "finish_reason", choice.FinishReason, "stop")
}

func usage(c gate.Case) {
	r, err := client(c).Chat.Completions.New(c.Context(), params(c, "chat"))
	if err != nil {
		c.Fatal(explain(err))
	}
	gate.Equal(c, "usage", [3]int64{r.Usage.PromptTokens, r.Usage.CompletionTokens, r.Usage.TotalTokens}, [3]int64{12, 7, 19})
}

func streaming(c gate.Case) {
	r, n := stream(c, params(c, "chat"))
	gate.Equal(c, "text", r.Choices[0].Message.Content, gate.Text)
	gate.Equal(c, "finish_reason", r.Choices[0].FinishReason, "stop")
	gate.Equal(c, "usage, which was not asked for,", r.Usage.TotalTokens, 0)
	if n < 4 {
		c.Errorf("got %d chunks", n)
	}
}

func usageStream(c gate.Case) {
	p := params(c, "chat")
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	r, _ := stream(c, p)
	gate.Equal(c, "usage", [3]int64{r.Usage.PromptTokens, r.Usage.CompletionTokens, r.Usage.TotalTokens}, [3]int64{12, 7, 19})
}

// checkCalls compares the calls of get_weather by their cities.
func checkCalls(c gate.Case, calls []openai.ChatCompletionMessageToolCallUnion, cities ...string) {
	c.Helper()
	ids := map[string]bool{"": true}
	var got []string
	for _, call := range calls {
		gate.Equal(c, "name", call.Function.Name, "get_weather")
		var args struct{ City string }
		if err := json.Unmarshal([]byte(call.Function.Arguments), &args); err != nil {
			c.Errorf("arguments %s: %v", call.Function.Arguments, err)
		}
		if ids[call.ID] {
			c.Errorf("the id %q is empty or there twice", call.ID)
		}
		ids[call.ID] = true
		got = append(got, args.City)
	}
	if !reflect.DeepEqual(got, cities) {
		c.Errorf("calls are for %q, want %q", got, cities)
	}
}

func tools(c gate.Case) {
	choice := ask(c, withTools(params(c, "tools")))
	gate.Equal(c, "finish_reason", choice.FinishReason, "tool_calls")
	checkCalls(c, choice.Message.ToolCalls, "Lisbon")
}

func toolsParallel(c gate.Case) {
	p := withTools(params(c, "tools-parallel"))
	p.ParallelToolCalls = openai.Bool(true)
	choice := ask(c, p)
	gate.Equal(c, "text", choice.Message.Content, "Let me look.")
	checkCalls(c, choice.Message.ToolCalls, "Lisbon", "Oslo")
}

func toolsStream(c gate.Case) {
	r, _ := stream(c, withTools(params(c, "tools-parallel")))
	gate.Equal(c, "finish_reason", r.Choices[0].FinishReason, "tool_calls")
	gate.Equal(c, "text", r.Choices[0].Message.Content, "Let me look.")
	checkCalls(c, r.Choices[0].Message.ToolCalls, "Lisbon", "Oslo")
}

func toolResult(c gate.Case) {
	first := withTools(params(c, "tools-parallel"))
	message := ask(c, first).Message
	if len(message.ToolCalls) != 2 {
		c.Fatalf("got the calls %v", message.ToolCalls)
	}
	second := withTools(params(c, "chat"))
	second.Messages = append(first.Messages, message.ToParam(),
		openai.ToolMessage("sunny", message.ToolCalls[0].ID), openai.ToolMessage("snow", message.ToolCalls[1].ID))
	gate.Equal(c, "text", ask(c, second).Message.Content, gate.Text)
}

func checkAna(c gate.Case, content string) {
	c.Helper()
	var got gate.Person
	if err := json.Unmarshal([]byte(content), &got); err != nil || !reflect.DeepEqual(got, gate.Ana) {
		c.Errorf("got %s, %v", content, err)
	}
}

func structured(c gate.Case) { checkAna(c, ask(c, withSchema(params(c, "json"))).Message.Content) }

func structuredStream(c gate.Case) {
	r, _ := stream(c, withSchema(params(c, "json")))
	checkAna(c, r.Choices[0].Message.Content)
}

func image(url string) func(gate.Case) {
	return func(c gate.Case) {
		p := params(c, "chat")
		p.Messages = []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
			openai.TextContentPart(c.Say()),
			openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: url}),
		})}
		ask(c, p)
	}
}

func models(c gate.Case) {
	cl, want := client(c), c.Model("chat")
	found := false
	for pages := cl.Models.ListAutoPaging(c.Context()); pages.Next(); {
		found = found || pages.Current().ID == want
	}
	if !found {
		c.Errorf("%s is not listed", want)
	}
	m, err := cl.Models.Get(c.Context(), want)
	if err != nil {
		c.Fatal(explain(err))
	}
	gate.Equal(c, "id", m.ID, want)
}

// fails makes a call that must end with an error of the SDK's own type.
func fails(c gate.Case, p openai.ChatCompletionNewParams, status int, code string, options ...option.RequestOption) *openai.Error {
	c.Helper()
	_, err := client(c, options...).Chat.Completions.New(c.Context(), p)
	return isError(c, err, status, code)
}

func isError(c gate.Case, err error, status int, code string) *openai.Error {
	c.Helper()
	e, ok := errors.AsType[*openai.Error](err)
	if !ok {
		c.Fatalf("got the error %v, want an *openai.Error", err)
	}
	gate.Equal(c, "status", e.StatusCode, status)
	gate.Equal(c, "code", e.Code, code)
	gate.Equal(c, "request id", e.Response.Header.Get("X-Request-Id"), c.RequestID())
	if e.Message == "" || e.Type == "" {
		c.Errorf("message or type is missing in %s", e.RawJSON())
	}
	return e
}

func refused(behaviour string, status int, code string, options ...option.RequestOption) func(gate.Case) {
	return func(c gate.Case) { fails(c, params(c, behaviour), status, code, options...) }
}

func badRequest(c gate.Case) {
	p := params(c, "chat")
	p.Messages = []openai.ChatCompletionMessageParamUnion{}
	_, err := client(c).Chat.Completions.New(c.Context(), p)
	e, ok := errors.AsType[*openai.Error](err)
	if !ok || e.StatusCode != 400 || !strings.Contains(e.Message, "messages") {
		c.Errorf("got %v", err)
	}
}

func unsupported(c gate.Case) {
	p := params(c, "chat")
	p.N = openai.Int(2)
	if c.Upstream == "openai" { // has the parameter
		ask(c, p)
		return
	}
	gate.Equal(c, "param", fails(c, p, 400, "invalid_request").Param, "n")
}

func permission(c gate.Case) {
	fails(c, params(c, "tools"), 403, "model_not_allowed", option.WithAPIKey(gate.LimitedKey))
	gate.Equal(c, "text", ask(c, params(c, "chat"), option.WithAPIKey(gate.LimitedKey)).Message.Content, gate.Text)
}

func notFound(c gate.Case) {
	e := fails(c, params(c, "chatt"), 404, "model_not_found")
	if !strings.Contains(e.Message, c.Model("chat")) {
		c.Errorf("the nearest name is missing in %q", e.Message)
	}
}

func tooLarge(c gate.Case) {
	p := params(c, "chat")
	p.Messages = []openai.ChatCompletionMessageParamUnion{openai.UserMessage(gate.TooLong)}
	fails(c, p, 413, "request_too_large")
}

func rateLimit(c gate.Case) {
	e := fails(c, params(c, c.Own("rate-limit")), 429, "all_providers_failed")
	gate.Equal(c, "Retry-After", e.Response.Header.Get("Retry-After"), gate.RetryAfter)
}

func rateLimitStream(c gate.Case) {
	s := client(c).Chat.Completions.NewStreaming(c.Context(), params(c, c.Own("rate-limit-stream")))
	defer s.Close()
	if s.Next() {
		c.Fatalf("got the chunk %s", s.Current().RawJSON())
	}
	isError(c, s.Err(), 429, "all_providers_failed")
}

func clientTimeout(c gate.Case) {
	_, err := client(c, option.WithRequestTimeout(500*time.Millisecond)).Chat.Completions.New(c.Context(), params(c, "hang-long"))
	if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
		c.Errorf("got the error %v, want a timeout", err)
	}
}

func midStreamError(c gate.Case) {
	s := client(c).Chat.Completions.NewStreaming(c.Context(), params(c, "mid-stream-error"))
	defer s.Close()
	text := ""
	for s.Next() {
		text += s.Current().Choices[0].Delta.Content
	}
	c.Broken(text)
	if e, ok := errors.AsType[*ssestream.StreamError](s.Err()); !ok || !strings.Contains(e.Message, `"code"`) {
		c.Errorf("got the error %v, want an *ssestream.StreamError", s.Err())
	}
}
