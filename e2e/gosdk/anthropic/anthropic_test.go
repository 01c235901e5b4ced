// Package anthropic_test calls the gateway with the official Anthropic SDK for Go, against either
// kind of upstream.
package anthropic_test

import (
	"encoding/json"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/breakwater-llm/breakwater/e2e/gosdk/gate"
)

func TestSDK(t *testing.T) {
	gate.Run(t, map[string]func(gate.Case){
		"completion": completion, "usage": usage, "streaming": streaming, "usage_stream": usageStream,
		"tools": tools, "tools_parallel": toolsParallel, "tools_stream": toolsStream, "tool_result": toolResult,
		"structured": structured, "structured_stream": structuredStream,
		"image_base64": image(anthropic.NewImageBlockBase64("image/png", gate.PNGBase64)),
		"image_url":    image(anthropic.NewImageBlock(anthropic.URLImageSourceParam{URL: gate.ImageURL})),
		"models":       models, "count_tokens": countTokens,
		"bad_request": badRequest, "unsupported": unsupported,
		"authentication": refused("chat", 401, anthropic.ErrorTypeAuthenticationError, option.WithAPIKey("wrong")),
		"permission":     permission, "not_found": notFound, "too_large": tooLarge,
		"rate_limit": rateLimit, "rate_limit_stream": rateLimitStream,
		"server_error":   refused("server-error", 502, anthropic.ErrorTypeAPIError),
		"overloaded":     refused("overloaded", 502, anthropic.ErrorTypeAPIError),
		"unreachable":    refused("unreachable", 502, anthropic.ErrorTypeAPIError),
		"timeout":        refused("hang", 504, anthropic.ErrorTypeTimeoutError),
		"client_timeout": clientTimeout, "mid_stream_error": midStreamError,
	})
}

func client(c gate.Case, options ...option.RequestOption) *anthropic.Client {
	cl := anthropic.NewClient(append([]option.RequestOption{
		option.WithBaseURL(gate.URL), option.WithAPIKey(gate.Key), option.WithMaxRetries(0),
		option.WithHeader("X-Request-Id", c.RequestID()),
	}, options...)...)
	return &cl
}

func params(c gate.Case, behaviour string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model: c.Model(behaviour), MaxTokens: 100,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(c.Say()))},
	}
}

func withTools(p anthropic.MessageNewParams) anthropic.MessageNewParams {
	p.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{
		Name: "get_weather", Description: anthropic.String("The weather in a city."),
		InputSchema: anthropic.ToolInputSchemaParam{
			Properties: gate.CityProperties, Required: []string{"city"}, ExtraFields: map[string]any{"additionalProperties": false},
		},
	}}}
	return p
}

func ask(c gate.Case, p anthropic.MessageNewParams, options ...option.RequestOption) *anthropic.Message {
	c.Helper()
	r, err := client(c, options...).Messages.New(c.Context(), p)
	if err != nil {
		c.Fatal(err)
	}
	return r
}

// stream reads a stream to its end and returns it assembled, with the number of its deltas.
func stream(c gate.Case, p anthropic.MessageNewParams) (*anthropic.Message, int) {
	c.Helper()
	s := client(c).Messages.NewStreaming(c.Context(), p)
	defer s.Close()
	var message anthropic.Message
	n := 0
	for s.Next() {
		if s.Current().Type == "content_block_delta" {
			n++
		}
		if err := message.Accumulate(s.Current()); err != nil {
			c.Fatalf("the SDK does not take the event %s: %v", s.Current().RawJSON(), err)
		}
	}
	if s.Err() != nil {
		c.Fatal(s.Err())
	}
	return &message, n
}

func checkText(c gate.Case, m *anthropic.Message) {
	c.Helper()
	if len(m.Content) != 1 || m.Content[0].Type != "text" || m.Content[0].Text != gate.Text {
		c.Errorf("content is %v", m.Content)
	}
	gate.Equal(c, "stop_reason", m.StopReason, anthropic.StopReasonEndTurn)
}

func completion(c gate.Case) {
	p := params(c, "chat")
	p.System = []anthropic.TextBlockParam{{Text: "You are a harbour pilot."}}
	m := ask(c, p, option.WithJSONSet("temperature", 0.5))
	checkText(c, m)
	gate.Equal(c, "role", string(m.Role), "assistant")
}

func checkUsage(c gate.Case, m *anthropic.Message) {
	c.Helper()
	gate.Equal(c, "usage", [2]int64{m.Usage.InputTokens, m.Usage.OutputTokens}, [2]int64{12, 7})
}

func usage(c gate.Case) { checkUsage(c, ask(c, params(c, "chat"))) }

