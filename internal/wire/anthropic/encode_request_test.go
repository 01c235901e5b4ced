package anthropic

import (
	"encoding/base64"
	"reflect"
	"slices"
	"testing"

	"github.com/breakwater-llm/breakwater/llm"
)

func say(role llm.Role, text string) llm.Message {
	return llm.Message{Role: role, Parts: []llm.Part{{Type: llm.PartText, Text: text}}}
}

func call(id, name, args string) llm.Part {
	return llm.Part{Type: llm.PartToolCall, ToolCall: &llm.ToolCall{ID: id, Name: name, Arguments: args}}
}

func result(id, text string) llm.Message {
	res := &llm.ToolResult{ID: id, Parts: []llm.Part{{Type: llm.PartText, Text: text}}}
	return llm.Message{Role: llm.RoleTool, Parts: []llm.Part{{Type: llm.PartToolResult, ToolResult: res}}}
}

func named(name string, m llm.Message) llm.Message {
	m.Name = name
	return m
}

var hello = []llm.Message{say(llm.RoleUser, "hi")}

// with is a minimal request with some of its fields set.
func with(set func(r *llm.Request)) *llm.Request {
	r := &llm.Request{Messages: hello, MaxTokens: ptr(100)}
	set(r)
	return r
}

func TestEncodeRequest(t *testing.T) {
	pdf := base64.StdEncoding.EncodeToString([]byte("%PDF-1.4"))
	const tail = `"messages":[{"role":"user","content":"hi"}]`
	function := []llm.Tool{{Name: "f", Schema: []byte(`{"type":"object"}`)}}
	const functionJSON = `"tools":[{"name":"f","input_schema":{"type":"object"}}]`
	for _, c := range []struct {
		name  string
		model string
		r     *llm.Request
		want  string // members besides model and max_tokens: 100
		no    []string
	}{
		{name: "plain", r: with(func(*llm.Request) {}), want: tail},
		{name: "one system", r: &llm.Request{MaxTokens: ptr(100), Messages: []llm.Message{say(llm.RoleSystem, "s"), say(llm.RoleUser, "hi")}},
			want: `"system":"s",` + tail},
		{name: "system anywhere", r: &llm.Request{MaxTokens: ptr(100), Messages: []llm.Message{
			say(llm.RoleSystem, "a"), say(llm.RoleUser, "hi"), say(llm.RoleDeveloper, "b")}},
			want: `"system":[{"type":"text","text":"a"},{"type":"text","text":"b"}],` + tail},
		{name: "neighbours, blanks, empty message", r: &llm.Request{MaxTokens: ptr(100), Messages: []llm.Message{
			say(llm.RoleUser, "a"), say(llm.RoleAssistant, " \n"), say(llm.RoleUser, "b"), say(llm.RoleAssistant, "pre")}},
			want: `"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":"pre"}]`},
		{name: "tool turn", r: &llm.Request{MaxTokens: ptr(100), Messages: []llm.Message{
			say(llm.RoleUser, "hi"),
			{Role: llm.RoleAssistant, Parts: []llm.Part{call("call_1", "f", ""), call("functions.f:1", "f", `{"a": 1}`)}},
			say(llm.RoleUser, "and"), named("f", result("call_1", "one")), result("functions.f:1", "")}},
			want: `"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[
				{"type":"tool_use","id":"call_1","name":"f","input":{}},{"type":"tool_use","id":"bwid_ZnVuY3Rpb25zLmY6MQ","name":"f","input":{"a":1}}]},
				{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":"one"},
				{"type":"tool_result","tool_use_id":"bwid_ZnVuY3Rpb25zLmY6MQ"},{"type":"text","text":"and"}]}]`},
		{name: "media", r: &llm.Request{MaxTokens: ptr(100), Messages: []llm.Message{{Role: llm.RoleUser, Parts: []llm.Part{
			{Type: llm.PartImage, Media: &llm.Media{MIME: "image/jpg", Data: "/9j/AA"}},
			{Type: llm.PartImage, Media: &llm.Media{URL: "https://x.example/i.png", Detail: "low"}},
			{Type: llm.PartDocument, Media: &llm.Media{Data: pdf, Name: "a.pdf"}, Cache: &llm.CacheMarker{TTL: "1h"}},
			{Type: llm.PartDocument, Media: &llm.Media{MIME: "text/plain", Data: "aGk="}},
			{Type: llm.PartDocument, Media: &llm.Media{FileID: "file-abc"}},
			{Type: llm.PartDocument, Media: &llm.Media{MIME: "application/zip", Data: "UEsD"}},
			{Type: llm.PartAudio, Media: &llm.Media{Data: "AAAA", Format: "wav"}},
			{Type: llm.PartOther, Name: "video_url", Raw: []byte(`{"type":"video_url"}`)},
		}}}}, want: `"messages":[{"role":"user","content":[
			{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/AA"}},
			{"type":"image","source":{"type":"url","url":"https://x.example/i.png"}},
			{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"` + pdf + `"},"title":"a.pdf","cache_control":{"type":"ephemeral","ttl":"1h"}},
			{"type":"document","source":{"type":"text","media_type":"text/plain","data":"hi"}}]}]`,
			no: []string{"messages[0].content[4]", "messages[0].content[5]", "messages[0].content[6]", "messages[0].content[7]"}},
		{name: "thinking in the history", r: &llm.Request{MaxTokens: ptr(100), Messages: []llm.Message{say(llm.RoleUser, "hi"), {Role: llm.RoleAssistant, Parts: []llm.Part{
			{Type: llm.PartThinking, Text: "other's"}, {Type: llm.PartThinking, Text: "own", Signature: "s"}, {Type: llm.PartRefusal, Text: "no"}}}}},
			want: `"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[
				{"type":"thinking","thinking":"own","signature":"s"},{"type":"text","text":"no"}]}]`},
		{name: "says nothing", r: with(func(r *llm.Request) {
			r.N, r.Logprobs, r.TopLogprobs, r.Store, r.ServiceTier = ptr(1), ptr(false), ptr(0), ptr(false), "auto"
			r.FrequencyPenalty, r.PresencePenalty, r.TopP, r.PromptCacheKey = ptr(0.0), ptr(0.0), ptr(1.0), "k"
			r.ParallelToolCalls, r.LogitBias, r.Verbosity, r.Format = ptr(true), []byte(`{}`), "medium", &llm.Format{Type: llm.FormatText}
			r.ToolChoice = &llm.ToolChoice{Mode: llm.ToolsAuto}
		}), want: tail},
		{name: "cannot say", r: with(func(r *llm.Request) {
			r.N, r.Logprobs, r.TopLogprobs, r.Store, r.ServiceTier = ptr(2), ptr(true), ptr(3), ptr(true), "flex"
			r.FrequencyPenalty, r.PresencePenalty, r.Temperature, r.Seed = ptr(0.1), ptr(-1.0), ptr(1.5), ptr(int64(0))
			r.LogitBias, r.Verbosity, r.Format = []byte(`{"1":2}`), "low", &llm.Format{Type: llm.FormatJSON}
			r.Metadata, r.Stop = map[string]string{"a": "b"}, []string{"\n", "END"}
			r.Extra = []llm.Field{{Path: "prediction"}, {Path: "messages[0].audio"}}
			r.Messages = []llm.Message{{Role: llm.RoleUser, Name: "bob", Parts: hello[0].Parts}}
		}), want: tail + `,"stop_sequences":["END"]`, no: []string{"stop", "messages[0].name", "response_format", "temperature", "service_tier",
			"frequency_penalty", "presence_penalty", "seed", "n", "logprobs", "top_logprobs", "logit_bias", "metadata", "store", "verbosity",
			"prediction", "messages[0].audio"}},
		{name: "settings", r: with(func(r *llm.Request) {
			r.Temperature, r.TopP, r.TopK, r.Stop, r.Stream, r.User = ptr(0.5), ptr(0.9), ptr(40), []string{"a", "b"}, true, "u1"
			r.CacheRequest, r.ServiceTier = &llm.CacheMarker{}, "standard_only"
		}), want: tail + `,"temperature":0.5,"top_p":0.9,"top_k":40,"stop_sequences":["a","b"],"stream":true,"metadata":{"user_id":"u1"},
			"cache_control":{"type":"ephemeral"},"service_tier":"standard_only"`},
		{name: "safety identifier", r: with(func(r *llm.Request) { r.SafetyID = "s1" }), want: tail + `,"metadata":{"user_id":"s1"}`},
		{name: "tools", r: with(func(r *llm.Request) {
			r.Tools = []llm.Tool{
				{Name: "a", Description: "d", Schema: []byte(`{"type":"object","x":1.0}`), Strict: ptr(true), Cache: &llm.CacheMarker{}},
				{Name: "b", Strict: ptr(false)},
				{Type: "web_search_20250305", Name: "web_search", Raw: []byte(`{"type":"web_search_20250305","name":"web_search"}`)},
				{Type: "custom", Raw: []byte(`{"type":"custom","custom":{"name":"x"}}`)},
				{Type: "web_search_preview_2025_03_11", Raw: []byte(`{}`)},
			}
			r.ToolChoice, r.ParallelToolCalls = &llm.ToolChoice{Mode: llm.ToolsNamed, Name: "a"}, ptr(false)
		}), want: tail + `,"tools":[{"name":"a","description":"d","input_schema":{"type":"object","x":1.0},"strict":true,"cache_control":{"type":"ephemeral"}},
			{"name":"b","input_schema":{"type":"object","properties":{}}},{"type":"web_search_20250305","name":"web_search"}],
			"tool_choice":{"type":"tool","name":"a","disable_parallel_tool_use":true}`, no: []string{"tools[3]", "tools[4]"}},
		{name: "required", r: with(func(r *llm.Request) { r.Tools, r.ToolChoice = function, &llm.ToolChoice{Mode: llm.ToolsRequired} }),
			want: tail + `,` + functionJSON + `,"tool_choice":{"type":"any"}`},
		{name: "required, where it is refused", model: "claude-opus-5-5",
			r:    with(func(r *llm.Request) { r.Tools, r.ToolChoice = function, &llm.ToolChoice{Mode: llm.ToolsRequired} }),
			want: tail + `,` + functionJSON, no: []string{"tool_choice"}},
		{name: "none, one at a time", r: with(func(r *llm.Request) {
			r.Tools, r.ToolChoice, r.ParallelToolCalls = function, &llm.ToolChoice{Mode: llm.ToolsNone}, ptr(false)
		}), want: tail + `,` + functionJSON + `,"tool_choice":{"type":"none"}`},
		{name: "one at a time", r: with(func(r *llm.Request) { r.Tools, r.ParallelToolCalls = function, ptr(false) }),
			want: tail + `,` + functionJSON + `,"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`},
		{name: "allowed_tools", r: with(func(r *llm.Request) { r.Tools, r.ToolChoice = function, &llm.ToolChoice{Raw: []byte(`{}`)} }),
			want: tail + `,` + functionJSON, no: []string{"tool_choice"}},
		{name: "schema", r: with(func(r *llm.Request) {
			r.Format = &llm.Format{Type: llm.FormatJSONSchema, Name: "n", Strict: ptr(true), Schema: []byte(`{"type":"object"}`)}
		}), want: tail + `,"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}`},
		{name: "sampling gone", model: "claude-opus-4-8", r: with(func(r *llm.Request) { r.Temperature, r.TopP, r.TopK = ptr(0.2), ptr(0.5), ptr(1) }),
			want: tail, no: []string{"temperature", "top_p", "top_k"}},
		{name: "sampling gone, defaults", model: "claude-opus-4-8", r: with(func(r *llm.Request) { r.Temperature, r.TopP = ptr(1.0), ptr(1.0) }), want: tail},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.model == "" {
				c.model = "m"
			}
			body, no, err := New().EncodeRequest(c.r, c.model)
			if err != nil {
				t.Fatal(err)
			}
			want := normal(t, []byte(`{"model":"`+c.model+`","max_tokens":100,`+c.want+`}`))
			if got := normal(t, body); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %s\nwant %s", show(got), show(want))
			}
			slices.Sort(no)
			slices.Sort(c.no)
			if !slices.Equal(no, c.no) {
				t.Errorf("unsupported %v, want %v", no, c.no)
			}
		})
	}
}

