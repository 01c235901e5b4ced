package anthropic

import (
	"reflect"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

func TestDecodeRequest(t *testing.T) {
	r := decodeRequest(t, string(fixture(t, "request.json")))
	text := func(s string) llm.Part { return llm.Part{Type: llm.PartText, Text: s} }
	want := []llm.Message{
		{Role: llm.RoleSystem, Parts: []llm.Part{{Type: llm.PartText, Text: "be kind", Cache: &llm.CacheMarker{TTL: "1h"}}}},
		{Role: llm.RoleUser, Parts: []llm.Part{text("hi")}},
		{Role: llm.RoleAssistant, Parts: []llm.Part{
			{Type: llm.PartThinking, Text: "t", Signature: "s"},
			{Type: llm.PartRedactedThinking, Text: "r"},
			call("toolu_1", "f", `{"a": 1.0}`),
			call("functions.g:0", "g", `{}`),
			{Type: llm.PartOther, Name: "server_tool_use", Raw: []byte(`{"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}`)},
		}},
		{Role: llm.RoleTool, Parts: []llm.Part{
			{Type: llm.PartToolResult, ToolResult: &llm.ToolResult{ID: "toolu_1", Parts: []llm.Part{text("42")}}, Cache: &llm.CacheMarker{}},
			{Type: llm.PartToolResult, ToolResult: &llm.ToolResult{ID: "functions.g:0", IsError: true, Parts: []llm.Part{
				text("see"), {Type: llm.PartImage, Media: &llm.Media{MIME: "image/png", Data: "iVBORw"}}}}},
		}},
		{Role: llm.RoleUser, Parts: []llm.Part{
			text("before"),
			{Type: llm.PartImage, Media: &llm.Media{URL: "https://x.example/a.png"}},
			{Type: llm.PartImage, Media: &llm.Media{FileID: "file_1"}},
			{Type: llm.PartDocument, Media: &llm.Media{MIME: "application/pdf", Data: "JVBERi0", Name: "T", Context: "C", Citations: true}},
			{Type: llm.PartDocument, Media: &llm.Media{MIME: "text/plain", Text: "plain"}},
			{Type: llm.PartOther, Name: "document", Raw: []byte(`{"type": "document", "source": {"type": "content", "content": "c"}}`)},
			{Type: llm.PartOther, Name: "search_result", Raw: []byte(`{"type": "search_result", "source": "s", "title": "t", "content": []}`)},
		}},
		{Role: llm.RoleSystem, Parts: []llm.Part{text("mid")}},
		{Role: llm.RoleAssistant, Parts: []llm.Part{{Type: llm.PartText, Text: "pre", Raw: []byte(`[{"type": "char_location"}]`)}}},
	}
	if !reflect.DeepEqual(r.Messages, want) {
		t.Errorf("messages\ngot  %s\nwant %s", show(r.Messages), show(want))
	}
	wantTools := []llm.Tool{
		{Name: "f", Description: "d", Schema: []byte(`{"type": "object"}`), Strict: ptr(true), Cache: &llm.CacheMarker{TTL: "5m"}},
		{Type: "web_search_20250305", Name: "web_search", Raw: []byte(`{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}`)},
	}
	if !reflect.DeepEqual(r.Tools, wantTools) {
		t.Errorf("tools %s", show(r.Tools))
	}
	rest := *r
	rest.Messages, rest.Tools = nil, nil
	wantRest := llm.Request{
		Model: "claude-x", ToolChoice: &llm.ToolChoice{Mode: llm.ToolsNamed, Name: "f"}, ParallelToolCalls: ptr(false),
		MaxTokens: ptr(1000), Temperature: ptr(0.5), TopP: ptr(0.9), TopK: ptr(5), Stop: []string{"END"}, Stream: true, StreamWithUsage: true,
		Reasoning: &llm.Reasoning{Mode: "enabled", BudgetTokens: 2000, Display: "omitted", Effort: "high"},
		Format:    &llm.Format{Type: llm.FormatJSONSchema, Schema: []byte(`{"type": "object"}`)},
		User:      "u", ServiceTier: "standard_only", CacheRequest: &llm.CacheMarker{},
		Extra: []llm.Field{
			{Path: "messages[1].content[2].caller", Raw: []byte(`{"type": "code_execution_20250825", "tool_id": "x"}`)},
			{Path: "messages[3].content[0].new", Raw: []byte(`1`)},
			{Path: "tools[0].defer_loading", Raw: []byte(`true`)},
			{Path: "output_config.task_budget", Raw: []byte(`{"total": 1}`)},
			{Path: "metadata.team", Raw: []byte(`"x"`)},
			{Path: "container", Raw: []byte(`"c1"`)},
		},
	}
	if !reflect.DeepEqual(rest, wantRest) {
		t.Errorf("rest\ngot  %s\nwant %s", show(rest), show(wantRest))
	}
}

func TestDecodeRequestErrors(t *testing.T) {
	msg := func(content string) string {
		return `{"model":"m","messages":[{"role":"user","content":` + content + `}]}`
	}
	for body, param := range map[string]string{
		`{"model":"m"}`:                                                                         "messages",
		`{"model":"m","messages":{}}`:                                                           "messages",
		`{"model":"m","messages":[1]}`:                                                          "messages[0]",
		`{"model":"m","messages":[{"role":"tool","content":""}]}`:                               "messages[0].role",
		`{"model":"m","messages":[{"role":"user"}]}`:                                            "messages[0].content",
		`{"model":1,"messages":[]}`:                                                             "model",
		`{"max_tokens":"9","messages":[]}`:                                                      "max_tokens",
		`{"stop_sequences":["a",1],"messages":[]}`:                                              "stop_sequences[1]",
		`{"temperature":"hot","messages":[]}`:                                                   "temperature",
		`{"tools":[{"name":"f","input_schema":[]}],"messages":[]}`:                              "tools[0].input_schema",
		`{"tools":[{"input_schema":{}}],"messages":[]}`:                                         "tools[0].name",
		`{"tool_choice":{"type":"some"},"messages":[]}`:                                         "tool_choice.type",
		`{"tool_choice":{"type":"tool"},"messages":[]}`:                                         "tool_choice.name",
		`{"thinking":{"type":"enabled","budget_tokens":"x"},"messages":[]}`:                     "thinking.budget_tokens",
		`{"output_format":{"type":"json_schema"},"messages":[]}`:                                "output_format.schema",
		msg(`[{"text":"x"}]`):                                                                   "messages[0].content[0]",
		msg(`[{"type":"text","text":1}]`):                                                       "messages[0].content[0].text",
		msg(`[{"type":"image"}]`):                                                               "messages[0].content[0].source",
		msg(`[{"type":"image","source":{"type":"base64"}}]`):                                    "messages[0].content[0].source",
		msg(`[{"type":"tool_use","id":"1","name":"f","input":3}]`):                              "messages[0].content[0].input",
		msg(`[{"type":"tool_result","content":"x"}]`):                                           "messages[0].content[0].tool_use_id",
		msg(`[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":[]}]}]`): "messages[0].content[0].content[0].text",
	} {
		_, err := New().DecodeRequest(parse(t, body))
		e := llm.AsError(err)
		if e == nil || e.Kind != llm.KindInvalidRequest || e.Param != param || !strings.HasPrefix(e.Message, param) {
			t.Errorf("%s: %v (param %q), want %q", body, err, e.Param, param)
		}
	}
}

func TestDoor(t *testing.T) {
	door, err := New().Door(parse(t, `{"model":"m","messages":[],"stream":true,"max_tokens":7,"metadata":{"user_id":"u"}}`))
	if err != nil || door.Model != "m" || !door.Stream || door.MaxTokens != 7 || door.User != "u" || !door.WantUsage {
		t.Errorf("%+v %v", door, err)
	}
	if _, err := New().Door(parse(t, `{"model":"m","messages":[],"stream":null}`)); err != nil {
		t.Error(err)
	}
	for body, param := range map[string]string{
		`{"messages":[]}`:                                            "model",
		`{"model":"","messages":[]}`:                                 "model",
		`{"model":3,"messages":[]}`:                                  "model",
		`{"model":"a\nb","messages":[]}`:                             "model",
		`{"model":"a\u0085b","messages":[]}`:                         "model",
		`{"model":"` + strings.Repeat("x", 257) + `","messages":[]}`: "model",
		`{"model":"m"}`:                                              "messages",
		`{"model":"m","messages":"hi"}`:                              "messages",
		`{"model":"m","messages":[],"stream":"yes"}`:                 "stream",
		`{"model":"m","messages":[],"max_tokens":-1}`:                "max_tokens",
		`{"model":"m","messages":[],"max_tokens":1.5}`:               "max_tokens",
	} {
		_, err := New().Door(parse(t, body))
		if e := llm.AsError(err); e == nil || e.Kind != llm.KindInvalidRequest || e.Param != param {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestShape(t *testing.T) {
	for body, ok := range map[string]bool{
		string(fixture(t, "request.json")): true,
		`{"Model":"m"}`:                    false,
		`{"messages":[{"Role":"user"}]}`:   false,
		`{"messages":[{"content":[{"type":"tool_result","content":[{"Text":"x"}]}]}]}`: false,
		`{"system":[{"TEXT":"x"}]}`: false,
		`{"tools":[{"input_schema":{"Type":"object","MODEL":1}}],"metadata":{"Any":1}}`:   true,
		`{"messages":[{"content":[{"type":"tool_use","input":{"Role":1,"Content":2}}]}]}`: true,
	} {
		if _, err := jsondoc.Parse([]byte(body), New().Shape()); (err == nil) != ok {
			t.Errorf("%.80s: %v", body, err)
		}
	}
}

func TestEditRequest(t *testing.T) {
	doc := parse(t, `{"model" : "a", "x":1.0, "messages":[]}`)
	if edits := New().EditRequest(doc, "a", true); len(edits) != 0 {
		t.Error("edits without a reason")
	}
	if got := string(doc.Apply(New().EditRequest(doc, "b", true)...)); got != `{"model" : "b", "x":1.0, "messages":[]}` {
		t.Error(got)
	}
}
