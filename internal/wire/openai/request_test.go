package openai

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/llm"
)

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func ptr[T any](v T) *T { return &v }

// TestRequestWhole: a request with every field is written again as it was.
func TestRequestWhole(t *testing.T) {
	in := fixture(t, "request.json")
	r := decodeRequest(t, in)
	if len(r.Extra) != 0 {
		t.Errorf("extra: %v", r.Extra)
	}
	if *r.Seed != 9007199254740993 || r.Messages[2].Parts[0].ToolCall.Arguments != `{"n": 9007199254740993}` {
		t.Errorf("numbers lost digits: %d, %s", *r.Seed, r.Messages[2].Parts[0].ToolCall.Arguments)
	}
	body, unsupported := encodeRequest(t, r, "gpt-5.1")
	if len(unsupported) != 0 {
		t.Errorf("unsupported: %v", unsupported)
	}
	sameJSON(t, body, in)
	requestFixpoint(t, "request.json", r)
}

// user wraps members around a plain conversation.
func user(members string) string {
	return `{"model":"m","messages":[{"role":"user","content":"hi"}]` + members + `}`
}

func TestDecodeRequestNoEffect(t *testing.T) {
	r := decodeRequest(t, user(`,"n":1,"logprobs":false,"top_logprobs":0,"frequency_penalty":0,"presence_penalty":0.0,
		"store":false,"service_tier":"auto","parallel_tool_calls":true,"logit_bias":{},"tools":[],"stop":[],"functions":[],
		"response_format":{"type":"text"},"verbosity":"medium","modalities":["text"],"seed":null,"audio":null,"web_search_options":null,
		"stream_options":{"include_obfuscation":false},"prompt_cache_retention":"24h","prediction":{"type":"content","content":"x"},
		"usage":{"include":true},"metadata":{},"unknown":null`))
	want := &llm.Request{Model: "m", Messages: []llm.Message{{Role: llm.RoleUser, Parts: []llm.Part{{Type: llm.PartText, Text: "hi"}}}}}
	r.Stop = nil
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v", r)
	}
}

