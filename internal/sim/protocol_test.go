package sim

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const includeUsage = `,"stream_options":{"include_usage":true}`

// A stream joins to what the whole answer holds, for every kind of reply.
func TestStreamEqualsWhole(t *testing.T) {
	replies := map[string]string{
		"default":   `rules: []`,
		"text":      `rules: [{reply: {text: "Grüße, 世界 🌊, <b>&</b> \"quoted\"\n\tend"}}]`,
		"empty":     `rules: [{reply: {text: ""}}]`,
		"tools":     `rules: [{reply: {tool_calls: [{name: a, arguments: {z: 1, a: "é"}}, {name: b}]}}]`,
		"all":       `rules: [{reply: {thinking: "let me see", text: "so:", tool_calls: [{name: a, arguments: {x: [1, 2]}}]}}]`,
		"json":      `rules: [{reply: {json: {b: 1, a: [true, null, 1.5]}}}]`,
		"usage":     `rules: [{reply: {text: hi, usage: {input: 100, output: 50, cached: 60, cache_write: 10, reasoning: 20}}}]`,
		"finish":    `rules: [{reply: {text: hi, finish: content_filter}}]`,
		"chars":     `rules: [{reply: {text: "日本語 x", chunks: char}}]`,
		"one piece": `rules: [{reply: {text: "a b c d", chunks: whole}}]`,
		"by three":  `rules: [{reply: {text: "a b c d e f", chunks: 3}}]`,
		"cut bytes": `rules: [{reply: {text: "日本語 🌊", cut: 1}}]`,
	}
	for name, yaml := range replies {
		for _, a := range bothAPIs {
			t.Run(name+"/"+a.name, func(t *testing.T) {
				s := mustNew(t, Options{Script: mustScript(t, yaml)})
				whole := a.collectWhole(t, ask1(t, s, a, a.body(false, "hello", "")).body)
				fields := ""
				if a.name == "openai" {
					fields = includeUsage
				}
				stream := a.collectStream(t, ask1(t, s, a, a.body(true, "hello", fields)).body)
				if !reflect.DeepEqual(whole, stream) {
					t.Errorf("whole  %+v\nstream %+v", whole, stream)
				}
				if whole.usage.Input == 0 || name != "empty" && whole.usage.Output == 0 {
					t.Errorf("no usage: %+v", whole.usage)
				}
			})
		}
	}
}

func TestScriptedNumbersAndFinish(t *testing.T) {
	s := mustNew(t, Options{Script: mustScript(t, `
rules:
  - match: {user: usage}
    reply: {text: hi, usage: {input: 100, output: 50, cached: 60, cache_write: 10, reasoning: 20}}
  - match: {user: odd}
    reply: {text: hi, finish: pause_turn}
`)})
	want := Usage{Input: 100, Output: 50, Cached: 60, CacheWrite: 10, Reasoning: 20}
	for _, a := range bothAPIs {
		if got := a.collectWhole(t, ask1(t, s, a, a.body(false, "usage", "")).body).usage; got != want {
			t.Errorf("%s: usage %+v, want %+v", a.name, got, want)
		}
		if got := a.collectWhole(t, ask1(t, s, a, a.body(false, "odd", "")).body).finish; got != "pause_turn" {
			t.Errorf("%s: finish %q", a.name, got)
		}
	}
	body := ask1(t, s, anthropicAPI, anthropicAPI.body(false, "usage", "")).body
	if n := gjson.Get(body, "usage.input_tokens").Int(); n != 30 {
		t.Errorf("Anthropic's input_tokens leave the cached ones out: %d, want 30", n)
	}
	if got, want := s.Billed().Input, 100*3+2*EstimateTokens("odd"); got != want {
		t.Errorf("billed input %d, want %d", got, want)
	}
}

func TestLimitsOfTheRequest(t *testing.T) {
	s := mustNew(t, Options{Script: mustScript(t, `rules: [{reply: {text: "one two three four five six END seven"}}]`)})
	tests := []struct {
		api          api
		fields       string
		text, finish string
		stopSequence string
	}{
		{openaiAPI, `,"max_completion_tokens":2`, "one two ", "length", ""},
		{openaiAPI, `,"max_tokens":1`, "one ", "length", ""},
		{openaiAPI, `,"stop":[" six","END"]`, "one two three four five", "stop", ""},
		{openaiAPI, `,"stop":"END"`, "one two three four five six ", "stop", ""},
		{anthropicAPI, `,"stop_sequences":["END"]`, "one two three four five six ", "stop_sequence", "END"},
	}
	for _, tt := range tests {
		body := ask1(t, s, tt.api, tt.api.body(false, "x", tt.fields)).body
		got := tt.api.collectWhole(t, body)
		if got.text != tt.text || got.finish != tt.finish || gjson.Get(body, "stop_sequence").Str != tt.stopSequence {
			t.Errorf("%s %s: text %q, finish %q, stop sequence %q", tt.api.name, tt.fields, got.text, got.finish, gjson.Get(body, "stop_sequence").Str)
		}
	}
	a := api{"anthropic", "/v1/messages", `,"max_tokens":2`}
	if got := a.collectWhole(t, ask1(t, s, a, a.body(false, "x", "")).body); got.text != "one two " || got.finish != "max_tokens" || got.usage.Output != 2 {
		t.Errorf("anthropic max_tokens: %+v", got)
	}
}