func streaming(c gate.Case) {
	m, n := stream(c, params(c, "chat"))
	checkText(c, m)
	if n < 3 {
		c.Errorf("got %d deltas", n)
	}
}

func usageStream(c gate.Case) {
	m, _ := stream(c, params(c, "chat"))
	checkUsage(c, m)
}

// checkCalls compares the calls of get_weather by their cities.
func checkCalls(c gate.Case, m *anthropic.Message, cities ...string) {
	c.Helper()
	gate.Equal(c, "stop_reason", m.StopReason, anthropic.StopReasonToolUse)
	ids := map[string]bool{"": true}
	var got []string
	for _, block := range m.Content {
		if block.Type != "tool_use" {
			gate.Equal(c, "text", block.Text, "Let me look.")
			continue
		}
		gate.Equal(c, "name", block.Name, "get_weather")
		var args struct{ City string }
		if err := json.Unmarshal(block.Input, &args); err != nil {
			c.Errorf("input %s: %v", block.Input, err)
		}
		if ids[block.ID] {
			c.Errorf("the id %q is empty or there twice", block.ID)
		}
		ids[block.ID] = true
		got = append(got, args.City)
	}
	if !reflect.DeepEqual(got, cities) {
		c.Errorf("calls are for %q, want %q", got, cities)
	}
}

func tools(c gate.Case) { checkCalls(c, ask(c, withTools(params(c, "tools"))), "Lisbon") }

func toolsParallel(c gate.Case) {
	p := withTools(params(c, "tools-parallel"))
	p.ToolChoice.OfAuto = &anthropic.ToolChoiceAutoParam{DisableParallelToolUse: anthropic.Bool(false)}
	checkCalls(c, ask(c, p), "Lisbon", "Oslo")
}

func toolsStream(c gate.Case) {
	m, _ := stream(c, withTools(params(c, "tools-parallel")))
	checkCalls(c, m, "Lisbon", "Oslo")
}

func toolResult(c gate.Case) {
	first := withTools(params(c, "tools-parallel"))
	m := ask(c, first)
	if len(m.Content) != 3 {
		c.Fatalf("content is %v", m.Content)
	}
	second := withTools(params(c, "chat"))
	second.Messages = append(first.Messages, m.ToParam(), anthropic.NewUserMessage(
		anthropic.NewToolResultBlock(m.Content[1].ID, "sunny", false),
		anthropic.NewToolResultBlock(m.Content[2].ID, "snow", false),
	))
	checkText(c, ask(c, second))
}

// structured uses the SDK's own parsing, which its beta interface has.
func structured(c gate.Case) {
	var got gate.Person
	_, err := client(c).Beta.Messages.New(c.Context(), anthropic.BetaMessageNewParams{
		Model: c.Model("json"), MaxTokens: 100,
		Messages:     []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock(c.Say()))},
		OutputConfig: anthropic.BetaOutputConfigParam{Format: anthropic.BetaJSONOutputFormatParam{Schema: &got}},
	})
	if err != nil || !reflect.DeepEqual(got, gate.Ana) {
		c.Errorf("got %v, %v", got, err)
	}
}

func structuredStream(c gate.Case) {
	p := params(c, "json")
	p.OutputConfig.Format.Schema = gate.PersonSchema
	m, n := stream(c, p)
	if n < 3 || len(m.Content) != 1 {
		c.Fatalf("got %d deltas, content is %v", n, m.Content)
	}
	var got gate.Person
	if err := json.Unmarshal([]byte(m.Content[0].Text), &got); err != nil || !reflect.DeepEqual(got, gate.Ana) {
		c.Errorf("got %s, %v", m.Content[0].Text, err)
	}
}

func image(block anthropic.ContentBlockParamUnion) func(gate.Case) {
	return func(c gate.Case) {
		p := params(c, "chat")
		p.Messages = []anthropic.MessageParam{anthropic.NewUserMessage(block, anthropic.NewTextBlock(c.Say()))}
		checkText(c, ask(c, p))
	}
}

func models(c gate.Case) {
	cl, want := client(c), c.Model("chat")
	found := false
	for pages := cl.Models.ListAutoPaging(c.Context(), anthropic.ModelListParams{}); pages.Next(); {
		found = found || pages.Current().ID == want
	}
	if !found {
		c.Errorf("%s is not listed", want)
	}
	m, err := cl.Models.Get(c.Context(), want, anthropic.ModelGetParams{})
	if err != nil {
		c.Fatal(err)
	}
	gate.Equal(c, "id", m.ID, want)
}