func TestDecodeRequestExtra(t *testing.T) {
	r := decodeRequest(t, `{"zeta":1,"model":"m","functions":[{"name":"f"}],"function_call":"auto","messages":[
		{"role":"user","content":[{"type":"text","text":"a","weight":2},{"type":"image_url","image_url":{"url":"https://e.com","fps":1}}],"mood":"x"},
		{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"},"annotations":[],"reasoning_details":[{}],"prefix":false},
		{"role":"function","name":"f","content":"1"},
		{"role":"assistant","content":"x","prefix":true,"audio":{"id":"a"}}],
		"stream_options":{"include_usage":true,"more":1},"response_format":{"type":"grammar"},
		"tools":[{"type":"function","function":{"name":"f","examples":[]},"x":1}],"alpha":[]}`)
	var got []string
	for _, f := range r.Extra {
		got = append(got, f.Path)
		if !json.Valid(f.Raw) {
			t.Errorf("%s: %s", f.Path, f.Raw)
		}
	}
	want := []string{"zeta", "functions", "function_call", "messages[0].content[0].weight", "messages[0].content[1].image_url.fps",
		"messages[0].mood", "messages[1].function_call", "messages[2]", "messages[3].prefix", "messages[3].audio",
		"stream_options.more", "response_format", "tools[0].function.examples", "tools[0].x", "alpha"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	_, unsupported := encodeRequest(t, r, "m")
	if !reflect.DeepEqual(unsupported, want) {
		t.Errorf("unsupported %q", unsupported)
	}
}

func TestDecodeRequestForms(t *testing.T) {
	part := func(body string) llm.Part {
		t.Helper()
		return decodeRequest(t, `{"model":"m","messages":[{"role":"user","content":[`+body+`]}]}`).Messages[0].Parts[0]
	}
	for _, tc := range []struct {
		body string
		want llm.Part
	}{
		{`{"type":"image_url","image_url":"https://e.com/a"}`, llm.Part{Type: llm.PartImage, Media: &llm.Media{URL: "https://e.com/a"}}},
		{`{"type":"image_url","image_url":{"url":"data:image/svg+xml,%3Csvg%2F%3E","detail":"auto"}}`,
			llm.Part{Type: llm.PartImage, Media: &llm.Media{MIME: "image/svg+xml", Data: "PHN2Zy8+"}}},
		{`{"type":"image_url","image_url":{"url":"data:image/png;name=a;base64,AAAA"}}`, llm.Part{Type: llm.PartImage, Media: &llm.Media{MIME: "image/png", Data: "AAAA"}}},
		{`{"type":"file","file":{"file_data":"JVBERi0=","filename":"A.PDF"}}`, llm.Part{Type: llm.PartDocument, Media: &llm.Media{MIME: "application/pdf", Data: "JVBERi0=", Name: "A.PDF"}}},
		{`{"type":"file","file":{"file_data":"https://e.com/a.pdf"}}`, llm.Part{Type: llm.PartDocument, Media: &llm.Media{URL: "https://e.com/a.pdf"}}},
		{`{"type":"input_audio","input_audio":{"data":"AA==","format":"mp3"}}`, llm.Part{Type: llm.PartAudio, Media: &llm.Media{MIME: "audio/mpeg", Data: "AA==", Format: "mp3"}}},
		{`{"type":"video_url","video_url":{"url":"x"}}`, llm.Part{Type: llm.PartOther, Name: "video_url", Raw: json.RawMessage(`{"type":"video_url","video_url":{"url":"x"}}`)}},
		{`{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}`, llm.Part{Type: llm.PartText, Text: "a", Cache: &llm.CacheMarker{TTL: "1h"}}},
		{`{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}`, llm.Part{Type: llm.PartThinking, Text: "hm"}},
	} {
		if got := part(tc.body); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v %+v", tc.body, got, got.Media)
		}
	}
	for body, want := range map[string]*llm.ToolChoice{
		`"none"`:     {Mode: llm.ToolsNone},
		`"auto"`:     {Mode: llm.ToolsAuto},
		`"required"`: {Mode: llm.ToolsRequired},
		`"any"`:      {Mode: llm.ToolsRequired},
		`null`:       nil,
		`{"type":"function","function":{"name":"f"}}`:                               {Mode: llm.ToolsNamed, Name: "f"},
		`{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{}]}}`: {Mode: llm.ToolsRequired, Raw: json.RawMessage(`{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{}]}}`)},
	} {
		if got := decodeRequest(t, user(`,"tool_choice":`+body)).ToolChoice; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", body, got)
		}
	}
	r := decodeRequest(t, user(`,"max_completion_tokens":7,"max_tokens":100,"stop":"END","top_k":5`))
	if *r.MaxTokens != 7 || *r.TopK != 5 || !reflect.DeepEqual(r.Stop, []string{"END"}) {
		t.Errorf("%+v", r)
	}
	if r = decodeRequest(t, user(`,"max_tokens":1e2`)); *r.MaxTokens != 100 {
		t.Errorf("max_tokens 1e2 is %d", *r.MaxTokens)
	}
}

