package anthropic

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestRecordedRequests: a recorded request, decoded and encoded again, means the
// same (see meaning for what that is), and encoding is stable from then on.
func TestRecordedRequests(t *testing.T) {
	codec, n := New(), 0
	for _, c := range cassettes(t, "messages") {
		if len(c.Request.Body) == 0 || c.Request.Body[0] != '{' || c.Response.Status != 200 {
			continue
		}
		n++
		t.Run(c.name, func(t *testing.T) {
			doc := parse(t, string(c.Request.Body))
			door, err := codec.Door(doc)
			if err != nil {
				t.Fatal(err)
			}
			r := decodeRequest(t, string(c.Request.Body))
			if door.Model != r.Model || door.Stream != r.Stream || door.MaxTokens != *r.MaxTokens || door.User != r.User || !door.WantUsage {
				t.Errorf("door %+v", door)
			}
			body, unsupported, err := codec.EncodeRequest(r, r.Model)
			if err != nil {
				t.Fatal(err)
			}
			want := meaning(t, c.Request.Body, unsupported)
			if got := meaning(t, body, nil); !reflect.DeepEqual(got, want) {
				t.Errorf("unsupported %v\ngot  %s\nwant %s", unsupported, show(got), show(want))
			}
			for _, f := range r.Extra {
				if !slices.Contains(unsupported, f.Path) {
					t.Errorf("%s is left out without a word", f.Path)
				}
			}
			again, _, err := codec.EncodeRequest(decodeRequest(t, string(body)), r.Model)
			if err != nil || string(again) != string(body) {
				t.Errorf("not stable (%v):\n%s\n%s", err, body, again)
			}
		})
	}
	if n < 100 {
		t.Errorf("only %d requests", n)
	}
}

// meaning brings a request to a form in which two that mean the same are equal:
// strings in place of one-block lists are written as blocks; nulls, defaults
// (stream, is_error, strict, disable_parallel_tool_use: false; type: custom; a
// default tier, a temperature of 1 with thinking, caller: direct, an empty list
// of stop sequences, blank texts, a tool choice without tools) are gone;
// neighbours of one role are one message; output_format stands in output_config.
// What is named in without is gone too.
func meaning(t *testing.T, raw []byte, without []string) map[string]any {
	t.Helper()
	req := normal(t, raw).(map[string]any)
	for _, path := range without {
		remove(req, path)
	}
	if f, ok := req["output_format"]; ok {
		delete(req, "output_format")
		req["output_config"] = map[string]any{"format": f}
	}
	if s, ok := req["system"]; ok {
		req["system"] = blocks(s)
	}
	var merged []any
	for _, m := range req["messages"].([]any) {
		msg := m.(map[string]any)
		if msg["role"] == "system" && len(without) > 0 {
			continue // tool_addition: named, but by its place in the decoded request
		}
		content := blocks(msg["content"])
		if len(merged) > 0 && merged[len(merged)-1].(map[string]any)["role"] == msg["role"] {
			last := merged[len(merged)-1].(map[string]any)
			content = append(last["content"].([]any), content...)
			merged = merged[:len(merged)-1]
		}
		if len(content) > 0 {
			merged = append(merged, map[string]any{"role": msg["role"], "content": content})
		}
	}
	req["messages"] = merged
	if tools, ok := req["tools"].([]any); ok {
		for _, tool := range tools {
			tidy(tool.(map[string]any), map[string]any{"strict": false, "type": "custom", "description": ""})
		}
	}
	if _, ok := req["tools"]; !ok && req["tool_choice"] != nil {
		delete(req, "tool_choice")
	}
	if tc, ok := req["tool_choice"].(map[string]any); ok {
		tidy(tc, map[string]any{"disable_parallel_tool_use": false})
	}
	if th, ok := req["thinking"].(map[string]any); ok && th["type"] != "disabled" && req["temperature"] == json.Number("1") {
		delete(req, "temperature")
	}
	if tm, ok := req["temperature"].(json.Number); ok {
		req["temperature"] = strings.TrimSuffix(tm.String(), ".0")
	}
	if l, ok := req["stop_sequences"].([]any); ok && len(l) == 0 {
		delete(req, "stop_sequences")
	}
	tidy(req, map[string]any{"stream": false, "service_tier": "auto", "speed": "standard"})
	return req
}

func tidy(m map[string]any, defaults map[string]any) {
	for k, v := range m {
		d, known := defaults[k]
		if v == nil || known && d == v {
			delete(m, k)
		}
	}
}

func blocks(v any) []any {
	out := []any{}
	switch v := v.(type) {
	case string:
		out = append(out, map[string]any{"type": "text", "text": v})
	case []any:
		out = append(out, v...)
	}
	out = slices.DeleteFunc(out, func(b any) bool {
		text, ok := b.(map[string]any)["text"].(string)
		return ok && strings.TrimSpace(text) == ""
	})
	for _, b := range out {
		m := b.(map[string]any)
		tidy(m, map[string]any{"is_error": false})
		if m["type"] == "tool_result" {
			if c, ok := m["content"]; ok {
				m["content"] = blocks(c)
				if len(m["content"].([]any)) == 0 {
					delete(m, "content")
				}
			}
		}
	}
	return out
}

// remove takes out what a path such as "messages[2].content[0]" names. An
// element is replaced by a blank text, so that the places behind it stay.
func remove(v any, path string) {
	head, rest, more := strings.Cut(path, ".")
	name, index, indexed := strings.Cut(strings.TrimSuffix(head, "]"), "[")
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	if !indexed {
		if more {
			remove(m[name], rest)
		} else {
			delete(m, name)
		}
		return
	}
	list, i := m[name].([]any), int(intOf([]byte(index)))
	switch {
	case i >= len(list):
	case more:
		remove(list[i], rest)
	default:
		list[i] = map[string]any{"type": "text", "text": ""}
	}
}
