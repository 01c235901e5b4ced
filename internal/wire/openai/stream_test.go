package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// frames joins chunks into a stream.
func frames(chunks ...string) string {
	return "data: " + strings.Join(chunks, "\n\ndata: ") + "\n\n"
}

func delta(choice int, delta string) string {
	return fmt.Sprintf(`{"id":"c","object":"chat.completion.chunk","created":9,"model":"m","choices":[{"index":%d,"delta":%s,"finish_reason":null}]}`, choice, delta)
}

func finished(choice int, reason string) string {
	return fmt.Sprintf(`{"id":"c","created":9,"model":"m","choices":[{"index":%d,"delta":{},"finish_reason":%q}]}`, choice, reason)
}

// say is one line per event, for tables.
func say(evs []llm.Event) []string {
	var out []string
	for _, ev := range evs {
		at := fmt.Sprintf("%d.%d ", ev.Choice, ev.Part)
		switch ev.Type {
		case llm.EventStart:
			out = append(out, fmt.Sprintf("start %s %s %d", ev.ID, ev.Model, ev.Created))
		case llm.EventText:
			out = append(out, at+"text "+ev.Text)
		case llm.EventThinking:
			out = append(out, at+"thinking "+ev.Text)
		case llm.EventRefusal:
			out = append(out, at+"refusal "+ev.Text)
		case llm.EventToolCall:
			out = append(out, at+"call "+ev.ID+" "+ev.Name+" "+ev.Text)
		case llm.EventToolArgs:
			out = append(out, at+"args "+ev.Text)
		case llm.EventOther:
			out = append(out, at+"other "+ev.Name)
		case llm.EventLogprobs:
			out = append(out, fmt.Sprintf("%d logprobs %s", ev.Choice, ev.Raw))
		case llm.EventPartEnd:
			out = append(out, at+"end")
		case llm.EventFinish:
			out = append(out, fmt.Sprintf("%d finish %s %s %s", ev.Choice, ev.Finish, ev.RawFinish, ev.StopSequence))
		case llm.EventUsage:
			out = append(out, fmt.Sprintf("usage %d %d", ev.Usage.TotalInput(), ev.Usage.Output))
		case llm.EventEnd:
			out = append(out, "end")
		default:
			out = append(out, "?")
		}
	}
	return out
}

