package openai

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

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
