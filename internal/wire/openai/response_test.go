package openai

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/llm"
)

// TestAnswerWhole: an answer with every field is written again as it was.
func TestAnswerWhole(t *testing.T) {
	in := fixture(t, "answer.json")
	r, err := New().DecodeResponse([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	want := llm.Usage{Input: 26, CacheRead: 64, CacheWrite: 10, Output: 20, Reasoning: 5, Reported: true}
	if r.Usage != want {
		t.Errorf("usage %+v", r.Usage)
	}
	out, err := New().EncodeResponse(r)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, string(out), in)
	fixpoint(t, "answer.json", r)
}

func TestDecodeResponse(t *testing.T) {
	text := func(s string) llm.Part { return llm.Part{Type: llm.PartText, Text: s} }
	call := func(id, name, args string) llm.Part {
		return llm.Part{Type: llm.PartToolCall, ToolCall: &llm.ToolCall{ID: id, Name: name, Arguments: args}}
	}
	for _, tc := range []struct {
		name, choice string
		want         llm.Choice
	}{
		{"content left out", `{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":""}}]},"finish_reason":"tool_calls"}`,
			llm.Choice{Parts: []llm.Part{call("a", "f", "")}, Finish: llm.FinishToolCalls, RawFinish: "tool_calls"}},
		{"named tool: stop", `{"message":{"content":"","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}`,
			llm.Choice{Parts: []llm.Part{call("a", "f", "{}")}, Finish: llm.FinishToolCalls, RawFinish: "stop"}},
		{"tool_calls null", `{"message":{"content":"x","tool_calls":null},"finish_reason":"model_length"}`,
			llm.Choice{Parts: []llm.Part{text("x")}, Finish: llm.FinishContext, RawFinish: "model_length"}},
		{"refusal", `{"message":{"content":null,"refusal":"no"},"finish_reason":"stop"}`,
			llm.Choice{Parts: []llm.Part{{Type: llm.PartRefusal, Text: "no"}}, Finish: llm.FinishStop, RawFinish: "stop"}},
		{"filtered", `{"message":{"content":"x"},"finish_reason":"content_filter"}`,
			llm.Choice{Parts: []llm.Part{text("x")}, Finish: llm.FinishContentFilter, RawFinish: "content_filter"}},
		{"unknown reason", `{"index":3,"message":{"content":"x"},"finish_reason":"bored"}`,
			llm.Choice{Index: 3, Parts: []llm.Part{text("x")}, Finish: llm.FinishStop, RawFinish: "bored"}},
		{"no reason, empty members", `{"message":{"content":"x","refusal":"","audio":{"id":"","data":""},"function_call":{"name":"","arguments":""},"annotations":[]},"finish_reason":"","logprobs":{"content":null,"refusal":null}}`,
			llm.Choice{Parts: []llm.Part{text("x")}}},
		{"stop text", `{"message":{"content":"x"},"finish_reason":"stop","stop_reason":"END"}`,
			llm.Choice{Parts: []llm.Part{text("x")}, Finish: llm.FinishStopSequence, RawFinish: "stop", StopSequence: "END"}},
		{"stop token", `{"message":{"content":"x"},"finish_reason":"stop","stop_reason":128009}`,
			llm.Choice{Parts: []llm.Part{text("x")}, Finish: llm.FinishStop, RawFinish: "stop"}},
		{"reasoning under both names", `{"message":{"content":"x","reasoning":"a","reasoning_content":"a"},"finish_reason":"stop"}`,
			llm.Choice{Parts: []llm.Part{{Type: llm.PartThinking, Text: "a"}, text("x")}, Finish: llm.FinishStop, RawFinish: "stop"}},
		{"list", `{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"h"},{"type":"text","text":"m"}],"closed":true},{"type":"text","text":"a"},{"type":"text","text":"b"}]},"finish_reason":"stop"}`,
			llm.Choice{Parts: []llm.Part{{Type: llm.PartThinking, Text: "hm"}, text("ab")}, Finish: llm.FinishStop, RawFinish: "stop"}},
		{"arguments as object", `{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":{"b":1}}}]},"finish_reason":"tool_calls"}`,
			llm.Choice{Parts: []llm.Part{call("a", "f", `{"b":1}`)}, Finish: llm.FinishToolCalls, RawFinish: "tool_calls"}},
	} {
		r, err := New().DecodeResponse([]byte("\n\n  \n" + `{"id":"i","model":"m","choices":[` + tc.choice + `]}`))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if !reflect.DeepEqual(r.Choices[0], tc.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tc.name, r.Choices[0], tc.want)
		}
	}
}