func TestEncodeReasoning(t *testing.T) {
	effort := func(e string) *llm.Reasoning { return &llm.Reasoning{Effort: e} }
	loop := []llm.Message{say(llm.RoleUser, "hi"), {Role: llm.RoleAssistant, Parts: []llm.Part{call("c", "f", "{}")}}, result("c", "r")}
	for _, c := range []struct {
		name     string
		model    string
		r        *llm.Reasoning
		max      int
		messages []llm.Message
		choice   llm.ToolChoiceMode
		thinking string
		effort   string
		no       string
	}{
		{name: "budget", model: "claude-sonnet-4-5", r: effort("low"), thinking: `{"type":"enabled","budget_tokens":1024}`},
		{name: "dated, with a region", model: "us.anthropic.claude-sonnet-4-20250514-v1:0", r: effort("high"), thinking: `{"type":"enabled","budget_tokens":16384}`},
		{name: "small limit", model: "claude-haiku-4-5", r: effort("high"), max: 4000, thinking: `{"type":"enabled","budget_tokens":2000}`},
		{name: "no room", model: "claude-haiku-4-5", r: effort("high"), max: 1024, no: "reasoning_effort"},
		{name: "tool loop", model: "claude-haiku-4-5", r: effort("high"), messages: loop},
		{name: "forced tool", model: "claude-haiku-4-5", r: effort("high"), choice: llm.ToolsRequired, no: "reasoning_effort"},
		{name: "adaptive", model: "claude-opus-4-8", r: effort("xhigh"), messages: loop, thinking: `{"type":"adaptive"}`, effort: "xhigh"},
		{name: "adaptive without xhigh", model: "claude-sonnet-4-6", r: effort("xhigh"), thinking: `{"type":"adaptive"}`, effort: "high"},
		{name: "minimal", model: "claude-opus-5", r: effort("minimal"), thinking: `{"type":"adaptive"}`, effort: "low"},
		{name: "adaptive, forced tool", model: "claude-opus-4-8", r: effort("low"), choice: llm.ToolsRequired, effort: "low"},
		{name: "cannot think", model: "claude-3-haiku-20240307", r: effort("low"), no: "reasoning_effort"},
		{name: "unknown model", model: "gpt-x", r: effort("low"), no: "reasoning_effort"},
		{name: "unknown effort", model: "claude-opus-5", r: effort("heroic"), no: "reasoning_effort"},
		{name: "none where it is off", model: "claude-opus-4-8", r: effort("none")},
		{name: "none where it is on", model: "claude-opus-5", r: effort("none"), thinking: `{"type":"disabled"}`},
		{name: "none, newer word", model: "claude-sonnet-5-5", r: effort("none"), thinking: `{"type":"between_tools"}`},
		{name: "none where it stays on", model: "claude-fable-5-1", r: effort("none"), no: "reasoning_effort"},
		{name: "own budget", model: "claude-sonnet-4-6", r: &llm.Reasoning{Mode: "enabled", BudgetTokens: 3000, Display: "summarized"}, thinking: `{"type":"enabled","budget_tokens":3000,"display":"summarized"}`},
		{name: "own budget on a newer model", model: "claude-opus-4-8", r: &llm.Reasoning{Mode: "enabled", BudgetTokens: 3000}, thinking: `{"type":"adaptive"}`},
		{name: "own adaptive on an older model", model: "claude-opus-4-5", r: &llm.Reasoning{Mode: "adaptive", Effort: "medium"}, thinking: `{"type":"enabled","budget_tokens":8192}`},
		{name: "own adaptive, unknown model", model: "m", r: &llm.Reasoning{Mode: "adaptive", Effort: "high"}, thinking: `{"type":"adaptive"}`, effort: "high"},
		{name: "own disabled", model: "m", r: &llm.Reasoning{Mode: "disabled"}, thinking: `{"type":"disabled"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &llm.Request{Messages: hello, Reasoning: c.r, Tools: []llm.Tool{{Name: "f"}}, Temperature: ptr(1.0)}
			if c.messages != nil {
				r.Messages = c.messages
			}
			if c.max > 0 {
				r.MaxTokens = &c.max
			}
			if c.choice != "" {
				r.ToolChoice = &llm.ToolChoice{Mode: c.choice}
			}
			body, no, err := New().EncodeRequest(r, c.model)
			if err != nil {
				t.Fatal(err)
			}
			got := string(member(body, "thinking"))
			if got != c.thinking || stringOf(member(member(body, "output_config"), "effort")) != c.effort {
				t.Errorf("thinking %s, effort %s", got, member(body, "output_config"))
			}
			if want := append([]string(nil), c.no); c.no != "" && !slices.Equal(no, want) || c.no == "" && len(no) > 0 {
				t.Errorf("unsupported %v, want %q", no, c.no)
			}
			if c.max > 0 && intOf(member(body, "max_tokens")) != int64(c.max) {
				t.Error("max_tokens was changed")
			}
		})
	}
}

func TestThinkingFixesSampling(t *testing.T) {
	r := with(func(r *llm.Request) {
		r.MaxTokens, r.Reasoning, r.Temperature, r.TopP, r.TopK = ptr(4096), &llm.Reasoning{Effort: "low"}, ptr(0.3), ptr(0.5), ptr(4)
	})
	body, no, err := New().EncodeRequest(r, "claude-sonnet-4-5")
	if err != nil || !slices.Equal(no, []string{"temperature", "top_p", "top_k"}) || member(body, "temperature") != nil {
		t.Errorf("%v %v %s", err, no, body)
	}
}

func TestMaxTokens(t *testing.T) {
	for model, want := range map[string]int64{
		"claude-opus-4-20250514": 32000, "claude-opus-4-1": 32000, "claude-opus-4-5-20251101": 64000, "claude-opus-4-6": 128000,
		"claude-sonnet-4-0": 64000, "claude-3-5-haiku-20241022": 8192, "claude-3-opus-latest": 4096, "claude-3-7-sonnet-latest": 64000,
		"claude-haiku-5-5": 128000, "claude-next": 4096, "deepseek-chat": 4096,
	} {
		body, _, err := New().EncodeRequest(&llm.Request{Messages: hello}, model)
		if err != nil || intOf(member(body, "max_tokens")) != want {
			t.Errorf("%s: %s, want %d (%v)", model, member(body, "max_tokens"), want, err)
		}
	}
	for i, m := range models { // a prefix hidden by a shorter one would never be found
		if got := lookupModel(m.prefix + "-20990101"); got.prefix != m.prefix {
			t.Errorf("row %d: %s is found as %s", i, m.prefix, got.prefix)
		}
	}
}

func TestEncodeRequestErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		r     *llm.Request
		param string
	}{
		{"no messages", &llm.Request{}, "messages"},
		{"system only", &llm.Request{Messages: []llm.Message{say(llm.RoleSystem, "s"), say(llm.RoleUser, "")}}, "messages"},
		{"arguments", &llm.Request{Messages: []llm.Message{say(llm.RoleUser, "q"), {Role: llm.RoleAssistant, Parts: []llm.Part{
			{Type: llm.PartText, Text: "x"}, call("1", "f", "{}"), call("2", "f", `[1]`)}}}}, "messages[1].tool_calls[1].function.arguments"},
		{"arguments cut", &llm.Request{Messages: []llm.Message{{Role: llm.RoleAssistant, Parts: []llm.Part{call("2", "f", `{"a":`)}}}}, "messages[0].tool_calls[0].function.arguments"},
		{"schema", with(func(r *llm.Request) { r.Format = &llm.Format{Type: llm.FormatJSONSchema} }), "response_format.json_schema.schema"},
		{"parameters", with(func(r *llm.Request) { r.Tools = []llm.Tool{{Name: "f", Schema: []byte(`[]`)}} }), "tools[0].function.parameters"},
	} {
		_, _, err := New().EncodeRequest(c.r, "m")
		if e := llm.AsError(err); e == nil || e.Kind != llm.KindInvalidRequest || e.Param != c.param {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestToolIDs(t *testing.T) {
	for _, id := range []string{"toolu_01A", "call_abc-1", "functions.f:0", "", "äöü", "bwid_x", "bwid_ZnVu", "a b"} {
		enc := encodeID(id)
		if !legalID(enc) || decodeID(enc) != id {
			t.Errorf("%q -> %q -> %q", id, enc, decodeID(enc))
		}
	}
	if decodeID("bwid_!!") != "bwid_!!" || decodeID("bwid_YWJj") != "bwid_YWJj" {
		t.Error("an id that only looks like ours was changed")
	}
}
