package sdk_test

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// The checks of what a provider was sent, in its own protocol, whatever the client's was.

// expect compares the values at paths of a body.
func expect(t *testing.T, body gjson.Result, want map[string]any) {
	t.Helper()
	for path, v := range want {
		if got := body.Get(path).Value(); got != v {
			t.Errorf("%s is %v, want %v, in %s", path, got, v, body.Raw)
		}
	}
}

func sentNothing(t *testing.T, _ string, bodies []gjson.Result) { count(t, bodies, 0) }

func sentOnce(t *testing.T, _ string, bodies []gjson.Result) { count(t, bodies, 1) }

func count(t *testing.T, bodies []gjson.Result, n int) {
	t.Helper()
	if len(bodies) != n {
		t.Fatalf("the provider was sent %d requests, want %d", len(bodies), n)
	}
}

func sentCompletion(t *testing.T, upstream string, bodies []gjson.Result) {
	count(t, bodies, 1)
	b := bodies[0]
	expect(t, b, map[string]any{"model": "chat", "temperature": 0.5})
	limit := b.Get("max_tokens").Int() + b.Get("max_completion_tokens").Int() // one of them
	if limit != 100 {
		t.Errorf("the limit of output tokens is %d, want 100, in %s", limit, b.Raw)
	}
	system := b.Get("system")
	if upstream == "openai" {
		system = b.Get("messages.0.content") // of the role system or developer
	}
	if !strings.Contains(system.Raw, "You are a harbour pilot.") {
		t.Errorf("the system prompt is missing in %s", b.Raw)
	}
}

func sentStream(t *testing.T, upstream string, bodies []gjson.Result) {
	count(t, bodies, 1)
	want := map[string]any{"stream": true}
	if upstream == "openai" {
		want["stream_options.include_usage"] = true
	}
	expect(t, bodies[0], want)
}

func sentTools(t *testing.T, upstream string, bodies []gjson.Result) {
	count(t, bodies, 1)
	want := map[string]any{
		"tools.#":             1.0,
		"tools.0.name":        "get_weather",
		"tools.0.description": "The weather in a city.",
		"tools.0.input_schema.properties.city.type": "string",
		"tools.0.input_schema.required.0":           "city",
		"tools.0.input_schema.additionalProperties": false,
	}
	if upstream == "openai" {
		want = map[string]any{
			"tools.#":                      1.0,
			"tools.0.type":                 "function",
			"tools.0.function.name":        "get_weather",
			"tools.0.function.description": "The weather in a city.",
			"tools.0.function.parameters.properties.city.type": "string",
			"tools.0.function.parameters.required.0":           "city",
			"tools.0.function.parameters.additionalProperties": false,
		}
	}
	expect(t, bodies[0], want)
}

func sentToolResult(t *testing.T, upstream string, bodies []gjson.Result) {
	count(t, bodies, 2)
	b := bodies[1]
	type turn struct{ calls, ids, results gjson.Result }
	got := turn{
		b.Get(`messages.1.content.#(type="tool_use")#.id`),
		b.Get(`messages.2.content.#(type="tool_result")#.tool_use_id`),
		b.Get(`messages.2.content.#(type="tool_result")#.content`),
	}
	if upstream == "openai" {
		got = turn{
			b.Get(`messages.1.tool_calls.#.id`),
			b.Get(`messages.#(role="tool")#.tool_call_id`),
			b.Get(`messages.#(role="tool")#.content`),
		}
	}
	if got.calls.Get("#").Int() != 2 || got.calls.Raw != got.ids.Raw {
		t.Errorf("the calls' ids are %s, the results' ids %s, in %s", got.calls.Raw, got.ids.Raw, b.Raw)
	}
	sunny, snow := got.results.Get("0").Raw, got.results.Get("1").Raw
	if !strings.Contains(sunny, "sunny") || !strings.Contains(snow, "snow") {
		t.Errorf("the results are %s, in %s", got.results.Raw, b.Raw)
	}
}

func sentSchema(t *testing.T, upstream string, bodies []gjson.Result) {
	count(t, bodies, 1)
	format := "output_config.format"
	schema := format + ".schema"
	if upstream == "openai" {
		format = "response_format"
		schema = format + ".json_schema.schema"
	}
	expect(t, bodies[0], map[string]any{
		format + ".type":                       "json_schema",
		schema + ".type":                       "object",
		schema + ".properties.name.type":       "string",
		schema + ".properties.age.type":        "integer",
		schema + ".properties.tags.items.type": "string",
		schema + ".required.#":                 3.0,
		schema + ".additionalProperties":       false,
	})
}

// sentForcedTool checks that the model must call the one tool there is, once.
func sentForcedTool(t *testing.T, upstream string, bodies []gjson.Result) {
	count(t, bodies, 1)
	want := map[string]any{
		"tools.#": 1.0, "tools.0.name": "json", "tools.0.input_schema.properties.age.type": "integer",
		"tool_choice.type": "any", "tool_choice.disable_parallel_tool_use": true,
	}
	if upstream == "openai" {
		want = map[string]any{
			"tools.#": 1.0, "tools.0.function.name": "json", "tools.0.function.parameters.properties.age.type": "integer",
			"tool_choice": "required", "parallel_tool_calls": false,
		}
	}
	expect(t, bodies[0], want)
}

// sentImage checks that the picture arrived, as bytes or as its address.
func sentImage(inline bool) func(*testing.T, string, []gjson.Result) {
	return func(t *testing.T, upstream string, bodies []gjson.Result) {
		count(t, bodies, 1)
		const png = "iVBORw0KGgo" // how every PNG begins
		if upstream == "openai" {
			want := "https://images.example/harbour.png"
			if inline {
				want = "data:image/png;base64," + png
			}
			if got := bodies[0].Get(`messages.0.content.#(type="image_url").image_url.url`).Str; !strings.HasPrefix(got, want) {
				t.Errorf("the image's address is %q in %s", got, bodies[0].Raw)
			}
			return
		}
		source := bodies[0].Get(`messages.0.content.#(type="image").source`)
		if !inline {
			expect(t, source, map[string]any{"type": "url", "url": "https://images.example/harbour.png"})
			return
		}
		expect(t, source, map[string]any{"type": "base64", "media_type": "image/png"})
		if !strings.HasPrefix(source.Get("data").Str, png) {
			t.Errorf("the image's bytes are missing in %s", bodies[0].Raw)
		}
	}
}
