package sim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestRulesInOrder(t *testing.T) {
	s := mustNew(t, Options{Script: mustScript(t, `
rules:
  - match: {model: "gpt-*-mini"}
    reply: {text: mini}
  - match: {surface: anthropic, user: "(?i)weather"}
    reply: {text: sunny}
  - match: {surface: openai.chat, user: "^exact$"}
    reply: {text: exact}
  - match: {user: count, call: 1}
    reply: {text: first}
  - match: {user: count, call: [3, "5-6"]}
    reply: {text: "third, fifth or sixth"}
  - match: {user: count, call: 7-}
    reply: {text: late}
  - match: {user: tell}
    reply: {template: "{{.Call}} {{.Model}} {{.Surface}} {{.User}}"}
  - match: {user: tools}
    reply:
      text: calling
      tool_calls:
        - {name: f, arguments: {z: 1, a: [x, {k: null}]}}
        - {name: broken, arguments: '{"cut'}
`)})
	get := func(a api, model, user string) string {
		body := strings.Replace(a.body(false, user, ""), `"model":"m"`, `"model":"`+model+`"`, 1)
		return a.collectWhole(t, ask1(t, s, a, body).body).text
	}
	tests := []struct {
		api               api
		model, user, want string
	}{
		{openaiAPI, "gpt-4o-mini", "x", "mini"},
		{openaiAPI, "gpt-4o", "weather?", "This is Breakwater's simulated provider. You said: weather?"},
		{anthropicAPI, "m", "The WEATHER", "sunny"},
		{openaiAPI, "m", "exact", "exact"},
		{anthropicAPI, "m", "exact", "This is Breakwater's simulated provider. You said: exact"},
		{openaiAPI, "m", "count", "first"},
		{anthropicAPI, "m", "count", "This is Breakwater's simulated provider. You said: count"},
		{openaiAPI, "m", "count", "third, fifth or sixth"},
		{openaiAPI, "m", "count", "This is Breakwater's simulated provider. You said: count"},
		{openaiAPI, "m", "count", "third, fifth or sixth"},
		{openaiAPI, "m", "count", "third, fifth or sixth"},
		{openaiAPI, "m", "count", "late"},
		{openaiAPI, "m", "count", "late"},
		{openaiAPI, "m", "tell", "1 m openai.chat tell"},
		{anthropicAPI, "n", "tell", "2 n anthropic.messages tell"},
	}
	for i, tt := range tests {
		if got := get(tt.api, tt.model, tt.user); got != tt.want {
			t.Errorf("%d %s: %q, want %q", i, tt.user, got, tt.want)
		}
	}
	if r := s.Requests()[0]; r.Rule != 1 || r.Surface != "openai.chat" || r.Model != "gpt-4o-mini" {
		t.Errorf("recorded %+v", r)
	}
	got := openaiAPI.collectWhole(t, ask1(t, s, openaiAPI, openaiAPI.body(false, "tools", "")).body)
	if len(got.calls) != 2 || gjson.Get(got.calls[0].Arguments, "@ugly").Raw != `{"z":1,"a":["x",{"k":null}]}` || got.calls[1].Arguments != `{"cut` || got.text != "calling" {
		t.Errorf("%+v", got)
	}
}

func TestLastUserText(t *testing.T) {
	s := mustNew(t, Options{Script: mustScript(t, `rules: [{match: {user: "^one\ntwo$"}, reply: {text: found}}]`)})
	const messages = `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"no"},{"role":"assistant","content":"x"},{"role":"user","content":[{"type":"text","text":"one"},{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"two"}]},{"role":"assistant","content":"y"},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"z"}]}]}`
	for _, a := range bothAPIs {
		if got := a.collectWhole(t, ask1(t, s, a, messages).body).text; got != "found" {
			t.Errorf("%s: %q", a.name, got)
		}
	}
}