func TestStreamDecoder(t *testing.T) {
	const usageChunk = `{"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`
	for _, tc := range []struct {
		name, stream string
		want         []string
	}{
		{"plain", frames(delta(0, `{"role":"assistant","content":""}`), delta(0, `{"content":"Hi"}`), delta(0, `{"content":" you"}`),
			finished(0, "stop"), usageChunk, "[DONE]"),
			[]string{"start c m 9", "0.0 text Hi", "0.0 text  you", "usage 3 4", "0.0 end", "0 finish stop stop ", "end"}},
		{"azure: first chunk without choices and id", frames(`{"id":"","model":"","created":0,"choices":[],"prompt_filter_results":[]}`,
			delta(0, `{"content":"a"}`), finished(0, "length")),
			[]string{"start c m 9", "0.0 text a", "0.0 end", "0 finish length length ", "end"}},
		{"no DONE, usage in the finish chunk", frames(delta(0, `{"content":"a"}`),
			`{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`),
			[]string{"start c m 9", "0.0 text a", "usage 1 2", "0.0 end", "0 finish stop stop ", "end"}},
		{"DONE without a reason", frames(delta(0, `{"content":"4"}`), "[DONE]", delta(0, `{"content":"after"}`)),
			[]string{"start c m 9", "0.0 text 4", "0.0 end", "0 finish   ", "end"}},
		{"two finish chunks, text between", frames(delta(0, `{"content":"a"}`), finished(0, "length"), delta(0, `{"content":"b"}`), finished(0, "eos")),
			[]string{"start c m 9", "0.0 text a", "0.0 text b", "0.0 end", "0 finish stop eos ", "end"}},
		{"thinking, then text, then a refusal", frames(delta(0, `{"reasoning_content":"hm"}`), delta(0, `{"reasoning_content":"m","content":null}`),
			delta(0, `{"content":"x","reasoning_content":null}`), delta(0, `{"refusal":"no"}`), finished(0, "stop"), "[DONE]"),
			[]string{"start c m 9", "0.0 thinking hm", "0.0 thinking m", "0.0 end", "0.1 text x", "0.1 end", "0.2 refusal no", "0.2 end", "0 finish stop stop ", "end"}},
		{"reasoning under its other name", frames(delta(0, `{"reasoning":"hm"}`), finished(0, "stop")),
			[]string{"start c m 9", "0.0 thinking hm", "0.0 end", "0 finish stop stop ", "end"}},
		{"mistral's list", frames(delta(0, `{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}`),
			delta(0, `{"content":[{"type":"text","text":"a"},{"type":"reference","reference_ids":[1]},{"type":"text","text":"b"}]}`), finished(0, "stop")),
			[]string{"start c m 9", "0.0 thinking hm", "0.0 end", "0.1 text a", "0.1 end", "0.2 other reference", "0.3 text b", "0.3 end", "0 finish stop stop ", "end"}},
		{"two choices", frames(delta(1, `{"content":"b"}`), delta(0, `{"content":"a"}`), finished(0, "stop"), finished(1, "length")),
			[]string{"start c m 9", "1.0 text b", "0.0 text a", "1.0 end", "1 finish length length ", "0.0 end", "0 finish stop stop ", "end"}},
		{"whole call in one delta", frames(delta(0, `{"tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}`), finished(0, "tool_calls")),
			[]string{"start c m 9", `0.0 call x f {"a":1}`, "0.0 end", "0 finish tool_calls tool_calls ", "end"}},
		{"no index", frames(delta(0, `{"tool_calls":[{"id":"x","function":{"name":"f","arguments":""}}]}`), delta(0, `{"tool_calls":[{"function":{"arguments":"{}"}}]}`),
			delta(0, `{"tool_calls":[{"id":"y","function":{"name":"g","arguments":"{"}}]}`), delta(0, `{"tool_calls":[{"function":{"arguments":"}"}}]}`), finished(0, "stop")),
			[]string{"start c m 9", "0.0 call x f ", "0.0 args {}", "0.1 call y g {", "0.1 args }", "0.0 end", "0.1 end", "0 finish tool_calls stop ", "end"}},
		{"every call with index 0", frames(delta(0, `{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}},{"index":0,"id":"y","function":{"name":"g","arguments":"{}"}}]}`), finished(0, "tool_calls")),
			[]string{"start c m 9", "0.0 call x f {}", "0.1 call y g {}", "0.0 end", "0.1 end", "0 finish tool_calls tool_calls ", "end"}},
		{"name comes late", frames(delta(0, `{"tool_calls":[{"index":0,"id":"x","function":{"arguments":"{"}}]}`), delta(0, `{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"}"}}]}`), finished(0, "tool_calls")),
			[]string{"start c m 9", "0.0 call x f {}", "0.0 end", "0 finish tool_calls tool_calls ", "end"}},
		{"arguments as an object", frames(delta(0, `{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":{"a":1}}}]}`), finished(0, "tool_calls")),
			[]string{"start c m 9", `0.0 call x f {"a":1}`, "0.0 end", "0 finish tool_calls tool_calls ", "end"}},
		{"vllm's stop text", frames(delta(0, `{"content":"a"}`), `{"choices":[{"index":0,"delta":{},"finish_reason":"stop","stop_reason":"END"}]}`),
			[]string{"start c m 9", "0.0 text a", "0.0 end", "0 finish stop_sequence stop END", "end"}},
		{"logprobs, and empty ones", frames(
			`{"id":"c","model":"m","created":9,"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[1],"refusal":null}}]}`,
			`{"choices":[{"index":0,"delta":{"content":"b"},"logprobs":{"content":null,"refusal":null},"finish_reason":"stop"}]}`),
			[]string{"start c m 9", "0.0 text a", `0 logprobs {"content":[1],"refusal":null}`, "0.0 text b", "0.0 end", "0 finish stop stop ", "end"}},
		{"error null, ping, comment, empty data", frames(`{"id":"c","model":"m","created":9,"error":null,"choices":[{"delta":{"content":"a"},"index":0,"finish_reason":"stop"}]}`,
			`{"type":"ping"}`, "") + ": keep-alive\n\ndata: [DONE]\n\n",
			[]string{"start c m 9", "0.0 text a", "0.0 end", "0 finish stop stop ", "end"}},
		{"null choices in the usage chunk", frames(delta(0, `{"content":"a"}`), finished(0, "stop"), `{"choices":null,"usage":{"prompt_tokens":1,"completion_tokens":1}}`, "[DONE]"),
			[]string{"start c m 9", "0.0 text a", "usage 1 1", "0.0 end", "0 finish stop stop ", "end"}},
		{"groq's usage", frames(delta(0, `{"content":"a"}`), `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":5,"completion_tokens":6}}}`),
			[]string{"start c m 9", "0.0 text a", "usage 5 6", "0.0 end", "0 finish stop stop ", "end"}},
	} {
		evs, _, err := readStream(tc.stream, 1)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := say(evs); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n got %q\nwant %q", tc.name, got, tc.want)
		}
		checkOrder(t, tc.name, evs)
	}
}