func TestDecodeRequestRefuses(t *testing.T) {
	for body, param := range map[string]string{
		user(`,"max_tokens":0`):                                      "max_tokens",
		user(`,"max_tokens":1.5`):                                    "max_tokens",
		user(`,"temperature":"hot"`):                                 "temperature",
		user(`,"stop":7`):                                            "stop",
		user(`,"stop":["a",7]`):                                      "stop[1]",
		user(`,"stream":"yes"`):                                      "stream",
		user(`,"seed":1.5`):                                          "seed",
		user(`,"metadata":{"a":1}`):                                  "metadata.a",
		user(`,"metadata":[]`):                                       "metadata",
		user(`,"logit_bias":[]`):                                     "logit_bias",
		user(`,"tools":{}`):                                          "tools",
		user(`,"tools":[7]`):                                         "tools[0]",
		user(`,"tools":[{}]`):                                        "tools[0].type",
		user(`,"tools":[{"type":"function"}]`):                       "tools[0].function",
		user(`,"tools":[{"type":"function","function":{}}]`):         "tools[0].function.name",
		user(`,"tool_choice":"maybe"`):                               "tool_choice",
		user(`,"tool_choice":{}`):                                    "tool_choice.type",
		user(`,"tool_choice":{"type":"function"}`):                   "tool_choice.function.name",
		user(`,"response_format":{"type":"json_schema"}`):            "response_format.json_schema",
		user(`,"stream_options":{"include_usage":1}`):                "stream_options.include_usage",
		`{"model":"m","messages":"hi"}`:                              "messages",
		`{"model":"m","messages":[]}`:                                "messages",
		`{"model":"m","messages":["hi"]}`:                            "messages[0]",
		`{"model":"m","messages":[{}]}`:                              "messages[0].role",
		`{"model":"m","messages":[{"role":"bot"}]}`:                  "messages[0].role",
		`{"model":"m","messages":[{"role":"tool"}]}`:                 "messages[0].tool_call_id",
		`{"model":7,"messages":[{"role":"user"}]}`:                   "model",
		`{"messages":[{"role":"user","content":{"a":1}}]}`:           "messages[0].content",
		`{"messages":[{"role":"user","content":["a"]}]}`:             "messages[0].content[0]",
		`{"messages":[{"role":"user","content":[{}]}]}`:              "messages[0].content[0].type",
		`{"messages":[{"role":"user","content":[{"type":"text"}]}]}`: "messages[0].content[0].text",
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}`:                                  "messages[0].content[0].image_url.url",
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:nope"}}]}]}`:                 "messages[0].content[0].image_url.url",
		`{"messages":[{"role":"user","content":[{"type":"file","file":{}}]}]}`:                                            "messages[0].content[0].file",
		`{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]}`:                              "messages[0].content[0].input_audio.data",
		`{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}`:                   "messages[0].tool_calls[0].id",
		`{"messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"arguments":"{}"}}]}]}`:                     "messages[0].tool_calls[0].function.name",
		`{"messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":7}}]}]}`:             "messages[0].tool_calls[0].function.arguments",
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":["secret"]}]}]}`: "messages[1].content[0].text",
	} {
		_, err := New().DecodeRequest(parse(t, body))
		var e *llm.Error
		if !errors.As(err, &e) || e.Kind != llm.KindInvalidRequest || e.Param != param {
			t.Errorf("%s: %v, want %s", body, err, param)
			continue
		}
		if strings.Contains(e.Message, "secret") || !strings.Contains(e.Message, param) {
			t.Errorf("message %q", e.Message)
		}
	}
}