func TestChoices(t *testing.T) {
	s := mustNew(t, Options{})
	body := ask1(t, s, openaiAPI, openaiAPI.body(false, "x", `,"n":3`)).body
	if n := gjson.Get(body, "choices.#").Int(); n != 3 {
		t.Fatalf("%d choices, want 3", n)
	}
	stream := ask1(t, s, openaiAPI, openaiAPI.body(true, "x", `,"n":3`)).body
	texts := map[int64]string{}
	for _, e := range parseStream(t, stream) {
		c := gjson.Get(e.data, "choices.0")
		texts[c.Get("index").Int()] += c.Get("delta.content").Str
	}
	for i := range 3 {
		if want := gjson.Get(body, fmt.Sprintf("choices.%d.message.content", i)).Str; texts[int64(i)] != want || want == "" {
			t.Errorf("choice %d streams %q, want %q", i, texts[int64(i)], want)
		}
	}
}

// The default reply to a forced tool or a schema.
func TestDefaultToolsAndSchemas(t *testing.T) {
	const schema = `{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":2},"note":{"type":"string"}},"required":["city","days"]}`
	openaiTools := `,"tools":[{"type":"function","function":{"name":"other"}},{"type":"function","function":{"name":"w","parameters":` + schema + `}}]`
	anthropicTools := `,"tools":[{"name":"other","input_schema":{"type":"object"}},{"name":"w","input_schema":` + schema + `}]`
	const want = `{"city":"text","days":2}`
	tests := []struct {
		api          api
		fields       string
		call, args   string
		text, finish string
	}{
		{openaiAPI, openaiTools + `,"tool_choice":{"type":"function","function":{"name":"w"}}`, "w", want, "", "tool_calls"},
		{openaiAPI, openaiTools + `,"tool_choice":"required"`, "other", "{}", "", "tool_calls"},
		{anthropicAPI, anthropicTools + `,"tool_choice":{"type":"tool","name":"w"}`, "w", want, "", "tool_use"},
		{anthropicAPI, anthropicTools + `,"tool_choice":{"type":"any"}`, "other", "{}", "", "tool_use"},
		{openaiAPI, `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":` + schema + `}}`, "", "", want, "stop"},
		{anthropicAPI, `,"output_config":{"format":{"type":"json_schema","schema":` + schema + `}}`, "", "", want, "end_turn"},
		{openaiAPI, openaiTools, "", "", "This is Breakwater's simulated provider. You said: hi", "stop"},
		{anthropicAPI, anthropicTools + `,"tool_choice":{"type":"auto"}`, "", "", "This is Breakwater's simulated provider. You said: hi", "end_turn"},
	}
	s := mustNew(t, Options{})
	for _, tt := range tests {
		got := tt.api.collectWhole(t, ask1(t, s, tt.api, tt.api.body(false, "hi", tt.fields)).body)
		if got.text != tt.text || got.finish != tt.finish {
			t.Errorf("%s: %+v", tt.fields, got)
		}
		if (tt.call == "") != (len(got.calls) == 0) || tt.call != "" && (got.calls[0] != ToolCall{tt.call, tt.args}) {
			t.Errorf("%s: calls %+v", tt.fields, got.calls)
		}
	}
	obj := ask1(t, s, openaiAPI, openaiAPI.body(false, "hi", `,"response_format":{"type":"json_object"}`)).body
	if text := gjson.Get(obj, "choices.0.message.content").Str; !gjson.Valid(text) || text[0] != '{' {
		t.Errorf("json_object answered %q", text)
	}
}

