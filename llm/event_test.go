package llm

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// response draws a whole answer that events can tell.
func response(t *rapid.T) *Response {
	text := rapid.String()
	r := &Response{
		ID: text.Draw(t, "id"), Model: text.Draw(t, "model"), Created: rapid.Int64().Draw(t, "created"),
		ServiceTier: text.Draw(t, "tier"), Fingerprint: text.Draw(t, "fingerprint"),
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "choices") {
		c := Choice{
			Index: i, Finish: rapid.SampledFrom([]FinishReason{FinishStop, FinishLength, FinishToolCalls, FinishStopSequence}).Draw(t, "finish"),
			RawFinish: text.Draw(t, "raw"), StopSequence: text.Draw(t, "stop"),
		}
		if rapid.Bool().Draw(t, "logprobs") {
			c.Logprobs = json.RawMessage(`{"content":[{"token":"a"}]}`)
		}
		for range rapid.IntRange(0, 4).Draw(t, "parts") {
			p := Part{Type: rapid.SampledFrom([]PartType{PartText, PartThinking, PartRedactedThinking, PartRefusal, PartToolCall, PartOther}).Draw(t, "type")}
			switch p.Type {
			case PartToolCall:
				p.ToolCall = &ToolCall{ID: text.Draw(t, "call"), Name: text.Draw(t, "name"), Arguments: text.Draw(t, "args")}
			case PartOther:
				p.Name, p.Raw = text.Draw(t, "other"), json.RawMessage(`{"x":1}`)
			case PartThinking:
				p.Text, p.Signature = text.Draw(t, "text"), text.Draw(t, "signature")
			default:
				p.Text = text.Draw(t, "text")
			}
			c.Parts = append(c.Parts, p)
		}
		r.Choices = append(r.Choices, c)
	}
	if rapid.Bool().Draw(t, "usage") {
		n := rapid.Int64Range(0, 1e6)
		r.Usage = Usage{Input: n.Draw(t, "in"), CacheRead: n.Draw(t, "read"), CacheWrite: n.Draw(t, "write"), Output: n.Draw(t, "out"), Reasoning: n.Draw(t, "reasoning"), Reported: true}
	}
	return r
}

// TestCollect: a response told as events, in pieces of any size, collects to itself.
func TestCollect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := response(t)
		var c Collector
		for _, ev := range want.Events() {
			for _, piece := range cut(t, ev) {
				c.Add(piece)
			}
		}
		if got := c.Response(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\nwant %+v", got, want)
		}
	})
}

// cut divides an event's text at random places.
func cut(t *rapid.T, ev Event) []Event {
	switch ev.Type {
	case EventText, EventThinking, EventRefusal, EventToolCall:
	default:
		return []Event{ev}
	}
	i := rapid.IntRange(0, len(ev.Text)).Draw(t, "cut")
	head, tail := ev, Event{Type: ev.Type, Choice: ev.Choice, Part: ev.Part, Text: ev.Text[i:]}
	head.Text = ev.Text[:i]
	if ev.Type == EventToolCall {
		tail.Type = EventToolArgs
	}
	return []Event{head, tail}
}

// TestInterleavedToolCalls: argument deltas of several calls, in any order.
func TestInterleavedToolCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		args := []string{`{"city":"Paris"}`, `{"n":[1,2,3]}`, ``}
		var c Collector
		c.Add(Event{Type: EventStart})
		left := append([]string(nil), args...)
		for i := range args {
			c.Add(Event{Type: EventToolCall, Part: i, ID: string(rune('a' + i)), Name: "f"})
		}
		for {
			var open []int
			for i, s := range left {
				if s != "" {
					open = append(open, i)
				}
			}
			if len(open) == 0 {
				break
			}
			i := rapid.SampledFrom(open).Draw(t, "call")
			n := rapid.IntRange(1, len(left[i])).Draw(t, "bytes")
			c.Add(Event{Type: EventToolArgs, Part: i, Text: left[i][:n]})
			left[i] = left[i][n:]
		}
		for i, p := range c.Response().Choices[0].Parts {
			if p.ToolCall.Arguments != args[i] || p.ToolCall.ID != string(rune('a'+i)) {
				t.Fatalf("%d: %+v", i, p.ToolCall)
			}
		}
	})
}

func TestCollectLogprobs(t *testing.T) {
	var c Collector
	for _, raw := range []string{`{"content":[{"token":"a"}],"refusal":null}`, `{"content":null,"refusal":[{"token":"b"}]}`, `{"content":[{"token":"c"}]}`} {
		c.Add(Event{Type: EventLogprobs, Raw: json.RawMessage(raw)})
	}
	want := `{"content":[{"token":"a"},{"token":"c"}],"refusal":[{"token":"b"}]}`
	if got := string(c.Response().Choices[0].Logprobs); got != want {
		t.Error(got)
	}
}

// TestUsageMerge: reports are cumulative; nothing is summed, and zeros do not undo what was told.
func TestUsageMerge(t *testing.T) {
	var u Usage
	u.Merge(Usage{Input: 99, Output: 99}) // not reported: nothing
	u.Merge(Usage{Input: 10, CacheRead: 4, Output: 1, Reported: true})
	u.Merge(Usage{Output: 7, Reasoning: 2, Reported: true})
	u.Merge(Usage{Output: 9, CostUSD: 0.5, Reported: true})
	want := Usage{Input: 10, CacheRead: 4, Output: 9, Reasoning: 2, CostUSD: 0.5, Reported: true}
	if u != want || u.TotalInput() != 14 || u.Total() != 23 {
		t.Errorf("%+v", u)
	}
	u.Add(Usage{Input: 1, CacheWrite: 2, CacheWrite1h: 3, Output: 4, CostUSD: 0.25})
	if want := (Usage{Input: 11, CacheRead: 4, CacheWrite: 2, CacheWrite1h: 3, Output: 13, Reasoning: 2, CostUSD: 0.75, Reported: true}); u != want {
		t.Errorf("%+v", u)
	}
}

func TestResponseText(t *testing.T) {
	if got := (&Response{}).Text(); got != "" {
		t.Error(got)
	}
	r := &Response{Choices: []Choice{
		{Parts: []Part{{Type: PartThinking, Text: "hm"}, {Text: "a"}, {Type: PartToolCall, ToolCall: &ToolCall{}}, {Type: PartRefusal, Text: "b"}}},
		{Parts: []Part{{Text: "second"}}},
	}}
	if got := r.Text(); got != "ab" {
		t.Error(got)
	}
}