// TestEncodeRequestFromAnthropic writes what only an Anthropic client asks for.
func TestEncodeRequestFromAnthropic(t *testing.T) {
	text := func(s string) llm.Part { return llm.Part{Type: llm.PartText, Text: s} }
	image := llm.Part{Type: llm.PartImage, Media: &llm.Media{MIME: "image/png", Data: "AAAA"}}
	r := &llm.Request{
		TopK: ptr(5), MaxTokens: ptr(10), User: "u", Stream: true, Stop: []string{"1", "2", "3", "4", "5"},
		CacheRequest: &llm.CacheMarker{}, Reasoning: &llm.Reasoning{Mode: "enabled", BudgetTokens: 5000}, ServiceTier: "standard_only",
		Tools: []llm.Tool{{Name: "f", Schema: json.RawMessage(`{"type":"object"}`), Cache: &llm.CacheMarker{}},
			{Type: "web_search_20250305", Raw: json.RawMessage(`{"type":"web_search_20250305","name":"web_search"}`)}},
		ToolChoice: &llm.ToolChoice{Mode: llm.ToolsRequired}, ParallelToolCalls: ptr(false),
		Format: &llm.Format{Type: llm.FormatJSONSchema, Schema: json.RawMessage(`{"type":"object"}`)},
		Messages: []llm.Message{
			{Role: llm.RoleSystem, Parts: []llm.Part{text("a"), {Type: llm.PartText, Text: "b", Cache: &llm.CacheMarker{TTL: "1h"}}}},
			{Role: llm.RoleUser, Parts: []llm.Part{
				{Type: llm.PartDocument, Media: &llm.Media{MIME: "application/pdf", Data: "JVBE", Name: "r.pdf"}},
				{Type: llm.PartDocument, Media: &llm.Media{Text: "plain", Name: "notes", Citations: true}},
				{Type: llm.PartDocument, Media: &llm.Media{URL: "https://e.com/a.pdf"}},
				{Type: llm.PartImage, Media: &llm.Media{FileID: "file_1"}},
				text("read"),
			}},
			{Role: llm.RoleAssistant, Parts: []llm.Part{
				{Type: llm.PartThinking, Text: "signed", Signature: "s"}, {Type: llm.PartRedactedThinking, Text: "x"},
				{Type: llm.PartThinking, Text: "open"},
				{Type: llm.PartOther, Name: "server_tool_use", Raw: json.RawMessage(`{}`)},
				{Type: llm.PartToolCall, ToolCall: &llm.ToolCall{ID: "t1", Name: "f"}},
				{Type: llm.PartToolCall, ToolCall: &llm.ToolCall{ID: "t2", Name: "f", Arguments: `{"a":1}`}},
			}},
			{Role: llm.RoleUser, Parts: []llm.Part{
				{Type: llm.PartToolResult, ToolResult: &llm.ToolResult{ID: "t1", IsError: true, Parts: []llm.Part{text("no such file"), image}}},
				{Type: llm.PartToolResult, ToolResult: &llm.ToolResult{ID: "t2", IsError: true}},
				text("go on"),
			}},
			{Role: llm.RoleAssistant, Parts: []llm.Part{{Type: llm.PartThinking, Text: "only this", Signature: "s"}}},
			{Role: llm.RoleUser, Parts: []llm.Part{text("end")}},
		},
		Extra: []llm.Field{{Path: "mcp_servers", Raw: json.RawMessage(`[]`)}},
	}
	body, unsupported := encodeRequest(t, r, "some-model")
	want := []string{"citations", "content.document.url", "content.image.file_id", "content.server_tool_use", "stop_sequences", "top_k",
		"tools.web_search_20250305", "mcp_servers"}
	if !sameSet(unsupported, want) {
		t.Errorf("unsupported %q\nwant        %q", unsupported, want)
	}
	sameJSON(t, body, `{"model":"some-model","max_tokens":10,"user":"u","stream":true,
		"stop":["1","2","3","4"],"reasoning_effort":"medium","service_tier":"default","parallel_tool_calls":false,"tool_choice":"required",
		"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],
		"response_format":{"type":"json_schema","json_schema":{"name":"response","schema":{"type":"object"}}},
		"messages":[
		{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
		{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBE","filename":"r.pdf"}},
			{"type":"text","text":"[Document: notes]\nplain"},{"type":"text","text":"read"}]},
		{"role":"assistant","content":null,"reasoning_content":"open","tool_calls":[
			{"id":"t1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"t2","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
		{"role":"tool","tool_call_id":"t1","content":[{"type":"text","text":"Error: no such file"},{"type":"text","text":"[The rest of this result follows in the next user message.]"}]},
		{"role":"tool","tool_call_id":"t2","content":"Error: the tool failed"},
		{"role":"user","content":[{"type":"text","text":"[From the result of tool call t1:]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"text","text":"go on"}]},
		{"role":"user","content":"end"}]}`)
	body, _ = encodeRequest(t, r, "gpt-5-mini")
	mustContain(t, body, `"max_completion_tokens":10`)
	if strings.Contains(body, "reasoning_content") || strings.Contains(body, `"max_tokens"`) {
		t.Errorf("not for OpenAI: %s", body)
	}
}

