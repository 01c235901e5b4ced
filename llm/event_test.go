package llm

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
)

// source draws random values.
type source struct{ *rand.Rand }

// check runs f with many sources.
func check(t *testing.T, f func(seed uint64, s source)) {
	t.Helper()
	for seed := range uint64(2000) {
		f(seed, source{rand.New(rand.NewPCG(seed, 1))})
	}
}

func (s source) text() string {
	runes := []rune("abc \n\"\\\u00fc\u4e2d\U0001f600{}")
	out := make([]rune, s.IntN(8))
	for i := range out {
		out[i] = runes[s.IntN(len(runes))]
	}
	return string(out)
}

func pick[T any](s source, from ...T) T { return from[s.IntN(len(from))] }

// response draws a whole answer that events can tell.
func (s source) response() *Response {
	r := &Response{ID: s.text(), Model: s.text(), Created: s.Int64N(1e10), ServiceTier: s.text(), Fingerprint: s.text()}
	for i := range 1 + s.IntN(3) {
		c := Choice{Index: i, Finish: pick(s, FinishStop, FinishLength, FinishToolCalls, FinishStopSequence), RawFinish: s.text(), StopSequence: s.text()}
		if s.IntN(2) == 0 {
			c.Logprobs = json.RawMessage(`{"content":[{"token":"a"}]}`)
		}
		for range s.IntN(5) {
			c.Parts = append(c.Parts, s.part())
		}
		r.Choices = append(r.Choices, c)
	}
	if s.IntN(2) == 0 {
		r.Usage = Usage{Input: s.Int64N(1e6), CacheRead: s.Int64N(1e6), CacheWrite: s.Int64N(1e6), Output: s.Int64N(1e6), Reasoning: s.Int64N(1e6), Reported: true}
	}
	return r
}

func (s source) part() Part {
	p := Part{Type: pick(s, PartText, PartThinking, PartRedactedThinking, PartRefusal, PartToolCall, PartOther)}
	switch p.Type {
	case PartToolCall:
		p.ToolCall = &ToolCall{ID: s.text(), Name: s.text(), Arguments: s.text()}
	case PartOther:
		p.Name, p.Raw = s.text(), json.RawMessage(`{"x":1}`)
	case PartThinking:
		p.Text, p.Signature = s.text(), s.text()
	default:
		p.Text = s.text()
	}
	return p
}

// cut divides an event's text at a random place.
func (s source) cut(ev Event) []Event {
	switch ev.Type {
	case EventText, EventThinking, EventRefusal, EventToolCall:
	default:
		return []Event{ev}
	}
	i := s.IntN(len(ev.Text) + 1)
	head, tail := ev, Event{Type: ev.Type, Choice: ev.Choice, Part: ev.Part, Text: ev.Text[i:]}
	head.Text = ev.Text[:i]
	if ev.Type == EventToolCall {
		tail.Type = EventToolArgs
	}
	return []Event{head, tail}
}

// TestCollect: a response told as events, in pieces of any size, collects to itself.
func TestCollect(t *testing.T) {
	check(t, func(seed uint64, s source) {
		want := s.response()
		var c Collector
		for _, ev := range want.Events() {
			for _, piece := range s.cut(ev) {
				c.Add(piece)
			}
		}
		if got := c.Response(); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %+v\nwant %+v", seed, got, want)
		}
	})
}

// TestInterleavedToolCalls: argument deltas of several calls, in any order.
func TestInterleavedToolCalls(t *testing.T) {
	check(t, func(seed uint64, src source) {
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
			i := pick(src, open...)
			n := 1 + src.IntN(len(left[i]))
			c.Add(Event{Type: EventToolArgs, Part: i, Text: left[i][:n]})
			left[i] = left[i][n:]
		}
		for i, p := range c.Response().Choices[0].Parts {
			if p.ToolCall.Arguments != args[i] || p.ToolCall.ID != string(rune('a'+i)) {
				t.Fatalf("seed %d: %d: %+v", seed, i, p.ToolCall)
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