func TestScriptErrors(t *testing.T) {
	tests := []struct{ name, yaml, want string }{
		{"not YAML", "rules: [", "s.yaml:1:"},
		{"unknown key", "rules:\n  - match: {}\n    replay: {}\n", "s.yaml:3:5: unknown field \"replay\""},
		{"unknown key deep", "time:\n  latncy: 1s\n", "s.yaml:2:3: unknown field"},
		{"key twice", "seed: 1\nseed: 2\n", "s.yaml:2:1:"},
		{"wrong type", "seed: many\n", "s.yaml:1:7:"},
		{"duration without unit", "time:\n  latency: 5\n", "s.yaml:2:12:"},
		{"regexp", "rules:\n  - match:\n      user: \"(\"\n", "s.yaml:3:13: rules[0].match.user: error parsing regexp"},
		{"surface", "rules:\n  - match: {surface: gopher}\n", "s.yaml:2:22: rules[0].match.surface: unknown surface \"gopher\": use one of openai"},
		{"call", "rules:\n  - match:\n      call: 0\n", "s.yaml:3:13: rules[0].match.call: \"0\" is not a call number"},
		{"call range", "rules: [{match: {call: 5-2}}]", "5-2"},
		{"call kind", "rules: [{match: {call: {a: 1}}}]", "is not a number"},
		{"two replies", "rules:\n  - reply:\n      text: a\n      json: {}\n", "s.yaml:4:13: rules[0].reply.json: a reply has text already"},
		{"template", "rules:\n  - reply:\n      template: \"{{.Nope}}\"\n", "s.yaml:3:17: rules[0].reply.template:"},
		{"template syntax", "rules: [{reply: {template: '{{'}}]", "reply.template"},
		{"tool without name", "rules:\n  - reply:\n      tool_calls: [{arguments: {}}]\n", "tool_calls[0].name: is missing"},
		{"arguments", "rules: [{reply: {tool_calls: [{name: f, arguments: 5}]}}]", "neither an object nor a string"},
		{"usage", "rules:\n  - reply:\n      usage: {input: 5, cached: 6}\n", "input includes both"},
		{"usage negative", "rules: [{reply: {usage: {output: -1}}}]", "bad_usage"},
		{"usage reasoning", "rules: [{reply: {usage: {output: 1, reasoning: 2}}}]", "output includes it"},
		{"chunks", "rules: [{reply: {chunks: sentence}}]", "use word, char, token, whole"},
		{"cut", "rules: [{reply: {cut: -1}}]", "cut: is negative"},
		{"fault", "faults:\n  - kind: reset\n  - kind: explode\n", "s.yaml:3:11: faults[1].kind: unknown fault \"explode\": use one of rate_limit,"},
		{"fault of a rule", "rules:\n  - faults: [{kind: reset, rate: 3}]\n", "rules[0].faults[0].rate: 3 is not a share"},
		{"jitter", "rules:\n  - time: {jitter: 2}\n", "rules[0].time.jitter: 2 is not a number from 0 to 1"},
		{"no cassette", "rules: [{reply: {cassette: nope.json}}]", "reply.cassette"},
		{"cassette and more", "rules: [{reply: {cassette: nope.json, thinking: x}}]", "as it was recorded"},
		{"two documents", "seed: 1\n---\nseed: 2\n", "more than one YAML document"},
	}
	for _, tt := range tests {
		s, err := ParseScript("s.yaml", []byte(tt.yaml))
		if err == nil || !strings.HasPrefix(err.Error(), "s.yaml:") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v %v, want %q in it", tt.name, s, err, tt.want)
		}
	}
	for _, ok := range []string{"", "# nothing\n", "rules: []", "rules:\n  - {}\n", "faults: [{kind: reset, at: 0}]"} {
		if _, err := ParseScript("s.yaml", []byte(ok)); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	if _, err := New(Options{Script: &Script{Rules: []Rule{{Match: Match{User: "("}}}}}); err == nil || !strings.Contains(err.Error(), "rules[0].match.user") {
		t.Errorf("New takes a bad script: %v", err)
	}
}

