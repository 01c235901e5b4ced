package anthropic

import (
	"reflect"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

func TestDecodeResponse(t *testing.T) {
	r, err := New().DecodeResponse(fixture(t, "response.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := &llm.Response{
		ID: "msg_1", Model: "claude-x", ServiceTier: "priority",
		Choices: []llm.Choice{{
			Parts: []llm.Part{
				{Type: llm.PartThinking, Text: "t", Signature: "s"},
				{Type: llm.PartText, Text: "a", Raw: []byte(`[{"type": "page_location"}]`)},
				{Type: llm.PartText, Text: "b"},
				call("toolu_1", "f", `{"x": 1.0}`),
				{Type: llm.PartRefusal, Text: "not this"},
			},
			Finish: llm.FinishContentFilter, RawFinish: "refusal",
		}},
		Usage: llm.Usage{Input: 10, CacheRead: 20, CacheWrite: 2, CacheWrite1h: 3, Output: 7, Reasoning: 4, Reported: true},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got %s\nwant %s", show(r), show(want))
	}
	for _, body := range []string{``, `null`, `[]`, `{}`, `<html>`, `{"type":"message"}`, `{"type":"completion","content":[]}`,
		`{"type":"message","content":null}`, `{"type":"message","content":[{"text":"x"}]}`, `{"type":"message","content":[]`} {
		if _, err := New().DecodeResponse([]byte(body)); llm.AsError(err) == nil || llm.AsError(err).Kind != llm.KindBadResponse {
			t.Errorf("%q: %v", body, err)
		}
		if f := New().InspectResponse([]byte(body)); body != `{"type":"message","content":[{"text":"x"}]}` && (f.Err == nil || f.Err.Kind != llm.KindBadResponse || f.Content || f.Final) {
			t.Errorf("%q: facts %+v", body, f)
		}
	}
}

func TestUsage(t *testing.T) {
	for body, want := range map[string]llm.Usage{
		`{"input_tokens":1,"output_tokens":2}`: {Input: 1, Output: 2, Reported: true},
		`{"cache_creation_input_tokens":10}`:   {CacheWrite: 10, Reported: true},
		`{"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":3}}`:                                                                              {CacheWrite: 7, CacheWrite1h: 3, Reported: true},
		`{"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":3}}`:                                                                                                               {CacheWrite: 2, CacheWrite1h: 3, Reported: true},
		`{"input_tokens":5,"output_tokens":1,"iterations":[{"type":"compaction","input_tokens":100,"output_tokens":9},{"type":"message","input_tokens":5},{"type":"advisor_message","input_tokens":7}]}`: {Input: 105, Output: 10, Reported: true},
		`{"input_tokens":null,"output_tokens":-5,"cache_read_input_tokens":"7"}`:                                                                                                                         {Reported: true},
		`{"input_tokens":1e3,"output_tokens":12.0}`:                                                                                                                                                      {Input: 1000, Output: 12, Reported: true},
		`null`: {},
	} {
		if got := usageOf([]byte(body)); got != want {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
}

func TestFinish(t *testing.T) {
	for word, f := range finishOf {
		if got := encodeFinish(f, word, false, false); got != word {
			t.Errorf("%s -> %s -> %s", word, f, got)
		}
	}
	for _, c := range []struct {
		f              llm.FinishReason
		raw            string
		calls, refused bool
		want           string
	}{
		{llm.FinishUnknown, "", false, false, "end_turn"},
		{"brand_new", "x", false, false, "end_turn"},
		{llm.FinishStop, "stop", true, false, "tool_use"}, // a forced tool at OpenAI
		{llm.FinishStop, "end_turn", true, false, "end_turn"},
		{llm.FinishStop, "stop", false, true, "refusal"},
		{llm.FinishLength, "length", true, false, "max_tokens"},
	} {
		if got := encodeFinish(c.f, c.raw, c.calls, c.refused); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if decodeFinish("brand_new") != llm.FinishStop || decodeFinish("") != llm.FinishUnknown {
		t.Error("unknown words")
	}
}

func TestEncodeResponse(t *testing.T) {
	const usage = `"usage":{"input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}}`
	for _, c := range []struct {
		name   string
		choice llm.Choice
		want   string // content, stop_reason, stop_sequence
	}{
		{"nothing", llm.Choice{}, `[],"stop_reason":"end_turn","stop_sequence":null`},
		{"text", llm.Choice{Parts: []llm.Part{{Type: llm.PartText}, {Type: llm.PartText, Text: "x", Raw: []byte(`[{"type":"url_citation"}]`)}}, Finish: llm.FinishStopSequence, StopSequence: "END"},
			`[{"type":"text","text":"x"}],"stop_reason":"stop_sequence","stop_sequence":"END"`},
		{"thinking without signature", llm.Choice{Parts: []llm.Part{{Type: llm.PartThinking, Text: "t"}}}, `[{"type":"thinking","thinking":"t","signature":""}],"stop_reason":"end_turn","stop_sequence":null`},
		{"refusal", llm.Choice{Parts: []llm.Part{{Type: llm.PartRefusal, Text: "no"}}, Finish: llm.FinishStop}, `[{"type":"text","text":"no"}],"stop_reason":"refusal","stop_sequence":null`},
		{"calls", llm.Choice{Parts: []llm.Part{call("a:b", "f", ""), call("", "g", "null"), call("c", "h", ` {"n": 1.0}`)}, Finish: llm.FinishToolCalls},
			`[{"type":"tool_use","id":"bwid_YTpi","name":"f","input":{}},{"type":"tool_use","id":"toolu_chatcmpl-1_1","name":"g","input":{}},
			{"type":"tool_use","id":"c","name":"h","input":{"n":1.0}}],"stop_reason":"tool_use","stop_sequence":null`},
		{"cut call", llm.Choice{Parts: []llm.Part{call("a", "f", `{"x":"y`)}, Finish: llm.FinishLength},
			`[{"type":"tool_use","id":"a","name":"f","input":{"_incomplete_arguments":"{\"x\":\"y"}}],"stop_reason":"max_tokens","stop_sequence":null`},
		{"others' parts", llm.Choice{Parts: []llm.Part{{Type: llm.PartAudio}, {Type: llm.PartOther, Name: "audio", Raw: []byte(`{}`)}, {Type: llm.PartOther, Name: "web_search_tool_result", Raw: []byte(`{"type":"web_search_tool_result"}`)}}},
			`[{"type":"web_search_tool_result"}],"stop_reason":"end_turn","stop_sequence":null`},
	} {
		got, err := New().EncodeResponse(&llm.Response{ID: "chatcmpl-1", Model: "m", Choices: []llm.Choice{c.choice, {Index: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		want := `{"id":"msg_chatcmpl-1","type":"message","role":"assistant","model":"m","content":` + c.want + `,` + usage + `}`
		if !reflect.DeepEqual(normal(t, got), normal(t, []byte(want))) {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, want)
		}
	}
	for _, args := range []string{`[1]`, `{"a":`, `"x"`} {
		_, err := New().EncodeResponse(&llm.Response{Choices: []llm.Choice{{Parts: []llm.Part{call("1", "f", args)}, Finish: llm.FinishToolCalls}}})
		if e := llm.AsError(err); e == nil || e.Kind != llm.KindBadResponse {
			t.Errorf("%s: %v", args, err)
		}
	}
	if _, err := New().EncodeResponse(&llm.Response{}); err != nil {
		t.Error(err)
	}
}

func TestInspectEvent(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       wire.Facts
	}{
		{"ping", `{"type":"ping"}`, wire.Facts{Ping: true}},
		{"", `{"type":"ping"}`, wire.Facts{Ping: true}},
		{"", ``, wire.Facts{}},
		{"", `[DONE]`, wire.Facts{}},
		{"message_start", `{"type":"message_start","message":{"id":"i","model":"m","usage":{"input_tokens":3,"output_tokens":1}}}`,
			wire.Facts{ID: "i", Model: "m", Usage: llm.Usage{Input: 3, Output: 1, Reported: true}}},
		{"content_block_start", `{"content_block":{"type":"text","text":""}}`, wire.Facts{}},
		{"content_block_start", `{"content_block":{"type":"text","text":"ab"}}`, wire.Facts{Content: true, TextSize: 2}},
		{"content_block_start", `{"content_block":{"type":"thinking","thinking":"","signature":""}}`, wire.Facts{}},
		{"content_block_start", `{"content_block":{"type":"tool_use","input":{}}}`, wire.Facts{Content: true}},
		{"content_block_start", `{"content_block":{"type":"server_tool_use"}}`, wire.Facts{Content: true}},
		{"content_block_start", `{"content_block":{"type":"redacted_thinking","data":"x"}}`, wire.Facts{Content: true}},
		{"content_block_delta", `{"delta":{"type":"text_delta","text":""}}`, wire.Facts{}},
		{"content_block_delta", `{"delta":{"type":"text_delta","text":"a\"\n\u00e9\ud83d\ude00é"}}`, wire.Facts{Content: true, TextSize: len("a\"\né😀é")}},
		{"", `{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}`, wire.Facts{Content: true, TextSize: 1}},
		{"content_block_delta", `{"delta":{"type":"thinking_delta","thinking":"abc"}}`, wire.Facts{Content: true, TextSize: 3}},
		{"content_block_delta", `{"delta":{"type":"input_json_delta","partial_json":""}}`, wire.Facts{}},
		{"content_block_delta", `{"delta":{"type":"input_json_delta","partial_json":"{\"a"}}`, wire.Facts{Content: true, TextSize: 3}},
		{"content_block_delta", `{"delta":{"type":"signature_delta","signature":"xyz"}}`, wire.Facts{Content: true}},
		{"content_block_stop", `{"index":0}`, wire.Facts{}},
		{"message_delta", `{"delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":9}}`,
			wire.Facts{Content: true, Finish: llm.FinishLength, Usage: llm.Usage{Output: 9, Reported: true}}},
		{"message_delta", `{"delta":{"stop_reason":null},"usage":{"output_tokens":9}}`, wire.Facts{Usage: llm.Usage{Output: 9, Reported: true}}},
		{"message_stop", `{"type":"message_stop"}`, wire.Facts{Final: true}},
		{"brand_new", `{"type":"brand_new"}`, wire.Facts{}},
	} {
		if got := New().InspectEvent([]byte(c.name), []byte(c.data)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %s: %+v", c.name, c.data, got)
		}
	}
	for _, data := range []string{`{"delta":`, `7`, `<html>`} {
		if f := New().InspectEvent([]byte("content_block_delta"), []byte(data)); f.Err == nil || f.Err.Kind != llm.KindBadResponse {
			t.Errorf("%s: %+v", data, f)
		}
	}
}

func TestInspectResponse(t *testing.T) {
	f := New().InspectResponse(fixture(t, "response.json"))
	want := wire.Facts{Content: true, Final: true, Finish: llm.FinishContentFilter, ID: "msg_1", Model: "claude-x", TextSize: 3 + len(`{"x": 1.0}`),
		Usage: llm.Usage{Input: 10, CacheRead: 20, CacheWrite: 2, CacheWrite1h: 3, Output: 7, Reasoning: 4, Reported: true}}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("%+v", f)
	}
}

func TestCount(t *testing.T) {
	if n, err := DecodeCount([]byte(`{"input_tokens": 12}`)); n != 12 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if string(EncodeCount(12)) != `{"input_tokens":12}` {
		t.Error(string(EncodeCount(12)))
	}
	for _, body := range []string{`{}`, `{"input_tokens":"1"}`, `x`} {
		if _, err := DecodeCount([]byte(body)); err == nil {
			t.Error(body)
		}
	}
}