func TestStreamFails(t *testing.T) {
	for _, tc := range []struct {
		name, stream string
		want         llm.Kind
		text         string
	}{
		{"cut after text", frames(delta(0, `{"content":"a"}`)), llm.KindIncompleteStream, ""},
		{"one of two choices unfinished", frames(delta(0, `{"content":"a"}`), delta(1, `{"content":"b"}`), finished(0, "stop")), llm.KindIncompleteStream, ""},
		{"nothing at all", "", llm.KindIncompleteStream, ""},
		{"only the end mark", "data: [DONE]\n\n", llm.KindIncompleteStream, ""},
		{"only usage", frames(`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}`), llm.KindIncompleteStream, ""},
		{"empty finish reason", frames(`{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":""}]}`), llm.KindIncompleteStream, ""},
		{"not JSON", frames(delta(0, `{"content":"a"}`), "<html>"), llm.KindBadResponse, ""},
		{"JSON cut", frames(`{"choices":[{"index":0,`), llm.KindBadResponse, ""},
		{"choice is a number", frames(`{"choices":[1]}`), llm.KindBadResponse, ""},
		{"error object, then usage and DONE", frames(delta(0, `{"content":"a"}`), `{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}`,
			`{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}`, "[DONE]"), llm.KindServerError, "The server had an error"},
		{"overloaded", frames(`{"error":{"message":"Overloaded","type":"overloaded_error"}}`), llm.KindOverloaded, "Overloaded"},
		{"openrouter: code 502 beside choices", frames(`{"id":"g","error":{"code":502,"message":"Provider disconnected"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}`), llm.KindServerError, "Provider disconnected"},
		{"openrouter: code 429", frames(`{"error":{"code":429,"message":"slow"}}`), llm.KindRateLimit, "slow"},
		{"error in a choice", frames(`{"choices":[{"index":0,"error":{"code":503,"message":"no capacity"}}]}`), llm.KindOverloaded, "no capacity"},
		{"event: error with flat data", "event: error\ndata: {\"message\":\"broken\"}\n\n", llm.KindServerError, "broken"},
		{"groq's tool_use_failed", "event: error\ndata: {\"error\":{\"message\":\"Failed to call a function.\",\"type\":\"invalid_request_error\",\"code\":\"tool_use_failed\",\"status_code\":400}}\n\n", llm.KindBadResponse, "Failed to call"},
		{"finish_reason error", frames(delta(0, `{"content":"a"}`), finished(0, "error"), "[DONE]"), llm.KindServerError, ""},
		{"deepseek out of capacity", frames(finished(0, "insufficient_system_resource"), "[DONE]"), llm.KindOverloaded, ""},
	} {
		evs, facts, err := readStream(tc.stream, 2)
		if !errors.Is(err, &llm.Error{Kind: tc.want}) {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
			continue
		}
		mustContain(t, err.Error(), tc.text)
		for _, ev := range evs {
			if ev.Type == llm.EventEnd || ev.Type == llm.EventFinish {
				t.Errorf("%s: made up %v", tc.name, say(evs))
			}
		}
		if tc.want != llm.KindIncompleteStream && tc.name != "JSON cut" {
			if f := facts[len(facts)-1]; f.Err == nil || f.Err.Kind != tc.want {
				t.Errorf("%s: facts %+v", tc.name, f)
			}
		}
	}
}