func TestLoadScriptWithCassette(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "rec", "one.json"), `{"request":{"path":"/v1/chat/completions","body":{"model":"m"}},"response":{"status":418,"headers":{"content-type":"text/plain","x-kept":"yes","content-length":"9"},"body":"recorded"}}`)
	write(t, filepath.Join(dir, "script.yaml"), "rules: [{reply: {cassette: rec/one.json}}]")
	script, err := LoadScript(filepath.Join(dir, "script.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got := ask1(t, mustNew(t, Options{Script: script}), anthropicAPI, anthropicAPI.body(false, "x", ""))
	if got.status != 418 || got.body != "recorded" || got.header.Get("X-Kept") != "yes" || got.header.Get("Content-Length") != "8" {
		t.Errorf("%+v", got)
	}
	if _, err := LoadScript(filepath.Join(dir, "nope.yaml")); !os.IsNotExist(errorsUnwrap(err)) {
		t.Errorf("missing file: %v", err)
	}
}

func errorsUnwrap(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		if os.IsNotExist(err) {
			return err
		}
		err = u.Unwrap()
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWildcard(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a*", "ab", true}, {"*b", "ab", true}, {"a*b*c", "aXbYc", true},
		{"a*b*c", "ac", false}, {"*", "", true}, {"ab*ba", "aba", false}, {"*x*", "axa", true}, {"*x*", "aa", false},
	} {
		if got := wildcard(tt.pattern, tt.name); got != tt.want {
			t.Errorf("%q on %q: %t", tt.pattern, tt.name, got)
		}
	}
}

func TestChunksJoin(t *testing.T) {
	texts := []string{"", "a", "one two  three\n\nfour", "日本語のテキストには空白がない。長い文も切られる。", "🌊🌊 🌊", "  lead", strings.Repeat("x", 100), "bad \xff utf8"}
	for _, c := range []Chunks{"", "word", "char", "token", "whole", "1", "7"} {
		for _, text := range texts {
			pieces := c.split(text)
			tokens, k := 0, counter{}
			for _, p := range pieces {
				if p == "" {
					t.Errorf("%s %q: empty piece", c, text)
				}
				tokens += k.add(p)
			}
			if strings.Join(pieces, "") != text || tokens != EstimateTokens(text) {
				t.Errorf("%s %q: %q, %d tokens", c, text, pieces, tokens)
			}
		}
	}
	if got := Chunks("").split("one two\n three"); len(got) != 3 || got[1] != " two" {
		t.Errorf("words: %q", got)
	}
}

func FuzzParseScript(f *testing.F) {
	f.Add("rules:\n  - match: {user: x, call: 1-3}\n    reply: {text: a, usage: {input: 1}}\n    faults: [{kind: truncate, rate: 0.5, after_tokens: 3}]\n")
	f.Add("time: {latency: 1s, jitter: 0.5, shape: lognormal}\nfaults: [{kind: reset, at: 1s, for: 1s, every: 2s}]")
	f.Add("rules: [{reply: {template: '{{.User}}', json: {a: 1}}}]")
	f.Add("a: &x [*x]")
	f.Add("---\n---\n")
	f.Fuzz(func(t *testing.T, src string) {
		if strings.Contains(src, "cassette") || strings.Contains(src, "range") || strings.Contains(src, "printf") {
			return // files, loops and widths that templates may ask for
		}
		s, err := ParseScript("f", []byte(src))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("error without place: %v", err)
			}
			return
		}
		if _, err := New(Options{Script: s}); err != nil {
			t.Errorf("parsed, but New says %v", err)
		}
	})
}

func FuzzParseFault(f *testing.F) {
	for _, s := range []string{"reset", "rate_limit=0.2,retry_after=2s", "truncate=10%,after_tokens=3,variant=close", "slow,factor=1e3,delay=1h", "auth=,status=", ",,,=", "reset=NaN", "reset=1e400"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		spec, err := ParseFault(s)
		if err != nil {
			return
		}
		if spec.validate() != nil || spec.Rate != nil && !(*spec.Rate >= 0 && *spec.Rate <= 1) {
			t.Errorf("%q gives %+v", s, spec)
		}
		pick(0.5, 1<<40, []FaultSpec{spec})
	})
}

// Whatever a request holds, the answer is of the protocol.
func FuzzRequest(f *testing.F) {
	for _, a := range bothAPIs {
		f.Add(a.body(true, "hi", includeUsage), a.name == "anthropic")
		f.Add(a.body(false, "hi", `,"tools":[{"name":"x","input_schema":{"$ref":"#/a","a":{"$ref":"#"}},"function":{"name":"x","parameters":{"allOf":[{"$ref":"#"}]}}}],"tool_choice":{"type":"any"}`), a.name == "anthropic")
	}
	f.Add(`{"model":"m","max_tokens":1e99,"messages":[{"role":"user","content":[{"type":"text","text":5},null,"x"]}],"stop":[""],"n":2,"stream":true}`, false)
	f.Fuzz(func(t *testing.T, body string, anthropic bool) {
		a := openaiAPI
		if anthropic {
			a = anthropicAPI
		}
		s := mustNew(t, Options{MaxRequests: -1})
		got := ask1(t, s, a, body)
		switch {
		case got.status != 200:
			if !gjson.Get(got.body, "error.message").Exists() {
				t.Errorf("%d %s", got.status, got.body)
			}
		case strings.HasPrefix(got.header.Get("Content-Type"), "text/event-stream"):
			if gjson.Get(body, "n").Int() < 2 {
				a.collectStream(t, got.body)
			}
		default:
			a.collectWhole(t, got.body)
		}
	})
}