func sameSet(a, b []string) bool {
	count := map[string]int{}
	for _, s := range a {
		count[s]++
	}
	for _, s := range b {
		count[s]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// TestToolResultsStayTogether: results of one turn in several messages follow each other; what
// they show comes behind the last.
func TestToolResultsStayTogether(t *testing.T) {
	result := func(id string) llm.Message {
		return llm.Message{Role: llm.RoleTool, Parts: []llm.Part{{Type: llm.PartToolResult, ToolResult: &llm.ToolResult{ID: id,
			Parts: []llm.Part{{Type: llm.PartImage, Media: &llm.Media{URL: "https://e.com/" + id}}}}}}}
	}
	body, _ := encodeRequest(t, &llm.Request{Messages: []llm.Message{result("1"), result("2"), {Role: llm.RoleAssistant, Parts: textParts("ok")}}}, "m")
	var out struct {
		Messages []struct{ Role string }
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatal(err)
	}
	var roles []string
	for _, m := range out.Messages {
		roles = append(roles, m.Role)
	}
	if got := strings.Join(roles, " "); got != "tool tool user assistant" {
		t.Errorf("%s in %s", got, body)
	}
}

func TestModels(t *testing.T) {
	for model, want := range map[string]bool{
		"o1": true, "o1-mini": true, "o3": true, "o4-mini-2025-04-16": true, "gpt-5": true, "gpt-5.1": true, "gpt-6.2-mini": true,
		"openai/gpt-5-nano": true, "gpt-4o": false, "gpt-4.1": false, "gpt-oss-120b": false, "openai/gpt-oss-20b": false, "gpt-3.5-turbo": false,
		"o10-x": false, "gpt-50": false, "claude-opus-4": false, "olmo": false, "o1x": false, "": false,
	} {
		if got := isReasoningModel(model); got != want {
			t.Errorf("%q: %v", model, got)
		}
	}
	if isOpenAIModel("gpt-oss-120b") || !isOpenAIModel("gpt-4o") || !isOpenAIModel("ft:gpt-4o:x") || isOpenAIModel("deepseek-chat") {
		t.Error("isOpenAIModel")
	}
}

func TestReasoningEffort(t *testing.T) {
	for _, tc := range []struct {
		r    *llm.Reasoning
		want string
	}{
		{nil, ""}, {&llm.Reasoning{}, ""}, {&llm.Reasoning{Effort: "xhigh"}, "xhigh"}, {&llm.Reasoning{Mode: "disabled", Effort: "low"}, ""},
		{&llm.Reasoning{Mode: "adaptive"}, "medium"}, {&llm.Reasoning{Mode: "adaptive", Effort: "low"}, "low"},
		{&llm.Reasoning{Mode: "enabled", BudgetTokens: 1024}, "low"}, {&llm.Reasoning{Mode: "enabled", BudgetTokens: 4096}, "medium"},
		{&llm.Reasoning{Mode: "enabled", BudgetTokens: 16384}, "high"},
	} {
		if got := effortFor(tc.r); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.r, got, tc.want)
		}
	}
}

func TestJoinSystem(t *testing.T) {
	body, _ := encodeRequest(t, decodeRequest(t, `{"model":"m","messages":[{"role":"system","content":"a"},{"role":"system","content":"b"},
		{"role":"user","content":"c"},{"role":"system","content":"d"}]}`), "m")
	sameJSON(t, body, `{"model":"m","messages":[{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
		{"role":"user","content":"c"},{"role":"system","content":"d"}]}`)
}
