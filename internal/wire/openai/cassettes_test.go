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

// comparableAnswer drops from an answer what Chat Completions has no place for once it is
// written: see docs/translation-openai.md.
func comparableAnswer(r *llm.Response) *llm.Response {
	out := *r
	out.Usage.CostUSD = 0
	out.Usage.CacheWrite, out.Usage.CacheWrite1h = r.Usage.CacheWrite+r.Usage.CacheWrite1h, 0
	out.Choices = nil
	for _, c := range r.Choices {
		c.RawFinish, c.StopSequence = "", ""
		if c.Finish == llm.FinishUnknown || c.Finish == llm.FinishStopSequence {
			c.Finish = finishWithCalls(llm.FinishStop, callsTools(c.Parts))
		}
		if c.Finish == llm.FinishContext {
			c.Finish = llm.FinishLength
		}
		if c.Logprobs != nil {
			var v any
			_ = json.Unmarshal(c.Logprobs, &v)
			c.Logprobs, _ = json.Marshal(v)
		}
		var parts []llm.Part
		for _, p := range c.Parts {
			if p.Type == llm.PartOther && p.Name != "audio" {
				continue
			}
			if p.ToolCall != nil && p.ToolCall.Arguments == "" {
				p.ToolCall = &llm.ToolCall{ID: p.ToolCall.ID, Name: p.ToolCall.Name, Arguments: "{}"}
			}
			if p.Raw != nil {
				var v any
				_ = json.Unmarshal(p.Raw, &v)
				p.Raw, _ = json.Marshal(v)
			}
			parts = append(parts, p)
		}
		c.Parts = byKind(parts)
		out.Choices = append(out.Choices, c)
	}
	return &out
}

// byKind puts an answer's parts into the order in which a message of Chat Completions
// holds them, and joins texts.
func byKind(list []llm.Part) (out []llm.Part) {
	for _, kind := range []llm.PartType{llm.PartThinking, llm.PartText, llm.PartRefusal, llm.PartOther, llm.PartToolCall} {
		first := true
		for _, p := range list {
			if p.Type != kind {
				continue
			}
			if !first && p.ToolCall == nil {
				out[len(out)-1].Text += p.Text
				continue
			}
			out = append(out, p)
			first = false
		}
	}
	return out
}

// fixpoint: what is decoded, written and decoded again is the same answer, whole and
// streamed.
func fixpoint(t *testing.T, name string, r *llm.Response) {
	t.Helper()
	body, err := New().EncodeResponse(r)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	again, err := New().DecodeResponse(body)
	if err != nil {
		t.Fatalf("%s: own answer: %v in %s", name, err, body)
	}
	if want, got := comparableAnswer(r), comparableAnswer(again); !reflect.DeepEqual(want, got) {
		t.Errorf("%s: written and read again\n%+v\nfirst\n%+v", name, got, want)
	}
	enc := New().NewEncoder(wire.EncoderOptions{ID: "x", Model: "m", WantUsage: true})
	var out []byte
	for _, ev := range r.Events() {
		if out, err = enc.Encode(out, ev); err != nil {
			t.Fatal(err)
		}
	}
	evs, _, err := readStream(string(out), 7)
	if err != nil {
		t.Fatalf("%s: own stream: %v in %s", name, err, out)
	}
	want, got := comparableAnswer(r), comparableAnswer(collect(evs))
	dropFromStream(want)
	dropFromStream(got)
	if !reflect.DeepEqual(want, got) {
		t.Errorf("%s: streamed and read again\n%+v\nfirst\n%+v", name, got, want)
	}
}

// dropFromStream leaves out of an answer what our streams do not carry or carry in other
// pieces: audio, and ids and models that were empty.
func dropFromStream(r *llm.Response) {
	r.ID, r.Model = "", ""
	for i := range r.Choices {
		var parts []llm.Part
		for _, p := range r.Choices[i].Parts {
			if p.Type != llm.PartOther {
				parts = append(parts, p)
			}
		}
		r.Choices[i].Parts = parts
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

// requestFixpoint: what is written from a decoded request is decoded to the same, but for
// what was named as unsupported and what docs/translation-openai.md says is left out.
func requestFixpoint(t *testing.T, name string, r *llm.Request) {
	t.Helper()
	model := r.Model
	if model == "" {
		model = "some-model"
	}
	body, unsupported := encodeRequest(t, r, model)
	again := decodeRequest(t, body)
	for _, x := range r.Extra {
		found := false
		for _, u := range unsupported {
			found = found || u == x.Path
		}
		if !found {
			t.Errorf("%s: %s was lost without a word", name, x.Path)
		}
	}
	want, got := comparableRequest(r, model), comparableRequest(again, model)
	if !reflect.DeepEqual(want, got) {
		wb, _ := json.Marshal(want)
		gb, _ := json.Marshal(got)
		t.Errorf("%s: written and read again\n%s\nfirst\n%s", name, gb, wb)
	}
	twice, _ := encodeRequest(t, again, model)
	if twice != body {
		t.Errorf("%s: written again\n%s\nfirst\n%s", name, twice, body)
	}
}

func comparableRequest(r *llm.Request, model string) *llm.Request {
	out := *r
	out.Model, out.Extra, out.StreamWithUsage, out.TopK, out.CacheRequest = model, nil, false, nil, nil
	if len(out.Tools) == 0 {
		out.ToolChoice, out.ParallelToolCalls = nil, nil
	}
	out.Tools = nil
	for _, tool := range r.Tools {
		if tool.Type != "" {
			continue
		}
		tool.Cache, tool.Schema = nil, sameForm(tool.Schema)
		out.Tools = append(out.Tools, tool)
	}
	if r.Format != nil {
		f := *r.Format
		if f.Type == llm.FormatJSONSchema && f.Name == "" {
			f.Name = "response"
		}
		f.Schema = sameForm(f.Schema)
		out.Format = &f
	}
	out.LogitBias = sameForm(r.LogitBias)
	out.Messages = nil
	for _, m := range joinSystem(r.Messages) {
		if m.Role == llm.RoleDeveloper && !isReasoningModel(model) {
			m.Role = llm.RoleSystem
		}
		m.Parts = comparableParts(m.Parts, model)
		if m.Role == llm.RoleTool {
			m.Name = ""
		}
		if m.Role == llm.RoleAssistant && len(m.Parts) == 0 && len(r.Messages) > 1 {
			continue
		}
		out.Messages = append(out.Messages, m)
	}
	return &out
}

func comparableParts(list []llm.Part, model string) []llm.Part {
	var out []llm.Part
	for _, p := range list {
		p.Cache = nil
		switch {
		case p.Type == llm.PartOther, p.Type == llm.PartThinking && isOpenAIModel(model):
			continue
		case p.Type == llm.PartDocument && p.Media.URL != "":
			continue
		case p.ToolCall != nil && p.ToolCall.Arguments == "":
			p.ToolCall = &llm.ToolCall{ID: p.ToolCall.ID, Name: p.ToolCall.Name, Arguments: "{}"}
		case p.ToolResult != nil:
			p.ToolResult = &llm.ToolResult{ID: p.ToolResult.ID, Parts: comparableParts(p.ToolResult.Parts, model)}
		}
		if last := len(out) - 1; last >= 0 && p.Type == llm.PartThinking && out[last].Type == llm.PartThinking {
			out[last].Text += p.Text
			continue
		}
		out = append(out, p)
	}
	return out
}

func sameForm(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return nil
	}
	var v any
	_ = json.Unmarshal(raw, &v)
	out, _ := json.Marshal(v)
	return out
}