func countTokens(c gate.Case) {
	r, err := client(c).Messages.CountTokens(c.Context(), anthropic.MessageCountTokensParams{
		Model: c.Model("chat"), Messages: params(c, "chat").Messages,
	})
	if err != nil {
		c.Fatal(err)
	}
	if r.InputTokens < 1 || r.InputTokens > 100 {
		c.Errorf("input_tokens is %d", r.InputTokens)
	}
}

// fails makes a call that must end with an error of the SDK's own type.
func fails(c gate.Case, p anthropic.MessageNewParams, status int, kind anthropic.ErrorType, options ...option.RequestOption) *anthropic.Error {
	c.Helper()
	_, err := client(c, options...).Messages.New(c.Context(), p)
	return isError(c, err, status, kind)
}

func isError(c gate.Case, err error, status int, kind anthropic.ErrorType) *anthropic.Error {
	c.Helper()
	e, ok := errors.AsType[*anthropic.Error](err)
	if !ok {
		c.Fatalf("got the error %v, want an *anthropic.Error", err)
	}
	gate.Equal(c, "status", e.StatusCode, status)
	gate.Equal(c, "type", e.Type(), kind)
	gate.Equal(c, "request id", e.RequestID, c.RequestID())
	if e.Message == "" {
		c.Errorf("the message is missing in %s", e.RawJSON())
	}
	return e
}

func refused(behaviour string, status int, kind anthropic.ErrorType, options ...option.RequestOption) func(gate.Case) {
	return func(c gate.Case) { fails(c, params(c, behaviour), status, kind, options...) }
}

func badRequest(c gate.Case) {
	p := params(c, "chat")
	p.Messages = []anthropic.MessageParam{}
	_, err := client(c).Messages.New(c.Context(), p)
	e, ok := errors.AsType[*anthropic.Error](err)
	if !ok || e.StatusCode != 400 || !strings.Contains(e.Message, "messages") {
		c.Errorf("got %v", err)
	}
}

func unsupported(c gate.Case) {
	topK := option.WithJSONSet("top_k", 5)
	if c.Upstream == "anthropic" { // has the parameter
		checkText(c, ask(c, params(c, "chat"), topK))
		return
	}
	e := fails(c, params(c, "chat"), 400, anthropic.ErrorTypeInvalidRequestError, topK)
	if !strings.Contains(e.Message, "top_k") {
		c.Errorf("the message is %q", e.Message)
	}
}

func permission(c gate.Case) {
	fails(c, params(c, "tools"), 403, anthropic.ErrorTypePermissionError, option.WithAPIKey(gate.LimitedKey))
	checkText(c, ask(c, params(c, "chat"), option.WithAPIKey(gate.LimitedKey)))
}

func notFound(c gate.Case) {
	e := fails(c, params(c, "chatt"), 404, anthropic.ErrorTypeNotFoundError)
	if !strings.Contains(e.Message, c.Model("chat")) {
		c.Errorf("the nearest name is missing in %q", e.Message)
	}
}

func tooLarge(c gate.Case) {
	p := params(c, "chat")
	p.Messages = []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(gate.TooLong))}
	fails(c, p, 413, "request_too_large")
}

func rateLimit(c gate.Case) {
	e := fails(c, params(c, c.Own("rate-limit")), 429, anthropic.ErrorTypeRateLimitError)
	gate.Equal(c, "Retry-After", e.Response.Header.Get("Retry-After"), gate.RetryAfter)
}

func rateLimitStream(c gate.Case) {
	s := client(c).Messages.NewStreaming(c.Context(), params(c, c.Own("rate-limit-stream")))
	defer s.Close()
	if s.Next() {
		c.Fatalf("got the event %s", s.Current().RawJSON())
	}
	isError(c, s.Err(), 429, anthropic.ErrorTypeRateLimitError)
}

func clientTimeout(c gate.Case) {
	_, err := client(c, option.WithRequestTimeout(500*time.Millisecond)).Messages.New(c.Context(), params(c, "hang-long"))
	if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
		c.Errorf("got the error %v, want a timeout", err)
	}
}

func midStreamError(c gate.Case) {
	s := client(c).Messages.NewStreaming(c.Context(), params(c, "mid-stream-error"))
	defer s.Close()
	text := ""
	for s.Next() {
		if s.Current().Type == "content_block_delta" {
			text += s.Current().Delta.Text
		}
	}
	c.Broken(text)
	e, ok := errors.AsType[*anthropic.Error](s.Err())
	if !ok || e.Type() == "" || e.Message == "" {
		c.Errorf("got the error %v, want an *anthropic.Error", s.Err())
	}
}