func TestDecodeResponseFails(t *testing.T) {
	for body, want := range map[string]llm.Kind{
		"":                   llm.KindBadResponse,
		"<html>":             llm.KindBadResponse,
		"[]":                 llm.KindBadResponse,
		`"text"`:             llm.KindBadResponse,
		`{"choices":[`:       llm.KindBadResponse,
		`{}`:                 llm.KindBadResponse,
		`{"choices":null}`:   llm.KindBadResponse,
		`{"choices":[]}`:     llm.KindBadResponse,
		`{"choices":{}}`:     llm.KindBadResponse,
		`{"choices":[null]}`: llm.KindBadResponse,
		`{"error":null}`:     llm.KindBadResponse,
		`{"error":{"code":429,"message":"slow"}}`:                                              llm.KindRateLimit,
		`{"error":"Service temporarily at capacity"}`:                                          llm.KindOverloaded,
		`{"error":{"message":"m","type":"invalid_request_error"},"choices":[]}`:                llm.KindInvalidRequest,
		`{"choices":[{"error":{"code":502,"message":"m"},"message":{},"finish_reason":null}]}`: llm.KindServerError,
		`{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}`:                    llm.KindServerError,
	} {
		_, err := New().DecodeResponse([]byte(body))
		if !errors.Is(err, &llm.Error{Kind: want}) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
		if f := New().InspectResponse([]byte(body)); f.Err == nil || f.Err.Kind != want || f.Content {
			t.Errorf("%s: facts %+v", body, f)
		}
	}
	// What a failed answer was billed is still told.
	f := New().InspectResponse([]byte(`{"error":{"message":"m"},"usage":{"prompt_tokens":7,"completion_tokens":0}}`))
	if f.Err == nil || f.Usage.Input != 7 {
		t.Errorf("%+v", f)
	}
	// An error beside a whole answer is not one.
	if f = New().InspectResponse([]byte(`{"error":{"message":""},"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}`)); f.Err != nil {
		t.Errorf("%+v", f)
	}
}