func TestRefusedRequests(t *testing.T) {
	s := mustNew(t, Options{})
	ts, client := listen(t, s)
	tests := []struct {
		method, path, body string
		anthropic          bool
		status             int
		message            string
	}{
		{"POST", "/v1/chat/completions", `{`, false, 400, "parse"},
		{"POST", "/v1/chat/completions", `[]`, false, 400, "parse"},
		{"POST", "/v1/chat/completions", `{"messages":[{}]}`, false, 400, "model"},
		{"POST", "/v1/chat/completions", `{"model":"m"}`, false, 400, "messages"},
		{"POST", "/v1/chat/completions", `{"model":"m","messages":[]}`, false, 400, "messages"},
		{"POST", "/v1/chat/completions", `{"model":"m","messages":[{}],"max_tokens":0}`, false, 400, "max_tokens"},
		{"POST", "/v1/chat/completions", `{"model":"m","messages":[{}],"n":0}`, false, 400, "'n'"},
		{"GET", "/v1/chat/completions", ``, false, 405, "method"},
		{"POST", "/v1/messages", `{`, true, 400, "JSON"},
		{"POST", "/v1/messages", `{"model":"m","max_tokens":5,"messages":[{}]}`, false, 400, "anthropic-version"},
		{"POST", "/v1/messages", `{"max_tokens":5,"messages":[{}]}`, true, 400, "model"},
		{"POST", "/v1/messages", `{"model":"m","messages":[{}]}`, true, 400, "max_tokens"},
		{"POST", "/v1/messages", `{"model":"m","max_tokens":5,"messages":[]}`, true, 400, "messages"},
		{"POST", "/v1/messages/count_tokens", `{"model":"m"}`, true, 400, "messages"},
		{"POST", "/v1/nothing", `{}`, false, 404, "/v1/nothing"},
		{"POST", "/", `{}`, true, 404, "Unknown path"},
		{"GET", "/v1/models/nothing", ``, false, 404, "nothing"},
		{"GET", "/v1/models/nothing", ``, true, 404, "nothing"},
		{"POST", "/v1/models", ``, false, 405, "method"},
	}
	for _, tt := range tests {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, ts.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if tt.anthropic {
			r.Header.Set("anthropic-version", "2023-06-01")
		}
		got := mustSend(t, client, r)
		if got.status != tt.status || !strings.Contains(strings.ToLower(gjson.Get(got.body, "error.message").Str), strings.ToLower(tt.message)) {
			t.Errorf("%s %s %s: %d %s", tt.method, tt.path, tt.body, got.status, got.body)
		}
		isAnthropic := tt.anthropic || strings.HasPrefix(tt.path, "/v1/messages")
		if (gjson.Get(got.body, "type").Str == "error") != isAnthropic {
			t.Errorf("%s %s: wrong dialect: %s", tt.method, tt.path, got.body)
		}
	}
	if u := s.Billed(); u != (Usage{}) {
		t.Errorf("refused requests were billed: %+v", u)
	}
}

func TestPathsModelsAndCounting(t *testing.T) {
	s := mustNew(t, Options{Models: []string{"b"}, Script: mustScript(t, "models: [a/x]\nrules: [{match: {model: c}}, {match: {model: 'd*'}}]")})
	client := &http.Client{Transport: s.RoundTripper()}
	get := func(path string, anthropic bool) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://sim"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if anthropic {
			r.Header.Set("anthropic-version", "2023-06-01")
		}
		return mustSend(t, client, r).body
	}
	for _, path := range []string{"/v1/models", "/models", "/models/"} {
		if ids := gjson.Get(get(path, false), "data.#.id").Raw; ids != `["a/x","b","c"]` {
			t.Errorf("%s lists %s", path, ids)
		}
	}
	list := get("/v1/models", true)
	if gjson.Get(list, "data.0.type").Str != "model" || gjson.Get(list, "last_id").Str != "c" || gjson.Get(list, "has_more").Raw != "false" {
		t.Errorf("Anthropic's list: %s", list)
	}
	if one := get("/v1/models/a/x", false); gjson.Get(one, "id").Str != "a/x" || gjson.Get(one, "object").Str != "model" {
		t.Errorf("one model: %s", one)
	}
	if one := get("/v1/models/b", true); gjson.Get(one, "id").Str != "b" || gjson.Get(one, "type").Str != "model" {
		t.Errorf("one model for Anthropic: %s", one)
	}
	for _, path := range []string{"/chat/completions", "/v1/chat/completions", "/v1/chat/completions/"} {
		a := api{"openai", path, ""}
		if got := ask1(t, s, a, a.body(false, "hi", "")); got.status != 200 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	count := api{"anthropic", "/v1/messages/count_tokens", ""}
	counted := gjson.Get(ask1(t, s, count, count.body(false, "12345678", `,"system":"1234"`)).body, "input_tokens").Int()
	used := anthropicAPI.collectWhole(t, ask1(t, s, anthropicAPI, anthropicAPI.body(false, "12345678", `,"system":"1234"`)).body).usage.Input
	if counted != 3 || used != 3 {
		t.Errorf("counted %d, used %d, want 3 (twelve characters)", counted, used)
	}
}

func TestIncludeUsageOnlyWhenAsked(t *testing.T) {
	s := mustNew(t, Options{})
	if b := ask1(t, s, openaiAPI, openaiAPI.body(true, "x", "")).body; strings.Contains(b, "usage") {
		t.Errorf("usage without being asked: %s", b)
	}
	with := parseStream(t, ask1(t, s, openaiAPI, openaiAPI.body(true, "x", includeUsage)).body)
	for _, e := range with[:len(with)-2] {
		if u := gjson.Get(e.data, "usage"); u.Raw != "null" {
			t.Errorf("chunk without a null usage: %s", e.data)
		}
	}
}
