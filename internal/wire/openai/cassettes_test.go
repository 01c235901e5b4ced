package openai

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

// recordedUsage is the usage object of a recording, read without the package's own code.
type recordedUsage struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	Total      int64 `json:"total_tokens"`
	PD         *struct {
		Cached int64 `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CD *struct {
		Reasoning int64 `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

type recordedChunk struct {
	Usage *recordedUsage `json:"usage"`
	Groq  *struct {
		Usage *recordedUsage `json:"usage"`
	} `json:"x_groq"`
}

func (c *recordedChunk) usage() *recordedUsage {
	if c.Usage == nil && c.Groq != nil {
		return c.Groq.Usage
	}
	return c.Usage
}

// checkUsage compares decoded counts with recorded ones under the provider's own
// convention, as it was checked on the whole body of recordings.
func checkUsage(t *testing.T, c cassette, u llm.Usage, rec *recordedUsage) {
	t.Helper()
	if rec == nil {
		if u.Reported {
			t.Errorf("%s: usage %+v was not recorded", c.File, u)
		}
		return
	}
	var cached, reasoning int64
	if rec.PD != nil {
		cached = rec.PD.Cached
	}
	if rec.CD != nil {
		reasoning = rec.CD.Reasoning
	}
	output := rec.Completion
	switch {
	case c.Provider == "xai" || reasoning > rec.Completion:
		output += reasoning
	case c.Provider == "gemini":
		output = rec.Total - rec.Prompt
	}
	if !u.Reported || u.TotalInput() != rec.Prompt || u.Output != output || cached > 0 && u.CacheRead != min(cached, rec.Prompt) {
		t.Errorf("%s: usage %+v, recorded %+v", c.File, u, *rec)
	}
	if c.Provider != "vercel-ai-gateway" && c.Provider != "openrouter" && u.Total() != rec.Total {
		t.Errorf("%s: total %d, recorded %d", c.File, u.Total(), rec.Total)
	}
}

func TestRecordedAnswers(t *testing.T) {
	n := 0
	for _, c := range cassettes(t) {
		if c.Stream || c.Response.Status != 200 {
			continue
		}
		n++
		body := []byte(c.Response.Body)
		r, err := New().DecodeResponse(body)
		if err != nil {
			t.Errorf("%s: %v", c.File, err)
			continue
		}
		var rec recordedChunk
		if err := json.Unmarshal(body, &rec); err != nil {
			t.Fatal(err)
		}
		checkUsage(t, c, r.Usage, rec.usage())
		f := New().InspectResponse(body)
		if f.Usage != r.Usage || f.Model != r.Model || f.ID != r.ID || !f.Content || !f.Final {
			t.Errorf("%s: facts %+v", c.File, f)
		}
		checkText(t, c, body, r)
		fixpoint(t, c.File, r)
	}
	t.Logf("%d answers", n)
	if n < 300 {
		t.Errorf("only %d answers", n)
	}
}

// checkText compares texts and tool calls with the recording, read by encoding/json.
func checkText(t *testing.T, c cassette, body []byte, r *llm.Response) {
	t.Helper()
	var rec struct {
		Choices []struct {
			Message struct {
				Content   any    `json:"content"`
				Refusal   string `json:"refusal"`
				ToolCalls []struct {
					ID       string `json:"id"`
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
			} `json:"message"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(body, &rec); err != nil {
		t.Fatalf("%s: %v", c.File, err)
	}
	if len(rec.Choices) != len(r.Choices) {
		t.Fatalf("%s: %d choices, recorded %d", c.File, len(r.Choices), len(rec.Choices))
	}
	for i, choice := range r.Choices {
		want := rec.Choices[i].Message
		var text, refusal string
		calls := 0
		for _, p := range choice.Parts {
			switch p.Type {
			case llm.PartText:
				text += p.Text
			case llm.PartRefusal:
				refusal += p.Text
			case llm.PartToolCall:
				if calls < len(want.ToolCalls) {
					w := want.ToolCalls[calls]
					if w.ID != "" && p.ToolCall.ID != w.ID || p.ToolCall.ID == "" || p.ToolCall.Name != w.Function.Name || p.ToolCall.Arguments != w.Function.Arguments {
						t.Errorf("%s: call %+v, recorded %+v", c.File, *p.ToolCall, w)
					}
				}
				calls++
			}
		}
		if s, ok := want.Content.(string); ok && s != text || refusal != want.Refusal {
			t.Errorf("%s: text %q, recorded %q", c.File, text, want.Content)
		}
		if calls < len(want.ToolCalls) {
			t.Errorf("%s: %d calls, recorded %d", c.File, calls, len(want.ToolCalls))
		}
	}
}

func TestRecordedStreams(t *testing.T) {
	n := 0
	for i, c := range cassettes(t) {
		if !c.Stream || c.Response.Status != 200 {
			continue
		}
		n++
		evs, facts, err := readStream(c.Response.Body, uint64(i))
		switch {
		case strings.Contains(c.Response.Body, "event: error\n"):
			if !errors.Is(err, &llm.Error{Kind: llm.KindBadResponse}) || !strings.Contains(err.Error(), "did not call a tool") {
				t.Errorf("%s: %v", c.File, err)
			}
			continue
		case strings.Contains(c.Response.Body, `data: {"error"`), strings.Contains(c.Response.Body, `,"error":{`):
			if err == nil {
				t.Errorf("%s: the error in the stream was not seen", c.File)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", c.File, err)
			continue
		}
		checkStream(t, c, evs, facts)
		again, _, err := readStream(c.Response.Body, uint64(i)+1000)
		if err != nil || !reflect.DeepEqual(evs, again) {
			t.Errorf("%s: other cuts give other events", c.File)
		}
	}
	t.Logf("%d streams", n)
	if n < 150 {
		t.Errorf("only %d streams", n)
	}
}

func checkStream(t *testing.T, c cassette, evs []llm.Event, facts []wire.Facts) {
	t.Helper()
	if evs[0].Type != llm.EventStart || evs[len(evs)-1].Type != llm.EventEnd {
		t.Errorf("%s: from %v to %v", c.File, evs[0], evs[len(evs)-1])
	}
	checkOrder(t, c.File, evs)
	r := collect(evs)
	var last *recordedUsage
	var text string
	for _, line := range strings.Split(c.Response.Body, "\n") {
		data, ok := strings.CutPrefix(line, "data:")
		if !ok || strings.TrimSpace(data) == "[DONE]" {
			continue
		}
		var chunk struct {
			recordedChunk
			Choices []struct {
				Delta struct {
					Content any `json:"content"`
				} `json:"delta"`
			} `json:"choices"`
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			t.Fatalf("%s: %v", c.File, err)
		}
		if u := chunk.usage(); u != nil {
			last = u
		}
		for _, choice := range chunk.Choices {
			if s, ok := choice.Delta.Content.(string); ok {
				text += s
			}
		}
	}
	checkUsage(t, c, r.Usage, last)
	var got string
	for _, ev := range evs {
		if ev.Type == llm.EventText {
			got += ev.Text
		}
	}
	if c.Provider != "mistral" && got != text {
		t.Errorf("%s: text %q, recorded %q", c.File, got, text)
	}
	checkFacts(t, c, r, facts)
	fixpoint(t, c.File, r)
}

func checkFacts(t *testing.T, c cassette, r *llm.Response, facts []wire.Facts) {
	t.Helper()
	var usage llm.Usage
	var sum wire.Facts
	for _, f := range facts {
		usage.Merge(f.Usage)
		if f.Err != nil {
			t.Errorf("%s: %v", c.File, f.Err)
		}
		sum.Content = sum.Content || f.Content
		sum.TextSize += f.TextSize
		if f.Finish != "" {
			sum.Finish = f.Finish
		}
		if f.ID != "" {
			sum.ID = f.ID
		}
	}
	if usage != r.Usage || !sum.Content || r.ID != "" && sum.ID == "" {
		t.Errorf("%s: facts %+v, answer %+v", c.File, sum, r)
	}
	size := 0
	for _, choice := range r.Choices {
		for _, p := range choice.Parts {
			size += len(p.Text)
			if p.ToolCall != nil {
				size += len(p.ToolCall.Arguments)
			}
		}
	}
	if d := sum.TextSize - size; d > size/4 || d < -size/4 { // \u escapes are estimated
		t.Errorf("%s: text size %d, really %d", c.File, sum.TextSize, size)
	}
}

// checkOrder holds a stream to the rules of llm's events.
func checkOrder(t *testing.T, name string, evs []llm.Event) {
	t.Helper()
	type key struct{ choice, part int }
	closed, opened := map[key]bool{}, map[key]llm.EventType{}
	next := map[int]int{}
	for _, ev := range evs {
		switch ev.Type {
		case llm.EventStart, llm.EventUsage, llm.EventEnd, llm.EventFinish, llm.EventLogprobs:
			continue
		}
		k := key{ev.Choice, ev.Part}
		if closed[k] {
			t.Errorf("%s: part %v goes on after its end", name, k)
		}
		if ev.Type == llm.EventPartEnd {
			closed[k] = true
			continue
		}
		if _, ok := opened[k]; !ok {
			if ev.Part != next[ev.Choice] {
				t.Errorf("%s: part %v opened, expected %d", name, k, next[ev.Choice])
			}
			next[ev.Choice]++
			opened[k] = ev.Type
		}
	}
	for k, typ := range opened {
		if !closed[k] && typ != llm.EventOther {
			t.Errorf("%s: part %v was never closed", name, k)
		}
	}
}

func TestRecordedErrors(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	n := 0
	for _, c := range cassettes(t) {
		if c.Response.Status < 400 {
			continue
		}
		n++
		h := http.Header{}
		for k, v := range c.Response.Headers {
			h.Set(k, v)
		}
		e := New().DecodeError(c.Response.Status, h, []byte(c.Response.Body), now)
		if e.Message == "" || e.ProviderStatus != c.Response.Status {
			t.Errorf("%s: %+v", c.File, e)
		}
		want, ok := map[int]llm.Kind{
			401: llm.KindAuthentication, 403: llm.KindPermission, 404: llm.KindNotFound, 408: llm.KindTimeout,
			413: llm.KindTooLarge, 422: llm.KindInvalidRequest, 500: llm.KindServerError, 503: llm.KindOverloaded,
		}[c.Response.Status]
		if ok && e.Kind != want {
			t.Errorf("%s: status %d is %s, want %s: %s", c.File, c.Response.Status, e.Kind, want, e.Message)
		}
		body := New().EncodeError(e, "req_1")
		var shape struct {
			Error struct {
				Message *string `json:"message"`
				Type    any     `json:"type"`
				Code    *string `json:"code"`
			} `json:"error"`
		}
		if err := json.Unmarshal(body, &shape); err != nil || shape.Error.Message == nil {
			t.Errorf("%s: %v in %s", c.File, err, body)
		}
	}
	if n < 60 {
		t.Errorf("only %d errors", n)
	}
}

func TestRecordedRequests(t *testing.T) {
	n, refused := 0, 0
	for _, c := range cassettes(t) {
		if len(c.Request.Body) == 0 || c.Request.Body[0] != '{' {
			continue
		}
		n++
		doc, err := jsondoc.Parse(c.Request.Body, New().Shape())
		if err != nil {
			t.Errorf("%s: %v", c.File, err)
			continue
		}
		r, err := New().DecodeRequest(doc)
		if err != nil {
			refused++
			if c.Response.Status < 400 { // the provider took it, so must we
				t.Errorf("%s: %v", c.File, err)
			}
			continue
		}
		requestFixpoint(t, c.File, r)
	}
	t.Logf("%d requests, %d of them refused", n, refused)
	if n < 400 {
		t.Errorf("only %d requests", n)
	}
}