func TestDecoderSaysNothingAfterTheEnd(t *testing.T) {
	dec := New().NewDecoder()
	var evs []llm.Event
	for _, data := range []string{delta(0, `{"content":"a"}`), "[DONE]"} {
		var err error
		if evs, err = dec.Decode(evs, nil, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	n := len(evs)
	evs, err := dec.Decode(evs, nil, []byte(delta(0, `{"content":"b"}`)))
	if err != nil || len(evs) != n {
		t.Errorf("%v, %v", say(evs[n:]), err)
	}
	if evs, err = dec.End(evs); err != nil || len(evs) != n {
		t.Errorf("End: %v, %v", say(evs[n:]), err)
	}
}

// TestParallelToolCalls interleaves the deltas of three calls at random; whatever the order,
// each arrives whole, decoded and written again.
func TestParallelToolCalls(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	for run := range 500 {
		args := make([]string, 3)
		var queues [3][]string
		for i := range args {
			b, _ := json.Marshal(map[string]any{"text": strings.Repeat("ä\"}{,\\ ", 1+rnd.IntN(4)), "n": rnd.IntN(1000), "call": i})
			args[i] = string(b)
			queues[i] = callDeltas(rnd, i, args[i])
		}
		chunks := []string{delta(0, `{"role":"assistant","content":null}`)}
		for len(queues[0])+len(queues[1])+len(queues[2]) > 0 {
			i := rnd.IntN(3)
			if len(queues[i]) > 0 {
				chunks = append(chunks, queues[i][0])
				queues[i] = queues[i][1:]
			}
		}
		evs, _, err := readStream(frames(append(chunks, finished(0, "tool_calls"), "[DONE]")...), uint64(run))
		if err != nil {
			t.Fatal(err)
		}
		checkCalls(t, collect(evs), args)
		enc := New().NewEncoder(wire.EncoderOptions{})
		var out []byte
		for _, ev := range evs {
			if out, err = enc.Encode(out, ev); err != nil {
				t.Fatal(err)
			}
		}
		again, _, err := readStream(string(out), uint64(run))
		if err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		checkCalls(t, collect(again), args)
	}
}

// callDeltas cuts a call into deltas; id and name are in the first only.
func callDeltas(rnd *rand.Rand, i int, args string) []string {
	out := []string{delta(0, fmt.Sprintf(`{"tool_calls":[{"index":%d,"id":"call_%d","type":"function","function":{"name":"tool_%d","arguments":""}}]}`, i, i, i))}
	for _, r := range [][]rune{[]rune(args)} {
		for len(r) > 0 {
			n := min(len(r), 1+rnd.IntN(9))
			piece, _ := json.Marshal(string(r[:n]))
			out = append(out, delta(0, fmt.Sprintf(`{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}`, i, piece)))
			r = r[n:]
		}
	}
	return out
}

func checkCalls(t *testing.T, r *llm.Response, args []string) {
	t.Helper()
	found := map[string]llm.ToolCall{}
	for _, p := range r.Choices[0].Parts {
		found[p.ToolCall.ID] = *p.ToolCall
	}
	for i, a := range args {
		want := llm.ToolCall{ID: fmt.Sprintf("call_%d", i), Name: fmt.Sprintf("tool_%d", i), Arguments: a}
		if got := found[want.ID]; got != want || len(found) != len(args) {
			t.Fatalf("call %+v, want %+v", got, want)
		}
	}
}

func encodeEvents(t *testing.T, o wire.EncoderOptions, evs ...llm.Event) []string {
	t.Helper()
	enc := New().NewEncoder(o)
	var out []byte
	var err error
	for _, ev := range evs {
		if out, err = enc.Encode(out, ev); err != nil {
			t.Fatal(err)
		}
	}
	var chunks []string
	for _, frame := range strings.Split(strings.TrimSuffix(string(out), "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(frame, "data: ")
		if !ok || strings.Contains(data, "\n") {
			t.Fatalf("not one data line: %q", frame)
		}
		if data != "[DONE]" {
			var c struct {
				ID      string            `json:"id"`
				Object  string            `json:"object"`
				Choices []json.RawMessage `json:"choices"`
				Error   json.RawMessage   `json:"error"`
			}
			if err := json.Unmarshal([]byte(data), &c); err != nil {
				t.Fatalf("%v in %s", err, data)
			}
			if c.Choices == nil || c.Error != nil || c.Object != "chat.completion.chunk" {
				t.Errorf("chunk %s", data)
			}
		}
		chunks = append(chunks, data)
	}
	return chunks
}

func TestStreamEncoder(t *testing.T) {
	got := encodeEvents(t, wire.EncoderOptions{ID: "own", Model: "own-model", Created: 5, WantUsage: true},
		llm.Event{Type: llm.EventStart, ID: "msg_1", Model: "claude"},
		llm.Event{Type: llm.EventThinking, Part: 0, Text: "hm"},
		llm.Event{Type: llm.EventSignature, Part: 0, Text: "sig"},
		llm.Event{Type: llm.EventPartEnd, Part: 0},
		llm.Event{Type: llm.EventText, Part: 1, Text: "a\u2028\"\n"},
		llm.Event{Type: llm.EventToolCall, Part: 2, ID: "t1", Name: "f"},
		llm.Event{Type: llm.EventToolArgs, Part: 2, Text: `{"a":`},
		llm.Event{Type: llm.EventToolArgs, Part: 2, Text: ""},
		llm.Event{Type: llm.EventToolArgs, Part: 2, Text: `1}`},
		llm.Event{Type: llm.EventPartEnd, Part: 2},
		llm.Event{Type: llm.EventToolCall, Part: 3, ID: "t2", Name: "g"},
		llm.Event{Type: llm.EventPartEnd, Part: 3},
		llm.Event{Type: llm.EventLogprobs, Raw: json.RawMessage("{\"content\":\n[]}")},
		llm.Event{Type: llm.EventUsage, Usage: llm.Usage{Input: 1, CacheRead: 2, CacheWrite: 3, Output: 1, Reported: true}},
		llm.Event{Type: llm.EventFinish, Finish: llm.FinishToolCalls},
		llm.Event{Type: llm.EventText, Part: 4, Text: "too late"},
		llm.Event{Type: llm.EventUsage, Usage: llm.Usage{Output: 9, Reasoning: 4, Reported: true}},
		llm.Event{Type: llm.EventEnd},
		llm.Event{Type: llm.EventText, Text: "after the end"},
	)
	head := `{"id":"msg_1","object":"chat.completion.chunk","created":5,"model":"claude","choices":[`
	chunk := func(delta, logprobs, finish string) string {
		return head + `{"index":0,"delta":` + delta + `,"logprobs":` + logprobs + `,"finish_reason":` + finish + `}],"usage":null}`
	}
	want := []string{
		chunk(`{"role":"assistant","content":"","refusal":null}`, "null", "null"),
		chunk(`{"reasoning_content":"hm"}`, "null", "null"),
		chunk("{\"content\":\"a\u2028\\\"\\n\"}", "null", "null"),
		chunk(`{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"f","arguments":""}}]}`, "null", "null"),
		chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}`, "null", "null"),
		chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}`, "null", "null"),
		chunk(`{"tool_calls":[{"index":1,"id":"t2","type":"function","function":{"name":"g","arguments":""}}]}`, "null", "null"),
		chunk(`{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}`, "null", "null"),
		chunk(`{}`, `{"content":[]}`, "null"),
		chunk(`{}`, "null", `"tool_calls"`),
		head + `],"usage":{"prompt_tokens":6,"completion_tokens":9,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":3},"completion_tokens_details":{"reasoning_tokens":4}}}`,
		"[DONE]",
	}
	if len(got) != len(want) {
		t.Fatalf("%d chunks, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if got[i] == "[DONE]" {
			continue
		}
		sameJSON(t, got[i], want[i])
	}
	if got[len(got)-1] != "[DONE]" {
		t.Errorf("last: %s", got[len(got)-1])
	}
}

func TestStreamEncoderWithoutUsage(t *testing.T) {
	got := encodeEvents(t, wire.EncoderOptions{ID: "own", Model: "own-model", Created: 5},
		llm.Event{Type: llm.EventStart},
		llm.Event{Type: llm.EventText, Choice: 1, Text: "b"},
		llm.Event{Type: llm.EventUsage, Usage: llm.Usage{Input: 1, Reported: true}},
		llm.Event{Type: llm.EventFinish, Choice: 1, Finish: llm.FinishPause},
		llm.Event{Type: llm.EventEnd})
	all := strings.Join(got, "\n")
	mustContain(t, all, `"id":"own"`, `"model":"own-model"`, `{"index":1,"delta":{"role":"assistant"`, `"finish_reason":"stop"`)
	if strings.Contains(all, "usage") {
		t.Errorf("usage was not asked for: %s", all)
	}
	if n := strings.Count(all, `"finish_reason":"stop"`); n != 2 { // each choice that was opened is finished
		t.Errorf("%d finish chunks in %s", n, all)
	}
}

func TestInspectChoices(t *testing.T) {
	for data, want := range map[string][2]uint64{
		`{"choices":[]}`: {0, 0},
		`{"choices":[{"delta":{"content":"a"}}]}`:                                                                            {1, 0},
		`{"choices":[{"index":2,"delta":{"content":"a"},"finish_reason":null}]}`:                                             {4, 0},
		`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"delta":{},"finish_reason":"length","index":1}]}`:        {3, 3},
		`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":3,"delta":{"content":"b"}}]}`:                    {9, 1},
		`{"choices":[{"index":1000,"delta":{"content":"a"}},{"index":-5,"delta":{}},{"index":"x","delta":{"content":"y"}}]}`: {1<<63 | 1, 0},
	} {
		if f := New().InspectEvent(nil, []byte(data)); f.Choices != want[0] || f.Finished != want[1] {
			t.Errorf("%s: %b %b", data, f.Choices, f.Finished)
		}
	}
}

func TestInspectEvent(t *testing.T) {
	const u = `"usage":{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}`
	usage := llm.Usage{Input: 6, CacheRead: 4, Output: 2, Reported: true}
	for _, tc := range []struct {
		name, event, data string
		want              wire.Facts
	}{
		{"role", "", delta(0, `{"role":"assistant","content":""}`), wire.Facts{ID: "c", Model: "m"}},
		{"text", "", delta(0, `{"content":"Hi \u00e4\n"}`), wire.Facts{Content: true, TextSize: 7}},
		{"usage null", "", `{"choices":[{"delta":{"content":"Hi"}}],"usage":null}`, wire.Facts{Content: true, TextSize: 2}},
		{"empty text", "", delta(0, `{"content":""}`), wire.Facts{}},
		{"null text", "", delta(0, `{"content":null}`), wire.Facts{}},
		{"text that speaks of errors", "", delta(0, `{"content":"\"error\":{\"usage\":1}"}`), wire.Facts{Content: true, TextSize: 19}},
		{"reasoning", "", delta(0, `{"reasoning":"hmm"}`), wire.Facts{Content: true, TextSize: 3}},
		{"reasoning_content", "", delta(0, `{"reasoning_content":"hmm","content":null}`), wire.Facts{Content: true, TextSize: 3}},
		{"refusal", "", delta(0, `{"refusal":"no"}`), wire.Facts{Content: true, TextSize: 2}},
		{"tool call", "", delta(0, `{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}`), wire.Facts{Content: true, TextSize: 2}},
		{"no tool calls", "", delta(0, `{"tool_calls":[]}`), wire.Facts{}},
		{"function call", "", delta(0, `{"function_call":{"name":"f","arguments":"{}"}}`), wire.Facts{Content: true, TextSize: 2}},
		{"audio", "", delta(0, `{"audio":{"id":"a","data":"AAAA"}}`), wire.Facts{Content: true}},
		{"list", "", delta(0, `{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"abc"}]}`), wire.Facts{Content: true, TextSize: 5}},
		{"finish", "", finished(0, "length"), wire.Facts{Content: true, Finish: llm.FinishLength, ID: "c", Model: "m"}},
		{"usage only", "", `{"id":"c","model":"m","choices":[],` + u + `}`, wire.Facts{UsageOnly: true, Usage: usage, ID: "c", Model: "m"}},
		{"usage and null choices", "", `{"id":"c","choices": null ,` + u + `}`, wire.Facts{UsageOnly: true, Usage: usage, ID: "c"}},
		{"usage in a finish chunk", "", `{"choices":[{"delta":{},"finish_reason":"stop"}],` + u + `}`, wire.Facts{Content: true, Finish: llm.FinishStop, Usage: usage}},
		{"groq", "", `{"choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{` + u + `}}`, wire.Facts{Content: true, Finish: llm.FinishStop, Usage: usage}},
		{"azure's first", "", `{"id":"","model":"","choices":[],"prompt_filter_results":[{}]}`, wire.Facts{}},
		{"done", "", " [DONE]", wire.Facts{Final: true}},
		{"empty", "", "", wire.Facts{Ping: true}},
		{"ping", "ping", `{"type":"ping"}`, wire.Facts{Ping: true}},
		{"no choices at all", "", `{"type":"ping"}`, wire.Facts{Ping: true}},
		{"error null", "", `{"error":null,"choices":[{"delta":{"content":"a"}}]}`, wire.Facts{Content: true, TextSize: 1}},
	} {
		got := New().InspectEvent([]byte(tc.event), []byte(tc.data))
		got.Choices, got.Finished = 0, 0 // see TestInspectChoices
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tc.name, got, tc.want)
		}
	}
	for _, data := range []string{"hello", "[1]", `{"choices":[{"delta":{"content":"a"}}`, `{"a":}`, `{"a" 1}`} {
		if f := New().InspectEvent(nil, []byte(data)); f.Err == nil || f.Err.Kind != llm.KindBadResponse {
			t.Errorf("%s: %+v", data, f)
		}
	}
}