func TestUsage(t *testing.T) {
	for _, tc := range []struct {
		name, usage string
		want        llm.Usage
	}{
		{"openai", `{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":60},"completion_tokens_details":{"reasoning_tokens":40}}`,
			llm.Usage{Input: 40, CacheRead: 60, Output: 50, Reasoning: 40}},
		{"cache writes", `{"prompt_tokens":100,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30}}`,
			llm.Usage{Input: 10, CacheRead: 60, CacheWrite: 30, Output: 1}},
		{"writes and reads overlap (OpenRouter)", `{"prompt_tokens":2168,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":2161,"cache_write_tokens":2161}}`,
			llm.Usage{CacheRead: 2161, CacheWrite: 7, Output: 100}},
		{"xai", `{"prompt_tokens":741,"completion_tokens":15,"total_tokens":866,"prompt_tokens_details":{"cached_tokens":640},"completion_tokens_details":{"reasoning_tokens":110},"cost_in_usd_ticks":2205000}`,
			llm.Usage{Input: 101, CacheRead: 640, Output: 125, Reasoning: 110, CostUSD: 0.0002205}},
		{"vercel: more reasoning than completion", `{"prompt_tokens":219,"completion_tokens":19,"total_tokens":238,"completion_tokens_details":{"reasoning_tokens":280},"cost":0.004026}`,
			llm.Usage{Input: 219, Output: 299, Reasoning: 280, CostUSD: 0.004026}},
		{"gemini's compatible API", `{"completion_tokens":12,"prompt_tokens":35,"total_tokens":109}`, llm.Usage{Input: 35, Output: 74, Reasoning: 62}},
		{"mistral with audio", `{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115,"prompt_audio_seconds":8}`, llm.Usage{Input: 110, Output: 5}},
		{"grok on azure: cached above prompt", `{"prompt_tokens":293,"completion_tokens":58,"total_tokens":351,"prompt_tokens_details":{"cached_tokens":387}}`,
			llm.Usage{CacheRead: 293, Output: 58}},
		{"deepseek", `{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}`,
			llm.Usage{Input: 36, CacheRead: 64, Output: 5}},
		{"perplexity", `{"prompt_tokens":8,"completion_tokens":3,"total_tokens":11,"cost":{"input_tokens_cost":0.1,"total_cost":0.5}}`, llm.Usage{Input: 8, Output: 3, CostUSD: 0.5}},
		{"own key at openrouter", `{"prompt_tokens":8,"completion_tokens":3,"cost":0.25,"is_byok":true,"cost_details":{"upstream_inference_cost":0.5}}`, llm.Usage{Input: 8, Output: 3, CostUSD: 0.75}},
		{"nulls", `{"prompt_tokens":8,"completion_tokens":3,"prompt_tokens_details":null,"completion_tokens_details":null}`, llm.Usage{Input: 8, Output: 3}},
		{"zeros are a report", `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`, llm.Usage{}},
		{"absurd", `{"prompt_tokens":-5,"completion_tokens":1e300,"total_tokens":"x","cost":-3}`, llm.Usage{}},
	} {
		tc.want.Reported = true
		if got := usageOf([]byte(tc.usage)); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
	for _, none := range []string{`null`, `{}`, `[]`, `{"prompt_tokens":null}`, `7`} {
		if u := usageOf([]byte(none)); u != (llm.Usage{}) {
			t.Errorf("%s: %+v", none, u)
		}
	}
}

// TestEncodeResponseFromAnthropic writes what only an Anthropic model answers.
func TestEncodeResponseFromAnthropic(t *testing.T) {
	r := &llm.Response{ID: "msg_1", Model: "claude", Choices: []llm.Choice{{
		Parts: []llm.Part{
			{Type: llm.PartThinking, Text: "hm", Signature: "s"},
			{Type: llm.PartRedactedThinking, Text: "x"},
			{Type: llm.PartText, Text: "a"},
			{Type: llm.PartOther, Name: "server_tool_use", Raw: json.RawMessage(`{"type":"server_tool_use"}`)},
			{Type: llm.PartText, Text: "b", Raw: json.RawMessage(`[{"type":"web_search_result_location","url":"u","cited_text":"c"}]`)},
			{Type: llm.PartToolCall, ToolCall: &llm.ToolCall{ID: "t", Name: "f"}},
		},
		Finish: llm.FinishToolCalls, RawFinish: "tool_use", Logprobs: json.RawMessage("not json"),
	}}, Usage: llm.Usage{Input: 1, CacheRead: 10, CacheWrite: 100, CacheWrite1h: 1000, Output: 7, Reported: true}}
	out, err := New().EncodeResponse(r)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, string(out), `{"id":"msg_1","object":"chat.completion","created":0,"model":"claude","choices":[{"index":0,"message":{
		"role":"assistant","content":"ab","refusal":null,"reasoning_content":"hm","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},
		"logprobs":null,"finish_reason":"tool_calls"}],
		"usage":{"prompt_tokens":1111,"completion_tokens":7,"total_tokens":1118,"prompt_tokens_details":{"cached_tokens":10,"cache_write_tokens":1100},"completion_tokens_details":{"reasoning_tokens":0}}}`)
	empty, err := New().EncodeResponse(&llm.Response{Choices: []llm.Choice{{}}})
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, string(empty), `{"id":"","object":"chat.completion","created":0,"model":"","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null},"logprobs":null,"finish_reason":"stop"}]}`)
	none, _ := New().EncodeResponse(&llm.Response{})
	mustContain(t, string(none), `"choices":[]`)
}

func TestFinishWords(t *testing.T) {
	for f, want := range map[llm.FinishReason]string{
		llm.FinishStop: "stop", llm.FinishStopSequence: "stop", llm.FinishLength: "length", llm.FinishContext: "length",
		llm.FinishToolCalls: "tool_calls", llm.FinishContentFilter: "content_filter", llm.FinishPause: "stop", llm.FinishUnknown: "stop", "new": "stop",
	} {
		if got := finishWord(f, false); got != want {
			t.Errorf("%q: %q, want %q", f, got, want)
		}
	}
	if got := finishWord(llm.FinishUnknown, true); got != "tool_calls" {
		t.Errorf("unknown with calls: %q", got)
	}
	for raw, want := range map[string]llm.FinishReason{
		"": llm.FinishUnknown, "stop": llm.FinishStop, "eos": llm.FinishStop, "length": llm.FinishLength, "tool_calls": llm.FinishToolCalls,
		"function_call": llm.FinishToolCalls, "content_filter": llm.FinishContentFilter, "MAX_TOKENS": llm.FinishLength, "weird": llm.FinishStop,
	} {
		if got := finishOf(raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

func TestMadeCallIDs(t *testing.T) {
	a, b := madeCallID("r1", 0, 0, "f"), madeCallID("r2", 0, 0, "f")
	if a == b || a != madeCallID("r1", 0, 0, "f") || a == madeCallID("r1", 0, 1, "f") || !strings.HasPrefix(a, "call_") {
		t.Errorf("%s %s", a, b)
	}
}
